# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a document tells of roles, rights and several ways in."""

from __future__ import annotations

import datetime as dt
import json
import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _profile
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import compose as _compose
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import record, words
from tests import profiles
from tests.profiles import POLICY, RIGHT, WIDE, access

Json = dict[str, t.Any]
NOW = dt.datetime(2026, 11, 28, 12, 0, 0, tzinfo=dt.UTC)
APP, TENANT = "1cb8b5d2-8724-4f32-8152-a16a230b682b", "969d5b92-bc05-403f-b576-97201b665e65"
FAX, OTHER = "fax@contoso.com", "adele@contoso.com"
IMAP_SMTP = (access("imap", RIGHT), access("smtp", RIGHT))


def resolved(*accesses: Json, scoping: t.Any = None) -> Json:
    return _profile.resolve(_profile.check(profiles.profile(*accesses), "ours"), scoping)


def proof(mailbox: str, way: str, verdict: str, *, good: bool = True) -> Json:
    expected = "opened" if mailbox == FAX else "refused"
    more = {"reason": None if good else f"{way} says no", "at": "t2"}
    return {"mailbox": mailbox, "access": way, "protocol": way, "verdict": verdict, "expected": expected} | {
        "as_expected": good,
        **more,
    }


def results(*probes: Json, **changes: Json | None) -> Json:
    done = {"changed": True, "outcome": "changed", "summary": "done"}
    found: Json = {
        "preflight": {"outcome": "ok", "summary": "fine", "tenant": {"id": TENANT}, "findings": []},
        "application": {**done, "app_id": APP},
        "service_principal": {**done, "sid": "S-1-5-21-1", "app_id": APP},
        "mailbox_permission": {
            **done,
            "app_id": APP,
            "rights": [{"mailbox": FAX, "guid": "b0", "full_access": True, "send_as": True}],
            "added": [{"kind": "right", "of": "b0", "id": "FullAccess", "sid": "S-1-5-21-1"}],
        },
        "client_secret": {**done, "key_id": "k", "end_date_time": "2027-11-21T12:00:00Z"},
        "admin_consent": done,
        "access_verdict": {**done, "changed": False, "outcome": "ok", "verdicts": []},
        "mailbox_probe": {**done, "changed": False, "outcome": "ok", "probes": list(probes)},
    }
    found.update(changes)
    return {name: value for name, value in found.items() if value is not None}


def compose(found: Json, profile: Json, **context: t.Any) -> Json:
    names = {"application": "Fax", "group": "", "group_alias": "", "secret": "Secret"}
    known = {"host": "contoso", "profile": profile, "names": names, "mailboxes": [FAX], "renew_before": 30, "at": NOW}
    return _compose.compose(found, {**known, **context})


def test_a_run_has_the_steps_of_its_models() -> None:
    document = compose(results(), resolved(*IMAP_SMTP))
    assert [row["step"] for row in document["steps"]] == resolved(*IMAP_SMTP)["steps"]
    assert (document["outcome"], document["state"], document["unprotected"]) == ("changed", "ready", "none")
    switches = next(row for row in document["steps"] if row["step"] == "mailbox_protocols")
    assert switches["summary"] == "IMAP, SMTP AUTH are on for every fax mailbox, nothing to do"
    assert document["exchange"]["sid"] == "S-1-5-21-1"
    assert document["exchange"]["rights"][0]["send_as"]
    assert document["ours"] == [{"kind": "right", "of": "b0", "id": "FullAccess", "sid": "S-1-5-21-1"}]
    assert document["profile"]["accesses"] == [
        {"id": "imap", "protocol": "imap", "scoping": RIGHT},
        {"id": "smtp", "protocol": "smtp", "scoping": RIGHT},
    ]
    # It is a record that the next run reads.
    assert not record.read(json.dumps(document), "contoso", TENANT).refused


def test_a_mailbox_has_a_proof_for_each_access_and_shows_the_worst() -> None:
    document = compose(
        results(
            proof(FAX, "imap", "opened"),
            proof(FAX, "smtp", "signed_in"),
            proof(OTHER, "imap", "refused"),
            proof(OTHER, "smtp", "opened", good=False),
        ),
        resolved(*IMAP_SMTP),
    )
    fax, other = document["mailboxes"]
    assert (fax["mailbox"], fax["probe"], fax["as_expected"]) == (FAX, "signed_in", True)
    assert fax["proofs"] == [
        {"access": "imap", "protocol": "imap", "verdict": "opened", "reason": None, "at": "t2"},
        {"access": "smtp", "protocol": "smtp", "verdict": "signed_in", "reason": None, "at": "t2"},
    ]
    assert (other["probe"], other["as_expected"], other["reason"]) == ("opened", False, "smtp says no")
    assert [one["verdict"] for one in other["proofs"]] == ["refused", "opened"]


