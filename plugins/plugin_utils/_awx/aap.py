# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The same in the variables that the roles of infra.aap_configuration read, as a YAML file without any secret."""

from __future__ import annotations

import re
import typing as t

import yaml

from ansible_collections.mail2fax.m365.plugins.plugin_utils._awx import credential_types
from ansible_collections.mail2fax.m365.plugins.plugin_utils._awx.objects import declared
from ansible_collections.mail2fax.m365.plugins.plugin_utils._awx.wish import Wish

Json = dict[str, t.Any]

VARIABLES = {
    "instance_groups": "controller_instance_groups",
    "credential_types": "controller_credential_types",
    "credentials": "controller_credentials",
    "credential_input_sources": "controller_credential_input_sources",
    "execution_environments": "controller_execution_environments",
    "notification_templates": "controller_notifications",
    "projects": "controller_projects",
    "inventories": "controller_inventories",
    "inventory_sources": "controller_inventory_sources",
    "job_templates": "controller_templates",
    "workflow_job_templates": "controller_workflows",
    "schedules": "controller_schedules",
}
HEAD = """\
# What the playbook mail2fax.m365.awx would make, in the variables of the collection infra.aap_configuration.
# The tag !unsafe keeps Ansible from rendering what AWX is to render. A tool that rewrites this file must keep it.
"""
SECRETS = """\
# No secret stands here. Give these variables from a vault:
"""


class Unsafe(str):
    """Text that is AWX's to render, not Ansible's."""


class Reference(str):
    """A template of our own."""


def variables(wish: Wish) -> Json:
    """By the names that the roles read."""
    lists = declared(wish)
    lists["credentials"] = [
        _without_secrets(one, made)
        for one, made in zip(
            (c.type for c in sorted(wish.credentials, key=lambda c: c.attach)), lists["credentials"], strict=True
        )
    ]
    lists["workflow_job_templates"] = [
        {**workflow, "simplified_workflow_nodes": _nodes(lists)} for workflow in lists["workflow_job_templates"]
    ]
    found = {variable: lists[kind] for kind, variable in VARIABLES.items() if lists[kind]}
    return t.cast("Json", _marked(found))


def text(wish: Wish) -> str:
    """The file. It is read again as exactly what it was made of."""
    found = variables(wish)
    wanted = sorted(set(_references(found)))
    head = HEAD + (SECRETS + "".join(f"#   {name}\n" for name in wanted) if wanted else "")
    return f"{head}---\n{yaml.dump(found, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)}"


def _nodes(lists: Json) -> list[Json]:
    """Nodes, approvals and links of one identifier in one entry."""
    found: dict[str, Json] = {}
    for kind in ("workflow_nodes", "workflow_approvals", "workflow_links"):
        for entry in lists[kind]:
            rest = {key: value for key, value in entry.items() if key not in ("workflow_job_template", "organization")}
            found.setdefault(entry["identifier"], {}).update(rest)
    return list(found.values())


def _without_secrets(kind: str, made: Json) -> Json:
    harmless = {"vault_id"}
    ours = kind in credential_types.all_of_ours()
    hidden = credential_types.secret_fields(kind) if ours else set(made["inputs"]) - harmless
    name = re.sub(r"[^a-z0-9]+", "_", made["name"].lower()).strip("_")
    inputs = {
        field: Reference(f"{{{{ aap_{name}_{field} }}}}") if field in hidden else value
        for field, value in made["inputs"].items()
    }
    # AWX never gives a secret back: sent again, it would be a change in every run.
    return {**made, "inputs": inputs, "update_secrets": False}


def _references(value: t.Any) -> t.Iterator[str]:
    if isinstance(value, Reference):
        yield value.strip("{} ")
    elif isinstance(value, dict):
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


def _marked(value: t.Any) -> t.Any:
    if isinstance(value, dict):
        return {key: _marked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_marked(item) for item in value]
    if isinstance(value, str) and not isinstance(value, Reference) and re.search(r"\{[{%#]", value):
        return Unsafe(value)
    return value


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: t.Any) -> bool:
        return True


_Dumper.add_representer(Unsafe, lambda dumper, data: dumper.represent_scalar("!unsafe", str(data), style="'"))
_Dumper.add_representer(
    Reference, lambda dumper, data: dumper.represent_scalar("tag:yaml.org,2002:str", str(data), style='"')
)
