# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The client secret of one application that bears our display name: made, stored, proven, renewed, retired.

Order of a mint: prove the store writable, note the intent, mint, write, read back, sign in with what was read back,
commit. Whatever the run dies in, the next one finds what is whole and drops what is not: the entry's ``intent`` and
``following`` tell which keys were born in that run. Secrets of other names are foreign: reported, never touched.
"""

from __future__ import annotations

import datetime as dt
import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.mail2fax.m365.plugins.module_utils import _names, _texts
from ansible_collections.mail2fax.m365.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.mail2fax.m365.plugins.module_utils._auth import SecretSignIn
from ansible_collections.mail2fax.m365.plugins.module_utils._door import Door, Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import (
    AnswerLost,
    Blocked,
    InvalidInput,
    M365Error,
    NotFound,
    ServiceError,
    SignInError,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._graph import Call
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json, Plan, Step
from ansible_collections.mail2fax.m365.plugins.module_utils._store import Entry, Store, StoredSecret, instant, iso
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant

LONGEST_NAME = 120
ALIVE_AT_MOST = 2
LOST_KEY_SHOWS_WITHIN_S = 10.0


@dataclass(frozen=True)
class Key:
    """One password credential as Graph lists it: never with its value."""

    key_id: str
    display_name: str
    start: dt.datetime
    end: dt.datetime

    def as_dict(self, now: dt.datetime) -> Json:
        return {
            "key_id": self.key_id,
            "display_name": self.display_name,
            "start_date_time": iso(self.start),
            "end_date_time": iso(self.end),
            "days_left": (self.end - now).days,
        }


@dataclass(frozen=True)
class Limits:
    """What the tenant's app-management policies allow; None where the operator may not read them."""

    readable: bool = False
    secrets_allowed: bool = True
    longest: dt.timedelta | None = None


@dataclass(frozen=True)
class State:
    """``exists`` is False in check mode for an application that is still to be made."""

    exists: bool
    keys: tuple[Key, ...] = ()
    entry: Entry | None = None
    limits: Limits = Limits()
    tenant_id: str = ""


@dataclass(frozen=True)
class Desired:
    app_id: str
    display_name: str
    state: str = "present"
    lifetime: dt.timedelta = dt.timedelta(days=365)
    end: dt.datetime | None = None
    renew_before: dt.timedelta = dt.timedelta(days=30)
    overlap: dt.timedelta = dt.timedelta(days=7)
    rotate: str = "if_needed"
    allow_shorter: bool = False
    stored_in: str | None = None


@dataclass
class Verdict:
    """Why a new secret is needed (``reason``), and what has to go."""

    reason: str | None = None
    drop: list[tuple[str, str]] = field(default_factory=list)  # key id, why
    commit: bool = False
    forget: bool = False  # the store's following/intent points to nothing


def plan(current: State, desired: Desired, now: dt.datetime) -> Plan:
    """What has to happen to the keys that bear our name, and to the store."""
    ours = [key for key in current.keys if key.display_name == desired.display_name]
    foreign = [key for key in current.keys if key.display_name != desired.display_name]
    before = {"secrets": [key.as_dict(now) for key in ours], "stored_key_id": _stored_key(current.entry)}
    shown = {"display_name": desired.display_name, "stored_in": desired.stored_in}
    common: Json = {
        **shown,
        "app_id": desired.app_id,
        "foreign": [key.as_dict(now) for key in foreign],
        "rotated": False,
        "retired": [],
    }
    if desired.state == "absent":
        return _plan_absent(current, desired, ours, before, common)
    verdict = judge(current, desired, ours, now)
    steps = [Step("drop", f"remove secret {key_id} ({why})", {"key_id": key_id}) for key_id, why in verdict.drop]
    if verdict.forget:
        steps.append(Step("forget", "clear what an interrupted run left in the store"))
    if verdict.commit:
        steps.append(Step("commit", "finish the interrupted renewal of the secret"))
    gone = {key_id for key_id, _why in verdict.drop}
    left = [key for key in ours if key.key_id not in gone]
    result: Json = dict(common)
    after: Json = {"secrets": [key.as_dict(now) for key in left], "stored_key_id": before["stored_key_id"]}
    blocked: Blocked | None = None
    warnings: list[str] = []
    if verdict.reason is not None:
        end, blocked, note = _end(desired, current.limits, now)
        if note:
            warnings.append(note)
        alive = [key for key in left if key.end > now]
        if blocked is None and len(alive) >= ALIVE_AT_MOST:
            blocked = _too_many(desired, alive, now)
        steps.append(
            Step(
                "mint",
                f"make the secret {desired.display_name!r} until {iso(end)[:10]} ({verdict.reason})",
                {"end": iso(end), "reason": verdict.reason},
            )
        )
        after["secrets"] = [*after["secrets"], {**shown, "key_id": "(new)", "end_date_time": iso(end)}]
        after["stored_key_id"] = "(new)"
        result.update(
            key_id=None, end_date_time=iso(end), rotated=bool(ours), retired=sorted(gone), days_left=(end - now).days
        )
        summary = f"secret made until {iso(end)[:10]}: {verdict.reason}"
    else:
        kept = _kept(current.entry, left, verdict)
        result.update(
            key_id=kept.key_id,
            start_date_time=iso(kept.start),
            end_date_time=iso(kept.end),
            days_left=(kept.end - now).days,
            retired=sorted(gone),
        )
        if verdict.commit:
            after["stored_key_id"] = kept.key_id
        summary = f"valid until {iso(kept.end)[:10]}, {(kept.end - now).days} days left"
    if foreign:
        summary += f"; {len(foreign)} foreign"
    return Plan(before, after, steps, result, summary, warnings, blocked=blocked)


