# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What other tools make of trouble on the same tenant: ``tests/field/tools.py az m365 msgraph``.

Each makes an application and lists all of them in the emulated tenant, which answers once with 429, with an empty page
that is not the last one, or with a 504 for a create that was done. ``az`` and ``m365`` come from the PATH.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time
import typing as t
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.emulator.testing import Emulator, start_emulator

TENANT = "969d5b92-bc05-403f-b576-97201b665e65"
OPERATOR, SECRET = "11111111-0000-4000-8000-000000000001", "operator-secret"
NAME = "field-notes"
APPLICATIONS = r"^/v1\.0/+(myorganization/)?applications"
PATIENCE_S = 150.0
_numbers = itertools.count(1)
Said = tuple[int | None, str]
Do = Callable[[str], Said]
"""``make`` or ``list``, in words of the tool; back come its exit code and what it printed."""

FAULTS: dict[str, tuple[str, dict[str, t.Any]]] = {
    "throttled once, Retry-After 2 (list)": (
        "list",
        {
            "match": {"method": "GET", "path_regex": APPLICATIONS},
            "nth": 1,
            "effect": {
                "status": 429,
                "headers": {"Retry-After": "2"},
                "body": {"error": {"code": "TooManyRequests", "message": "Too many requests"}},
            },
        },
    ),
    "throttled once, Retry-After 2 (make)": (
        "make",
        {
            "match": {"method": "POST", "path_regex": APPLICATIONS},
            "nth": 1,
            "effect": {
                "status": 429,
                "headers": {"Retry-After": "2"},
                "body": {"error": {"code": "TooManyRequests", "message": "Too many requests"}},
            },
        },
    ),
    "an empty page first (list)": (
        "list",
        {
            "match": {"method": "GET", "path_regex": APPLICATIONS},
            "nth": 1,
            "effect": {
                "status": 200,
                "body": {"value": [], "@odata.nextLink": "https://graph.microsoft.com/v1.0/applications?$top=99"},
            },
        },
    ),
    "504 for a create that was done (make)": (
        "make",
        {
            "match": {"method": "POST", "path_regex": APPLICATIONS},
            "nth": 1,
            "effect": {"status": 504, "after": True, "body": {"error": {"code": "UnknownError", "message": ""}}},
        },
    ),
}


def _run(words: list[str], environment: dict[str, str]) -> Said:
    try:
        answer = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    except subprocess.TimeoutExpired:
        return None, ""
    return answer.returncode, (answer.stdout + answer.stderr).strip()


def _name() -> str:
    """Another one each time: some tools take one of the same name for theirs."""
    return f"{NAME}-{next(_numbers)}"


def _environment(emulator: Emulator, home: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        **emulator.env(),
        "NODE_EXTRA_CA_CERTS": emulator.ca,
        "AZURE_CORE_COLLECT_TELEMETRY": "false",
        "AZURE_CONFIG_DIR": str(home / ".azure"),
    }


def az(emulator: Emulator, home: Path) -> tuple[str, Do]:
    environment = _environment(emulator, home)
    sign_in = ["az", "login", "--service-principal", "-u", OPERATOR, "-p", SECRET, "--tenant", TENANT]
    code, said = _run([*sign_in, "--allow-no-subscriptions"], environment)
    if code:
        raise RuntimeError(said[-500:])
    version = _run(["az", "version", "--query", '"azure-cli"', "-o", "tsv"], environment)[1]

    def do(what: str) -> Said:
        if what == "list":
            return _run(["az", "ad", "app", "list", "--all", "--query", "length(@)"], environment)
        return _run(["az", "ad", "app", "create", "--display-name", _name(), "--query", "appId"], environment)

    return f"azure-cli {version}", do


def m365(emulator: Emulator, home: Path) -> tuple[str, Do]:
    environment = _environment(emulator, home)
    words = ["m365", "login", "--authType", "secret", "--appId", OPERATOR, "--secret", SECRET, "--tenant", TENANT]
    code, said = _run(words, environment)
    if code:
        raise RuntimeError(said[-500:])
    version = _run(["m365", "version", "--output", "text"], environment)[1]

    def do(what: str) -> Said:
        if what == "list":
            return _run(["m365", "entra", "app", "list", "--output", "json", "--query", "length(@)"], environment)
        return _run(["m365", "entra", "app", "add", "--name", _name(), "--output", "json"], environment)

    return f"CLI for Microsoft 365 {version}", do


