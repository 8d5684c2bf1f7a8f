# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether Windows PowerShell 5.1 could run a script, by the tree of PowerShell's own parser and lists of what 5.1 has.

It cannot run here, and it is the usual one on Windows hosts, so a script is kept within its reach by proof.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import typing as t
from pathlib import Path

import yaml

LISTS = Path(__file__).with_suffix(".yml")
PARSER = Path(__file__).with_suffix(".ps1")
Json = dict[str, t.Any]


def facts(powershell: str, sources: t.Sequence[str]) -> list[Json]:
    """What the parser finds in each script. Raises CalledProcessError."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "sources.json")
        path.write_text(json.dumps(list(sources)), encoding="utf-8")
        surroundings = {
            "PATH": os.defpath,
            "HOME": folder,
            "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1",
            "POWERSHELL_TELEMETRY_OPTOUT": "1",
            "POWERSHELL_UPDATECHECK": "Off",
        }
        command = [powershell, "-NoLogo", "-NoProfile", "-NonInteractive", "-File", str(PARSER), str(path)]
        answer = subprocess.run(command, capture_output=True, text=True, check=True, env=surroundings, timeout=120)
    return t.cast("list[Json]", json.loads(answer.stdout))


def refusals(found: Json, own: t.Collection[str] = ()) -> list[str]:
    """What 5.1 does not have, in words; ``own`` are functions that the script itself defines."""
    lists = yaml.safe_load(LISTS.read_text(encoding="utf-8"))
    told = [f"it does not parse: {message}" for message in found["errors"]]
    told += [f"syntax: {name}" for name in found["nodes"] if name in lists["later_nodes"]]
    told += [f"syntax: {name}" for name in found["tokens"] if name in lists["later_tokens"]]
    told += [f"number: {text}" for text in found["numbers"] if re.search(lists["later_numbers"], text.lower())]
    told += [f"escape: {text}" for text in found["escapes"] if text]
    told += ["syntax: a member of what may be null"] * found["conditional"] + ["syntax: clean"] * found["clean"]
    told += [f"variable: {name}" for name in found["variables"] if name in lists["later_variables"]]
    types = {name.lower(): {member.lower() for member in members} for name, members in lists["types"].items()}
    for command in found["commands"]:
        told += _of_command(command, lists, types, own)
    told += [f"type: {name}" for name in found["types"] if _bare(name) not in types]
    for text in found["static"]:
        name, _unused, member = text.partition("::")
        if member.lower() not in types.get(_bare(name), set()):
            told.append(f"member: {text}")
    members = {member.lower() for group in lists["members"].values() for member in group}
    # What is got at by a key or a value is not named, and what is computed is not known here.
    told += [f"member: .{name}" for name in found["instance"] if name and name.lower() not in members]
    return told


def _of_command(command: Json, lists: Json, types: t.Mapping[str, t.Any], own: t.Collection[str]) -> list[str]:
    name = command["name"]
    told = ["syntax: a command in the background"] * command["background"]
    if name is None or name in own:
        return told
    known = {key.lower(): parameters for key, parameters in lists["commands"].items()}
    if name.lower() not in known:
        return [*told, f"command: {name}"]
    parameters = {one.lower() for one in [*known[name.lower()], *lists["common_parameters"]]}
    told += [f"parameter: {name} -{one}" for one in command["parameters"] if one.lower() not in parameters]
    if name.lower() == "new-object" and command["first"]:
        told += [f"type: {command['first'][0]}"] * (_bare(command["first"][0]) not in types)
    return told


def _bare(name: str) -> str:
    return name.lower().removesuffix("[]")