def judge(current: State, desired: Desired, ours: t.Sequence[Key], now: dt.datetime) -> Verdict:
    """Pure: which of our keys is whole, which is not, and whether a new one is needed and why."""
    verdict = Verdict()
    alive = {key.key_id: key for key in ours}
    entry = current.entry
    if desired.stored_in is None:
        # The value went to whoever asked for it: only the name and the dates are left to decide by.
        newest = max(ours, key=lambda key: key.end, default=None)
        verdict.reason = _due(newest, desired, now) if newest else "there is none yet"
        return verdict
    entry = entry or Entry()
    if entry.intent is not None and entry.following is None:
        for key_id in alive.keys() - set(entry.intent) - entry.known():
            verdict.drop.append((key_id, "left by an interrupted run, its value is lost"))
        verdict.forget = True
    newest_entry = entry.current
    if entry.following is not None:
        if entry.following.key_id in alive:
            verdict.commit = True
            newest_entry = entry.following
        else:
            verdict.forget = True
    for key in ours:
        if newest_entry is not None and key.key_id == newest_entry.key_id:
            continue
        if key.end <= now:
            verdict.drop.append((key.key_id, "expired"))
        elif entry.current is not None and key.key_id not in entry.known() and now - key.start >= desired.overlap:
            # Ours by name, but of no use to whoever reads the store: it has had its overlap.
            verdict.drop.append((key.key_id, "not the stored one"))
    if entry.previous is not None and entry.previous.key_id in alive and not verdict.commit:
        since = instant(entry.current.start_date_time) if entry.current else now
        if now - since >= desired.overlap:
            verdict.drop.append((entry.previous.key_id, "its overlap is over"))
    if newest_entry is None:
        unknown = [key for key in ours if key.key_id not in {key_id for key_id, _why in verdict.drop}]
        verdict.reason = "its value is not in the store" if unknown else "there is none yet"
    elif newest_entry.client_id.lower() != desired.app_id:
        verdict.reason = "the store holds the secret of another application"
    elif newest_entry.key_id not in alive:
        verdict.reason = "the stored one was removed outside"
    else:
        verdict.reason = _due(alive[newest_entry.key_id], desired, now)
    if verdict.reason is not None and entry.previous is not None and not verdict.commit:
        # Two at most: what is already being retired makes room for what will be.
        dropped = {key_id for key_id, _why in verdict.drop}
        if entry.previous.key_id in alive and entry.previous.key_id not in dropped and len(alive) >= ALIVE_AT_MOST:
            verdict.drop.append((entry.previous.key_id, "a newer one takes its place"))
    verdict.drop = list(dict(verdict.drop).items())
    return verdict


def _due(key: Key, desired: Desired, now: dt.datetime) -> str | None:
    if key.end <= now:
        return "the old one has expired"
    if desired.rotate == "always":
        return "asked for"
    if desired.rotate == "if_needed" and key.end - now <= desired.renew_before:
        return f"the old one ends in {(key.end - now).days} days"
    return None


def _kept(entry: Entry | None, left: t.Sequence[Key], verdict: Verdict) -> Key:
    wanted = None
    if entry is not None:
        wanted = entry.following if verdict.commit else entry.current
    by_id = {key.key_id: key for key in left}
    if wanted is not None and wanted.key_id in by_id:
        return by_id[wanted.key_id]
    return max(left, key=lambda key: key.end)


