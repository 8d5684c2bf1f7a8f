# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proof tells how long the token is, and warns where the fax server's mail client cannot send it."""

from __future__ import annotations

import pathlib
import typing as t
from collections.abc import Iterator

import pytest

from tests.emulator.hosted import start_hosted
from tests.emulator.testing import Emulator, start_emulator
from tests.integration.harness import DOMAIN, TENANT_ID, run
from tests.integration.inprocess import play_in_process
from tests.integration.site import Site, World
from tests.integration.test_mail_proofs import IMAP, RIGHTS, SMTP, tenants
from tests.integration.test_mailbox_probe import SECRET

Json = dict[str, t.Any]
LONG = 4000


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    (first, *_others) = tenants()
    with start_emulator({"tenants": [{**first, "switches": {"token_bytes": LONG}}]}) as running:
        yield running


def probe(emulator: Emulator, client: str | None, **params: t.Any) -> Json:
    options: Json = {"app_id": RIGHTS, "app_secret": SECRET, "allowed": [f"fax@{DOMAIN}"], "patience": 2}
    named = {"client": client} if client else {}
    return run("mailbox_probe_info", {**options, "accesses": [IMAP, SMTP], **named, **params}, emulator)


def test_the_length_is_told_and_the_client_that_cannot_send_it(emulator: Emulator) -> None:
    result = probe(emulator, "msmtp")
    assert result["outcome"] == "ok", result
    assert emulator.state(TENANT_ID)
    assert LONG - 9 <= result["token_length"] < LONG + 400
    told = " ".join(result["warnings"])
    assert f"{result['token_length']} characters" in told
    assert "msmtp cannot send" in told
    assert "by imap" in told
    assert "eyJ" not in str(result)


def test_another_client_is_not_warned_of(emulator: Emulator) -> None:
    result = probe(emulator, "curl")
    assert result["token_length"] >= LONG - 9
    assert "warnings" not in result
    assert "warnings" not in probe(emulator, None)


def test_a_client_that_nobody_knows_is_refused(emulator: Emulator) -> None:
    with pytest.raises(ValueError, match="outlook"):
        probe(emulator, "outlook")


def test_a_run_warns_and_the_sheet_tells_what_the_client_needs(tmp_path: pathlib.Path) -> None:
    world = World("smtp_send")
    with start_hosted(world.tenants(switches={"token_bytes": LONG})) as running:
        said = {"mail2fax_profile": "smtp_send", "mail2fax_protocols_opt_in": True, "mail2fax_client": "msmtp"}
        ended = Site(tmp_path, running, world, said, player=play_in_process).play("provision")
    assert "msmtp cannot send" in " ".join(ended.output.split()), ended.output
    (sheet,) = (tmp_path / "handover").glob("*.html")
    page = sheet.read_text(encoding="utf-8")
    assert "With msmtp" in page
    assert "SMTP: connect when this sheet says READY (up to 2 hours after a change)." in page
