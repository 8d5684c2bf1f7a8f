# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
import zoneinfo

from ansible.errors import AnsibleFilterError

from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import times

DOCUMENTATION = r"""
name: readable_time
short_description: Write an instant as people read it
version_added: 0.1.0
author:
  - The mail2fax.m365 authors (@mail2fax)
description:
  - Turns V(2026-11-21T15:30:00Z) into V(21 Nov 2026, 15:30 UTC), in English, whatever the locale is.
  - What is not an instant stays as it is, and nothing becomes an empty string.
positional: zone
options:
  _input:
    description: An instant in ISO 8601.
    type: raw
    required: true
  zone:
    description: The time zone to write it in, as the IANA names it.
    type: str
    default: UTC
  date_only:
    description: Leave the time of the day out.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Tell when the secret ends
  ansible.builtin.debug:
    msg: "{{ client_secret_result.end_date_time | mail2fax.m365.readable_time('Europe/Rome', date_only=true) }}"
"""

RETURN = r"""
_value:
  description: The instant in words.
  type: str
"""


def readable_time(value: t.Any, zone: str = "UTC", date_only: bool = False) -> str:
    """See DOCUMENTATION."""
    try:
        return times.readable_time(value, zone, date_only)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise AnsibleFilterError(
            f"mail2fax.m365.readable_time: there is no time zone {zone!r}; write it as Europe/Rome, or use UTC"
        ) from exc


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"readable_time": readable_time}
