# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No live secret is in a result, in whatever notation; names and addresses stay what they are."""

from __future__ import annotations

import base64
import html
import json
import typing as t
import urllib.parse

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils import _redact, _secret_options
from ansible_collections.mail2fax.m365.plugins.module_utils._argspec import CONNECTION
from ansible_collections.mail2fax.m365.plugins.module_utils._auth import token
from ansible_collections.mail2fax.m365.plugins.module_utils._redact import MASK, Redactor, Secrets, visible
from ansible_collections.mail2fax.m365.plugins.module_utils._store import StoredSecret
from tests.unit.script import jwt

MINTED = "Xy7~8Q'a&b<c>+/=%25\"d\\e.f_ABCDEFGH12345"
PLAIN = "k3J8Q~plain.minted-secret_of40characters"


def cleaned(value: t.Any, *, issued: t.Sequence[str] = (), typed: t.Sequence[str] = (), declared: t.Any = ()) -> t.Any:
    secrets = Secrets()
    for item in issued:
        secrets.add(item)
    for item in typed:
        secrets.add_typed(item)
    return Redactor(secrets, declared).clean(value)


def b64(value: str, before: str = "", coding: str = "utf-8") -> str:
    return base64.b64encode((before + value + ":tail").encode(coding)).decode()


WAYS: dict[str, t.Callable[[str], str]] = {
    "raw": str,
    "in the middle": lambda value: f"what was sent, «{value}», is not welcome",
    "in a URL": urllib.parse.quote_plus,
    "in a path": lambda value: urllib.parse.quote(value, safe="/"),
    "in a URL, lower case": lambda value: "".join(f"%{byte:02x}" for byte in value.encode()),
    "in a URL, twice": lambda value: urllib.parse.quote(urllib.parse.quote(value)),
    "in JSON": lambda value: json.dumps({"sent": value}),
    "in JSON in JSON": lambda value: json.dumps(json.dumps([value])),
    "in JSON, all escaped": lambda value: "".join(f"\\u{ord(char):04x}" for char in value),
    "in HTML": html.escape,
    "in HTML, by numbers": lambda value: "".join(f"&#{ord(char)};" for char in value),
    "in base64": b64,
    "in base64, one on": lambda value: b64(value, "x"),
    "in base64, two on": lambda value: b64(value, "xy"),
    "in base64 of a URL": lambda value: base64.urlsafe_b64encode(("a:" + value).encode()).decode(),
    "in base64 of UTF-16": lambda value: b64(value, coding="utf-16-le"),
    "in base64 of what is in a URL": lambda value: b64(urllib.parse.quote(value, safe="")),
    "in base64 in a URL": lambda value: urllib.parse.quote(b64(value), safe=""),
    "in hexadecimal": lambda value: value.encode().hex(),
    "in hexadecimal, capitals": lambda value: value.encode().hex().upper(),
    "in hexadecimal, apart": lambda value: value.encode().hex(":"),
    "quoted for printing": lambda value: "".join(f"={ord(char):02X}" for char in value),
    "quoted for PowerShell": lambda value: "'" + value.replace("'", "''") + "'",
    "repeated by Python": lambda value: repr({"secret": value}),
    "in other capitals": str.upper,
    "over two lines": lambda value: f"{value[:18]}\n   {value[18:]}",
}


@pytest.mark.parametrize("secret", [MINTED, PLAIN])
@pytest.mark.parametrize("way", WAYS)
def test_what_was_issued_is_found_in_every_notation(way: str, secret: str) -> None:
    told = f"400: {WAYS[way](secret)}"
    result = {"msg": told, "error": {"details": [{told: 1}, told]}, "ids": {"name": told}}
    found = json.dumps(cleaned(result, issued=[secret]))
    for text in (WAYS[way](secret), WAYS[way](secret)[6:-6]):
        assert json.dumps(text)[1:-1] not in found
    assert MASK in found or _redact.WITHHELD in found


def test_a_piece_that_was_cut_off_is_found() -> None:
    assert cleaned(f"sent {PLAIN[:20]}…", issued=[PLAIN]) == f"sent {MASK}…"
    assert cleaned(f"… {PLAIN[-15:]} it was", issued=[PLAIN]) == f"… {MASK} it was"


