# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be sent to, and what may not, however it is written."""

from __future__ import annotations

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils import _gate
from ansible_collections.mail2fax.m365.plugins.module_utils._auth import ReadyTokens, call_as
from ansible_collections.mail2fax.m365.plugins.module_utils._clouds import CLOUDS
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import ServiceError, Unreachable
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Exchange as Cmdlets
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.rest import RestTransport
from ansible_collections.mail2fax.m365.plugins.module_utils._graph import Graph
from ansible_collections.mail2fax.m365.plugins.module_utils._http import Http, Request
from ansible_collections.mail2fax.m365.plugins.module_utils._patience import Patience
from tests.unit.script import Exchange, FakeClock, Script, answer, jwt

HOST = "graph.microsoft.com"
ALLOWED = _gate.of_cloud(CLOUDS["global"])


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        (f"https://{HOST}/v1.0/users?$top=5&$skiptoken=a%20b", None),
        (f"https://{HOST}", f"https://{HOST}/"),
        (f"https://{HOST}?a=b", f"https://{HOST}/?a=b"),
        (f"https://{HOST}:443/x", f"https://{HOST}/x"),
        ("HTTPS://GRAPH.Microsoft.com/X", f"https://{HOST}/X"),
        ("https://login.microsoftonline.com/t/oauth2/v2.0/token", None),
        ("https://a-vault.vault.azure.net/secrets/x", None),
    ],
)
def test_an_address_of_the_cloud_is_built_anew_from_its_parts(url, sent):
    assert _gate.service(url, ALLOWED).url == (sent or url)


EVIL = [
    f"https://evil.example\\@{HOST}/v1.0/x",
    f"https://{HOST}\\@evil.example/",
    f"https://{HOST}\\.evil.example/",
    f"https:\\\\{HOST}/x",
    f"https://{HOST}@evil.example/",
    f"https://user:word@{HOST}/",
    f"https://@{HOST}/",
    f"http://{HOST}/v1.0/x",
    f"ftp://{HOST}/",
    f"//{HOST}/x",
    f"https:/{HOST}/x",
    f"https:///{HOST}/x",
    f"https://{HOST}:4443/",
    f"https://{HOST}:0443/",
    f"https://{HOST}:/",
    f"https://{HOST}:80/",
    f"https://{HOST}./",
    f"https://.{HOST}/",
    f"https://{HOST}.evil.example/",
    f"https://evil{HOST}/",
    f"https://evil.{HOST}/",
    f"https://evil.example/{HOST}/",
    f"https://evil.example?{HOST}/",
    f"https://evil.example#{HOST}/",
    f"https://{HOST}#@evil.example/",
    f"https://{HOST}/x#fragment",
    f"https://{HOST}\t/x",
    f"https://{HOST}/x\ty",
    f"https://{HOST}/x y",
    f"\thttps://{HOST}/",
    f" https://{HOST}/",
    f"https://{HOST}/x\n",
    f"https://{HOST}/\r\nX: y",
    f"https://{HOST}/\0",
    f"https://{HOST}%2eevil.example/",
    f"https://{HOST}%00.evil.example/",
    "https://graph%2emicrosoft.com/",
    "https://gr\u0430ph.microsoft.com/",
    "https://graph\u3002microsoft.com/",
    "https://graph.microsoft.com\uff0fevil.example/",
    "https://\uff47raph.microsoft.com/",
    "https://graph.micro\u017foft.com/",
    "https://graph.microsoft.com\u200b/",
    "https://xn--grph-43d.microsoft.com/",
    "https://[::1]/",
    "https://[::ffff:1.2.3.4]/",
    f"https://[{HOST}]/",
    "https://127.0.0.1/",
    "https://2130706433/",
    "https://0x7f.1/",
    "https://localhost/",
    f"https://{HOST}/%zz",
    f"https://{HOST}/a/../../b",
    f"https://{HOST}/a/%2e%2e/b",
    "/v1.0/users?$skiptoken=x",
    "v1.0/users",
    "?$skiptoken=x",
    "https://",
    "",
    None,
    5,
    ["https://graph.microsoft.com/"],
    f"https://{HOST}/" + "x" * 20000,
    "https://a.vault.azure.net/",
    "https://a.b-vault.vault.azure.net/",
    "https://vault.azure.net/",
    "https://graph.microsoft.us/",
    "https://outlook.office365.us/",
]