def _stored_key(entry: Entry | None) -> str | None:
    return entry.current.key_id if entry is not None and entry.current is not None else None


def _plan_absent(current: State, desired: Desired, ours: t.Sequence[Key], before: Json, common: Json) -> Plan:
    steps = [Step("drop", f"remove secret {key.key_id}", {"key_id": key.key_id}) for key in ours]
    if current.entry is not None:
        steps.append(Step("erase", f"remove the secret from {desired.stored_in}"))
    return Plan(
        before,
        {"secrets": [], "stored_key_id": None},
        steps,
        {**common, "key_id": None, "end_date_time": None, "retired": sorted(key.key_id for key in ours)},
        f"{len(ours)} secret(s) removed" if steps else "no secret of this name",
    )


def _end(desired: Desired, limits: Limits, now: dt.datetime) -> tuple[dt.datetime, Blocked | None, str | None]:
    """(when a new secret ends, why it must not be made, what to warn of)."""
    end = desired.end or now + desired.lifetime
    if not limits.secrets_allowed:
        return end, secrets_forbidden(desired.display_name), None
    if limits.longest is not None and end - now > limits.longest:
        if desired.allow_shorter:
            note = f"the tenant allows client secrets {limits.longest.days} days; the lifetime was lowered to that"
            return now + limits.longest, None, note
        return end, lifetime_too_long(limits.longest.days), None
    return end, None, None


def secrets_forbidden(display_name: str) -> Blocked:
    return Blocked(
        "the tenant's app-management policy forbids client secrets",
        attempted=f"make the secret {display_name!r}",
        cure="ask for an exemption, for example: «Please assign this application an app management policy whose "
        "passwordAddition restriction is disabled. The fax server supports client secrets only; the application can "
        "reach the fax mailboxes alone, and its secret is renewed automatically.»",
        who="a Cloud Application Administrator or Security Administrator",
    )


def lifetime_too_long(longest_days: int | None) -> Blocked:
    limit = f"at most {longest_days} days" if longest_days is not None else "a shorter lifetime only"
    return Blocked(
        f"the tenant's app-management policy allows client secrets {limit}",
        attempted="make the secret",
        cure="set allow_shorter (mail2fax_secret_allow_shorter) to true, or a shorter lifetime",
    )


def _too_many(desired: Desired, alive: t.Sequence[Key], now: dt.datetime) -> Blocked:
    listed = ", ".join(f"{key.key_id} (until {iso(key.end)[:10]})" for key in alive)
    return Blocked(
        f"{len(alive)} live secrets already bear the name {desired.display_name!r}: {listed}",
        attempted="make a new secret",
        cure="remove the one that the fax server does not use, or choose another mail2fax_secret_name",
        who=_texts.APPLICATION_ADMIN,
        details={"secrets": [key.as_dict(now) for key in alive]},
    )


