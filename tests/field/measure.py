# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run mail clients against the scripted servers and print what they did: ``tests/field/measure.py msmtp curl``.

Clients come from the PATH (Debian's packages), Python ones from the ``python3`` there, those of Node from NODE_PATH.
What is not installed is left out, and named. With ``--longest`` the longest token is looked for as well.
"""

from __future__ import annotations

import argparse
import os
import pty
import select
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.field import clients, servers

USUAL, LONGEST, PATIENCE_S = 1800, 60_000, 60.0


@dataclass(frozen=True)
class Seen:
    """What a client did in one scene. ``code`` None: it did not end by itself."""

    code: int | None
    words: str
    heard: tuple[servers.Heard, ...]

    @property
    def sent(self) -> str:
        """The token as it arrived first, empty where none did."""
        return next((token for heard in self.heard for token in heard.tokens), "")


def token(length: int) -> str:
    return ("eyJ0eXAiOiJKV1QiLCJub25jZSI6" * (length // 28 + 1))[:length]


def ask(name: str, protocol: str, scene: servers.Scene, length: int = USUAL, user: str = clients.USER) -> Seen:
    """One run of one client in one scene."""
    with tempfile.TemporaryDirectory(prefix="field-") as there:
        folder = Path(there)
        with servers.Server(protocol, scene, folder) as server:
            place = clients.Place(folder, protocol, server.port, server.ca, token(length), user)
            place.write("token", place.token)
            code, words = _run(clients.CLIENTS[name].runs[protocol](place), folder)
            # What a client does behind its last words is heard as well.
            time.sleep(0.05)
            return Seen(code, words.replace(place.token, "TOKEN").replace(there, "."), tuple(server.heard))


def _run(run: clients.Run, folder: Path) -> tuple[int | None, str]:
    kept = {key: value for key, value in os.environ.items() if key in ("PATH", "NODE_PATH", "LANG")}
    environment = {**kept, "HOME": str(folder), "LC_ALL": "C.UTF-8", **run.environment}
    if run.terminal:
        return _in_terminal(run, folder, environment)
    try:
        answer = subprocess.run(
            run.words,
            cwd=folder,
            env=environment,
            input=run.stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None, ""
    return answer.returncode, (answer.stdout + answer.stderr).strip()


def _in_terminal(run: clients.Run, folder: Path, environment: dict[str, str]) -> tuple[int | None, str]:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        run.words, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as process:
        os.close(theirs)
        said, end = b"", time.monotonic() + 15
        while time.monotonic() < end:
            if select.select([ours], [], [], 0.2)[0]:
                try:
                    said += os.read(ours, 65536)
                except OSError:
                    break
            elif process.poll() is not None:
                break
        code = process.poll()
        if code is None:
            try:
                code = process.wait(2)
            except subprocess.TimeoutExpired:
                process.kill()
        os.close(ours)
    return code, said.decode("utf-8", "replace")


def longest(name: str, protocol: str, user: str = clients.USER) -> tuple[int | None, int, str]:
    """The longest token that arrives whole (None: every one up to 60,000 characters), the text that it is encoded in,
    and how the client ends with one character more."""
    low, high = 0, LONGEST

    def arrives(length: int) -> Seen:
        return ask(name, protocol, servers.SCENES[protocol]["ok"], length, user)

    if arrives(high).sent == token(high):
        return None, 0, ""
    while high - low > 1:
        middle = (low + high) // 2
        if arrives(middle).sent == token(middle):
            low = middle
        else:
            high = middle
    encoded = (len(f"user={user}\1auth=Bearer \1\1") + low + 2) // 3 * 4
    over = arrives(high)
    return low, encoded, f"exit {over.code}; {over.words[-300:]!r}; arrived: {len(over.sent)}"


def version(client: clients.Client) -> str:
    answer = subprocess.run(client.version, capture_output=True, text=True, check=False)
    lines = (answer.stdout + answer.stderr).strip().splitlines()
    fine = answer.returncode == 0 or (answer.returncode == 1 and client.program not in ("python3", "node"))
    return lines[0] if fine and lines else "not there"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *clients.CLIENTS], help="all, if none is named")
    parser.add_argument("--longest", action="store_true")
    given = parser.parse_args()
    for name in given.names or clients.CLIENTS:
        client = clients.CLIENTS[name]
        if shutil.which(client.program) is None:
            print(f"== {name}: not installed ({client.package or client.program})")
            continue
        print(f"== {name}: {version(client)}", flush=True)
        for protocol in client.runs:
            for title, scene in servers.SCENES[protocol].items():
                seen = ask(name, protocol, scene)
                forms = ",".join(heard.form or "-" for heard in seen.heard)
                commands = " | ".join(" ".join(heard.commands[-8:]) for heard in seen.heard)
                strays = [stray for heard in seen.heard for stray in heard.stray]
                print(f"  {protocol}, {title}: exit {seen.code}; token in: {forms}; {commands}", flush=True)
                if strays:
                    print(f"      strays: {strays!r}"[:200])
                for line in seen.words.splitlines()[-6:]:
                    print(f"      {line[-400:]}")
            if given.longest:
                print(f"  {protocol}, longest token: {longest(name, protocol)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
