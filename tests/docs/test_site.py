# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation site as it is built: no warning, no broken link, and pages that fit where they are read."""

from __future__ import annotations

import json
import re
import typing as t
import urllib.parse
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.docs import browser
from tests.sample import sample
from tests.tools import docs, layout

pytestmark = pytest.mark.slow

OUTPUT = layout.ROOT / "tests/output/pages"
PHONE, WIDE = 390, 1280
# What Sphinx makes for itself, and nobody links to by hand.
MACHINERY = {"search.html", "genindex.html"}


@dataclass
class Page(HTMLParser):
    """A page's links, anchors and pictures, and whether it shows that something went wrong."""

    links: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
    sources: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    headings: int = 0
    pictures_without_words: int = 0

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if "id" in given:
            self.anchors.add(given["id"])
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag in ("img", "script") and "src" in given:
            self.sources.append(given["src"])
        if tag == "link" and "stylesheet" in given.get("rel", ""):
            self.sources.append(given["href"])
        if tag == "img" and not given.get("alt"):
            self.pictures_without_words += 1
        if tag == "h1":
            self.headings += 1
        if {"problematic", "system-message"} & set(given.get("class", "").split()):
            self.problems.append(str(self.getpos()))


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built anew: a warning would be an error."""
    return docs.build(tmp_path_factory.mktemp("site"), quiet=True)


@pytest.fixture(scope="module")
def pages(html: Path) -> dict[str, Page]:
    found = {}
    for path in sorted(html.rglob("*.html")):
        page = Page()
        page.feed(path.read_text(encoding="utf-8"))
        found[path.relative_to(html).as_posix()] = page
    return found


def place(page: str, link: str) -> tuple[str, str] | None:
    """The file and the anchor that a link leads to; None when it leads elsewhere."""
    parts = urllib.parse.urlsplit(link)
    if parts.scheme or parts.netloc:
        return None
    path = urllib.parse.unquote(parts.path)
    target = (Path("/") / Path(page).parent / path).resolve().relative_to("/").as_posix() if path else page
    return target, urllib.parse.unquote(parts.fragment)


def test_everything_is_there(html: Path, pages: dict[str, Page]) -> None:
    for folder, kind in (("plugins/modules", "module"), ("plugins/lookup", "lookup"), ("plugins/filter", "filter")):
        for path in (layout.ROOT / folder).glob("[a-z]*.py"):
            assert f"{path.stem}_{kind}.html" in pages
    for path in (layout.ROOT / "roles").iterdir():
        assert f"{path.name}_role.html" in pages
    for path in (layout.ROOT / "docs/docsite/rst").glob("*.rst"):
        assert f"docsite/{path.stem}.html" in pages
    text = (html / "docsite/messages.html").read_text(encoding="utf-8")
    assert "lies in the recycle bin" in text, "the list of messages was put in"


def test_no_link_is_broken(html: Path, pages: dict[str, Page]) -> None:
    broken = []
    for name, page in pages.items():
        for link in page.links:
            goal = place(name, link)
            if goal is None:
                continue
            target, anchor = goal
            if target in pages:
                if anchor and anchor not in pages[target].anchors:
                    broken.append(f"{name}: {link} (no such place on the page)")
            elif not (html / target).is_file():
                broken.append(f"{name}: {link}")
        broken += [
            f"{name}: {source}"
            for source in page.sources
            if (goal := place(name, source)) is None or not (html / goal[0]).is_file()
        ]
    assert not broken, "\n".join(broken)


def test_links_into_the_clone_name_files_that_are_there(html: Path) -> None:
    prefix = "https://github.com/mail2fax/m365/blob/main/"
    named = set()
    for path in html.rglob("*.html"):
        named |= set(re.findall(rf'href="{re.escape(prefix)}([^"#?]+)"', path.read_text(encoding="utf-8")))
    assert named
    assert not [name for name in named if not (layout.ROOT / name).is_file()]


def test_nothing_is_loaded_from_elsewhere(pages: dict[str, Page]) -> None:
    assert not [source for page in pages.values() for source in page.sources if "//" in source]


def test_pages_are_whole(pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        assert not page.problems, name
        assert page.headings == 1 or name in MACHINERY, name
        assert not page.pictures_without_words, name


def test_every_page_can_be_reached(pages: dict[str, Page]) -> None:
    seen, todo = set(), ["index.html"]
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        goals = [place(name, link) for link in pages[name].links]
        todo += [goal[0] for goal in goals if goal is not None and goal[0] in pages]
    lonely = {name for name in pages if name not in seen} - MACHINERY
    # An index that antsibull-docs writes in any case; there is nothing in it.
    assert lonely <= {"environment_variables.html"}


@pytest.fixture(scope="module")
def chromium() -> t.Iterator[browser.Browser]:
    if browser.program() is None:
        pytest.skip("no browser is installed")
    with browser.Browser() as running:
        yield running


def test_pages_fit_a_phone_and_a_screen(html: Path, pages: dict[str, Page], chromium: browser.Browser) -> None:
    """No page scrolls sideways (what is wide on it does), and no script complains. A picture of each is kept.

    All guides, and of the pages that are made alike, one for each plugin or role, some by the commit.
    """
    faults = []
    guides = [name for name in pages if name.startswith("docsite/")]
    assert guides
    alike = [name for name in pages if name not in guides]
    for name in [*guides, *sample(alike, 20, of="pages")]:
        for width in (PHONE, WIDE):
            look = chromium.open(html / name, width=width, phone=width == PHONE)
            faults += [f"{name}, {width}: {complaint}" for complaint in look.complaints]
            if look.width > width:
                faults.append(f"{name}, {width}: is {look.width} wide")
            # Text that is wider than the screen, in a table that could have been narrower, is read word by word.
            if width == PHONE:
                wide = chromium.evaluate(
                    "[...document.querySelectorAll('table')].filter(table => table.offsetWidth > innerWidth"
                    " && (table.matches('.ansible-option-table') || table.rows[0].cells.length < 3)).length"
                )
                faults += [f"{name}, {width}: {wide} tables of two columns run over"] * bool(wide)
            chromium.picture(OUTPUT / f"{name.removesuffix('.html').replace('/', '-')}-{width}.png")
    assert not faults, "\n".join(faults)


def test_the_architecture_can_be_printed(html: Path, chromium: browser.Browser) -> None:
    chromium.open(html / "docsite/architecture.html", width=WIDE)
    assert chromium.pdf(OUTPUT / "architecture.pdf").read_bytes().startswith(b"%PDF-")


WORDS_OF_CLIENTS = {
    "msmtp": (
        "msmtp: Cannot send command because it is longer than 4094 characters. Increase SMTP_MAXCMDLEN.",
        "The token is too long for the client",
    ),
    "msmtp, no token": ("msmtp: cannot read output of 'cat /etc/fax/token'", "There is no token"),
    "curl": ("curl: (8) Weird server reply", "SMTP: the sender is refused at the end of a message"),
    "getmail6": (
        "getmailrc: operation error (IMAP error (CAPABILITY command error: BAD [b'User is authenticated but not"
        " connected.']))",
        "IMAP: signed in, and the mailbox does not open",
    ),
    "mutt": ("SMTP session failed: 500 5.3.3 Unrecognized command", "SMTP: the sign-in is refused (535 5.7.3)"),
    "nodemailer": (
        "Error: Invalid login: 535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the"
        " Mailbox. [ZR0P278CA0123.CHEP278.PROD.OUTLOOK.COM 2027-01-05T08:11:12.345Z 08DE3B9A1F2C4D5E]",
        "SMTP: SMTP AUTH is switched off (535 5.7.139)",
    ),
    "emailproxy": (
        "Email OAuth 2.0 Proxy: Login failed for account fax@contoso.com - please check your internet connection and"
        " retry",
        "Entra refuses the client's own request for a token",
    ),
}
"""What a person has in hand, with names of their own in it -> the heading that the cause has."""


@pytest.mark.parametrize("name", WORDS_OF_CLIENTS)
def test_the_search_box_finds_the_cause_by_the_words_of_a_client(
    html: Path, chromium: browser.Browser, name: str
) -> None:
    words, cause = WORDS_OF_CLIENTS[name]
    chromium.open(html / "search.html", width=WIDE)
    asked = (
        f"Search._performSearch(...Search._parseQuery({json.dumps(words)})).reverse().slice(0, 2).map(row => row[0])"
    )
    assert "docsite/when_it_fails" in chromium.evaluate(asked)
    # On that page the words stand under the heading of the cause.
    chromium.open(html / "docsite/when_it_fails.html", width=WIDE)
    headings, begins = "[...document.querySelectorAll('h3')]", f"one => one.textContent.startsWith({json.dumps(cause)})"
    section = chromium.evaluate(f"{headings}.find({begins}).closest('section').innerText")
    rare = [word for word in re.findall(r"[A-Za-z_]{5,}", words) if word in section]
    assert len(rare) >= 2, section


def test_the_search_box_finds_nothing_for_words_that_are_nowhere(html: Path, chromium: browser.Browser) -> None:
    chromium.open(html / "search.html", width=WIDE)
    nothing = "Search._performSearch(...Search._parseQuery('zyxwvut qponmlk')).length"
    assert chromium.evaluate(nothing) == 0
