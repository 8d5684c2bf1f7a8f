# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Model B: which role stands for which permission, whose an assignment is, and what it opens."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils import _reach
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Forbidden, NotFound, ServiceError
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Output
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.application_role import (
    EXCHANGE,
    GRAPH,
    ROLES,
    ApplicationRoles,
    Assignment,
    assignments_of,
    everybodys,
    opens_mail,
    role_named,
    role_of,
    scopes_of,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.grant import Grant
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.pointer import pointer_of
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.recipient_filter import folded, of_group

APP = "1cb8b5d2-8724-4f32-8152-a16a230b682b"
OID = "70dd4f27-6ad4-4e3b-9a1a-7e2b6b9b2d11"
FAX, VIP = "CN=Fax,OU=t,DC=x,DC=y", "CN=VIP,OU=t,DC=x,DC=y"
INSIDE = {folded(FAX): frozenset({"m1"}), folded(VIP): frozenset({"m1", "m2"})}
POINTER = {"AppId": APP.upper(), "ObjectId": OID, "Sid": "S-1-5-21-1", "DisplayName": "Fax", "Identity": OID}


def row(role: str = "Application Mail.Read", **more: t.Any) -> dict[str, t.Any]:
    return {
        **{"Name": "ours", "Role": role, "App": OID, "RoleAssignee": OID, "RoleAssigneeName": "Fax", "Enabled": True},
        **{"CustomResourceScope": "fax-scope", "RecipientWriteScope": "CustomRecipientScope", **more},
    }


def scope(name: str = "fax-scope", *groups: str, **more: t.Any) -> dict[str, t.Any]:
    return {"Name": name, "RecipientFilter": " -or ".join(map(of_group, groups or (FAX,))), "Exclusive": False, **more}


def opened(rows: list[dict[str, t.Any]], scopes: list[dict[str, t.Any]], *, known: bool = True) -> list[Grant]:
    outputs = [Output([POINTER] if known else [], error=None if known else NotFound("no")), Output(rows)]
    return ApplicationRoles().grants(APP, [], [*outputs, Output(scopes)], INSIDE.get)


# ---- roles ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("resource", "permission", "role"),
    [
        ("microsoft_graph", "Mail.ReadWrite", "Application Mail.ReadWrite"),
        (GRAPH.upper(), "Mail.Send", "Application Mail.Send"),
        ("microsoft_graph", "Mail.ReadBasic", "Application Mail.ReadBasic"),
        ("microsoft_graph", "Mail.ReadBasic.All", "Application Mail.ReadBasic"),
        ("microsoft_graph", "Calendars.Read", "Application Calendars.Read"),
        ("exchange_online", "full_access_as_app", "Application EWS.AccessAsApp"),
        (EXCHANGE, "SMTP.SendAsApp", "Application SMTP.SendAsApp"),
        ("exchange_online", "IMAP.AccessAsApp", None),
        ("exchange_online", "POP.AccessAsApp", None),
        ("exchange_online", "Mail.Read", None),
        ("microsoft_graph", "Calendars.ReadBasic.All", None),
        ("microsoft_graph", "SMTP.SendAsApp", None),
    ],
)
def test_a_permission_has_one_role_or_none(resource: str, permission: str, role: str | None):
    assert role_of(resource, permission) == role
    assert role is None or role in ROLES


def test_a_role_is_named_as_itself_or_by_its_permission():
    assert role_named(" application smtp.sendasapp ") == "Application SMTP.SendAsApp"
    assert role_named("full_access_as_app") == "Application EWS.AccessAsApp"
    assert role_named("Mail.ReadBasic.All") == "Application Mail.ReadBasic"
    assert role_named("IMAP.AccessAsApp") is None


def test_what_is_called_like_them_opens_mail():
    assert opens_mail("Application Mail Full Access")
    assert opens_mail("application something.new")
    assert opens_mail("ApplicationImpersonation")
    assert not opens_mail("View-Only Configuration")


# ---- whose ----------------------------------------------------------------------------------------------------------


def test_every_pointer_of_the_tenant_is_no_answer():
    others = [{"AppId": f"0000000{n}-0000-4000-8000-000000000000", "ObjectId": OID} for n in range(3)]
    assert pointer_of(Output(others), APP) is None
    found = pointer_of(Output([*others, POINTER]), APP)
    assert found is not None
    assert found.sid == "s-1-5-21-1"


def test_not_found_is_absent_and_refused_is_not():
    assert pointer_of(Output(error=NotFound("no")), APP) is None
    with pytest.raises(Forbidden):
        pointer_of(Output(error=Forbidden("no")), APP)


