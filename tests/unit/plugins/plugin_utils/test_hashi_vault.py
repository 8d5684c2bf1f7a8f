# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HashiCorp Vault through the real hvac: check-and-set, and every refusal in words."""

from __future__ import annotations

import sys

import hvac.exceptions
import pytest
import requests

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import (
    Blocked,
    InvalidInput,
    M365Error,
    MissingLibrary,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._store import Entry, StoredSecret
from ansible_collections.mail2fax.m365.plugins.plugin_utils._store_logins import Login
from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores import _vault_way
from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores.hashi_vault import HashiVault
from tests.vault_server import ROLE_ID, SECRET_ID, TOKEN, vault_server

PATH = "mail2fax/contoso"


@pytest.fixture
def vault():
    with vault_server() as server:
        yield server


def entry(value: str = "canary~value") -> Entry:
    return Entry(StoredSecret("t", "c", "k", "n", "2026-11-21T12:00:00Z", "2027-11-21T12:00:00Z", value))


def opened(vault, **options) -> HashiVault:
    store = HashiVault.from_options({"url": vault.url, "token": TOKEN, "path": PATH, **options}, None)
    store._client._pause = lambda _seconds: None
    return store


def test_a_write_whose_answer_was_lost_is_not_taken_for_somebody_else_s(vault):
    store = opened(vault)
    store.write(entry("one"))
    losses = ["drop"]
    vault.fault = lambda method, _path, after: losses.pop() if after and method == "POST" and losses else None
    store.write(entry("two"))
    assert [version["value"] for version in vault.secrets[PATH]] == ["one", "two"]
    vault.fault = lambda *_arguments: None
    store.write(entry("three"))
    assert opened(vault).read() == entry("three")


def test_a_write_that_never_arrived_is_repeated(vault):
    store = opened(vault)
    store.read()
    losses = [500, "drop"]
    vault.fault = lambda method, _path, after: losses.pop() if not after and method == "POST" and losses else None
    store.write(entry())
    assert len(vault.secrets[PATH]) == 1


def test_a_vault_that_stays_silent_is_given_up(vault):
    store = opened(vault)
    store.read()
    vault.fault = lambda *_arguments: "drop"
    seen = len(vault.seen)
    with pytest.raises(Blocked, match="does not answer"):
        store.write(entry())
    # The connection may be reopened by the HTTP library, so at least our own three attempts.
    assert len(vault.seen) - seen >= 3


@pytest.mark.parametrize("ask", ["read", "probe", "write", "remove"])
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda vault: setattr(vault, "sealed", True), "sealed"),
        (lambda vault: vault.tokens.clear(), "refuses the token"),
        (lambda vault: setattr(vault, "fault", lambda *_arguments: 429), "throttled"),
        (lambda vault: setattr(vault, "fault", lambda *_arguments: 500), "does not answer"),
        (lambda vault: setattr(vault, "mount", "elsewhere"), "mount"),
    ],
)
def test_refusals_in_words(vault, ask, spoil, words):
    store = opened(vault)
    store.write(entry("canary~old"))
    spoil(vault)
    if (ask, words) == ("probe", "mount"):
        store.probe()  # tells nothing of it; the noted intent is the first write
        return
    with pytest.raises(Blocked, match=words) as caught:
        {"read": store.read, "probe": store.probe, "write": lambda: store.write(entry()), "remove": store.remove}[ask]()
    said = str(caught.value) + repr(caught.value.__context__) + str(caught.value.as_result())
    assert "canary" not in said
    assert TOKEN not in said
    assert caught.value.cure


@pytest.mark.parametrize("may", [("read",), ("read", "create"), ("read", "update"), ()])
def test_a_token_that_may_not_write_is_found_out_before_a_secret_is_made(vault, may):
    vault.tokens[TOKEN] = may
    with pytest.raises(Blocked, match="may not write") as caught:
        opened(vault).probe()
    assert f"secret/data/{PATH}" in caught.value.cure


def test_a_token_that_may_not_ask_is_let_try(vault):
    vault.fault = lambda _method, path, _after: 403 if path == "sys/capabilities-self" else None
    opened(vault).probe()


def test_what_answers_like_kv_version_1_is_refused(vault, monkeypatch):
    monkeypatch.setattr(type(vault), "_read", lambda _self, _versions: (200, {"data": {"value": "x"}}))
    with pytest.raises(Blocked, match="KV version 2"):
        opened(vault).read()


