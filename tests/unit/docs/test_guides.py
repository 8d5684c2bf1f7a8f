# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the guides say is what the code says."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.mail2fax.m365.plugins.module_utils import _errors, _powers, _proofs, _texts
from ansible_collections.mail2fax.m365.plugins.module_utils._argspec import CONNECTION
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import ews_access
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _held, _variables
from tests.tools import doc_tables, layout

GUIDES = doc_tables.GUIDES
EXTRA = layout.ROOT / "docs/docsite/extra-docs.yml"
INTRODUCTION = layout.ROOT / "docs/introduction.rst"


def guide(name: str) -> str:
    return (GUIDES / f"{name}.rst").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", doc_tables.TABLES)
def test_tables_are_those_of_the_code(name: str) -> None:
    path, make = doc_tables.TABLES[name]
    text = path.read_text(encoding="utf-8")
    assert text == doc_tables.renewed(text, name, make()), "the code has changed: make docs-tables"


def test_a_guide_without_a_place_for_a_table_is_noticed() -> None:
    with pytest.raises(ValueError, match="no place"):
        doc_tables.renewed("text", "hosts", "table")


def test_every_step_and_right_is_in_the_table() -> None:
    table = doc_tables.powers()
    for name, power in _powers.POWERS.items():
        assert f"**{name}**" in table
        assert power.title in table
        for need in power.needs:
            assert all(one in table for one in need.any_of)


@pytest.mark.parametrize(
    ("sentence", "steps"),
    [
        (
            "a nightly run of the whole chain needs",
            (
                *("application", "scope_group", "access_policy", "ews_access", "client_secret", "admin_consent"),
                "access_verdict",
            ),
        ),
        ("An audit needs", ("audit", "access_verdict")),
    ],
)
def test_the_rights_that_are_summed_up_suffice(sentence: str, steps: tuple[str, ...]) -> None:
    words = re.split(r"\.\s", guide("operator").partition(sentence)[2])[0]
    named = set(re.findall(r"``([\w.]+)``", words))
    role = re.search(r"the role ([\w ]+?)(?:\.|$)", " ".join(words.split()))
    assert role
    assert not _powers.missing(steps, graph=named, exchange=named, roles={role[1]})
    for superfluous in named:
        rest = named - {superfluous}
        assert _powers.missing(steps, graph=rest, exchange=rest, roles={role[1]}), superfluous


def test_every_guide_is_listed_once_and_introduced() -> None:
    listed = [page for section in yaml.safe_load(EXTRA.read_text("utf-8"))["sections"] for page in section["toctree"]]
    assert sorted(listed) == sorted(path.stem for path in GUIDES.glob("*.rst"))
    introduction = INTRODUCTION.read_text(encoding="utf-8")
    introduced = re.findall(r":doc:`docsite/(\w+)`", introduction)
    assert introduced == listed, "in one order"
    for page in listed:
        assert f".. _ansible_collections.mail2fax.m365.docsite.{page}:" in guide(page)


def names_in(paths: t.Iterable[Path]) -> set[str]:
    return {name for path in paths for name in re.findall(r"\bmail2fax_[a-z0-9_]+\b", path.read_text(encoding="utf-8"))}


def variables() -> set[str]:
    """Every variable of an inventory that roles and playbooks read; what a playbook sets for itself is none."""
    playbooks = list((layout.ROOT / "playbooks").rglob("*.yml"))
    text = "\n".join(path.read_text(encoding="utf-8") for path in playbooks)
    own = set(re.findall(r"^ *(mail2fax_\w+):", text, re.MULTILINE))
    results = set(re.findall(r"^ *register: (mail2fax_\w+)$", text, re.MULTILINE))
    of_roles = names_in((layout.ROOT / "roles").glob("*/defaults/main.yml"))
    of_modules = {f"mail2fax_{option}" for option in CONNECTION.options}
    return (of_modules | of_roles | (names_in(playbooks) - own)) - results - _held.names() - {"mail2fax_m365"}


def test_every_variable_is_explained_and_every_explained_one_exists() -> None:
    explained = set(re.findall(r"^   \* - (.*)$", guide("playbooks"), re.MULTILINE))
    named = {name for line in explained for name in re.findall(r"``(mail2fax_\w+)``", line)}
    assert named == set(_variables.variables())
    # This one is read by the modules' lane itself.
    assert variables() <= named


