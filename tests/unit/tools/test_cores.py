# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which versions of ansible-core are tested."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.tools import cores, layout


def test_the_oldest_is_the_one_that_the_collection_asks_for() -> None:
    runtime = yaml.safe_load((layout.ROOT / "meta/runtime.yml").read_text(encoding="utf-8"))
    least = re.search(r">=(\d+\.\d+)", runtime["requires_ansible"])
    assert least
    assert cores.OLDEST.startswith(f"{least[1]}.")


@pytest.mark.parametrize("minor", [11, 12, 13])
def test_the_newest_is_one_that_the_python_can_run(minor: int) -> None:
    newest = cores.newest(minor)
    assert minor in cores.PYTHONS[newest]
    later = list(cores.PYTHONS)[list(cores.PYTHONS).index(newest) + 1 :]
    assert not [version for version in later if minor in cores.PYTHONS[version]]


def test_with_the_tests_own_version_the_oldest_and_the_newest_are_seen() -> None:
    seen = {cores.USUAL, *(core.version for core in cores.others_here())}
    assert {cores.OLDEST, cores.newest(cores.HERE)} <= seen
    assert cores.USUAL in cores.PYTHONS
