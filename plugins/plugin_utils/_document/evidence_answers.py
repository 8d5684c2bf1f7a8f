# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""An auditor's questions, and what an audit says to each: what is proven, how, when, and what is not. Pure.

Nothing is called proven that the audit did not see itself, and what it cannot see is said with each question.
"""

from __future__ import annotations

import typing as t

from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import evidence_reach, ways
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.evidence_answer import (
    NOT_PROVEN,
    PARTLY,
    PROVEN,
    WRONG,
    Answer,
    at,
    said,
    step,
)
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.times import instant, readable_time
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.words import some, spoken

Json = dict[str, t.Any]
Like = t.Mapping[str, t.Any]

LONG_LIVED_DAYS = 366
_AUDIENCES = {
    "AzureADMyOrg": "Only this tenant can use it (single tenant).",
    "AzureADMultipleOrgs": "Other organisations can use it as well (multi-tenant).",
}


def answers(facts: t.Mapping[str, Json], about: Like) -> list[Answer]:
    """In the order in which they are asked. ``facts``: the documents of the pack by file name."""
    return [
        _identity(facts, about),
        evidence_reach.power(facts),
        evidence_reach.mailboxes(facts),
        evidence_reach.changers(facts),
        _credentials(facts, str(about.get("zone") or "UTC")),
        _ews(facts),
        _use(facts),
        _history(facts),
        _exceptions(facts, about),
    ]


def _identity(facts: t.Mapping[str, Json], about: Like) -> Answer:
    found, tenant = facts["application.json"], facts["audit.json"]["tenant"]
    application, principal = found["application"], found["service_principal"]
    files = ("application.json",)
    question = "Which application is this, in which tenant, and where does it come from?"
    if not found["found"]:
        why = step(facts, "credentials").get("summary") or "the audit did not get as far as that"
        none = "There is no application in this tenant that is the fax server's."
        short = none if found["looked_for"] else f"The application was not read: {why}."
        return Answer(
            *("identity", question, NOT_PROVEN, short),
            not_proven=("Nothing on this page tells which application it would have been.",),
            at=at(facts),
            files=files,
        )
    creator, made = application["created_by_app_id"], application["created_date_time"]
    whose = facts["people.json"]["made_by"]
    ours = "the application of this collection's operator" if whose and creator == whose else "an application"
    return Answer(
        *("identity", question, PROVEN),
        f"{application['display_name']} in the tenant {tenant['domain'] or tenant['id']}.",
        proven=said(
            f"Application (client) ID {application['app_id']}, tenant ID {tenant['id']}, service principal "
            f"{principal['id']}.",
            _AUDIENCES.get(str(application["sign_in_audience"])),
            f"It was made on {readable_time(made, date_only=True)} by {ours} ({creator})."
            if creator
            else f"It was made on {readable_time(made, date_only=True)}.",
            None if principal["enabled"] is not False else "Sign-in is disabled for it in this tenant.",
        ),
        not_proven=said(
            None if creator else "Entra does not say which application or person made it.",
            "Who asked for it, and why. What stands above as ticket and author was typed into the inventory.",
        ),
        how="Read from Microsoft Graph by the application's ID: /applications and /servicePrincipals.",
        at=at(facts),
        files=files,
    )


def _credentials(facts: t.Mapping[str, Json], zone: str) -> Answer:
    found = facts["credentials.json"]
    rows, in_use = found["credentials"], found["in_use"]
    foreign = [row for row in rows if row["whose"] == "foreign"]
    ended = [row for row in rows if row["outcome"] == "blocked"]
    read = facts["application.json"]["found"]
    policy = found["policy"]
    told = [
        f"{row['display_name'] or 'without a name'} ({row['kind']}, key ID {row['key_id']}): from "
        f"{readable_time(row['start_date_time'], zone, date_only=True)} to "
        f"{readable_time(row['end_date_time'], zone, date_only=True)}, {_left(row)}"
        f"{', not made by this collection' if row['whose'] == 'foreign' else ''}."
        for row in rows
    ]
    store = in_use["stored_in"]
    return Answer(
        *("credentials", "How does it sign in, until when, and where does that lie?"),
        NOT_PROVEN if not read else WRONG if foreign or ended else PROVEN,
        "Its secrets and certificates were not read."
        if not read
        else f"By {_counted(rows)}{_but(foreign, ended)}."
        if rows
        else "It has no secret and no certificate.",
        proven=said(
            *told,
            f"{len(found['federated'])} federated credentials let somebody sign in as it without a secret."
            if found["federated"]
            else "No federated credential lets anybody sign in as it."
            if read
            else None,
            f"The one in use is kept in {_place(store)}, and was good for the sign-in of the proof."
            if store and step(facts, "mailbox_probe").get("outcome") in ("ok", "pending")
            else f"The one in use is kept in {_place(store)}."
            if store
            else None,
            f"The tenant's policy allows secrets of {policy['max_lifetime_days']} days at most."
            if policy["max_lifetime_days"]
            else None,
        ),
        not_proven=said(
            "Who can read that place, and whether a copy of the secret lies anywhere else, such as in the fax server.",
            None if policy["readable"] else "Which rules the tenant has for secrets: the operator may not read them.",
            "A secret's value, and the first characters of it that Entra shows, stand nowhere in this pack.",
        ),
        how="Key IDs and dates read from Microsoft Graph, of the application and of its service principal.",
        at=at(facts),
        files=("credentials.json",),
    )


def _counted(rows: t.Sequence[Like]) -> str:
    """``2 secrets and 1 certificate``."""
    counts = {kind: sum(row["kind"] == kind for row in rows) for kind in sorted({str(row["kind"]) for row in rows})}
    return " and ".join(f"{count} {kind}{'' if count == 1 else 's'}" for kind, count in counts.items())


def _but(foreign: t.Sequence[Like], ended: t.Sequence[Like]) -> str:
    """What is wrong with them, in the same sentence."""
    told = [f"{len(foreign)} not made by this collection"] if foreign else []
    told += [f"{len(ended)} at the end of its life"] if ended else []
    return f", {' and '.join(told)}" if told else ""


def _left(row: Like) -> str:
    days = row["days_left"]
    if days is None:
        return "with no known end"
    return "ended" if days < 0 else f"{days} days left"


def _place(store: t.Any) -> str:
    if isinstance(store, t.Mapping):
        return f"{store.get('place')} ({spoken(str(store.get('backend') or ''))})"
    return str(store)


def _ews(facts: t.Mapping[str, Json]) -> Answer:
    found, calendar = facts["application.json"]["ews"], facts["application.json"]["calendar"]
    question = "Does it use Exchange Web Services, which end in April 2027?"
    uses = [one for one in facts["declared.json"]["profile"]["accesses"] if one["protocol"] == "ews"]
    if not uses:
        protocols = [ways.called(one["protocol"]) for one in facts["declared.json"]["profile"]["accesses"]]
        return Answer(
            *("ews", question, PROVEN, f"No. It uses {some(sorted(set(protocols)))}."),
            how="By the profile that is declared, and by the permissions that are in force.",
            at=at(facts),
            files=("declared.json", "application.json"),
        )
    known = isinstance(found, t.Mapping)
    ews: Like = found if isinstance(found, t.Mapping) else {}
    ends, days = ews.get("ends_on"), ews.get("days_left")
    way: Like = calendar if isinstance(calendar, t.Mapping) else {}
    move = f"Its move off EWS stands at {spoken(str(way['phase']))}." if way.get("phase") else None
    return Answer(
        *("ews", question, PARTLY if known else NOT_PROVEN),
        f"Yes. They end on {readable_time(ends, date_only=True)}, in {days} days." if ends else "Yes.",
        proven=said(
            f"EwsEnabled of the organisation: {_tristate(ews.get('EwsEnabled'))}; on the list of allowed applications: "
            f"{_tristate(ews.get('allowed'))}."
            if known
            else None,
            move,
            f"What comes next: {way['next']}." if way.get("next") else None,
        ),
        not_proven=said(
            None if move else 'That a successor is decided. The guide "Off EWS before April 2027" shows the way.',
            None if known else "How the organisation is set: it was not read.",
        ),
        how="Get-OrganizationConfig of Exchange Online; the date is Microsoft's announcement.",
        at=at(facts),
        files=("application.json",),
    )


def _tristate(value: t.Any) -> str:
    return {True: "yes", False: "no", None: "not set"}.get(value, str(value))


def _use(facts: t.Mapping[str, Json]) -> Answer:
    probed = step(facts, "mailbox_probe")
    proofs = facts["proofs.json"]
    at = max((str(row["at"]) for row in [*proofs["opened"], *proofs["refused"]] if row["at"]), default="")
    return Answer(
        *("use", "Is it used, when last, and from where?", NOT_PROVEN),
        "This audit does not read sign-in logs.",
        proven=said(f"It could sign in on {readable_time(at)}: the audit did so itself." if at else None),
        not_proven=(
            "When the fax server signed in last, from which addresses, and how often it failed. Entra's log of service "
            "principal sign-ins tells that for 30 days, with Microsoft Entra ID P1; an application that nobody has "
            "used for 90 days can be taken back (mail2fax.m365.decommission).",
        ),
        how="The proof's own sign-in." if at else "",
        at=at or None,
        files=("proofs.json",) if probed else (),
    )


def _history(facts: t.Mapping[str, Json]) -> Answer:
    record, audit = facts["record.json"], facts["audit.json"]
    drift = [spoken(step) for step in audit.get("drift") or []]
    changed = [
        f"{spoken(step['step'])}: {change}"
        for step in record.get("steps") or []
        for change in step.get("changes") or []
    ]
    kind = {"provision": "provisioning", "rotate": "rotation of the secret", "decommission": "removal"}
    last = (
        f"The last run on record was a {kind.get(str(record.get('kind')), 'run')}, {readable_time(record.get('at'))}."
    )
    removing, moving = record.get("removing") or {}, record.get("migration") or {}
    return Answer(
        *("history", "What was changed, when and by whom?"),
        WRONG if drift else PARTLY if record else NOT_PROVEN,
        f"Not as declared: {some(drift, 20)}." if drift else last if record else "There is no record of a run.",
        proven=said(
            f"{last} It ended {record.get('outcome')}." if record else None,
            f"It changed: {'; '.join(changed)}." if changed else "It changed nothing." if record else None,
            "Nothing in the tenant differs from what is declared." if not drift and audit["outcome"] == "ok" else None,
            f"It is being moved to another way in since {readable_time(moving['since'])}, and stands at "
            f"{spoken(str(moving.get('phase')))}."
            if moving.get("since") and moving.get("phase") != "done"
            else None,
            f"It is being removed since {readable_time(removing['since'])}." if removing.get("since") else None,
        ),
        not_proven=(
            "Earlier runs, and who started them: that is kept by whatever runs the playbooks (AWX's jobs, a pipeline's "
            "log) and by the history of the inventory.",
            "Changes that somebody made by hand and undid again between two audits.",
        ),
        how="The record that the last run left, and this audit's comparison of the tenant with the inventory.",
        at=at(facts),
        files=("record.json", "audit.json"),
    )


def _exceptions(facts: t.Mapping[str, Json], about: Like) -> Answer:
    declared, audit = facts["declared.json"], facts["audit.json"]
    known: Json = declared["variables"]
    accepted = said(
        f"Nothing limits it to mailboxes. Accepted with the words: {audit['tenant_wide']}"
        if audit.get("tenant_wide")
        else None,
        *(f"{text}: {_shown(known[name])}." for name, text in _ACCEPTED.items() if _says(known.get(name))),
        f"The profile is {declared['profile']['status']}."
        if declared["profile"]["status"] in ("legacy", "unverified")
        else None,
        *(
            f"A secret lives {days} days ({row['display_name'] or row['key_id']})."
            for row in facts["credentials.json"]["credentials"]
            if (days := _life(row)) > LONG_LIVED_DAYS
        ),
        *(
            f"{found['kind']} {found['id']} was there when the application was taken over, and is accepted."
            for found in (facts["people.json"]["accepted_to_sign_in"] or {}).get("credentials") or []
        ),
    )
    return Answer(
        *("exceptions", "What was accepted that need not be so?", PROVEN),
        f"{len(accepted)} thing{' was' if len(accepted) == 1 else 's were'}." if accepted else "Nothing was.",
        proven=accepted,
        not_proven=(
            "Who accepted each, and until when. Neither is asked for; the history of the inventory tells who wrote it."
            if accepted
            else "That nobody keeps a list of exceptions elsewhere.",
        ),
        how="What the inventory says, word for word.",
        at=at(facts),
        files=("declared.json",),
    )


_ACCEPTED = {
    "mail2fax_accept_credentials": "Credentials of others that may sign in as it",
    "mail2fax_accept_shared_group": "Applications that may hang on the same group",
    "mail2fax_trusted_app_ids": "Applications whose work counts as the operator's",
    "mail2fax_extra_permissions": "Permissions beyond what the profile needs",
    "mail2fax_leave_application": "Recorded applications that are left as they are",
    "mail2fax_token_grace_minutes": "Minutes that old tokens are given, instead of what the services say",
    "mail2fax_on_foreign_members": "What happens to members of the group that nobody declared",
    "mail2fax_on_foreign_owners": "What happens to owners of the group that nobody declared",
    "mail2fax_on_other_policies": "What happens to other policies and assignments",
    "mail2fax_on_entra_grant": "What happens to a grant in Entra that undoes a scope",
}
"""Variables that let something be, or let something go that is otherwise waited for."""
_CAREFUL = ("fail", "remove")
"""What leaves no more open than declared."""


def _says(value: t.Any) -> bool:
    return value is not None and value not in ("", [], {}) and value not in _CAREFUL


def _shown(value: t.Any) -> str:
    return some([str(one) for one in value], 20) if isinstance(value, list) else str(value)


def _life(row: Like) -> int:
    start, end = instant(row["start_date_time"]), instant(row["end_date_time"])
    return (end - start).days if start and end else 0
