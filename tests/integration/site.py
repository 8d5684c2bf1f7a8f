# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tenant nobody has seen before, and the playbooks against it: for stories that have to hold for every profile."""

from __future__ import annotations

import json
import pathlib
import random
import re
import subprocess
import typing as t
import uuid
from dataclasses import dataclass, field

import yaml

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _profile
from tests.emulator.testing import Emulator
from tests.integration import harness
from tests.integration.harness import EXCHANGE, GRAPH
from tests.integration.transports import reached

Json = dict[str, t.Any]
HOST = "contoso"
PASSWORD = "a vault password of the tests"
OPERATOR = {"client_id": "11111111-0000-4000-8000-000000000001", "client_secret": "operator-secret"}
RIGHTS = [
    *("Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All", "DelegatedPermissionGrant.ReadWrite.All"),
    "Exchange.ManageAsApp",
]
FAMILY = ("O'Brien", "d'Été", "Müller", "Żółć", "van 't Hoff", "Ngọc", "Nuñez & Söhne", "Ångström")
DOMAINS = ("xn--mller-kva.example", "xn--bcher-kva.example", "fax.xn--zckzah.example", "plain.example")
INITIAL = "contoso7.onmicrosoft.com"
KINDS = ("UserMailbox", "SharedMailbox")


@dataclass(frozen=True)
class World:
    """A tenant as ``seed`` makes it: which mailboxes are the fax server's, and everything that an emulator needs."""

    seed: str
    principals: int = 450

    @property
    def id(self) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"world of {self.seed}"))

    @property
    def _chance(self) -> random.Random:
        return random.Random(self.seed)

    @property
    def domain(self) -> str:
        return self._chance.choice(DOMAINS)

    @property
    def mailboxes(self) -> list[Json]:
        chance = self._chance
        domain = chance.choice(DOMAINS)
        boxes = []
        for number in range(12):
            family = chance.choice(FAMILY)
            local = chance.choice([f"fax{number}", f"o'fax{number}", f"Fax.Line+{number}", f"f{number}_x"])
            boxes.append(
                {
                    "address": f"{local}@{domain}",
                    "display_name": f"{family} {number}",
                    "type": chance.choice(KINDS),
                }
            )
        return boxes

    @property
    def fax(self) -> list[str]:
        return [str(box["address"]) for box in self.mailboxes[: 1 + len(self.seed) % 3]]

    @property
    def control(self) -> list[str]:
        return [str(self.mailboxes[-1]["address"])]

    def tenants(self, **changes: t.Any) -> Json:
        tenant: Json = {
            "id": self.id,
            "display_name": "Contoso's d'été GmbH",
            "domains": [INITIAL, self.domain],
            "operators": [
                {
                    **OPERATOR,
                    "display_name": "Operator",
                    "app_roles": RIGHTS,
                    "directory_roles": ["Exchange Administrator"],
                }
            ],
            "mailboxes": self.mailboxes,
            "groups": [],
            "applications": [],
            "service_principals": self.principals,
            "organization_config": {"EwsEnabled": None, "EwsAllowedAppIDs": None},
        }
        return {"tenants": [{**tenant, **changes}]}


@dataclass
class Run:
    """One run of a playbook: what it printed, what it left, and what it asked of the tenant meanwhile."""

    code: int
    output: str
    journal: list[Json]
    before: Json
    after: Json
    record: Json

    @property
    def steps(self) -> dict[str, str]:
        return {step["step"]: step["outcome"] for step in self.record["steps"]}

    def requests(self) -> dict[str, int]:
        """To Graph and to Exchange, a batch as one; the proofs' own are not among them."""
        rows = [row for row in self.journal if not row.get("batch")]
        return {
            "graph": sum(row["host"] == GRAPH and not re.search(r"/users/", row["path"]) for row in rows),
            "exchange": sum(row["host"] == EXCHANGE and "/adminapi/" in row["path"] for row in rows),
        }

    def writes(self) -> list[str]:
        """What was written, in order: Graph's methods and paths, Exchange's cmdlets."""
        found = []
        for row in self.journal:
            if row["host"] == GRAPH and row["method"] != "GET" and not row["path"].endswith("/$batch"):
                found.append(f"{row['method']} {row['path']}")
            elif row.get("cmdlet") and not row["cmdlet"].startswith(("Get-", "Test-")):
                found.append(str(row["cmdlet"]))
        return found


def lasting(state: Json) -> Json:
    """What a tenant has, without sign-ins and what lies in the recycle bin."""
    return {name: value for name, value in state.items() if name not in ("signIns", "deletedItems")}


@dataclass
class Site:
    """A folder with an inventory of one host, and the emulator with its tenant."""

    folder: pathlib.Path
    emulator: Emulator
    world: World
    variables: Json = field(default_factory=dict)
    winrm: bool = False
    player: t.Callable[..., subprocess.CompletedProcess[str]] = harness.play
    """How a playbook is run: ``inprocess.play_in_process`` where a process of its own would take too long."""

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "vault-password").write_text(PASSWORD, encoding="utf-8")
        self.declare()

    def declare(self, **variables: t.Any) -> None:
        """The inventory, with more variables than before."""
        self.variables = {**self.variables, **variables}
        way = {**reached(self.emulator), "winrm_organization": INITIAL} if self.winrm else {}
        by_host = {f"mail2fax_{name}": value for name, value in way.items()}
        host = {
            "ansible_connection": "local",
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            "mail2fax_tenant": self.world.id,
            "mail2fax_expected_domain": self.world.domain,
            "mail2fax_mailboxes": self.world.fax,
            "mail2fax_control_mailboxes": self.world.control,
            "mail2fax_secret_store": {"backend": "vault_file", "path": str(self.folder / "secret.yml")},
            "mail2fax_handover_dir": str(self.folder / "handover"),
            **by_host,
            **self.variables,
        }
        told = yaml.safe_dump({"all": {"hosts": {HOST: host}}})
        (self.folder / "tenants.yml").write_text(told, encoding="utf-8")

    @property
    def profile(self) -> Json:
        known = self.variables
        return _profile.load(known.get("mail2fax_profile", "imagicle_ews"), scoping=known.get("mail2fax_scoping"))

    def state(self) -> Json:
        return lasting(self.emulator.state(self.world.id))

    def exposures(self) -> list[Json]:
        """At which instants our application could open more than the fax mailboxes, since the journal was cleared."""
        found = self.emulator.exposures(declared=self.world.fax)
        return [one for one in found if one["appId"] != OPERATOR["client_id"]]

    def play(self, playbook: str, *words: str, by: t.Mapping[str, t.Any] | None = None, **variables: t.Any) -> Run:
        """``by``: further options of the player."""
        self.emulator.clear_journal()
        before = self.state()
        answer = self.player(
            self.folder,
            self.emulator,
            playbook,
            words,
            variables,
            **(by or {}),
            M365_CLIENT_ID=OPERATOR["client_id"],
            M365_CLIENT_SECRET=OPERATOR["client_secret"],
        )
        name = f"{HOST}.audit.json" if playbook == "audit" else f"{HOST}.json"
        path = self.folder / "handover" / name
        document = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        return Run(answer.returncode, answer.stdout, self.emulator.journal(), before, self.state(), document)
