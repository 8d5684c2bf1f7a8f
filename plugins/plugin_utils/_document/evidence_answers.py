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
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import reach_words, ways
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.times import instant, readable_time
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.words import some, spoken

Json = dict[str, t.Any]
Like = t.Mapping[str, t.Any]

PROVEN, PARTLY, NOT_PROVEN, WRONG = "proven", "partly proven", "not proven", "not as declared"
LONG_LIVED_DAYS = 366
_AUDIENCES = {
    "AzureADMyOrg": "Only this tenant can use it (single tenant).",
    "AzureADMultipleOrgs": "Other organisations can use it as well (multi-tenant).",
}


@dataclass(frozen=True)
class Answer:
    """``state``: one of the four words above. ``how`` and ``at``: by what it is known, and since when (ISO 8601).
    ``files``: where the details stand."""

    key: str
    question: str
    state: str
    short: str
    proven: tuple[str, ...] = ()
    not_proven: tuple[str, ...] = ()
    how: str = ""
    at: str | None = None
    files: tuple[str, ...] = ()


def answers(facts: t.Mapping[str, Json], about: Like) -> list[Answer]:
    """In the order in which they are asked. ``facts``: the documents of the pack by file name."""
    return [
        _identity(facts, about),
        _power(facts),
        _mailboxes(facts),
        _changers(facts),
        _credentials(facts, str(about.get("zone") or "UTC")),
        _ews(facts),
        _use(facts),
        _history(facts),
        _exceptions(facts, about),
    ]


def said(*sentences: str | None) -> tuple[str, ...]:
    """Those that say something."""
    return tuple(text for text in sentences if text)


def _at(facts: t.Mapping[str, Json]) -> str:
    return str(facts["audit.json"]["at"])


def _step(facts: t.Mapping[str, Json], key: str) -> Json:
    return next((dict(row) for row in facts["audit.json"]["steps"] if row["step"] == key), {})


def _identity(facts: t.Mapping[str, Json], about: Like) -> Answer:
    found, tenant = facts["application.json"], facts["audit.json"]["tenant"]
    application, principal = found["application"], found["service_principal"]
    files = ("application.json",)
    question = "Which application is this, in which tenant, and where does it come from?"
    if not found["found"]:
        why = _step(facts, "credentials").get("summary") or "the audit did not get as far as that"
        return Answer(
            *("identity", question, NOT_PROVEN, f"The application was not read: {why}."),
            not_proven=("Nothing on this page tells which application it would have been.",),
            at=_at(facts),
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
        at=_at(facts),
        files=files,
    )


def _named(listed: t.Any) -> list[str]:
    """Permissions in words, by resource."""
    names = []
    for one in listed or []:
        kinds = [*one["application"], *(f"{name} (delegated)" for name in one["delegated"])]
        if kinds:
            names.append(f"{', '.join(kinds)} of {_RESOURCES.get(one['resource'], one['resource'])}")
    return names


_RESOURCES = {"exchange_online": "Exchange Online", "microsoft_graph": "Microsoft Graph"}


def _power(facts: t.Mapping[str, Json]) -> Answer:
    found = facts["application.json"]
    granted, roles = _named(found["granted"]), [f"{one['role']} within {one['scope']}" for one in found["roles"]]
    beyond = [*_named(found["beyond"]), *(f"{one['role']} within {one['scope']}" for one in found["roles_beyond"])]
    unread = found["granted"] is None
    steps = [
        step
        for key in ("admin_consent", "application_role")
        if (step := _step(facts, key)) and step["outcome"] in ("blocked", "failed", "changed")
    ]
    users = sum(int(one.get("users") or 0) for one in [*(found["granted"] or []), *(found["beyond"] or [])])
    token = found["roles_in_token"]
    state = NOT_PROVEN if unread else WRONG if beyond or steps else PROVEN
    held = [*granted, *roles]
    return Answer(
        *("power", "What may it do, and is that what was declared?", state),
        "The grants were not read."
        if unread
        else f"It holds {some(held, 20)}." + (" That is what is declared." if state == PROVEN else "")
        if held
        else "It holds no permission and no role.",
        proven=said(
            None if not token else f"The token that Entra issued for the proof carried: {', '.join(token)}.",
            None if not beyond else f"Not declared, and in force: {some(beyond, 20)}.",
            *(f"{spoken(step['step'])}: {step['summary']}." for step in steps),
            None if not users else f"{users} people gave it delegated permissions for themselves.",
        ),
        not_proven=(
            "Who granted it, and when. That stands in Entra's audit log (“Consent to application”, “Add app role "
            "assignment to service principal”), which this audit does not read and Entra keeps for 7 or 30 days.",
        ),
        how="App role assignments and delegated grants read from Microsoft Graph, roles with their scopes from "
        "Exchange Online; each held against what the profile and the inventory declare.",
        at=_at(facts),
        files=("application.json", "declared.json"),
    )


