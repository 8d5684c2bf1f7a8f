# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the README promises is there."""

from __future__ import annotations

import pathlib
import re

import pytest
import yaml

from ansible_collections.mail2fax.m365.plugins.module_utils import _powers, _steps
from ansible_collections.mail2fax.m365.plugins.module_utils._argspec import CONNECTION
from tests.tools import layout

README = (layout.ROOT / "README.md").read_text(encoding="utf-8")


def rights_of_the_readme() -> dict[str, str]:
    """The table of rights: the row's text by each step that the row is about."""
    rows: dict[str, str] = {}
    for line in README.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4:
            rows |= dict.fromkeys(cells[0].split(", "), " ".join(cells[1:]))
    return rows


@pytest.mark.parametrize(
    ("step", "row"),
    [
        ("application", "application"),
        ("scope_group", "group"),
        ("access_policy", "policy"),
        ("ews_access", "EWS opening"),
        ("client_secret", "secret"),
        ("admin_consent", "consent"),
        ("access_verdict", "proof"),
        ("audit", "audit"),
    ],
)
def test_the_least_right_for_a_step_is_named(step: str, row: str) -> None:
    text = rights_of_the_readme()[row]
    assert [need.any_of[0] for need in _powers.POWERS[step].needs if need.any_of[0] not in text] == []


def test_the_rights_for_the_whole_chain_suffice() -> None:
    named = set(re.findall(r"`([\w.]+)`", README.partition("So for the whole chain:")[2].partition(". With")[0]))
    chain = tuple(key for key in _steps.RUNS["provision"].steps if key in _powers.POWERS)
    lacking = _powers.missing(chain, graph=named, exchange=named, roles={"Exchange Administrator"})
    assert lacking == []
    for superfluous in named:
        rest = named - {superfluous}
        assert _powers.missing(chain, graph=rest, exchange=rest, roles={"Exchange Administrator"}), superfluous


def test_the_inventory_sets_variables_that_the_roles_and_playbooks_read() -> None:
    (text,) = re.findall(r"```yaml\n(all:.*?)```", README, re.DOTALL)
    assert len(text.splitlines()) == 10
    wanted = {name for name in yaml.safe_load(text)["all"]["hosts"]["contoso"] if name.startswith("mail2fax_")}
    sources = [*layout.ROOT.glob("playbooks/*.yml"), *layout.ROOT.glob("roles/*/*/*.yml")]
    read = {name for path in sources for name in re.findall(r"\bmail2fax_\w+", path.read_text(encoding="utf-8"))}
    assert wanted - read - {f"mail2fax_{option}" for option in CONNECTION.options} == set()


def test_the_playbooks_exist() -> None:
    named = set(re.findall(r"ansible-playbook .*?mail2fax\.m365\.(\w+)", README))
    assert named
    assert {name for name in named if not (layout.ROOT / f"playbooks/{name}.yml").is_file()} == set()


def test_the_commands_and_files_exist() -> None:
    targets = set(re.findall(r"(?:`|\n|\()make (?:-s )?([a-z]+)", README))
    makefile = (layout.ROOT / "Makefile").read_text(encoding="utf-8")
    assert {"demo", "env", "check", "test"} <= targets
    assert {target for target in targets if f"\n{target}: " not in makefile} == set()
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert [link for link in links if not (layout.ROOT / link).is_file()] == []


TEXTS = sorted(layout.ROOT / name for name in layout.known_files() if name.endswith(".md"))


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.relative_to(layout.ROOT).as_posix())
def test_what_a_text_links_to_is_there(path: pathlib.Path) -> None:
    text = path.read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!\w+:)([^)\s]+)\)", text) + re.findall(r'(?:src|href)="(?!\w+:)([^"]+)"', text)
    assert [link for link in links if not is_there(path, link)] == []


def is_there(path: pathlib.Path, link: str) -> bool:
    name, _hash, anchor = link.partition("#")
    target = (path.parent / name) if name else path
    if not target.exists():
        return False
    return not anchor or target.suffix != ".md" or anchor in anchors(target.read_text(encoding="utf-8"))


def test_a_broken_link_would_be_found() -> None:
    readme = layout.ROOT / "README.md"
    assert is_there(readme, "CONTRIBUTING.md#where-things-are")
    assert not is_there(readme, "CONTRIBUTING.md#nowhere")
    assert not is_there(readme, "CONTRIBUTING.txt")


def anchors(text: str) -> set[str]:
    """The places that a page of the forge gives its headings, and those that are set by hand."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    made = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return made | set(re.findall(r'<a id="([^"]+)"', text))