class Secret:
    """The resource behind ``entra_application_secret``. The store comes from outside, as a service of the task."""

    def __init__(self, tenant: Tenant, task: Task) -> None:
        params = task.params
        self._tenant = tenant
        self._check_mode = task.check_mode
        self._return_value = bool(params["return_value"])
        self._store: Store | None = task.services.get("store")
        self._minted: StoredSecret | None = None
        self._held = Entry()
        app_id = _names.guid(params["app_id"], "app_id")
        if app_id == _names.ZERO_GUID and not task.check_mode:
            raise InvalidInput("app_id is all zeros", cure="give the Application (client) ID")
        if params["state"] == "present" and self._store is None and not self._return_value and not task.check_mode:
            raise InvalidInput(
                "nobody would receive the new secret's value",
                cure="name a store; or set return_value together with no_log on the task",
            )
        now = tenant.clock.now()
        self._desired = Desired(
            app_id=app_id,
            display_name=_names.name(params["display_name"], "display_name", LONGEST_NAME),
            state=params["state"],
            lifetime=_days(params, "lifetime", 1),
            end=_future(params.get("end_date_time"), now),
            renew_before=_days(params, "renew_before", 0),
            overlap=_days(params, "overlap", 0),
            rotate=params["rotate"],
            allow_shorter=params["allow_shorter"],
            stored_in=self._store.describe() if self._store is not None else None,
        )
        lifetime = (self._desired.end - now) if self._desired.end else self._desired.lifetime
        if self._desired.rotate == "if_needed" and lifetime <= self._desired.renew_before:
            raise InvalidInput(
                f"a secret that lives {lifetime.days} days would be renewed at once: renew_before is "
                f"{self._desired.renew_before.days} days",
                cure="make renew_before shorter than the lifetime",
            )

    def read(self) -> State:
        entry = self._store.read() if self._store is not None else None
        self._held = entry or Entry()
        if self._desired.app_id == _names.ZERO_GUID:
            return State(exists=False, entry=entry)
        key = f"/applications(appId={_names.odata(self._desired.app_id)})"
        parts = self._tenant.graph.batch(
            [
                Call("GET", f"{key}?$select=id,appId,displayName,passwordCredentials", self._purpose("read")),
                Call("GET", "/policies/defaultAppManagementPolicy", "read the tenant's app-management policy"),
                Call("GET", f"{key}/appManagementPolicies", "read the application's app-management policy"),
            ],
            purpose=self._purpose("read"),
        )
        document = parts[0].found()
        if document is None and self._desired.state == "absent":
            return State(exists=False, entry=entry)
        if document is None:
            raise NotFound(
                f"there is no application {self._desired.app_id} in this tenant",
                attempted=self._purpose("read"),
                cure="check app_id; an application in the recycle bin has to be restored first",
            )
        tenant_id = self._tenant.sign_in.token(self._tenant.cloud.graph_audience).tenant_id
        self._check_owner(entry, tenant_id)
        keys = tuple(_key(item) for item in document.get("passwordCredentials") or [])
        return State(True, keys, entry, _limits(parts[1].body, parts[2].body), tenant_id)

    def plan(self, current: State) -> Plan:
        self._state = current
        return plan(current, self._desired, self._tenant.clock.now())

    def perform(self, step: Step) -> None:
        if step.name == "drop":
            self._remove_key(step.arguments["key_id"])
            self._entry_without(step.arguments["key_id"])
        elif step.name == "forget":
            self._write(replace(self._held, following=None, intent=None))
        elif step.name == "commit":
            self._prove_and_commit(self._read_back())
        elif step.name == "erase":
            self._require_store().remove()
        else:
            self._mint(step)

    def settle(self, plan: Plan) -> Json:
        if self._minted is None:
            return {}
        minted = self._minted
        values: Json = {
            "key_id": minted.key_id,
            "start_date_time": minted.start_date_time,
            "end_date_time": minted.end_date_time,
        }
        if self._store is None:
            self._wait_for(minted.key_id)
            values["secret_text"] = minted.value
        return values

    def _wait_for(self, key_id: str) -> None:
        if not self._tenant.patiently(lambda: any(key.key_id == key_id for key in self._list_keys())):
            raise ServiceError(
                f"Graph made the secret {key_id} and does not list it",
                attempted=self._purpose("read back"),
                cure="two tools may have made secrets of this application at once; run again",
            )

    # --- minting -------------------------------------------------------------------------------------------

    def _mint(self, step: Step) -> None:
        store = self._store
        known = [key.key_id for key in self._state.keys]
        if store is not None:
            store.probe()
            self._write(replace(self._held, following=None, intent=tuple(known)))
        minted = self._add_password(step.arguments["end"], known)
        if store is None:
            self._minted = minted
            return
        try:
            self._write(replace(self._held, following=minted))
            following = self._read_back()
        except M365Error as exc:
            self._undo(minted.key_id, exc)
            raise
        self._prove_and_commit(following)

    def _add_password(self, end: str, known: t.Sequence[str]) -> StoredSecret:
        purpose = self._purpose("make")
        body = {
            "passwordCredential": {"displayName": self._desired.display_name, "endDateTime": end},
        }
        path = f"/applications(appId={_names.odata(self._desired.app_id)})/addPassword"
        try:
            answer = self._tenant.graph.post(path, body, purpose, patient=True)
        except AnswerLost:
            # It may have been made, and nobody will ever know its value: drop it, then the caller plans anew.
            self._drop_unknown(known)
            raise
        except ServiceError as exc:
            if exc.code == _texts.GRAPH_SECRETS_FORBIDDEN:
                raise secrets_forbidden(self._desired.display_name) from None
            if exc.code == _texts.GRAPH_LIFETIME_TOO_LONG:
                raise lifetime_too_long(None) from None
            raise
        return StoredSecret(
            tenant_id=self._state.tenant_id,
            client_id=self._desired.app_id,
            key_id=str(answer["keyId"]).lower(),
            display_name=self._desired.display_name,
            start_date_time=iso(instant(str(answer.get("startDateTime") or iso(self._tenant.clock.now())))),
            end_date_time=iso(instant(str(answer.get("endDateTime") or end))),
            value=str(answer["secretText"]),
        )

    def _drop_unknown(self, known: t.Sequence[str]) -> None:
        born: list[Key] = []

        def shows() -> bool:
            named = [key for key in self._list_keys() if key.display_name == self._desired.display_name]
            born[:] = [key for key in named if key.key_id not in known]
            return bool(born)

        # If the request never arrived nothing will ever show: replication of one key takes seconds, not minutes.
        self._tenant.patiently(shows, budget_s=min(self._tenant.patience_s, LOST_KEY_SHOWS_WITHIN_S))
        for key in born:
            self._remove_key(key.key_id)

    def _prove_and_commit(self, following: StoredSecret) -> None:
        """Sign in with the value as the store gives it; only then is it the one that the fax server reads."""
        try:
            self._sign_in_with(following)
        except SignInError as exc:
            self._undo(following.key_id, exc)
            raise
        committed = self._held.committed()
        if committed.previous is None:
            committed = replace(committed, previous=self._unknown_predecessor(following.key_id))
        self._write(committed)
        self._minted = following

    def _unknown_predecessor(self, new_key_id: str) -> StoredSecret | None:
        """A secret of our name that somebody made by hand: it gets its overlap too, then it is retired."""
        others = [
            key
            for key in self._state.keys
            if key.display_name == self._desired.display_name and key.key_id != new_key_id
        ]
        if not others:
            return None
        key = max(others, key=lambda item: item.end)
        return StoredSecret(
            self._state.tenant_id,
            self._desired.app_id,
            key.key_id,
            key.display_name,
            iso(key.start),
            iso(key.end),
        )

    def _sign_in_with(self, secret: StoredSecret) -> None:
        """With patience: a newborn secret fails for seconds. Every try is a new MSAL client."""
        tenant = self._tenant
        sign_in = SecretSignIn(tenant.http, tenant.cloud, secret.tenant_id, secret.client_id, secret.value or "")
        refusal: list[SignInError] = []

        def works() -> bool:
            try:
                sign_in.token(tenant.cloud.exchange_audience, fresh=True)
            except SignInError as exc:
                if exc.code not in _texts.NEWBORN_CREDENTIAL:
                    raise
                refusal[:] = [exc]
                return False
            return True

        if not tenant.patiently(works):
            raise refusal[0]

    def _undo(self, key_id: str, reason: M365Error) -> None:
        """Remove a key that did not make it, and what the store says of it. What remains is said, never lost."""
        try:
            self._remove_key(key_id)
        except M365Error:
            reason.cure = (
                f"{reason.cure + '; ' if reason.cure else ''}the new secret {key_id} of application "
                f"{self._desired.app_id} could not be removed either: run again when this is mended (the next run "
                "removes it), or remove it by hand"
            )
            return
        try:
            self._write(replace(self._held, following=None, intent=None))
        except M365Error:
            reason.details = {**(reason.details or {}), "store": "still notes the interrupted renewal"}

    # --- keys and store ------------------------------------------------------------------------------------

    def _list_keys(self) -> list[Key]:
        path = f"/applications(appId={_names.odata(self._desired.app_id)})?$select=id,passwordCredentials"
        document = self._tenant.graph.get(path, self._purpose("list"), patient=True)
        return [_key(item) for item in document.get("passwordCredentials") or []]

    def _remove_key(self, key_id: str) -> None:
        path = f"/applications(appId={_names.odata(self._desired.app_id)})/removePassword"
        purpose = f"remove the secret {key_id}"
        for last in (False, True):
            try:
                self._tenant.graph.post(path, {"keyId": key_id}, purpose)
            except AnswerLost:
                if last:
                    raise
            except ServiceError as exc:
                if not _texts.says(exc.message, _texts.GRAPH_NO_SUCH_PASSWORD):
                    raise
                return
            else:
                return

    def _entry_without(self, key_id: str) -> None:
        if self._store is None:
            return
        entry = self._held
        if entry.previous is not None and entry.previous.key_id == key_id:
            self._write(replace(entry, previous=None))

    def _write(self, entry: Entry) -> None:
        self._require_store().write(entry)
        self._held = entry

    def _read_back(self) -> StoredSecret:
        """The new secret as the store gives it; what was sent there does not count."""
        store = self._require_store()
        entry = store.read()
        if entry != self._held or entry is None or entry.following is None or not entry.following.value:
            raise Blocked(
                f"{store.describe()} gives back something else than was written",
                attempted="read the new secret back",
                cure="look into the store; the new secret was removed again",
            )
        return entry.following

    def _require_store(self) -> Store:
        if self._store is None:
            raise InvalidInput("a store is needed for this", cure="name a store")
        return self._store

    def _check_owner(self, entry: Entry | None, tenant_id: str) -> None:
        current = entry.current if entry is not None else None
        if current is not None and tenant_id and current.tenant_id.lower() != tenant_id.lower():
            raise Blocked(
                f"{self._desired.stored_in} holds the secret of another tenant ({current.tenant_id})",
                attempted=self._purpose("read"),
                cure="give every tenant a store path of its own",
            )

    def _purpose(self, verb: str) -> str:
        return f"{verb} the secret {self._desired.display_name!r} of application {self._desired.app_id}"


