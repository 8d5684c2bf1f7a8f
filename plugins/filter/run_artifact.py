# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _artifact, _fleet

DOCUMENTATION = r"""
name: run_artifact
short_description: Tell in a few words what a run came to, for the next job of a workflow
version_added: 0.2.0
author:
  - The mail2fax.m365 authors (@mail2fax)
description:
  - Makes what the playbooks hand to AWX by M(ansible.builtin.set_stats), a mapping of one key, C(mail2fax_run_) and the
    job's number.
  - Its value has C(outcome), the worst of all tenants, C(days_left), the fewest of any secret, C(next), the most urgent
    thing to do, and C(tenants), those that are failed, blocked or pending, with the same three. It is a few kB at most;
    C(more) is how many tenants are left out.
positional: variables, job
options:
  _input:
    description: The inventory's names of the tenants.
    type: list
    elements: str
    required: true
  variables:
    description: The variables of the hosts, C(hostvars).
    type: dict
    required: true
  job:
    description: The number of the job of AWX. C(local) stands for it where there is none.
    type: str
"""

EXAMPLES = r"""
- name: Hand on what the run came to
  ansible.builtin.set_stats:
    data: "{{ ansible_play_hosts_all | mail2fax.m365.run_artifact(hostvars, awx_job_id | default('')) }}"
    aggregate: false
  run_once: true
"""

RETURN = r"""
_value:
  description: What M(ansible.builtin.set_stats) takes as data.
  type: dict
"""


def run_artifact(hosts: t.Any, variables: t.Any, job: t.Any = "") -> dict[str, t.Any]:
    """See DOCUMENTATION."""
    if isinstance(hosts, str) or not isinstance(hosts, t.Iterable) or not isinstance(variables, t.Mapping):
        raise AnsibleFilterError("mail2fax.m365.run_artifact takes names of hosts, and a dictionary of their variables")
    return {_artifact.name(job): _artifact.artifact(_fleet.rows(hosts, variables))}


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"run_artifact": run_artifact}
