# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The application opens mailboxes by IMAP, POP and SMTP, through the proxy, against servers that others wrote."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator

import pytest

from tests.emulator.testing import Emulator, start_emulator
from tests.integration.harness import DOMAIN, LOGIN, TENANT_ID, requests_to, run
from tests.integration.test_mailbox_probe import SECRET, application

Json = dict[str, t.Any]

FAX, ADELE, BOB = f"fax@{DOMAIN}", f"adele@{DOMAIN}", f"bob@{DOMAIN}"
RIGHTS = "bbbbbbbb-0000-4000-8000-000000000001"
ROLE = "bbbbbbbb-0000-4000-8000-000000000002"
BESIDE = "bbbbbbbb-0000-4000-8000-000000000003"
WRONG = "bbbbbbbb-0000-4000-8000-000000000004"
BARE = "bbbbbbbb-0000-4000-8000-000000000005"
CLAIMS = ["IMAP.AccessAsApp", "POP.AccessAsApp", "SMTP.SendAsApp"]
ELSEWHERE = "dddddddd-0000-4000-8000-000000000001"
ODD, ODD_APP = "o'neil@büro.example", "bbbbbbbb-0000-4000-8000-000000000006"
ANOTHER = "cccccccc-0000-4000-8000-000000000001"

IMAP: Json = {"id": "imap", "protocol": "imap", "permissions": CLAIMS[:1], "scoping": "mailbox_permission"}
POP: Json = {"id": "pop", "protocol": "pop", "permissions": CLAIMS[1:2], "scoping": "mailbox_permission"}
SMTP: Json = {"id": "smtp", "protocol": "smtp", "permissions": CLAIMS[2:], "scoping": "mailbox_permission"}
SMTP_ROLE: Json = {**SMTP, "scoping": "application_role", "roles": ["Application SMTP.SendAsApp"]}


def tenants() -> list[Json]:
    return [
        {
            "id": TENANT_ID,
            "domains": [DOMAIN],
            "mailboxes": [
                {"address": FAX, "display_name": "Fax", "smtp_auth": True},
                {"address": ADELE, "display_name": "Adele", "smtp_auth": True},
                {"address": BOB, "display_name": "Bob", "imap": False, "pop": False, "smtp_auth": False},
            ],
            "groups": [{"name": "Scope", "alias": "scope", "members": [FAX]}],
            "applications": [
                application(RIGHTS, "Rights", *CLAIMS),
                application(ROLE, "Role"),
                application(BESIDE, "A consent beside the role", "SMTP.SendAsApp"),
                application(WRONG, "Wrong pointer", *CLAIMS),
                application(BARE, "Nothing", *CLAIMS),
            ],
            "exchange_service_principals": [
                {"app_id": RIGHTS},
                {"app_id": ROLE},
                {"app_id": BESIDE},
                {"app_id": WRONG, "object_id": ANOTHER},
            ],
            "management_scopes": [{"name": "scope", "group": "scope"}],
            "role_assignments": [
                {"name": f"smtp {app_id[-1]}", "app_id": app_id, "role": "Application SMTP.SendAsApp", "scope": "scope"}
                for app_id in (ROLE, BESIDE)
            ],
            "mailbox_permissions": [{"mailbox": FAX, "app_id": RIGHTS, "rights": ["FullAccess"]}],
        },
        {
            "id": ELSEWHERE,
            "domains": ["büro.example"],
            "mailboxes": [
                {"address": address, "display_name": address, "smtp_auth": True}
                for address in (ODD, "adele@büro.example")
            ],
            "groups": [{"name": "Scope", "alias": "scope", "members": [ODD]}],
            "applications": [application(ODD_APP, "Odd", *CLAIMS, "full_access_as_app")],
            "policies": [{"app_id": ODD_APP, "group": "scope"}],
            "exchange_service_principals": [{"app_id": ODD_APP}],
            "mailbox_permissions": [{"mailbox": ODD, "app_id": ODD_APP, "rights": ["FullAccess"]}],
        },
    ]


@pytest.fixture(scope="module")
def started() -> Iterator[Emulator]:
    with start_emulator({"tenants": tenants()}) as running:
        yield running


@pytest.fixture
def emulator(started: Emulator) -> Iterator[Emulator]:
    yield started
    started.faults([])
    started.reset()


