# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One list of steps: every word of a run is in it, and the words of 0.1.0 still mean something."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils import _powers, _steps
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.tenant_info import DOOR
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import words

ROOT = pathlib.Path(__file__).parents[4]


@pytest.mark.parametrize("run", _steps.RUNS.values(), ids=lambda run: run.key)
def test_a_run_has_steps_of_the_list_once_each(run: _steps.Run) -> None:
    assert len(set(run.steps)) == len(run.steps)
    assert set(run.steps) <= set(_steps.STEPS)


def test_every_step_is_done_by_a_module_of_ours_and_taken_back_by_a_step() -> None:
    for step in _steps.STEPS.values():
        assert (ROOT / "plugins" / "modules" / f"{step.module}.py").is_file(), step.module
        if step.undone_by is not None:
            assert step.undone_by in _steps.RUNS["decommission"].steps


def test_every_step_has_a_heading_and_a_purpose() -> None:
    for step in _steps.STEPS.values():
        assert step.label[0].isupper()
        assert step.title[0].islower()


def test_what_a_provision_leaves_behind_is_taken_back() -> None:
    left = {_steps.STEPS[key].undone_by for key in _steps.RUNS["provision"].steps} - {None}
    assert left == set(_steps.RUNS["decommission"].steps) - {"preflight"}


def test_the_words_of_0_1_0_are_still_understood() -> None:
    old = ["application", "group", "policy", "ews", "secret", "consent", "verify", "audit", "decommission"]
    known = [_steps.key(word) for word in old]
    assert known == [key for key in _powers.POWERS if key in known]
    assert all(_steps.key(key) == key for key in _powers.POWERS)
    assert [word for word in old if _steps.needs_exchange(word)] == [
        *("group", "policy", "ews", "verify", "audit", "decommission")
    ]


def test_an_answer_uses_the_words_that_were_asked_with() -> None:
    held = {"graph": (), "exchange": (), "roles": ()}
    assert {word for one in _powers.missing(["secret", "scope_group"], **held) for word in one.steps} == {
        *("secret", "scope_group")
    }


def test_record_sheet_and_preflight_have_their_words_from_the_list() -> None:
    assert {kind: _steps.RUNS[kind].steps for kind in words.STEPS} == dict(words.STEPS)
    assert set(DOOR.argument_spec.options["steps"]["choices"]) == {*_powers.POWERS, *_steps.FORMERLY}


def test_a_step_is_spelled_in_the_list_and_not_along_the_way() -> None:
    """A step that is added to the list is known to the preflight, which asks for its rights, without another edit."""
    toy = _steps.Step(
        "toy", "Toy", "make the toy", "entra_application", needs=(_steps.Need(_steps.GRAPH, ("Toy.All",)),)
    )
    code = (
        "from ansible_collections.mail2fax.m365.plugins.module_utils import _steps;"
        f"_steps.STEPS = {{**_steps.STEPS, 'toy': _steps.{toy!r}}};".replace("needs=(Need(", "needs=(_steps.Need(")
        + "from ansible_collections.mail2fax.m365.plugins.module_utils import _powers;"
        "held = dict(graph=(), exchange=(), roles=());"
        "print([(one.steps, one.permission) for one in _powers.missing(['toy'], **held)], 'toy' in _powers.WORDS)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[(('toy',), 'Toy.All')] True"
