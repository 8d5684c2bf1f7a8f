# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all stores have in common: the option, the interface, and that a value survives byte for byte."""

from __future__ import annotations

import base64
import inspect
import json
import shutil
import subprocess
import sys

import pytest
from ansible.parsing.vault import VaultSecret
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked, InvalidInput, MissingLibrary
from ansible_collections.mail2fax.m365.plugins.module_utils._http import Response
from ansible_collections.mail2fax.m365.plugins.module_utils._store import (
    STORE_OPTIONS,
    Entry,
    Intent,
    Proof,
    Store,
    StoredSecret,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant
from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores import (
    BACKENDS,
    Controller,
    open_receiver,
    open_store,
)
from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores.azure_key_vault import AzureKeyVault
from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores.hashi_vault import HashiVault
from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores.none import Sealed
from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores.vault_file import VaultFile
from tests.unit.nasty import NASTY, VALUES
from tests.unit.script import FakeClock, answer


def entry(value: str) -> Entry:
    current = StoredSecret("t", "c", "k", "n", "2026-11-21T12:00:00Z", "2027-11-21T12:00:00Z", value)
    following = StoredSecret("t", "c", "k2", "n", "2026-11-21T12:00:00Z", "2027-11-21T12:00:00Z", value[::-1])
    intent = Intent("2026-11-21T12:00:00Z", ("k",))
    return Entry(current, current, following, intent, Proof.of(current, "2026-11-21T12:00:00Z"))


class KeyVaultInMemory:
    """Keeps what is put there, as bytes of JSON, over the wire's own form."""

    def __init__(self):
        self.versions: list[bytes] = []

    def send(self, request, timeout_s):
        if request.method == "PUT":
            self.versions.append(request.body)
        if not self.versions:
            return answer(404, {"error": {"code": "SecretNotFound"}})
        document = {**json.loads(self.versions[-1]), "id": f"https://x/{len(self.versions)}"}
        return Response(200, {}, json.dumps(document, ensure_ascii=False).encode())


def key_vault(memory: KeyVaultInMemory) -> AzureKeyVault:
    tenant = Tenant({"access_token": {"graph": "x"}}, environment={}, transport=memory, clock=FakeClock())
    tenant.__dict__["sign_in"] = type("Operator", (), {"token": lambda *_a, **_o: type("T", (), {"value": "t"})})()
    return AzureKeyVault(tenant, "fax", "contoso")


def test_values_survive_a_vault_file(tmp_path):
    secrets = [("default", VaultSecret(b"correct horse"))]
    for value in VALUES:
        VaultFile(tmp_path / "s.yml", secrets).write(entry(value))
        assert VaultFile(tmp_path / "s.yml", secrets).read() == entry(value)


def test_values_survive_azure_key_vault():
    memory = KeyVaultInMemory()
    for value in VALUES:
        key_vault(memory).write(entry(value))
        assert key_vault(memory).read() == entry(value)


def test_the_values_are_worth_trying():
    lengths = {len(value) for value in VALUES}
    assert set(NASTY) <= set("".join(VALUES))
    assert {16, 64} <= lengths
    assert len(VALUES) > 60


# --- none: sealed for a private key ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def private_key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public_pem(key) -> str:
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def private_pem(key) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def test_values_survive_sealing(private_key, tmp_path):
    (tmp_path / "key.pub").write_text(public_pem(private_key))
    oaep = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
    for seal_to in (str(tmp_path / "key.pub"), public_pem(private_key)):
        services = open_receiver({"backend": "none", "seal_to": seal_to}, Controller(None))
        for value in VALUES:
            sealed = services["seal"](value)
            assert private_key.decrypt(base64.b64decode(sealed, validate=True), oaep).decode() == value
            assert value not in sealed + services["sealed_for"].words
            assert services["seal"](value) != sealed


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_what_the_documentation_tells_people_to_do_opens_it(private_key, tmp_path):
    (tmp_path / "key").write_text(private_pem(private_key))
    sealed = Sealed.from_options({"seal_to": public_pem(private_key)}).seal(NASTY * 4)
    command = ["openssl", "pkeyutl", "-decrypt", "-inkey", str(tmp_path / "key")]
    command += ["-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha256"]
    opened = subprocess.run(command, input=base64.b64decode(sealed), capture_output=True, check=True)
    assert opened.stdout.decode() == NASTY * 4


@pytest.mark.parametrize("seal_to", [None, "", "  ", "/nowhere/key.pub", "-----BEGIN PUBLIC KEY-----\nx\n"])
def test_keys_that_cannot_be_right(seal_to):
    with pytest.raises(InvalidInput, match="seal_to"):
        Sealed.from_options({"seal_to": seal_to})


def test_keys_that_are_no_good_for_it(private_key):
    elliptic = ec.generate_private_key(ec.SECP256R1())
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    for key in (elliptic, short):
        with pytest.raises(InvalidInput, match="not an RSA public key"):
            Sealed.from_options({"seal_to": public_pem(key)})
    with pytest.raises(InvalidInput, match="private key") as caught:
        Sealed.from_options({"seal_to": private_pem(private_key)})
    assert private_pem(private_key).splitlines()[3] not in str(caught.value)


# --- the option ------------------------------------------------------------------------------------------------


def test_every_back_end_keeps_the_interface():
    wanted = {
        name: [parameter for parameter in inspect.signature(method).parameters if parameter != "self"]
        for name, method in vars(Store).items()
        if inspect.isfunction(method) and not name.startswith("_")
    }
    assert set(wanted) == {"describe", "probe", "read", "write", "remove"}
    for backend in (VaultFile, HashiVault, AzureKeyVault):
        for name, parameters in wanted.items():
            assert [*inspect.signature(getattr(backend, name)).parameters][1:] == parameters, (backend, name)


def test_what_may_be_chosen_is_what_there_is():
    assert STORE_OPTIONS["backend"]["choices"] == [*BACKENDS, "none"]


def test_options_that_look_like_secrets_are_hidden_or_meant_to_be_seen():
    assert {name for name, spec in STORE_OPTIONS.items() if spec.get("no_log")} == {
        "token",
        "secret_id",
        "client_secret",
        "certificate_passphrase",
    }
    assert STORE_OPTIONS["password_file"]["no_log"] is False


@pytest.mark.parametrize(
    "options",
    [
        {"backend": "vault_file", "path": "x", "token": "t"},
        {"backend": "hashi_vault", "path": "x", "url": "http://x", "vault": "v"},
        {"backend": "azure_key_vault", "vault": "v", "name": "n", "path": "p"},
        {"backend": "none", "seal_to": "x", "path": "p"},
    ],
)
def test_an_option_of_another_back_end_is_a_mistake(options):
    with pytest.raises(InvalidInput, match="has no option"):
        open_receiver(options, Controller(None))


def test_from_none_nothing_can_be_read(private_key):
    with pytest.raises(InvalidInput, match="nothing to read"):
        open_store({"backend": "none", "seal_to": public_pem(private_key)}, Controller(None))


def test_libraries_are_imported_only_when_chosen():
    """A controller without hvac uses the other stores, and is told what to install when it names this one."""
    package = "ansible_collections.mail2fax.m365.plugins.plugin_utils._stores"
    program = f"import sys, {package}; print(sorted({{'hvac', 'azure'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_missing_library_is_said(monkeypatch, private_key):
    for library in ("cryptography.exceptions", "cryptography.hazmat.primitives"):
        monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingLibrary, match="cryptography"):
        Sealed.from_options({"seal_to": "x"})


