# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The application: whether the step that registers it would stop, and which permissions it can declare."""

from __future__ import annotations

import datetime as dt
import typing as t
from dataclasses import dataclass, replace

from ansible_collections.mail2fax.m365.plugins.module_utils import (
    _accesses,
    _directory,
    _names,
    _ownership,
    _permissions,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import InvalidInput
from ansible_collections.mail2fax.m365.plugins.module_utils._graph import Call, Part
from ansible_collections.mail2fax.m365.plugins.module_utils._permissions import Offers
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.asking import Answers, Ask, Read, Reads
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.desired import Desired
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.finding import (
    BLOCKED,
    Finding,
    Judged,
    few,
    notes,
    refused,
    stops,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.operator import Operator
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import application as _application
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.application_read import Reader
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant

STEP = "application"


@dataclass(frozen=True)
class Facts:
    """What was read. None stands for what the operator may not read, or what nobody asked for."""

    state: _application.State | None = None
    owned: bool | None = None
    """Whether the operator is an owner of the application; None where that does not matter."""
    offers: Offers | None = None
    deleted_namesakes: tuple[Json, ...] = ()
    """Deleted applications of the declared display name that are not the one meant."""
    marked: tuple[str, ...] = ()
    """The ids of applications of ours that a migration has marked for the profile; one: it is the one that is meant."""

    @property
    def document(self) -> Json | None:
        return self.state.application if self.state is not None else None

    @property
    def app_id(self) -> str:
        """Of the live application, in lower case; "" without one."""
        return str((self.document or {}).get("appId") or "").lower()

    def app_id_to_be(self, desired: Desired) -> str:
        """The same, or that of the deleted one that comes back; zeros for one that is to be made."""
        wanted, state = desired.application, self.state
        if not self.app_id and wanted is not None and wanted.on_deleted == "restore" and state is not None:
            return str((state.deleted or {}).get("appId") or _names.ZERO_GUID).lower()
        return self.app_id or _names.ZERO_GUID


def _meant(facts: Facts, desired: Desired) -> _application.Desired | None:
    """What is wanted, by the id of the one that a migration has marked."""
    wanted = desired.application
    if wanted is None or wanted.trust is None or len(facts.marked) != 1:
        return wanted
    return replace(wanted, trust=replace(wanted.trust, recorded_app_id=facts.marked[0]))


def signed_in(desired: Desired, tenant: Tenant) -> Desired:
    """The expectations of this operator: what it made is ours, and so are the keys that the store knows."""
    wanted = desired.application
    if wanted is None or wanted.trust is None:
        return desired
    trust = wanted.trust.signed_in(tenant.sign_in.token(tenant.cloud.graph_audience))
    if trust.known_key_ids is not None or desired.stored_key_ids is not None:
        trust = replace(trust, known_key_ids=(trust.known_key_ids or frozenset()) | set(desired.stored_key_ids or ()))
    return replace(desired, application=replace(wanted, trust=trust))


def calls(desired: Desired, operator: Operator) -> Reads:
    reads: dict[str, Read] = {}
    wanted = desired.application
    if wanted is not None:
        key, value = wanted.identity.looked_up
        by_id = value if key == "appId" else None
        path = _directory.key_of(unique_name=wanted.unique_name, app_id=by_id)
        found = _application.find_call(unique_name=wanted.unique_name, app_id=by_id)
        reads["found"] = Read(found, "the application")
        reads["deleted"] = Read(_application.deleted_call(key, value), "the application in the recycle bin")
        for name, call in _ownership.application_calls(path).items():
            reads[name] = Read(call, "who can sign in as the application")
        if by_id:
            for name, call in _ownership.principal_call(by_id).items():
                reads[name] = Read(call, "who can sign in as the application")
        if wanted.app_id and wanted.unique_name:
            reads["holder"] = Read(
                _application.find_call(unique_name=wanted.unique_name, select=_application.BRIEF), "the application"
            )
        if desired.profile and not by_id:
            reads["marked"] = Read(_directory.tagged_call(desired.profile), "applications that a migration has marked")
        if wanted.display_name:
            reads["namesakes"] = Read(
                _application.named_call(wanted.display_name), "other applications of the same name"
            )
        if wanted.display_name and not wanted.app_id:
            reads["deleted namesakes"] = Read(
                _application.deleted_call("displayName", wanted.display_name), "deleted applications of the same name"
            )
        reads.update(_principal(wanted))
    for item in desired.permissions or ():
        reads[item.app_id] = Read(_permissions.read_call(item.app_id), "the permissions that an API offers")
    return reads


def _principal(wanted: _application.Desired) -> Reads:
    """The service principal, in the first batch: by the application's id, or by the name that both have."""
    what = "the application's service principal"
    key, value = wanted.identity.looked_up
    if key == "appId":
        live, deleted = _directory.service_principal_calls(value)
        # The step that makes the application asks for both.
        return {"principal": Read(live, what), "deleted principal": Read(deleted, f"{what} in the recycle bin", 0)}
    if wanted.display_name:
        path = (
            f"/servicePrincipals?$filter=displayName%20eq%20{_names.odata(wanted.display_name)}"
            f"&$select={_directory.SERVICE_PRINCIPAL}"
        )
        return {"principals": Read(Call("GET", path, f"read {what}"), what)}
    return {}


def take(answers: Answers, desired: Desired, operator: Operator, ask: Ask) -> Facts:
    wanted = desired.application
    resources = [item.app_id for item in desired.permissions or ()]
    offered = [answers.document(app_id) for app_id in resources]
    offers = None
    if all(document is not None for document in offered):
        offers = _permissions.offers_from(document or None for document in offered)
    found = answers.document("found")
    if wanted is None or found is None:
        return Facts(offers=offers)
    application = found or None
    deleted = _deleted(answers, wanted, ask) if application is None else None
    if application is None and deleted is None and (ids := _marked(answers, wanted)):
        facts = Facts(offers=offers, marked=ids)
        meant = _meant(facts, desired)
        if meant is not None and len(ids) == 1:
            return replace(facts, state=Reader(ask.tenant, meant).read())
        return replace(facts, state=_application.State(offers=offers or {}))
    own = str((application or deleted or {}).get("id") or "")
    holder = answers.document("holder") or None
    namesakes = [
        item for item in answers.rows("namesakes") or [] if item.get("id") not in (own, (holder or {}).get("id"))
    ]
    gone: list[Json] = []
    # It only helps to know: a directory that does not tell stops nothing.
    if answers.asked("deleted namesakes") and not answers.useless("deleted namesakes"):
        gone = [
            item
            for item in answers.rows("deleted namesakes") or []
            if item.get("id") != own and item.get("displayName") == wanted.display_name
        ]
    owners = answers.rows("owners") if application is not None and operator.owns_only else None
    principal = _principal_of(answers, application, ask)
    state = _application.State(
        application=application,
        deleted=deleted,
        namesakes=tuple(namesakes),
        holder=holder,
        service_principal=principal,
        offers=offers or {},
        access=None if application is None else _access(answers, application, principal, ask),
    )
    if wanted.identity.from_record and application is None and deleted is None:
        # One answer that the recorded application does not exist is no proof.
        state = Reader(ask.tenant, wanted).read()
    return Facts(
        state=state,
        owned=None if owners is None else operator.object_id in {item.get("id") for item in owners},
        offers=offers,
        deleted_namesakes=tuple(gone),
    )


def _marked(answers: Answers, wanted: _application.Desired) -> tuple[str, ...]:
    """It only helps to find one whose record was lost: a directory that does not tell stops nothing."""
    if not answers.asked("marked") or answers.useless("marked") or wanted.trust is None:
        return ()
    rows = [item for item in answers.rows("marked") or [] if _ownership.is_ours(item, wanted.trust)]
    return tuple(sorted(str(item["appId"]).lower() for item in rows))


def _deleted(answers: Answers, wanted: _application.Desired, ask: Ask) -> Json | None:
    part = answers.part("deleted")
    if part is None or answers.refused("deleted"):
        return None
    return next(iter(_application.deleted_found(ask.tenant.graph, part, *wanted.identity.looked_up)), None)


def _access(answers: Answers, application: Json, principal: Json | None, ask: Ask) -> _ownership.Access | None:
    """Who can sign in as the application; None where the operator may not read it, or no replica shows it.

    Who owns the service principal is read where a record or the inventory names the application by its id; otherwise
    the step that registers it looks, before it writes.
    """
    names = [name for name in ("owners", "federated", "principal_owners") if answers.asked(name)]
    if any(answers.refused(name) for name in names):
        return None
    calls = {name: t.cast("Call", answers.reads[name].request) for name in names}
    parts: dict[str, Part] = {name: part for name in names if (part := answers.part(name)) is not None}
    return _ownership.access_from(ask.tenant.graph, application, principal, calls, parts)


def _principal_of(answers: Answers, application: Json | None, ask: Ask) -> Json | None:
    """The live service principal; one more request where its name is not the application's."""
    if application is None:
        return None
    if answers.asked("principal"):
        return None if answers.useless("principal") else answers.document("principal") or None
    app_id = str(application.get("appId") or "").lower()
    if answers.asked("principals") and not answers.useless("principals"):
        for one in answers.rows("principals") or []:
            if str(one.get("appId") or "").lower() == app_id:
                return one
    call = _directory.service_principal_calls(app_id)[0]
    further = ask.further({"principal": Read(call, "the application's service principal")})
    return None if further.useless("principal") else further.document("principal") or None


def blind(facts: Facts, desired: Desired) -> list[str]:
    """What was expected and could not be read, in words."""
    unread = ["the application"] if desired.application is not None and facts.state is None else []
    wanted, state = desired.application, facts.state
    if wanted and state and state.application and state.access is None and not wanted.taking_back:
        unread.append("who can sign in as the application")
    return unread + (["the permissions that APIs offer"] if desired.permissions and facts.offers is None else [])


def judge(facts: Facts, desired: Desired, now: dt.datetime) -> Judged:
    wanted, state = _meant(facts, desired), facts.state
    about_permissions = tuple(_permissions_of(facts, desired))
    if wanted is None or state is None:
        return Judged(None, about_permissions)
    what = f"the application {wanted.called}"
    findings = []
    reasons = [_application.plan(state, wanted, now).blocked]
    if state.deleted is not None and wanted.app_id is None:
        # A deleted one hides whether the name is taken by a live one as well.
        reasons.append(_application.plan(replace(state, deleted=None), wanted, now).blocked)
    findings += [refused(STEP, what, reason) for reason in reasons if reason is not None]
    if wanted.trust is not None and wanted.trust.adopting and state.access is not None:
        told = _ownership.taken_over(_ownership.strangers(state.access, wanted.trust, now), wanted.called)
        findings += [notes(STEP, what, told)] if told else []
    findings += [*_of_the_marked(facts, desired, what), *_of_the_living(facts, desired, what)]
    if not findings and not any(finding.severity == BLOCKED for finding in about_permissions):
        findings += _changed_of_others(facts, desired, what, now)
    findings += _of_the_dead(facts, what)
    by_mark = {"by_mark": facts.marked[0]} if len(facts.marked) == 1 else {}
    return Judged({**_shown(state, now), **by_mark}, (*findings, *about_permissions))


def _of_the_marked(facts: Facts, desired: Desired, what: str) -> t.Iterator[Finding]:
    """What a migration has written on applications, where no record tells which one is meant."""
    wanted = desired.application
    if wanted is None or wanted.identity.looked_up[0] == "appId" or not desired.profile:
        return
    if len(facts.marked) > 1:
        yield stops(
            STEP,
            what,
            f"several applications were migrated to the profile {desired.profile}, and no record tells which one is "
            f"meant: {few(facts.marked)}",
            "name the one that is meant by its id (mail2fax_application_id)",
            app_ids=list(facts.marked),
        )
    prefix = _directory.PROFILE_TAG
    tags = [str(tag).removeprefix(prefix) for tag in (facts.document or {}).get("tags") or [] if tag.startswith(prefix)]
    if not facts.marked and tags and desired.profile not in tags:
        yield stops(
            STEP,
            what,
            f"the application {facts.app_id} has this unique name, and was migrated to the profile {few(tags)}, so it "
            "is not the one that is meant",
            f"adopt it by its id (mail2fax_application_id: {facts.app_id}) if it is; else choose a unique name of its "
            "own (mail2fax_application_unique_name)",
            app_ids=[facts.app_id],
        )


def _of_the_living(facts: Facts, desired: Desired, what: str) -> t.Iterator[Finding]:
    wanted, state = desired.application, facts.state
    if wanted is None or state is None:
        return
    if facts.owned is False:
        yield stops(
            STEP,
            what,
            "the operator may change only applications that it owns (Application.ReadWrite.OwnedBy), and is not an "
            "owner of this one",
            "make the operator's service principal an owner of it, or grant the operator Application.ReadWrite.All",
            _application.APPLICATION_ADMIN,
        )
    if wanted.enabled is None and state.service_principal and state.service_principal.get("accountEnabled") is False:
        yield stops(
            STEP,
            what,
            "sign-in is disabled on its enterprise application, so the fax server could not sign in, and no run "
            "enables it unasked",
            "find out who disabled it and why, then enable it (Enterprise applications, Properties, Enabled for users "
            "to sign in)",
            _application.APPLICATION_ADMIN,
            service_principal=state.service_principal.get("id"),
        )
    if state.namesakes and (state.application is not None or wanted.on_namesake == "ignore"):
        listed = few(item.get("appId") for item in state.namesakes)
        yield notes(
            STEP,
            what,
            f"other applications have the same display name: {listed}",
            "tell them apart by app id",
            app_ids=[item.get("appId") for item in state.namesakes],
        )


def _changed_of_others(facts: Facts, desired: Desired, what: str, now: dt.datetime) -> t.Iterator[Finding]:
    """What the step would set otherwise of an application that others made, as the step itself notes it."""
    wanted, state = desired.application, facts.state
    if wanted is None or state is None or state.application is None or facts.offers is None:
        return
    plan = _application.plan(state, replace(wanted, permissions=desired.permissions), now)
    entries = [one for one in plan.added if isinstance(one, dict) and one["kind"] == "setting"]
    changed = {str(one["id"]): {"before": one.get("before"), "after": plan.after.get(one["id"])} for one in entries}
    if changed:
        listed = few(
            (f"{name} from {_told(one['before'])} to {_told(one['after'])}" for name, one in changed.items()), "; "
        )
        yield notes(
            STEP,
            what,
            f"it was not made by this collection, and the run changes of it: {listed}",
            "say in the inventory only what is to be changed; a decommission puts back what it was",
            settings=changed,
        )


def _told(value: t.Any) -> str:
    """A setting in a sentence. Permissions are lists, of declarations before and of lines after."""
    if not isinstance(value, list):
        return repr(value)
    names: list[str] = []
    for item in value:
        names += [item] if isinstance(item, str) else [*item.get("application", ()), *item.get("delegated", ())]
    return few(names) if names else "none"


def _of_the_dead(facts: Facts, what: str) -> t.Iterator[Finding]:
    state = facts.state
    if not facts.deleted_namesakes or state is None or state.application or state.deleted:
        return
    listed = few(
        f"{item.get('appId')} (since {str(item.get('deletedDateTime') or 'an unknown time')[:10]})"
        for item in facts.deleted_namesakes
    )
    yield notes(
        STEP,
        what,
        f"deleted applications of the same display name lie in the recycle bin: {listed}. They were made by hand or by "
        "another tool, and a new one is made beside them",
        "do nothing, unless one of them is meant: then restore it in the portal and adopt it by its app_id",
        app_ids=[item.get("appId") for item in facts.deleted_namesakes],
    )


def _shown(state: _application.State, now: dt.datetime) -> Json:
    shown: Json = {
        "state": "present" if state.application else "absent" if state.deleted is None else "deleted",
        **_application.brief(state.application or state.deleted or {}),
        "deleted": None,
        "namesakes": [_application.brief(item) for item in state.namesakes],
    }
    if state.deleted is not None:
        gone = _application.moment(state.deleted.get("deletedDateTime"))
        shown["deleted"] = {
            "deleted_date_time": state.deleted.get("deletedDateTime"),
            "credentials": sum(
                len(state.deleted.get(kind) or ()) for kind in ("passwordCredentials", "keyCredentials")
            ),
            "days_left": max(0, (gone + _application.KEPT_DELETED - now).days) if gone else None,
        }
    return shown


def _permissions_of(facts: Facts, desired: Desired) -> t.Iterator[Finding]:
    # Whether somebody accepts what nothing limits is a topic of its own.
    beyond = _accesses.beyond(
        desired.permissions or (), desired.extra_permissions, desired.accesses, wide_accepted=True
    )
    if beyond is not None:
        yield refused("permissions", "permissions", beyond)
    if not desired.permissions or facts.offers is None:
        return
    absent = _permissions.missing_resource(desired.permissions, facts.offers)
    if absent is not None:
        yield refused("permissions", "permissions", absent)
    try:
        _permissions.resolve(desired.permissions, facts.offers)
    except InvalidInput as exc:
        yield stops("permissions", "permissions", exc.message, exc.cure)
