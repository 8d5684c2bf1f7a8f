# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import importlib.metadata
import platform
import typing as t
import zoneinfo

import ansible.release
from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var

from ansible_collections.mail2fax.m365.plugins.module_utils._version import VERSION
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import evidence as _evidence
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import record
from ansible_collections.mail2fax.m365.plugins.plugin_utils._plain import plain

DOCUMENTATION = r"""
name: evidence
short_description: Make the evidence pack of an audit
version_added: 0.2.0
author:
  - The mail2fax.m365 authors (@mail2fax)
description:
  - Returns the files of a folder for an auditor, among them a page that says in plain words what is proven and what is
    not, the documents behind it, and a manifest with SHA-256 sums that C(sha256sum -c) checks.
  - No secret's value is in any of them. The same tenant gives the same files, but for times and request ids.
  - The role P(mail2fax.m365.handover#role) writes them in an audit, where C(mail2fax_evidence_dir) says so.
options:
  _input:
    description: The registered results of the audit's steps, by step.
    type: dict
    required: true
  context:
    description: What is known besides.
    type: dict
    required: true
    suboptions:
      document:
        description: The audit's document, as P(mail2fax.m365.run_result#filter) returns it.
        type: dict
        required: true
      profile:
        description: The profile, as P(mail2fax.m365.profile#lookup) returns it.
        type: dict
        required: true
      record:
        description: The document of the last run that changed something.
        type: dict
      report:
        description: The report of reach. Empty if there is none.
        type: dict
      no_report:
        description: Why there is none.
        type: str
      declared:
        description: What the inventory says, by variable.
        type: dict
      zone:
        description: The time zone of the times on the page, as the IANA names it.
        type: str
        default: UTC
      prepared_by:
        description: Who answers for the pack.
        type: str
      ticket:
        description: The ticket that the audit was made for.
        type: str
"""

EXAMPLES = r"""
- name: Which files does the pack have?
  ansible.builtin.debug:
    msg: "{{ handover_results | mail2fax.m365.evidence(handover_evidence_context) | map(attribute='name') }}"
"""

RETURN = r"""
_value:
  description: The files, in the order in which they are to be written.
  type: list
  elements: dict
  contains:
    name:
      description: The file's name.
      type: str
    content:
      description: Its text, without the line break at its end.
      type: str
"""

LIBRARIES = ("cryptography", "msal", "requests")


def evidence(results: t.Any, context: t.Any) -> list[dict[str, str]]:
    """See DOCUMENTATION."""
    if not isinstance(results, t.Mapping) or not isinstance(context, t.Mapping):
        raise AnsibleFilterError("mail2fax.m365.evidence takes the results by step, and a context, both dictionaries")
    for key in ("document", "profile"):
        if not isinstance(context.get(key), t.Mapping):
            raise AnsibleFilterError(f"mail2fax.m365.evidence: the context lacks {key}")
    about = plain(context)
    host = str(about["document"].get("host") or "")
    about["record"] = record.read(about.get("record"), host).document
    about["versions"] = {**_versions(), "profile": {key: about["profile"].get(key) for key in ("name", "version")}}
    try:
        files = _evidence.pack(plain(results), about)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise AnsibleFilterError(
            f"mail2fax.m365.evidence: there is no time zone {about.get('zone')!r}; write it as Europe/Rome, or use UTC"
        ) from exc
    # Names in a tenant may look like templates. ansible-core 2.18 would follow them; later ones never do.
    told = [{"name": file.name, "content": file.content.removesuffix("\n")} for file in files]
    return t.cast("list[dict[str, str]]", wrap_var(told))


def _versions() -> dict[str, t.Any]:
    libraries: dict[str, str | None] = {}
    for name in LIBRARIES:
        try:
            libraries[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            libraries[name] = None
    return {
        "collection": VERSION,
        "ansible_core": ansible.release.__version__,
        "python": platform.python_version(),
        "libraries": libraries,
        "record_schema": record.SCHEMA,
        "pack_schema": _evidence.SCHEMA,
    }


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"evidence": evidence}
