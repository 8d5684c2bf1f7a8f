# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rings of a run, patterns that mean nobody, and look-ups that are asked once: what decides, without a run."""

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.mail2fax.m365.plugins.filter.hosts_meant import hosts_meant
from ansible_collections.mail2fax.m365.plugins.filter.ring_held import ring_held
from ansible_collections.mail2fax.m365.plugins.filter.ring_sizes import ring_sizes
from ansible_collections.mail2fax.m365.plugins.plugin_utils import (
    _ended,
    _fleet,
    _hosts,
    _inventory,
    _looked_up,
    _rings,
    _together,
)
from ansible_collections.mail2fax.m365.plugins.plugin_utils._variables import variables
from tests.tools import layout

HOSTS = [f"t{number}" for number in range(1, 8)]


@pytest.mark.parametrize(
    ("said", "count", "sizes"),
    [
        (2, 7, [2]),
        ("2", 7, [2]),
        ("10%", 300, [30]),
        ("10%", 7, [1]),
        ([1, "2", "50%"], 8, [1, 2, 4]),
        ("1, 10\r\n100%", 300, [1, 10, 300]),
    ],
)
def test_sizes_are_numbers_percentages_and_lists(said: t.Any, count: int, sizes: list[int]) -> None:
    assert _rings.wrong_size(said) is None
    assert _rings.sizes(said, count) == sizes


@pytest.mark.parametrize("said", [0, -1, "0%", "101%", "soon", 1.5, True, [], [1, None, "x"], {"a": 1}])
def test_what_is_no_size_is_told(said: t.Any) -> None:
    assert "What to do: " in (_rings.wrong_size(said) or "")


@pytest.mark.parametrize("said", [-1, 101, "half", 0.5, True, [10]])
def test_what_is_no_share_is_told(said: t.Any) -> None:
    assert "What to do: " in (_rings.wrong_share(said) or "")
    host = _inventory.Host("t", "provision", {"mail2fax_ring_max_bad": said})
    assert any(text.startswith("mail2fax_ring_max_bad is") for text in _inventory.complaints(host))


def test_the_share_said_is_the_share_meant() -> None:
    assert _rings.share("50%") == 50
    assert not _rings.too_many(1, 2, 50)
    assert _rings.too_many(2, 3, 50)
    assert _rings.too_many(1, 300, 0)
    assert not _rings.too_many(300, 300, 100)
    assert not _rings.too_many(0, 1, 0)


def test_the_last_size_goes_on() -> None:
    assert _rings.cut(HOSTS, [1, 2]) == [["t1"], ["t2", "t3"], ["t4", "t5"], ["t6", "t7"]]
    assert _rings.cut(HOSTS, []) == [HOSTS]
    assert _rings.cut([], [2]) == []


def test_a_ring_holds_up_what_comes_after_it() -> None:
    rings = {"sizes": [1, 2], "max_bad": 50}
    assert _rings.held(HOSTS, rings, lambda host: host == "t2") is None
    found = _rings.held(HOSTS, rings, lambda host: host in ("t2", "t3"))
    assert found is not None
    assert (found.number, found.waiting) == (2, ("t4", "t5", "t6", "t7"))
    assert found.told.startswith("ring 2 held the run up: 2 of 2 tenants of it came to a bad end, and 50 percent may")
    assert _rings.held(HOSTS, rings, lambda host: host in ("t6", "t7")) is None, "nobody comes after the last"
    assert _rings.held(HOSTS, {}, lambda _host: True) is None


def test_rings_are_said_once_for_the_run_and_not_where_nobody_writes() -> None:
    said = {"mail2fax_ring_size": 2, "mail2fax_ring_max_bad": 10, "mail2fax_ticket": "x"}
    mine = _rings.claimed(said, playbook="provision", predicts=False)
    assert mine == {"mail2fax_ring_size": 2, "mail2fax_ring_max_bad": 10}
    assert _rings.claimed(said, playbook="provision", predicts=True) == {}
    for playbook in ("audit", "fleet_report"):
        assert _rings.claimed(said, playbook=playbook, predicts=False) == {}
    assert _rings.of_run([mine, mine], 7) == ({"sizes": [2], "max_bad": 10}, "")
    assert _rings.of_run([{}, {}], 7) == (_rings.NOTHING, "")
    assert "different things" in _rings.of_run([mine, {}], 7)[1]


