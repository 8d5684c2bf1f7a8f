# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""How a module that has a process of its own gets its secrets: in no file and on no command line.

Ansible writes a module and its options into a file, which ``ANSIBLE_KEEP_REMOTE_FILES`` keeps, and ``environment:``
onto the command line, which everybody can list. So a module on this machine gets its secrets in memory. Anywhere else,
and where memory cannot be shared, the whole module goes through the standard input of its interpreter, whatever the
setting says (Ansible calls that pipelining). Where neither can be had, the task is refused.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import typing as t

from ansible import constants

from ansible_collections.mail2fax.m365.plugins.module_utils import _handed, _secret_options
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import InvalidInput

Json = dict[str, t.Any]
Start = t.Callable[[Json, dict[str, str]], Json]
"""Starts the module with these options and this environment, as Ansible does it; its result."""

VARIABLES = frozenset({"IDENTITY_HEADER", "MSI_SECRET", "VAULT_TOKEN"})
"""Environment variables that are secrets and no option of a module."""


def start(
    connection: t.Any,
    spec: t.Mapping[str, t.Any],
    args: Json,
    environment: t.Mapping[str, str],
    *,
    wrap_async: bool,
    begin: Start,
) -> Json:
    """``begin`` with what may be seen, and the rest handed over without a trace. Raises InvalidInput.

    ``environment`` is what the task says.
    """
    options, said = dict(args), dict(environment)
    for name, about in spec.items():
        variable = _variable(about)
        if about.get("no_log") and variable in said:
            value = said.pop(variable)
            if options.get(name) is None and value:
                options[name] = value
    hidden = _secret_options.hidden_options(spec, options)
    apart = {name: value for name, value in said.items() if name in VARIABLES or [*_secret_options.user_info([value])]}
    shown = {name: value for name, value in said.items() if name not in apart}
    if not hidden and not apart:
        return begin(options, shown)
    if has_memory(connection):
        secrets = {text for texts in hidden.values() for text in texts}
        with _handed.handing_over(options, apart, secrets) as (placed, place):
            found = begin(placed, {**shown, _handed.VARIABLE: place})
            if wrap_async and not found.get("failed"):
                _handed.wait_until_taken(place)
            return found
    if apart:
        raise InvalidInput(
            f"the environment of the task has {', '.join(sorted(apart))}, which would be on a command line there",
            cure="set it where the module runs, for the user that it runs as",
        )
    if not has_pipe(connection, wrap_async=wrap_async):
        raise InvalidInput(
            f"{', '.join(sorted(hidden))} would be written into a file, because the module has a process of its own "
            "and no pipe to it can be had",
            cure="run the task with ansible_connection: local, without async and become, and without "
            "ANSIBLE_KEEP_REMOTE_FILES; or sign in there by managed_identity or certificate_path",
            options=tuple(sorted(hidden)),
        )
    with _piped(connection):
        return begin(options, shown)


def has_memory(connection: t.Any) -> bool:
    """Whether a module on this connection can look into this process: the same machine, the same user or root."""
    if connection.transport != "local" or not hasattr(os, "memfd_create") or not os.path.isdir("/proc/self/fd"):
        return False
    if connection.become is None:
        return True
    try:
        user = connection.become.get_option("become_user")
    except Exception:
        # A plugin may have no such option, and cores differ in what they raise then.
        return False
    return user in (None, "root", _own_name())


def has_pipe(connection: t.Any, *, wrap_async: bool) -> bool:
    """Whether Ansible can send a module through standard input on this connection."""
    return bool(
        getattr(connection, "has_pipelining", False)
        and not constants.DEFAULT_KEEP_REMOTE_FILES
        and not wrap_async
        and getattr(connection.become, "name", "") != "su"
    )


@contextlib.contextmanager
def _piped(connection: t.Any) -> t.Iterator[None]:
    """Meanwhile modules go through standard input on this connection."""
    before = connection.always_pipeline_modules
    connection.always_pipeline_modules = True
    try:
        yield
    finally:
        connection.always_pipeline_modules = before


def _own_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def _variable(about: t.Mapping[str, t.Any]) -> str:
    """The environment variable that stands for an option, if there is one."""
    fallback = about.get("fallback") or (None, [""])
    return str(fallback[1][0])
