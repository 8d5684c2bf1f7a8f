# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The oracle: that it finds each way of being wider than declared, and none where there is none."""

from __future__ import annotations

import typing as t

import pytest
import yaml

from tests.emulator import clients
from tests.emulator.clients import clients_can
from tests.emulator.testing import DEMO_TENANT, Emulator, start_emulator
from tests.fidelity import mail
from tests.fidelity.tenant import EXCHANGE_APP, FULL_ACCESS, TENANT, Tenant

DOMAIN = "imagicleucdev.onmicrosoft.com"
FAX, ADELE, ALEX = f"fax@{DOMAIN}", f"AdeleV@{DOMAIN}", f"AlexW@{DOMAIN}"
APP, OTHER = "33333333-0000-4000-8000-000000000001", "33333333-0000-4000-8000-000000000002"
SECRET = "a-secret-of-the-fax-server"
GRAPH_APP = "00000003-0000-0000-c000-000000000000"


@pytest.fixture
def world() -> t.Iterator[Emulator]:
    entry = yaml.safe_load(DEMO_TENANT.read_text(encoding="utf-8"))["tenants"][0]
    entry |= {
        "applications": [
            {
                "displayName": "Fax",
                "appId": APP,
                "app_roles": ["full_access_as_app"],
                "passwordCredentials": [{"displayName": "s", "secretText": SECRET}],
            },
            {"displayName": "Reader", "appId": OTHER, "app_roles": ["Mail.Read"]},
        ],
        "groups": [
            {"name": "Inner", "alias": "inner", "members": [FAX]},
            {"name": "Outer", "alias": "outer", "members": ["inner"]},
            {"name": "Wide", "alias": "wide", "members": [FAX, ADELE]},
        ],
        "policies": [{"app_id": APP, "group": "outer"}, {"app_id": OTHER, "group": "wide"}],
    }
    with start_emulator({"tenants": [entry]}) as emulator:
        yield emulator


def touch(tenant: Tenant) -> None:
    """A request that writes, and changes nothing that counts."""
    tenant.application("Anything")


def test_nothing_is_beyond_what_is_declared(world: Emulator) -> None:
    touch(Tenant(world))
    assert world.exposures() == []
    assert world.exposures(app_id=APP, declared=[FAX.upper()]) == []  # by nested groups
    assert world.exposures(app_id=OTHER, declared=[FAX, ADELE]) == []


def test_one_mailbox_more_than_declared(world: Emulator) -> None:
    touch(Tenant(world))
    (seen,) = world.exposures(app_id=OTHER, declared=[FAX])
    assert (seen["appId"], seen["displayName"], seen["tenant"]) == (OTHER, "Reader", TENANT)
    assert (seen["mailboxes"], seen["everything"], seen["by_token"]) == ([ADELE], False, False)
    assert [(way["protocol"], way["permission"]) for way in seen["ways"]] == [("graph", "Mail.Read")]
    assert set(seen) >= {"seq", "time", "after"}
    # Whoever names no application asks about all of them.
    assert [e["appId"] for e in world.exposures(declared=[FAX])] == [OTHER]
    assert [e["mailboxes"] for e in world.exposures(app_id=APP, declared=[])] == [[FAX]]


def test_a_member_that_comes_into_an_inner_group(world: Emulator) -> None:
    joining = {"Identity": "inner", "Member": ALEX, "BypassSecurityGroupManagerCheck": True}
    answer = Tenant(world).invoke("Add-DistributionGroupMember", **joining)
    assert answer.status_code == 200, answer.text
    assert [e["mailboxes"] for e in world.exposures(app_id=APP, declared=[FAX])] == [[ALEX]]


