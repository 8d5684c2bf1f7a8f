# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One or many emulated tenants, their inventory, and ansible-playbook run over it as people run it."""

from __future__ import annotations

import copy
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import typing as t
import uuid
from dataclasses import dataclass, field

import yaml

from tests.emulator.testing import DEMO_TENANT, Emulator
from tests.tools import layout

Json = dict[str, t.Any]
PLUGINS = pathlib.Path(__file__).with_name("plugins")
PYTHON = pathlib.Path(sys.prefix) / "bin/python"
OPERATOR_SECRET = "operator-secret"
PASSWORD = "a vault password of the tests"


@dataclass(frozen=True)
class Place:
    """One tenant of a fleet, and its inventory host."""

    number: int

    @property
    def host(self) -> str:
        return f"tenant{self.number:02}"

    @property
    def domain(self) -> str:
        return f"{self.host}.onmicrosoft.com"

    @property
    def id(self) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_DNS, self.domain))

    @property
    def fax(self) -> str:
        return f"fax@{self.domain}"

    @property
    def control(self) -> str:
        return f"AdeleV@{self.domain}"


def tenants(count: int = 1, **changes: t.Any) -> Json:
    """A tenants file: the demo's tenant ``count`` times over, some of its keys replaced."""
    demo = yaml.safe_load(DEMO_TENANT.read_text(encoding="utf-8"))["tenants"][0]
    found = []
    for place in places(count):
        tenant = copy.deepcopy(demo)
        tenant.update(id=place.id, display_name=place.host, domains=[place.domain], **copy.deepcopy(changes))
        tenant["operators"][0]["client_secret"] = OPERATOR_SECRET
        for mailbox in tenant["mailboxes"]:
            mailbox["address"] = mailbox["address"].replace(demo["domains"][0], place.domain)
        found.append(tenant)
    return {"tenants": found}


def places(count: int = 1) -> list[Place]:
    return [Place(number) for number in range(1, count + 1)]


@dataclass
class Run:
    """One ansible-playbook: exit code, what it said, and its share of the machine in seconds, its children's too."""

    code: int
    stdout: str
    stderr: str
    cpu_s: float
    wall_s: float
    events: list[Json] = field(default_factory=list)
    programs: list[list[str]] = field(default_factory=list)
    """The command line of every program that Ansible or a program of its started (beside ldconfig, by which Ansible
    looks for its C library)."""

    @property
    def output(self) -> str:
        return self.stdout + self.stderr

    def recap(self, host: str) -> dict[str, int]:
        line = re.search(rf"^{host}\s*:\s*(.+)$", self.stdout, re.MULTILINE)
        return {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", line[1])} if line else {}

    def of(self, task: str) -> list[Json]:
        """The events of a task, by its name: ``event`` and ``result`` as callbacks got them."""
        return [event for event in self.events if event["task"].split(" : ")[-1] == task]

    def result(self, task: str) -> Json:
        """A task's last result."""
        found = self.of(task)
        assert found, f"no result of {task!r}:\n{self.output}"
        return t.cast("Json", found[-1]["result"])


@dataclass
class Fleet:
    """A folder for everything that runs leave, an inventory of ``count`` tenants, and the emulator that has them.

    ``listen`` puts a callback plugin of the tests into the runs, which gives them their ``events``.
    """

    folder: pathlib.Path
    emulator: Emulator
    count: int = 1
    variables: Json = field(default_factory=dict)
    python: pathlib.Path = PYTHON
    listen: bool = True
    settings: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("home", "tmp"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        write_private(self.folder / "vault-password", PASSWORD)
        hosts = {
            place.host: {"mail2fax_tenant": place.domain, "mail2fax_mailboxes": [place.fax]}
            for place in places(self.count)
        }
        every = {
            "ansible_connection": "local",
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            "mail2fax_expected_domain": "{{ mail2fax_tenant }}",
            "mail2fax_secret_store": {
                "backend": "vault_file",
                "path": str(self.folder / "secrets" / "{{ inventory_hostname }}.yml"),
            },
            "mail2fax_handover_dir": str(self.folder / "handover"),
            **self.variables,
        }
        inventory = {"all": {"hosts": hosts, "vars": every}}
        (self.folder / "tenants.yml").write_text(yaml.safe_dump(inventory, sort_keys=False), encoding="utf-8")

    def environment(self, **changes: str) -> dict[str, str]:
        """What ansible-playbook is started with: the operator, and the way to the emulator."""
        home = self.folder / "home"
        listening = {"ANSIBLE_CALLBACK_PLUGINS": str(PLUGINS / "callbacks"), "ANSIBLE_CALLBACKS_ENABLED": "events"}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "M365_"))}
        return {
            **inherited,
            **self.emulator.env(),
            "HOME": str(home),
            "TMPDIR": str(self.folder / "tmp"),
            "PATH": f"{self.python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "PYTHONPATH": str(PLUGINS / "audit") if self.listen else "",
            "PYTHONDONTWRITEBYTECODE": "1",
            "ANSIBLE_HOME": str(home / ".ansible"),
            # For modules, which look for them in the home that the system knows.
            "ANSIBLE_REMOTE_TMP": str(home / ".ansible" / "tmp"),
            "ANSIBLE_ASYNC_DIR": str(home / ".ansible_async"),
            "ANSIBLE_COLLECTIONS_PATH": str(layout.live()),
            "ANSIBLE_VAULT_PASSWORD_FILE": str(self.folder / "vault-password"),
            **(listening if self.listen else {}),
            "ANSIBLE_BECOME_PLUGINS": str(PLUGINS / "become"),
            "ANSIBLE_CONNECTION_PLUGINS": str(PLUGINS / "connection"),
            "EVENTS_PATH": str(self.folder / "events.jsonl"),
            "AUDIT_PATH": str(self.folder / "programs.jsonl"),
            "M365_CLIENT_ID": "11111111-0000-4000-8000-000000000001",
            "M365_CLIENT_SECRET": OPERATOR_SECRET,
            "M365_PATIENCE": "30",
            **self.settings,
            **changes,
        }

    def command(self, playbook: str, *words: str) -> list[str]:
        return [str(self.python.with_name("ansible-playbook")), "-i", "tenants.yml", *words, playbook]

    def play(
        self, playbook: str | list[Json], *words: str, env: t.Mapping[str, str] | None = None, **extra: t.Any
    ) -> Run:
        """Run a playbook, by its name or as a list of plays, with ``extra`` variables."""
        with self.start(playbook, *words, env=env, **extra) as running:
            return running.finish()

    def start(
        self, playbook: str | list[Json], *words: str, env: t.Mapping[str, str] | None = None, **extra: t.Any
    ) -> Running:
        if not isinstance(playbook, str):
            path = self.folder / "playbook.yml"
            path.write_text(yaml.safe_dump(playbook, sort_keys=False), encoding="utf-8")
            playbook = str(path)
        if extra:
            words = (*words, "-e", json.dumps(extra))
        return Running(self.folder, self.command(playbook, *words), self.environment(**(env or {})))


