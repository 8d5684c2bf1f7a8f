# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Role assignments, rights on mailboxes and protocol switches, as Exchange behaves; and the oracle's view of them."""

from __future__ import annotations

import typing as t

import pytest
import yaml

from tests.emulator.testing import DEMO_TENANT, Emulator, start_emulator
from tests.fidelity.tenant import TENANT, Tenant

DOMAIN = "imagicleucdev.onmicrosoft.com"
FAX, ADELE = f"fax@{DOMAIN}", f"AdeleV@{DOMAIN}"
APP, OTHER = "33333333-0000-4000-8000-000000000001", "33333333-0000-4000-8000-000000000002"
ROLE = "Application SMTP.SendAsApp"
Json = dict[str, t.Any]


def entry(**keys: t.Any) -> Json:
    made: Json = yaml.safe_load(DEMO_TENANT.read_text(encoding="utf-8"))["tenants"][0]
    made |= {
        "applications": [
            {"displayName": "Fax", "appId": APP, "passwordCredentials": [{"secretText": "s3cret-of-fax"}]},
            {"displayName": "Scanner", "appId": OTHER},
        ],
        "groups": [
            {"name": "Scope", "alias": "scope", "members": [FAX]},
            {"name": "O'Brien", "alias": "obrien", "members": ["scope"]},
        ],
        **keys,
    }
    return made


@pytest.fixture
def emulator() -> t.Iterator[Emulator]:
    with start_emulator({"tenants": [entry()]}) as running:
        yield running


@pytest.fixture
def tenant(emulator: Emulator) -> Tenant:
    return Tenant(emulator)


def rows(answer: t.Any) -> list[Json]:
    assert answer.status_code == 200, answer.text
    return t.cast("list[Json]", answer.json()["value"])


def refusal(answer: t.Any) -> str:
    assert answer.status_code in (400, 404), answer.text
    return str(answer.json()["error"]["details"][0]["message"])


def object_id(emulator: Emulator, app_id: str) -> str:
    return next(sp["id"] for sp in emulator.state(TENANT)["servicePrincipals"] if sp["appId"] == app_id)


def test_from_a_group_to_a_scoped_role(emulator: Emulator, tenant: Tenant) -> None:
    (pointer,) = rows(tenant.invoke("New-ServicePrincipal", AppId=APP, ObjectId=object_id(emulator, APP)))
    assert pointer["Sid"].startswith("S-1-5-21-")
    assert "already exists" in refusal(tenant.invoke("New-ServicePrincipal", AppId=APP, ObjectId=OTHER))
    for name in (APP, pointer["ObjectId"], pointer["Sid"], pointer["Guid"].upper()):
        assert rows(tenant.invoke("Get-ServicePrincipal", Identity=name)) == [pointer]
    assert tenant.invoke("Get-ServicePrincipal", Identity=OTHER).status_code == 404

    (group,) = rows(tenant.invoke("Get-DistributionGroup", Identity="scope"))
    text = f"MemberOfGroup -eq '{group['DistinguishedName']}'"
    (scope,) = rows(tenant.invoke("New-ManagementScope", Name="fax-scope", RecipientRestrictionFilter=text))
    assert (scope["RecipientFilter"], scope["RecipientRestrictionFilter"]) == (text, "")
    assert "filter" in refusal(tenant.invoke("New-ManagementScope", Name="empty", RecipientRestrictionFilter=""))
    wanted = {"Role": ROLE, "App": APP, "CustomResourceScope": "FAX-scope"}
    (made,) = rows(tenant.invoke("New-ManagementRoleAssignment", Name="fax-smtp", **wanted))
    assert (made["App"], made["RecipientWriteScope"]) == (pointer["ObjectId"], "CustomRecipientScope")
    assert rows(tenant.invoke("Get-ManagementRoleAssignment", RoleAssignee=APP)) == [made]
    for mailbox, inside in ((FAX, True), (ADELE, False)):
        (row,) = rows(tenant.invoke("Test-ServicePrincipalAuthorization", Identity=APP, Resource=mailbox))
        assert (row["GrantedPermissions"], row["InScope"]) == ("SMTP.SendAsApp", inside)
    assert "uses it" in refusal(tenant.invoke("Remove-ManagementScope", Identity="fax-scope", Confirm=False))
    assert emulator.exposures(app_id=APP, declared=[FAX]) == []

    # A second one without a scope is for everybody, and is made without a word.
    rows(tenant.invoke("New-ManagementRoleAssignment", Name="wide", Role=ROLE, App=APP))
    (seen,) = emulator.exposures(app_id=APP)
    assert (seen["everything"], {way["model"] for way in seen["ways"]}) == (True, {"application_role"})
    # The pointer takes its assignments along.
    rows(tenant.invoke("Remove-ServicePrincipal", Identity=APP, Confirm=False))
    assert rows(tenant.invoke("Get-ManagementRoleAssignment")) == []


