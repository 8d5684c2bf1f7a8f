# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole chain as provision runs it, step after step in this process: a second where a playbook takes many."""

from __future__ import annotations

import pathlib
import typing as t
from dataclasses import dataclass, field

from ansible.parsing.vault import VaultSecret

from ansible_collections.mail2fax.m365.plugins.module_utils._names import ZERO_GUID
from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores.vault_file import VaultFile
from tests.emulator.testing import Emulator
from tests.integration.harness import DOMAIN, EXCHANGE, GRAPH, run

Result = dict[str, t.Any]
PERMISSIONS = [
    {"resource": "exchange_online", "application": ["full_access_as_app"]},
    {"resource": "microsoft_graph", "delegated": ["User.Read"]},
]
FAX, CONTROL = f"fax@{DOMAIN}", f"AdeleV@{DOMAIN}"


@dataclass
class Chain:
    """What a tenant is declared to have. ``options`` adds to, or replaces, one step's options."""

    emulator: Emulator
    folder: pathlib.Path
    name: str = "Mail2DigitalFax"
    group: str = "Imagicle Digital Fax"
    description: str = "Restrict Imagicle Digital Fax accessible mailboxes"
    secret: str = "DigitalFaxMailServiceSecret"
    ews_opt_in: bool = False
    options: dict[str, dict[str, t.Any]] = field(default_factory=dict)

    def store(self) -> VaultFile:
        return VaultFile(self.folder / "secret.yml", [("default", VaultSecret(b"the run's password"))])

    def run(self, check_mode: bool = False, *, stop: bool = True) -> dict[str, Result]:
        """Every step's result, by step; with ``stop`` a red one ends it."""
        results: dict[str, Result] = {}
        app_id = ZERO_GUID

        def step(name: str, module: str, params: dict[str, t.Any], **services: t.Any) -> Result | None:
            if stop and any(result.get("failed") for result in results.values()):
                return None
            params = {**params, **self.options.get(name, {})}
            results[name] = run(module, params, self.emulator, check_mode, services=services)
            return results[name]

        application = step(
            "application",
            "entra_application",
            {"unique_name": self.name, "display_name": self.name, "permissions": PERMISSIONS},
        )
        app_id = (application or {}).get("app_id") or ZERO_GUID
        members = {"name": self.group, "alias": "imagicle.digital.fax", "members": [FAX], "owners": []}
        step("group", "exchange_security_group", members)
        policy = {"app_id": app_id, "group": "imagicle.digital.fax", "description": self.description}
        step("policy", "exchange_application_access_policy", policy)
        if self.ews_opt_in:
            step("ews", "exchange_ews_access", {"app_id": app_id})
        where = {"backend": "vault_file", "path": str(self.folder / "secret.yml")}
        step(
            "secret",
            "entra_application_secret",
            {"app_id": app_id, "display_name": self.secret, "store": where},
            store=self.store(),
        )
        step("consent", "entra_admin_consent", {"app_id": app_id, "permissions": PERMISSIONS})
        if not check_mode:
            expect = {"granted": [FAX], "denied": [CONTROL]}
            step(
                "verdict",
                "exchange_application_access_info",
                {"app_id": app_id, "mailboxes": [FAX, CONTROL], "expect": expect},
            )
            step(
                "probe",
                "mailbox_probe_info",
                {"app_id": app_id, "store": where, "allowed": [FAX], "refused": [CONTROL], "wait": 20},
                store=self.store(),
            )
        return results


def changed(results: dict[str, Result]) -> set[str]:
    """The steps that changed something, or would."""
    return {name for name, result in results.items() if result["changed"]}


def red(results: dict[str, Result]) -> dict[str, str]:
    """The steps that failed or are blocked, with what they say."""
    return {name: result["msg"] for name, result in results.items() if result.get("failed")}


def counted(emulator: Emulator) -> dict[str, int]:
    """Requests per service since the journal was cleared, a batch as one, EWS apart from Exchange's cmdlets."""
    rows = [row for row in emulator.journal() if not row.get("batch")]
    return {
        "graph": sum(row["host"] == GRAPH for row in rows),
        "exchange": sum(row["host"] == EXCHANGE and "/adminapi/" in row["path"] for row in rows),
        "ews": sum("/ews/" in row["path"].lower() for row in rows),
    }
