# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lookup reads of a tenant, from a folder and from a vault."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible import template
from ansible.errors import AnsibleLookupError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from ansible_collections.mail2fax.m365.plugins.lookup.document import LookupModule
from tests.vault_server import TOKEN, vault_server

Json = dict[str, t.Any]


def trusted(text: str) -> str:
    """As it stands in a file of an inventory; from ansible-core 2.19 on only such text is a template."""
    return t.cast("str", getattr(template, "trust_as_template", lambda text: text)(text))


def look(*names: str, variables: Json, **options: t.Any) -> list[str]:
    loader = DataLoader()
    lookup = LookupModule(loader=loader, templar=Templar(loader, variables=variables))
    lookup._load_name = "mail2fax.m365.document"  # as Ansible's plugin loader sets it
    return lookup.run([*names], variables, **options)


def test_a_folder_beside_the_inventory(tmp_path: pathlib.Path) -> None:
    variables = {"inventory_hostname": "Contoso", "inventory_dir": str(tmp_path), "mail2fax_handover_dir": " kept "}
    (tmp_path / "kept").mkdir()
    assert look("record", "audit", "reach.json", variables=variables) == ["", "", ""]
    other = {**variables, "inventory_hostname": "contoso", "mail2fax_record_store": {"backend": "folder"}}
    (tmp_path / "kept" / "contoso.json").write_text("{}", encoding="utf-8")
    (tmp_path / "kept" / "contoso.reach.json").write_text("[]", encoding="utf-8")
    assert look("record", "audit", "reach.json", variables=other) == ["{}", "", "[]"]
    assert look("record", variables=variables, host="contoso", folder=str(tmp_path / "kept")) == ["{}"]
    assert look("record", variables=variables, path=str(tmp_path / "kept" / "contoso.json")) == ["{}"]


def test_what_cannot_be_read_is_an_error(tmp_path: pathlib.Path) -> None:
    variables: Json = {"inventory_hostname": "contoso", "inventory_dir": str(tmp_path), "mail2fax_handover_dir": "."}
    (tmp_path / "contoso.json").mkdir()
    with pytest.raises(AnsibleLookupError, match=r"contoso\.json cannot be read"):
        look("record", variables=variables)
    for store, words in (
        ("hashi_vault", "not a mapping"),
        ({"backend": "x"}, "mail2fax_record_store.backend"),
        ({"backend": "hashi_vault", "token": "canary", "url": "http://vault.contoso.com"}, "without TLS"),
    ):
        with pytest.raises(AnsibleLookupError, match=words) as caught:
            look("record", variables={**variables, "mail2fax_record_store": store})
        assert "canary" not in str(caught.value)


def test_a_vault_whose_options_are_templates() -> None:
    with vault_server() as vault:
        vault.secrets["mail2fax/records/contoso/record"] = [{"text": "{}"}]
        store = {"backend": "hashi_vault", "url": trusted("{{ where }}"), "token": trusted("{{ token }}")}
        variables = {
            "inventory_hostname": "contoso",
            "where": vault.url,
            "token": TOKEN,
            "mail2fax_record_store": store,
        }
        assert look("record", "audit", variables=variables) == ["{}", ""]
        variables["token"] = trusted("{{ ['canary'] | nothing_of_the_kind }}")
        with pytest.raises(AnsibleLookupError, match="mail2fax_record_store cannot be rendered") as caught:
            look("record", variables=variables)
        assert "canary" not in str(caught.value)
