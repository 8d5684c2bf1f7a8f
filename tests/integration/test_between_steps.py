# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody changes something between two steps of a run: the run ends blocked, or nothing is wider than declared."""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Iterator

import pytest

from tests.emulator.testing import Emulator, start_emulator
from tests.integration.app_roles import BOSS, CONTROL, FAX, NEW, SCOPE, SMTP, consent, tenants
from tests.integration.exchange_admin import admin
from tests.integration.harness import TENANT_ID, graph_as_a_person, run

Json = dict[str, t.Any]

ALIAS, GROUP = "race.group", "Race group"
ACCESSES: list[Json] = [
    {"id": "imap", "protocol": "imap", "permissions": ["IMAP.AccessAsApp"], "scoping": "mailbox_permission"},
    {
        "id": "smtp",
        "protocol": "smtp",
        "permissions": ["SMTP.SendAsApp"],
        "scoping": "application_role",
        "roles": [SMTP],
    },
]
PERMISSIONS = [{"resource": "exchange_online", "application": ["IMAP.AccessAsApp"]}]
STRANGER = "66666666-0000-4000-8000-000000000001"
STEPS = ("preflight", "group", "pointer", "right", "role", "consent")


@pytest.fixture(scope="module")
def running() -> Iterator[Emulator]:
    with start_emulator(tenants(transport_config={"SmtpClientAuthenticationDisabled": False})) as emulator:
        yield emulator


@pytest.fixture
def emulator(running: Emulator) -> Emulator:
    return running.reset()


# --- a run ---------------------------------------------------------------------------------------------------


def options(step: str, before: dict[str, Json]) -> tuple[str, Json]:
    """The module of a step and its options, as a run with the defaults of a profile gives them."""
    match step:
        case "preflight":
            return "m365_tenant_info", {
                "application": {"app_id": NEW, "recorded_app_id": NEW},
                "accesses": ACCESSES,
                "permissions": PERMISSIONS,
                "extra_permissions": [],
                "mailboxes": [FAX],
                "control_mailboxes": [CONTROL],
                "group": {"name": GROUP, "alias": ALIAS, "owners": [], "on_foreign_members": "fail"},
                "application_role": {"scope_name": SCOPE},
                "mailbox_permission": {"exclusive": True},
                "protocols": {"required": ["imap", "smtp"]},
            }
        case "group":
            return "exchange_security_group", {"name": GROUP, "alias": ALIAS, "members": [FAX], "owners": []}
        case "pointer":
            return "exchange_service_principal", {"app_id": NEW}
        case "right":
            return "exchange_mailbox_permission", {
                "app_id": NEW,
                "mailboxes": [FAX],
                "candidates": [CONTROL],
                "exclusive": True,
            }
        case "role":
            return "exchange_application_role", {
                "app_id": NEW,
                "roles": [SMTP],
                "group": ALIAS,
                "scope_name": SCOPE,
                "mailboxes": [FAX],
            }
        case _:
            return "entra_admin_consent", {
                "app_id": NEW,
                "permissions": PERMISSIONS,
                "extra_permissions": [],
                "accesses": ACCESSES,
                "limited_by": {"mailboxes": [FAX], "sid": before["right"]["sid"], "candidates": [CONTROL]},
            }


def chain(emulator: Emulator, meanwhile: Callable[[Emulator], None] | None = None, at: str = "") -> dict[str, Json]:
    """The results of the steps until one is not done; ``meanwhile`` happens right before the step ``at``."""
    results: dict[str, Json] = {}
    for step in STEPS:
        if step == at and meanwhile is not None:
            meanwhile(emulator)
        module, params = options(step, results)
        results[step] = run(module, params, emulator, patience=2)
        if results[step]["outcome"] in ("blocked", "failed"):
            break
    return results


def outcome(results: dict[str, Json]) -> str:
    return str(list(results.values())[-1]["outcome"])


def is_wide(emulator: Emulator) -> bool:
    """Whether the application can open more than the fax mailbox, as things stand now."""
    emulator.clear_journal()
    admin(emulator, "New-ManagementScope", Name="an instant", RecipientRestrictionFilter="Alias -eq 'nobody'")
    admin(emulator, "Remove-ManagementScope", Identity="an instant")
    return bool(emulator.exposures(app_id=NEW, declared=[FAX]))


# --- what somebody does --------------------------------------------------------------------------------------


def _principal(emulator: Emulator, app_id: str = NEW) -> str:
    found = emulator.state(TENANT_ID)["servicePrincipals"]
    return next(str(one["id"]) for one in found if one["appId"] == app_id)


def consents(emulator: Emulator) -> None:
    consent(emulator, "Mail.Read", app_id=NEW)


def consents_to_smtp(emulator: Emulator) -> None:
    consent(emulator, "SMTP.SendAsApp", "00000002-0000-0ff1-ce00-000000000000", NEW)


def adds_a_member(emulator: Emulator) -> None:
    admin(emulator, "Add-DistributionGroupMember", Identity=ALIAS, Member=CONTROL)


