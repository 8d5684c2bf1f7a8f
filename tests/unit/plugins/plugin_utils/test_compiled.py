# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled templates that the workers of one run share: who gets whose, and what a strange file does."""

from __future__ import annotations

import marshal
import multiprocessing
import pathlib
import stat
import types
import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _compiled
from ansible_collections.mail2fax.m365.plugins.plugin_utils._compiled import Compiled, of_this_run

KEY, ANOTHER = b"k" * 44, b"a" * 44
SOURCE = "{{ 'hunter2~hunter2' ~ mail2fax_tenant }}"
FORK = multiprocessing.get_context("fork")


class Compiler:
    """What Jinja would be: makes code that answers with a number, and counts."""

    def __init__(self, answer: int = 1) -> None:
        self.count = 0
        self._answer = answer

    def __call__(self) -> types.CodeType:
        self.count += 1
        return compile(f"answer = {self._answer}; kept = 'hunter2~hunter2'", "<template>", "exec")


def answer(code: types.CodeType) -> int:
    found: dict[str, t.Any] = {}
    exec(code, found)
    return t.cast("int", found["answer"])


def files(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(folder.glob("*/*"))


def test_the_next_worker_has_the_first_ones_code(tmp_path: pathlib.Path) -> None:
    first, second = Compiler(), Compiler(2)
    assert answer(Compiled(str(tmp_path), KEY).code(SOURCE, first)) == 1
    assert answer(Compiled(str(tmp_path), KEY).code(SOURCE, second)) == 1
    assert (first.count, second.count) == (1, 0)
    Compiled(str(tmp_path), KEY).code(SOURCE + " ", second)
    assert second.count == 1, "another template"
    strange = Compiler()
    assert answer(Compiled(str(tmp_path), KEY).code("{{ '\ud800' }}", strange)) == 1


def test_what_lies_on_the_disk_is_for_this_run_alone(tmp_path: pathlib.Path) -> None:
    Compiled(str(tmp_path), KEY).code(SOURCE, Compiler())
    (kept,) = files(tmp_path)
    assert b"hunter2" not in kept.read_bytes()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    another = Compiler(3)
    assert answer(Compiled(str(tmp_path), ANOTHER).code(SOURCE, another)) == 3
    assert len(files(tmp_path)) == 2, "another run looks elsewhere"


@pytest.mark.parametrize(
    "cut", ["flipped", "head", "tail", "empty", "longer", "marshalled", "text", "other's", "folder"]
)
def test_a_strange_file_is_not_read(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, cut: str) -> None:
    compiled = Compiled(str(tmp_path), KEY)
    compiled.code(SOURCE, Compiler())
    (kept,) = files(tmp_path)
    good = kept.read_bytes()
    compiled.code("{{ other }}", Compiler(2))
    (other,) = [path for path in files(tmp_path) if path != kept]
    strange = {
        "flipped": [good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :] for at in range(0, len(good), 7)],
        "head": [good[:3], good[:12], good[:20]],
        "tail": [good[1:], good[-20:]],
        "empty": [b""],
        "longer": [good + b"\0"],
        "marshalled": [marshal.dumps(Compiler(4)()), bytes(12) + marshal.dumps(Compiler(4)())],
        "text": [b"{{ other }}" * 100],
        "other's": [other.read_bytes()],
        "folder": [None],
    }[cut]
    read: list[bytes] = []
    monkeypatch.setattr(_compiled.marshal, "loads", read.append)
    for content in strange:
        kept.unlink()
        if content is None:
            kept.mkdir()
        else:
            kept.write_bytes(content)
        anew = Compiler(5)
        assert answer(compiled.code(SOURCE, anew)) == 5
        assert anew.count == 1
    assert read == [], "nothing was read that is not certain"


def test_where_nothing_can_be_kept_everyone_compiles(tmp_path: pathlib.Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("", encoding="utf-8")
    for folder in (in_the_way, tmp_path / "none"):
        compiler = Compiler()
        for _time in range(2):
            assert answer(Compiled(str(folder), KEY).code(SOURCE, compiler)) == 1
        assert compiler.count == 2


def test_what_cannot_be_compiled_is_not_kept(tmp_path: pathlib.Path) -> None:
    def broken() -> types.CodeType:
        raise ValueError("a syntax error")

    for _time in range(2):
        with pytest.raises(ValueError, match="a syntax error"):
            Compiled(str(tmp_path), KEY).code("{{ }", broken)
    assert files(tmp_path) == []


def _worker(folder: str, start: t.Any, wrong: t.Any) -> None:
    start.wait()
    for number in range(60):
        if answer(Compiled(folder, KEY).code(f"{{{{ {number} }}}}", Compiler(number))) != number:
            wrong.put(number)


def test_workers_side_by_side_have_each_their_own_right(tmp_path: pathlib.Path) -> None:
    start, wrong = FORK.Event(), FORK.Queue()
    workers = [FORK.Process(target=_worker, args=(str(tmp_path), start, wrong)) for _time in range(4)]
    for worker in workers:
        worker.start()
    start.set()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert wrong.empty()
    none = Compiler()
    for number in range(60):
        assert answer(Compiled(str(tmp_path), KEY).code(f"{{{{ {number} }}}}", none)) == number
    assert none.count == 0, "whole files all of them"


def test_only_workers_share(tmp_path: pathlib.Path) -> None:
    assert of_this_run(str(tmp_path)) is None, "this process has made the key by itself"
    told = FORK.Queue()
    worker = FORK.Process(target=lambda: told.put(of_this_run(str(tmp_path)) is not None))
    worker.start()
    assert told.get(timeout=60) is True
    worker.join(60)


def test_without_a_key_nothing_is_shared(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_compiled, "_MADE_BY", 0)
    assert of_this_run(str(tmp_path)) is not None
    monkeypatch.setattr(_compiled, "KEY", b"")
    assert of_this_run(str(tmp_path)) is None
