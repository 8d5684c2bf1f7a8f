# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A named mail client is warned of where it cannot send the token that the proof got."""

from __future__ import annotations

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils._clients import CLIENTS
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import mailbox_probe_client
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.mailbox_probe import SPEC
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.mailbox_probe_plan import Asked, Desired, State

FAX, OTHER = "fax@contoso.com", "a.very.long.address.of.a.mailbox@contoso.com"


def desired(client: str | None, *protocols: str, allowed: tuple[str, ...] = (FAX,)) -> Desired:
    accesses = tuple(Asked(name, name) for name in protocols)
    return Desired("app", "tenant", None, allowed, (), accesses=accesses, client=client)


def told(client: str | None, length: int, *protocols: str, allowed: tuple[str, ...] = (FAX,)) -> list[str]:
    state = State(lengths=dict.fromkeys(protocols, length))
    return mailbox_probe_client.warnings(state, desired(client, *protocols, allowed=allowed))


def test_the_last_length_that_goes_is_not_warned_of() -> None:
    longest = CLIENTS["msmtp"].longest(FAX)
    assert longest is not None
    assert told("msmtp", longest, "smtp") == []
    (warning,) = told("msmtp", longest + 1, "smtp")
    assert f"{longest + 1} characters" in warning
    assert f"no more than {longest}." in warning
    assert FAX in warning


def test_a_longer_address_leaves_less_room() -> None:
    longest = CLIENTS["msmtp"].longest(FAX)
    assert longest is not None
    (warning,) = told("msmtp", longest, "smtp", allowed=(FAX, OTHER))
    assert OTHER in warning
    assert FAX not in warning.replace(OTHER, "")


def test_what_the_client_does_not_speak_is_said_and_not_measured() -> None:
    (warning,) = told("msmtp", 9_000, "imap")
    assert "by imap" in warning
    first, second = told("msmtp", 9_000, "imap", "smtp")
    assert "by imap" in first
    assert "9000 characters" in second


@pytest.mark.parametrize("client", [None, "", "smtplib"])
def test_without_a_bound_or_a_name_nothing_is_said(client: str | None) -> None:
    assert told(client, 50_000, "smtp") == []


def test_nothing_probed_nothing_said() -> None:
    assert mailbox_probe_client.longest(State()) is None
    assert mailbox_probe_client.warnings(State(), desired("msmtp", "imap")) == []
    assert mailbox_probe_client.longest(State(lengths={"imap": 1500, "smtp": 1800})) == 1800


def test_the_option_takes_the_names_of_the_table() -> None:
    assert SPEC.options["client"]["choices"] == list(CLIENTS)