def test_the_environment_of_vault_s_own_client_is_used(vault, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("VAULT_ADDR", vault.url)
    with pytest.raises(InvalidInput, match="nobody signs in"):
        HashiVault.from_options({"path": PATH}, None)
    (tmp_path / ".vault-token").write_text(f"{TOKEN}\n")
    assert HashiVault.from_options({"path": PATH}, None).read() is None
    (tmp_path / ".vault-token").unlink()
    monkeypatch.setenv("VAULT_TOKEN", TOKEN)
    assert HashiVault.from_options({"path": f"/{PATH}/"}, None).read() is None


@pytest.mark.parametrize("options", [{}, {"path": "x"}, {"url": "http://127.0.0.1:1"}, {"url": "x", "path": "/"}])
def test_options_that_cannot_be_right(options, monkeypatch):
    monkeypatch.delenv("VAULT_ADDR", raising=False)
    with pytest.raises(InvalidInput):
        HashiVault.from_options({"token": "t", **options}, None)


def test_nobody_there():
    store = HashiVault.from_options({"url": "http://127.0.0.1:9", "token": "t", "path": "x"}, None)
    store._client._pause = lambda _seconds: None
    with pytest.raises(Blocked, match="does not answer"):
        store.read()


def test_a_certificate_that_is_not_trusted_is_not_tried_again(vault):
    store = opened(vault)
    tries = []

    def untrusted():
        tries.append(1)
        raise requests.exceptions.SSLError("canary")

    with pytest.raises(Blocked, match="not trusted"):
        store._kv._said("read", untrusted)
    assert len(tries) == 1


def test_a_missing_library_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "hvac", None)
    with pytest.raises(MissingLibrary, match="hvac"):
        HashiVault.from_options({"url": "http://127.0.0.1:9", "token": "t", "path": "x"}, None)


def test_whatever_hvac_raises_becomes_an_error_of_ours(vault):
    store = opened(vault)
    kinds = [kind for kind in vars(hvac.exceptions).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert len(kinds) > 10
    for kind in kinds:

        def fail(kind=kind):
            raise kind("canary")

        with pytest.raises(M365Error) as caught:
            store._kv._said("read the stored secret", fail)
        assert "canary" not in str(caught.value)


# --- where it goes, and where it does not ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://vault.contoso.com:8200", "https://vault.contoso.com:8200"),
        ("HTTPS://vault.contoso.com/", "https://vault.contoso.com"),
        ("https://gateway.contoso.com/vault/", "https://gateway.contoso.com/vault"),
        ("http://127.0.0.1:8200", "http://127.0.0.1:8200"),
        ("http://localhost:8200", "http://localhost:8200"),
        ("http://[::1]:8200", "http://[::1]:8200"),
        ("https://[2001:db8::1]:8200", "https://[2001:db8::1]:8200"),
    ],
)
def test_addresses(url, found):
    assert _vault_way.address(url) == found


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://vault.contoso.com:8200", "without TLS"),
        ("http://127.0.0.1.contoso.com", "without TLS"),
        ("http://localhost.contoso.com", "without TLS"),
        ("http://10.0.0.1", "without TLS"),
        ("https://canary:word@vault.contoso.com", "user or a password"),
        ("https://canary@vault.contoso.com", "user or a password"),
        ("https://@vault.contoso.com", "user or a password"),
        ("https://evil.example\\@vault.contoso.com", "not an address"),
        ("https://vault.contoso.com\n.evil.example", "not an address"),
        ("https://vault.contoso.com?x=canary", "more in it"),
        ("https://vault.contoso.com#canary", "more in it"),
        ("ftp://vault.contoso.com", "not an address"),
        ("//vault.contoso.com", "not an address"),
        ("vault.contoso.com:8200", "not an address"),
        ("https://", "not an address"),
        ("https://vault:canary", "not an address"),
        ("https://[::1", "not an address"),
        ("https://v\u00e4ult.contoso.com", "not an address"),
    ],
)
def test_addresses_that_nothing_secret_is_sent_to(url, words):
    for options, variables in (({"url": url}, {}), ({}, {"VAULT_ADDR": url})):
        with pytest.raises(InvalidInput, match=words) as caught:
            _vault_way.Settings.of(options, variables)
        assert "canary" not in str(caught.value) + str(caught.value.as_result())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_with_a_secret_in_hand(vault, status):
    with vault_server() as other:
        store = opened(vault)
        store.read()
        vault.redirect = (status, f"{other.url}/v1/secret/data/{PATH}")
        asks = {
            "read": store.read,
            "probe": store.probe,
            "write": lambda: store.write(entry()),
            "remove": store.remove,
            "sign in": lambda: opened(vault, token=None, role_id=ROLE_ID, secret_id=SECRET_ID),
        }
        for ask in asks.values():
            with pytest.raises(Blocked, match="sends the request on to another address"):
                ask()
        assert other.seen == []


def test_nothing_for_this_machine_goes_to_a_proxy(vault, monkeypatch):
    with vault_server() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        opened(vault).write(entry())
        assert proxy.seen == []


def test_what_netrc_says_of_the_host_is_not_sent(vault, monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine vault.contoso.com login canary password word\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    settings = _vault_way.Settings.of({"url": "https://vault.contoso.com", "token": "t"}, {})
    prepared = _vault_way.session(settings).prepare_request(requests.Request("GET", settings.url))
    assert "Authorization" not in prepared.headers


def test_settings_show_no_secret():
    settings = _vault_way.Settings.of({"url": "https://v", "token": "canary", "secret_id": "canary"}, {})
    assert "canary" not in repr(settings)
    assert "canary" not in repr(Login("canary", "https://v"))