def probe(emulator: Emulator, app_id: str, *accesses: Json, check_mode: bool = False, **params: t.Any) -> Json:
    emulator.clear_journal()
    options: Json = {"app_id": app_id, "app_secret": SECRET, "allowed": [FAX], "refused": [ADELE], "patience": 2}
    result = run("mailbox_probe_info", {**options, "accesses": list(accesses), **params}, emulator, check_mode)
    assert SECRET not in str(result)
    assert "eyJ" not in str(result), "no token, in no notation"
    return result


def verdicts(result: Json) -> dict[str, str]:
    rows = result.get("probes") or result["error"]["details"]["probes"]
    return {f"{row['access']} {row['mailbox'].partition('@')[0]}": row["verdict"] for row in rows}


def mail(emulator: Emulator, method: str) -> list[str]:
    return [f"{row['path']} {row['status']}" for row in emulator.journal() if row["method"] == method]


def reasons(result: Json) -> str:
    return " ".join(str(row["reason"]) for row in result["probes"])


# --- what opens and what does not --------------------------------------------------------------------------------


def test_the_proof_by_rights_on_mailboxes(emulator: Emulator):
    result = probe(emulator, RIGHTS, IMAP, POP, SMTP)
    assert (result["outcome"], result["changed"]) == ("ok", False), result
    assert verdicts(result) == {
        "imap fax": "opened",
        "pop fax": "opened",
        "smtp fax": "signed_in",
        "imap adele": "no_permission",
        "pop adele": "refused",
        "smtp adele": "signed_in",
    }
    assert len([row for row in requests_to(emulator, LOGIN) if row["method"] == "POST"]) == 1
    assert emulator.state(TENANT_ID)["messages"] == []
    assert "signing in proves nothing here" in result["summary"]


def test_the_proof_by_a_role(emulator: Emulator):
    result = probe(emulator, ROLE, SMTP_ROLE)
    assert result["outcome"] == "ok", result
    assert verdicts(result) == {"smtp fax": "opened", "smtp adele": "out_of_scope"}
    assert result["roles"] == []
    assert emulator.state(TENANT_ID)["messages"] == []


def test_the_same_in_check_mode_where_nothing_is_sent(emulator: Emulator):
    assert probe(emulator, ROLE, SMTP_ROLE, check_mode=True, send=True)["outcome"] == "ok"
    assert emulator.state(TENANT_ID)["messages"] == []


def test_a_consent_beside_the_role_is_blocked(emulator: Emulator):
    result = probe(emulator, BESIDE, SMTP_ROLE)
    assert result["outcome"] == "blocked"
    assert "carries SMTP.SendAsApp" in result["error"]["message"]


def test_a_wrong_pointer_is_told_apart_where_it_is_known(emulator: Emulator):
    for access in (IMAP, POP, SMTP):
        result = probe(emulator, WRONG, access, in_force_by=["2020-01-01T00:00:00Z"])
        assert result["outcome"] == "blocked"
        assert "made with another object id" in result["error"]["message"]
        told = probe(emulator, WRONG, access, object_id=ANOTHER)
        assert (told["outcome"], set(verdicts(told).values())) == ("blocked", {"wrong_pointer"})
        assert "an Exchange Administrator" in told["msg"]


def test_no_role_in_the_token_is_told_before_anything_is_tried(emulator: Emulator):
    result = probe(emulator, ROLE, IMAP, POP, SMTP)
    assert result["outcome"] == "blocked"
    assert "does not carry IMAP.AccessAsApp" in result["error"]["message"]
    assert mail(emulator, "IMAP") + mail(emulator, "POP") + mail(emulator, "SMTP") == []


def test_no_right_is_late_and_then_blocked(emulator: Emulator):
    late = probe(emulator, RIGHTS, IMAP, POP, allowed=[FAX, ADELE], refused=[], in_force_by=["2099-01-01T00:00:00Z"])
    assert (late["outcome"], late["pending_until"]) == ("pending", "2099-01-01T00:00:00Z")
    over = probe(emulator, RIGHTS, IMAP, allowed=[FAX, ADELE], refused=[], in_force_by=["2020-01-01T00:00:00Z"])
    assert over["outcome"] == "blocked"
    assert "right on the mailbox is missing" in over["error"]["message"]


