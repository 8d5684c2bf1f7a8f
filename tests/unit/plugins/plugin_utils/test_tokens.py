# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens that the tasks of one run share: who gets whose, when a new one is fetched, and what lies on the disk."""

from __future__ import annotations

import dataclasses
import multiprocessing
import pathlib
import stat
import time
import typing as t

import pytest
from cryptography.fernet import Fernet

from ansible_collections.mail2fax.m365.plugins.module_utils._auth import Token, token
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _tokens
from ansible_collections.mail2fax.m365.plugins.plugin_utils._tokens import KEY, SharedSignIn
from tests.unit.script import jwt

GRAPH, EXCHANGE = "https://graph.microsoft.com", "https://outlook.office365.com"
OPTIONS = {"cloud": "global", "tenant": "contoso.example", "client_id": "c", "client_secret": "canary-secret"}


class Counting:
    """An identity that gives a new token each time it is asked, and remembers how it was asked."""

    def __init__(self, lasts_s: float | None = 3600, name: str = "") -> None:
        self.asked: list[tuple[str, bool]] = []
        self._lasts_s = lasts_s
        self._name = name

    def token(self, audience: str, *, fresh: bool = False) -> Token:
        self.asked.append((audience, fresh))
        claims: dict[str, t.Any] = {"aud": audience, "n": f"{self._name}{len(self.asked)}"}
        if self._lasts_s is not None:
            claims["exp"] = time.time() + self._lasts_s
        return token(jwt(**claims))

    def describe(self) -> str:
        return "somebody"


def shared(folder: pathlib.Path, inner: Counting, key: bytes = KEY, **options: t.Any) -> SharedSignIn:
    return SharedSignIn(inner, {**OPTIONS, **options}, str(folder), key)


def test_the_next_task_has_the_first_ones_token(tmp_path: pathlib.Path) -> None:
    first, second = Counting(), Counting()
    made = shared(tmp_path, first).token(GRAPH)
    found = shared(tmp_path, second).token(GRAPH)
    assert (found.value, found.claims) == (made.value, made.claims)
    assert (made.shared, found.shared) == (False, True)
    assert (len(first.asked), len(second.asked)) == (1, 0)
    assert shared(tmp_path, second).describe() == "somebody"


def test_a_task_asks_once_whatever_it_is_asked(tmp_path: pathlib.Path) -> None:
    inner = Counting()
    sign_in = shared(tmp_path, inner)
    assert len({sign_in.token(GRAPH).value for _time in range(5)}) == 1
    assert sign_in.token(EXCHANGE).value != sign_in.token(GRAPH).value
    assert inner.asked == [(GRAPH, False), (EXCHANGE, False)]


@pytest.mark.parametrize("name", [*_tokens.IDENTITY_OPTIONS])
def test_what_makes_another_identity_makes_another_token(tmp_path: pathlib.Path, name: str) -> None:
    first, second = Counting(), Counting()
    shared(tmp_path, first).token(GRAPH)
    shared(tmp_path, second, **{name: "another"}).token(GRAPH)
    assert len(second.asked) == 1


