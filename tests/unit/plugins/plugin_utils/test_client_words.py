# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mail clients: what the code decides by, and what people are told, is about the same ones."""

from __future__ import annotations

import base64

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils._clients import CLIENTS, encoded
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.model import MODELS
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _client_words, _profile, _variables
from tests.unit.roles import test_sheet as sheets

FAX = "fax@contoso.com"


def test_the_three_lists_have_the_same_clients() -> None:
    assert list(CLIENTS) == sorted(CLIENTS)
    assert set(_client_words.words()) == set(CLIENTS)
    assert _variables.variables()["mail2fax_client"].choices == tuple(CLIENTS)


@pytest.mark.parametrize("mailbox", [FAX, "a.much.longer.address.of.a.mailbox@contoso.com"])
@pytest.mark.parametrize("name", ["msmtp", "mpop", "neomutt", "mbsync", "curl"])
def test_the_longest_token_is_the_last_that_goes(name: str, mailbox: str) -> None:
    client = CLIENTS[name]
    longest = client.longest(mailbox)
    assert longest is not None
    assert client.sends_whole(longest, mailbox)
    assert not client.sends_whole(longest + 1, mailbox)


def test_what_was_measured_is_what_is_reckoned() -> None:
    """tests/field/measure.py, 2026-11-28: the same program, two addresses."""
    assert CLIENTS["msmtp"].longest("fax@contoso.example") == 3030
    assert CLIENTS["msmtp"].longest("a.much.longer.address@contoso.example") == 3012
    assert CLIENTS["smtplib"].longest(FAX) is None
    assert CLIENTS["smtplib"].sends_whole(60_000, FAX)


def test_the_length_is_that_of_the_text_that_is_sent() -> None:
    for length in (0, 1, 2, 3, 1500):
        text = base64.b64encode(f"user={FAX}\1auth=Bearer {'e' * length}\1\1".encode())
        assert encoded(length, FAX) == len(text)


def access(protocol: str, scoping: str = "tenant_wide") -> dict[str, str]:
    return {"protocol": protocol, "scoping": scoping}


def test_the_sheet_says_what_concerns_the_protocols() -> None:
    sending = _client_words.hints("msmtp", [access("smtp")], [FAX])
    assert any("3,0" in line and "characters" in line for line in sending)
    reading = _client_words.hints("msmtp", [access("imap")], [FAX])
    assert "IMAP" in reading[0]
    assert not any("3,0" in line for line in reading)
    assert any("500" in line for line in _client_words.hints("mutt", [access("smtp")], [FAX]))
    assert not any("500" in line for line in _client_words.hints("mutt", [access("imap")], [FAX]))
    assert _client_words.hints("imaplib", [access("imap")], [FAX]) == []


def test_the_sheet_says_when_to_connect_by_the_model() -> None:
    accesses = [access("imap", "mailbox_permission"), access("smtp", "application_role")]
    first, second = _client_words.hints("curl", accesses, [FAX])[-2:]
    assert first.startswith("IMAP: ")
    assert "an hour" in first
    assert "new connection" in first
    assert second.startswith("SMTP: ")
    assert "2 hours" in second
    assert "half an hour" in second
    # What the client does not speak is none of its business.
    assert _client_words.hints("msmtp", accesses, [FAX])[-1] == second
    both = [access("imap", "mailbox_permission"), access("smtp", "mailbox_permission")]
    assert _client_words.hints("curl", both, [FAX])[-1].startswith("IMAP and SMTP: ")


def test_every_model_that_needs_time_has_its_sentence() -> None:
    assert set(_client_words.EARLY) == set(MODELS) - {"tenant_wide"}


def test_the_sheet_has_no_markup() -> None:
    for name, words in _client_words.words().items():
        for hint in words.sheet:
            assert "``" not in hint.say, name
            assert hint.say.endswith("."), name
            assert set(hint.protocols) <= set(CLIENTS[name].sends), name


@pytest.mark.parametrize("profile", _profile.names())
def test_every_sheet_has_a_paragraph_that_fits_its_profile(profile: str) -> None:
    accesses = _profile.load(profile)["accesses"]
    for name, client in CLIENTS.items():
        page = sheets.render(sheets.document(), profile, client=name)
        spoken = [one for one in accesses if one["protocol"] in client.sends and one["scoping"] != "tenant_wide"]
        assert ("connect when this sheet says READY" in page) == bool(spoken), name
        assert "&lt;" not in page.partition("<b>With")[2].partition("</ul>")[0], name