def test_a_grant_that_was_revoked_lives_on_in_its_tokens(world: Emulator) -> None:
    tenant = Tenant(world)
    world.token(TENANT, APP, SECRET, "https://outlook.office365.com")
    state = world.state(TENANT)
    exchange = next(sp["id"] for sp in state["servicePrincipals"] if sp["appId"] == EXCHANGE_APP)
    (grant,) = [g for g in state["appRoleAssignments"] if g["appRoleId"] == FULL_ACCESS]
    revoked = tenant.graph("DELETE", f"/servicePrincipals/{exchange}/appRoleAssignedTo/{grant['id']}")
    assert revoked.status_code == 204
    assert world.exposures() == []
    (policy,) = [p for p in state["applicationAccessPolicies"] if p["AppId"].lower() == APP]
    assert tenant.invoke("Remove-ApplicationAccessPolicy", Identity=policy["Identity"]).status_code == 200
    (seen,) = world.exposures()
    assert (seen["appId"], seen["everything"], seen["by_token"]) == (APP, True, True)
    assert [way["by_token"] for way in seen["ways"]] == [True]
    world.clear_journal()
    world.clock(seconds=3601)
    touch(Tenant(world))
    assert world.exposures() == []  # the token has run out


def test_a_deleted_application_with_a_living_token(world: Emulator) -> None:
    tenant = Tenant(world)
    world.token(TENANT, APP, SECRET, "https://outlook.office365.com")
    state = world.state(TENANT)
    (app,) = [a["id"] for a in state["applications"] if a["appId"] == APP]
    assert tenant.graph("DELETE", f"/applications/{app}").status_code == 204
    (policy,) = [p for p in state["applicationAccessPolicies"] if p["AppId"].lower() == APP]
    assert tenant.invoke("Remove-ApplicationAccessPolicy", Identity=policy["Identity"]).status_code == 200
    assert [(e["appId"], e["by_token"]) for e in world.exposures()] == [(APP, True)]
    world.reset()
    assert world.exposures() == [] == world.journal()


# --- the other models -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def running() -> t.Iterator[Emulator]:
    with start_emulator({"tenants": [mail.tenant()]}) as emulator:
        yield emulator


@pytest.fixture
def models(running: Emulator) -> Emulator:
    return running.reset()


def beyond(emulator: Emulator, app: str) -> list[dict[str, t.Any]]:
    return emulator.exposures(app_id=app, declared=[mail.FAX])


def graph(emulator: Emulator, method: str, path: str, body: t.Any = None) -> t.Any:
    """As the operator; the answer's body, if there is one."""
    with emulator.session() as session:
        answer = session.request(
            method,
            f"{mail.GRAPH}/v1.0{path}",
            json=body,
            headers={"Authorization": f"Bearer {mail.token(emulator, mail.OPERATOR, mail.GRAPH)}"},
            timeout=30,
        )
    assert answer.status_code < 300, answer.text
    return answer.json() if answer.content else None


def grant(emulator: Emulator, app: str, resource: str, permission: str) -> None:
    """Consent to a permission of an application, as somebody would by hand."""
    principals = {sp["appId"]: sp for sp in emulator.state(mail.TENANT)["servicePrincipals"]}
    role = next(role["id"] for role in principals[resource]["appRoles"] if role["value"] == permission)
    body = {"principalId": principals[app]["id"], "resourceId": principals[resource]["id"], "appRoleId": role}
    graph(emulator, "POST", f"/servicePrincipals/{principals[resource]['id']}/appRoleAssignedTo", body)


def revoke(emulator: Emulator, app: str) -> None:
    """Every consent of an application."""
    state = emulator.state(mail.TENANT)
    (principal,) = [sp["id"] for sp in state["servicePrincipals"] if sp["appId"] == app]
    for held in state["appRoleAssignments"]:
        if held["principalId"] == principal:
            graph(emulator, "DELETE", f"/servicePrincipals/{held['resourceId']}/appRoleAssignedTo/{held['id']}")


def stir(emulator: Emulator) -> None:
    """A cmdlet that writes, and changes nothing that counts."""
    mail.invoke(emulator, "Set-ServicePrincipal", Identity=mail.RIGHT, DisplayName="Anything")


def test_neither_role_nor_right_is_beyond_what_is_declared(models: Emulator) -> None:
    for app in (mail.ROLE, mail.SCOPED, mail.RIGHT, mail.POLICY):
        mail.token(models, app)
    stir(models)
    for app in (mail.ROLE, mail.SCOPED, mail.POLICY, mail.GRANT, mail.NO_POINTER, mail.WRONG_POINTER, mail.NOTHING):
        assert beyond(models, app) == [], app
    own = models.exposures(app_id=mail.RIGHT, declared=[mail.FAX, f"off@{mail.DOMAIN}", f"poor@{mail.DOMAIN}"])
    assert own == []


