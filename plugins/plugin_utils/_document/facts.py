# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What a run found out about the tenant."""

from __future__ import annotations

import datetime as dt
import typing as t

from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.ours import known_id
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.run import Run
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.times import instant, iso, readable_time
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.words import some, spoken

Json = dict[str, t.Any]


def facts(run: Run) -> Json:
    """What was made, by its ids and names, and the secret without its value."""
    application, scope = run.good("application"), run.good("scope_group").get("group") or {}
    body = application.get("application") or {}
    before = run.previous.get("ids") or {}
    known = run.previous.get("application") or {}
    group = run.previous.get("group") or {}
    sharing = run.good("scope_group").get("policies_of_others", group.get("policies_of_others", []))
    return {
        "ids": {
            "application_id": known_id(application.get("app_id") or run.context.get("app_id"))
            or before.get("application_id"),
            "application_object_id": known_id(body.get("object_id")) or before.get("application_object_id"),
            "service_principal_id": known_id(application.get("service_principal_id"))
            or before.get("service_principal_id"),
            "group": known_id(scope.get("guid")) or before.get("group"),
        },
        "application": {
            "display_name": body.get("display_name") or known.get("display_name") or run.names.get("application"),
            "unique_name": body.get("unique_name") or known.get("unique_name"),
        },
        "made_by": body.get("created_by_app_id") or run.previous.get("made_by"),
        "group": {
            "name": scope.get("name") or group.get("name") or run.names.get("group"),
            "alias": scope.get("alias") or group.get("alias") or run.names.get("group_alias"),
            "address": scope.get("address") or group.get("address"),
            # Of applications that hang on the same group.
            "policies_of_others": sharing,
        },
        "secret": _secret(run),
    }


def _secret(run: Run) -> Json | None:
    secret = run.good("client_secret")
    if not secret or run.kind == "decommission":
        return run.previous.get("secret")
    shown: Json = {
        "display_name": secret.get("display_name") or run.names.get("secret"),
        "key_id": secret.get("key_id"),
        "end_date_time": secret.get("end_date_time"),
        "renew_from": _days_before(secret.get("end_date_time"), int(run.context.get("renew_before") or 0)),
        "stored_in": secret.get("stored_in"),
    }
    until = secret.get("previous_until")
    return {**shown, "previous_until": until} if until else shown


def tenant(run: Run) -> Json:
    """``id``, ``domain`` and ``name``."""
    found = (run.meant() and run.of("preflight").get("tenant")) or {}
    before = run.previous.get("tenant") or {}
    domains = list(found.get("domains") or [])
    told = found.get("default_domain") or (domains[0] if domains else None)
    known = before.get("domain") if before.get("id") == found.get("id") else None
    return {
        "id": found.get("id") or before.get("id"),
        # A run does not always read the tenant's domains: it stays called as it was, while that is one of them.
        "domain": known if known and (not domains or known in domains) else told or before.get("domain"),
        "name": found.get("name") or before.get("name"),
    }


