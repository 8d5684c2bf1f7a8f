# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo of each profile, as the README says it: ``make demo DEMO="--profile imagicle_imap_smtp"``."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _profile
from tests.demo import run
from tests.sample import sample
from tests.tools import layout

OTHERS = [name for name in _profile.names() if name != run.FIRST]


def test_a_profile_that_is_not_there_is_told_with_those_that_are() -> None:
    answer = subprocess.run(
        [sys.executable, "tests/demo/run.py", "--profile", "nothing"],
        cwd=layout.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 2
    assert all(name in answer.stderr for name in _profile.names())


# The first one is run with the artifact.
@pytest.mark.slow
@pytest.mark.parametrize("name", sample(OTHERS, 1, of="demos"))
def test_a_demo_keeps_what_it_promises(name: str) -> None:
    answer = subprocess.run(
        [sys.executable, "tests/demo/run.py", "--profile", name],
        cwd=layout.ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout[-6000:]
    assert re.search(r"^second run +0 changed", answer.stdout, re.MULTILINE)
    assert "moments at which more was open than declared: 0" in answer.stdout
    told = json.loads((run.OUTPUT / "handover" / f"{run.HOST}.json").read_text(encoding="utf-8"))
    assert told["profile"]["name"] == name
    sheet = (run.OUTPUT / "handover" / f"{run.HOST}.html").read_text(encoding="utf-8")
    for way in _profile.load(name)["connection"]:
        assert way["hosts"]["global"] in sheet
