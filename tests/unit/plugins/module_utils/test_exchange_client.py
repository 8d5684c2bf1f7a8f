# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What no cmdlet may be sent without: an empty value, or a missing scope, would mean the whole tenant."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet

ASSIGNMENT: dict[str, t.Any] = {
    **{"Name": "fax", "App": "fax", "Role": "Application Mail.Read", "CustomResourceScope": "fax"},
}


@pytest.mark.parametrize(
    "name", ["Identity", "Member", "AppId", "PolicyScopeGroupId", "User", "Trustee", "App", "Role", "Filter", "user"]
)
@pytest.mark.parametrize("value", ["", " ", None, [], [""]])
def test_no_empty_value_where_it_would_mean_everything(name: str, value: t.Any):
    with pytest.raises(ValueError, match="must not be empty"):
        Cmdlet("Get-Anything", {name: value}, "look")


def test_a_role_for_an_application_needs_a_scope():
    Cmdlet("New-ManagementRoleAssignment", ASSIGNMENT, "assign")
    for without in ("CustomResourceScope", "Role", "Name"):
        with pytest.raises(ValueError, match="needs"):
            Cmdlet("New-ManagementRoleAssignment", {k: v for k, v in ASSIGNMENT.items() if k != without}, "assign")
    with pytest.raises(ValueError, match="App"):
        Cmdlet("new-managementroleassignment", {"NAME": "x", "APP": "fax", "Role": "Application Mail.Read"}, "assign")
    for scope in ("RecipientGroupScope", "RecipientAdministrativeUnitScope", "CustomRecipientWriteScope"):
        with pytest.raises(ValueError, match="CustomResourceScope"):
            Cmdlet("New-ManagementRoleAssignment", {"Name": "x", "App": "fax", "Role": "x", scope: "fax"}, "assign")


def test_nobody_takes_the_scope_of_an_assignment_away():
    for value in (None, "", " "):
        with pytest.raises(ValueError, match="CustomResourceScope must not be empty"):
            Cmdlet("Set-ManagementRoleAssignment", {"Identity": "fax", "CustomResourceScope": value}, "change")


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("Add-MailboxPermission", {"Identity": "fax", "AccessRights": "FullAccess"}),
        ("Remove-MailboxPermission", {"User": "fax", "AccessRights": "FullAccess"}),
        ("Add-RecipientPermission", {"Identity": "fax", "AccessRights": "SendAs"}),
        ("New-ManagementScope", {"Name": "fax"}),
        ("New-ManagementScope", {"RecipientRestrictionFilter": "fax"}),
        ("New-ServicePrincipal", {"AppId": "fax"}),
        ("New-ApplicationAccessPolicy", {"AppId": "fax", "AccessRight": "RestrictAccess"}),
        ("Set-CASMailbox", {"ImapEnabled": True}),
        ("Remove-ServicePrincipal", {"Confirm": False}),
        ("Remove-DistributionGroupMember", {"Member": "fax"}),
    ],
)
def test_a_write_says_what_it_is_about(name: str, parameters: dict[str, t.Any]):
    with pytest.raises(ValueError, match="needs"):
        Cmdlet(name, parameters, "write")


def test_the_same_value_elsewhere_may_be_empty():
    Cmdlet("Set-OrganizationConfig", {"EwsAllowedAppIDs": None}, "write")
    Cmdlet("Set-ApplicationAccessPolicy", {"Identity": "x", "Description": ""}, "write")