@pytest.mark.parametrize(
    "options",
    [
        {"backend": "hashi_vault", "path": "x", "url": "https://x", "token": "$ANSIBLE_VAULT;1.1;AES256 canary"},
        {
            "backend": "hashi_vault",
            "path": "x",
            "role_id": "r",
            "secret_id": "\n $ANSIBLE_VAULT;1.2;AES256;p canary",
        },
    ],
)
def test_a_text_that_is_still_encrypted_is_never_sent(options, monkeypatch):
    with pytest.raises(Blocked, match="still encrypted with Ansible Vault") as caught:
        open_store(options, Controller(None))
    assert caught.value.options == ("store",)
    assert "canary" not in str(caught.value)
    monkeypatch.setenv("VAULT_TOKEN", "$ANSIBLE_VAULT;1.1;AES256 canary")
    with pytest.raises(Blocked, match="VAULT_TOKEN is still encrypted"):
        open_store({"backend": "hashi_vault", "path": "x", "url": "https://x"}, Controller(None))


def test_a_sign_in_that_is_still_encrypted_is_never_sent():
    for option in ("client_secret", "certificate_passphrase"):
        with pytest.raises(Blocked, match=f"{option} is still encrypted") as caught:
            Tenant({option: "$ANSIBLE_VAULT;1.1;AES256 canary"}, environment={})
        assert caught.value.options == (option,)
