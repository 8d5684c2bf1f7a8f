# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client nobody here wrote (exchangelib) opens mailboxes, or is refused as the real service would refuse it."""

from __future__ import annotations

import typing as t

import exchangelib
import exchangelib.errors
import exchangelib.protocol
import exchangelib.version
import pytest

from tests.emulator.exchange_directory import TEXTS
from tests.emulator.testing import Emulator, start_emulator

TENANT = "5f3c1c5e-7e1c-4b43-9a51-0b2f3f1d8a01"
DOMAIN = "contoso.onmicrosoft.com"
FAX, OTHER, SHARED = f"fax@{DOMAIN}", f"other@{DOMAIN}", f"reception@{DOMAIN}"
SECRET = "mail-secret"
# Given to the client where it would otherwise ask for the version first, and wrap the refusal of that question.
KNOWN = exchangelib.Version(build=exchangelib.version.EXCHANGE_O365)
RESTRICTED = "22222222-0000-4000-8000-000000000001"  # limited to the fax group
UNRESTRICTED = "22222222-0000-4000-8000-000000000002"
WITHOUT_ROLE = "22222222-0000-4000-8000-000000000003"
OPERATOR = "22222222-0000-4000-8000-000000000009"

TENANTS = {
    "tenants": [
        {
            "id": TENANT,
            "domains": [DOMAIN],
            "operators": [
                {"client_id": RESTRICTED, "client_secret": SECRET, "app_roles": ["full_access_as_app"]},
                {"client_id": UNRESTRICTED, "client_secret": SECRET, "app_roles": ["full_access_as_app"]},
                {"client_id": WITHOUT_ROLE, "client_secret": SECRET, "app_roles": []},
                {
                    "client_id": OPERATOR,
                    "client_secret": SECRET,
                    "app_roles": ["Exchange.ManageAsApp"],
                    "directory_roles": ["Exchange Administrator"],
                },
            ],
            "mailboxes": [
                {"address": FAX, "display_name": "Digital Fax", "aliases": [f"telefax@{DOMAIN}"]},
                {"address": OTHER, "display_name": "Somebody Else"},
                {"address": SHARED, "display_name": "Reception", "type": "SharedMailbox"},
                {"address": "print@partner.example", "display_name": "Print shop", "type": "MailContact"},
            ],
            "groups": [
                {"name": "Reception", "alias": "reception-group", "members": [SHARED]},
                {"name": "Fax", "alias": "fax-group", "members": [FAX, "reception-group"]},
            ],
            "policies": [{"app_id": RESTRICTED, "group": "fax-group"}],
            "service_principals": 0,
        }
    ]
}


@pytest.fixture(scope="module")
def emulator() -> t.Iterator[Emulator]:
    with start_emulator(TENANTS) as running:
        yield running


@pytest.fixture(autouse=True)
def _environment(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[None]:
    for name, value in emulator.env().items():
        monkeypatch.setenv(name, value)
    emulator.reset()
    yield
    exchangelib.protocol.close_connections()
    exchangelib.protocol.CachingProtocol.clear_cache()


def _account(address: str, client_id: str, *, version: exchangelib.Version | None = None) -> exchangelib.Account:
    credentials = exchangelib.OAuth2Credentials(
        client_id=client_id,
        client_secret=SECRET,
        tenant_id=TENANT,
        identity=exchangelib.Identity(primary_smtp_address=address),
    )
    return exchangelib.Account(
        primary_smtp_address=address,
        access_type=exchangelib.IMPERSONATION,
        autodiscover=False,
        config=exchangelib.Configuration(
            server="outlook.office365.com",
            credentials=credentials,
            auth_type=exchangelib.OAUTH2,
            version=version,
        ),
    )


def _invoke(emulator: Emulator, cmdlet: str, **parameters: t.Any) -> None:
    token = emulator.token(TENANT, OPERATOR, SECRET, "https://outlook.office365.com")
    with emulator.session() as session:
        answer = session.post(
            f"https://outlook.office365.com/adminapi/beta/{TENANT}/InvokeCommand",
            json={"CmdletInput": {"CmdletName": cmdlet, "Parameters": parameters}},
            headers={"Authorization": f"Bearer {token}"},
            timeout=30,
        )
    assert answer.status_code == 200, answer.text


def test_opens_a_mailbox_in_scope_and_walks_its_folders() -> None:
    account = _account(FAX, RESTRICTED)
    assert account.inbox.name == "Inbox"
    assert account.inbox.total_count == 0
    assert account.inbox.absolute == "/root/Top of Information Store/Inbox"
    assert {"Inbox", "Sent Items", "Calendar"} <= {folder.name for folder in account.msg_folder_root.children}
    assert account.root.tois.name == "Top of Information Store"
    assert isinstance(account.calendar, exchangelib.folders.Calendar)
    assert list(account.inbox.all()) == []


def test_server_version_is_learnt_from_the_answer() -> None:
    version = _account(FAX, RESTRICTED).version
    assert (version.build.major_version, version.build.minor_version) == (15, 20)


def test_member_of_a_nested_group_is_in_scope() -> None:
    assert _account(SHARED, RESTRICTED).inbox.name == "Inbox"


def test_mailbox_out_of_scope_is_refused_without_a_policy_reason() -> None:
    with pytest.raises(exchangelib.errors.EWSError) as refusal:
        _account(OTHER, RESTRICTED).inbox.refresh()
    assert "403" in str(refusal.value)
    assert "x-ews-policy-reason" not in str(refusal.value).lower()


def test_application_without_policy_opens_every_mailbox() -> None:
    for address in (FAX, OTHER, SHARED):
        assert _account(address, UNRESTRICTED).inbox.name == "Inbox"


def test_removed_policy_opens_and_a_second_group_member_counts(emulator: Emulator) -> None:
    _invoke(
        emulator,
        "Add-DistributionGroupMember",
        Identity="fax-group",
        Member=OTHER,
        BypassSecurityGroupManagerCheck=True,
    )
    assert _account(OTHER, RESTRICTED).inbox.name == "Inbox"


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"EwsEnabled": False}, "disabled"),
        ({"EwsEnabled": True, "EwsAllowedAppIDs": UNRESTRICTED}, "policy"),
    ],
)
def test_blocked_ews_names_its_reason(emulator: Emulator, settings: dict[str, t.Any], reason: str) -> None:
    _invoke(emulator, "Set-OrganizationConfig", **settings)
    with pytest.raises(exchangelib.errors.EWSError) as refusal:
        _account(FAX, RESTRICTED).inbox.refresh()
    assert "403" in str(refusal.value)
    assert TEXTS["ews"]["policy_reasons"][reason] in str(refusal.value)


