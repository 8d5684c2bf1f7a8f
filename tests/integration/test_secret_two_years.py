# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two years of the tenant's time: audit and rotate every day, and a fax server that must never be without.

The fax server reads the store every hour and signs in. What it gets can change only when a run changes the store or the
application's keys, and an unchanged secret that lets it in at the end of such a span has let it in at every hour
before. So the sign-ins are made, for real, at the end of each day before the runs, and after each run that changed
something: with what the fax server read an hour ago, and with what it reads now. A second fax server reads the store
only every six days, which is less than the overlap.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils._store import StoredSecret
from ansible_collections.mail2fax.m365.plugins.module_utils._transport import RequestsTransport
from tests.emulator.testing import start_emulator
from tests.integration.harness import OPERATOR
from tests.integration.secrets import FOREIGN_KEY, TENANTS, Json, World


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with start_emulator(TENANTS) as emulator:
        yield World(emulator, tmp_path_factory.mktemp("store"))


class Fax:
    """Reads the store every ``every_days`` (0: whenever it is asked) and signs in with what it has."""

    def __init__(self, world: World, every_days: int = 0) -> None:
        self._world = world
        self._every = dt.timedelta(days=every_days)
        self._read_at: dt.datetime | None = None
        self._content = b""
        self._secret: StoredSecret | None = None
        self.sign_ins = 0
        self.failures: list[str] = []

    def read(self) -> None:
        now = self._world.clock.now()
        if self._read_at is not None and now - self._read_at < self._every:
            return
        self._read_at = now
        content = (self._world.folder / "secret.yml").read_bytes()
        if content != self._content:  # decrypting is the dear part
            self._content, self._secret = content, self._world.entry().current

    def sign_in(self, when: str) -> None:
        self.sign_ins += 1
        if not self._world.signs_in(self._secret):
            self.failures.append(f"{self._world.clock.now():%Y-%m-%d} {when}")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "days", "renewals"),
    [({}, 730, 2), ({"lifetime": 30, "renew_before": 10, "overlap": 7}, 200, 10)],
    ids=["two years as it comes", "short lives"],
)
@pytest.mark.turn("lives of a secret")
def test_the_fax_server_is_never_without(world: World, options: Json, days: int, renewals: int):
    world.begin()
    network = RequestsTransport(world.emulator.env())
    assert world.run(**options)["changed"]
    often, seldom = Fax(world), Fax(world, every_days=6)
    made, retired, most = 0, 0, 0
    for _day in range(days):
        for fax in (often, seldom):
            fax.read()
        world.pass_days(1)
        for fax in (often, seldom):
            fax.sign_in("at the end of a day")
        token = world.token(OPERATOR["client_id"], OPERATOR["client_secret"], "https://graph.microsoft.com")
        for check_mode in (True, False):
            result = world.run(
                transport=lambda _own: network, check_mode=check_mode, access_token={"graph": token}, **options
            )
            assert not result.get("failed"), result["msg"]
            if check_mode:
                announced = result["changed"]
            elif result["changed"]:
                for fax in (often, seldom):
                    fax.sign_in("after a run, with what was read before it")
                often.read()
                often.sign_in("after a run, with what is read then")
        assert announced == result["changed"], "the audit tells what the rotation then does"
        made += result["rotated"]
        retired += len(result["retired"])
        most = max(most, len(world.ours()))
        assert most <= 2
    network.close()
    assert often.failures == seldom.failures == []
    assert made == renewals
    assert retired in (renewals, renewals - 1), "the last one may still have its overlap"
    assert world.foreign() == [FOREIGN_KEY]
    print(f"\n{days} days, {made} renewals, {often.sign_ins + seldom.sign_ins} sign-ins of the fax side, none failed")