def test_a_compound_filter_comes_back_in_another_form_and_counts_direct_members(tenant: Tenant) -> None:
    names = [
        rows(tenant.invoke("Get-DistributionGroup", Identity=one))[0]["DistinguishedName"]
        for one in ("scope", "obrien")
    ]
    clauses = ["MemberOfGroup -eq '{}'".format(name.replace("'", "''")) for name in names]
    (scope,) = rows(tenant.invoke("New-ManagementScope", Name="both", RecipientRestrictionFilter=" -or ".join(clauses)))
    assert scope["RecipientFilter"] == f"(({clauses[1]}) -or ({clauses[0]}))"
    (group,) = rows(tenant.invoke("Get-DistributionGroup", Identity="obrien"))
    assert (
        len(
            rows(tenant.invoke("Get-Recipient", Filter=f"MemberOfGroup -eq '{names[1].replace(chr(39), chr(39) * 2)}'"))
        )
        == 1
    )
    assert group["Name"] == "O'Brien"


def test_rights_on_a_mailbox_and_the_grant_that_makes_them_count(emulator: Emulator, tenant: Tenant) -> None:
    (pointer,) = rows(tenant.invoke("New-ServicePrincipal", AppId=APP, ObjectId=object_id(emulator, APP)))
    add = {"User": pointer["ObjectId"], "AccessRights": ["FullAccess"], "AutoMapping": False, "InheritanceType": "All"}
    (row,) = rows(tenant.invoke("Add-MailboxPermission", Identity=FAX, **add))
    assert (row["UserSid"], row["AccessRights"], row["Deny"]) == (pointer["Sid"], ["FullAccess"], False)
    again = tenant.invoke("Add-MailboxPermission", Identity=FAX, **add)
    assert "already present" in again.json()["@adminapi.warnings"][0]
    assert [one["User"] for one in rows(tenant.invoke("Get-MailboxPermission", Identity=FAX))] == [
        "NT AUTHORITY\\SELF",
        pointer["Name"],
    ]
    rows(tenant.invoke("Add-RecipientPermission", Identity=FAX, Trustee=APP, AccessRights=["SendAs"], Confirm=False))
    (sends,) = rows(tenant.invoke("Get-RecipientPermission", Trustee=APP))
    assert (sends["TrusteeSidString"], sends["AccessRights"]) == (pointer["Sid"], ["SendAs"])
    assert emulator.exposures(declared=[]) == []  # without a grant in Entra a right opens nothing

    absent = tenant.invoke("Remove-MailboxPermission", Identity=ADELE, User=APP, AccessRights=["FullAccess"])
    assert (absent.status_code, "doesn't exist" in absent.json()["@adminapi.warnings"][0]) == (200, True)
    # A pointer that is made anew has another SID, and the old right stays behind.
    rows(tenant.invoke("Remove-ServicePrincipal", Identity=APP, Confirm=False))
    (second,) = rows(tenant.invoke("New-ServicePrincipal", AppId=APP, ObjectId=pointer["ObjectId"]))
    assert second["Sid"] != pointer["Sid"]
    assert len(rows(tenant.invoke("Get-MailboxPermission", Identity=FAX))) == 1
    unresolved = rows(tenant.invoke("Get-MailboxPermission", Identity=FAX, IncludeUnresolvedPermissions=True))
    assert unresolved[1]["User"] == pointer["Sid"]


def test_the_oracle_counts_rights_roles_and_grants_together() -> None:
    keys = entry(
        exchange_service_principals=[
            {"app_id": APP},
            {"app_id": OTHER, "object_id": "aaaaaaaa-0000-4000-8000-000000000001"},
        ],
        management_scopes=[{"name": "s", "group": "scope"}],
        role_assignments=[
            {"name": "a", "app_id": APP, "role": ROLE, "scope": "s"},
            {"name": "b", "app_id": OTHER, "role": "Application Mail.Read", "scope": None},
        ],
        mailbox_permissions=[
            {"mailbox": ADELE, "app_id": APP, "rights": ["FullAccess", "SendAs"]},
            {"mailbox": FAX, "app_id": APP, "rights": ["FullAccess"], "deny": True},
        ],
    )
    keys["applications"][0]["app_roles"] = ["IMAP.AccessAsApp"]
    with start_emulator({"tenants": [keys]}) as emulator:
        Tenant(emulator).application("Anything")
        (seen,) = emulator.exposures(declared=[])
        assert (seen["appId"], seen["mailboxes"], seen["everything"]) == (APP, [ADELE, FAX], False)
        assert {(way["protocol"], way["model"]) for way in seen["ways"]} == {
            ("imap", "mailbox_permission"),
            ("smtp", "application_role"),
        }
        # A pointer with another object id than the service principal's leads nowhere, so its role opens nothing.
        assert {e["appId"] for e in emulator.exposures(declared=[FAX])} == {APP}