class Running:
    """An ansible-playbook that has been started, in a process group of its own. Leaving the block kills it."""

    def __init__(self, folder: pathlib.Path, command: list[str], environment: t.Mapping[str, str]) -> None:
        self._folder = folder
        self._events = pathlib.Path(environment["EVENTS_PATH"])
        self._programs = pathlib.Path(environment["AUDIT_PATH"])
        for path in (self._events, self._programs):
            path.unlink(missing_ok=True)
        self._started = time.monotonic()
        with (folder / "stdout").open("wb") as stdout, (folder / "stderr").open("wb") as stderr:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *reason: object) -> None:
        if self.process.returncode is None:
            self.kill()

    def kill(self) -> None:
        """SIGKILL to all of it, as the machine's own end would be."""
        for pid in self.pids():
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                continue
        self.process.wait()

    def pids(self) -> list[int]:
        """The process and its descendants that are alive; workers lead sessions of their own."""
        parents: dict[int, int] = {}
        for status in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = status.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(status.parent.name)] = int(fields[1])
        found = [self.process.pid]
        for pid in found:
            found += [child for child, parent in parents.items() if parent == pid and child not in found]
        return found

    def finish(self, timeout_s: float = 900.0) -> Run:
        """Wait for its end. Raises TimeoutError when it does not come."""
        deadline = time.monotonic() + timeout_s
        while True:
            pid, status, usage = os.wait4(self.process.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > deadline:
                raise TimeoutError(f"ansible-playbook took more than {timeout_s} s")
            time.sleep(0.01)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        return Run(
            self.process.returncode,
            (self._folder / "stdout").read_text(encoding="utf-8", errors="replace"),
            (self._folder / "stderr").read_text(encoding="utf-8", errors="replace"),
            usage.ru_utime + usage.ru_stime,
            time.monotonic() - self._started,
            self.events(),
            [words for words in self.programs() if not words[0].endswith("/ldconfig")],
        )

    def programs(self) -> list[list[str]]:
        """The command lines of what was started so far."""
        return [words for _event, words, _environment in lines_of(self._programs)]

    def events(self) -> list[Json]:
        """What callbacks have got so far."""
        return lines_of(self._events)


def is_write(row: Json) -> bool:
    """Whether a request of the journal changes a tenant; of a batch its parts count, not itself."""
    path = row["path"].lower()
    if row["cmdlet"]:
        return not row["cmdlet"].startswith(("Get-", "Test-"))
    if path.endswith(("/token", "/$batch")) or "/ews/" in path or "/adminapi/" in path:
        return False
    return row["method"] not in ("GET", "HEAD", "CONNECT")


def lines_of(path: pathlib.Path) -> list[t.Any]:
    """A file of JSON lines; a line that is still being written is left out."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def write_private(path: pathlib.Path, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