def test_a_protocol_that_is_off_for_a_mailbox_is_no_refusal(emulator: Emulator):
    result = probe(emulator, ROLE, SMTP_ROLE, refused=[BOB])
    assert (result["outcome"], verdicts(result)["smtp bob"]) == ("ok", "protocol_off_mailbox")
    assert "nothing was refused on the wire" in result["summary"]
    fax = probe(emulator, ROLE, SMTP_ROLE, allowed=[BOB], refused=[])
    assert fax["outcome"] == "blocked"
    assert "disabled for the Mailbox" in fax["error"]["message"]
    control = probe(emulator, RIGHTS, IMAP, refused=[BOB])
    assert (control["outcome"], verdicts(control)["imap bob"]) == ("ok", "protocol_off_mailbox")
    assert "nothing was refused on the wire" in control["summary"]
    imap = probe(emulator, RIGHTS, IMAP, POP, allowed=[BOB], refused=[], in_force_by=["2020-01-01T00:00:00Z"])
    assert imap["outcome"] == "blocked"
    assert "IMAP is switched off for the mailbox" in imap["error"]["message"]


# --- each answer of the wire, as the emulator can be told to give it --------------------------------------------


@pytest.mark.parametrize(
    ("access", "method", "command", "reply", "verdict"),
    [
        (IMAP, "IMAP", "AUTHENTICATE", "failed", "refused"),
        (IMAP, "IMAP", "EXAMINE", "not_connected", "no_permission"),
        (IMAP, "IMAP", "EXAMINE", "not_connected_no", "no_permission"),
        (IMAP, "IMAP", "EXAMINE", "not_connected_long", "no_permission"),
        (POP, "POP", "AUTH", "failed", "refused"),
        (POP, "POP", "STAT", "not_connected", "no_permission"),
        (SMTP, "SMTP", "AUTH", "failed", "refused"),
        (SMTP, "SMTP", "AUTH", "off_mailbox", "protocol_off_mailbox"),
        (SMTP, "SMTP", "AUTH", "off_tenant", "protocol_off_tenant"),
        (SMTP, "SMTP", "AUTH", "security_defaults", "protocol_off_tenant"),
        (SMTP, "SMTP", "AUTH", "basic", "refused"),
        (SMTP, "SMTP", "AUTH", "criteria", "refused"),
        (SMTP, "SMTP", "MAIL", "no_send_as", "no_permission"),
        (SMTP, "SMTP", "RCPT", "recipients_external", "other"),
        (SMTP, "SMTP", "RCPT", "blocked", "other"),
        (SMTP, "SMTP", "AUTH", "connections", "throttled"),
        (IMAP, "IMAP", "EXAMINE", "throttled", "throttled"),
        (POP, "POP", "AUTH", "throttled", "throttled"),
    ],
)
def test_each_refusal_has_its_verdict(
    emulator: Emulator, access: Json, method: str, command: str, reply: str, verdict: str
):
    emulator.faults([{"match": {"method": method, "path_regex": f"^{command}"}, "effect": {"reply": reply}}])
    result = probe(emulator, RIGHTS, access, refused=[])
    assert set(verdicts(result).values()) == {verdict}
    assert result["outcome"] != "ok"


def test_a_connection_that_was_not_connected_once_is_asked_again(emulator: Emulator):
    rule = {"match": {"method": "IMAP", "path_regex": "^EXAMINE"}, "nth": 1, "effect": {"reply": "not_connected"}}
    emulator.faults([rule])
    result = probe(emulator, RIGHTS, IMAP, refused=[])
    assert verdicts(result) == {"imap fax": "opened"}


# --- a real message ----------------------------------------------------------------------------------------------


def test_a_message_is_sent_and_found_and_removed(emulator: Emulator):
    result = probe(emulator, RIGHTS, IMAP, SMTP, send=True, patience=20)
    assert result["outcome"] == "ok", result
    row = next(row for row in result["probes"] if row["access"] == "smtp" and row["mailbox"] == FAX)
    assert (row["verdict"], row["message"]["state"]) == ("opened", "removed")
    assert emulator.state(TENANT_ID)["messages"] == []
    sent = [line for line in mail(emulator, "SMTP") if line.startswith("DATA")]
    assert len(sent) == 1, "nothing is sent as a control mailbox"