def replaces_the_pointer(emulator: Emulator) -> None:
    if any(one["AppId"] == NEW for one in emulator.state(TENANT_ID)["exchangeServicePrincipals"]):
        admin(emulator, "Remove-ServicePrincipal", Identity=NEW)
    admin(emulator, "New-ServicePrincipal", AppId=NEW, ObjectId="99999999-0000-4000-8000-000000000077")


def makes_the_pointer_anew(emulator: Emulator) -> None:
    """With the right id, and another SID."""
    if any(one["AppId"] == NEW for one in emulator.state(TENANT_ID)["exchangeServicePrincipals"]):
        admin(emulator, "Remove-ServicePrincipal", Identity=NEW)
    admin(emulator, "New-ServicePrincipal", AppId=NEW, ObjectId=_principal(emulator))


def gives_a_right(emulator: Emulator) -> None:
    admin(emulator, "Add-MailboxPermission", Identity=CONTROL, User=NEW, AccessRights=["FullAccess"])


def gives_send_as(emulator: Emulator) -> None:
    admin(emulator, "Add-RecipientPermission", Identity=BOSS, Trustee=NEW, AccessRights=["SendAs"])


def denies(emulator: Emulator) -> None:
    admin(emulator, "Add-MailboxPermission", Identity=FAX, User=NEW, AccessRights=["FullAccess"], Deny=True)


def assigns_without_a_scope(emulator: Emulator) -> None:
    admin(emulator, "New-ManagementRoleAssignment", Name="by hand", Role="Application Mail.Read", App=NEW)


def takes_the_scope_name(emulator: Emulator) -> None:
    admin(emulator, "New-ManagementScope", Name=SCOPE, RecipientRestrictionFilter="CustomAttribute1 -eq 'x'")


def widens_the_scope(emulator: Emulator) -> None:
    admin(
        emulator,
        "Set-ManagementScope",
        Identity=SCOPE,
        RecipientRestrictionFilter="RecipientTypeDetails -eq 'UserMailbox'",
    )


def becomes_an_owner(emulator: Emulator) -> None:
    body = {"@odata.id": f"https://graph.microsoft.com/v1.0/directoryObjects/{_principal(emulator, STRANGER)}"}
    graph_as_a_person(emulator, "POST", f"/servicePrincipals/{_principal(emulator)}/owners/$ref", body)


OFTEN = [
    (consents, "role", "blocked"),
    (adds_a_member, "role", "blocked"),
    (replaces_the_pointer, "role", "blocked"),
    (makes_the_pointer_anew, "right", "changed"),
    (gives_a_right, "consent", "blocked"),
    (denies, "consent", "blocked"),
    (assigns_without_a_scope, "role", "blocked"),
    (becomes_an_owner, "role", "blocked"),
]
"""What every test run tries, of the matrix; the rest is for ``make soak``."""

SELDOM = [
    *((consents, at, "blocked") for at in ("group", "consent")),
    *((consents_to_smtp, at, "blocked") for at in ("group", "role")),
    # It takes the role's effect away and opens nothing: told, and the next run stops.
    (consents_to_smtp, "consent", "changed"),
    (adds_a_member, "pointer", "blocked"),
    # The verdict and the proof that follow look at what was let in meanwhile, and so does the next run.
    (adds_a_member, "consent", "changed"),
    *((replaces_the_pointer, at, "blocked") for at in ("pointer", "right", "consent")),
    *((makes_the_pointer_anew, at, "changed") for at in ("group", "pointer")),
    *((makes_the_pointer_anew, at, "blocked") for at in ("role", "consent")),
    (gives_a_right, "right", "changed"),
    (gives_a_right, "role", "blocked"),
    (gives_send_as, "right", "changed"),
    *((denies, at, "blocked") for at in ("right", "role")),
    (assigns_without_a_scope, "right", "blocked"),
    *((takes_the_scope_name, at, "blocked") for at in ("group", "role")),
    (widens_the_scope, "consent", "changed"),
    *((becomes_an_owner, at, "blocked") for at in ("group", "right", "consent")),
]


def test_a_run_that_nobody_disturbs(emulator: Emulator) -> None:
    results = chain(emulator)
    assert {step: one["outcome"] for step, one in results.items()} == {
        **dict.fromkeys(STEPS, "changed"),
        "preflight": "ok",
    }
    assert emulator.exposures(app_id=NEW, declared=[FAX]) == []
    assert not is_wide(emulator)
    assert {one["outcome"] for one in chain(emulator).values()} == {"ok"}


@pytest.mark.parametrize(
    ("meanwhile", "at", "expected"),
    [*OFTEN, *(pytest.param(*case, marks=pytest.mark.soak) for case in SELDOM)],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_somebody_changes_something(
    emulator: Emulator, meanwhile: Callable[[Emulator], None], at: str, expected: str
) -> None:
    *_before, last = chain(emulator, meanwhile, at).values()
    assert last["outcome"] == expected, last
    wide = is_wide(emulator)
    *_before, next_time = chain(emulator).values()
    if expected == "blocked":
        assert all(last["error"][key] for key in ("cure", "who"))
    elif wide:
        # Either the next run mends it, or it stops; it never goes on as if all were well.
        assert next_time["outcome"] == "blocked" or not is_wide(emulator)
    if is_wide(emulator):
        assert next_time["outcome"] == "blocked", next_time
