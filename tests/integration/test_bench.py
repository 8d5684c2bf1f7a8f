# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The measuring itself works, with two tenants; how fast anything was is nobody's business here."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys

import pytest

from tests.bench import run as bench
from tests.bench import scale
from tests.emulator.testing import start_emulator
from tests.integration.fleet import Fleet, tenants
from tests.tools import layout


@pytest.mark.slow
@pytest.mark.soak
def test_both_lanes_are_measured() -> None:
    command = [
        sys.executable,
        "tests/bench/run.py",
        "--tenants",
        "2",
        "--repetitions",
        "1",
        "--module-repetitions",
        "1",
    ]
    answer = subprocess.run(command, cwd=layout.ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    for lane in ("worker", "module"):
        assert re.search(rf"^{lane} +-?[0-9.]+ s of CPU for one more tenant", answer.stdout, re.MULTILINE), (
            answer.stdout
        )
    # The operator's two and the application's own, and what the budget of the whole chain allows.
    asked = re.search(r"([0-9.]+) sign-ins for each tenant; requests: (.+)", answer.stdout)
    assert asked, answer.stdout
    counts = {name: float(count) for count, name in re.findall(r"([0-9.]+) ([A-Za-z-][A-Za-z -]*)", asked[2])}
    assert asked[1] == "3"
    assert counts["Graph"] <= 5
    assert counts["Exchange"] <= 6
    assert re.search(r"^ratio +-?[0-9.]+ times", answer.stdout, re.MULTILINE)


@pytest.mark.slow
@pytest.mark.soak
def test_fleets_of_two_sizes_are_measured() -> None:
    command = [sys.executable, "tests/bench/scale.py", "--tenants", "1,2", "--round-trip", "0.01"]
    answer = subprocess.run(command, cwd=layout.ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert len(re.findall(r"^ +[12]  (?:provision|again|audit) ", answer.stdout, re.MULTILINE)) == 6
    assert len(re.findall(r"from +1 to +2: -?[0-9.]+ s of CPU", answer.stdout)) == 3


def test_growth_is_what_one_more_tenant_costs() -> None:
    def ran(count: int, cpu_s: float) -> scale.Figures:
        return scale.Figures("again", count, 16 * count, cpu_s, 3 * cpu_s, 80 + count, 200, 1.0)

    (one, other) = scale.growth([ran(10, 14.0), ran(100, 104.0), ran(300, 304.0)])
    assert "from  10 to 100: 1.00 s of CPU, 3.00 s, 1024 KiB in the main process" in one
    assert "from 100 to 300: 1.00 s of CPU" in other
    assert ran(10, 14.0).line().split() == ["10", "again", "16.0", "1.40", "4.20", "42", "90", "200", "7%"]


def test_a_run_that_changes_something_is_not_measured(tmp_path: pathlib.Path) -> None:
    with start_emulator(tenants(1)) as emulator:
        fleet = Fleet(tmp_path, emulator, listen=False)
        with pytest.raises(bench.WrongRun, match="writing requests"):
            bench.unchanged(fleet, "tenant01", in_process=True)