def test_a_token_is_known_by_its_look_even_if_nobody_noted_it() -> None:
    assert cleaned(f"Bearer {jwt(sub='x')} and {jwt(sub='y')[:40]}") == f"Bearer {MASK} and {MASK}"


def test_tokens_and_stored_values_are_noted_where_they_come_to_be() -> None:
    with _redact.collecting() as secrets:
        token("an-opaque-token-of-a-service")
        StoredSecret("t", "c", "k", "n", "2026-01-01", "2027-01-01", value=PLAIN)
        _redact.note_sent({"Authorization": "Basic abc0123456789"}, b"client_assertion=a.b.c0123456789&x=1")
        _redact.note_sent({"X-IDENTITY-HEADER": "of-the-machine"}, None)
    token("too-late")
    assert secrets.issued == [
        "an-opaque-token-of-a-service",
        PLAIN,
        "abc0123456789",
        "a.b.c0123456789",
        "of-the-machine",
    ]
    assert PLAIN not in repr(secrets)


NAMES: dict[str, t.Any] = {
    "tenant": {"id": "imagicle.example", "domains": ["fax.imagicle.example"]},
    "group": {"display_name": "Imagicle imagicle fax", "alias": "imagicle.digital.fax"},
    "members": ["fax@imagicle.example"],
    "unique_name": "mail2fax-imagicle-ews",
    "application": {"tags": ["imagicle"], "n": 1770},
}  # fmt: skip


@pytest.mark.parametrize("typed", ["fax", "imagicle", "Imagicle imagicle fax", "imagicle.digital", "1770"])
def test_a_typed_word_changes_no_name(typed: str) -> None:
    assert cleaned(NAMES, typed=[typed]) == NAMES


@pytest.mark.parametrize(
    ("typed", "text", "expected"),
    [
        ("fax", "the password fax is wrong", f"the password {MASK} is wrong"),
        ("fax", "'fax' is wrong, so is fax.", f"'{MASK}' is wrong, so is {MASK}."),
        ("fax", "fax@contoso.com, telefax, fax-2, imagicle.fax, a/fax", None),
        ("operator-secret", "sent operator-secret, so", f"sent {MASK}, so"),
        ("operator-secret", f"sent {b64('operator-secret')}, so", None),
        ("p w", "say p w now", f"say {MASK} now"),
    ],
)
def test_a_typed_word_is_taken_out_of_free_text(typed: str, text: str, expected: str | None) -> None:
    found = cleaned({"msg": text}, typed=[typed])["msg"]
    if expected is not None:
        assert found == expected
    elif typed == "fax":
        assert found == text
    else:
        assert b64(typed) not in found


def test_what_a_service_made_up_is_taken_out_of_everything_even_if_typed() -> None:
    typed = "Abc8Q~made.up_by-Entra0123456789abcdefgh"
    assert cleaned({"id": f"x{typed}"}, typed=[typed]) == {"id": f"x{MASK}"}
    assert cleaned({"name": typed[:30]}, typed=[typed[:30]], declared=[f"a {typed}"]) == {"name": typed[:30]}


def test_values_that_are_no_text_stay() -> None:
    result = {"changed": True, "n": 1234567890, "none": None, "list": [1.5, False]}
    assert cleaned(result, issued=["1234567890"], typed=["True", "5"]) == result


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("\x9b31m \x85", "\\x9b31m \\x85"),
        ("abc\u202egpj.exe \u2066x\u2069 \u200e\u061c", "abc\\u202egpj.exe \\u2066x\\u2069 \\u200e\\u061c"),
        ("a\rb\nc\td", "a\\x0db\nc\td"),
        ("\udcff \u2028 \ufeff \U000e0041", "\\udcff \\u2028 \\ufeff \\U000e0041"),
        ("Größe 传真 نمابر\u200cها 👨\u200d👩", "Größe 传真 نمابر\u200cها 👨\u200d👩"),
    ],
)
def test_what_a_terminal_obeys_is_made_visible_once(text: str, expected: str) -> None:
    assert visible(text) == expected
    assert visible(expected) == expected
    assert cleaned({text: [text]}) == {expected: [expected]}


