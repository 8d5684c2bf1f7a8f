# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's own profiles: each complete, and each with all that a person is told."""

from __future__ import annotations

import copy
import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils._clouds import CLOUDS
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _profile, _sheet

NAMES = _profile.names()

# id of each access: (protocol, permissions, model), as the design lists them.
ACCESSES = {
    "graph_mail": {"graph": ("graph", ["Mail.ReadWrite", "Mail.Send"], "application_role")},
    "imagicle_attendant_calendar": {"graph": ("graph", ["Calendars.Read"], "application_role")},
    "imagicle_ews": {"ews": ("ews", ["full_access_as_app"], "application_access_policy")},
    "imagicle_imap_smtp": {
        "imap": ("imap", ["IMAP.AccessAsApp"], "mailbox_permission"),
        "smtp": ("smtp", ["SMTP.SendAsApp"], "mailbox_permission"),
    },
    "imap_smtp_least": {
        "imap": ("imap", ["IMAP.AccessAsApp"], "mailbox_permission"),
        "smtp": ("smtp", ["SMTP.SendAsApp"], "application_role"),
    },
    "smtp_send": {"smtp": ("smtp", ["SMTP.SendAsApp"], "application_role")},
}


def choices() -> list[tuple[str, dict[str, str]]]:
    """Every profile with every choice of models that it allows."""
    found: list[tuple[str, dict[str, str]]] = []
    for name in NAMES:
        picked: list[dict[str, str]] = [{}]
        for access in _profile.load(name)["accesses"]:
            picked = [{**one, access["id"]: model} for one in picked for model in access["scoping_allowed"]]
        found += [(name, one) for one in picked]
    return found


def test_there_are_six_and_each_takes_what_the_design_says() -> None:
    found = {
        name: {
            access["id"]: (access["protocol"], access["permissions"], access["scoping"])
            for access in _profile.load(name)["accesses"]
        }
        for name in NAMES
    }
    assert found == ACCESSES


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_tells_all_that_is_typed(name: str) -> None:
    profile = _profile.load(name)
    assert profile["name"] == name
    assert profile["format"] == 2
    assert profile["handover"]["test"]
    for way in profile["connection"]:
        assert set(way["hosts"]) == set(CLOUDS)
        assert all(way[key] for key in ("port", "encryption", "method", "service"))
    # Two profiles in one tenant do not meet in one application, group or scope.
    others = [_profile.load(other)["names"] for other in NAMES if other != name]
    for key in ("unique_name", "group_alias", "scope"):
        assert profile["names"][key] not in [names[key] for names in others], key


@pytest.mark.parametrize(("name", "scoping"), choices())
def test_an_error_is_told_once_and_only_where_it_can_be_seen(name: str, scoping: dict[str, str]) -> None:
    profile = _profile.load(name, scoping=scoping)
    shown = [error for error in profile["errors"] if _sheet._in_use(error, profile)]
    assert len({error["seen"] for error in shown}) == len(shown)
    assert shown[0]["seen"] == "AADSTS7000215"
    words = " ".join(error["seen"] + error["means"] for error in shown)
    spoken = {access["protocol"]: access["scoping"] for access in profile["accesses"]}
    wire = {
        "imap": ("NO AUTHENTICATE failed", "User is authenticated but not connected", "993"),
        "smtp": ("535 5.7.3", "for the Mailbox", "for the Tenant", "430 4.2.0", "5.2.252", "587"),
        "graph": ("403 ErrorAccessDenied", "404 ErrorInvalidUser"),
        "ews": ("X-EWS-Policy-Reason", "ErrorNonExistentMailbox"),
    }
    for protocol, seen in wire.items():
        assert all(text in words for text in seen) == (protocol in spoken), protocol
    if "application_role" in spoken.values():
        # Who probes without end keeps the refusal alive.
        assert "two hours" in words
        assert any("half an hour" in error["cure"] for error in shown)


def test_what_is_unverified_and_what_ends_is_said() -> None:
    status = {name: _profile.load(name)["status"] for name in NAMES}
    assert status == {
        "graph_mail": "unverified",
        "imagicle_attendant_calendar": "unverified",
        "imagicle_ews": "legacy",
        "imagicle_imap_smtp": "supported",
        "imap_smtp_least": "unverified",
        "smtp_send": "supported",
    }
    assert [name for name in NAMES if _profile.load(name).get("sunset")] == ["imagicle_ews"]


Change = t.Callable[[dict[str, t.Any]], t.Any]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            lambda d: d["handover"]["fields"][3].update(access="imapp"),
            r"handover\.fields\[3\]\.access is 'imapp', not one of imap, smtp \(did you mean imap\?\)",
        ),
        (lambda d: d["handover"]["fields"][3].pop("access"), r"handover\.fields\[3\]\.access is '', not one of"),
        (
            lambda d: d["handover"]["fields"][3].update(value="token_endpont"),
            r"value must be one of: .*token_endpont.*did you mean token_endpoint\?",
        ),
        (
            lambda d: d["errors"][0].update(scoping=["application_rol"]),
            r"errors\[0\]\.scoping has 'application_rol', not one of .*did you mean application_role\?",
        ),
        (lambda d: d["errors"][0].update(access="smpt"), r"errors\[0\]\.access is 'smpt'.*did you mean smtp\?"),
        (lambda d: d["handover"]["fields"].pop(0), r"handover\.fields must hold application_id"),
    ],
)
def test_what_is_wrong_in_a_text_is_named(change: Change, complaint: str) -> None:
    document = copy.deepcopy(_profile.parse(str(_profile.FOLDER / "imap_smtp_least.yml"), "imap_smtp_least"))
    change(document)
    with pytest.raises(_profile.ProfileError, match=complaint):
        _profile.check(document, "ours")