def test_a_message_whose_answer_is_lost_is_looked_for_and_not_sent_again(emulator: Emulator):
    emulator.faults([{"match": {"method": "SMTP", "path_regex": r"^\.$"}, "effect": "drop_after"}])
    result = probe(emulator, RIGHTS, IMAP, SMTP, send=True, patience=20)
    assert result["outcome"] == "ok", result
    assert emulator.fault_rules()[0]["seen"] == 1
    assert emulator.state(TENANT_ID)["messages"] == []
    assert len([line for line in mail(emulator, "SMTP") if line.startswith("DATA")]) == 1


def test_a_message_of_a_device_that_only_sends_stays_and_is_told(emulator: Emulator):
    result = probe(emulator, ROLE, SMTP_ROLE, send=True)
    assert result["outcome"] == "ok"
    assert [row["mailbox"] for row in emulator.state(TENANT_ID)["messages"]] == [FAX]
    assert "stays in the mailbox" in str(result.get("warnings"))


def test_a_right_that_is_missing_shows_after_the_message(emulator: Emulator):
    result = probe(emulator, RIGHTS, SMTP, send=True, allowed=[ADELE], refused=[], in_force_by=["2020-01-01T00:00:00Z"])
    assert (result["outcome"], verdicts(result)) == ("blocked", {"smtp adele": "no_permission"})
    assert "430 4.2.0" in result["error"]["message"]
    assert len([line for line in mail(emulator, "SMTP") if line.startswith("DATA")]) == 1, "which never heals"


def test_addresses_with_an_apostrophe_and_in_an_internationalised_domain(emulator: Emulator):
    ews = {
        "id": "ews",
        "protocol": "ews",
        "permissions": ["full_access_as_app"],
        "scoping": "application_access_policy",
    }
    options = {"allowed": [ODD], "refused": ["adele@büro.example"], "send": True, "patience": 20, "tenant": ELSEWHERE}
    result = probe(emulator, ODD_APP, IMAP, POP, SMTP, ews, **options)
    assert result["outcome"] == "ok", result
    assert [row["verdict"] for row in result["probes"][:4]] == ["opened"] * 4
    assert result["probes"][2]["message"]["state"] == "removed"


# --- the way there -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("access", "port"), [(IMAP, 993), (POP, 995), (SMTP, 587)])
def test_a_proxy_that_forbids_the_port_is_told_with_who_can_help(emulator: Emulator, access: Json, port: int):
    emulator.faults([{"match": {"method": "CONNECT", "path_regex": f":{port}$"}, "effect": {"status": 403}}])
    result = probe(emulator, RIGHTS, access)
    assert result["outcome"] == "failed"
    assert f"does not let port {port} through" in result["msg"]
    assert "the administrator of the proxy" in result["msg"]
    assert mail(emulator, access["protocol"].upper()) == []


def test_a_greeting_that_comes_with_the_proxy_s_answer_is_heard(emulator: Emulator):
    emulator.faults([{"match": {"method": "CONNECT", "path_regex": ":587$"}, "effect": {"joined": True}}])
    for _turn in range(3):
        assert probe(emulator, ROLE, SMTP_ROLE)["outcome"] == "ok"


def test_a_proxy_that_drops_once_is_asked_again(emulator: Emulator):
    emulator.faults([{"match": {"method": "CONNECT", "path_regex": ":993$"}, "nth": 1, "effect": "drop_before"}])
    assert probe(emulator, RIGHTS, IMAP)["outcome"] == "ok"


@pytest.mark.parametrize(("access", "command"), [(IMAP, "EXAMINE"), (POP, "STAT"), (SMTP, "RCPT")])
def test_a_service_that_says_nothing_more_is_told(emulator: Emulator, access: Json, command: str):
    method = access["protocol"].upper()
    emulator.faults([{"match": {"method": method, "path_regex": f"^{command}"}, "effect": {"delay_s": 3.0}}])
    result = probe(emulator, RIGHTS, access, refused=[], timeout=1, patience=0)
    assert (result["outcome"], result["error"]["kind"]) == ("failed", "AnswerLost")
    assert "did not answer in time" in result["msg"]
    emulator.faults([{"match": {"method": method, "path_regex": f"^{command}"}, "effect": "drop_before"}])
    result = probe(emulator, RIGHTS, access, refused=[], patience=1)
    assert (result["outcome"], result["error"]["kind"]) == ("failed", "AnswerLost")
