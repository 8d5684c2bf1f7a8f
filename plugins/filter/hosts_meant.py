# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible import context
from ansible.errors import AnsibleFilterError

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _hosts

DOCUMENTATION = r"""
name: hosts_meant
short_description: Refuse a pattern that means no host
version_added: 0.2.0
author:
  - The mail2fax.m365 authors (@mail2fax)
description:
  - Ansible ends well where a play has no host at all, because a group was misspelt, the inventory is empty, or a limit
    leaves none of its hosts. With this filter around its pattern, a play ends the run with an error instead.
  - Where a playbook is only listed, or its syntax is checked, nothing is refused.
positional: pattern, groups, limit
options:
  _input:
    description: The names of the hosts that are left after the limit.
    type: list
    elements: str
    required: true
  pattern:
    description: The play's pattern.
    type: raw
    required: true
  groups:
    description: The hosts of each group, as C(groups) has them.
    type: dict
    required: true
  limit:
    description: The limit, as C(ansible_limit) has it.
    type: str
    default: ''
"""

EXAMPLES = r"""
- name: Look at the tenants that are meant
  hosts: "{{ ansible_play_hosts_all | mail2fax.m365.hosts_meant('customers', groups) }}"
"""

RETURN = r"""
_value:
  description: The pattern.
  type: raw
"""

LISTING = ("syntax", "listhosts", "listtasks", "listtags")


def hosts_meant(hosts: t.Any, pattern: t.Any, groups: t.Any, limit: t.Any = "") -> t.Any:
    """See DOCUMENTATION."""
    names = [str(host) for host in hosts or []]
    known = {str(group): [str(host) for host in members] for group, members in dict(groups or {}).items()}
    if any(context.CLIARGS.get(option) for option in LISTING) or _hosts.meant(names, pattern, known):
        return pattern
    raise AnsibleFilterError(f"mail2fax.m365.hosts_meant: {why(pattern, known, str(limit or ''))}")


def why(pattern: t.Any, groups: t.Mapping[str, t.Sequence[str]], limit: str) -> str:
    """Why a pattern means nobody, and what to do."""
    written = ",".join(map(str, pattern)) if isinstance(pattern, (list, tuple)) else str(pattern)
    if not any(groups.values()):
        return (
            "no tenant was looked at, because the inventory names no host. What to do: name the right one by -i, and "
            "see that it can be read."
        )
    unmet = _hosts.nobody(pattern, groups)
    if unmet:
        return (
            f"no tenant was looked at, because the pattern {written!r} of mail2fax_hosts matches no host: nobody is "
            f"called {', '.join(map(repr, unmet))}. What to do: correct it; groups and hosts are called as in the "
            "inventory."
        )
    within = f" within the limit {limit!r}" if limit else ""
    return (
        f"no tenant was looked at, because the pattern {written!r} of mail2fax_hosts matches no host{within}. What to "
        "do: correct the one or the other."
    )


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"hosts_meant": hosts_meant}
