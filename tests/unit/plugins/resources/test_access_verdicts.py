# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Exchange says under each scoping model, and what is no verdict."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils import _time
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Forbidden, NotFound, ServiceError
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Output
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.access_info import Desired, plan, verdicts
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.access_info import State as Current
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.access_verdicts import (
    ASKERS,
    DENIED,
    GRANTED,
    PARTLY,
    Asked,
    Said,
    Told,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.model import MODELS

APP, OID, SID = "1cb8b5d2-8724-4f32-8152-a16a230b682b", "70dd4f27-6ad4-4e3b-9a1a-7e2b6b9b2d11", "S-1-5-21-1-2-3-40001"
FAX, LEE = "fax@contoso.com", "lee@contoso.com"
READ, SEND = "Application Mail.Read", "Application Mail.Send"
POINTER = Output([{"AppId": APP, "ObjectId": OID, "Sid": SID, "Name": OID}])
ABSENT = Output(error=NotFound("no"))
NOW = _time.instant("2026-11-28T03:00:00Z")
assert NOW is not None


def row(role: str = READ, inside: t.Any = True, kind: str = "CustomRecipientScope", **more: t.Any) -> dict[str, t.Any]:
    words = more.pop("words", role.removeprefix("Application "))
    return {"RoleName": role, "GrantedPermissions": words, "InScope": inside, "ScopeType": kind, **more}


def by_roles(*outputs: Output, roles: tuple[str, ...] = (READ,), pointer: Output = POINTER) -> list[t.Any]:
    asked = Asked(APP, (FAX, LEE)[: len(outputs)], roles)
    told = ASKERS["application_role"].told(asked, [pointer, *outputs])
    return [told[mailbox] for mailbox in asked.mailboxes]


def word(told: Said | ServiceError) -> str:
    return told.verdict if isinstance(told, Said) else "unknown"


def test_every_model_can_be_asked():
    assert set(ASKERS) == set(MODELS)


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        ([row()], GRANTED),
        ([row(inside="True")], GRANTED),
        ([row(inside="False")], DENIED),
        ([row(inside=False), row(inside=True)], GRANTED),
        ([], DENIED),
        ([row(SEND)], PARTLY),
        ([row("Application Exchange Full Access", words="Mail.Read, Mail.Send")], GRANTED),
        ([row(words="")], GRANTED),
        ([row(inside="Not Run", kind="Organization")], GRANTED),
        ([row(inside="Not Run", kind="SomethingNew")], GRANTED),
    ],
)
def test_roles_in_scope_are_told_in_many_ways(rows: list[dict[str, t.Any]], verdict: str):
    [told] = by_roles(Output(rows))
    assert told.verdict == verdict


def test_every_role_counts_and_what_is_for_everybody_is_said():
    [told] = by_roles(Output([row(), row(SEND, inside=False)]), roles=(READ, SEND))
    assert (told.verdict, "Mail.Send" in told.reason) == (PARTLY, True)
    [told] = by_roles(Output([row(kind="Organization")]))
    assert "whole organization" in told.reason


def test_a_scope_that_was_not_run_is_no_verdict():
    with pytest.raises(ServiceError, match="Not Run"):
        by_roles(Output([row(inside="Not Run")]))


def test_an_application_that_exchange_does_not_know_has_no_role():
    told = by_roles(ABSENT, ABSENT, pointer=ABSENT)
    assert [one.verdict for one in told] == [DENIED, DENIED]
    assert "does not know the application" in told[0].reason
    # Shown already, and not to be asked about yet.
    assert [word(one) for one in by_roles(ABSENT, ABSENT)] == [DENIED, DENIED]
    assert [word(one) for one in by_roles(Output([row()]), ABSENT)] == [GRANTED, "unknown"]
    with pytest.raises(Forbidden):
        by_roles(Output(error=Forbidden("no")), pointer=ABSENT)


OWNER = {"Identity": "fax", "User": "NT AUTHORITY\\SELF", "UserSid": "S-1-5-10", "AccessRights": ["FullAccess"]}


