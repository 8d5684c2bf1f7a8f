# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The store of today is not the one of yesterday: the secret that the fax server uses is never taken away from it."""

from __future__ import annotations

import json
import pathlib
import shutil
import typing as t

import pytest

from tests.emulator.testing import start_emulator
from tests.integration.fleet import Fleet, places, tenants
from tests.integration.harness import writes

Json = dict[str, t.Any]
(ONE,) = places(1)


@pytest.mark.slow
@pytest.mark.turn("lives of a secret")
def test_a_store_that_moved(tmp_path: pathlib.Path, subtests: pytest.Subtests) -> None:
    with start_emulator(tenants(1)) as emulator:
        fleet = Fleet(tmp_path, emulator)

        def keys() -> list[str]:
            (app,) = (app for app in emulator.state(ONE.id)["applications"] if app["displayName"] == "Mail2DigitalFax")
            return [key["keyId"] for key in app["passwordCredentials"]]

        def record() -> Json:
            text = (tmp_path / "handover" / f"{ONE.host}.json").read_text(encoding="utf-8")
            return t.cast("Json", json.loads(text)["secret"])

        first = fleet.play("mail2fax.m365.provision")
        assert first.code == 0, first.output
        (old,) = keys()
        before = tmp_path / "secrets" / f"{ONE.host}.yml"
        assert record()["stored_in"] == {"backend": "vault_file", "place": str(before)}
        moved = {"backend": "vault_file", "path": str(tmp_path / "moved" / "secret.yml")}

        with subtests.test("a place that does not hold it is blocked before the first write, with both places"):
            for playbook in ("provision", "rotate"):
                emulator.clear_journal()
                blocked = fleet.play(f"mail2fax.m365.{playbook}", mail2fax_secret_store=moved)
                assert blocked.code != 0
                assert str(before) in blocked.output, blocked.output
                assert moved["path"] in blocked.output
                assert "mail2fax_rotate=always" in blocked.output
                assert writes(emulator) == []
                assert keys() == [old]
                assert not pathlib.Path(moved["path"]).exists()

        with subtests.test("a place that holds it is taken, and the record follows"):
            pathlib.Path(moved["path"]).parent.mkdir()
            shutil.copy(before, moved["path"])
            emulator.clear_journal()
            taken = fleet.play("mail2fax.m365.provision", mail2fax_secret_store=moved)
            assert taken.code == 0, taken.output
            assert writes(emulator) == []
            assert record() | {"stored_in": None} == record() | {"stored_in": None, "key_id": old}
            assert record()["stored_in"]["place"] == moved["path"]

        with subtests.test("the way out for a store that was lost"):
            lost = {"backend": "vault_file", "path": str(tmp_path / "lost" / "secret.yml")}
            made = fleet.play("mail2fax.m365.rotate", mail2fax_secret_store=lost, mail2fax_rotate="always")
            assert made.code == 0, made.output
            assert record()["key_id"] != old
            assert {*keys()} == {old, record()["key_id"]}, "the one in use has its overlap"
            assert record()["previous_until"]
