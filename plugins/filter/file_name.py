# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _places

DOCUMENTATION = r"""
name: file_name
short_description: The name that a host gives its files
version_added: 0.2.0
author:
  - The mail2fax.m365 authors (@mail2fax)
description:
  - A plain name, of lower-case letters, digits, dots, underscores and hyphens, stays as it is. Every other name gets
    one that no other host can have, also where a file system takes capitals for small letters.
options:
  _input:
    description: The inventory's name of a host.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show where the result of the last run is
  ansible.builtin.debug:
    msg: "/srv/fax/handover/{{ inventory_hostname | mail2fax.m365.file_name }}.json"
"""

RETURN = r"""
_value:
  description: The name, without folder and ending.
  type: str
"""


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"file_name": lambda host: _places.file_name(str(host))}
