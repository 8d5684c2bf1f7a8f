# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Azure Key Vault over scripted answers in the shapes of its REST reference."""

from __future__ import annotations

import json

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils._clouds import CLOUDS
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import (
    AnswerLost,
    Blocked,
    Conflict,
    InvalidInput,
    SignInError,
    Unreachable,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._store import Entry, StoredSecret
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant
from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores import Controller, open_store
from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores.azure_key_vault import AzureKeyVault, sign_in_of
from tests.unit.script import TENANT_ID, Exchange, FakeClock, Script, answer

HOST = "fax-secrets.vault.azure.net"
SECRET = f"https://{HOST}/secrets/contoso?api-version=7.4"
KEY = StoredSecret(
    TENANT_ID,
    "1cb8b5d2-8724-4f32-8152-a16a230b682b",
    "00000000-0000-4000-8000-000000000001",
    "n",
    "2026-11-21T12:00:00Z",
    "2027-11-21T12:00:00Z",
    "canary~value",
)
ENTRY = Entry(KEY)


class Operator:
    def __init__(self):
        self.audiences = []

    def token(self, audience, *, fresh=False):
        self.audiences.append(audience)
        return type("Token", (), {"value": "canary-token"})()

    def describe(self):
        return "the operator"


def bundle(version: str, entry: Entry = ENTRY, **keys):
    document = {"value": json.dumps(entry.as_mapping()), "id": f"https://{HOST}/secrets/contoso/{version}", **keys}
    return answer(200, document)


def problem(status: int, code: str, inner: str | None = None):
    error = {"code": code, "message": "canary", **({"innererror": {"code": inner}} if inner else {})}
    return answer(status, {"error": error}, x_ms_request_id="rid-1")


def opened(*exchanges: Exchange, cloud: str = "global"):
    script = Script(exchanges)
    tenant = Tenant({"cloud": cloud, "patience": 30}, environment={}, transport=script, clock=FakeClock())
    operator = Operator()
    tenant.__dict__["sign_in"] = operator
    return AzureKeyVault(tenant, "Fax-Secrets", "contoso"), script, operator


GET_NONE = Exchange("GET", SECRET, problem(404, "SecretNotFound"))


def is_entry(body) -> bool:
    return (
        json.loads(body["value"]) == ENTRY.as_mapping()
        and body["tags"] == {"client_id": KEY.client_id, "key_id": KEY.key_id}
        and body["contentType"] == "application/vnd.mail2fax.m365+json"
    )


def test_a_first_write_and_what_is_read_of_it():
    store, script, operator = opened(
        GET_NONE,
        GET_NONE,
        GET_NONE,
        Exchange("PUT", SECRET, bundle("v1"), is_entry),
        Exchange("GET", SECRET, bundle("v1")),
    )
    assert store.read() is None
    store.probe()
    store.write(ENTRY)
    assert store.read() == ENTRY
    assert script.finished()
    assert set(operator.audiences) == {"https://vault.azure.net"}


def test_a_newer_version_is_not_written_over():
    store, script, _operator = opened(
        Exchange("GET", SECRET, bundle("v1")), Exchange("GET", SECRET, bundle("v2", Entry()))
    )
    store.read()
    with pytest.raises(Conflict, match="changed by somebody else"):
        store.write(ENTRY)
    assert script.finished()


def test_a_second_write_builds_on_the_first():
    store, script, _operator = opened(
        GET_NONE,
        GET_NONE,
        Exchange("PUT", SECRET, bundle("v1")),
        Exchange("GET", SECRET, bundle("v1")),
        Exchange("PUT", SECRET, bundle("v2")),
    )
    store.read()
    store.write(ENTRY)
    store.write(ENTRY)
    assert script.finished()


def test_a_write_whose_answer_was_lost_is_repeated():
    store, script, _operator = opened(
        GET_NONE, GET_NONE, Exchange("PUT", SECRET, AnswerLost("cut")), Exchange("PUT", SECRET, bundle("v2"), is_entry)
    )
    store.read()
    store.write(ENTRY)
    assert script.finished()


def test_silence_is_no_lost_answer_of_the_tenant():
    """AnswerLost would make the task plan anew, and make another secret."""
    lost = Exchange("PUT", SECRET, AnswerLost("cut"))
    store, script, _operator = opened(GET_NONE, GET_NONE, lost, lost)
    store.read()
    with pytest.raises(Blocked, match="cut"):
        store.write(ENTRY)
    assert script.finished()


def test_a_vault_that_is_not_reached_blocks():
    script = [Exchange("GET", SECRET, Unreachable("no connection")) for _attempt in range(6)]
    store, _script, _operator = opened(*script)
    with pytest.raises(Blocked, match="no connection"):
        store.read()


def test_a_removed_secret_is_taken_up_again():
    recover = f"https://{HOST}/deletedsecrets/contoso/recover?api-version=7.4"
    store, script, _operator = opened(
        GET_NONE,
        GET_NONE,
        Exchange("PUT", SECRET, problem(409, "Conflict", "ObjectIsDeletedButRecoverable")),
        Exchange("POST", recover, answer(200, {"id": f"https://{HOST}/secrets/contoso/v1"})),
        GET_NONE,
        Exchange("GET", SECRET, bundle("v1", Entry())),
        Exchange("PUT", SECRET, bundle("v2"), is_entry),
    )
    assert store.read() is None
    store.write(ENTRY)
    assert script.finished()


def test_a_recovery_that_does_not_end_is_given_up():
    store, _script, _operator = opened(
        GET_NONE,
        GET_NONE,
        Exchange("PUT", SECRET, problem(409, "Conflict", "ObjectIsDeletedButRecoverable")),
        Exchange("POST", "/recover", answer(200, {})),
        *[GET_NONE] * 20,
    )
    store.read()
    with pytest.raises(Blocked, match="still being recovered"):
        store.write(ENTRY)


def test_removing_twice_is_fine():
    store, script, _operator = opened(
        Exchange("DELETE", SECRET, answer(200, {"id": "x"})), Exchange("DELETE", SECRET, problem(404, "SecretNotFound"))
    )
    store.remove()
    store.remove()
    assert script.finished()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (answer(302, b"", location="https://evil.example"), "check the vault"),
        (problem(403, "Forbidden"), "Key Vault Secrets Officer"),
        (problem(401, "Unauthorized"), "tenant that owns the vault"),
        (problem(404, "VaultNotFound"), "store.vault"),
        (answer(404, b"<html>a proxy</html>"), "store.vault"),
        (problem(409, "Conflict", "ObjectIsBeingDeleted"), "still going on"),
    ],
)
def test_refusals_in_words(said, words):
    store, _script, _operator = opened(Exchange("GET", SECRET, said))
    with pytest.raises(Blocked) as caught:
        store.probe()
    assert words in caught.value.cure
    assert "canary" not in str(caught.value) + str(caught.value.as_result()) + repr(caught.value.__context__)


