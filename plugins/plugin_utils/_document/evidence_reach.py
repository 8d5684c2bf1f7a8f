# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""An audit's answers on what the application may do, which mailboxes it opens, and who could change that. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import reach_words, ways
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
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.words import some, spoken

Json = dict[str, t.Any]
Like = t.Mapping[str, t.Any]


def _named(listed: t.Any) -> list[str]:
    """Permissions in words, by resource."""
    names = []
    for one in listed or []:
        kinds = [*one["application"], *(f"{name} (delegated)" for name in one["delegated"])]
        if kinds:
            names.append(f"{', '.join(kinds)} of {_RESOURCES.get(one['resource'], one['resource'])}")
    return names


_RESOURCES = {"exchange_online": "Exchange Online", "microsoft_graph": "Microsoft Graph"}


def power(facts: t.Mapping[str, Json]) -> Answer:
    found = facts["application.json"]
    granted, roles = _named(found["granted"]), [f"{one['role']} within {one['scope']}" for one in found["roles"]]
    beyond = [*_named(found["beyond"]), *(f"{one['role']} within {one['scope']}" for one in found["roles_beyond"])]
    unread = found["granted"] is None
    steps = [
        row
        for key in ("admin_consent", "application_role")
        if (row := step(facts, key)) and row["outcome"] in ("blocked", "failed", "changed")
    ]
    users = sum(int(one.get("users") or 0) for one in [*(found["granted"] or []), *(found["beyond"] or [])])
    token = found["roles_in_token"]
    state = NOT_PROVEN if unread else WRONG if beyond or steps else PROVEN
    held = [*granted, *roles]
    return Answer(
        *("power", "What may it do, and is that what was declared?", state),
        "The grants were not read."
        if unread
        else f"It holds what nobody declared: {some(beyond, 20)}."
        if beyond
        else f"{spoken(steps[0]['step'])}: {steps[0]['summary']}."
        if steps
        else f"It holds {some(held, 20)}." + (" That is what is declared." if state == PROVEN else "")
        if held
        else "It holds no permission and no role.",
        proven=said(
            None if not token else f"The token that Entra issued for the proof carried: {', '.join(token)}.",
            f"In force as declared: {some(held, 20)}." if held and state == WRONG else None,
            *(f"{spoken(row['step'])}: {row['summary']}." for row in steps),
            None if not users else f"{users} people gave it delegated permissions for themselves.",
        ),
        not_proven=(
            "Who granted it, and when. That stands in Entra's audit log ('Consent to application', 'Add app role "
            "assignment to service principal'), which this audit does not read and Entra keeps for 7 or 30 days.",
        ),
        how="App role assignments and delegated grants read from Microsoft Graph, roles with their scopes from "
        "Exchange Online; each held against what the profile and the inventory declare.",
        at=at(facts),
        files=("application.json", "declared.json"),
    )


def mailboxes(facts: t.Mapping[str, Json]) -> Answer:
    proofs, report, declared = facts["proofs.json"], facts["reach.json"], facts["declared.json"]["mailboxes"]
    app_id = facts["audit.json"]["ids"]["application_id"]
    ours = next((one for one in report.get("applications") or [] if one.get("app_id") == app_id), None)
    opened = [row for row in proofs["opened"] if row["verdict"] == "opened"]
    refused = [row for row in proofs["refused"] if row["as_expected"] and row["verdict"] not in _SILENT]
    wrong = [row for row in [*proofs["opened"], *proofs["refused"], *proofs["verdicts"]] if row["as_expected"] is False]
    missing = [str(one) for one in (ours or report).get("missing") or []]
    accepted = facts["audit.json"].get("tenant_wide")
    unlimited = str(proofs["unprotected"] or "none")
    wide = any((report.get("wider") or {}).get(key) for key in ("mailboxes", "everything")) or not (
        accepted or unlimited == "none" or unlimited.startswith(UNKNOWN)
    )
    tried = bool(proofs["opened"] or proofs["refused"])
    exact = ours is not None and ours.get("complete") is True
    complete = exact and tried and bool(refused or not declared["shut"])
    state = WRONG if wrong or wide else PROVEN if complete and refused else PARTLY if tried or ours else NOT_PROVEN
    short = f"It opens {reach_words.extent(ours)}." if ours else "Which mailboxes it can open was not summed up."
    # What was met on the wire tells more than a verdict.
    met = {str(row["mailbox"]).casefold(): row for row in reversed(wrong)}
    differs = [
        f"{row['mailbox']} is not as declared: it should be {_MEANT.get(str(row['expected']).lower(), 'otherwise')}, "
        f"and was {ways.seen(str(row['verdict']).lower())}."
        for _name, row in sorted(met.items())
    ]
    if state == WRONG:
        short = " ".join([*differs, *([_wider(proofs, report)] if wide else [])])
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
            f"Nothing limits it to mailboxes, which was accepted with the words: {accepted}" if accepted else None,
            f"Summed up, it opens {reach_words.extent(ours)}." if ours and state == WRONG else None,
            *_limits(proofs["limits"]),
        ),
        not_proven=said(
            *(f"Not read: {one}." for one in missing),
            f"{unlimited[0].upper()}{unlimited[1:]}." if unlimited.startswith(UNKNOWN) else None,
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
        at=max((str(row["at"]) for row in [*proofs["opened"], *proofs["refused"]] if row["at"]), default=at(facts)),
        files=("proofs.json", "reach.html", "reach.csv", "reach.json"),
    )


UNKNOWN = "not known"
"""How an audit's ``unprotected`` begins where nobody can tell (see facts.unprotected)."""
_MEANT = {"opened": "open", "granted": "open", "refused": "shut", "denied": "shut"}
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
    names = ("user_principal_name", "display_name", "name", "id")
    return [next((str(row[name]) for name in names if row.get(name)), "somebody") for row in rows]


def changers(facts: t.Mapping[str, Json]) -> Answer:
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
        f"It could let itself into more, by what it holds: {some(powers, 10)}."
        if powers
        else f"Beside the tenant's administrators: {some(sorted({*owners, *group, *strangers}), 20)}."
        if owners or group or strangers
        else "Beside the tenant's administrators nobody was found.",
        proven=said(
            f"Owners of the application or its service principal: {some(owners, 20)}."
            if owners
            else "The application and its service principal have no owners."
            if read
            else None,
            f"Owners of the group, who can put a mailbox into it: {some(group, 20)}." if group else None,
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
        at=at(facts),
        files=("people.json",),
    )
