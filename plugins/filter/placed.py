# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _places

DOCUMENTATION = r"""
name: placed
short_description: Make a path of an inventory absolute
version_added: 0.2.0
author:
  - The mail2fax.m365 authors (@mail2fax)
description:
  - A relative path in an inventory counts from the folder of that inventory, and from the current folder where the host
    belongs to none. So a playbook means the same file wherever it is started from.
  - Takes a path, or the mapping of a secret store, in which the file of V(vault_file) and every C(password_file) are
    paths.
positional: inventory_dir, recorded
options:
  _input:
    description: A path, or a secret store as O(mail2fax.m365.entra_application_secret#module:store).
    type: raw
    required: true
  inventory_dir:
    description: The host's variable C(inventory_dir).
    type: path
  recorded:
    description:
      - Where the last run stored the secret, as RV(mail2fax.m365.entra_application_secret#module:stored_in). A file
        that version 0.1.0 counted from the current folder is used until it has been moved.
    type: raw
"""

EXAMPLES = r"""
- name: Show where the hand-over is written
  ansible.builtin.debug:
    msg: "{{ 'handover' | mail2fax.m365.placed(inventory_dir) }}"
"""

RETURN = r"""
_value:
  description: What came in, with absolute paths.
  type: raw
"""


def placed(value: t.Any, inventory_dir: t.Any = None, recorded: t.Any = None) -> t.Any:
    """See DOCUMENTATION."""
    try:
        if isinstance(value, t.Mapping):
            return _places.store(value, _places.base(inventory_dir), recorded)
        return _places.resolve(str(value), _places.base(inventory_dir)) if value else value
    except ValueError as exc:
        raise AnsibleFilterError(f"mail2fax.m365.placed: {exc}") from exc


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"placed": placed}
