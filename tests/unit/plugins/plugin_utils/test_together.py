# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pathlib

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _clash, _together

FOUND = {"tenant": {"id": "AAA"}, "application": {"app_id": None}}


def test_an_application_is_told_by_its_id_and_else_by_its_name() -> None:
    asked = {"unique_name": "Mail2Fax"}
    assert _together.meant(FOUND, asked) == _together.meant(FOUND, {"unique_name": "mail2fax"})
    known = {**FOUND, "application": {"app_id": "B-1"}}
    assert _together.meant(known, asked) == _together.meant(known, {"app_id": "b-1"})
    assert _together.meant(known, asked) != _together.meant({**known, "tenant": {"id": "c"}}, asked)
    for found, said in (({}, asked), ({"tenant": None, "application": None}, asked), (FOUND, {})):
        assert _together.meant(found, said) is None


def test_two_hosts_that_mean_one_application_are_both_stopped(tmp_path: pathlib.Path) -> None:
    folder = str(tmp_path)
    for host in ("one", "one", "Möller GmbH"):
        assert _together.met(folder, "one") is None
        _together.note(folder, host, "tenant app")
    _together.note(folder, "else", "tenant other")
    met = _together.met(folder, "one")
    assert met is not None
    assert "one and Möller GmbH mean one application" in met.message
    assert _together.met(folder, "Möller GmbH") is not None
    assert _together.met(folder, "else") is None
    assert _together.met(folder, "nobody") is None
    _together.note(str(tmp_path / "none"), "one", "x")
    assert _together.met(str(tmp_path / "none"), "one") is None


def test_a_record_tells_under_which_other_name_a_tenant_goes() -> None:
    one, other = (
        _clash.claim({"mail2fax_tenant": name}, file=f"/{name}", store={}, recorded_tenant=recorded)
        for name, recorded in (("contoso.com", "AAA"), ("aaa", ""))
    )
    assert "mean one application of one tenant" in _clash.clashes({"one": one, "other": other})["one"][0]