@pytest.mark.parametrize("value", ["canary, not JSON", '["canary"]', '{"password": "canary"}', ""])
def test_what_is_not_ours_is_refused(value):
    store, _script, _operator = opened(Exchange("GET", SECRET, answer(200, {"id": "x", "value": value})))
    with pytest.raises(Blocked, match="not a secret of this collection") as caught:
        store.read()
    assert "canary" not in str(caught.value) + repr(caught.value.__context__)


@pytest.mark.parametrize(
    ("cloud", "host"),
    [("gcc_high", "vault.usgovcloudapi.net"), ("dod", "vault.usgovcloudapi.net"), ("china", "vault.azure.cn")],
)
def test_national_clouds(cloud, host):
    store, _script, operator = opened(Exchange("GET", f"fax-secrets.{host}/", bundle("v1")), cloud=cloud)
    assert store.read() == ENTRY
    assert operator.audiences == [f"https://{host}"]


@pytest.mark.parametrize(
    "options", [{}, {"vault": "fax"}, {"vault": "fax.vault.azure.net", "name": "x"}, {"vault": "fax", "name": "a/b"}]
)
def test_options_that_cannot_be_right(options):
    with pytest.raises(InvalidInput, match="Key Vault takes"):
        open_store({"backend": "azure_key_vault", **options}, Controller(None, {}))


