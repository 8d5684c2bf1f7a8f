# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things lie, and the two shapes in which the collection is laid out for Ansible's tools.

Ansible finds a collection by its path only: ``ansible_collections/mail2fax/m365``.

* The *live* layout is a link to the clone: what is edited is what runs.
* The *snapshot* is a copy of the files that git knows or would add. Tools that walk the tree (ansible-test,
  ansible-lint) get this one: it holds no virtual environment, no output, and no link that leads back into itself.

Run as a program, this makes the live layout; ``--exports`` prints what a shell needs.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / ".build"
COLLECTION = Path("ansible_collections/mail2fax/m365")
SNAPSHOTS = BUILD / "snapshots"


class LayoutError(Exception):
    """The files of the clone cannot be laid out; the text says why."""


@contextlib.contextmanager
def alone(what: str) -> Iterator[None]:
    """Keep what lies in ``.build`` under this name to oneself: two runs in one clone take turns."""
    BUILD.mkdir(exist_ok=True)
    with (BUILD / f"{what}.lock").open("w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another run in this clone to be done with its {what} ...", file=sys.stderr, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def live() -> Path:
    """Link the clone into ``.build`` and return the path for ``ANSIBLE_COLLECTIONS_PATH``."""
    link = BUILD / COLLECTION
    target = os.path.relpath(ROOT, link.parent)
    if not (link.is_symlink() and os.readlink(link) == target):
        link.parent.mkdir(parents=True, exist_ok=True)
        if link.is_symlink():
            link.unlink()
        link.symlink_to(target)
    return BUILD


def known_files() -> list[str]:
    """Name, relative to the clone, every file that git tracks or would add; a file that was deleted is left out."""
    # A checkout may belong to another user than the one who tests it, as in a build container.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        answer = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    except FileNotFoundError:
        raise LayoutError("git is needed to tell the collection's files from other ones") from None
    except subprocess.CalledProcessError as error:
        raise LayoutError(f"{ROOT} is no git clone: {error.stderr.decode(errors='replace').strip()}") from None
    names = sorted(set(answer.stdout.decode().split("\0")) - {""})
    return [name for name in names if os.path.lexists(ROOT / name)]


def snapshot(destination: Path) -> Path:
    """Copy the known files under ``destination``, which is emptied first, and return the copied collection's root."""
    shutil.rmtree(destination, ignore_errors=True)
    root = destination / COLLECTION
    for name in known_files():
        copy = root / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, copy, follow_symlinks=False)
    # ansible-test asks git for the files below it. Without a repository here it would ask the clone's, which ignores
    # everything below .build.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    subprocess.run(["git", "init", "--quiet", "."], cwd=root, env=environment, check=True)
    return root


@contextlib.contextmanager
def snapshot_of(user: str) -> Iterator[Path]:
    """A copy for one user, so that several can work side by side: the copied collection's root."""
    with alone(f"snapshot-{user}"):
        yield snapshot(SNAPSHOTS / user)


def exports() -> str:
    """Return the lines that let a shell run this clone's collection with this virtual environment."""

    def first(entry: Path, variable: str) -> str:
        rest = [other for other in os.environ.get(variable, "").split(os.pathsep) if other and other != str(entry)]
        return os.pathsep.join([str(entry), *rest])

    # A virtual environment's python is a link: what it points to has none of the packages.
    python = Path(sys.prefix) / "bin/python"
    variables = {
        "PATH": first(python.parent, "PATH"),
        "ANSIBLE_COLLECTIONS_PATH": first(live(), "ANSIBLE_COLLECTIONS_PATH"),
        # Left to itself, Ansible may find a Python without msal and requests.
        "ANSIBLE_PYTHON_INTERPRETER": str(python),
    }
    if os.environ.get("PWSH"):
        variables["PWSH"] = os.environ["PWSH"]
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--exports", action="store_true", help="print export lines for a shell")
    arguments = parser.parse_args()
    try:
        live()
        if arguments.exports:
            print(exports())
    except LayoutError as error:
        print(f"layout: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
