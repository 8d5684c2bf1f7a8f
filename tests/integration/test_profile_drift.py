# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What others change of roles and rights: an audit tells it, a provisioning mends it, each by itself.

The profile has both: IMAP by rights on mailboxes, SMTP by a role. The commit chooses some; ``make soak`` tries all.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant
from tests.emulator.hosted import start_hosted
from tests.integration.harness import GRAPH
from tests.integration.inprocess import play_in_process
from tests.integration.site import OPERATOR, Run, Site, World
from tests.integration.test_profiles import declared
from tests.sample import sample

Json = dict[str, t.Any]
ROLE = "Application SMTP.SendAsApp"
SMTP_SEND_AS_APP = "7146a1f0-8703-45b3-9eae-527a64c00995"


@dataclass(frozen=True)
class Drift:
    """``make``: what somebody does; ``step``: what an audit finds it at; ``says``: what the audit's output has;
    ``decide``: what the inventory has to say for it to be mended, where that is a decision."""

    make: t.Callable[[Site, Run], None]
    step: str
    says: str
    decide: Json = field(default_factory=dict)


def by_hand(site: Site, cmdlet: str, **parameters: t.Any) -> list[Json]:
    """Somebody runs a cmdlet, also one that the collection would never send so."""
    tenant = Tenant({**OPERATOR, "tenant": site.world.id, "patience": 20}, environment=site.emulator.env())
    asked = object.__new__(Cmdlet)
    for name, value in (("name", cmdlet), ("parameters", parameters), ("purpose", "play somebody"), ("limit", None)):
        object.__setattr__(asked, name, value)
    return tenant.exchange.invoke_many([asked])[0].objects()


def wrong_pointer(site: Site, last: Run) -> None:
    ids = last.record["ids"]
    by_hand(site, "Remove-ServicePrincipal", Identity=ids["application_id"], Confirm=False)
    # That of the registration, as the portal shows it first.
    wrong = ids["application_object_id"]
    by_hand(site, "New-ServicePrincipal", AppId=ids["application_id"], ObjectId=wrong, DisplayName="Fax")


def widened_scope(site: Site, last: Run) -> None:
    (scope,) = last.after["managementScopes"]
    wider = f"({scope['RecipientFilter']}) -or (PrimarySmtpAddress -eq '{site.world.control[0]}')"
    by_hand(site, "Set-ManagementScope", Identity=scope["Name"], RecipientRestrictionFilter=wider)


def without_scope(site: Site, last: Run) -> None:
    by_hand(site, "New-ManagementRoleAssignment", Name="by hand", Role=ROLE, App=last.record["ids"]["application_id"])


def further_right(site: Site, last: Run) -> None:
    user = last.record["ids"]["service_principal_id"]
    where = {"Identity": site.world.control[0], "User": user, "AccessRights": ["FullAccess"]}
    by_hand(site, "Add-MailboxPermission", **where, InheritanceType="All")


def missing_right(site: Site, last: Run) -> None:
    user = last.record["ids"]["service_principal_id"]
    where = {"Identity": site.world.fax[0], "User": user, "AccessRights": ["FullAccess"]}
    by_hand(site, "Remove-MailboxPermission", **where, InheritanceType="All", Confirm=False)


def imap_off(site: Site, last: Run) -> None:
    by_hand(site, "Set-CASMailbox", Identity=site.world.fax[0], ImapEnabled=False)


def consented(site: Site, last: Run) -> None:
    exchange = next(one for one in last.after["servicePrincipals"] if one["appId"].startswith("00000002-0000-0ff1"))
    principal = last.record["ids"]["service_principal_id"]
    grant = {"principalId": principal, "resourceId": exchange["id"], "appRoleId": SMTP_SEND_AS_APP}
    token = site.emulator.token(site.world.id, OPERATOR["client_id"], OPERATOR["client_secret"])
    with site.emulator.session() as session:
        address = f"https://{GRAPH}/v1.0/servicePrincipals/{exchange['id']}/appRoleAssignedTo"
        answer = session.post(address, json=grant, headers={"Authorization": f"Bearer {token}"}, timeout=30)
    assert answer.status_code == 201, answer.text


DRIFTS = {
    "the pointer has the wrong object id": Drift(
        wrong_pointer, "service_principal", "object", {"mail2fax_on_wrong_pointer": "replace"}
    ),
    "the scope was widened": Drift(widened_scope, "application_role", "scope"),
    "an assignment without a scope": Drift(
        without_scope, "application_role", "by hand", {"mail2fax_on_other_policies": "remove"}
    ),
    "a right on a further mailbox": Drift(further_right, "mailbox_permission", "FullAccess"),
    "a right is missing": Drift(missing_right, "mailbox_permission", "FullAccess"),
    "IMAP is switched off": Drift(imap_off, "mailbox_protocols", "IMAP"),
    "a consent of the same permission": Drift(
        consented, "application_role", "SMTP.SendAsApp", {"mail2fax_on_entra_grant": "remove"}
    ),
}


@pytest.fixture(scope="module")
def provisioned(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[tuple[Site, Run]]:
    world = World("drift of roles and rights")
    with start_hosted(world.tenants()) as emulator:
        variables = {"mail2fax_profile": "imap_smtp_least", "mail2fax_protocols_opt_in": True}
        site = Site(tmp_path_factory.mktemp("drift"), emulator, world, variables, player=play_in_process)
        first = site.play("provision")
        assert first.code == 0, first.output
        yield site, first


@pytest.mark.parametrize("name", sample(sorted(DRIFTS), 1, of="drift of roles and rights"))
def test_a_drift_is_told_and_mended(name: str, provisioned: tuple[Site, Run]) -> None:
    site, first = provisioned
    drift = DRIFTS[name]
    drift.make(site, first)
    audit = site.play("audit")
    assert audit.code != 0, audit.output
    assert audit.writes() == []
    at = {step for step, outcome in audit.steps.items() if outcome in ("changed", "blocked", "failed")}
    assert at & {drift.step, "preflight"}, audit.steps
    assert drift.says in audit.output
    if drift.decide:
        # Nobody has decided: nothing is done about it, and nothing half.
        refused = site.play("provision")
        assert refused.code != 0, refused.output
        assert refused.writes() == []
    mended = site.play("provision", **drift.decide)
    assert mended.code == 0, mended.output
    declared(site, Run(**{**vars(mended), "before": first.before}))
    # With time, what came late is in force, and nothing is left to do.
    site.emulator.clock(seconds=3 * 3600.0)
    again = site.play("provision")
    assert (again.code, again.writes()) == (0, []), again.output
