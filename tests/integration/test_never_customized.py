# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tenant that was never customised: the run says so before it changes anything, or ends green and pending."""

from __future__ import annotations

import pathlib

import pytest

from tests.emulator.testing import start_emulator
from tests.integration.site import Site, World


@pytest.mark.soak
def test_a_tenant_that_was_never_customised_is_ready_within_the_hour(tmp_path: pathlib.Path) -> None:
    world = World("never customised")
    with start_emulator(world.tenants(dehydrated=True), profile="realistic") as emulator:
        site = Site(tmp_path, emulator, world, {"mail2fax_profile": "smtp_send", "mail2fax_protocols_opt_in": True})
        refused = site.play("provision")
        assert refused.code == 2
        assert refused.steps["preflight"] == "blocked"
        assert "Enable-OrganizationCustomization" in refused.output
        assert refused.writes() == []

        site.declare(mail2fax_enable_organization_customization=True)
        first = site.play("provision")
        assert first.code == 0, first.output
        assert first.steps["application_role"] == "pending"
        assert first.steps["access_verdict"] == first.steps["mailbox_probe"] == "skipped"
        assert (first.record["state"], first.record["outcome"]) == ("wait", "pending")
        assert first.after["roleAssignments"] == []
        assert site.exposures() == []

        emulator.clock(seconds=5000)
        second = site.play("provision")
        assert second.code == 0, second.output
        assert (second.steps["application_role"], second.steps["access_verdict"]) == ("changed", "ok")
        assert {one["kind"] for one in second.record["ours"]} >= {"scope", "assignment", "pointer"}
        assert site.exposures() == []
