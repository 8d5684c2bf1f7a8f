# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Variables that Ansible Vault has locked, and that no vault password of this run opens: told by name, never sent."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleError

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked

MARK = "$ANSIBLE_VAULT;"


def by_vault(exc: BaseException | None) -> bool:
    """Whether an error, or what it came of, is one of Ansible Vault."""
    seen = 0
    while exc is not None and seen < 20:
        if isinstance(exc, AnsibleError) and "Vault" in type(exc).__name__:
            return True
        exc, seen = exc.__cause__ or exc.__context__, seen + 1
    return False


def unopened(name: str, raw: t.Any) -> Blocked:
    """``raw`` is the variable as Ansible holds it, unrendered."""
    vault_id = _vault_id(raw)
    under, option = (f" under the vault ID {vault_id}", f"--vault-id {vault_id}@…") if vault_id else ("", "--vault-id")
    return Blocked(
        f"{name} is encrypted with Ansible Vault{under}, and the run has no password that opens it",
        cure=f"start the run with that password ({option}); in AWX give the job template a Vault credential"
        + (f" with the vault ID {vault_id}" if vault_id else ""),
    )


def still_encrypted(value: t.Any) -> bool:
    """Whether text in a rendered value is what Ansible Vault made of it."""
    if isinstance(value, t.Mapping):
        return any(map(still_encrypted, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(still_encrypted, value))
    return isinstance(value, str) and value.lstrip().startswith(MARK)


def taken_as_it_is(name: str) -> Blocked:
    return Blocked(
        f"{name} is still encrypted with Ansible Vault",
        cure="write it into a file of the inventory with the tag !vault: an extra variable, a survey's answer and a "
        "quoted text are taken as they are",
    )


def _vault_id(raw: t.Any) -> str:
    """The label in the header of what is encrypted there, if all of it has one and the same."""
    heads = [text.strip().partition("\n")[0].strip().split(";") for text in _encrypted(raw)]
    labels = {head[3] for head in heads if len(head) > 3}
    return labels.pop() if len(labels) == 1 else ""


def _encrypted(raw: t.Any) -> t.Iterator[str]:
    """Every vaulted text in a value, encrypted as it is."""
    if isinstance(raw, t.Mapping):
        for item in raw.values():
            yield from _encrypted(item)
    elif isinstance(raw, (list, tuple)):
        for item in raw:
            yield from _encrypted(item)
    else:
        # Up to ansible-core 2.18, and from 2.19 on.
        text = getattr(raw, "_ciphertext", None)
        if isinstance(text, (str, bytes)):
            yield text.decode() if isinstance(text, bytes) else text
