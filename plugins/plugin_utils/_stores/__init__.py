# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The places where a secret's value can live. A new one is one file here and one line in ``BACKENDS``.

A back end is a class with the methods of ``module_utils._store.Store`` and a constructor that takes the task's
``store`` option and a Controller. It imports its libraries in the constructor, and raises Blocked with what to
install when one is missing.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import InvalidInput
from ansible_collections.mail2fax.m365.plugins.module_utils._store import Store
from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores.vault_file import VaultFile

if t.TYPE_CHECKING:
    from ansible.parsing.dataloader import DataLoader


@dataclass(frozen=True)
class Controller:
    """What a back end may need of the run: its loader, which holds the run's vault passwords."""

    loader: DataLoader


BACKENDS: t.Mapping[str, t.Callable[[t.Mapping[str, t.Any], Controller], Store]] = {
    "vault_file": lambda options, controller: VaultFile.from_options(options, controller.loader),
}


def open_store(options: t.Mapping[str, t.Any], controller: Controller) -> Store:
    """The store that a task names."""
    backend = BACKENDS.get(str(options.get("backend")))
    if backend is None:
        raise InvalidInput(
            f"store.backend is {options.get('backend')!r}", cure=f"choose one of {', '.join(sorted(BACKENDS))}"
        )
    return backend(options, controller)
