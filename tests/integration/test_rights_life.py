# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A profile with rights on mailboxes from the first run to the last: never wider, nothing twice, left as found.

The steps as provision and decommission run them, in this process.
"""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _profile
from tests.emulator.testing import Emulator
from tests.integration.exchange_admin import admin, at, changes
from tests.integration.harness import EXCHANGE, OPERATOR, TENANT_ID, requests_to, run, writes
from tests.integration.mail_rights import BRIEN, CONTROL, FAX, HELP, SCAN, SHUT, TENANT
from tests.integration.transports import TRANSPORTS, start_emulator

EMPTY = {**TENANT, "applications": [], "exchange_service_principals": [], "mailbox_permissions": []}
BOXES = [FAX, SCAN, HELP, BRIEN, SHUT, *(at(f"user{number}") for number in range(3))]
PROFILES = ("imagicle_imap_smtp", "imap_smtp_least")


@pytest.fixture(scope="module", params=TRANSPORTS)
def running(request: pytest.FixtureRequest) -> t.Iterator[Emulator]:
    with start_emulator({"tenants": [EMPTY]}, request.param) as emulator:
        yield emulator


@pytest.fixture
def emulator(running: Emulator) -> Emulator:
    return running.reset()


class Life:
    """One application of one profile. ``results``: the last of each step."""

    def __init__(self, emulator: Emulator, profile: str, mailboxes: t.Sequence[str] = BOXES) -> None:
        self.emulator, self.mailboxes = emulator, list(mailboxes)
        self.profile = _profile.load(profile)
        self.results: dict[str, dict[str, t.Any]] = {}
        self.added: list[dict[str, t.Any]] = []
        self.app_id = ""

    def step(self, module: str, **params: t.Any) -> dict[str, t.Any]:
        result = run(module, params, self.emulator)
        assert not result.get("failed"), (module, result)
        self.results[module] = result
        self.added += result.get("added") or []
        return result

    def provision(self) -> set[str]:
        """The modules that changed something."""
        profile = self.profile
        names, by = profile["names"], {"permissions": profile["permissions"], "accesses": profile["accesses"]}
        made = self.step(
            "entra_application",
            unique_name=names["unique_name"],
            display_name=names["application"],
            extra_permissions=[],
            **by,
        )
        self.app_id = made["app_id"]
        roles = bool(profile["roles"])
        if roles:
            self.step(
                "exchange_security_group",
                name=names["group"],
                alias=names["group_alias"],
                members=self.mailboxes,
                owners=[],
            )
        pointer = self.step("exchange_service_principal", app_id=self.app_id)
        given = self.step(
            "exchange_mailbox_permission",
            app_id=self.app_id,
            mailboxes=self.mailboxes,
            send_as=profile["send_as"],
            exclusive=True,
            candidates=[CONTROL],
        )
        assert given["sid"] == pointer["sid"]
        if roles:
            self.step(
                "exchange_application_role",
                app_id=self.app_id,
                roles=profile["roles"],
                group=names["group_alias"],
                scope_name=names["scope"],
                mailboxes=self.mailboxes,
                permissions=profile["permissions"],
                exclusive=True,
            )
        self.step("exchange_mailbox_protocols", mailboxes=self.mailboxes, protocols=profile["switches"])
        limits = {"sid": pointer["sid"], "mailboxes": self.mailboxes, "send_as": profile["send_as"]}
        limits["candidates"] = [CONTROL]
        self.step("entra_admin_consent", app_id=self.app_id, extra_permissions=[], limited_by=limits, **by)
        return {module for module, result in self.results.items() if result["changed"]}

    def decommission(self) -> None:
        rights = [one for one in self.added if one["kind"] == "right"]
        switches = [one for one in self.added if one["kind"] == "switch"]
        self.step("entra_admin_consent", app_id=self.app_id, state="absent", exclusive=True)
        if self.profile["roles"]:
            scope = self.profile["names"]["scope"]
            self.step("exchange_application_role", app_id=self.app_id, scope_name=scope, exclusive=True, state="absent")
        self.step(
            "exchange_mailbox_permission",
            app_id=self.app_id,
            mailboxes=[],
            candidates=sorted({one["of"] for one in rights}),
            former_sids=sorted({one["sid"] for one in rights}),
            state="absent",
        )
        restore = [{"mailbox": one["of"], "setting": one["id"], "before": one["before"]} for one in switches]
        self.step("exchange_mailbox_protocols", restore=restore, state="absent")
        self.step("exchange_service_principal", app_id=self.app_id, state="absent")
        self.step("entra_application", app_id=self.app_id, state="absent", purge=True)

    def exposed(self) -> list[dict[str, t.Any]]:
        return self.emulator.exposures(app_id=self.app_id, declared=self.mailboxes)

    def rights(self) -> set[tuple[str, str]]:
        state = self.emulator.state(TENANT_ID)
        rows = [*state["mailboxPermissions"], *state["recipientPermissions"]]
        return {(row["Identity"], right) for row in rows for right in row["AccessRights"]}


def mail_settings(emulator: Emulator) -> dict[str, t.Any]:
    state = emulator.state(TENANT_ID)
    kinds = ("mailboxPermissions", "recipientPermissions", "casMailboxes", "transportConfig", "roleAssignments")
    return {kind: state[kind] for kind in (*kinds, "managementScopes", "exchangeServicePrincipals")}


@pytest.mark.parametrize("profile", PROFILES)
def test_from_the_first_run_to_the_last(emulator: Emulator, profile: str):
    before = mail_settings(emulator)
    life = Life(emulator, profile)
    life.provision()
    wanted = {"FullAccess", "SendAs"} if profile == "imagicle_imap_smtp" else {"FullAccess"}
    assert life.rights() == {(box, right) for box in BOXES for right in wanted}
    emulator.clear_journal()
    assert life.provision() == set()
    assert (writes(emulator), changes(emulator)) == ([], [])
    assert life.exposed() == []
    life.decommission()
    assert life.exposed() == []
    assert mail_settings(emulator) == before


def test_nothing_to_change_stays_within_its_requests(emulator: Emulator):
    """Eight mailboxes and a control mailbox; the preflight and the verdict are two more."""
    if emulator.connection:
        return  # a Windows host has sessions, no requests
    life = Life(emulator, "imagicle_imap_smtp")
    life.provision()
    emulator.clear_journal()
    life.provision()
    assert len(requests_to(emulator, EXCHANGE)) <= 4


DRIFT: dict[str, t.Callable[[Emulator, str], None]] = {
    "a right on a further mailbox": lambda e, app: one(
        e, "Add-MailboxPermission", Identity=CONTROL, User=app, AccessRights=["FullAccess"]
    ),
    "SendAs of somebody nobody declared": lambda e, app: one(
        e, "Add-RecipientPermission", Identity=at("user9"), Trustee=app, AccessRights=["SendAs"]
    ),
    "a right that is missing": lambda e, app: one(
        e, "Remove-MailboxPermission", Identity=FAX, User=app, AccessRights=["FullAccess"]
    ),
    "SendAs that is missing": lambda e, app: one(
        e, "Remove-RecipientPermission", Identity=FAX, Trustee=app, AccessRights=["SendAs"]
    ),
    "IMAP switched off": lambda e, app: one(e, "Set-CASMailbox", Identity=FAX, ImapEnabled=False),
    "SMTP AUTH given back to the organization": lambda e, app: one(
        e, "Set-CASMailbox", Identity=FAX, SmtpClientAuthenticationDisabled=None
    ),
}


def one(emulator: Emulator, cmdlet: str, **parameters: t.Any) -> None:
    admin(emulator, cmdlet, **parameters)


@pytest.fixture(scope="module")
def provisioned() -> t.Iterator[Life]:
    with start_emulator({"tenants": [EMPTY]}, "rest") as emulator:
        life = Life(emulator, "imagicle_imap_smtp", [FAX, SCAN])
        life.provision()
        yield life


@pytest.mark.parametrize("kind", DRIFT)
def test_drift_is_mended_one_at_a_time(provisioned: Life, kind: str):
    emulator = provisioned.emulator
    before = mail_settings(emulator)
    DRIFT[kind](emulator, provisioned.app_id)
    assert mail_settings(emulator) != before
    [mended] = provisioned.provision()
    assert mended in ("exchange_mailbox_permission", "exchange_mailbox_protocols")
    assert len(changes(emulator)) >= 1
    assert provisioned.rights() == {(box, right) for box in (FAX, SCAN) for right in ("FullAccess", "SendAs")}
    assert provisioned.provision() == set()


def test_a_mailbox_that_is_no_longer_declared_is_closed(provisioned: Life):
    fewer = Life(provisioned.emulator, "imagicle_imap_smtp", [FAX])
    guids = {row["guid"] for row in provisioned.results["exchange_mailbox_permission"]["rights"]}
    told = run(
        "exchange_mailbox_permission",
        {
            "app_id": provisioned.app_id,
            "mailboxes": [FAX],
            "send_as": True,
            "exclusive": True,
            "candidates": sorted(guids),
        },
        provisioned.emulator,
    )
    assert told["outcome"] == "changed"
    assert fewer.rights() == {(FAX, "FullAccess"), (FAX, "SendAs")}
    assert OPERATOR["client_id"] not in str(told["rights"])
    provisioned.provision()
