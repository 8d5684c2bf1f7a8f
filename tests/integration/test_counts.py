# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one more tenant costs where there is nothing to change, counted and not timed.

Who has made a tenant cheaper lowers its numbers; who makes it dearer says here why it is worth it. What it takes in
seconds is told by ``make bench BASE=<commit>``.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.emulator.testing import start_emulator
from tests.integration.counted import Counted, Counts, counted, extra_task
from tests.integration.fleet import Fleet, is_write, places, tenants

MOST = {
    "provision": Counts(tasks=9, templates=13, imports=0, graph=1, exchange=3, sign_ins=2, proof=3),
    "audit": Counts(tasks=11, templates=15, imports=0, graph=2, exchange=6, sign_ins=2, proof=3),
}
SECOND = places(2)[-1]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Counted]]:
    """Each playbook, run once more over two tenants that it has nothing to change in; after an audit an extra task."""
    folder = tmp_path_factory.mktemp("counts")
    with start_emulator(tenants(2)) as emulator:
        fleet = Fleet(folder, emulator, count=2, listen=False)
        first = fleet.play("mail2fax.m365.provision")
        assert first.code == 0, first.output
        found = {}
        for name, more in (("provision", ()), ("audit", (extra_task(folder),))):
            found[name] = counted(fleet, f"mail2fax.m365.{name}", *more)
            assert found[name].run.code == 0, found[name].run.output
            assert not any(map(is_write, emulator.journal()))
        yield found


@pytest.mark.parametrize("name", MOST)
def test_one_more_tenant_takes_no_more_than_this(runs: dict[str, Counted], name: str) -> None:
    found = runs[name].of(SECOND, without={"Extra"})
    assert found.over(MOST[name]) == [], runs[name].listed(SECOND)


def test_a_task_more_is_seen(runs: dict[str, Counted]) -> None:
    without, whole = (runs["audit"].of(SECOND, without=left) for left in ({"Extra"}, set[str]()))
    assert without.over(without) == []
    assert whole.over(without) == [
        f"{without.tasks + 1} tasks, {without.tasks} at most",
        f"{without.templates + 1} templates, {without.templates} at most",
    ]


def test_a_request_more_is_seen() -> None:
    most = Counts(tasks=1, templates=2, imports=0, graph=3, exchange=4, sign_ins=1, proof=0)
    more = Counts(tasks=1, templates=2, imports=0, graph=4, exchange=4, sign_ins=2, proof=1)
    assert more.over(most) == ["4 graph, 3 at most", "2 sign_ins, 1 at most", "1 proof, 0 at most"]