@pytest.mark.parametrize("url", EVIL)
def test_anything_else_is_refused(url):
    with pytest.raises(_gate.Refused):
        _gate.service(url, ALLOWED)


@pytest.mark.parametrize("url", [url for url in EVIL if isinstance(url, str)])
def test_nothing_is_sent_to_it_from_anywhere(url):
    script = Script([])
    http = Http(script, Patience(FakeClock()), cloud=CLOUDS["global"])
    with pytest.raises(Unreachable) as caught:
        http.call(Request("GET", url), purpose="read x", idempotent=True)
    assert caught.value.lasting
    assert not script.seen


LINKS = [*(url for url in EVIL if isinstance(url, str) and url), {"a": 1}, 5, True]


def clients(*exchanges: Exchange) -> tuple[Http, ReadyTokens, Script]:
    script = Script(exchanges)
    tokens = ReadyTokens({"graph": jwt(), "exchange": jwt()}, CLOUDS["global"])
    return Http(script, Patience(FakeClock()), cloud=CLOUDS["global"]), tokens, script


@pytest.mark.parametrize("link", [*LINKS, "https://outlook.office365.com/"])
def test_a_next_page_of_graph_that_leads_elsewhere_is_not_fetched(link):
    http, tokens, script = clients(Exchange("GET", "/users", answer(200, {"value": [{}], "@odata.nextLink": link})))
    with pytest.raises(ServiceError, match="next page"):
        Graph(http, tokens, CLOUDS["global"]).items("/users", "read users")
    assert script.finished()


@pytest.mark.parametrize("link", [*LINKS, "https://graph.microsoft.com/"])
def test_a_next_page_of_exchange_that_leads_elsewhere_is_not_fetched(link):
    http, tokens, script = clients(
        Exchange("POST", "/InvokeCommand", answer(200, {"value": [{}], "@odata.nextLink": link}))
    )
    with pytest.raises(ServiceError, match="next page"):
        Cmdlets(RestTransport(http, tokens, CLOUDS["global"])).invoke("Get-Mailbox", "read mailboxes")
    assert script.finished()


@pytest.mark.parametrize("host", ["outlook.office365.com", "login.microsoftonline.com", "a-vault.vault.azure.net"])
def test_a_token_goes_only_to_the_host_that_it_is_for(host):
    http, tokens, script = clients()
    with pytest.raises(Unreachable, match="a token for"):
        call_as(
            tokens,
            CLOUDS["global"].graph_audience,
            http,
            lambda token: Request("GET", f"https://{host}/"),
            purpose="read x",
            idempotent=True,
        )
    assert not script.seen


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/metadata/identity/oauth2/token?resource=x",
        "http://127.0.0.1:41000/msi/token",
        "http://localhost:40342/metadata",
        "https://[::1]:2377/x",
        "http://172.16.1.3:8081/msi/token",
    ],
)
def test_a_managed_identity_is_asked_at_this_machine(url):
    assert _gate.machine(url).url == url


@pytest.mark.parametrize(
    "url",
    [
        "http://evil.example/msi/token",
        "http://8.8.8.8/",
        "http://localhost.evil.example/",
        "http://127.0.0.1@evil.example/",
        "http://127.0.0.1\\@evil.example/",
        "http://2852039166/",
        "file:///etc/passwd",
        "http://127.0.0.1:0/",
        "",
    ],
)
def test_and_nowhere_else(url):
    with pytest.raises(_gate.Refused):
        _gate.machine(url)


@pytest.mark.parametrize(
    ("host", "port", "words"),
    [
        ("outlook.office365.com", 993, None),
        ("outlook.office365.com", 995, None),
        ("smtp.office365.com", 587, None),
        ("imap.example.com", 993, "another host"),
        ("outlook.office365.com.example.com", 993, "another host"),
        ("smtp.office365.us", 587, "another host"),
        ("outlook.office365.com", 143, "another port"),
        ("smtp.office365.com", 25, "another port"),
    ],
)
def test_mail_is_spoken_to_hosts_of_the_cloud_by_encrypted_ports_alone(host, port, words):
    allowed = _gate.of_cloud(CLOUDS["global"])
    if words is None:
        _gate.mail(host, port, allowed)
    else:
        with pytest.raises(_gate.Refused, match=words):
            _gate.mail(host, port, allowed)
