# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Provision an emulated tenant from nothing, show what came of it, and do it again to see that nothing is left to do.

The tenant is the one of the vendor's procedure (``tests/emulator/demo-tenant.yml``). The collection reaches it as it
would reach the real one: under the services' own host names, by a proxy and a certificate authority from the
environment. ``--profile`` shows another way in: what the inventory has to say for it, and all that comes of it, follows
from the profile. Everything that is written lies in ``.build/demo``. The exit code is 0 only if all that the demo
promises came true.
"""

from __future__ import annotations

import argparse
import importlib
import io
import json
import os
import re
import secrets
import shutil
import sys
import textwrap
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.text import Text

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(1, str(Path(__file__).resolve().parents[2] / ".build"))

from tests.emulator.testing import DEMO_TENANT, start_emulator
from tests.tools import layout, process

HOST = "imagicleucdev"
DOMAIN = "imagicleucdev.onmicrosoft.com"
FAX = f"fax@{DOMAIN}"
COLLEAGUES = [f"AdeleV@{DOMAIN}", f"AlexW@{DOMAIN}"]
FIRST = "imagicle_ews"
"""The profile of the vendor's procedure, which the demo shows where nothing else is said."""
OUTPUT = layout.BUILD / "demo"
WIDTH = 112
STYLES = {"ok": "green", "changed": "yellow", "pending": "cyan", "blocked": "red", "failed": "red"}

# What opens a mailbox as far as it is tried: by SMTP nothing is sent unless somebody says so.
LET_IN = ("opened", "signed_in")

# The services by where they answer, as the closing lines name them.
SERVICES = (("login.", "sign-ins"), ("graph.", "Graph"), ("outlook.office365.com/ews", "EWS"), ("outlook.", "Exchange"))


@dataclass(frozen=True)
class Run:
    """What one run of the playbook came to: exit code, recap, the tenant's result, and what it said."""

    code: int
    recap: dict[str, int]
    result: dict[str, Any]
    output: str


