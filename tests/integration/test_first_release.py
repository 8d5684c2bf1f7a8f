# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tenant and a folder that version 0.1.0 left go on: audited, rotated, decommissioned, without a second secret."""

from __future__ import annotations

import pathlib
import typing as t

import pytest

from tests.integration.first_release import left
from tests.integration.test_playbooks import FAX, TENANT_ID, Run
from tests.sample import sample

GRANTS = ("appRoleAssignments", "oauth2PermissionGrants")


def of(run: Run, app_id: str, when: str = "after") -> dict[str, t.Any]:
    return next(app for app in getattr(run, when)["applications"] if app["appId"] == app_id)


@pytest.mark.parametrize("kind", sample(["made", "adopted"], 1, of="first release"))
@pytest.mark.turn("lives of a tenant")
def test_what_the_first_release_left_goes_on(tmp_path: pathlib.Path, kind: str) -> None:
    with left(kind, tmp_path) as site:
        before = site.stored()
        audited = site.play("audit")
        # A run costs seconds: what is rotated is not provisioned as well, and the other way round.
        again = site.play("provision" if kind == "adopted" else "rotate")
        removal = site.play("decommission", mail2fax_confirm=True)
        site.emulator.clock(seconds=26 * 3600)
        removed = site.play("decommission", mail2fax_confirm=True)
    app_id = again.record["ids"]["application_id"]
    assert audited.code == 0, audited.output
    assert audited.audit["drift"] == []
    assert audited.writes() == []
    told = "somebody else can sign in as 'Fax by hand'"
    assert (told in "".join(audited.audit["warnings"])) == (kind == "adopted")
    if kind == "adopted":
        taken_over = [entry["kind"] for entry in again.record["accepted"]["credentials"]]
        assert taken_over == ["client_secret", "client_secret", "owner"]
    assert again.code == 0, again.output
    assert again.writes() == []
    assert [one["keyId"] for one in of(again, app_id)["passwordCredentials"]] == [
        one["keyId"] for one in of(audited, app_id, "before")["passwordCredentials"]
    ]
    assert before["key_id"] == again.record["secret"]["key_id"]
    for run in (removal, removed):
        assert run.code == 0, run.output
        assert run.exposures == []
        for grants in GRANTS:
            holders = {one["id"] for one in run.after["servicePrincipals"] if one["appId"] == app_id}
            held = [one for one in run.after[grants] if holders & {one.get("principalId"), one.get("clientId")}]
            # The adopted application keeps the delegated permission that it had before.
            assert len(held) == (kind == "adopted" and grants == "oauth2PermissionGrants")
    assert (removal.record["state"], removal.record["outcome"]) == ("removing", "pending")
    assert removal.after["applicationAccessPolicies"]
    assert removed.record["state"] == "removed"
    assert removed.after["applicationAccessPolicies"] == []
    if kind == "adopted":
        app = of(removed, app_id)
        # What others made stays as it was.
        assert len(app["passwordCredentials"]) == 2
        assert app["requiredResourceAccess"] == [
            {
                "resourceAppId": "00000003-0000-0000-c000-000000000000",
                "resourceAccess": [{"id": "e1fe6dd8-ba31-4d61-89e7-88639da4683d", "type": "Scope"}],
            }
        ]
    else:
        assert all(app["appId"] != app_id for app in removed.after["applications"])
    assert FAX in str(again.record["mailboxes"])
    assert audited.audit["tenant"]["id"] == TENANT_ID