def test_a_role_without_a_scope(models: Emulator) -> None:
    """Also for the blink of an eye, and beside one that has a scope."""
    role = "Application SMTP.SendAsApp"
    mail.invoke(models, "New-ManagementRoleAssignment", Name="bare", Role=role, App=mail.ROLE)
    mail.invoke(models, "Remove-ManagementRoleAssignment", Identity="bare", Confirm=False)
    (seen,) = beyond(models, mail.ROLE)
    assert (seen["everything"], seen["after"]["cmdlet"]) == (True, "New-ManagementRoleAssignment")
    assert {(way["protocol"], way["model"], tuple(way["limited_by"])) for way in seen["ways"]} == {
        ("smtp", "application_role", ("Fax scope",)),
        ("smtp", "application_role", ()),
    }
    assert [e["appId"] for e in models.exposures(app_id=mail.ROLE)] == [mail.ROLE]  # without ``declared``: everything


def test_a_scope_that_is_widened_and_a_member_that_comes(models: Emulator) -> None:
    joins = {"Identity": "fax-group", "Member": mail.OTHER, "BypassSecurityGroupManagerCheck": True}
    mail.invoke(models, "Add-DistributionGroupMember", **joins)
    for app in (mail.ROLE, mail.SCOPED, mail.POLICY):
        assert [e["mailboxes"] for e in beyond(models, app)] == [[mail.OTHER]], app
    models.reset()
    wide = f"PrimarySmtpAddress -eq '{mail.FAX}' -or PrimarySmtpAddress -eq '{mail.SHARED}'"
    mail.invoke(models, "Set-ManagementScope", Identity="Fax scope", RecipientRestrictionFilter=wide)
    assert [e["mailboxes"] for e in beyond(models, mail.ROLE)] == [[mail.SHARED]]


def test_a_nested_group_counts_for_a_policy_and_not_for_a_scope(models: Emulator) -> None:
    mail.invoke(models, "New-DistributionGroup", Name="Inner", Type="Security", Members=[mail.OTHER])
    joins = {"Identity": "fax-group", "Member": "Inner", "BypassSecurityGroupManagerCheck": True}
    mail.invoke(models, "Add-DistributionGroupMember", **joins)
    assert [e["mailboxes"] for e in beyond(models, mail.POLICY)] == [[mail.OTHER]]
    assert beyond(models, mail.ROLE) == []


@pytest.mark.parametrize(
    ("cmdlet", "trustee", "rights", "protocols"),
    [
        ("Add-MailboxPermission", "User", ["FullAccess"], {"imap", "pop", "smtp"}),
        ("Add-RecipientPermission", "Trustee", ["SendAs"], {"smtp"}),
    ],
)
def test_a_right_on_a_further_mailbox(
    models: Emulator, cmdlet: str, trustee: str, rights: list[str], protocols: set[str]
) -> None:
    given = {"Identity": mail.SHARED, trustee: mail.RIGHT, "AccessRights": rights}
    mail.invoke(models, cmdlet, **given)
    declared = [mail.FAX, f"off@{mail.DOMAIN}", f"poor@{mail.DOMAIN}"]
    (seen,) = models.exposures(app_id=mail.RIGHT, declared=declared)
    assert (seen["mailboxes"], seen["everything"]) == ([mail.SHARED], False)
    assert {way["protocol"] for way in seen["ways"]} >= protocols
    # Without a permission in Entra the same right opens nothing.
    mail.invoke(models, cmdlet, **{**given, trustee: mail.BARE_RIGHT})
    assert models.exposures(app_id=mail.BARE_RIGHT, declared=[]) == []


def test_a_right_that_somebody_consents_to_afterwards(models: Emulator) -> None:
    grant(models, mail.BARE_RIGHT, EXCHANGE_APP, "IMAP.AccessAsApp")
    (seen,) = models.exposures(app_id=mail.BARE_RIGHT, declared=[f"off@{mail.DOMAIN}", f"poor@{mail.DOMAIN}"])
    assert seen["mailboxes"] == [mail.FAX]