def _mailboxes(facts: t.Mapping[str, Json]) -> Answer:
    proofs, report, declared = facts["proofs.json"], facts["reach.json"], facts["declared.json"]["mailboxes"]
    app_id = facts["audit.json"]["ids"]["application_id"]
    ours = next((one for one in report.get("applications") or [] if one.get("app_id") == app_id), None)
    opened = [row for row in proofs["opened"] if row["verdict"] == "opened"]
    refused = [row for row in proofs["refused"] if row["as_expected"] and row["verdict"] not in _SILENT]
    wrong = [row for row in [*proofs["opened"], *proofs["refused"], *proofs["verdicts"]] if row["as_expected"] is False]
    missing = [str(one) for one in (ours or report).get("missing") or []]
    wide = bool(proofs["unprotected"] and proofs["unprotected"] != "none") or any(
        (report.get("wider") or {}).get(key) for key in ("mailboxes", "everything")
    )
    tried = bool(proofs["opened"] or proofs["refused"])
    exact = ours is not None and ours.get("complete") is True
    complete = exact and tried and bool(refused or not declared["shut"])
    state = WRONG if wrong or wide else PROVEN if complete and refused else PARTLY if tried or ours else NOT_PROVEN
    short = f"It opens {reach_words.extent(ours)}." if ours else "Which mailboxes it can open was not summed up."
    controls = {row["mailbox"] for row in refused}
    return Answer(
        *("mailboxes", "Which mailboxes can it open, and which can it not?", state),
        short,
        proven=said(
            f"Really opened, as the application itself: {some(sorted({row['mailbox'] for row in opened}), 20)}."
            if opened
            else None,
            f"Really refused, by the same way in: {some(sorted(controls), 20)}." if controls else None,
            f"Exchange's own verdict was asked for {len(proofs['verdicts'])} mailboxes, and is as declared for "
            f"{sum(row['as_expected'] is not False for row in proofs['verdicts'])}."
            if proofs["verdicts"]
            else None,
            *(
                f"{row['mailbox']} is not as declared: expected {row['expected']}, found {row['verdict']}."
                for row in wrong
            ),
            *_limits(proofs["limits"]),
            None if not wide else _wider(proofs, report),
        ),
        not_proven=said(
            *(f"Not read: {one}." for one in missing),
            None if tried else f"No mailbox was tried: {proofs['not_tried']}.",
            None
            if len(controls) > 1 or not tried
            else "Only one mailbox was seen to be refused; name more in mail2fax_control_mailboxes, such as one that "
            "an auditor picks."
            if controls
            else "No mailbox was seen to be refused on the wire: Exchange's own verdict stands alone.",
            *(f"{row['remark']}." for row in proofs["by_access"] if row["remark"]),
            "Mailboxes that are not listed here were not tried. For them the configuration that was read is the proof.",
            "What holds is the configuration of that time. A change shows in Exchange after up to two hours, and "
            "tokens that were issued before a change may live for 90 minutes, for Microsoft Graph up to 25 hours.",
        ),
        how="The application signed in with its own secret and opened each mailbox by the protocol that the fax server "
        "uses; Exchange was asked for its verdict; every way into a mailbox was read and summed up.",
        at=max((str(row["at"]) for row in [*proofs["opened"], *proofs["refused"]] if row["at"]), default=_at(facts)),
        files=("proofs.json", "reach.html", "reach.csv", "reach.json"),
    )


_SILENT = frozenset({"no_mailbox", "protocol_off_mailbox", "protocol_off_tenant", "signed_in"})


def _wider(proofs: Json, report: Json) -> str:
    wider = report.get("wider") or {}
    if wider.get("everything"):
        return "It opens every mailbox of the tenant, which is not declared."
    if wider.get("mailboxes"):
        return f"Beyond what is declared it opens {some(wider['mailboxes'], 20)}."
    return f"What limits it: {proofs['unprotected']}."


def _limits(limits: Json) -> list[str]:
    """What keeps it to its mailboxes, as it was read."""
    found = []
    policy, group, scope = limits["policy"], limits["group"], limits["scope"]
    if policy:
        found.append(
            f"Limited by the access policy {policy['access_right']} on the group {policy['group_name']} "
            f"({policy['group']})."
        )
    if scope:
        found.append(f"Its roles hold within the scope {scope['name']}: {scope['filter']}.")
    if limits["rights"]:
        listed = [f"{row['mailbox']} ({_rights(row)})" for row in limits["rights"]]
        found.append(f"It has rights on {some(listed, 20)}.")
    if limits["rights_elsewhere"]:
        found.append(f"It has rights on {len(limits['rights_elsewhere'])} mailboxes that are not declared.")
    if group["guid"] and not policy and not scope:
        found.append(f"The group {group['name']} stands.")
    return found


def _rights(row: Like) -> str:
    has = {"FullAccess": row["full_access"], "SendAs": row["send_as"]}
    return " and ".join(name for name, given in has.items() if given) or "none"


def _people(rows: t.Iterable[Like]) -> list[str]:
    return [str(row.get("user_principal_name") or row.get("display_name") or row.get("id")) for row in rows]