def mailboxes(run: Run) -> list[Json]:
    """A row for each mailbox: what is expected, and what was seen."""
    rows: dict[str, Json] = {}
    if run.kind == "rotate":
        # Their verdicts are those of the run that asked for them.
        rows = {str(entry["mailbox"]).lower(): dict(entry) for entry in run.previous.get("mailboxes") or []}

    def row(address: t.Any, expected: str) -> Json:
        return rows.setdefault(
            str(address).lower(),
            {
                "mailbox": str(address),
                "expected": expected,
                "verdict": None,
                "verdict_at": None,
                "probe": None,
                "probe_at": None,
                "reason": None,
                "as_expected": None,
                "proofs": [],
            },
        )

    # A mailbox opens by its primary address only, whatever alias it was given by.
    looked_at = run.of("preflight").get("mailboxes") or []
    primary = {str(item.get("address")).lower(): item.get("primary") for item in looked_at}
    fax = run.context.get("mailboxes") or []
    # A list of options may be given as one string with commas; the modules take it so.
    for address in [] if rows else fax.split(",") if isinstance(fax, str) else fax:
        row(primary.get(str(address).strip().lower()) or str(address).strip(), "granted")
    for item in run.of("access_verdict").get("verdicts") or []:
        entry = row(item["mailbox"], _expected(item.get("expected")))
        entry["verdict"], entry["verdict_at"] = item.get("verdict"), item.get("at")
        entry["reason"] = item.get("reason") or entry["reason"]
        entry["as_expected"] = item.get("as_expected") is not False
    for address, probes in _by_mailbox(run.of("mailbox_probe").get("probes") or []).items():
        entry = row(address, _expected(probes[0].get("expected")))
        grave = max(probes, key=lambda probe: _gravity(entry, probe))
        entry["probe"], entry["probe_at"] = grave.get("verdict"), grave.get("at")
        entry["reason"] = grave.get("reason") or entry["reason"]
        entry["as_expected"] = all(probe.get("as_expected") is not False for probe in probes) and _agreed(entry)
        entry["proofs"] = [{key: probe.get(key) for key in _PROOF} for probe in probes]
    # The fax mailboxes first, each kind in the order of the run.
    return sorted(rows.values(), key=lambda entry: bool(entry["expected"] != "granted"))


def made_by(run: Run, state: str) -> str | None:
    """The application that registered ours, as Entra notes it: the operator of that run, not always of this one."""
    before = run.previous.get("made_by")
    if state == "removed":
        return None
    if not run.makes or run.mode != "apply":
        return before
    creator = known_id((run.good("application").get("application") or {}).get("created_by_app_id"))
    operator = known_id((run.good("preflight").get("operator") or {}).get("app_id"))
    return creator if creator and creator == operator else before


def accepted(run: Run, state: str) -> Json | None:
    """What could sign in as the application when it was taken over: ``of`` (its id) and ``credentials`` by kind and id.

    None where no run has looked yet, as 0.1.0 did not.
    """
    before = run.previous.get("accepted")
    if state == "removed":
        return None
    found = run.good("application")
    app_id = known_id(found.get("app_id"))
    if not run.makes or run.mode != "apply" or app_id is None:
        return before
    kept = before["credentials"] if before and before["of"] == app_id else []
    told = found.get("accepted") or []
    new = [entry for entry in told if entry not in kept]
    return {"of": app_id, "credentials": [*kept, *new]}


def unprotected(run: Run) -> str:
    """Whether the application may hold its grant while nothing limits it: ``none``, or what is wrong or unknown."""
    reachable = [
        str(item["mailbox"])
        for item in run.of("access_verdict").get("verdicts") or []
        if _expected(item.get("expected")) == "denied" and str(item.get("verdict")).lower() == "granted"
    ]
    if reachable:
        return f"the application can reach {some(reachable)}"
    if run.kind == "decommission" and run.good("admin_consent"):
        return "none"
    if run.kind == "decommission" and run.previous.get("state") == "removed":
        # There is nothing that could have come to hold a grant since: it was gone before, and stays so.
        return str(run.previous.get("unprotected") or "none")
    if run.kind in ("rotate", "reach"):
        what = "a rotation" if run.kind == "rotate" else "a report of reach"
        return str(run.previous.get("unprotected") or f"not known: {what} does not look at the access policy")
    limits = [step for step in run.limits if not run.good(step)]
    if facts(run)["ids"]["application_id"] is None:
        return "none"
    if limits:
        return f"not known: this run did not get as far as the {' and the '.join(map(spoken, limits))}"
    if run.accepted_words:
        return f"nothing limits the application, which was accepted with the words: {run.accepted_words}"
    return "none"