def test_a_pointer_that_is_made_anew_has_no_rights(models: Emulator) -> None:
    stir(models)
    models.clear_journal()
    (pointer,) = mail.invoke(models, "Get-ServicePrincipal", Identity=mail.RIGHT)
    mail.invoke(models, "Remove-ServicePrincipal", Identity=mail.RIGHT, Confirm=False)
    mail.invoke(models, "New-ServicePrincipal", AppId=mail.RIGHT, ObjectId=pointer["ObjectId"])
    assert models.exposures(app_id=mail.RIGHT, declared=[]) == []


@pytest.mark.parametrize("permission", ["Mail.Read", "MailboxItem.Read.All", "full_access_as_app"])
def test_a_grant_in_entra_undoes_a_scope(models: Emulator, permission: str) -> None:
    resource = EXCHANGE_APP if permission == "full_access_as_app" else GRAPH_APP
    grant(models, mail.SCOPED, resource, permission)
    (seen,) = beyond(models, mail.SCOPED)
    assert (seen["everything"], seen["by_token"], mail.OTHER in seen["mailboxes"]) == (True, False, True)
    assert {way["model"] for way in seen["ways"]} == {"application_role", "tenant_wide"}


def test_a_policy_does_not_limit_every_permission(models: Emulator) -> None:
    grant(models, mail.POLICY, GRAPH_APP, "MailboxItem.Read.All")
    (seen,) = beyond(models, mail.POLICY)
    assert seen["everything"] is True


def test_an_old_token_outlives_its_grant_under_c(models: Emulator) -> None:
    declared = [mail.FAX, f"off@{mail.DOMAIN}", f"poor@{mail.DOMAIN}"]
    old = mail.token(models, mail.RIGHT)
    revoke(models, mail.RIGHT)
    mail.invoke(models, "Add-MailboxPermission", Identity=mail.OTHER, User=mail.RIGHT, AccessRights=["FullAccess"])
    (seen,) = models.exposures(app_id=mail.RIGHT, declared=declared)
    assert (seen["mailboxes"], seen["by_token"]) == ([mail.OTHER], True)
    assert clients_can(models, old, mail.OTHER) == clients.ALL
    models.clear_journal()
    models.clock(seconds=3601)
    stir(models)
    assert models.exposures(app_id=mail.RIGHT, declared=[]) == []
    assert clients_can(models, old, mail.OTHER) == frozenset()


def test_a_policy_that_is_removed_early(models: Emulator) -> None:
    """Consent first, policy an instant later: what was issued in between is still good."""
    mail.token(models, mail.POLICY, mail.GRAPH)
    revoke(models, mail.POLICY)
    assert beyond(models, mail.POLICY) == []
    (policy,) = [p for p in models.state(mail.TENANT)["applicationAccessPolicies"] if p["AppId"] == mail.POLICY]
    mail.invoke(models, "Remove-ApplicationAccessPolicy", Identity=policy["Identity"], Confirm=False)
    (seen,) = beyond(models, mail.POLICY)
    assert (seen["everything"], seen["by_token"]) == (True, True)


# --- the oracle and the wire ------------------------------------------------------------------------------------------

BOXES = (mail.FAX, mail.OTHER)
APPS = (
    *(mail.RIGHT, mail.ROLE, mail.GRANT, mail.BARE_RIGHT, mail.NO_POINTER, mail.WRONG_POINTER, mail.NOTHING, mail.WIDE),
    *(mail.POLICY, mail.SCOPED, mail.BASIC),
)


@pytest.mark.parametrize("app", APPS)
def test_what_it_says_is_what_clients_can(models: Emulator, app: str) -> None:
    """Nobody is let in whom the oracle does not name, and nobody is named who is not let in."""
    stir(models)
    told = {box for seen in models.exposures(app_id=app, declared=[]) for box in seen["mailboxes"]}
    exchange, graph_token = mail.token(models, app), mail.token(models, app, mail.GRAPH)
    opened = {box for box in BOXES if clients_can(models, exchange, box) or opens_by_http(models, graph_token, box)}
    assert opened == told & set(BOXES)


def opens_by_http(emulator: Emulator, held: str, box: str) -> bool:
    with emulator.session() as session:
        session.headers["Authorization"] = f"Bearer {held}"
        answers = [
            session.get(f"{mail.GRAPH}/v1.0/users/{box}{path}", timeout=30)
            for path in ("/messages", "/mailboxSettings", "/events")
        ]
    return any(answer.status_code == 200 for answer in answers)
