# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking back, killed at every request: one more run goes on, and at no instant is more open than was declared.

A token that the fax server got while it was let in is alive all along, and is tried on the control mailbox each minute.
"""

from __future__ import annotations

import pathlib
import typing as t

import pytest

from tests.integration.killing import Life, alike, life, provisioned
from tests.sample import sample

Json = dict[str, t.Any]
A, B, C = "application_access_policy", "application_role", "mailbox_permission"
PROFILES: dict[str, Json] = {
    "imagicle_ews": {},
    "imagicle_ews by role": {"mail2fax_scoping": B},
    "graph_mail by policy": {"mail2fax_profile": "graph_mail", "mail2fax_scoping": A},
    "graph_mail": {"mail2fax_profile": "graph_mail"},
    "imagicle_imap_smtp": {"mail2fax_profile": "imagicle_imap_smtp"},
    "imap_smtp_least": {"mail2fax_profile": "imap_smtp_least"},
    "smtp_send by right": {"mail2fax_profile": "smtp_send", "mail2fax_scoping": C},
}
TOKENS_S = 26 * 3600.0


def taken_back(one: Life, before: Json) -> list[str]:
    """Run after run until nothing is left; what was not as it should be."""
    assert one.fax is not None
    for _run in range(3):
        run = one.play("decommission", mail2fax_confirm=True)
        if run.code:
            return [run.output[-3000:]]
        if run.record.get("state") == "removed":
            break
        one.pass_time(TOKENS_S)
    found = [str(exposure) for exposure in one.exposed] + [
        problem for problem in one.fax.problems if "OPENED" in problem
    ]
    if run.record.get("state") != "removed":
        found.append(f"after three runs it is {run.record.get('state')}")
    elif one.state() != before:
        found.append("the tenant is not as before")
    return found


@pytest.mark.turn("runs in a test's own process")
@pytest.mark.parametrize("name", sample(list(PROFILES), 1, of="decommission killed"))
def test_killed_at_every_request(name: str, tmp_path: pathlib.Path) -> None:
    with life(tmp_path, f"taken back {name}", PROFILES[name]) as one:
        before = one.state()
        provisioned(one)
        begin = one.checkpoint("provisioned")
        one.play("decommission", mail2fax_confirm=True, keep=True)
        points = one.points
        assert len(points) > 5
        real = points[len(points) // 2]
        one.back_to(begin)
        killed = one.play("decommission", mail2fax_confirm=True, kill=real)
        assert killed.code == -9
        left = one.state()
        one.back_to(real)
        assert alike(one.state()) == alike(left)

        wrong = {}
        for point in sample(points, 1, of=name):
            one.back_to(point)
            if found := taken_back(one, before):
                wrong[point.what] = found
        assert wrong == {}, "\n".join(f"{what}: {found[0]}" for what, found in wrong.items())
        print(f"{name}: {len(points)} instants")


@pytest.mark.soak
def test_without_waiting_the_exposure_is_found(tmp_path: pathlib.Path) -> None:
    with life(tmp_path, "no grace", {}) as one:
        provisioned(one)
        run = one.play("decommission", mail2fax_confirm=True, mail2fax_token_grace_minutes=0)
        assert run.record["state"] == "removed", run.output
        assert one.exposed
        assert all(exposure["by_token"] and exposure["everything"] for exposure in one.exposed)
        # And it is true: what the fax server still holds opens the control mailbox.
        assert one.fax is not None
        one.pass_time(600)
        assert any("OPENED" in problem for problem in one.fax.problems)
