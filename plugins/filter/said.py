# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _blanks

DOCUMENTATION = r"""
name: said
short_description: Tell what a variable says, or what holds where it says nothing
version_added: 0.2.0
author:
  - The mail2fax.m365 authors (@mail2fax)
description:
  - A blank value, that is null or text of blanks only, says nothing, and the default holds in its place. Surveys and
    forms send such values for questions that nobody answered.
  - What is said gets the default's type where it can be read as one. Text becomes a list at its commas and line
    breaks, a number, or a truth value. What cannot be read so stays as it is, for a module or a check to refuse.
positional: default
options:
  _input:
    description: The value of a variable. Use C(default(none\)) before this filter where it may be undefined.
    type: raw
    required: true
  default:
    description: What holds where nothing is said.
    type: raw
"""

EXAMPLES = r"""
- name: Show how long a secret lives
  ansible.builtin.debug:
    msg: "{{ mail2fax_secret_lifetime_days | default(none) | mail2fax.m365.said(365) }}"
"""

RETURN = r"""
_value:
  description: What is said, or the default.
  type: raw
"""


def said(value: t.Any, default: t.Any = None) -> t.Any:
    """See DOCUMENTATION."""
    return _blanks.said(value, default)


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"said": said}
