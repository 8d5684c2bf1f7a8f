# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The application signs in by itself and opens mailboxes, through the real HTTP stack."""

from __future__ import annotations

import datetime as dt
import typing as t
from collections.abc import Iterator

import pytest

from tests.emulator.testing import Emulator, start_emulator
from tests.integration.harness import DOMAIN, EXCHANGE, GRAPH, LOGIN, TENANT_ID, requests_to, run

Json = dict[str, t.Any]

FAX, ADELE, BOB = f"fax@{DOMAIN}", f"adele@{DOMAIN}", f"bob@{DOMAIN}"
SCOPED = "aaaaaaaa-0000-4000-8000-000000000001"
NO_CONSENT = "aaaaaaaa-0000-4000-8000-000000000002"
NO_POLICY = "aaaaaaaa-0000-4000-8000-000000000003"
EXPIRED = "aaaaaaaa-0000-4000-8000-000000000004"
DISABLED = "aaaaaaaa-0000-4000-8000-000000000005"
HEADLESS = "aaaaaaaa-0000-4000-8000-000000000006"
SECRET = "canary~secret.of-the_application"
CLOSED_TENANT = "99999999-0000-4000-8000-000000000001"
OPERATOR_ID = "11111111-0000-4000-8000-000000000001"


def application(app_id: str, name: str, *roles: str, **keys: t.Any) -> Json:
    password = {"displayName": "s", "secretText": SECRET, "endDateTime": keys.pop("end", "2099-01-01T00:00:00Z")}
    return {
        "appId": app_id,
        "displayName": name,
        "app_roles": list(roles),
        "passwordCredentials": [password],
        **keys,
    }


def tenants(profile_mailboxes: list[Json], **keys: t.Any) -> list[Json]:
    operator = {
        "client_id": OPERATOR_ID,
        "client_secret": "operator-secret",
        "app_roles": ["Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All", "Exchange.ManageAsApp"],
        "directory_roles": ["Exchange Administrator"],
    }
    common: Json = {
        "mailboxes": profile_mailboxes,
        "groups": [{"name": "Scope", "alias": "scope", "members": [FAX]}],
        "policies": [{"app_id": SCOPED, "group": "scope"}],
        "applications": [
            application(SCOPED, "Scoped", "full_access_as_app"),
            application(NO_CONSENT, "No consent"),
            application(NO_POLICY, "No policy", "full_access_as_app"),
            application(EXPIRED, "Expired", "full_access_as_app", end="2020-01-01T00:00:00Z"),
            application(DISABLED, "Disabled", "full_access_as_app", accountEnabled=False),
            application(HEADLESS, "Headless", service_principal=False),
        ],
    }
    closed = {
        "id": CLOSED_TENANT,
        "domains": ["closed.example"],
        "mailboxes": [{"address": "fax@closed.example", "display_name": "Fax"}],
        "applications": [application("aaaaaaaa-0000-4000-8000-000000000011", "Closed", "full_access_as_app")],
        "organization_config": {"EwsEnabled": False},
    }
    return [{"id": TENANT_ID, "domains": [DOMAIN], "operators": [operator], **common, **keys}, closed]


MAILBOXES: list[Json] = [
    {"address": FAX, "display_name": "Fax", "aliases": [f"telefax@{DOMAIN}"]},
    {"address": ADELE, "display_name": "Adele"},
    {"address": BOB, "display_name": "Bob", "ews_enabled": False},
    {"address": f"contact@{DOMAIN}", "display_name": "Contact", "type": "MailContact"},
]


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with start_emulator({"tenants": tenants(MAILBOXES)}) as running:
        yield running


def probe(emulator: Emulator, app_id: str = SCOPED, *, check_mode: bool = False, **params: t.Any) -> Json:
    emulator.clear_journal()
    options = {"app_id": app_id, "app_secret": SECRET, "allowed": [FAX], "refused": [ADELE], "patience": 2, **params}
    given = {name: value for name, value in options.items() if value is not None}
    result = run("mailbox_probe_info", given, emulator, check_mode)
    assert SECRET not in str(result)
    return result


def verdicts(result: Json) -> dict[str, str]:
    return {item["mailbox"]: item["verdict"] for item in result["probes"]}


def ews_calls(emulator: Emulator) -> int:
    return len([row for row in requests_to(emulator, EXCHANGE) if row["path"].lower() == "/ews/exchange.asmx"])


def sign_ins(emulator: Emulator) -> int:
    return len([row for row in requests_to(emulator, LOGIN) if row["method"] == "POST"])


