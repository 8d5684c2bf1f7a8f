# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""exchange_service_principal: the object id is Graph's, always; nothing goes that something hangs on."""

from __future__ import annotations

import typing as t

import pytest

from tests.emulator.testing import Emulator
from tests.integration.app_roles import (
    APP,
    CONTROL,
    FAX,
    NEW,
    OTHER,
    WRONG,
    assigned,
    by_hand,
    tenants,
)
from tests.integration.app_roles import (
    apply as assign,
)
from tests.integration.exchange_admin import admin, changes, sent
from tests.integration.harness import GRAPH, TENANT_ID, graph_as_a_person, requests_to, run
from tests.integration.transports import emulators, start_emulator

ZERO = "00000000-0000-0000-0000-000000000000"


running, quick, both, emulator = emulators(tenants())


def apply(emulator: Emulator, app_id: str = NEW, check_mode: bool = False, **options: t.Any) -> dict[str, t.Any]:
    emulator.clear_journal()
    return run("exchange_service_principal", {"app_id": app_id, **options}, emulator, check_mode)


def pointers(emulator: Emulator) -> dict[str, str]:
    return {one["AppId"]: one["ObjectId"] for one in emulator.state(TENANT_ID)["exchangeServicePrincipals"]}


def object_id(emulator: Emulator, app_id: str = NEW, kind: str = "servicePrincipals") -> str:
    return str(graph_as_a_person(emulator, "GET", f"/{kind}?$filter=appId eq '{app_id}'")["value"][0]["id"])


def test_it_is_made_once_and_removed(both: Emulator):
    before = pointers(both)
    first = apply(both, display_name="Fax server")
    assert first["outcome"] == "changed", first
    wanted = object_id(both)
    assert pointers(both) == {**before, NEW: wanted}
    assert first["sid"].startswith("S-1-5-21-")
    assert first["service_principal"]["display_name"] == "Fax server"
    assert first["added"] == [{"kind": "pointer", "of": NEW, "id": wanted}]
    again = apply(both)
    assert (again["outcome"], again["sid"], changes(both)) == ("ok", first["sid"], [])
    gone = apply(both, state="absent", mailboxes=[FAX])
    assert (gone["outcome"], gone["sid"], pointers(both)) == ("changed", None, before)
    assert apply(both, state="absent")["outcome"] == "ok"


def test_what_graph_said_in_this_run_is_not_asked_again(emulator: Emulator):
    wanted = object_id(emulator, APP)
    assert apply(emulator, APP, object_id=wanted.upper(), object_id_read=True)["outcome"] == "ok"
    assert (sent(emulator), requests_to(emulator, GRAPH)) == (["Get-ServicePrincipal"], [])
    assert apply(emulator, APP, object_id=wanted)["outcome"] == "ok"
    assert len(requests_to(emulator, GRAPH)) == 1


def test_what_the_preflight_read_of_both_in_this_run_is_not_asked_again(emulator: Emulator):
    wanted = object_id(emulator, APP)
    read = apply(emulator, APP)["service_principal"]
    known = apply(emulator, APP, object_id=wanted, object_id_read=True, pointer_read=read)
    assert (known["outcome"], known["service_principal"], sent(emulator)) == ("ok", read, [])
    # Exchange is asked where one of both is not known, or they do not agree.
    for options in (
        {"pointer_read": read},
        {"object_id": wanted, "object_id_read": True, "pointer_read": {**read, "object_id": APP}},
        {"object_id": wanted, "object_id_read": True, "pointer_read": {**read, "app_id": NEW}},
        {"object_id": wanted, "object_id_read": True, "pointer_read": {}},
    ):
        assert apply(emulator, APP, **options)["outcome"] == "ok"
        assert sent(emulator) == ["Get-ServicePrincipal"]


def test_a_server_that_does_not_know_it_yet_is_asked_again(emulator: Emulator) -> None:
    apply(emulator)
    text = "Ex6F9304|Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException|It couldn't be found."
    details = [{"code": "Context", "target": "", "message": text}]
    body = {"error": {"code": "NotFound", "message": "Error executing cmdlet", "details": details}}
    rule = {"match": {"cmdlet": "Remove-ServicePrincipal"}, "nth": 1, "effect": {"status": 404, "body": body}}
    emulator.faults([rule])
    assert apply(emulator, state="absent")["outcome"] == "changed"
    assert apply(emulator, state="absent")["outcome"] == "ok"


@pytest.mark.parametrize("unknown", ["404", "400", "everything"])
def test_an_unknown_identity_may_be_answered_in_three_ways(unknown: str):
    with start_emulator(tenants(switches={"unknown_service_principal": unknown}), "rest") as emulator:
        assert apply(emulator)["outcome"] == "changed"
        assert pointers(emulator)[NEW] == object_id(emulator)


