# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What a removal may take back, decided from the record and from what the removal has found so far.

What lets in goes first and what limits goes last. An access policy, and its group, go no earlier than every token is
dead that was issued while the grant was in force; roles, rights and their scope limit no token, and go in one run.
Whatever is not proven stays.
"""

from __future__ import annotations

import datetime as dt
import re
import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils import _added, _permissions, _steps
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping import token_life
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.model import MODELS
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import ours, token_lives
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.ours import known_id
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.times import instant, iso, readable_time

Json = dict[str, t.Any]
_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
KEPT_DELETED = dt.timedelta(days=30)


def take_back(record: Json, found: Json) -> Json:
    """Pure. ``record`` is the last run's document (today's shape), empty where there is none.

    ``found`` has ``application_id`` and ``permissions`` (the inventory's and the profile's), ``chosen`` (the profile's
    steps of those that only some have; None: those of 0.1.0), ``token_grace_minutes`` (None: not said), ``now`` (ISO
    8601, where the first look does not tell the services' time), and the results so far: ``tenant`` (the first look),
    ``consent`` and ``application``. Called again after each of them, it decides what comes next:

    ``app_id`` ("" where nobody knows), ``exists``, ``stays`` (the application is others' and stays), ``known`` (the
    record tells what was added), ``blocked`` (why nothing may be removed, in words, or ""); then by step ``consent``
    ``{permissions, exclusive}``, ``application`` ``{state: absent, released or "", permissions, service_principal}``,
    ``ews`` ``{goes, on_absent}``, ``policy`` ``{goes, not_before, revoked}``, ``roles`` ``{goes, own_scopes,
    exclusive}``, ``rights`` ``{goes, candidates, former_sids, own, exclusive}``, ``protocols`` ``{restore}``,
    ``pointer`` ``{goes}``, ``group`` ``{goes}``, ``members`` (by the group's Guid), ``settings`` (of groups);
    ``steps``, those that this removal has of the ones that only some profiles have; and ``kept``, sentences on what
    stays.
    """
    return _Removal(record, found).decided()


class _Removal:
    def __init__(self, record: Json, found: Json) -> None:
        self._record = record
        # A migration notes what it is going to add before it does.
        self._migration: Json = record.get("migration") or {}
        self._entries: list[Json] = list(record.get("ours") or [])
        if self._migration.get("added"):
            self._entries = ours.merged(self._entries, self._migration["added"])
        self._known = record.get("ours") is not None
        self._found = found
        self._tenant: Json = found.get("tenant") or {}
        self._application: Json = self._tenant.get("application") or {}
        self._said_id = known_id(found.get("application_id"))
        self._recorded_id = known_id((record.get("ids") or {}).get("application_id"))
        self._app_id = known_id(self._application.get("app_id")) or self._said_id or self._recorded_id or ""
        self._deleted: Json = self._application.get("deleted") or {}
        self._did = self._those_of_before()
        self._state = str(self._application.get("state") or "")
        self._exists = self._state == "present"
        self._stays = self._is_others()

    def decided(self) -> Json:
        stays = self._stays
        consent = _added.by_resource(self._of_it("consent"))
        revoked = consent if stays and self._known else self._found.get("permissions") or []
        permissions = _added.by_resource(self._of_it("permission")) if stays else []
        principal = stays and bool(self._of_it("service_principal")) and self._foreign_left() == []
        state = "absent" if not stays else "released" if permissions or principal else ""
        return {
            "app_id": self._app_id,
            "exists": self._exists,
            "stays": stays,
            "known": self._known,
            "blocked": self._blocked(),
            "consent": {"permissions": revoked, "exclusive": not stays},
            "application": {
                "state": state if self._app_id else "",
                "permissions": permissions,
                "service_principal": principal,
            },
            "ews": self._ews(),
            "policy": {
                "goes": self._policy_goes(),
                "not_before": self._not_before() if self._has("access_policy", "policy") else None,
                "revoked": self._revoked(),
            },
            "roles": self._roles(),
            "rights": self._rights(),
            "protocols": {"restore": self._switches()},
            "pointer": {"goes": self._goes("service_principal", "pointer")},
            "group": {"goes": self._has("scope_group", "group", "member")},
            "steps": sorted(self._did),
            "members": self._members(),
            "settings": [entry for entry in self._settings() if entry["of"] != self._app_id],
            "kept": self._kept(),
        }

    def _of_it(self, kind: str) -> list[Json]:
        return [entry for entry in self._entries if entry["kind"] == kind and entry["of"] == self._app_id]

    # --- what there is to take back --------------------------------------------------------------------------

    def _those_of_before(self) -> set[str]:
        """The steps of the profile, and those that earlier runs did, whatever the inventory calls for today."""
        chosen = self._found.get("chosen")
        done = {str(row.get("step")) for row in self._record.get("steps") or [] if row.get("outcome") != "skipped"}
        keys = {*(_steps.OF_THE_FIRST if chosen is None else chosen), *done, *self._recorded_steps()}
        return {key for key in keys if key in _steps.STEPS and _steps.STEPS[key].chosen}

    def _recorded_steps(self) -> set[str]:
        """By what the record says of the application, whatever its last run did: one that was refused did nothing."""
        profile: Json = self._record.get("profile") or {}
        models = {str(one.get("scoping")) for one in profile.get("accesses") or []}
        if self._migration.get("phase") != "done":
            models |= {str(model) for model in ((self._migration.get("to") or {}).get("scoping") or {}).values()}
        # Whoever noted no models knew of one.
        keys = set(_steps.OF_THE_FIRST if profile.get("name") and not models else ())
        for model in (MODELS[name] for name in models if name in MODELS):
            keys |= {*model.makes, *(["admin_consent"] if model.needs_consent else [])}
        granted = {"admin_consent"} if any(entry["kind"] in ("consent", "policy") for entry in self._entries) else set()
        return keys | granted

    def _has(self, step: str, *kinds: str) -> bool:
        """Whether a run may have done a step: the profile or the record names it, or what it added."""
        return step in self._did or any(entry["kind"] in kinds for entry in self._entries)

    def _goes(self, step: str, kind: str) -> bool:
        """Whether what hangs on the application goes: of one that stays, only what a run is known to have added."""
        if self._stays and self._known:
            return bool(self._app_id and self._of_it(kind))
        return bool(self._app_id) and self._has(step, kind)

    def _roles(self) -> Json:
        scopes = [str(entry["id"]) for entry in self._of_it("scope")]
        goes = self._goes("application_role", "assignment") or bool(self._app_id and scopes)
        # Of an application that stays, what no run noted is others'. Else a run that was killed may have made it.
        told = bool(scopes) or (self._stays and self._known)
        return {"goes": goes, "own_scopes": sorted(scopes) if told else None, "exclusive": not self._stays}

    def _rights(self) -> Json:
        given = [entry for entry in self._entries if entry["kind"] == "right"]
        return {
            "goes": bool(self._app_id)
            and (bool(given) or (self._has("mailbox_permission", "right") and not (self._stays and self._known))),
            "candidates": sorted({str(entry["of"]) for entry in given if entry["of"]}),
            "former_sids": sorted({str(entry["sid"]) for entry in given if entry.get("sid")}),
            # Of an application that stays, what it had before stays as well.
            "own": sorted(
                ({"mailbox": str(entry["of"]), "right": str(entry["id"])} for entry in given if entry["of"]),
                key=lambda one: (one["mailbox"], one["right"]),
            )
            if self._stays and self._known
            else None,
            "exclusive": not self._stays,
        }

    def _switches(self) -> list[Json]:
        """Switches of mailboxes go back to what they were before the first run changed them."""
        return [
            {"mailbox": entry["of"], "setting": entry["id"], "before": entry.get("before")}
            for entry in self._entries
            if entry["kind"] == "switch"
        ]

    # --- whose it is, and whether it may be touched ----------------------------------------------------------

    def _is_others(self) -> bool:
        """Whether others made the application, so that it stays: adopted, now or in an earlier run."""
        if self._said_id and self._said_id == self._app_id:
            return True
        if self._app_id != self._recorded_id:
            return False
        if any(entry["kind"] == "application" and entry["id"] == self._app_id for entry in self._entries):
            return False
        # 0.1.0 did not note which applications it made. It gave each a unique name, which the portal cannot do, and
        # added permissions or a service principal, one by one, to those of others only.
        added = self._of_it("permission") + self._of_it("service_principal")
        return bool(added) or not (self._record.get("application") or {}).get("unique_name")

    def _revoked(self) -> bool:
        """Whether a run of ours took the application's grants back, this one or an earlier one."""
        consent: Json = self._found.get("consent") or {}
        return bool(consent and not consent.get("failed") and not consent.get("skipped")) or self._revoked_before()

    def _revoked_before(self) -> bool:
        """Whether a run of ours took the application's grants back before it lay in the recycle bin."""
        if self._state == "deleted" and self._deleted.get("credentials") == 0:
            # A removal takes the secrets before it deletes the application; a person deletes it as it is. One that was
            # killed right then is in no record.
            return True
        if self._record.get("removing") or self._record.get("state") in ("removing", "removed"):
            return True
        steps = {step.get("step"): step.get("outcome") for step in self._record.get("steps") or []}
        return self._record.get("kind") == "decommission" and steps.get("admin_consent") in ("ok", "changed")

    def _blocked(self) -> str:
        if not self._tenant or self._tenant.get("failed"):
            return ""
        if self._state not in ("present", "deleted", "absent"):
            return (
                "Whether the application exists could not be told, so nothing that limits it may go. What to do: give "
                "the operator the right to read applications, and run again."
            )
        if self._state == "deleted" and not self._revoked_before():
            until = self._deleted_at()
            within = f" (until {readable_time(iso(until + KEPT_DELETED), date_only=True)})" if until else ""
            return (
                f"The application {self._app_id} lies in the recycle bin, and no run of this collection revoked its "
                f"permissions: anybody who restores it there{within} gets them back. Nothing was touched. What to do: "
                "restore it and run this again, or delete it for good (App registrations, Deleted applications)."
            )
        return ""

    def _deleted_at(self) -> dt.datetime | None:
        return instant(self._deleted.get("deleted_date_time"))

    # --- until when the limits stay --------------------------------------------------------------------------

    def _not_before(self) -> str | None:
        """When what limited a grant may go; None: at once."""
        consent: Json = self._found.get("consent") or {}
        grace = self._found.get("token_grace_minutes")
        told = [instant(consent.get("tokens_until")), self._recorded_end(grace), self._seen_to_live(consent, grace)]
        ends = [moment for moment in told if moment is not None]
        if told[0] is None and (not ends or self._was_restored()) and not self._never_granted():
            since = self._deleted_at() or instant(self._tenant.get("now") or self._found.get("now"))
            if since is not None:
                ends.append(self._until(since, self._resources(), grace))
        # Of what a provisioning revoked beside what it declared.
        ends += [moment for moment in (self._before_that(grace),) if moment is not None]
        now = instant(self._tenant.get("now"))
        # Judged by the services' clock, which a task that goes by way of a Windows host may not have seen.
        return iso(max(ends)) if ends and (now is None or max(ends) > now) else None

    def _until(self, since: dt.datetime, resources: t.Sequence[str], grace: int | None) -> dt.datetime:
        """When tokens for these resources are dead that were issued until then, by all that is known of their lives."""
        told = self._tenant.get("token_lifetimes")
        policies = None
        if told is not None:
            policies = [
                token_life.LifetimePolicy(
                    dt.timedelta(minutes=int(row["minutes"])), str(row.get("name") or ""), row.get("resource")
                )
                for row in told
            ]
        lives = token_lives.by_resource(self._record.get("token_lives"))
        return token_life.tokens_until(since, resources, grace, policies, lives=lives)[0]

    def _seen_to_live(self, consent: Json, grace: int | None) -> dt.datetime | None:
        """What the life of tokens that earlier proofs got adds to what the revocation told."""
        since, lives = instant(consent.get("revoked_at")), self._record.get("token_lives")
        if since is None or not lives or grace is not None:
            return None
        return self._until(since, [_permissions.WELL_KNOWN.get(name, name) for name in lives], grace)

    def _before_that(self, grace: int | None) -> dt.datetime | None:
        """When the tokens are dead that outlived what an earlier run revoked, whatever it was for."""
        until, since = instant(self._record.get("tokens_until")), instant(self._record.get("tokens_since"))
        noted = instant(self._migration.get("tokens_until"))
        if noted is not None and grace is None:
            until = max(until or noted, noted)
        if until is None or grace is None or since is None:
            return until
        return self._until(since, (), grace)

    def _was_restored(self) -> bool:
        """Whether somebody brought back what a removal had deleted: since then it may have held anything."""
        return bool(self._record.get("removing")) and self._exists and not self._stays

    def _recorded_end(self, grace: int | None) -> dt.datetime | None:
        """When the wait that an earlier run began is over. What is said of the tokens' life now alone decides."""
        removing: Json = self._record.get("removing") or {}
        if not removing and self._record.get("kind") == "decommission":
            # A removal that stopped after the revocation.
            return self._before_that(grace)
        # The services' clock, where it tells; the application went after its grants.
        since = self._deleted_at() or instant(removing.get("since"))
        if not removing or grace is None or since is None:
            return instant(removing.get("until"))
        return token_life.tokens_until(since, (), grace)[0] if grace else instant(self._tenant.get("now"))

    def _never_granted(self) -> bool:
        """Whether no token can be alive that opens a mailbox: proven by the record, and by what was found."""
        if self._state == "absent" and not self._record:
            # Neither an application nor a word of one.
            return True
        if self._record.get("state") == "removed":
            return True
        consented = any(entry["kind"] == "consent" for entry in self._entries)
        steps = {step.get("step"): step.get("outcome") for step in self._record.get("steps") or []}
        reached = steps.get("admin_consent", "skipped") != "skipped"
        return self._known and not self._stays and not consented and not reached

    def _resources(self) -> list[str]:
        """The application ids of the resources on which a limited grant was, or may have been."""
        consent: Json = self._found.get("consent") or {}
        told = consent and not consent.get("failed") and not consent.get("skipped")
        nothing_left = told and not any(item.get("application") for item in consent.get("revoked") or ())
        unnoted = self._state == "deleted" and bool(self._record) and self._record.get("kind") != "decommission"
        if nothing_left or unnoted:
            # Somebody took the grants back before, and perhaps others than those that are known.
            return [token_life.EXCHANGE, token_life.GRAPH]
        names = {entry["resource"] for entry in self._of_it("consent") if entry["type"] == "application"} or {
            str(item["resource"]) for item in self._found.get("permissions") or [] if item.get("application")
        }
        return [_permissions.WELL_KNOWN.get(name, name) for name in names]

    # --- what stays ------------------------------------------------------------------------------------------

    def _foreign_left(self) -> list[Json] | None:
        """Grants that nobody of ours gave; None where nobody has looked."""
        consent: Json = self._found.get("consent") or {}
        foreign = consent.get("foreign")
        return (
            None
            if foreign is None
            else [entry for entry in foreign if entry.get("application") or entry.get("delegated")]
        )

    def _grants_left(self) -> bool:
        return self._stays and any(entry.get("application") for entry in self._foreign_left() or [])

    def _policy_was_there(self) -> bool:
        group = known_id((self._record.get("ids") or {}).get("group"))
        return self._stays and self._known and group not in [known_id(entry["id"]) for entry in self._of_it("policy")]

    def _policy_goes(self) -> bool:
        there = self._has("access_policy", "policy")
        return bool(self._app_id) and there and not self._grants_left() and not self._policy_was_there()

    def _members(self) -> dict[str, list[str]]:
        members: dict[str, list[str]] = {}
        for entry in self._entries:
            if entry["kind"] == "member":
                members.setdefault(entry["of"], []).append(entry["id"])
        return members

    def _settings(self) -> list[Json]:
        return [entry for entry in self._entries if entry["kind"] == "setting"]

    def _ews(self) -> Json:
        """EWS goes back to what it was, unless others have come to rely on the list meanwhile."""
        then: Json = self._record.get("ews_found") or {}
        now: Json = self._tenant.get("ews") or {}
        listed_then, listed_now = _ids(then.get("EwsAllowedAppIDs")), _ids(now.get("EwsAllowedAppIDs"))
        on_absent = "auto"
        if "EwsEnabled" in then and listed_then - {self._app_id} == listed_now - {self._app_id}:
            on_absent = {None: "unset", True: "enabled", False: "disabled"}[then["EwsEnabled"]]
        return {"goes": bool(self._app_id) and self._app_id not in listed_then, "on_absent": on_absent}

    def _kept(self) -> list[str]:
        kept: list[str] = []
        if self._stays and self._exists:
            application: Json = (self._found.get("application") or {}).get("application") or {}
            asks = application.get("permissions", ["not known"])
            kept.append(
                "The application was made by hand and adopted, so it stays."
                + (
                    ' So do the API permissions that it asks for: anybody who presses "Grant admin consent" for it '
                    "grants them again, with no policy to limit them. Take them off the application where it has no "
                    "other use for them."
                    if asks
                    else ""
                )
            )
            if not self._known:
                kept.append(
                    "No record tells what the runs added to the adopted application, so its API permissions and its "
                    "service principal stay, and permissions that it may have held before were revoked."
                )
        if not self._known and self._exists and "mailbox_protocols" in self._did:
            kept.append(
                "No record tells how IMAP, POP and SMTP AUTH of the mailboxes were before, so they stay as they are."
            )
        if not self._has("access_policy", "policy"):
            pass
        elif self._grants_left():
            kept.append("The access policy stays, because it limits permissions that the application keeps.")
        elif self._exists and self._policy_was_there():
            kept.append("No run made an access policy for the application, so one that is there stays.")
        kept += [
            f"{entry.get('what') or entry['of']}: {entry['id']} was {entry.get('before')!r} before a run changed it, "
            "and stays as it is now."
            for entry in self._settings()
            if self._stays and entry["of"] == self._app_id
        ]
        return kept


def _ids(value: t.Any) -> set[str]:
    return set(_GUID.findall(str(value or "").lower()))