def _key(item: t.Mapping[str, t.Any]) -> Key:
    return Key(
        str(item.get("keyId") or "").lower(),
        str(item.get("displayName") or ""),
        instant(str(item.get("startDateTime") or "1970-01-01T00:00:00Z")),
        instant(str(item.get("endDateTime") or "9999-12-31T00:00:00Z")),
    )


def _limits(default: t.Any, assigned: t.Any) -> Limits:
    """From the application's own policy where there is one, else the tenant's default; unreadable stays open."""
    document: t.Any = default if isinstance(default, dict) and "error" not in default else None
    own = assigned.get("value") if isinstance(assigned, dict) else None
    restrictions: t.Any = None
    if own:
        restrictions = (own[0] or {}).get("restrictions")
    elif document is not None and document.get("isEnabled"):
        restrictions = document.get("applicationRestrictions")
    if restrictions is None:
        return Limits(readable=document is not None)
    allowed, longest = True, None
    for rule in (restrictions or {}).get("passwordCredentials") or []:
        if (rule.get("state") or "enabled") != "enabled":
            continue
        if rule.get("restrictionType") == "passwordAddition":
            allowed = False
        elif rule.get("restrictionType") == "passwordLifetime" and rule.get("maxLifetime"):
            longest = duration(str(rule["maxLifetime"]))
    return Limits(True, allowed, longest)