def azcollection(emulator: Emulator, home: Path) -> tuple[str, Do]:
    """azure.azcollection below ANSIBLE_COLLECTIONS_PATH, by the ``ansible`` and ``python3`` of the PATH."""
    environment = {
        **_environment(emulator, home),
        "ANSIBLE_COLLECTIONS_PATH": os.environ["ANSIBLE_COLLECTIONS_PATH"],
        "ANSIBLE_NOCOLOR": "1",
        "AZURE_CLIENT_ID": OPERATOR,
        "AZURE_SECRET": SECRET,
        "AZURE_TENANT": TENANT,
        "AZURE_SUBSCRIPTION_ID": "00000000-0000-4000-8000-000000000000",
    }
    words = ["ansible", "localhost", "-i", "localhost,", "-c", "local", "-e"]
    words += [f"ansible_python_interpreter={shutil.which('python3')}", "-m"]

    def do(what: str) -> Said:
        if what == "list":
            return _run([*words, "azure.azcollection.azure_rm_adapplication_info"], environment)
        module = "azure.azcollection.azure_rm_adapplication"
        return _run([*words, module, "-a", f"display_name={_name()}"], environment)

    return "azure.azcollection", do


def msgraph(emulator: Emulator, _home: Path) -> tuple[str, Do]:
    import importlib.metadata

    from azure.identity.aio import ClientSecretCredential
    from msgraph import GraphServiceClient
    from msgraph.generated.models.application import Application
    from msgraph_core import PageIterator

    os.environ.update(emulator.env())

    async def work(what: str) -> str:
        async with ClientSecretCredential(TENANT, OPERATOR, SECRET) as credential:
            client = GraphServiceClient(credential, ["https://graph.microsoft.com/.default"])
            if what == "make":
                made = await client.applications.post(Application(display_name=_name()))
                return f"made {made.app_id if made else None}"
            first = await client.applications.get()
            found: list[t.Any] = []
            iterator: t.Any = PageIterator(first, client.request_adapter)
            await iterator.iterate(lambda item: found.append(item) or True)
            return f"{len(found)} applications"

    def do(what: str) -> Said:
        try:
            return 0, asyncio.run(work(what))
        except Exception as error:
            return 1, f"{type(error).__name__}: {str(error)[:300]}"

    return f"msgraph-sdk {importlib.metadata.version('msgraph-sdk')}", do


TOOLS: dict[str, Callable[[Emulator, Path], tuple[str, Do]]] = {
    "az": az,
    "m365": m365,
    "msgraph": msgraph,
    "azcollection": azcollection,
}
PROGRAMS = {"az": "az", "m365": "m365", "azcollection": "ansible"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *TOOLS], help="all, if none is named")
    given = parser.parse_args()
    for name in given.names or TOOLS:
        if name in PROGRAMS and shutil.which(PROGRAMS[name]) is None:
            print(f"== {name}: not installed")
            continue
        with start_emulator() as emulator, tempfile.TemporaryDirectory(prefix="field-") as home:
            title, do = TOOLS[name](emulator, Path(home))
            print(f"== {title}", flush=True)
            for text, (what, rule) in FAULTS.items():
                emulator.faults([])
                do("make")  # there is something to list
                emulator.clear_journal()
                before = _count(emulator)
                emulator.faults([rule])
                began = time.monotonic()
                code, said = do(what)
                took = time.monotonic() - began
                asked = [
                    f"{row['method']} {row['status']}"
                    for row in emulator.journal()
                    if row["host"] == "graph.microsoft.com" and "applications" in row["path"]
                ]
                made = _count(emulator) - before
                print(f"  {text}: exit {code}, {took:.0f} s, made {made}; {' '.join(asked)}", flush=True)
                print(f"      {said[-300:]!r}", flush=True)
    return 0


def _count(emulator: Emulator) -> int:
    return len([one for one in emulator.state(TENANT)["applications"] if one["displayName"].startswith(NAME)])


if __name__ == "__main__":
    sys.exit(main())