def test_every_playbook_that_writes_has_rings() -> None:
    for path in sorted((layout.ROOT / "playbooks").glob("*.yml")):
        text = path.read_text(encoding="utf-8")
        assert ("ring_sizes" in text and "ring_held" in text) is (path.stem not in _rings.LOOKING), path.stem


def done(outcome: str) -> dict[str, t.Any]:
    return {"handover_result": {"document": {"outcome": outcome}}}


@pytest.mark.parametrize(
    ("known", "bad"),
    [
        (done("ok"), False),
        (done("pending"), False),
        (done("changed"), False),
        (done("blocked"), True),
        (done("failed"), True),
        ({}, True),
        ({"handover_result": {}, "mail2fax_stopped": {}, "mail2fax_is_due": {}}, True),
        ({"mail2fax_stopped": {"msg": "no", "outcome": "blocked"}}, True),
        ({"mail2fax_is_due": False}, False),
        ({"mail2fax_is_due": True}, True),
        ({"mail2fax_is_due": False, "mail2fax_stopped": {"msg": "no"}}, True),
    ],
)
def test_who_came_to_no_good_end_is_bad(known: dict[str, t.Any], bad: bool) -> None:
    assert _ended.bad(known) is bad


def test_a_ring_that_was_not_begun_holds_up_the_next() -> None:
    compared = {"mail2fax_begun": {"rings": {"sizes": [1], "max_bad": 0}}}
    known = {"t1": {**compared, **done("blocked")}, "t2": compared, "t3": compared}
    names = list(known)
    assert ring_sizes(names, known, "all", {"all": names}) == [1]
    assert not ring_held(names, known, ["t1"])
    assert ring_held(names, known, ["t2"])
    assert ring_held(names, known, ["t3"])
    known["t1"] = {**compared, **done("ok")}
    assert not ring_held(names, known, ["t2"])
    assert not ring_held(names, {}, ["t2"]), "no rings, nobody waits"


GROUPS = {"all": HOSTS, "ungrouped": [], "canary": ["t3", "t1"], "rest": ["t2"]}


def test_a_pattern_means_what_ansible_says() -> None:
    assert _hosts.meant(HOSTS, "canary:rest", GROUPS) == ["t3", "t1", "t2"]
    assert _hosts.meant(HOSTS, ["canary", "!t1"], GROUPS) == ["t3"]
    assert _hosts.meant(HOSTS, "canary:&rest", GROUPS) == []
    assert _hosts.meant(["t1"], "canary", GROUPS) == ["t1"]
    assert _hosts.meant(HOSTS, "all", GROUPS) == HOSTS
    assert _hosts.nobody("canary,~^t[12]$,t9,!t8,&canaries", GROUPS) == ["t9", "!t8", "&canaries"]
    assert _hosts.nobody("all:*", GROUPS) == []


def test_a_pattern_that_means_nobody_is_refused_with_the_reason() -> None:
    assert hosts_meant(HOSTS, "canary", GROUPS) == "canary"
    for hosts, pattern, groups, limit, told in (
        (HOSTS, "canaries", GROUPS, "", "nobody is called 'canaries'"),
        (["t2"], "canary", GROUPS, "t2", "within the limit 't2'"),
        ([], "all", {"all": [], "ungrouped": []}, "", "the inventory names no host"),
    ):
        with pytest.raises(AnsibleFilterError, match="no tenant was looked at") as caught:
            hosts_meant(hosts, pattern, groups, limit)
        assert told in str(caught.value)


def test_who_waits_is_a_row_with_how_to_go_on() -> None:
    held = _rings.Held(1, 1, 2, 0, ("later", "!neg"))
    rows = [_fleet.row("bad", None), _fleet.row("good", done("ok")["handover_result"]["document"])]
    shown = _fleet.table([*rows, _fleet.not_begun("later"), _fleet.not_begun("!neg")], held=held, unmet=["typo"])
    text = "\n".join(shown)
    assert "4 tenants: 1 failed, 1 ok, 2 not looked at" in text
    assert "Nobody is called 'typo'" in text
    assert "Ring 1 held the run up: 1 of 2 tenants" in text
    assert shown[-1] == "Only what is bad or left: --limit 'bad,~^!neg$,later'"