def test_a_rotation_keeps_proofs_that_it_does_not_renew() -> None:
    first = compose(results(proof(FAX, "imap", "opened"), proof(FAX, "smtp", "signed_in")), resolved(*IMAP_SMTP))
    rotated = compose(
        {"client_secret": results()["client_secret"]}, resolved(*IMAP_SMTP), kind="rotate", previous=json.dumps(first)
    )
    assert rotated["mailboxes"] == first["mailboxes"]


def test_what_did_not_get_as_far_as_its_limit_is_not_called_protected() -> None:
    document = compose(results(mailbox_permission=None, admin_consent=None), resolved(*IMAP_SMTP))
    assert document["unprotected"] == "not known: this run did not get as far as the mailbox permission"


def test_the_words_of_acceptance_stand_in_the_result() -> None:
    wide = resolved(access("graph", WIDE))
    document = compose(results(), wide, tenant_wide="Agreed with the board, 2026-11-20")
    assert document["tenant_wide"] == "Agreed with the board, 2026-11-20"
    assert "Agreed with the board" in document["unprotected"]
    for unsaid in (True, "yes", 1234567890123, None):
        assert compose(results(), wide, tenant_wide=unsaid)["tenant_wide"] is None
    # They say nothing where something limits the application.
    assert compose(results(), resolved(*IMAP_SMTP), tenant_wide="Agreed with the board")["tenant_wide"] is None


def test_what_the_inventory_says_in_vain_is_told() -> None:
    document = compose(results(), resolved(*IMAP_SMTP), unused=["mail2fax_group_name", "mail2fax_group_alias"])
    assert document["warnings"] == [
        "mail2fax_group_alias, mail2fax_group_name are not used: the profile's scoping models need nothing of the kind."
    ]


def test_a_removal_tells_what_earlier_runs_did() -> None:
    first = compose(results(), resolved(*IMAP_SMTP))
    gone = {"outcome": "changed", "changed": True, "summary": "gone"}
    removal = compose(
        {"preflight": results()["preflight"], "mailbox_permission": gone, "application": gone},
        resolved(access("ews", POLICY)),
        kind="decommission",
        previous=json.dumps(first),
    )
    assert [row["step"] for row in removal["steps"]] == [
        *("preflight", "admin_consent", "client_secret", "mailbox_permission", "ews_access", "mailbox_protocols"),
        *("service_principal", "application", "access_policy", "scope_group"),
    ]
    assert (removal["state"], removal["exchange"]) == ("removed", None)


@pytest.mark.parametrize(
    ("profile", "told"),
    [
        (resolved(*IMAP_SMTP), ""),
        (resolved(access("imap", RIGHT)), "mail2fax.m365.migrate"),
        ({**resolved(*IMAP_SMTP), "name": "theirs"}, "an inventory host of its own"),
    ],
)
def test_another_profile_than_the_records_is_told(profile: Json, told: str) -> None:
    document = compose(results(), resolved(*IMAP_SMTP))
    said = words.another(document, profile)
    assert told in said
    assert bool(said) == bool(told)
    # What was removed, or never made, stands in nobody's way.
    assert words.another({**document, "state": "removed"}, profile) == ""
    assert words.another({**document, "ids": {}}, profile) == ""


def test_a_run_that_was_refused_for_another_profile_keeps_the_records() -> None:
    first = compose(results(), resolved(*IMAP_SMTP))
    told = {"task": "check", "outcome": "blocked", "msg": "another", "error": None}
    refused = compose({}, resolved(access("ews", POLICY)), previous=json.dumps(first), stopped=told)
    assert (refused["outcome"], refused["profile"]) == ("blocked", first["profile"])
    assert refused["ours"] == first["ours"]
    # And a removal after it tells what it took back, whatever it is called for today.
    gone = {"outcome": "changed", "changed": True, "summary": "gone"}
    found = {"preflight": results()["preflight"], "mailbox_permission": gone}
    removal = compose(found, resolved(access("ews", POLICY)), kind="decommission", previous=json.dumps(refused))
    assert {row["step"]: row["outcome"] for row in removal["steps"]}["mailbox_permission"] == "changed"


def test_a_record_without_models_is_one_of_an_access_policy() -> None:
    old = {"profile": {"name": "ours"}, "ids": {"application_id": APP}, "state": "ready"}
    assert words.another(old, resolved(access("ews", POLICY))) == ""
    assert "imap: mailbox_permission" in words.another(old, resolved(*IMAP_SMTP))