def recap_of(output: str) -> dict[str, int]:
    """Return the counts that Ansible's closing lines give for the tenant (empty, if it got no further)."""
    line = re.search(rf"^{HOST}\s*:\s*(.+)$", output, re.MULTILINE)
    return {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", line.group(1))} if line else {}


class Demo:
    """The demo's files and what it found wrong; ``collections`` is where Ansible finds the collection."""

    def __init__(self, collections: Path, environment: dict[str, str], profile: str) -> None:
        self.complaints: list[str] = []
        self.profile = _profiles().load(profile)
        self.mailboxes = [FAX]
        if any(name.startswith("Calendars.") for access in self.profile["accesses"] for name in access["permissions"]):
            # Calendars are people's.
            self.mailboxes = COLLEAGUES
        self.handover = OUTPUT / "handover"
        self.store = OUTPUT / "secrets" / f"{HOST}.yml"
        self.inventory = OUTPUT / "inventory.yml"
        password = OUTPUT / "vault-password"
        operator = yaml.safe_load(DEMO_TENANT.read_text(encoding="utf-8"))["tenants"][0]["operators"][0]
        shutil.rmtree(OUTPUT, ignore_errors=True)
        OUTPUT.mkdir(parents=True, mode=0o700)
        with open(os.open(password, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(secrets.token_urlsafe(32))
        self.inventory.write_text(yaml.safe_dump(self._inventory(), sort_keys=False), encoding="utf-8")
        stray = ("ANSIBLE_", "M365_", "PYTHON")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(stray)}
        self.environment = kept | environment
        self.environment |= {
            "HOME": str(OUTPUT / "home"),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "ANSIBLE_HOME": str(OUTPUT / "home" / ".ansible"),
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml",
            "ANSIBLE_COLLECTIONS_PATH": str(collections),
            "ANSIBLE_FORCE_COLOR": str(sys.stdout.isatty()).lower(),
            "ANSIBLE_VAULT_PASSWORD_FILE": str(password),
            "M365_CLIENT_ID": operator["client_id"],
            "M365_CLIENT_SECRET": operator["client_secret"],
        }
        (OUTPUT / "home").mkdir()

    def _inventory(self) -> dict[str, Any]:
        tenant = {
            "ansible_connection": "local",
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            "mail2fax_tenant": DOMAIN,
            "mail2fax_profile": self.profile["name"],
            "mail2fax_mailboxes": self.mailboxes,
            "mail2fax_secret_store": {"backend": "vault_file", "path": str(self.store)},
            "mail2fax_expected_domain": DOMAIN,
            "mail2fax_handover_dir": str(self.handover),
        }
        if self.profile["switches"]:
            # The tenant has SMTP AUTH off, as every new one: the run may switch it on, for these mailboxes alone.
            tenant["mail2fax_protocols_opt_in"] = True
        return {"all": {"hosts": {HOST: tenant}}}

    def expect(self, truth: object, promise: str) -> None:
        """Note a promise that was not kept."""
        if not truth:
            self.complaints.append(promise)

    def provision(self, name: str, *, quiet: bool) -> Run:
        """Run the playbook; ``quiet`` shows its output only if it failed."""
        command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(self.inventory)]
        lines: list[str] = []
        log = OUTPUT / f"{name}.log"
        with (
            log.open("w", encoding="utf-8") as file,
            process.started(
                [*command, "mail2fax.m365.provision"], cwd=OUTPUT, env=self.environment, capture=True
            ) as playbook,
        ):
            for raw in playbook.stdout or ():
                line = raw.decode(errors="replace")
                lines.append(line)
                file.write(line)
                if not quiet:
                    sys.stdout.write(line)
                    sys.stdout.flush()
            code = playbook.wait()
        if quiet and code:
            sys.stdout.write("".join(lines))
        sheet = self.handover / f"{HOST}.json"
        result = json.loads(sheet.read_text(encoding="utf-8")) if sheet.is_file() else {}
        output = re.sub(r"\x1b\[[0-9;]*m", "", "".join(lines))
        return Run(code, recap_of(output), result, output)

    def judge_first(self, run: Run, *, instant: bool) -> None:
        """Hold the first run against the promises; ``instant``: the services act without delay, so nothing may pend."""
        green = ("ok", "changed") if instant else ("ok", "changed", "pending")
        self.expect(run.code == 0, f"the playbook ended with exit code {run.code}")
        self.expect(run.recap.get("changed", 0) > 0, "the first run changed nothing")
        self.expect(run.result.get("outcome") in green, f"the run's outcome is {run.result.get('outcome')}")
        self.expect(run.result.get("steps"), "the result names no step")
        for step in run.result.get("steps", ()):
            self.expect(step["outcome"] in green, f"the step {step['step']} is {step['outcome']}")
        mailboxes = run.result.get("mailboxes", [])
        wanted = {address.lower() for address in self.mailboxes}
        fax = [mailbox for mailbox in mailboxes if mailbox["mailbox"].lower() in wanted]
        others = [mailbox for mailbox in mailboxes if mailbox not in fax]
        self.expect(len(fax) == len(wanted), "not every mailbox was proven")
        self.expect(others, "no control mailbox was proven")
        for mailbox in mailboxes:
            meant = "Granted" if mailbox in fax else "Denied"
            self.expect(mailbox.get("verdict") == meant, f"Exchange's verdict on {mailbox['mailbox']} is not {meant}")
            for one in proofs_of(mailbox) if instant else ():
                # By SMTP with rights on mailboxes everybody is signed in, and refused after a whole mail.
                let_in = one["verdict"] in LET_IN if mailbox in fax else one["verdict"] == "opened"
                self.expect(
                    let_in == (mailbox in fax),
                    f"{mailbox['mailbox']}: the probe says {one['verdict']} {one.get('access')}",
                )
        if instant:
            tried = {one.get("access") for mailbox in fax for one in proofs_of(mailbox)}
            self.expect(
                len(tried) == len(self.profile["accesses"]),
                f"of the ways in only these were tried: {sorted(map(str, tried))}",
            )
        self.expect(self.store.is_file(), "the secret was not stored")
        if self.store.is_file():
            text = self.store.read_text(encoding="utf-8")
            self.expect(text.startswith("$ANSIBLE_VAULT;"), "the store is not encrypted")


def _profiles() -> Any:
    """The module that reads profiles; where the collection lies is known only now."""
    layout.live()
    # In a fresh clone the place has only just been made.
    importlib.invalidate_caches()
    from ansible_collections.mail2fax.m365.plugins.plugin_utils import _profile

    return _profile


def proofs_of(mailbox: dict[str, Any]) -> list[dict[str, Any]]:
    """What was tried on a mailbox, by each way in."""
    return mailbox.get("proofs") or [{"access": "", "verdict": mailbox.get("probe")}]


def requests_of(journal: list[dict[str, Any]]) -> str:
    """Count the requests by service, a batch as one, and what was said to mail servers line by line."""
    counts: Counter[str] = Counter()
    spoken: Counter[str] = Counter()
    for entry in journal:
        if entry["method"] in ("IMAP", "POP", "SMTP"):
            spoken[entry["method"]] += 1
        elif entry.get("batch") is None:  # else it is a part of one
            place = f"{entry['host']}{entry['path']}".lower()
            service = next((name for start, name in SERVICES if place.startswith(start)), entry["host"])
            counts["discovery" if "/.well-known/" in place else service] += 1
    told = f"{counts.total()} requests ({', '.join(f'{count} {name}' for name, count in counts.most_common())})"
    if spoken:
        told += f"; {' and '.join(sorted(spoken))}: {spoken.total()} lines"
    return told


def lasting(state: dict[str, Any]) -> dict[str, Any]:
    """Return the state of all tenants without the protocol of sign-ins, which every run lengthens."""
    return {
        tenant: {name: value for name, value in objects.items() if name != "signIns"}
        for tenant, objects in state["tenants"].items()
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Provision an emulated tenant, twice, and show what came of it.")
    parser.add_argument("--collections", type=Path, help="where the collection is installed (default: this clone)")
    parser.add_argument("--profile", default=FIRST, choices=_profiles().names(), help="the way in that is shown")
    parser.add_argument("--services", default="calm", choices=("calm", "realistic"), help="how the services behave")
    parser.add_argument("--picture", type=Path, help="draw the tables and the closing lines into this SVG file")
    arguments = parser.parse_args()
    process.stop_cleanly()
    collections = (arguments.collections or layout.live()).resolve()
    with layout.alone("demo"):
        return play(collections, arguments.profile, arguments.services, arguments.picture)


def play(collections: Path, profile: str, services: str, picture: Path | None) -> int:
    """Do what the program is for, and return its exit code."""
    with start_emulator(DEMO_TENANT, profile=services) as emulator:
        demo = Demo(collections, emulator.env(), profile)
        print(f"{demo.profile['title']} ({profile}): {way_in(demo.profile)}.")
        print(f"The tenant {DOMAIN} is emulated on this machine; nothing leaves it.", flush=True)
        first = demo.provision("provision-1", quiet=False)
        demo.judge_first(first, instant=services == "calm")
        journal = emulator.journal()
        before = lasting(emulator.state())
        again: list[dict[str, Any]] = []
        second = None
        if first.code == 0:
            print("\nThe same once more ...", flush=True)
            second = demo.provision("provision-2", quiet=True)
            demo.expect(second.code == 0, f"the second run ended with exit code {second.code}")
            demo.expect(second.recap.get("changed") == 0, "the second run changed something")
            demo.expect(lasting(emulator.state()) == before, "the second run altered the tenant")
            again = emulator.journal()[len(journal) :]
        ours = (first.result.get("ids") or {}).get("application_id")
        exposures = list(emulator.exposures(app_id=ours, declared=demo.mailboxes)) if ours else []
        demo.expect(ours, "the application is not known")
        demo.expect(not exposures, f"{len(exposures)} moments at which more was open than declared")
    closing = [f"first run    {first.recap.get('changed', '?'):>2} changed   {requests_of(journal)}"]
    if second:
        closing.append(f"second run   {second.recap.get('changed', '?'):>2} changed   {requests_of(again)}")
    closing.append(f"moments at which more was open than declared: {len(exposures)}")
    sheets = sorted(demo.handover.glob(f"{HOST}.htm*"))
    demo.expect(sheets, "there is no hand-over sheet")
    closing += [f"hand-over sheet: {os.path.relpath(sheet, layout.ROOT)}" for sheet in sheets]
    print("\n".join(["", *closing]))
    for complaint in demo.complaints:
        print(f"NOT AS PROMISED: {complaint}")
    if picture and not demo.complaints:
        draw(
            [*table_of(first.output), "", *closing], picture, "" if profile == FIRST else f' DEMO="--profile {profile}"'
        )
    return 1 if demo.complaints else 0


def table_of(output: str) -> list[str]:
    """Return the lines of the table that the playbook itself prints at the end."""
    shown = re.search(r"^TASK \[Show the outcome\] \*+\n(.*?)\n\n(?:TASK|PLAY) ", output, re.MULTILINE | re.DOTALL)
    lines = shown.group(1).splitlines() if shown else []
    # Two lines of Ansible's own come first: whose result it is, and its name.
    return textwrap.dedent("\n".join(lines[2:])).splitlines()


def way_in(profile: dict[str, Any]) -> str:
    """The accesses of a profile and what limits each, in a line."""
    return ", ".join(
        f"{access['protocol'].upper()} limited by {access['scoping'].replace('_', ' ')}"
        for access in profile["accesses"]
    )


def draw(lines: list[str], target: Path, more: str) -> None:
    """Draw the lines, with the outcomes in their colours, as one SVG file that loads nothing from elsewhere."""
    console = Console(width=WIDTH, record=True, file=io.StringIO(), highlight=False)
    console.print(f"$ make demo{more}", style="bold")
    for line in lines:
        text = Text(line)
        for outcome, style in STYLES.items():
            text.highlight_regex(rf"\b{outcome}\b", style)
        console.print(text)
    drawing = console.export_svg(title="mail2fax.m365", unique_id="demo")
    drawing = re.sub(r"@font-face\s*\{[^}]*\}", "", drawing).replace("Fira Code", "Liberation Mono, Consolas")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(drawing, encoding="utf-8")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("stopped")