def test_the_id_of_the_registration_is_explained(emulator: Emulator):
    registration = object_id(emulator, NEW, "applications")
    told = apply(emulator, object_id=registration)
    assert told["outcome"] == "blocked"
    assert "registration" in told["msg"]
    assert object_id(emulator) in told["error"]["cure"]
    assert NEW not in pointers(emulator)
    admin(emulator, "New-ServicePrincipal", AppId=NEW, ObjectId=registration)
    for options in ({}, {"object_id": object_id(emulator)}, {"object_id": registration}):
        told = apply(emulator, **options)
        assert told["outcome"] == "blocked"
        assert "registration" in told["msg"]
        assert told["error"]["options"][0] in ("on_wrong_pointer", "object_id")


def test_a_wrong_one_is_replaced_when_told(both: Emulator):
    by_hand(both, app_id=WRONG, CustomResourceScope="Others' scope")
    told = apply(both, WRONG)
    assert told["outcome"] == "blocked"
    assert "9999" in told["msg"]
    assert told["error"]["details"]["assignments"][0]["name"] == "by hand"
    assert changes(both) == []
    planned = apply(both, WRONG, check_mode=True, on_wrong_pointer="replace")
    assert len(planned["steps"]) == 2
    done = apply(both, WRONG, on_wrong_pointer="replace")
    assert done["outcome"] == "changed", done
    assert changes(both) == ["Remove-ServicePrincipal", "New-ServicePrincipal"]
    assert pointers(both)[WRONG] == object_id(both, WRONG) == done["object_id"]
    assert any("by hand" in text for text in done["warnings"])
    assert any("SID" in text for text in done["warnings"])
    assert apply(both, WRONG, on_wrong_pointer="replace")["outcome"] == "ok"


def test_an_object_id_that_another_application_holds_is_told(emulator: Emulator):
    stranger = "77777777-0000-4000-8000-000000000007"
    admin(emulator, "New-ServicePrincipal", AppId=stranger, ObjectId=object_id(emulator), DisplayName="Odd")
    told = apply(emulator)
    assert told["outcome"] == "blocked", told
    assert stranger in told["msg"]


def test_there_has_to_be_a_service_principal_in_entra(emulator: Emulator):
    told = apply(emulator, "88888888-0000-4000-8000-000000000008")
    assert told["outcome"] == "blocked"
    assert "no service principal in Entra" in told["msg"]
    assert changes(emulator) == []


def test_check_mode_knows_the_id_after_the_run(emulator: Emulator):
    for app_id in (ZERO, NEW):
        told = apply(emulator, app_id, check_mode=True)
        assert (told["outcome"], changes(emulator)) == ("changed", [])
        assert told["object_id"] == (ZERO if app_id == ZERO else object_id(emulator))
        assert told["diff"]["before"] == {}


def test_nothing_goes_that_something_hangs_on(emulator: Emulator):
    told = apply(emulator, OTHER, state="absent")
    assert told["outcome"] == "blocked"
    assert "theirs" in told["msg"]
    admin(emulator, "Remove-ManagementRoleAssignment", Identity="theirs")
    admin(emulator, "Add-MailboxPermission", Identity=FAX, User=OTHER, AccessRights=["FullAccess"])
    admin(emulator, "Add-RecipientPermission", Identity=CONTROL, Trustee=OTHER, AccessRights=["SendAs"])
    told = apply(emulator, OTHER, state="absent", mailboxes=[FAX])
    assert told["outcome"] == "blocked"
    assert {one["right"] for one in told["error"]["details"]["rights"]} == {"FullAccess", "SendAs"}
    assert OTHER in pointers(emulator)


def test_check_mode_counts_as_gone_what_the_steps_before_take_back(emulator: Emulator):
    assign(emulator)
    assert assigned(emulator)
    assert apply(emulator, APP, state="absent")["outcome"] == "blocked"
    assert apply(emulator, APP, check_mode=True, state="absent")["outcome"] == "changed"
    by_hand(emulator, CustomResourceScope="Others' scope")
    assert apply(emulator, APP, check_mode=True, state="absent")["outcome"] == "blocked"


@pytest.mark.parametrize("effect", ["drop_before", "drop_after"])
@pytest.mark.parametrize("cmdlet", ["New-ServicePrincipal", "Remove-ServicePrincipal"])
def test_a_lost_answer_is_looked_for(emulator: Emulator, cmdlet: str, effect: str):
    emulator.faults([{"match": {"cmdlet": cmdlet}, "times": 1, "effect": effect}])
    done = apply(emulator, WRONG, on_wrong_pointer="replace")
    assert done["outcome"] == "changed", done
    assert pointers(emulator)[WRONG] == object_id(emulator, WRONG)


def test_a_refusal_in_other_words_is_looked_into(emulator: Emulator):
    """A pointer that a lost answer made, and a 400 whose text nobody has seen."""
    error = {"code": "BadRequest", "message": "Something about it.", "details": [{"message": "|System.X|Odd words."}]}
    refusal = {"status": 400, "body": {"error": error}}
    emulator.faults([{"match": {"cmdlet": "New-ServicePrincipal"}, "times": 1, "effect": refusal}])
    told = apply(emulator)
    assert told["outcome"] == "failed", told
    assert "Odd words" in told["msg"]
    emulator.faults([])
    assert apply(emulator)["outcome"] == "changed"
