# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Ansible Vault has locked is known for what it is, whatever version of ansible-core holds it."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleError
from ansible.parsing.vault import AnsibleVaultError

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _locked

HEAD = "$ANSIBLE_VAULT;1.2;AES256;prod\n3132"


class Held:
    """As ansible-core holds a vaulted value until it is needed."""

    def __init__(self, ciphertext: str | bytes) -> None:
        self._ciphertext = ciphertext


@pytest.mark.parametrize(
    ("raw", "vault_id"),
    [
        (Held(HEAD), "prod"),
        (Held(HEAD.encode()), "prod"),
        ({"backend": "hashi_vault", "token": Held(HEAD)}, "prod"),
        ([Held(HEAD), "x"], "prod"),
        ([Held(HEAD), Held(HEAD.replace("prod", "test"))], ""),
        (Held("$ANSIBLE_VAULT;1.1;AES256\n3132"), ""),
        ("{{ another }}", ""),
    ],
)
def test_the_vault_id_is_named_where_there_is_one(raw: object, vault_id: str) -> None:
    text = str(_locked.unopened("mail2fax_client_secret", raw))
    assert text.startswith("mail2fax_client_secret is encrypted with Ansible Vault")
    assert ("under the vault ID prod" in text) == bool(vault_id)
    assert ("--vault-id prod@" in text) == bool(vault_id)
    assert "3132" not in text


def test_an_error_of_the_vault_is_known_however_deep() -> None:
    outer = AnsibleError("template failed")
    outer.__cause__ = ValueError("in between")
    outer.__cause__.__context__ = AnsibleVaultError("no secrets")
    assert _locked.by_vault(outer)
    assert not _locked.by_vault(AnsibleError("template failed"))
    assert not _locked.by_vault(None)


@pytest.mark.parametrize("value", [HEAD, f" \n{HEAD}", {"a": [HEAD]}, [{"a": HEAD}]])
def test_what_is_still_encrypted(value: object) -> None:
    assert _locked.still_encrypted(value)


@pytest.mark.parametrize("value", ["", "x $ANSIBLE_VAULT;", None, 3, {"$ANSIBLE_VAULT;": 1}, ["x"]])
def test_what_is_not(value: object) -> None:
    assert not _locked.still_encrypted(value)
