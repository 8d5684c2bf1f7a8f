# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether whoever claimed a store may still be at work."""

from __future__ import annotations

import datetime as dt
import json
import pathlib
import subprocess
import sys
import time

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils._lease import Lease

NOW = dt.datetime(2026, 11, 28, 12, tzinfo=dt.UTC)
SOON = NOW + dt.timedelta(minutes=5)
CLAIMS = """
import datetime as dt, json, sys
from ansible_collections.mail2fax.m365.plugins.module_utils._lease import Lease
print(json.dumps(Lease.taken(dt.datetime.fromisoformat(sys.argv[1])).as_mapping()), flush=True)
sys.stdin.read()
"""

pytestmark = pytest.mark.skipif(
    not pathlib.Path("/proc/self/stat").exists(), reason="processes are looked for in /proc"
)


@pytest.fixture
def claimed() -> tuple[subprocess.Popen[str], Lease]:
    """A process that has claimed something and goes on, and its claim."""
    process = subprocess.Popen(
        [sys.executable, "-c", CLAIMS, SOON.isoformat()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert process.stdout is not None
    return process, Lease.from_mapping(json.loads(process.stdout.readline()))


def test_a_claim_ends_with_its_time(claimed: tuple[subprocess.Popen[str], Lease]) -> None:
    process, lease = claimed
    assert lease.holds(NOW)
    assert not lease.holds(SOON)
    process.communicate()


@pytest.mark.parametrize("waited_for", [True, False])
def test_a_claim_ends_with_its_process(claimed: tuple[subprocess.Popen[str], Lease], waited_for: bool) -> None:
    """Also while nobody has asked for its exit status: in a container it may be that nobody ever does."""
    process, lease = claimed
    process.kill()
    if waited_for:
        process.wait()
    deadline = time.monotonic() + 30
    while lease.holds(NOW) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not lease.holds(NOW)
    process.communicate()


def test_what_this_process_claimed_before_is_over() -> None:
    assert not Lease.taken(SOON).holds(NOW)


def test_another_machine_is_believed_until_the_claim_ends() -> None:
    lease = Lease("a-run", SOON.isoformat(), "another-machine/1/1")
    assert lease.holds(NOW)
    assert not lease.holds(SOON)