def duration(text: str) -> dt.timedelta | None:
    """An ISO 8601 duration as app-management policies write it (P180D, P6M, P1Y, P4DT12H); None if unreadable."""
    import re

    match = re.fullmatch(r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?", text)
    if match is None or not any(match.groups()):
        return None
    years, months, weeks, days, hours, minutes, seconds = (int(value or 0) for value in match.groups())
    return dt.timedelta(
        days=years * 365 + months * 30 + weeks * 7 + days, hours=hours, minutes=minutes, seconds=seconds
    )


def _days(params: t.Mapping[str, t.Any], option: str, least: int) -> dt.timedelta:
    value = int(params[option])
    if not least <= value <= 36500:
        raise InvalidInput(f"{option} is {value}", cure=f"give a number of days, {least} or more")
    return dt.timedelta(days=value)


def _future(value: str | None, now: dt.datetime) -> dt.datetime | None:
    if not value:
        return None
    try:
        end = instant(value)
    except ValueError:
        raise InvalidInput(
            f"end_date_time is {value!r}, which is not an instant", cure="write it as 2027-11-30T00:00:00Z"
        ) from None
    if end <= now:
        raise InvalidInput(f"end_date_time {iso(end)} lies in the past", cure="give an instant in the future")
    return end


STORE_OPTIONS: dict[str, dict[str, t.Any]] = {
    "backend": {"type": "str", "required": True, "choices": ["vault_file"]},
    "path": {"type": "path"},
    "vault_id": {"type": "str"},
    "password_file": {"type": "path", "no_log": False},
}
SPEC = ArgumentSpec(
    {
        "app_id": {"type": "str", "required": True},
        "display_name": {"type": "str", "required": True},
        "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
        "lifetime": {"type": "int", "default": 365},
        "end_date_time": {"type": "str"},
        "renew_before": {"type": "int", "default": 30},
        "overlap": {"type": "int", "default": 7},
        "rotate": {"type": "str", "default": "if_needed", "choices": ["if_needed", "always", "never"]},
        "allow_shorter": {"type": "bool", "default": False},
        "store": {"type": "dict", "options": STORE_OPTIONS},
        "return_value": {"type": "bool", "default": False},
    },
    mutually_exclusive=[("store", "return_value")],
)
DOOR = Door(Secret, SPEC)