def test_a_declared_name_stays_as_its_author_wrote_it() -> None:
    assert cleaned({"name": "\u200fפקס"}, declared=["\u200fפקס"]) == {"name": "\u200fפקס"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("by http://user:w0rd@proxy:3128/x", f"by http://{MASK}@proxy:3128/x"),
        ("http://us%40er:p@ss@proxy", f"http://{MASK}@proxy"),
        ("https://graph.microsoft.com/v1.0/users/a@b.example", None),
    ],
)
def test_user_info_of_urls_is_masked(text: str, expected: str | None) -> None:
    assert cleaned({"proxy": text, "msg": text}) == dict.fromkeys(("proxy", "msg"), expected or text)
    assert list(_secret_options.user_info(["http://u:p%40x@h", "h", None])) == ["p%40x", "p@x"]


SPEC: dict[str, t.Any] = {
    **CONNECTION.options,
    "name": {"type": "str"},
    "store": {"type": "dict", "options": {"token": {"type": "str", "no_log": True}, "url": {"type": "str"}}},
}
PARAMS: dict[str, t.Any] = {
    "client_secret": "s",
    "winrm_password": "w",
    "access_token": {"graph": "", "exchange": None},
    "name": "n",
    "cloud": "global",
    "proxy": "http://u:p@h:1",
    "store": {"token": "t", "url": "https://a:b@vault"},
}


def test_options_are_shown_without_their_secrets() -> None:
    assert _secret_options.invocation(SPEC, PARAMS) == {
        "client_secret": _redact.OPTION,
        "winrm_password": _redact.OPTION,
        "access_token": {"graph": "", "exchange": None},
        "name": "n",
        "cloud": "global",
        "proxy": f"http://{MASK}@h:1",
        "store": {"token": _redact.OPTION, "url": f"https://{MASK}@vault"},
    }
    assert _secret_options.hidden_options(SPEC, PARAMS) == {
        "client_secret": ["s"],
        "winrm_password": ["w"],
        "store.token": ["t"],
    }
    assert _secret_options.declared_texts(SPEC, PARAMS) == {
        "n": "name",
        "http://u:p@h:1": "proxy",
        "https://a:b@vault": "store.url",
    }


@pytest.mark.parametrize(
    ("params", "windows_host", "idle"),
    [
        ({}, False, {"winrm_password", "certificate_passphrase"}),
        ({"exchange_transport": "winrm"}, False, {"certificate_passphrase"}),
        ({}, True, {"certificate_passphrase"}),
        ({"certificate_path": "x"}, True, set()),
        ({"managed_identity": "system"}, True, {"certificate_passphrase", "client_secret"}),
        ({"access_token": {"graph": "x"}}, True, {"certificate_passphrase", "client_secret"}),
    ],
)
def test_what_a_sign_in_does_not_use(params: dict[str, t.Any], windows_host: bool, idle: set[str]) -> None:
    assert _secret_options.idle_options(params, windows_host=windows_host) == idle


@pytest.mark.parametrize(
    "written",
    [
        "http://fax:{}@proxy:3128",
        "fax:{}@proxy:3128",
        "HTTPS://fax:{}@proxy",
        "http://{}@proxy",
        "http://fax:{}@[::1]:3128/",
    ],
)
@pytest.mark.parametrize("password", ["canary123", "p@canary", "ca/nary?x#y", "ca nary", "c%40nary:z"])
@pytest.mark.parametrize("option", ["proxy", "winrm_proxy"])
def test_a_proxy_s_user_is_in_no_invocation(written, password, option):
    shown = _secret_options.invocation({option: {"type": "str"}}, {option: written.format(password)})[option]
    assert shown.rpartition("@")[2] == written.rpartition("@")[2]
    for piece in ("fax", "nary", password):
        assert piece not in shown
    if "fax" in written:
        assert password in _secret_options.proxy_secrets([written.format(password)])


def test_a_proxy_without_a_user_is_shown_as_it_is():
    for value in ("http://proxy:3128", "proxy:3128", "http://proxy"):
        assert _secret_options.proxy_shown(value) == value
    assert not _secret_options.is_proxy("NO_PROXY")
