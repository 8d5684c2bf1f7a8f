# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: document
short_description: Read a document that runs keep of a tenant
version_added: 0.2.0
author:
  - The mail2fax.m365 authors (@mail2fax)
description:
  - Returns the text of a document that an earlier run left, from wherever C(mail2fax_record_store) keeps it, else from
    the folder C(mail2fax_handover_dir). An empty text where there is none.
  - What is there and cannot be read is an error, never an empty text.
options:
  _terms:
    description:
      - Names of documents. V(record) is the result of the last run, V(audit) that of the last audit, V(sheet) the
        hand-over sheet; any other is what its file ends in, such as V(reach.json).
    type: list
    elements: str
    required: true
  host:
    description: The inventory's name of the tenant. That of the host that the task is for, if it is not given.
    type: str
  record_store:
    description: Another place than what C(mail2fax_record_store) says.
    type: dict
  folder:
    description: Another folder than what C(mail2fax_handover_dir) says.
    type: path
  path:
    description: The file itself, where documents are kept in a folder.
    type: path
seealso:
  - module: mail2fax.m365.handover_file
"""

EXAMPLES = r"""
- name: Show how the last run left the tenant
  ansible.builtin.debug:
    msg: "{{ (lookup('mail2fax.m365.document', 'record') | mail2fax.m365.record(inventory_hostname)).document.state }}"
"""

RETURN = r"""
_raw:
  description: The texts.
  type: list
  elements: str
"""

import typing as t

from ansible import constants
from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import M365Error
from ansible_collections.mail2fax.m365.plugins.plugin_utils import (
    _blanks,
    _locked,
    _looked_up,
    _places,
    _shelves,
)
from ansible_collections.mail2fax.m365.plugins.plugin_utils._plain import plain
from ansible_collections.mail2fax.m365.plugins.plugin_utils._store_logins import of_this_run
from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores import Controller


class LookupModule(LookupBase):
    """Documents by name."""

    def run(self, terms: list[t.Any], variables: dict[str, t.Any] | None = None, **kwargs: t.Any) -> list[str]:
        self.set_options(var_options=variables, direct=kwargs)
        known = variables or {}
        try:
            store = self._said(kwargs.get("record_store"), _shelves.VARIABLE, known)
            if store is not None and not isinstance(store, dict):
                raise AnsibleLookupError(f"mail2fax.m365.document: {_shelves.VARIABLE} is not a mapping")
            folder = kwargs.get("folder") or _shelves.folder_of(store, self._said(None, "mail2fax_handover_dir", known))
            place = _places.resolve(str(folder or "handover"), _places.base(known.get("inventory_dir")))
            host = str(kwargs.get("host") or known.get("inventory_hostname") or "")
            controller = Controller(self._loader, {}, of_this_run())
            with _shelves.open_shelf(store, folder=place, controller=controller) as shelf:
                if kwargs.get("path") and isinstance(shelf, _shelves.FolderShelf):
                    return [_shelves.text_of(str(kwargs.get("path"))) or "" for _term in terms]
                return [shelf.read(host, str(term)).text or "" for term in terms]
        except (M365Error, ValueError) as exc:
            raise AnsibleLookupError(f"mail2fax.m365.document: {exc}") from exc

    def _said(self, value: t.Any, variable: str, known: dict[str, t.Any]) -> t.Any:
        if value is None and variable in known:
            host, raw = str(known.get("inventory_hostname") or ""), known[variable]
            kept = _looked_up.kept(constants.DEFAULT_LOCAL_TMP, host, variable, raw)
            try:
                value = kept[0] if kept else self._templar.template(raw)
            except Exception as exc:
                # Ansible's own text may quote what the variable holds.
                if _locked.by_vault(exc):
                    raise _locked.unopened(variable, raw) from None
                raise AnsibleLookupError(
                    f"mail2fax.m365.document: {variable} cannot be rendered ({type(exc).__name__})"
                ) from None
        value = plain(value)
        return None if _blanks.blank(value) else value
