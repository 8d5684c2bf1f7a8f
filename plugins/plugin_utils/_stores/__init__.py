# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The places where a secret's value can live. A new one is one file here and one line in ``BACKENDS``.

The file has a class with the methods of ``module_utils._store.Store``, and a constructor ``from_options`` that takes
the task's ``store`` option and a Controller. It has to keep these promises, on which a run that dies leans:

* ``write`` replaces the entry (``Entry.as_mapping()``, a mapping of plain types) in one go and for good before it
  returns, and raises Conflict when the stored one is not the one that was read or written last;
* where the place deletes by itself what it holds, ``write`` answers when;
* ``read`` gives exactly that mapping back, byte for byte, to ``Entry.from_mapping``; None means that there is none, and
  nothing else does;
* ``probe`` proves as well as the place allows that a write would succeed, and leaves nothing behind;
* a refusal is a Blocked with a cure, an AnswerLost never leaves a store, and no text quotes what is stored;
* libraries are imported in ``from_options``, which raises MissingLibrary with what to install.

Its options, if it needs new ones, stand in ``STORE_BACKENDS`` of ``module_utils/_store.py`` and in the documentation
fragment ``store``. The tests of all stores are in tests/unit/plugins/plugin_utils/test_stores.py, what becomes of a
store that refuses is in tests/integration/test_secret_store_faults.py: a new one is added to both.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.mail2fax.m365.plugins.module_utils import _names
from ansible_collections.mail2fax.m365.plugins.module_utils._auth import SignIn
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import InvalidInput
from ansible_collections.mail2fax.m365.plugins.module_utils._names import decrypted
from ansible_collections.mail2fax.m365.plugins.module_utils._store import (
    STORE_BACKENDS,
    STORE_OPTIONS,
    Store,
    misplaced,
)
from ansible_collections.mail2fax.m365.plugins.plugin_utils._store_logins import Logins
from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores.azure_key_vault import AzureKeyVault
from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores.hashi_vault import HashiVault
from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores.none import Sealed
from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores.vault_file import VaultFile

if t.TYPE_CHECKING:
    from ansible.parsing.dataloader import DataLoader


@dataclass(frozen=True)
class Controller:
    """What a back end may need of the run: its loader, which holds the run's vault passwords, and the connection.

    ``connection`` has the task's connection options, for a back end that signs in as the operator. ``logins`` keeps
    sign-ins to vaults for all tasks of the run; without it a store signs in by itself, and out by its ``close``, which
    ``at_end`` is told of.
    """

    loader: DataLoader
    connection: t.Mapping[str, t.Any] = field(default_factory=dict, repr=False)
    logins: Logins | None = None
    share: t.Callable[[SignIn, t.Mapping[str, t.Any]], SignIn] = lambda sign_in, _connection: sign_in
    """What shares the tokens of a sign-in with the other tasks of the run."""
    at_end: t.Callable[[t.Callable[[], None]], object] = lambda _close: None


BACKENDS: t.Mapping[str, t.Callable[[t.Mapping[str, t.Any], Controller], Store]] = {
    "vault_file": VaultFile.from_options,
    "hashi_vault": HashiVault.from_options,
    "azure_key_vault": AzureKeyVault.from_options,
}
NO_BACKEND = "none"


def open_store(options: t.Mapping[str, t.Any], controller: Controller) -> Store:
    """The store that a task names, for whoever wants to read from it or write into it."""
    _check(options)
    if options["backend"] == NO_BACKEND:
        raise InvalidInput(
            "store.backend is none, so there is nothing to read the secret from",
            cure="give app_secret, or use a store that keeps the value",
        )
    return BACKENDS[options["backend"]](options, controller)


def open_receiver(options: t.Mapping[str, t.Any], controller: Controller) -> dict[str, t.Any]:
    """What receives a new secret, as services of the task: ``store``; or ``seal`` and ``sealed_for`` for ``none``."""
    _check(options)
    if options["backend"] == NO_BACKEND:
        sealed = Sealed.from_options(options)
        return {"seal": sealed.seal, "sealed_for": sealed.place}
    return {"store": open_store(options, controller)}


def _check(options: t.Mapping[str, t.Any]) -> None:
    if options.get("backend") not in (*BACKENDS, NO_BACKEND):
        raise InvalidInput(
            f"store.backend is {_names.quoted(options.get('backend'))}",
            cure=f"choose one of {', '.join(sorted([*BACKENDS, NO_BACKEND]))}",
        )
    for name, spec in STORE_OPTIONS.items():
        if spec.get("no_log"):
            decrypted(options.get(name), "store", f"store.{name}")
    wrong = misplaced(options, STORE_BACKENDS)
    if wrong:
        raise InvalidInput(
            f"the store {options['backend']} has no option {', '.join(wrong)}",
            cure="remove it, or choose the back end that it belongs to",
        )