def test_the_operator_of_the_task_signs_in():
    connection = {"tenant": TENANT_ID, "client_id": KEY.client_id, "client_secret": "canary~operator"}
    store = open_store({"backend": "azure_key_vault", "vault": "fax", "name": "x"}, Controller(None, connection))
    assert KEY.client_id in store._tenant.sign_in.describe()
    assert "canary" not in repr(Controller(None, connection))


# --- whose sign-in -------------------------------------------------------------------------------------------------

OPERATOR = {"tenant": TENANT_ID, "client_id": KEY.client_id, "client_secret": "canary~operator", "proxy": "http://p:1"}
PROVIDER = "22222222-0000-4000-8000-000000000002"
OWN = {"tenant": "provider.example", "client_id": PROVIDER}


def signed_in(**options):
    connection = sign_in_of({"vault": "v", "name": "n", **options}, OPERATOR)
    return connection, Tenant(connection, environment={}).sign_in


def test_left_out_the_operator_signs_in():
    connection, sign_in = signed_in()
    assert KEY.client_id in sign_in.describe()
    assert connection["tenant"] == TENANT_ID


@pytest.mark.parametrize(
    "credential",
    [{"client_secret": "own~secret"}, {"certificate_path": "/x.pem"}, {"federated_token_path": "/token"}],
)
def test_a_sign_in_of_the_store_s_own_comes_whole_from_it(credential):
    connection, sign_in = signed_in(**OWN, **credential)
    assert PROVIDER in sign_in.describe()
    assert connection["tenant"] == "provider.example"
    assert "canary" not in str(connection)
    assert connection["proxy"] == "http://p:1", "the way to it is the task's"


def test_a_managed_identity_of_the_machine():
    _connection, sign_in = signed_in(managed_identity="system")
    assert "managed identity" in sign_in.describe()


def test_the_operator_s_application_in_another_tenant():
    connection, sign_in = signed_in(tenant="provider.example")
    assert connection["tenant"] == "provider.example"
    assert KEY.client_id in sign_in.describe()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"client_id": PROVIDER}, "nothing to prove it with"),
        ({"certificate_passphrase": "x"}, "nothing to prove it with"),
        ({"client_secret": "canary"}, "store.client_id is missing"),
        ({**OWN, "client_secret": "canary", "certificate_path": "/x"}, "more than one way"),
    ],
)
def test_sign_ins_that_are_not_whole(options, words):
    with pytest.raises(InvalidInput, match=words) as caught:
        signed_in(**options)
    assert "canary" not in str(caught.value)
    assert caught.value.options == ("store",)


@pytest.mark.parametrize("cloud", ["gcc_high", "china"])
def test_the_cloud_is_the_vault_s(cloud):
    store = open_store(
        {"backend": "azure_key_vault", "vault": "fax", "name": "x", **OWN, "client_secret": "y~x", "cloud": cloud},
        Controller(None, OPERATOR),
    )
    assert store.place.place.startswith(f"fax.{CLOUDS[cloud].vaults}")


def test_a_tenant_without_key_vault_is_told_of_key_vault():
    store, _script, operator = opened()

    def refused(_audience, **_options):
        raise SignInError("AADSTS500011: The resource principal was not found", code="AADSTS500011", cure="Exchange")

    operator.token = refused
    store._tenant.options["tenant"] = TENANT_ID
    with pytest.raises(Blocked, match="Azure Key Vault") as caught:
        store.read()
    assert "store.tenant" in caught.value.cure
    assert "Exchange" not in str(caught.value)
