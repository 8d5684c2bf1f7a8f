# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: awx_objects
short_description: What AWX is to have for the playbooks of the collection
version_added: 0.2.0
author:
  - The mail2fax.m365 authors (@mail2fax)
description:
  - Returns everything that the playbook C(mail2fax.m365.awx) makes in AWX, as data with the names of fields of AWX
    24.6.1. It talks to nobody.
  - The options are the variables of that playbook, which the guide on playbooks lists.
options:
  _terms:
    description:
      - A mapping from names of variables, without C(mail2fax_awx_) in front, to their values, and C(time_zone). A blank
        value says nothing.
    type: list
    elements: dict
    required: true
  secrets:
    description: Return the credentials with the values of their fields, and nothing else.
    type: bool
    default: false
  aap:
    description: >-
      Return, instead, the text of a YAML file with the variables that the collection C(infra.aap_configuration) reads.
      No secret is in it.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Show which templates AWX is to have
  ansible.builtin.debug:
    msg: "{{ lookup('mail2fax.m365.awx_objects', wanted).objects.job_templates | map(attribute='name') }}"
  vars:
    wanted:
      scm_url: https://git.contoso.com/fax/awx.git
"""

RETURN = r"""
_raw:
  description:
    - For each term a mapping, a list (O(secrets)) or a text (O(aap)).
  type: list
  contains:
    complaints:
      description: What cannot be meant, in words. Nothing else is to be relied on then.
      type: list
      elements: str
    state:
      description: V(present) or V(absent).
      type: str
    organization:
      description: The organization's name.
      type: str
    objects:
      description: >-
        Lists of what is to be made, by kind, in the order in which they are made. Credentials have no inputs.
      type: dict
    notification_state:
      description: >-
        V(exists) where AWX would not show a notification's configuration again, so that it is made once. Else
        V(present).
      type: str
    update_secrets:
      description: Whether secrets are sent again.
      type: bool
    has_awx_awx:
      description: Whether the collection C(awx.awx) is installed.
      type: bool
    told:
      description: What somebody should know who goes on with it.
      type: list
      elements: str
"""

import importlib.util
import os
import typing as t

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.mail2fax.m365.plugins.module_utils import _argspec
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _held, _variables
from ansible_collections.mail2fax.m365.plugins.plugin_utils._awx import aap, notifications, objects, wish
from ansible_collections.mail2fax.m365.plugins.plugin_utils._plain import plain

Json = dict[str, t.Any]
SHARED = {"time_zone": "mail2fax_time_zone"}
"""What the other playbooks read as well."""


class LookupModule(LookupBase):
    """Lists of objects by what is wanted."""

    def run(self, terms: list[t.Any], variables: Json | None = None, **kwargs: t.Any) -> list[t.Any]:
        self.set_options(var_options=variables, direct=kwargs)
        # What is misspelled would be left out without a word.
        strange = {name for name in variables or {} if name.startswith(wish.PREFIX)} - _held.names()
        return [self._one(term, dict.fromkeys(strange - set(_variables.variables()))) for term in terms]

    def _one(self, term: t.Any, strange: Json) -> t.Any:
        if not isinstance(term, t.Mapping):
            raise AnsibleLookupError("mail2fax.m365.awx_objects takes a mapping of variables")
        said = {SHARED.get(str(name), f"{wish.PREFIX}{name}"): value for name, value in plain(term).items()}
        wanted, complaints = wish.read({**strange, **said}, _argspec.surroundings(os.environ))
        made = objects.declared(wanted)
        if complaints:
            made = {kind: [] for kind in made}
        if self.get_option("secrets"):
            return made["credentials"]
        if self.get_option("aap"):
            return "" if complaints else aap.text(wanted)
        shown = [{key: value for key, value in one.items() if key != "inputs"} for one in made["credentials"]]
        return {
            "complaints": complaints,
            "state": wanted.state,
            "organization": wanted.organization,
            "objects": {**made, "credentials": shown},
            "notification_state": "exists" if notifications.keeps_a_secret(wanted.notification) else "present",
            "update_secrets": wanted.update_secrets,
            "has_awx_awx": _is_there("ansible_collections.awx.awx"),
            "told": list(wish.told(wanted)),
        }


def _is_there(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False