def test_a_managed_identity_elsewhere_is_another_one(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Counting(), Counting()
    shared(tmp_path, first, managed_identity="system").token(GRAPH)
    monkeypatch.setenv("IDENTITY_ENDPOINT", "http://127.0.0.1:1/other")
    shared(tmp_path, second, managed_identity="system").token(GRAPH)
    assert len(second.asked) == 1


def test_options_that_do_not_sign_in_do_not_matter(tmp_path: pathlib.Path) -> None:
    first, second = Counting(), Counting()
    shared(tmp_path, first).token(GRAPH)
    shared(tmp_path, second, patience=1, proxy="http://127.0.0.1:9").token(GRAPH)
    assert second.asked == []


@pytest.mark.parametrize("lasts_s", [0, 299, None], ids=["ended", "ends soon", "does not tell"])
def test_a_token_that_may_end_under_a_task_is_not_passed_on(tmp_path: pathlib.Path, lasts_s: float | None) -> None:
    first, second = Counting(lasts_s), Counting()
    shared(tmp_path, first).token(GRAPH)
    assert not shared(tmp_path, second).token(GRAPH).shared
    assert len(second.asked) == 1


def test_a_task_that_outlives_its_token_gets_another(tmp_path: pathlib.Path) -> None:
    inner = Counting(lasts_s=100)
    sign_in = shared(tmp_path, inner)
    assert sign_in.token(GRAPH).value != sign_in.token(GRAPH).value
    # What the inner one has kept would be the same one.
    assert inner.asked == [(GRAPH, False), (GRAPH, True)]


def test_a_token_that_does_not_tell_is_good_for_the_task(tmp_path: pathlib.Path) -> None:
    inner = Counting(lasts_s=None)
    sign_in = shared(tmp_path, inner)
    assert sign_in.token(GRAPH).value == sign_in.token(GRAPH).value
    assert len(inner.asked) == 1


def test_a_refused_token_is_replaced_for_everybody(tmp_path: pathlib.Path) -> None:
    old = shared(tmp_path, Counting(name="old")).token(GRAPH)
    inner = Counting(name="new")
    sign_in = shared(tmp_path, inner)
    assert sign_in.token(GRAPH).value == old.value
    new = sign_in.token(GRAPH, fresh=True)
    assert new.value != old.value
    assert inner.asked == [(GRAPH, True)]
    assert sign_in.token(GRAPH).value == new.value
    assert shared(tmp_path, Counting(name="later")).token(GRAPH).value == new.value


def test_of_two_tasks_that_were_refused_one_signs_in(tmp_path: pathlib.Path) -> None:
    shared(tmp_path, Counting()).token(GRAPH)
    inners = [Counting(name="a"), Counting(name="b")]
    both = [shared(tmp_path, inner) for inner in inners]
    assert both[0].token(GRAPH).value == both[1].token(GRAPH).value
    renewed = both[0].token(GRAPH, fresh=True)
    assert both[1].token(GRAPH, fresh=True).value == renewed.value
    assert [len(inner.asked) for inner in inners] == [1, 0]


def test_a_failed_sign_in_is_kept_by_nobody(tmp_path: pathlib.Path) -> None:
    class Refused(Counting):
        def token(self, audience: str, *, fresh: bool = False) -> Token:
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        shared(tmp_path, Refused()).token(GRAPH)
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]
    after = Counting()
    shared(tmp_path, after).token(GRAPH)
    assert len(after.asked) == 1


# --- what lies on the disk -------------------------------------------------------------------------------------


def test_without_the_key_what_is_kept_says_nothing(tmp_path: pathlib.Path) -> None:
    made = shared(tmp_path, Counting()).token(GRAPH)
    files = list(tmp_path.iterdir())
    assert len(files) == 2
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        content = path.read_bytes()
        assert made.value.encode() not in content
        # How it begins; fewer letters of it are in any text that is long enough.
        assert made.value.encode()[:12] not in content
        assert not any(value in f"{path.name}{content!r}" for value in ("contoso", "canary"))
    other = Counting()
    shared(tmp_path, other, key=Fernet.generate_key()).token(GRAPH)
    assert len(other.asked) == 1


def test_the_name_of_a_token_does_not_tell_whose_it_is(tmp_path: pathlib.Path) -> None:
    """With another key the same identity has another name, so that nobody can test guesses of the secret."""
    shared(tmp_path, Counting()).token(GRAPH)
    shared(tmp_path, Counting(), key=Fernet.generate_key()).token(GRAPH)
    assert len([path for path in tmp_path.iterdir() if not path.suffix]) == 2