def test_a_tenant_that_was_never_customized() -> None:
    with start_emulator({"tenants": [entry(dehydrated=True)]}, profile="realistic") as emulator:
        tenant = Tenant(emulator)

        def asked(cmdlet: str, **parameters: t.Any) -> t.Any:
            for _unused in range(8):  # its hiccups are not what is looked at
                answer = tenant.invoke(cmdlet, **parameters)
                if answer.status_code not in (429, 503) and "again" not in answer.text:
                    return answer
            raise AssertionError(answer.text)

        scope = {"Name": "s", "RecipientRestrictionFilter": f"PrimarySmtpAddress -eq '{FAX}'"}
        assert "Enable-OrganizationCustomization" in refusal(asked("New-ManagementScope", **scope))
        assert rows(asked("Get-OrganizationConfig"))[0]["IsDehydrated"] is True
        assert asked("Enable-OrganizationCustomization").status_code == 200
        assert rows(asked("Get-OrganizationConfig"))[0]["IsDehydrated"] is False
        rows(asked("New-ManagementScope", **scope))
        rows(asked("New-ServicePrincipal", AppId=APP, ObjectId=object_id(emulator, APP)))
        emulator.clock(seconds=10)
        wanted = {"Role": ROLE, "App": APP, "CustomResourceScope": "s"}
        assert "delegating" in refusal(asked("New-ManagementRoleAssignment", **wanted))
        emulator.clock(seconds=3600)
        tenant = Tenant(emulator)
        rows(asked("New-ManagementRoleAssignment", **wanted))


def test_switches_of_the_protocols(emulator: Emulator, tenant: Tenant) -> None:
    (before,) = rows(tenant.invoke("Get-CASMailbox", Identity=FAX))
    assert (before["ImapEnabled"], before["SmtpClientAuthenticationDisabled"]) == (True, None)
    assert rows(tenant.invoke("Get-TransportConfig"))[0]["SmtpClientAuthenticationDisabled"] is True
    tenant.invoke("Set-CASMailbox", Identity=FAX, ImapEnabled=False, SmtpClientAuthenticationDisabled=False)
    (after,) = rows(tenant.invoke("Get-CASMailbox", Identity=FAX))
    assert (after["ImapEnabled"], after["SmtpClientAuthenticationDisabled"]) == (False, False)
    state = {box["PrimarySmtpAddress"]: box for box in emulator.state(TENANT)["casMailboxes"]}
    assert state[FAX]["ImapEnabled"] is False
    assert state[ADELE]["ImapEnabled"] is True


@pytest.mark.parametrize("answer", ["404", "400", "everything"])
def test_an_unknown_service_principal_is_answered_in_three_ways(answer: str) -> None:
    keys = entry(exchange_service_principals=[{"app_id": APP}], switches={"unknown_service_principal": answer})
    with start_emulator({"tenants": [keys]}) as emulator:
        got = Tenant(emulator).invoke("Get-ServicePrincipal", Identity=OTHER)
    if answer == "everything":
        assert [row["AppId"] for row in rows(got)] == [APP]
    else:
        assert got.status_code == int(answer)


def test_who_may_hand_a_role_on_is_listed_and_one_that_nobody_may_is_refused_for_good() -> None:
    with start_emulator({"tenants": [entry(switches={"not_delegated_roles": [ROLE]})]}) as emulator:
        tenant = Tenant(emulator)
        rows(tenant.invoke("New-ServicePrincipal", AppId=APP, ObjectId=object_id(emulator, APP)))
        handed_on = rows(tenant.invoke("Get-ManagementRoleAssignment", Delegating=True))
        assert {one["RoleAssignee"] for one in handed_on} == {"Organization Management"}
        assert ROLE not in {one["Role"] for one in handed_on}
        assert rows(tenant.invoke("Get-ManagementRoleAssignment", Role=ROLE, Delegating=True)) == []
        assert rows(tenant.invoke("Get-ManagementRoleAssignment")) == []
        text = refusal(tenant.invoke("New-ManagementRoleAssignment", Name="x", Role=ROLE, App=APP))
        assert "delegating role assignment" in text
        rows(tenant.invoke("New-ManagementRoleAssignment", Name="x", Role="Application Mail.Read", App=APP))
