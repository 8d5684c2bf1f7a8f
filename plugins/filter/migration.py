# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _migration, _moving, _taking
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import times
from ansible_collections.mail2fax.m365.plugins.plugin_utils._plain import plain

DOCUMENTATION = r"""
name: migration
short_description: Tell what is next in moving an application from one way in to another
version_added: 0.2.0
author:
  - The mail2fax.m365 authors (@mail2fax)
description:
  - Takes the migration that the record of a tenant keeps, and returns it as it is after a part of a run, or what is
    taken away now. The role P(mail2fax.m365.migrate#role) asks it before each of its steps.
positional: part, found
options:
  _input:
    description: The migration, as the record keeps it.
    type: dict
    required: true
  part:
    description:
      - What has been done, or is asked.
      - V(released) looks what is no longer held back, V(noted) adds what is going to be added, V(next) goes on as far
        as clocks and people let it, and V(plan) tells what is taken away.
      - V(revoked), V(waited), V(ending) and V(done) follow one another when the old way is retired, V(taken_up) and
        V(claim_revoked) when it is taken up again. V(told) says in words where it stands.
    type: str
    choices: [released, noted, next, plan, revoked, waited, ending, done, taken_up, claim_revoked, told]
    required: true
  found:
    description: >-
      What is known besides, as far as the part needs it. C(now), C(results) by step, C(definition) (the profile, as the
      lookup returns it while a migration stands), C(record), C(preflight), C(result), C(confirm), C(when) and C(grace).
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Tell where the migration stands
  ansible.builtin.debug:
    msg: "{{ handover_last.migration | mail2fax.m365.migration('told') }}"
"""

RETURN = r"""
_value:
  description: The migration, or with V(plan) what is taken away, or with V(told) a text.
  type: raw
"""

_PARTS: dict[str, t.Callable[[t.Any, t.Any], t.Any]] = {
    "released": lambda one, found: _migration.released(one, _now(found)),
    "noted": _moving.noted,
    "next": _moving.went_on,
    "plan": _taking.plan,
    "revoked": _taking.revoked,
    "waited": _taking.waited,
    "ending": lambda one, found: {**one, "ending": True},
    "done": lambda one, found: _taking.done(one, found.get("now")),
    "taken_up": _taking.taken_up,
    "claim_revoked": _taking.claim_revoked,
    "told": lambda one, found: _migration.told(one),
}


def _now(found: t.Mapping[str, t.Any]) -> t.Any:
    return times.instant(found.get("now")) or times.now()


def migration(one: t.Any, part: str, found: t.Any = None) -> t.Any:
    """See DOCUMENTATION."""
    if not isinstance(one, t.Mapping) or not isinstance(found or {}, t.Mapping):
        raise AnsibleFilterError("mail2fax.m365.migration takes a migration and what was found, as dictionaries")
    if part not in _PARTS:
        raise AnsibleFilterError(f"mail2fax.m365.migration: the part is {part!r}, not one of {', '.join(_PARTS)}")
    known = plain(found or {})
    if part not in ("ending", "told"):
        known["now"] = known.get("now") or times.iso(times.now())
    return wrap_var(_PARTS[part](plain(one), known))


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"migration": migration}
