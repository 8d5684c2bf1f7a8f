# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's own sum of all ways in, against the emulator's, which was written apart from it."""

from __future__ import annotations

import random
import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils import _permissions, _reach
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import MAILBOXES, Recipient
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.grant import EVERY_MAILBOX, Grant, Permission
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant
from tests.emulator.testing import Emulator, start_emulator
from tests.integration.exchange_admin import admin, at
from tests.integration.harness import OPERATOR
from tests.integration.mail_rights import TENANT

EXCHANGE, GRAPH = (_permissions.WELL_KNOWN[name] for name in ("exchange_online", "microsoft_graph"))
BOXES = [at(f"box{number}") for number in range(5)]
GROUPS = {"g0": BOXES[:1], "g1": BOXES[1:3], "g2": BOXES[2:]}
GRANTS = {
    **dict.fromkeys(("Mail.Read", "Mail.Send", "Calendars.Read"), GRAPH),
    **dict.fromkeys(("full_access_as_app", "IMAP.AccessAsApp", "POP.AccessAsApp", "SMTP.SendAsApp"), EXCHANGE),
}
ROLES = ("Application Mail.Read", "Application SMTP.SendAsApp", "Application EWS.AccessAsApp")
APPS = [f"aaaaaaaa-0000-4000-8000-00000000000{number}" for number in range(9)]


def tenant(seed: int) -> tuple[dict[str, t.Any], dict[str, list[str]]]:
    """A tenant with applications that get in by every model at once, and which grants each of them has."""
    chance = random.Random(seed)
    held = {app: chance.sample(sorted(GRANTS), chance.randint(0, 4)) for app in APPS}
    made: dict[str, t.Any] = {
        **{key: TENANT[key] for key in ("id", "domains", "operators")},
        "mailboxes": [{"address": address, "display_name": address.partition("@")[0]} for address in BOXES],
        "groups": [{"name": name, "alias": name, "members": members} for name, members in GROUPS.items()],
        "applications": [
            {"appId": app, "displayName": f"App {app[-1]}", "app_roles": roles} for app, roles in held.items()
        ],
        "exchange_service_principals": [{"app_id": app} for app in APPS if chance.random() < 0.8],
        "management_scopes": [{"name": f"scope {name}", "group": name} for name in GROUPS],
        "policies": [
            {"app_id": app, "group": chance.choice(sorted(GROUPS)), "access_right": right}
            for app in APPS
            for right in ("RestrictAccess", "DenyAccess")
            if chance.random() < 0.4
        ],
        "role_assignments": [],
        "mailbox_permissions": [],
    }
    for one in made["exchange_service_principals"]:
        for role in ROLES:
            if chance.random() < 0.4:
                scope = chance.choice([*(f"scope {name}" for name in GROUPS), None])
                name = f"{role[12:]} {one['app_id'][-1]}"
                made["role_assignments"].append({**one, "name": name, "role": role, "scope": scope})
        for mailbox in BOXES:
            rights = [right for right in ("FullAccess", "SendAs") if chance.random() < 0.3]
            if rights:
                made["mailbox_permissions"].append({**one, "mailbox": mailbox, "rights": rights})
            if chance.random() < 0.1:
                made["mailbox_permissions"].append({**one, "mailbox": mailbox, "rights": ["FullAccess"], "deny": True})
    seen: set[tuple[str, str]] = set()
    made["policies"] = [
        one for one in made["policies"] if not ((key := (one["app_id"], one["group"])) in seen or seen.add(key))
    ]
    return made, held


class Look:
    """What is read of the emulated tenant, by the collection's own clients."""

    def __init__(self, emulator: Emulator) -> None:
        self.exchange = Tenant({**OPERATOR, "patience": 20}, environment=emulator.env()).exchange
        rows = self.exchange.invoke("Get-Recipient", "read everybody", ResultSize="Unlimited")
        everybody = [Recipient.of(row) for row in rows]
        self.boxes = {one.guid: one for one in everybody if one.type in MAILBOXES}
        self.keys: dict[str, frozenset[str]] = {EVERY_MAILBOX: frozenset(self.boxes)}
        for one in everybody:
            if one.type in MAILBOXES:
                self.keys[one.name] = frozenset({one.guid})
                continue
            members = self.exchange.invoke("Get-DistributionGroupMember", "read members", Identity=one.guid)
            inside = frozenset(Recipient.of(member).guid for member in members)
            self.keys |= dict.fromkeys((one.dn.casefold(), one.entra_id, one.name), inside)

    def grants(self, app_id: str, held: t.Sequence[str], mailboxes: t.Sequence[str]) -> list[Grant]:
        asked: list[tuple[str, Cmdlet]] = _reach.cmdlets(app_id, mailboxes)
        outputs = self.exchange.invoke_many([cmdlet for _model, cmdlet in asked])
        answers = [(model, output) for (model, _cmdlet), output in zip(asked, outputs, strict=True)]
        return _reach.grants(app_id, [Permission(GRANTS[name], name) for name in held], answers, self.keys.get)


@pytest.mark.parametrize("seed", [1, 2, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(3, 40))])
def test_both_sums_are_the_same(seed: int):
    made, held = tenant(seed)
    with start_emulator({"tenants": [made]}) as emulator:
        admin(emulator, "Set-CASMailbox", Identity=BOXES[0], ImapEnabled=False)  # an instant to look at
        look = Look(emulator)
        for app in APPS:
            found = look.grants(app, held[app], sorted(look.boxes))
            assert all(grant.complete for grant in found), seed
            wider = _reach.wider_than(found, frozenset())
            reached = {look.boxes[guid].address for guid, ways in _reach.reach(found, look.boxes).items() if ways}
            told = emulator.exposures(app_id=app, declared=[])
            assert reached == set(told[-1]["mailboxes"] if told else ()), (seed, app, found, told[-1:])
            assert bool(wider) == bool(reached or wider.everything), (seed, app)
            assert bool(wider.everything) == bool(told and told[-1]["everything"]), (seed, app)
            some = look.grants(app, held[app], sorted(look.boxes)[:2])
            protocols = {grant.protocol for grant in some if not grant.complete}
            assert protocols <= {"imap", "pop", "smtp"}, "what was not looked at is never taken for nothing"
