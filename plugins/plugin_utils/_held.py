# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The names under which a run of the playbooks keeps what it found, read from the playbooks and roles themselves.

An extra variable of such a name would win over what a task registers, and so over what the run found.
"""

from __future__ import annotations

import functools
import pathlib
import typing as t

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _own_files
from ansible_collections.mail2fax.m365.plugins.plugin_utils._variables import variables

ROOT = pathlib.Path(__file__).resolve().parents[2]
BEGUN, COMPARED = "mail2fax_inventory", "mail2fax_begun"
"""What the first tasks of every playbook register: the look at a host's inventory, and that at all hosts."""

PLAYBOOK = "mail2fax_playbook"
"""Says in every play of ours which playbook it belongs to."""

OF_ANSIBLE = frozenset({"ansible_failed_task", "ansible_failed_result"})
"""Ansible's own names for what stopped a block; a result is made of them."""

_SET_FACT = ("set_fact", "ansible.builtin.set_fact", "ansible.legacy.set_fact")
_NESTED = ("tasks", "pre_tasks", "post_tasks", "handlers", "block", "rescue", "always")


@functools.cache
def names(root: pathlib.Path = ROOT) -> frozenset[str]:
    """Every name that a ``register``, a ``set_fact`` or a ``vars`` holds, but for documented options and variables."""
    found: set[str] = {*OF_ANSIBLE}
    for path in sorted([*root.glob("playbooks/**/*.yml"), *root.glob("roles/*/tasks/**/*.yml")]):
        found.update(_in_tasks(_own_files.loaded(path)))
    for path in sorted([*root.glob("roles/*/defaults/*.yml"), *root.glob("roles/*/vars/*.yml")]):
        found.update(_own_files.loaded(path) or {})
    return frozenset(found - documented(root) - set(variables()))


def documented(root: pathlib.Path = ROOT) -> frozenset[str]:
    """Every option that the argument specification of a role names."""
    return _documented(root)


@functools.cache
def _documented(root: pathlib.Path) -> frozenset[str]:
    specs = (_own_files.loaded(path) for path in sorted(root.glob("roles/*/meta/argument_specs.yml")))
    return frozenset(
        option for spec in specs for point in spec["argument_specs"].values() for option in point.get("options") or {}
    )


def _in_tasks(node: t.Any) -> t.Iterator[str]:
    """From plays, blocks and tasks, however deep."""
    if isinstance(node, list):
        for item in node:
            yield from _in_tasks(item)
    if not isinstance(node, dict):
        return
    if isinstance(node.get("register"), str):
        yield node["register"]
    for key in ("vars", *_SET_FACT):
        if isinstance(node.get(key), dict):
            yield from (str(name) for name in node[key] if name != "cacheable" and not str(name).startswith("ansible_"))
    for key in _NESTED:
        yield from _in_tasks(node.get(key))
