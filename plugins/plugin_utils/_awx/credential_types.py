# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Credential types in AWX's own form, from the file beside this one."""

from __future__ import annotations

import functools
import pathlib
import typing as t

import yaml

Json = dict[str, t.Any]
FILE = pathlib.Path(__file__).with_name("credential_types.yml")

OF_AWX = {"vault_password": "Vault"}
"""Types that AWX has itself. It lets no other one set what Ansible reads a vault password by."""


@functools.cache
def all_of_ours() -> dict[str, Json]:
    """By our word for it: ``name``, ``description``, ``kind``, ``inputs`` and ``injectors``, as the API takes them."""
    return {word: _made(row) for word, row in yaml.safe_load(FILE.read_text(encoding="utf-8")).items()}


def name_of(kind: str) -> str:
    """What AWX calls a type; a word that is not ours is AWX's own name."""
    ours = all_of_ours()
    return str(ours[kind]["name"]) if kind in ours else OF_AWX.get(kind, kind)


def title(kind: str) -> str:
    """What a credential of the type is called where nobody gives it a name."""
    return "Mail2Fax vault password" if kind in OF_AWX else name_of(kind)


def secret_fields(kind: str) -> frozenset[str]:
    """The fields that AWX does not show again. Of types that are not ours, none is known to be harmless."""
    ours = all_of_ours()
    fields = ours[kind]["inputs"]["fields"] if kind in ours else ()
    return frozenset(field["id"] for field in fields if field.get("secret"))


def _made(row: Json) -> Json:
    # AWX adds the type of a field where it is missing, and would then differ from what was sent.
    fields = [{"type": "string", **field} for field in row["fields"]]
    files = {f"template.{label}": f"{{{{ {field} }}}}" for label, field in row["file"].items()}
    return {
        "name": row["name"],
        "description": row["description"],
        "kind": "cloud",
        "inputs": {"fields": fields, "required": list(row["required"])},
        "injectors": {"file": files, "env": dict(row["env"])},
    }
