# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Which hosts of an inventory a pattern means, and which of its parts mean nobody, by Ansible's own rules."""

from __future__ import annotations

import contextlib
import typing as t

from ansible.errors import AnsibleError
from ansible.inventory.manager import InventoryManager, split_host_pattern
from ansible.parsing.dataloader import DataLoader

ALL = ("all", "*")
Groups = t.Mapping[str, t.Sequence[str]]


def meant(hosts: t.Sequence[str], pattern: t.Any, groups: Groups) -> list[str]:
    """Those of ``hosts``, in the pattern's order, which ``pattern`` means; ``groups`` are all of the inventory."""
    parts = split(pattern)
    if not parts or all(part in ALL for part in parts):
        return list(hosts)
    left = {*hosts}
    with contextlib.suppress(AnsibleError):
        return [host.name for host in _inventory(groups).get_hosts(parts) if host.name in left or _implicit(host)]
    return []


def nobody(pattern: t.Any, groups: Groups) -> list[str]:
    """The parts of a pattern, each as it was written, that mean no host of the inventory."""
    parts = [part for part in split(pattern) if part.lstrip("!&") not in ALL]
    if not parts:
        return []
    inventory = _inventory(groups)
    return [part for part in parts if not _matches(inventory, part.lstrip("!&"))]


def split(pattern: t.Any) -> list[str]:
    """The parts of a pattern, or of a list of them."""
    texts = pattern if isinstance(pattern, (list, tuple)) else [pattern]
    found = [str(part).strip() for text in texts if text is not None for part in split_host_pattern(str(text))]
    return [part for part in found if part]


def limit(said: t.Any) -> list[str]:
    """The parts of a limit; those of the files that it names are in them, as Ansible reads them."""
    found: list[str] = []
    for part in split(said):
        if part.startswith("@"):
            with contextlib.suppress(OSError), open(part[1:], encoding="utf-8", errors="surrogateescape") as stream:
                found += [line.strip() for line in stream.read().split("\n") if line.strip()]
        else:
            found.append(part)
    return found


def _inventory(groups: Groups) -> InventoryManager:
    inventory = InventoryManager(loader=DataLoader(), sources=None, parse=False)
    for group, hosts in groups.items():
        if group not in inventory.groups:
            inventory.add_group(str(group))
        for host in hosts:
            inventory.add_host(str(host), group=str(group))
    return inventory


def _matches(inventory: InventoryManager, part: str) -> bool:
    with contextlib.suppress(AnsibleError):
        return bool(inventory.get_hosts(part))
    return False


def _implicit(host: t.Any) -> bool:
    """The localhost that stands in no inventory."""
    return bool(getattr(host, "implicit", False))