@pytest.mark.parametrize("content", [b"", b"not a token", b"gAAAAAB" + b"x" * 90])
def test_what_was_damaged_is_fetched_anew(tmp_path: pathlib.Path, content: bytes) -> None:
    shared(tmp_path, Counting()).token(GRAPH)
    [kept] = [path for path in tmp_path.iterdir() if not path.suffix]
    kept.write_bytes(content)
    after = Counting()
    made = shared(tmp_path, after).token(GRAPH)
    assert len(after.asked) == 1
    assert shared(tmp_path, Counting()).token(GRAPH).value == made.value


def test_without_a_folder_everybody_signs_in_alone(tmp_path: pathlib.Path) -> None:
    gone = tmp_path / "gone"
    first, second = Counting(), Counting()
    assert shared(gone, first).token(GRAPH).value
    assert shared(gone, second).token(GRAPH).value
    assert (len(first.asked), len(second.asked)) == (1, 1)
    assert not gone.exists()


def test_without_locks_everybody_signs_in_alone(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_arguments: object) -> t.NoReturn:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(_tokens.fcntl, "flock", none)
    inner = Counting()
    assert shared(tmp_path, inner).token(GRAPH).value
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]
    assert len(inner.asked) == 1


def test_a_full_disk_costs_sign_ins_and_nothing_else(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object) -> t.NoReturn:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_tokens.os, "replace", full)
    inner = Counting()
    assert shared(tmp_path, inner).token(GRAPH).value
    assert len(inner.asked) == 1


def slowly(folder: str, asked: t.Any) -> None:
    class Slow(Counting):
        def token(self, audience: str, *, fresh: bool = False) -> Token:
            with asked.get_lock():
                asked.value += 1
            time.sleep(0.2)  # what a real sign-in takes, so that the others come meanwhile
            return super().token(audience, fresh=fresh)

    shared(pathlib.Path(folder), Slow()).token(GRAPH)


def test_workers_that_come_at_once_sign_in_once(tmp_path: pathlib.Path) -> None:
    """They have the key because they were forked from the process that made it."""
    context = multiprocessing.get_context("fork")
    asked = context.Value("i", 0)
    workers = [context.Process(target=slowly, args=(str(tmp_path), asked)) for _number in range(5)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
        assert worker.exitcode == 0
    assert asked.value == 1


def test_only_a_token_shows_that_a_task_has_signed_in(tmp_path):
    folder = str(tmp_path)
    assert _tokens.any_in(folder) is False
    (tmp_path / "m365-abc.lock").touch()
    assert _tokens.any_in(folder) is False
    (tmp_path / "m365-abc").touch()
    assert _tokens.any_in(folder) is True
    assert _tokens.any_in(f"{folder}/none") is False


@pytest.mark.parametrize("ahead_s", [3300, 86400 * 400, -3300])
def test_a_clock_that_is_wrong_makes_no_task_sign_in_again(tmp_path: pathlib.Path, ahead_s: float) -> None:
    """The token's own end is by the service's clock; how long it is good for is counted from the answer."""

    class Issued(Counting):
        def token(self, audience: str, *, fresh: bool = False) -> Token:
            found = super().token(audience, fresh=fresh)
            return dataclasses.replace(found, good_until=time.monotonic() + 3600)

    inner = Issued(lasts_s=3600 - ahead_s)
    made = shared(tmp_path, inner).token(GRAPH)
    found = [shared(tmp_path, inner).token(GRAPH).value for _task in range(20)]
    assert set(found) == {made.value}
    assert len(inner.asked) == 1


def test_a_token_that_has_ended_by_the_monotonic_clock_is_replaced(tmp_path: pathlib.Path) -> None:
    class Short(Counting):
        def token(self, audience: str, *, fresh: bool = False) -> Token:
            return dataclasses.replace(super().token(audience, fresh=fresh), good_until=time.monotonic() + 200)

    inner = Short(lasts_s=86400)
    shared(tmp_path, inner).token(GRAPH)
    shared(tmp_path, inner).token(GRAPH)
    assert len(inner.asked) == 2
