# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime as dt
import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import times

DOCUMENTATION = r"""
name: days_until
short_description: Tell how many days are left until an instant
version_added: 0.1.0
author:
  - The mail2fax.m365 authors (@mail2fax)
description:
  - Counts the days from now until an instant. Parts of a day count, and what is past is negative.
options:
  _input:
    description: An instant in ISO 8601. Without a time zone it is in UTC.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Tell how long the secret still works
  ansible.builtin.debug:
    msg: "{{ client_secret_result.end_date_time | mail2fax.m365.days_until | int }} days are left."
"""

RETURN = r"""
_value:
  description: The days.
  type: float
"""


def days_until(value: t.Any) -> float:
    """See DOCUMENTATION."""
    moment = times.instant(value)
    if moment is None:
        raise AnsibleFilterError(
            f"mail2fax.m365.days_until takes an instant such as 2026-11-21T15:30:00Z, not {str(value)!r}"
        )
    return (moment - times.now()) / dt.timedelta(days=1)


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"days_until": days_until}
