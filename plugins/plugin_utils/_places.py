# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Where files of a tenant lie: the name that a host gives them, and the folder that relative paths count from."""

from __future__ import annotations

import hashlib
import os
import re
import typing as t
import unicodedata

from ansible_collections.mail2fax.m365.plugins.module_utils._store import Place

OWN_ENDINGS = (".audit", ".reach")
"""What stands between a host's name and ``.json`` in files of ours: a host of such a name would meet another's file."""

MARK = "~"
"""Stands before the part that is made from a name's exact bytes. No plain name has it."""

_PLAIN = re.compile(r"[a-z0-9_-][a-z0-9._-]*", re.ASCII)
_LONGEST = 200
"""So many characters leave room for every ending in a file system that takes 255 bytes."""
_READABLE = 60


def file_name(host: str) -> str:
    """The name, without an ending, of every file of this host; another for every other host, on every file system.

    It hangs on the host alone, so that adding a host renames no file. A plain name stays as it is.
    """
    if _PLAIN.fullmatch(host) and len(host) <= _LONGEST and not host.endswith(OWN_ENDINGS):
        return host
    letters = unicodedata.normalize("NFKD", host).encode("ascii", "ignore").decode().lower()
    readable = re.sub(r"[^a-z0-9._-]+", "-", letters).strip(".-")[:_READABLE]
    digest = hashlib.sha256(host.encode("utf-8", "surrogateescape")).hexdigest()[:20]
    return f"{readable or 'host'}{MARK}{digest}"


def old_file_name(host: str) -> str:
    """What 0.1.0 called it. Several hosts may share one, so whoever reads such a file has to look whose it is."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", host)


def base(inventory_dir: t.Any, cwd: str | None = None) -> str:
    """The folder that relative paths of an inventory count from: the inventory's own, else the current one.

    ``inventory_dir`` is Ansible's variable of that name; a host of ``-i host,`` or of ``add_host`` has none.
    Raises ValueError where there is no such folder, as when the current one was removed meanwhile.
    """
    folder = str(inventory_dir or "").strip()
    # Ansible's own is absolute, and the word None where there is none.
    if os.path.isabs(folder):
        return os.path.normpath(folder)
    try:
        return cwd or os.getcwd()
    except OSError:
        raise ValueError("the current folder is gone, so a relative path has nothing to count from") from None


def resolve(path: str, folder: str) -> str:
    """``path`` as an absolute one, counted from ``folder``; ``~`` is the home of whoever runs Ansible."""
    return os.path.normpath(os.path.join(folder, os.path.expanduser(path)))


def beside(path: str, inventory_dir: t.Any) -> str | None:
    """A file that lies where a relative path of an inventory leads; None where there is none."""
    try:
        found = resolve(path, base(inventory_dir))
    except ValueError:
        return None
    return found if os.path.isfile(found) else None


def store(options: t.Mapping[str, t.Any], folder: str, recorded: t.Any = None) -> dict[str, t.Any]:
    """A secret store whose paths of files are absolute. The path of a store on a server stays as it is.

    ``recorded`` is where the last run stored the secret (see _store.Place.of): a file that 0.1.0 counted from the
    current folder is used until it has been moved.
    """
    found = dict(options)
    moved = moved_store(options, folder, recorded)
    for name in ("path", "password_file") if found.get("backend") == "vault_file" else ("password_file",):
        if isinstance(found.get(name), str) and found[name].strip():
            found[name] = resolve(found[name].strip(), folder)
    return {**found, "path": moved[0]} if moved else found


def moved_store(options: t.Mapping[str, t.Any], folder: str, recorded: t.Any) -> tuple[str, str] | None:
    """Where 0.1.0 left the file of a store, and where it belongs; None where nothing is to be moved.

    The record, which is the host's own, has to name that very file.
    """
    path = options.get("path")
    if options.get("backend") != "vault_file" or not isinstance(path, str) or not path.strip():
        return None
    place = Place.of(recorded)
    try:
        old, new = resolve(path.strip(), os.getcwd()), resolve(path.strip(), folder)
    except OSError:
        return None
    if place is None or place.backend != "vault_file" or os.path.realpath(place.place) != os.path.realpath(old):
        return None
    return (old, new) if old != new and os.path.isfile(old) and not os.path.lexists(new) else None
