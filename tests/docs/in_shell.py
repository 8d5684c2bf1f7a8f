# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guide's commands in one shell, whose ``ansible-playbook`` is this very process: seconds less for each of them."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shlex
import socket
import subprocess
import sys
import textwrap
import typing as t

from tests.emulator.hosted import HostedEmulator
from tests.integration.inprocess import play_in_process

Json = dict[str, t.Any]
BLOCK = re.compile(r"^\.\. code-block:: sh\n   :class: run\n\n((?:(?:   .*)?\n)+)", re.MULTILINE)
_ASK = f"""#!{sys.executable}
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as line:
    line.connect(os.environ["PLAYS"])
    said = {{"words": sys.argv[1:], "folder": os.getcwd(), "environment": dict(os.environ)}}
    line.sendall(json.dumps(said).encode() + b"\\n")
    answer = json.loads(line.makefile().readline())
print(answer["output"])
sys.exit(answer["code"])
"""


def commands(guide: pathlib.Path) -> list[str]:
    """The blocks that a reader types, in order."""
    return [textwrap.dedent(block).strip("\n") for block in BLOCK.findall(guide.read_text(encoding="utf-8"))]


def run(
    script: str, folder: pathlib.Path, emulator: HostedEmulator, told: t.Callable[[list[str], pathlib.Path], None]
) -> subprocess.CompletedProcess[str]:
    """The script in bash, from ``folder``. ``told`` is called after each playbook with its words and the folder."""
    (folder / "bin").mkdir()
    program = folder / "bin/ansible-playbook"
    program.write_text(_ASK, encoding="utf-8")
    program.chmod(0o755)
    plays = str(folder / "plays")
    log = folder / "log"
    with socket.socket(socket.AF_UNIX) as door, log.open("w", encoding="utf-8") as stream:
        door.bind(plays)
        door.listen()
        door.settimeout(0.2)
        environment = {
            **os.environ,
            "HOME": str(folder),
            "PLAYS": plays,
            "PATH": f"{folder / 'bin'}:{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        shell = subprocess.Popen(
            ["bash", "-c", script], cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream
        )
        while shell.poll() is None:
            try:
                line, _address = door.accept()
            except TimeoutError:
                continue
            with line:
                line.settimeout(None)
                said: Json = json.loads(line.makefile().readline())
                line.sendall(json.dumps(_play(said, emulator)).encode() + b"\n")
                told(said["words"], pathlib.Path(said["folder"]))
    return subprocess.CompletedProcess(script, shell.returncode, log.read_text(encoding="utf-8"), "")


def _play(said: Json, emulator: HostedEmulator) -> Json:
    words: list[str] = said["words"]
    (playbook,) = [word for word in words if word.startswith("mail2fax.m365.")]
    assert words[:2] == ["-i", "tenants.yml"], shlex.join(words)
    rest = [word for word in words[2:] if word != playbook]
    kept = {name: value for name, value in said["environment"].items() if name.startswith("M365_")}
    ran = play_in_process(
        pathlib.Path(said["folder"]), emulator, playbook.removeprefix("mail2fax.m365."), rest, {}, **kept
    )
    return {"code": ran.returncode, "output": f"$ ansible-playbook {shlex.join(words)}\n{ran.stdout}"}
