# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the guide to the operator's rights says about giving less of them."""

from __future__ import annotations

import copy
import re
import typing as t
from pathlib import Path

import pytest
import yaml

from tests.emulator.testing import DEMO_TENANT, start_emulator
from tests.integration import harness
from tests.integration.test_playbooks import Site, tenants
from tests.tools import layout

GUIDE = (layout.ROOT / "docs/docsite/rst/operator.rst").read_text(encoding="utf-8")
MAKER, PERSON, AUDITOR = (f"11111111-0000-4000-8000-00000000000{number}" for number in (1, 8, 9))


def operators() -> list[dict[str, t.Any]]:
    """One that may do all but consent, one that may consent, one that may look."""
    usual = yaml.safe_load(DEMO_TENANT.read_text(encoding="utf-8"))["tenants"][0]["operators"][0]
    kinds: dict[str, dict[str, t.Any]] = {
        MAKER: {
            "app_roles": [
                *("Application.ReadWrite.OwnedBy", "Application.Read.All", "DelegatedPermissionGrant.Read.All"),
                "Exchange.ManageAsApp",
            ]
        },
        PERSON: {},
        AUDITOR: {
            "app_roles": ["Application.Read.All", "DelegatedPermissionGrant.Read.All", "Exchange.ManageAsApp"],
            "directory_roles": ["Global Reader"],
        },
    }
    return [{**copy.deepcopy(usual), "client_id": client_id, **kind} for client_id, kind in kinds.items()]


@pytest.mark.turn("guides as they are typed")
def test_the_consent_is_left_to_a_person_and_the_audit_to_a_reader(tmp_path: Path) -> None:
    said = re.search(r"``mail2fax_consent: (\w+)``", GUIDE)
    assert said
    auditor = operators()[2]
    *rights, last = (f"``{right}``" for right in auditor["app_roles"])
    summed_up = f"{', '.join(rights)}, {last} and the role {auditor['directory_roles'][0]}"
    assert summed_up in " ".join(GUIDE.split())
    with start_emulator(tenants(operators=operators())) as emulator:
        site = Site(tmp_path, emulator, {"mail2fax_consent": said[1]})
        first = site.play("provision", mail2fax_client_id=MAKER)
        assert first.code == 0, first.output
        assert (first.steps["admin_consent"], first.record["state"]) == ("pending", "wait")
        assert {first.steps[step] for step in ("application", "access_policy", "client_secret")} == {"changed"}
        assert first.after["appRoleAssignments"] == first.before["appRoleAssignments"], "it may do nothing yet"
        given = harness.run(
            "entra_admin_consent",
            {
                "app_id": first.record["ids"]["application_id"],
                "trusted_app_ids": [MAKER],
                "permissions": [
                    {"resource": "exchange_online", "application": ["full_access_as_app"]},
                    {"resource": "microsoft_graph", "delegated": ["User.Read"]},
                ],
            },
            emulator,
            client_id=PERSON,
        )
        assert given["changed"], given
        second = site.play("provision", mail2fax_client_id=MAKER)
        assert second.code == 0, second.output
        assert second.record["state"] == "ready", second.record["pending"]
        assert second.writes() == []
        auditor_s = {"mail2fax_client_id": AUDITOR, "mail2fax_client_secret": harness.OPERATOR["client_secret"]}
        audit = site.play("audit", **auditor_s)
        assert audit.code == 0, audit.output
        assert audit.writes() == []
        assert emulator.exposures() == []