def test_the_proof(emulator: Emulator):
    result = probe(emulator)
    assert (result["outcome"], result["changed"]) == ("ok", False)
    assert verdicts(result) == {FAX: "opened", ADELE: "denied_by_policy"}
    assert [item["as_expected"] for item in result["probes"]] == [True, True]
    assert result["roles"] == ["full_access_as_app"]
    assert result["tenant_id"] == TENANT_ID
    assert (ews_calls(emulator), sign_ins(emulator)) == (2, 1)
    assert requests_to(emulator, GRAPH) == []


def test_the_operator_never_signs_in(emulator: Emulator):
    probe(emulator)
    before = len([row for row in emulator.state(TENANT_ID)["signIns"] if row["appId"] == OPERATOR_ID])
    probe(emulator)
    items = emulator.state(TENANT_ID)["signIns"]
    assert len([row for row in items if row["appId"] == OPERATOR_ID]) == before
    assert items[-1]["appId"] == SCOPED


def test_the_same_in_check_mode(emulator: Emulator):
    assert probe(emulator, check_mode=True)["outcome"] == "ok"


def test_what_does_not_exist_yet_is_not_probed_in_check_mode(emulator: Emulator):
    nobody = "00000000-0000-0000-0000-000000000000"
    result = probe(emulator, nobody, check_mode=True)
    assert (result["outcome"], result["probes"]) == ("ok", [])
    assert emulator.journal() == []
    real = probe(emulator, nobody)
    assert (real["outcome"], real["error"]["kind"]) == ("failed", "InvalidInput")
    assert emulator.journal() == []


def test_an_application_without_a_policy_opens_what_it_must_not(emulator: Emulator):
    result = probe(emulator, NO_POLICY)
    assert verdicts(result) == {FAX: "opened", ADELE: "opened"}
    assert result["outcome"] == "pending"
    assert ADELE in result["pending"]
    until = dt.datetime.fromisoformat(result["pending_until"])
    assert dt.timedelta(minutes=58) < until - dt.datetime.now(dt.UTC) <= dt.timedelta(minutes=60)
    assert not result.get("failed")


def test_the_same_is_blocked_when_the_configuration_says_otherwise(emulator: Emulator):
    result = probe(emulator, NO_POLICY, configuration_agrees=False)
    assert (result["outcome"], result["failed"]) == ("blocked", True)
    assert f"{ADELE} opens" in result["msg"]
    assert verdicts(result)[ADELE] == "opened"


def test_a_denied_fax_mailbox_is_pending(emulator: Emulator):
    result = probe(emulator, allowed=[ADELE], refused=[])
    assert result["outcome"] == "pending"
    assert verdicts(result) == {ADELE: "denied_by_policy"}
    assert probe(emulator, allowed=[ADELE], refused=[], configuration_agrees=False)["outcome"] == "blocked"


def test_without_the_role_no_mailbox_is_asked(emulator: Emulator):
    result = probe(emulator, NO_CONSENT, patience=1)
    assert result["outcome"] == "blocked"
    assert set(verdicts(result).values()) == {"no_role"}
    assert "does not carry full_access_as_app" in result["msg"]
    assert ews_calls(emulator) == 0
    # it waited for the consent, each time with a new token
    assert sign_ins(emulator) >= 2


def test_a_role_that_is_not_the_one_asked_for(emulator: Emulator):
    result = probe(emulator, role="Mail.Read", patience=0)
    assert set(verdicts(result).values()) == {"no_role"}


def test_a_wrong_secret_in_words(emulator: Emulator):
    result = probe(emulator, app_secret="some~other.secret", patience=0)
    assert result["outcome"] == "failed"
    assert result["error"]["code"] == "AADSTS7000215"
    assert "not one of this application's secrets" in result["msg"]
    assert "some~other.secret" not in str(result)


def test_an_expired_secret_in_words_and_at_once(emulator: Emulator):
    result = probe(emulator, EXPIRED)
    assert result["error"]["code"] == "AADSTS7000222"
    assert "the client secret has expired" in result["msg"]
    assert sign_ins(emulator) == 1


def test_a_disabled_application_in_words(emulator: Emulator):
    result = probe(emulator, DISABLED)
    assert (result["outcome"], result["error"]["code"]) == ("failed", "AADSTS7000112")
    assert "disabled" in result["msg"]


def test_a_missing_service_principal_is_waited_for_and_then_told(emulator: Emulator):
    result = probe(emulator, HEADLESS, patience=1)
    assert result["error"]["code"] == "AADSTS7000229"
    assert "no service principal" in result["msg"]
    assert sign_ins(emulator) >= 2