def test_every_variable_is_read_by_something() -> None:
    rows = {row.name for row in _variables.variables().values() if row.group not in ("connection", "windows")}
    # Some are the lane's; the others no default of a role needs: the look at the inventory reads them.
    lane = {"mail2fax_in_process", "mail2fax_hosts", "mail2fax_allowed_connection", "mail2fax_record_store"}
    looked_at = {"mail2fax_migrate_to", "mail2fax_migrate_rollback"}
    assert rows - variables() - looked_at <= {
        *lane,
        "mail2fax_allow_volatile",
        "mail2fax_ring_size",
        "mail2fax_ring_max_bad",
    }


def test_defaults_of_the_roles_are_those_of_the_table() -> None:
    for path in (layout.ROOT / "roles").glob("*/defaults/main.yml"):
        text = path.read_text(encoding="utf-8")
        found = re.findall(r"(mail2fax_\w+) \| default\(none\)\s*\| mail2fax\.m365\.said\(([^()]*)\)", text)
        for name, default in found:
            row = _variables.variables()[name]
            if row.default is not None:
                assert yaml.safe_load(default) == row.default, (path, name)
        bare = re.findall(r"(mail2fax_\w+) \| default\((?!none\))", text)
        # What is not an inventory's may be read as it is.
        assert not set(bare) & set(_variables.variables()), (
            path,
            "a blank value would be taken for one that says something",
        )


def test_every_playbook_is_described() -> None:
    for path in (layout.ROOT / "playbooks").glob("*.yml"):
        assert f"``mail2fax.m365.{path.stem}``\n" in guide("playbooks")


def kinds() -> set[str]:
    """The names of every error that can end a task."""

    def below(kind: type) -> t.Iterator[type]:
        for child in kind.__subclasses__():
            yield child
            yield from below(child)

    return {kind.__name__ for kind in below(_errors.M365Error) if kind.__module__ == _errors.__name__}


def test_every_kind_of_error_is_explained_with_its_outcome() -> None:
    rows = dict(re.findall(r"^   \* - ``(\w+)``\n     - (blocked|failed)$", guide("when_it_fails"), re.MULTILINE))
    assert set(rows) == kinds()
    for name, outcome in rows.items():
        assert getattr(_errors, name).outcome == outcome, name
    # What can be wrong with a Windows host has a table of its own, in the guide.
    assert set(doc_tables.KINDS) - {"stops"} == kinds() - {"HostNotReady"}


def test_every_verdict_of_the_probe_is_explained() -> None:
    rows = re.findall(r"^     - (``\w+``(?:, ``\w+``)*)$", guide("when_it_fails"), re.MULTILINE)
    told = {verdict for row in rows for verdict in re.findall(r"``(\w+)``", row)}
    assert _proofs.verdicts() <= told


def test_the_list_of_messages_misses_none() -> None:
    """Whatever the code can say and words by itself stands in the list, with its cure and with who can help."""
    found = doc_tables.messages()
    text = doc_tables.message_lists()
    for kind in doc_tables.KINDS:
        assert any(message.kind == kind for message in found), kind
    for message in found:
        assert doc_tables.plain(message.text) in text
    blocked = [message for message in found if message.kind in ("Blocked", "stops")]
    assert len(blocked) > 40
    # A sample of each: what is filled in, a constant of another file, and who can help.
    sample = next(message for message in found if "has no service principal in this tenant" in message.text)
    assert sample.text.startswith("the application … has no service principal")
    assert sample.cure.startswith("run entra_application first")
    assert sample.who == "an Application Administrator of the tenant"
    missing = [message.text for message in blocked if not message.cure and not message.who]
    assert len(missing) <= 8, missing


def test_the_last_day_of_ews_is_the_same_everywhere() -> None:
    day = ews_access.SUNSET.isoformat()
    assert f"EWS ends on {day}" in guide("ews_end")
    profile = yaml.safe_load(
        (layout.ROOT / "plugins/plugin_utils/profiles/imagicle_ews.yml").read_text(encoding="utf-8")
    )
    assert profile["sunset"]["date"] == day


def test_sign_in_codes_are_sorted_and_complete() -> None:
    codes = re.findall(r"\* - ``(AADSTS\d+)``", doc_tables.sign_in())
    assert set(codes) == set(_texts.SIGN_IN)
    assert codes == sorted(codes, key=lambda code: int(code.removeprefix("AADSTS")))


def test_markup_in_a_message_is_shown_as_it_is() -> None:
    assert doc_tables.plain("a_b `c` *d* |e| \\") == "a\\_b \\`c\\` \\*d\\* \\|e\\| \\\\"
