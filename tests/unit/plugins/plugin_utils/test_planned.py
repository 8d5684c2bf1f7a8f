# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run would be refused for later is told by the look that it begins with."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.action import m365_tenant_info
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import InvalidInput
from ansible_collections.mail2fax.m365.plugins.module_utils._names import ZERO_GUID
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight import desired
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _planned, _profile

Json = dict[str, t.Any]
FAX = "fax@contoso.com"
LOOK: Json = {
    "application": {"unique_name": "u", "display_name": "n", "on_deleted": "fail", "on_namesake": "fail"},
    "permissions": [{"resource": "exchange_online", "application": ["full_access_as_app"]}],
    "mailboxes": [FAX],
    "group": {"name": "Fax", "alias": "fax", "owners": [], "on_other_policies": "fail", "declared": ["name"]},
    "application_role": {"scope_name": "Fax", "on_entra_grant": "fail"},
    "ews": {"required": True, "on_unset": "keep"},
    "store": {"backend": "vault_file", "path": "x"},
}


def steps(profile: str = "imagicle_ews", scoping: t.Any = None) -> list[str]:
    return list(_profile.load(profile, scoping=scoping)["steps"])


def refused(look: Json | None = None, **planned: t.Any) -> list[str]:
    return _planned.refused({"steps": steps(), **planned}, {**LOOK, **(look or {})})


def test_a_run_of_which_all_is_well_is_not_refused() -> None:
    assert refused() == []
    assert _planned.refused({}, LOOK) == []


def test_what_the_look_is_told_is_not_said_again() -> None:
    asked = _planned.asked(
        {"steps": steps(), "options": {"exchange_application_access_policy": {"description": "d"}}}, LOOK
    )
    assert asked["exchange_security_group"] == {"name": "Fax", "alias": "fax", "owners": [], "members": [FAX]}
    assert asked["exchange_application_access_policy"] == {
        "app_id": ZERO_GUID,
        "group": "fax",
        "on_other_policies": "fail",
        "description": "d",
    }
    assert asked["entra_application"] == {**LOOK["application"], "permissions": LOOK["permissions"]}


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["scope_group"], {"exchange_security_group"}),
        (["group", "policy"], {"exchange_security_group", "exchange_application_access_policy"}),
        (["mailbox_permission"], {"exchange_mailbox_permission"}),
        ([], set()),
        (None, {"exchange_mailbox_permission"}),
    ],
)
def test_a_module_whose_step_is_not_planned_is_not_asked(words: list[str] | None, asked: set[str]) -> None:
    planned = {"steps": words, "options": {"exchange_mailbox_permission": {"scan": "all"}}}
    assert set(_planned.asked(planned, LOOK)) == asked


def test_what_belongs_to_no_step_is_asked() -> None:
    (told,) = refused(options={"handover": {"time_zone": "Rome"}})
    assert "mail2fax_time_zone" in told


@pytest.mark.parametrize("model", ["application_access_policy", "application_role"])
def test_every_way_in_is_asked_and_told_at_once(model: str) -> None:
    look = {
        "group": {**LOOK["group"], "alias": "not an alias", "name": "x" * 65},
        "application": {**LOOK["application"], "on_namesake": "perhaps"},
        "application_role": {"scope_name": "x" * 65},
        "ews": {"on_unset": "maybe"},
    }
    told = refused(look, steps=steps(scoping=model), options={"exchange_application_access_info": {"wait": "soon"}})
    assert len(told) >= 4
    whole = " ".join(told)
    assert [word for word in ("on_namesake", "64", "wait") if word not in whole] == []
    if model == "application_access_policy":
        assert "on_unset" in whole


def test_no_run_can_do_without_a_mailbox_and_a_store_that_keeps() -> None:
    assert refused({"mailboxes": []}) == [_planned.NO_MAILBOX]
    assert refused({"store": {"backend": "none", "seal_to": "k"}}) == [_planned.NO_STORE]
    assert refused({"mailboxes": None, "store": {"backend": "none"}}) == [_planned.NO_MAILBOX, _planned.NO_STORE]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("", "says nothing"),
        ("  ", "says nothing"),
        ("yes", "is yes, which says too little"),
        (True, "is True, which says too little"),
        (1234567890123, "is 1234567890123, which says too little"),
        ("Bob accepts it", None),
        (None, None),
    ],
)
def test_what_nothing_limits_is_accepted_in_words(words: t.Any, told: str | None) -> None:
    found = refused({"accept_tenant_wide": words})
    assert (told is None) == (found == [])
    assert all(f"mail2fax_accept_tenant_wide {told}, and the application" in sentence for sentence in found)


@pytest.mark.parametrize(
    "look", [{"group": "fax"}, {"application": ["x"]}, {"store": "vault_file"}, {"ews": True}, {"mailboxes": FAX}]
)
def test_what_is_no_mapping_is_left_to_ansible_to_refuse(look: Json) -> None:
    refused(look)
    _planned.refused({"steps": steps(), "options": "x"}, {**LOOK, **look})


def test_a_module_that_is_not_ours_cannot_be_asked() -> None:
    with pytest.raises(ValueError, match="there is no module 'copy'"):
        refused(options={"copy": {"src": "x"}})


INTENT = {"at": "2026-11-21T12:00:00Z", "keys": ["k"]}


@pytest.mark.parametrize(
    ("application", "known", "expected"),
    [
        (None, {"stored_key_ids": ["s"], "stored_intent": INTENT}, None),
        ({"app_id": "a"}, {"stored_key_ids": [], "stored_intent": None}, {"app_id": "a", "known_key_ids": []}),
        (
            {"app_id": "a", "known_key_ids": ["r"]},
            {"stored_key_ids": ["s"], "stored_intent": INTENT},
            {"app_id": "a", "known_key_ids": ["r", "s"], "stored_intent": INTENT},
        ),
        (
            {"stored_intent": {"at": "then"}},
            {"stored_key_ids": ["s"], "stored_intent": INTENT},
            {"known_key_ids": ["s"], "stored_intent": {"at": "then"}},
        ),
    ],
)
def test_the_look_gets_what_the_store_knows_and_not_the_store(
    application: Json | None, known: Json, expected: Json | None
) -> None:
    place = {"backend": "hashi_vault", "place": "x"}
    given = {"secret_name": "n", "store": {"backend": "hashi_vault", "token": "t"}, "stored_key_ids": ["old"]}
    if application is not None:
        given["application"] = application
    found = m365_tenant_info._knowing(given, {**known, "stored_in": place})
    assert found.pop("application", None) == expected
    assert found == {"secret_name": "n", "stored_key_ids": known["stored_key_ids"], "stored_in": place}


def test_elsewhere_a_store_is_refused() -> None:
    with pytest.raises(InvalidInput, match="only where Ansible itself runs"):
        desired.parse(Tenant({}), {"store": {"backend": "vault_file", "path": "x"}})