def test_a_tenant_that_blocks_ews_is_blocked_with_the_reason(emulator: Emulator):
    params = {
        "tenant": "closed.example",
        "allowed": ["fax@closed.example"],
        "refused": [],
        "app_id": "aaaaaaaa-0000-4000-8000-000000000011",
    }
    result = probe(emulator, **params)
    assert result["outcome"] == "blocked"
    assert "EWS is disabled for this user or tenant" in result["msg"]
    assert ews_calls(emulator) == 1
    later = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=20)).replace(microsecond=0).isoformat()
    pending = probe(emulator, **params, ews_in_force_by=later)
    assert pending["outcome"] == "pending"
    assert dt.datetime.fromisoformat(pending["pending_until"]) == dt.datetime.fromisoformat(later)
    assert probe(emulator, **params, ews_in_force_by="2026-01-01T00:00:00Z")["outcome"] == "blocked"
    assert probe(emulator, **params, ews_changed_at=dt.datetime.now(dt.UTC).isoformat())["outcome"] == "pending"


def test_a_blocked_mailbox_is_not_taken_for_a_refused_one(emulator: Emulator):
    result = probe(emulator, refused=[BOB])
    assert verdicts(result)[BOB] == "ews_blocked"
    assert result["outcome"] == "blocked"


@pytest.mark.parametrize("address", [f"contact@{DOMAIN}", f"nobody@{DOMAIN}"])
def test_an_address_without_a_mailbox_fails(emulator: Emulator, address: str):
    result = probe(emulator, allowed=[FAX, address])
    assert result["outcome"] == "failed"
    assert f"no mailbox behind {address}" in result["msg"]
    assert verdicts(result["error"]["details"]) == {FAX: "opened", address: "no_mailbox", ADELE: "denied_by_policy"}


def test_a_further_address_opens_the_same_mailbox(emulator: Emulator):
    result = probe(emulator, allowed=[f"telefax@{DOMAIN}"])
    assert verdicts(result)[f"telefax@{DOMAIN}"] == "opened"
    assert ews_calls(emulator) == 3


@pytest.mark.parametrize(
    ("params", "word"),
    [
        ({"app_secret": None}, "how the application signs in"),
        ({"app_secret": "aaaaaaaa-0000-4000-8000-000000000001"}, "shape of a GUID"),
        ({"app_secret": None, "store": {"backend": "vault_file", "path": "x"}}, "only where Ansible itself runs"),
        ({"allowed": [], "refused": []}, "no mailbox is named"),
        ({"allowed": [FAX], "refused": [FAX.upper()]}, "in allowed and in refused"),
        ({"allowed": ["fax"]}, "not a mail address"),
        ({"app_id": "da34aq4b-0000-4000-8000-000000000001"}, "not a hexadecimal digit"),
        ({"wait": -1}, "negative"),
        ({"ews_in_force_by": "soon"}, "not an instant"),
    ],
)
def test_bad_input_is_refused_before_any_request(emulator: Emulator, params: Json, word: str):
    result = probe(emulator, **params)
    assert (result["outcome"], result["error"]["kind"]) == ("failed", "InvalidInput")
    assert word in result["msg"]
    assert emulator.journal() == []


def test_a_stumbling_service_is_asked_again(emulator: Emulator):
    match = {"host": EXCHANGE, "path_regex": "(?i)/ews/"}
    emulator.faults([{"match": match, "times": 2, "effect": {"status": 503, "headers": {"Retry-After": "0"}}}])
    try:
        assert probe(emulator)["outcome"] == "ok"
    finally:
        emulator.faults([])
    assert ews_calls(emulator) == 4


def test_what_comes_into_force_is_waited_for():
    """A policy and a secret that are new: the emulator of a realistic tenant makes both wait."""
    with start_emulator({"tenants": tenants(MAILBOXES)}, profile="realistic") as emulator:
        token = emulator.token(TENANT_ID, OPERATOR_ID, "operator-secret", "https://outlook.office365.com")
        with emulator.session() as session:
            body = {
                "CmdletInput": {
                    "CmdletName": "New-ApplicationAccessPolicy",
                    "Parameters": {
                        "AccessRight": "RestrictAccess",
                        "AppId": NO_POLICY,
                        "PolicyScopeGroupId": "scope",
                    },
                }
            }
            url = f"https://outlook.office365.com/adminapi/beta/{TENANT_ID}/InvokeCommand"
            for _attempt in range(10):
                answer = session.post(url, json=body, headers={"Authorization": f"Bearer {token}"}, timeout=30)
                if answer.status_code == 200:
                    break
        assert answer.status_code == 200, answer.text
        at_once = probe(emulator, NO_POLICY)
        assert at_once["outcome"] == "pending"
        waited = probe(emulator, NO_POLICY, wait=60)
        assert waited["outcome"] == "ok"
        # Only the mailbox that was not as expected was tried again: few times, in growing intervals.
        assert ews_calls(emulator) <= 9
        assert sign_ins(emulator) == 1