class Templar:
    """Counts what is rendered; a template is a function's name in braces."""

    def __init__(self, variables: dict[str, t.Any], counted: list[str]) -> None:
        self.variables, self.counted = variables, counted

    def copy_with_new_env(self, available_variables: dict[str, t.Any]) -> Templar:
        return Templar(dict(available_variables), self.counted)

    def template(self, value: t.Any) -> t.Any:
        text = str(value)
        if "lookup(" in text:
            self.counted.append(text)
            return "looked up"
        if text.startswith("{{ "):
            return self.template(self.variables[text.strip("{ }")])
        return value


def test_a_look_up_is_rendered_once_whoever_refers_to_it() -> None:
    known = {
        "secret": "{{ lookup('x') }}",
        "a": "{{ secret }}",
        "b": "{{ secret }}",
        "c": "{{ plain }}",
        "plain": "text",
        "turns": "{{ turns }}",
    }
    counted: list[str] = []
    rendering = _looked_up.Rendering(Templar(dict(known), counted), known)
    assert [rendering.asks(name) for name in ("a", "b", "c", "turns")] == [True, True, False, False]
    assert [rendering.value(name) for name in ("a", "b", "c", "a")] == ["looked up", "looked up", "text", "looked up"]
    assert len(counted) == 1
    assert rendering.refers("a", {"secret"})
    assert not rendering.refers("c", {"secret"})


def test_what_was_looked_up_is_kept_for_the_run_alone(tmp_path: t.Any) -> None:
    folder = str(tmp_path)
    _looked_up.keep(folder, "contoso", {"mail2fax_client_secret": ("{{ x }}", "hunter2~hunter2")})
    assert _looked_up.kept(folder, "contoso", "mail2fax_client_secret", "{{ x }}") == ("hunter2~hunter2",)
    assert _looked_up.kept(folder, "contoso", "mail2fax_client_secret", "{{ y }}") is None, "it is another one by now"
    assert _looked_up.kept(folder, "fabrikam", "mail2fax_client_secret", "{{ x }}") is None
    assert all(b"hunter2" not in path.read_bytes() for path in tmp_path.iterdir())


def test_a_store_s_secrets_are_references_in_what_is_kept_as_a_fact(tmp_path: t.Any) -> None:
    folder, rows = str(tmp_path), variables()
    store = {"backend": "hashi_vault", "path": "fax/contoso", "token": "hunter2~hunter2", "secret_id": None}
    _looked_up.keep(folder, "contoso", {"mail2fax_secret_store": ("{{ x }}", store)})
    (shown,) = _looked_up.fact(rows["mail2fax_secret_store"], store) or ()
    assert shown == {**store, "token": "mail2fax-kept:token"}
    assert _looked_up.resolved(folder, "contoso", shown) == store
    assert _looked_up.resolved(folder, "fabrikam", shown) == shown, "it opens nothing"
    assert _looked_up.resolved(folder, "contoso", None) is None
    assert _looked_up.fact(rows["mail2fax_tenant"], "contoso.com") == ("contoso.com",)
    for name in ("mail2fax_client_secret", "mail2fax_access_token", "mail2fax_proxy", "mail2fax_record_store"):
        assert _looked_up.fact(rows[name], "hunter2~hunter2") is None


def test_what_the_last_playbook_of_a_run_has_found_counts(tmp_path: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that failed in an earlier one still has what that found among its variables."""
    monkeypatch.setattr("ansible.constants.DEFAULT_LOCAL_TMP", str(tmp_path))
    names = ["t1", "t2"]
    known = {name: {"mail2fax_begun": {"rings": {"sizes": [], "max_bad": 0}}, **done("failed")} for name in names}
    assert ring_sizes(names, known, "all", {"all": names}) == []
    _together.note_compared(str(tmp_path), names, {"rings": {"sizes": [1], "max_bad": 0}, "unmet": []})
    assert ring_sizes(names, known, "all", {"all": names}) == [1]
    assert ring_held(names, known, ["t2"])
    assert ring_sizes(["t1"], known, "all", {"all": ["t1"]}) == [], "it was noted of other hosts"