@pytest.mark.parametrize(
    "who",
    [
        {"App": OID.upper(), "RoleAssignee": "", "RoleAssigneeName": ""},
        {"App": None, "RoleAssignee": APP, "RoleAssigneeName": None},
        {"App": None, "RoleAssignee": None, "RoleAssigneeName": "fax"},
    ],
)
def test_an_assignment_is_the_applications_by_any_of_its_names(who: dict[str, t.Any]):
    pointer = pointer_of(Output([POINTER]), APP)
    assert len(assignments_of(Output([row(**who)]), pointer)) == 1
    stranger = {"App": "another", "RoleAssignee": "another", "RoleAssigneeName": "Other"}
    assert assignments_of(Output([row(**stranger)]), pointer) == []


def test_a_display_name_decides_nothing_beside_an_id():
    pointer = pointer_of(Output([POINTER]), APP)
    twin = "70dd4f27-0000-4e3b-9a1a-7e2b6b9b2d11"
    assert assignments_of(Output([row(App=twin, RoleAssignee=twin)]), pointer) == []


def test_a_list_that_exchange_cut_short_is_no_answer():
    cut = "There are more results available than are currently displayed. To view them, increase the value."
    for read in (scopes_of, everybodys):
        with pytest.raises(ServiceError, match="short"):
            read(Output([row()], warnings=["something else", cut]))
        assert len(read(Output([row()], warnings=["something else"]))) == 1


def test_the_right_to_hand_a_role_on_is_no_assignment():
    pointer = pointer_of(Output([POINTER]), APP)
    told = row(RoleAssignmentDelegationType="DelegatingOrgWide")
    assert assignments_of(Output([told]), pointer) == []


# ---- what it opens --------------------------------------------------------------------------------------------------


def test_a_scope_holds_its_group():
    [grant] = opened([row()], [scope()])
    assert (grant.only, grant.complete, grant.protocol, grant.permission) == ({"m1"}, True, "graph", "Mail.Read")
    assert not _reach.wider_than([grant], {"m1"})


def test_assignments_add_up_and_bundles_count_in_full():
    grants = opened([row(), row("Application Mail Full Access", Name="2", CustomResourceScope="VIP-SCOPE")], two())
    assert [grant.permission for grant in grants] == ["Mail.Read", "Mail.ReadWrite", "Mail.Send"]
    assert set(_reach.wider_than(grants, {"m1"}).mailboxes) == {"m2"}


def two() -> list[dict[str, t.Any]]:
    return [scope(), scope("vip-scope", VIP)]


@pytest.mark.parametrize(
    "more",
    [
        {"CustomResourceScope": None, "RecipientWriteScope": "Organization"},
        {"CustomResourceScope": "", "RecipientWriteScope": "CustomRecipientScope"},
        {"RecipientWriteScope": "SomethingNew"},
        {"RecipientWriteScope": ""},
        {"CustomResourceScope": "empty"},
    ],
)
def test_without_a_scope_that_is_understood_it_is_everybody(more: dict[str, t.Any]):
    [grant] = opened([row(**more)], [scope(), {"Name": "empty", "RecipientFilter": ""}])
    assert grant.everything
    assert _reach.wider_than([grant], {"m1"})


@pytest.mark.parametrize(
    ("rows", "scopes"),
    [
        ([row(CustomResourceScope="gone")], [scope()]),
        ([row()], [{"Name": "fax-scope", "RecipientFilter": "CustomAttribute1 -eq 'fax'"}]),
        ([row()], [scope("fax-scope", "CN=Nobody knows,DC=x")]),
        ([row(RecipientWriteScope="AdministrativeUnit", CustomRecipientWriteScope="au")], [scope()]),
        ([row(RecipientWriteScope="Group")], [scope()]),
    ],
)
def test_what_cannot_be_told_is_not_called_closed(rows: list[dict[str, t.Any]], scopes: list[dict[str, t.Any]]):
    [grant] = opened(rows, scopes)
    assert not grant.complete
    assert _reach.wider_than([grant], {"m1"}).unknown


def test_a_disabled_one_is_dormant_and_other_roles_open_no_mailbox():
    assert opened([row(Enabled=False), row(Enabled="False"), row("View-Only Configuration")], [scope()]) == []
    assert opened([row()], [scope()], known=False) == []


def test_a_filter_is_read_from_either_property():
    [grant] = opened([row()], [{"Name": "FAX-scope", "RecipientRestrictionFilter": of_group(FAX)}])
    assert grant.only == {"m1"}


def test_the_words_say_what_limits():
    assert "every mailbox" in str(Assignment("a", "Application Mail.Read"))
    assert "scope 's'" in str(Assignment("a", "Application Mail.Read", "s", "CustomRecipientScope"))