def by_rights(rows: list[dict[str, t.Any]], send: list[dict[str, t.Any]] | None = None, **more: t.Any) -> t.Any:
    rights = frozenset({"FullAccess"} if send is None else {"FullAccess", "SendAs"})
    asked = Asked(APP, (FAX,), rights=rights, sid=more.get("sid", ""), one_by_one=more.get("one_by_one", False))
    sends = [] if send is None else [more.get("sends", Output(send))]
    pointed = [] if asked.sid else [more.get("pointer", POINTER)]
    outputs = [*pointed, *sends, Output([OWNER, *rows])]
    assert len(ASKERS["mailbox_permission"].cmdlets(asked)) == len(outputs)
    told: Told = ASKERS["mailbox_permission"].told(asked, outputs)
    return told[FAX]


def entry(**more: t.Any) -> dict[str, t.Any]:
    return {"Identity": "fax", "User": "x", "UserSid": SID, "AccessRights": ["FullAccess"], "Deny": False, **more}


SENDS = {"Identity": "fax", "Trustee": "x", "TrusteeSidString": SID, "AccessRights": ["SendAs"]}


def test_rights_are_told_by_sid():
    assert by_rights([entry()]).verdict == GRANTED
    assert by_rights([entry(UserSid="S-1-5-21-9", User=OID)]).verdict == DENIED
    assert by_rights([entry(), entry(Deny=True)]).verdict == DENIED
    assert by_rights([entry()], []).verdict == PARTLY
    assert by_rights([entry()], [{**SENDS, "AccessControlType": "Allow"}]).verdict == GRANTED
    assert by_rights([], [{**SENDS, "AccessControlType": "Deny"}]).verdict == DENIED
    assert by_rights([entry()], pointer=ABSENT).verdict == DENIED
    assert by_rights([entry()], sid=SID.lower()).verdict == GRANTED
    assert by_rights([entry()], sid="s-1-5-21-9").verdict == DENIED
    allowed = {**SENDS, "AccessControlType": "Allow"}
    assert by_rights([entry()], [{**allowed, "Identity": "somebody else"}]).verdict == PARTLY
    assert by_rights([entry()], [], sends=ABSENT).verdict == PARTLY
    assert by_rights([entry()], [allowed], one_by_one=True).verdict == GRANTED


def test_without_a_limit_everything_is_granted_that_is_there():
    asked = Asked(APP, (FAX, LEE))
    told = ASKERS["tenant_wide"].told(asked, [Output([{}]), ABSENT])
    assert [word(one) for one in told.values()] == [GRANTED, "unknown"]


BOTH = ("application_role", "mailbox_permission")


@pytest.mark.parametrize(
    ("expected", "roles", "rights", "verdict"),
    [
        (GRANTED, True, True, GRANTED),
        (GRANTED, True, False, DENIED),
        (GRANTED, False, True, DENIED),
        (DENIED, False, False, DENIED),
        (DENIED, True, False, GRANTED),
        (DENIED, False, True, GRANTED),
        (None, False, True, GRANTED),
    ],
)
def test_models_are_summed_up_to_what_is_not_expected(expected: str | None, roles: bool, rights: bool, verdict: str):
    desired = Desired(APP, {FAX: expected}, scoping=BOTH, roles=(READ,), rights=frozenset({"FullAccess"}))
    outputs = [POINTER, Output([row(inside=roles)]), POINTER, Output([entry()] if rights else [])]
    [found] = verdicts(desired, outputs, NOW)
    assert found.verdict == verdict
    assert [one["scoping"] for one in found.as_dict()["by"]] == list(BOTH)
    told = plan(Current((found,)), desired)
    if found.as_expected is False:
        assert told.blocked is not None
        assert "exchange_application_role" in told.blocked.cure
        assert "application_role is" in told.blocked.message or "mailbox_permission is" in told.blocked.message
    else:
        assert told.outcome == "ok"