def test_listed_application_passes(emulator: Emulator) -> None:
    _invoke(
        emulator, "Set-OrganizationConfig", EwsEnabled=True, EwsAllowedAppIDs=f"{UNRESTRICTED}, {RESTRICTED.upper()}"
    )
    assert _account(FAX, RESTRICTED).inbox.name == "Inbox"


def test_ews_closed_for_one_mailbox_only(emulator: Emulator) -> None:
    _invoke(emulator, "Set-CASMailbox", Identity=OTHER, EwsEnabled=False)
    assert _account(FAX, UNRESTRICTED).inbox.name == "Inbox"
    with pytest.raises(exchangelib.errors.EWSError, match=r"(?i)X-EWS-Policy-Reason"):
        _account(OTHER, UNRESTRICTED).inbox.refresh()


@pytest.mark.parametrize("address", [f"nobody@{DOMAIN}", "print@partner.example", f"fax-group@{DOMAIN}"])
def test_no_such_mailbox(address: str) -> None:
    with pytest.raises(exchangelib.errors.ErrorNonExistentMailbox):
        _account(address, UNRESTRICTED, version=KNOWN).inbox.refresh()


def test_secondary_address_is_not_a_primary_one() -> None:
    with pytest.raises(exchangelib.errors.ErrorNonPrimarySmtpAddress):
        _account(f"telefax@{DOMAIN}", UNRESTRICTED, version=KNOWN).inbox.refresh()


def test_token_without_the_role_is_refused() -> None:
    with pytest.raises(exchangelib.errors.EWSError) as refusal:
        _account(FAX, WITHOUT_ROLE).inbox.refresh()
    assert "403" in str(refusal.value)
    assert "not enough scope" in str(refusal.value)


def test_impersonation_is_required(emulator: Emulator) -> None:
    token = emulator.token(TENANT, UNRESTRICTED, SECRET, "https://outlook.office365.com")
    soap = "http://schemas.xmlsoap.org/soap/envelope/"
    messages = "http://schemas.microsoft.com/exchange/services/2006/messages"
    with emulator.session() as session:
        answer = session.post(
            "https://outlook.office365.com/EWS/Exchange.asmx",
            data=f'<s:Envelope xmlns:s="{soap}"><s:Body><GetFolder xmlns="{messages}"/></s:Body></s:Envelope>',
            headers={"Authorization": f"Bearer {token}", "Content-Type": "text/xml; charset=utf-8"},
            timeout=30,
        )
    assert answer.status_code == 500
    assert "ExchangeImpersonation SOAP header must be present" in answer.text


def test_token_for_graph_is_not_one_for_exchange(emulator: Emulator) -> None:
    token = emulator.token(TENANT, UNRESTRICTED, SECRET)
    with emulator.session() as session:
        answer = session.post(
            "https://outlook.office365.com/EWS/Exchange.asmx",
            data="<x/>",
            headers={"Authorization": f"Bearer {token}"},
            timeout=30,
        )
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