def _changers(facts: t.Mapping[str, Json]) -> Answer:
    found, report = facts["people.json"], facts["reach.json"]
    read = facts["application.json"]["found"]
    owners = _people([*found["owners_of_the_application"], *found["owners_of_the_service_principal"]])
    owners = sorted(set(owners))
    powers = [f"{row['permission']} ({row['what']})" for row in found["powers_of_its_own"]]
    strangers = [
        name
        for name in _people(found["could_widen_it"])
        if name not in owners and name not in found["owners_of_the_group"]
    ]
    group = found["owners_of_the_group"]
    return Answer(
        *("changers", "Who could change that?"),
        WRONG if powers else PARTLY if read else NOT_PROVEN,
        f"Beside the tenant's administrators: {some(sorted({*owners, *group, *strangers}), 20)}."
        if owners or group or strangers
        else "Beside the tenant's administrators nobody was found.",
        proven=said(
            f"Owners of the application or its service principal: {some(owners, 20)}."
            if owners
            else "The application and its service principal have no owners."
            if read
            else None,
            f"Owners of the group, who can put a mailbox into it: {some(group, 20)}." if group else None,
            f"By what it holds it could let itself into more: {some(powers, 10)}." if powers else None,
            None
            if not found["others_on_the_group"]
            else f"{len(found['others_on_the_group'])} other applications hang on the same group.",
            f"Runs of this collection sign in as {found['operator']['app_id']}."
            if found["operator"]["app_id"]
            else None,
        ),
        not_proven=said(
            "Who the tenant's administrators are. Global, Exchange, Application, Cloud Application and Privileged Role "
            "Administrators can change all of this; Entra lists them under Roles and administrators.",
            "Who can run this collection, and who can read the place of the secret: that is your automation's own "
            "concern.",
            None
            if report.get("applications")
            else "Powers of the application and people behind it were not summed up.",
        ),
        how="Owners read from Microsoft Graph, the group and its owners from Exchange Online.",
        at=_at(facts),
        files=("people.json",),
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
        else f"By {_counted(rows)}."
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
            if store and _step(facts, "mailbox_probe").get("outcome") in ("ok", "pending")
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
        at=_at(facts),
        files=("credentials.json",),
    )


def _counted(rows: t.Sequence[Like]) -> str:
    """``2 secrets and 1 certificate``."""
    counts = {kind: sum(row["kind"] == kind for row in rows) for kind in sorted({str(row["kind"]) for row in rows})}
    return " and ".join(f"{count} {kind}{'' if count == 1 else 's'}" for kind, count in counts.items())


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
            at=_at(facts),
            files=("declared.json", "application.json"),
        )
    known = isinstance(found, t.Mapping)
    ews: Like = found if isinstance(found, t.Mapping) else {}
    ends, days = ews.get("ends_on"), ews.get("days_left")
    move = f"The move to {spoken(str(calendar['phase']))} is under way." if (calendar or {}).get("phase") else None
    return Answer(
        *("ews", question, PARTLY if known else NOT_PROVEN),
        f"Yes. They end on {readable_time(ends, date_only=True)}, in {days} days." if ends else "Yes.",
        proven=said(
            f"EwsEnabled of the organisation: {_tristate(ews.get('EwsEnabled'))}; on the list of allowed applications: "
            f"{_tristate(ews.get('allowed'))}."
            if known
            else None,
            move,
        ),
        not_proven=said(
            None if move else "That a successor is decided. The guide “Off EWS before April 2027” shows the way.",
            None if known else "How the organisation is set: it was not read.",
        ),
        how="Get-OrganizationConfig of Exchange Online; the date is Microsoft's announcement.",
        at=_at(facts),
        files=("application.json",),
    )


def _tristate(value: t.Any) -> str:
    return {True: "yes", False: "no", None: "not set"}.get(value, str(value))


def _use(facts: t.Mapping[str, Json]) -> Answer:
    probed = _step(facts, "mailbox_probe")
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
    removing = record.get("removing") or {}
    return Answer(
        *("history", "What was changed, when and by whom?"),
        WRONG if drift else PARTLY if record else NOT_PROVEN,
        f"Not as declared any more: {some(drift, 20)}."
        if drift
        else last
        if record
        else "There is no record of a run.",
        proven=said(
            f"{last} It ended {record.get('outcome')}." if record else None,
            f"It changed: {'; '.join(changed)}." if changed else "It changed nothing." if record else None,
            "Nothing in the tenant differs from what is declared." if not drift and audit["outcome"] == "ok" else None,
            f"It is being removed since {readable_time(removing['since'])}." if removing.get("since") else None,
        ),
        not_proven=(
            "Earlier runs, and who started them: that is kept by whatever runs the playbooks (AWX's jobs, a pipeline's "
            "log) and by the history of the inventory.",
            "Changes that somebody made by hand and undid again between two audits.",
        ),
        how="The record that the last run left, and this audit's comparison of the tenant with the inventory.",
        at=_at(facts),
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
        at=_at(facts),
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
