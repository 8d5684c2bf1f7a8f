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

from tests.bench import asked, scale, table, where
from tests.bench import run as bench
from tests.bench.against import in_turns, options
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
    assert counts["Graph"] <= 1
    assert counts["Exchange"] <= 3
    assert re.search(r"^ratio +-?[0-9.]+ times", answer.stdout, re.MULTILINE)


@pytest.mark.slow
@pytest.mark.soak
def test_fleets_of_two_sizes_are_measured() -> None:
    command = [sys.executable, "tests/bench/scale.py", "--tenants", "1,2", "--round-trip", "0.01"]
    answer = subprocess.run(command, cwd=layout.ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert len(re.findall(r"^ +[12]  (?:provision|again|audit) ", answer.stdout, re.MULTILINE)) == 6
    assert len(re.findall(r"from +1 to +2: -?[0-9.]+ s of CPU", answer.stdout)) == 3


@pytest.mark.slow
@pytest.mark.soak
def test_a_tree_is_measured_beside_a_commit() -> None:
    sizes = ["--pairs", "1", "--tenants", "1,2", "--round-trip", "0.01", "--profiled", "1"]
    command = [sys.executable, "-m", "tests.bench.against", "HEAD", *sizes]
    answer = subprocess.run(command, cwd=layout.ROOT, capture_output=True, text=True, timeout=900, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert len(re.findall(r"^(?:one more|the first|2) tenants?\b.* -?[0-9.]+", answer.stdout, re.MULTILINE)) == 6
    for name, most in (("Graph", "5"), ("Exchange", "5"), ("sign-ins", "-")):
        found = re.search(rf"requests of a tenant: {name} +([0-9.]+) +([0-9.]+) .* {most} ", answer.stdout)
        assert found is not None, answer.stdout
        assert found[1] == found[2], answer.stdout
    assert re.search(r"^our code( +[0-9]+%){4}$", answer.stdout, re.MULTILINE), answer.stdout
    kept = layout.ROOT / re.findall(r"figures and profiles: (.+)", answer.stdout)[0]
    assert {path.name for path in (kept / "this-tree").iterdir()} >= {"controller.prof", "workers.prof", "workers.txt"}


def test_a_commit_that_is_not_there_is_named() -> None:
    command = [sys.executable, "-m", "tests.bench.against", "no-such-commit", "--pairs", "1", "--tenants", "1,2"]
    answer = subprocess.run(command, cwd=layout.ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert answer.returncode == 1
    assert "there is no commit no-such-commit" in answer.stderr


def test_a_ratio_is_the_median_of_the_pairs_and_is_held_against_its_target() -> None:
    row = table.Row("one more", [1.0, 2.0, 4.0], [2.0, 4.0, 5.0], [1.0, 1.0, 4.0], of_base=0.5, of_floor=1.3)
    assert (row.ratio, row.floor_ratio, row.met) == (0.5, 1.0, True)
    dearer = table.Row("one more", [1.2, 2.4, 4.0], [2.0, 4.0, 5.0], [1.0, 2.0, 3.0], of_base=0.7, of_floor=1.1)
    assert (dearer.ratio, dearer.floor_ratio, dearer.met) == (0.6, 1.2, False)
    assert dearer.verdict() == "met, not met"
    assert table.Row("nothing to tell by", [1.0], [2.0], of_base=0.5, of_floor=1.3).met is None
    assert table.Row("itself", [150.0, 151.0], [300.0, 300.0], itself=150).met is False
    told = table.lines("5591cd0", [row, dearer])
    assert told[0].split() == ["THIS", "TREE", "5591cd0", "RATIO", "FROM-TO", "OF", "FLOOR", "AT", "MOST"]
    assert told[2].endswith("  met, not met")
    assert table.rst("5591cd0", [row])[-6:] == [
        "   * - one more",
        *(f"     - {cell}" for cell in ("2.00", "4.00", "0.50", "1.00", "0.5 of the base, 1.3 of the floor: met")),
    ]


def test_everybody_is_first_and_last_in_turns() -> None:
    orders = [in_turns(["a", "b", "c"], number) for number in range(6)]  # type: ignore[type-var]
    assert sorted(order[0] for order in orders) == ["a", "a", "b", "b", "c", "c"]
    assert sorted(order[-1] for order in orders) == ["a", "a", "b", "b", "c", "c"]


@pytest.mark.parametrize(
    "words", [["--pairs", "0"], ["--tenants", "4"], ["--tenants", "4,2"], ["--audit-tenants", "x"]]
)
def test_sizes_that_mean_nothing_are_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit):
        options(["HEAD", *words])


def test_an_audit_takes_fewer_tenants_unless_it_is_said() -> None:
    for words, counts in (([], (2, 12)), (["--tenants", "2,4"], (1, 2)), (["--audit-tenants", "3,9"], (3, 9))):
        assert options(["HEAD", *words]).audit_tenants == counts


def test_requests_are_told_by_service_and_the_proof_has_its_own() -> None:
    def row(host: str, path: str, **more: object) -> dict[str, object]:
        return {"host": host, "path": path, "tenant": "t", **more}

    token = row(asked.LOGIN, "/t/oauth2/v2.0/token")
    mail = "outlook.office365.com"
    found = asked.by_tenant(
        [
            row(asked.LOGIN, "/t/v2.0/.well-known/openid-configuration"),
            token,
            row(asked.GRAPH, "/v1.0/$batch"),
            row(asked.GRAPH, "/v1.0/organization", batch=3),
            token,
            row(mail, "/adminapi/beta/t/InvokeCommand"),
            token,
            row(mail, "/EWS/Exchange.asmx"),
            row(mail, "/EWS/Exchange.asmx"),
        ]
    )
    assert found == {"t": {"sign-in": 2, "Graph": 1, "Exchange": 1, "proof": 3}}


def test_time_is_shared_out_to_whom_it_belongs() -> None:
    ours, jinja = ("/x/ansible_collections/mail2fax/m365/a.py", 1, "f"), ("/x/jinja2/lexer.py", 2, "g")
    get, copied = ("~", 0, "<method 'get' of 'dict' objects>"), ("/usr/lib/copy.py", 3, "deepcopy")
    found = where.shares(
        {
            ours: (1, 1, 1.0, 6.0, {}),
            jinja: (1, 1, 2.0, 3.0, {}),
            # A copy is for us; what it looks up is ours as well.
            copied: (1, 1, 0.5, 1.5, {ours: (1, 1, 0.5, 1.5)}),
            get: (3, 3, 1.75, 1.75, {copied: (1, 1, 1.0, 1.0), jinja: (1, 1, 0.75, 0.75)}),
        }
    )
    assert found == {"our code": 2.5, "templates": 2.75}


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