def warnings(run: Run) -> list[str]:
    """Sentences for people, each once."""
    found: list[str] = []
    profile = run.context["profile"]
    if profile.get("sunset"):
        found.append(f"{profile['sunset']['what']}: {str(profile['sunset']['warning']).strip()}")
    if run.makes and profile["status"] == "unverified":
        found.append("The profile is unverified: nobody has proven yet that the vendor's product works so.")
    waited = str((run.previous.get("removing") or {}).get("until") or "")
    if run.kind == "decommission" and iso(run.at) < waited and run.good("access_policy").get("changed"):
        found.append(
            f"What limited the application went before {readable_time(waited)}, until when tokens that were issued "
            "before may be alive: mail2fax_token_grace_minutes says so."
        )
    if run.kind == "provision" and (unused := run.context.get("unused")):
        found.append(
            f"{some(sorted(unused), 20)} {'is' if len(unused) == 1 else 'are'} not used: the profile's scoping models "
            "need nothing of the kind."
        )
    for name in run.step_names:
        found += [str(warning) for warning in run.of(name).get("warnings") or []]
    if profile.get("sunset"):
        # Said once, in the profile's words.
        date = str(profile["sunset"]["date"])
        found = [text for number, text in enumerate(found) if number == 0 or date not in text]
    return list(dict.fromkeys(text for text in found if text))


def exchange(run: Run) -> Json | None:
    """What lets the application in by roles and rights: ``sid``, ``scope``, ``assignments``, ``rights``."""
    pointer, role, right = (run.good(step) for step in ("service_principal", "application_role", "mailbox_permission"))
    before = run.previous.get("exchange") or {}
    if run.kind == "decommission" or not (pointer or role or right or before):
        return before or None
    found = {
        "sid": pointer.get("sid") or right.get("sid"),
        "scope": role.get("scope"),
        "assignments": role.get("assignments"),
        "rights": right.get("rights"),
    }
    return {key: value if value is not None else before.get(key) for key, value in found.items()}


def ews_found(run: Run) -> Json | None:
    """How EWS was before it was opened, so that a decommission can put it back. Nothing if it was not opened."""
    ews = run.of("ews_access")
    if run.makes and run.mode == "apply" and ews.get("changed") and ews.get("found"):
        return dict(ews["found"])
    return None


def ews_in_force_by(run: Run) -> str | None:
    return run.good("ews_access").get("in_force_by") or run.previous.get("ews_in_force_by")


def proof_by(run: Run) -> str | None:
    """When what the proof waits for is in force at the latest; kept for as long as it fails, None once it succeeded.

    So a proof that is refused is not late for ever.
    """
    probe = run.of("mailbox_probe")
    if probe.get("outcome") == "pending":
        return str(probe.get("pending_until") or "") or None
    return None if probe.get("outcome") == "ok" else run.previous.get("proof_by")


def still_pending(run: Run) -> list[Json]:
    """What an earlier run found pending and a rotation, which does only so much, has not looked at."""
    if run.kind != "rotate":
        return []
    return [item for item in run.previous.get("pending") or [] if not run.good(str(item.get("step")))]


def _days_before(value: t.Any, days: int) -> str | None:
    moment = instant(value)
    return iso(moment - dt.timedelta(days=days)) if moment else None


_PROOF = ("access", "protocol", "verdict", "reason", "at")


def _by_mailbox(probes: t.Iterable[Json]) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {}
    for probe in probes:
        found.setdefault(str(probe["mailbox"]), []).append(probe)
    return found


def _gravity(row: Json, probe: Json) -> tuple[bool, bool]:
    """The worst of a mailbox's proofs is what is not as it should be, then what proves less than an opening."""
    return probe.get("as_expected") is False, row["expected"] == "granted" and probe.get("verdict") != "opened"


def _agreed(row: Json) -> bool:
    """Whether Exchange's verdict on a mailbox, if there is one, is as it should be."""
    return row["verdict"] is None or str(row["verdict"]).lower() == row["expected"]


def _expected(value: t.Any) -> str:
    return "denied" if str(value).lower() in ("denied", "refused") else "granted"
