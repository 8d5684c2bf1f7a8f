# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mail clients that nobody here wrote, with tokens of the application: the fax mailboxes and no other, whatever runs.

They try before a run, all the time while it goes on, and after it. A run costs seconds, so the commit chooses a
profile; ``make soak`` takes them all.
"""

from __future__ import annotations

import pathlib
import typing as t

import pytest

from tests.emulator.clients import clients_can, watched
from tests.emulator.testing import Emulator, EmulatorError
from tests.integration import transports
from tests.integration.site import OPERATOR, Site, World
from tests.sample import SOAKING, sample

IMAP, SMTP = frozenset({"imaplib", "IMAPClient"}), frozenset({"smtplib"})
CAN: t.Mapping[str, frozenset[str]] = {
    "imagicle_imap_smtp": IMAP | SMTP,
    "imap_smtp_least": IMAP | SMTP,
    "smtp_send": SMTP,
    "graph_mail": frozenset(),
    "imagicle_ews": frozenset(),
    "imagicle_attendant_calendar": frozenset(),
}
MAIL = [name for name, can in CAN.items() if can]
AGAIN = ("provision", "audit", "rotate") if SOAKING else ("rotate",)


def newest(emulator: Emulator, world: World) -> str | None:
    """A token of the application as it is now, if there is one already."""
    for app in emulator.state(world.id)["applications"]:
        if app.get("createdByAppId") == OPERATOR["client_id"]:
            try:
                return emulator.app_token(world.id, app["appId"])
            except EmulatorError:
                return None
    return None


@pytest.mark.parametrize("name", list(CAN) if SOAKING else sample(MAIL, 1, of="mail clients"))
@pytest.mark.turn("whole playbooks")
def test_clients_read_and_send_for_the_fax_mailboxes_and_for_no_other(name: str, tmp_path: pathlib.Path) -> None:
    world = World(f"clients of {name}")
    fax = world.fax
    closed = [*world.control, next(box["address"] for box in world.mailboxes if box["address"] not in fax)]
    with transports.start_emulator(world.tenants(), "rest") as emulator:
        said = {"mail2fax_profile": name, "mail2fax_protocols_opt_in": True}
        site = Site(tmp_path, emulator, world, said)

        def token() -> str | None:
            return newest(emulator, world)

        assert token() is None
        with watched(emulator, token, closed) as opened:
            first = site.play("provision")
        assert first.code == 0, first.output
        held = token()
        assert held is not None
        for playbook in (None, *AGAIN):
            if playbook is not None:
                with watched(emulator, token, closed) as opened:
                    again = site.play(playbook)
                assert again.code == 0, again.output
            assert opened == []
            for box in fax:
                assert clients_can(emulator, held, box) == clients_can(emulator, token() or "", box) == CAN[name], box
        with watched(emulator, token, closed) as opened:
            last = site.play("decommission", mail2fax_confirm=True)
        assert last.code == 0, last.output
        assert opened == []
        assert token() is None
        for box in (*fax, *closed):  # the old token is still alive, and opens nothing
            assert clients_can(emulator, held, box) == frozenset(), box
