# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Import and read at once what every task would otherwise import and read for itself.

The main process imports an action plugin before it forks the worker for its first task, and what it has in memory by
then, all later workers have. Ansible compiles a collection's code anew wherever it is imported, so without this it
would be half a second of processor time for each tenant.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import pkgutil

from ansible.plugins.loader import filter_loader, lookup_loader, test_loader

from ansible_collections.mail2fax.m365.plugins.module_utils import _tls
from ansible_collections.mail2fax.m365.plugins.module_utils._http import HAS_REQUESTS
from ansible_collections.mail2fax.m365.plugins.module_utils._transport import trusting
from ansible_collections.mail2fax.m365.plugins.plugin_utils import (
    _ahead,
    _arguments,
    _client_words,
    _compiled,
    _profile,
    _tokens,
    _variables,
)

PLUGINS = "ansible_collections.mail2fax.m365.plugins"
SWITCH = "MAIL2FAX_PRELOAD"
"""An environment variable; 0 leaves it to each task to import what it needs."""

APART = frozenset({"application_reach_info", "awx_objects", "fleet_report"})
"""What one playbook alone needs. Its action plugin is imported before the first worker that needs it is forked."""


def preload() -> None:
    """What most playbooks need: modules (with all they stand on), filters and lookups, the collection's own profiles,
    variables and words; and Ansible's own filters and tests, all of which it loads where the first of them is used."""
    if os.environ.get(SWITCH, "").strip() == "0":
        return
    for kind in ("modules", "filter", "lookup"):
        for found in pkgutil.iter_modules(importlib.import_module(f"{PLUGINS}.{kind}").__path__):
            if found.name not in APART:
                importlib.import_module(f"{PLUGINS}.{kind}.{found.name}")
    for name in _profile.names():
        _profile.load(name)
    _variables.variables()
    _client_words.words()
    # What only a first use makes ready: the authorities that are trusted, the ciphers of what tasks share, and
    # what the arguments of all tasks need.
    if HAS_REQUESTS:
        with contextlib.suppress(OSError):
            trusting(_tls.Authorities.of(None, os.environ))
    _tokens.make_ready()
    _compiled.make_ready()
    _arguments.make_ready()
    _ahead.make_ready()
    # Where no playbook runs, as in tests of one plugin, the loaders may not find Ansible's own: nothing is lost.
    with contextlib.suppress(KeyError):
        filter_loader.get("ansible.builtin.default")
        test_loader.get("ansible.builtin.defined")
    # Where a name is written out, Ansible asks for these packages.
    with contextlib.suppress(ImportError):
        for kind in ("filter", "test", "lookup"):
            importlib.import_module(f"ansible_collections.ansible.builtin.plugins.{kind}")
        lookup_loader.get("ansible.builtin.env")
        lookup_loader.get("ansible.builtin.vars")
    with contextlib.suppress(ImportError):
        importlib.import_module("msal_extensions")  # for which msal looks at every sign-in
    # As Python advises before a fork: a worker's collector would go through all that the main process has, for nothing.
    gc.collect()
    gc.freeze()
