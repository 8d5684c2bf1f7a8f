# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people type: refused with a reason, or passed on as a literal."""

from __future__ import annotations

import urllib.parse

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils import _names
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import InvalidInput

GUID = "1cb8b5d2-8724-4f32-8152-a16a230b682b"


@pytest.mark.parametrize("text", [GUID, GUID.upper(), f" {GUID} ", f"{{{GUID}}}"])
def test_guids_are_normalised(text):
    assert _names.guid(text, "app_id") == GUID


def test_the_letter_that_cannot_be_is_named():
    with pytest.raises(InvalidInput, match=r"app_id .*'q' is not a hexadecimal digit"):
        _names.guid("da34aq4b-b01f-47e4-bfac-2f9fc3f1383e", "app_id")


@pytest.mark.parametrize("text", ["", "x", GUID[:-1], GUID + "0", GUID.replace("-", "")])
def test_what_is_no_guid_is_refused(text):
    with pytest.raises(InvalidInput):
        _names.guid(text, "app_id")


@pytest.mark.parametrize(
    "text", [GUID.upper(), "Contoso.onmicrosoft.com", "sub.contoso.co.uk", "xn--mller-kva.example"]
)
def test_tenants(text):
    assert _names.tenant(text) == text.lower()


@pytest.mark.parametrize(
    "text", ["", "contoso", "con toso.com", GUID.replace("b", "q"), "https://contoso.com", "-a.com"]
)
def test_what_is_no_tenant_is_refused(text):
    with pytest.raises(InvalidInput):
        _names.tenant(text)


@pytest.mark.parametrize(
    "text",
    [
        *("fax@contoso.com", "O'Brien+fax@contoso.com", " fax@contoso.com "),
        *("fax@xn--mller-kva.example", "fax@fax.xn--zckzah", "fax@müller.example"),
    ],
)
def test_addresses(text):
    assert _names.address(text, "mailboxes") == text.strip()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fax",
        "fax@",
        "@contoso.com",
        "fax@contoso",
        "f x@contoso.com",
        "a@b@c.com",
        "a\n@b.com",
        "a@-b.com",
        "a@b--.com",
        "a@b_c.com",
    ],
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(InvalidInput, match="mailboxes"):
        _names.address(text, "mailboxes")


@pytest.mark.parametrize("text", ["O'Brien", "50 $ off", "\u202efax", "Größe 漢字", "x" * 64])
def test_names_are_taken_as_they_are(text):
    assert _names.name(text, "name", 64) == text


@pytest.mark.parametrize("text", ["", "  ", "x" * 65, "a\nb", "a\x00b", "a\x85b"])
def test_names_that_cannot_be_are_refused(text):
    with pytest.raises(InvalidInput, match="name"):
        _names.name(text, "name", 64)


@pytest.mark.parametrize(
    ("text", "fine"), [("imagicle.digital.fax", True), ("a..b", False), ("a b", False), ("", False), ("x" * 65, False)]
)
def test_aliases(text, fine):
    if fine:
        assert _names.alias(text, "alias") == text
    else:
        with pytest.raises(InvalidInput):
            _names.alias(text, "alias")


def test_the_nearest_names_come_first():
    known = ["full_access_as_app", "Mail.Read", "Mail.ReadWrite"]
    assert _names.nearest("full_acces_as_app", known)[0] == "full_access_as_app"
    assert _names.nearest("mail.read", known)[0] == "Mail.Read"
    assert _names.nearest("qqq", known) == []


@pytest.mark.parametrize("text", ["O'Brien's", "a/b?c#d&e=f", "100%", "$select", "\u202e漢", "a b"])
def test_odata_literals_come_back_whole(text):
    literal = _names.odata(text)
    assert set(literal) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789%'_.-~")
    assert urllib.parse.unquote(literal)[1:-1].replace("''", "'") == text


def test_filter_literals():
    assert _names.opath_literal("O'Brien $x") == "'O''Brien $x'"
