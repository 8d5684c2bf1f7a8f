# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: profile
short_description: What a fax server's vendor wants in Microsoft 365
version_added: 0.1.0
author:
  - The mail2fax.m365 authors (@mail2fax)
description:
  - Returns a profile as data, that is its accesses with their permissions and how the reach of each is limited, the
    names that are used where the inventory names none, what the hand-over sheet says in the vendor's own words, and
    what follows from all that, such as the steps of a run.
  - A file of your own has the same keys as the collection's; copy one of those as a start. One that was written for
    version 0.1.0 (with C(permissions), C(scoping), C(proof) and C(connection)) is read on.
options:
  _terms:
    description:
      - The name of a profile of the collection, or the path of a YAML file, that is something with a slash or ending
        in C(.yml) or C(.yaml). A relative path counts from the folder of the host's inventory; what is not there is
        searched like the file of a C(copy) task.
    type: list
    elements: str
    required: true
  scoping:
    description:
      - Another scoping model than the profile's, one for all accesses, or a mapping from ids of accesses to models. The
        profile has to allow it (C(scoping_allowed)). Nothing, or an empty text, is the profile's own.
    type: raw
    version_added: 0.2.0
  migration:
    description:
      - The migration that the record of a run keeps. While one stands, what is returned is the old way in and the new
        one together, whichever of both is named; after it is done, the new one with the names that the application
        keeps.
    type: dict
    default: {}
    version_added: 0.2.0
  complaint:
    description: >-
      Return, instead of the profile, why it cannot be used, in words; nothing if it can.
    type: bool
    default: false
    version_added: 0.2.0
"""

EXAMPLES = r"""
- name: Show the fields of the vendor's form
  ansible.builtin.debug:
    msg: "{{ lookup('mail2fax.m365.profile', 'imagicle_ews').handover.fields | map(attribute='name') }}"

- name: Use a profile of one's own
  ansible.builtin.debug:
    var: lookup('mail2fax.m365.profile', './profiles/our_fax_server.yml')

- name: Show what is done where application roles limit the application
  ansible.builtin.debug:
    var: lookup('mail2fax.m365.profile', 'imagicle_ews', scoping='application_role').steps
"""

RETURN = r"""
_raw:
  description: One dictionary for each term.
  type: list
  elements: dict
  contains:
    name:
      description: The name of the profile.
      type: str
    version:
      description: The version of the profile.
      type: str
    status:
      description: V(supported), V(legacy) or V(unverified).
      type: str
    vendor:
      description: Name, product and the document that the profile was made from.
      type: dict
    names:
      description: Names that are used where the inventory names none.
      type: dict
    accesses:
      description: >-
        The ways in, each with C(id), C(protocol), C(permissions), C(resource) (V(exchange_online) or
        V(microsoft_graph)), C(scoping) (the model in use), C(scoping_allowed) and C(roles) (of Exchange, where
        application roles are in use).
      type: list
      elements: dict
    models:
      description: The scoping models in use, each once.
      type: list
      elements: str
    protocols:
      description: The protocols, each once.
      type: list
      elements: str
    permissions:
      description: >-
        API permissions by name, as M(mail2fax.m365.entra_application) takes them. Those of accesses whose model needs a
        consent; none where application roles alone are in use.
      type: list
      elements: dict
    roles:
      description: The application roles of Exchange that are assigned.
      type: list
      elements: str
    steps:
      description: The steps of a provisioning, in their order.
      type: list
      elements: str
    full_access:
      description: Whether rights on mailboxes are given.
      type: bool
    send_as:
      description: Whether the right to send as the mailboxes is given, too.
      type: bool
    switches:
      description: The protocols that are switched on and off for mailboxes.
      type: list
      elements: str
    connection:
      description: >-
        For each access C(service), C(port), C(encryption), C(method), C(path), and C(hosts), the host in each Microsoft
        cloud.
      type: list
      elements: dict
    handover:
      description: The form's fields in the vendor's order, notes and a test.
      type: dict
    errors:
      description: Known errors, what they mean and whom to call.
      type: list
      elements: dict
    sunset:
      description: When a service that the profile needs ends.
      type: dict
    migrating:
      description: While a migration stands, what a run has to heed besides, and both profiles by themselves.
      type: dict
      returned: while a migration stands
"""

import typing as t

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _both, _places, _profile
from ansible_collections.mail2fax.m365.plugins.plugin_utils._plain import plain


class LookupModule(LookupBase):
    """Profiles by name or path."""

    def run(
        self, terms: list[t.Any], variables: dict[str, t.Any] | None = None, **kwargs: t.Any
    ) -> list[dict[str, t.Any]] | list[str]:
        self.set_options(var_options=variables, direct=kwargs)

        def find(path: str) -> str | None:
            beside = _places.beside(path, (variables or {}).get("inventory_dir"))
            if beside is not None:
                return beside
            found: str | None = self.find_file_in_search_path(variables or {}, "files", path, ignore_missing=True)
            if found is None:
                folder = _places.base((variables or {}).get("inventory_dir"))
                raise _profile.ProfileError(
                    f"there is no profile file {path}; it was looked for beside the inventory, in {folder}, and beside "
                    f"the playbook and in its folder files, {self.get_basedir(variables or {})}"
                )
            return found

        def load(term: str, scoping: t.Any) -> dict[str, t.Any]:
            return _profile.load(term, find, scoping)

        migration = plain(kwargs.get("migration") or {})
        try:
            found = [_both.declared(str(term), kwargs.get("scoping"), migration, load) for term in terms]
        except _profile.ProfileError as exc:
            if kwargs.get("complaint"):
                return [str(exc)]
            raise AnsibleLookupError(f"mail2fax.m365.profile: {exc}") from exc
        return [] if kwargs.get("complaint") else found
