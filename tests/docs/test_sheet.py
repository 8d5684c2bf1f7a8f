# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hand-over sheet in a browser: it fits where it is read, and on the paper it is printed on. Pictures are kept."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest

from tests.docs import browser
from tests.tools import layout
from tests.unit.roles.test_sheet import document, render, tried

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(browser.program() is None, reason="no browser is installed"),
]

OUTPUT = layout.ROOT / "tests/output/pages"
WIDTHS = (1280, 840, 390)
LONG = "incoming-facsimiles-accounts-payable-northern-europe@subsidiary.international.contoso-holdings.example.com"
CONTACTS = {"entra": "Contoso IT, +39 0584 000000", "exchange": "Contoso IT, +39 0584 000000", "fax": "fax@contoso.com"}


def box(address: str, **changes: t.Any) -> dict[str, t.Any]:
    return {**document()["mailboxes"][0], "mailbox": address, **changes}


SHUT = box("AdeleV@contoso.com", expected="denied", verdict="Denied", probe="denied_by_policy")
UNTIL = "2026-11-22T12:00:00Z"
SHEETS: dict[str, dict[str, t.Any]] = {
    "ready": document(mailboxes=[box("fax@contoso.com"), SHUT]),
    "many": document(mailboxes=[*(box(f"fax.{number:02}@contoso.com") for number in range(1, 17)), box(LONG), SHUT]),
    "long": document(
        mailboxes=[box(LONG), {**SHUT, "mailbox": "x" * 64 + "@contoso.onmicrosoft.com"}],
        tenant={"id": "969d5b92-bc05-403f-b576-97201b665e65", "domain": LONG.partition("@")[2], "name": "Contoso " * 9},
    ),
    "wait": document(
        state="wait",
        outcome="pending",
        mailboxes=[box("fax@contoso.com", probe="denied_by_policy", as_expected=False), SHUT],
        pending=[
            {"step": "mailbox_probe", "what": "fax@contoso.com is refused, the policy is not in force", "until": UNTIL}
        ],
        pending_until=UNTIL,
    ),
    "draft": document(
        state="draft",
        outcome="blocked",
        ids={"application_id": None},
        secret=None,
        mailboxes=[box("fax@contoso.com", verdict=None, verdict_at=None, probe=None, probe_at=None, as_expected=None)],
        steps=[
            {"step": "application", "outcome": "blocked", "summary": "taken", "msg": f"The name is taken: {LONG * 3}."}
        ],
    ),
    "removed": document(state="removed", secret=None, leftovers=["The group stays."]),
}

BOTH = [
    tried("fax@contoso.com", "granted", imap="opened", smtp="signed_in"),
    tried("AdeleV@contoso.com", "denied", imap="no_mailbox", smtp="signed_in"),
]
SENT = [tried("fax@contoso.com", "granted", smtp="opened"), tried("AdeleV@contoso.com", "denied", smtp="refused")]
READ = [
    tried("fax@contoso.com", "granted", graph="opened"),
    tried("AdeleV@contoso.com", "denied", graph="out_of_scope"),
]
ROLE = {"step": "mailbox_probe", "what": "SMTP as fax@contoso.com is refused, the role is not in force", "until": UNTIL}
# By profile and, where it is not the profile's own, model.
PROFILES: dict[str, tuple[str, t.Any, dict[str, t.Any]]] = {
    "imap-smtp": ("imagicle_imap_smtp", None, document(mailboxes=[tried(LONG, "granted", imap="opened"), *BOTH])),
    "least": (
        "imap_smtp_least",
        None,
        document(mailboxes=BOTH, state="wait", outcome="pending", pending=[ROLE], pending_until=UNTIL),
    ),
    "send": ("smtp_send", None, document(mailboxes=SENT)),
    "graph": ("graph_mail", None, document(mailboxes=READ)),
    "calendar": ("imagicle_attendant_calendar", None, document(mailboxes=READ)),
    "everything": (
        "graph_mail",
        "tenant_wide",
        document(mailboxes=READ[:1], tenant_wide=f"CHG 0012345, agreed {LONG}"),
    ),
}


def page_of(name: str) -> str:
    if name in SHEETS:
        return render(SHEETS[name], handover_contacts=CONTACTS)
    profile, scoping, told = PROFILES[name]
    return render(told, profile, scoping, handover_contacts=CONTACTS)


@pytest.mark.parametrize("name", [*SHEETS, *PROFILES])
def test_a_sheet_fits_every_screen(name: str, chromium: browser.Browser, tmp_path: Path) -> None:
    page = tmp_path / f"{name}.html"
    page.write_text(page_of(name), encoding="utf-8")
    for width in WIDTHS:
        look = chromium.open(page, width=width, phone=width < 500)
        assert look.complaints == ()
        assert look.width <= width, f"scrolls sideways at {width}"
        chromium.picture(OUTPUT / f"sheet-{name}-{width}.png", full=True)
        # A cell that is a few letters wide says nothing, and a text that runs over its cell covers the next one.
        cells = chromium.evaluate(
            "[...document.querySelectorAll('main td, main tbody th')].map(cell =>"
            " [cell.textContent.trim(), cell.getBoundingClientRect().width, cell.scrollWidth - cell.clientWidth])"
        )
        for text, wide, over in cells:
            assert wide >= (40 if text in ("993", "587", "443") else 70), (width, text)
            assert over <= 1, (width, text)
            if width == 390:
                assert wide > 300, (width, text)


@pytest.mark.parametrize("name", ["ready", "wait", "long", "draft", "removed"])
def test_a_sheet_is_one_page_on_paper(name: str, chromium: browser.Browser, tmp_path: Path) -> None:
    page = tmp_path / f"{name}.html"
    page.write_text(render(SHEETS[name], handover_contacts=CONTACTS), encoding="utf-8")
    chromium.open(page, width=840)
    printed = chromium.pdf(OUTPUT / f"sheet-{name}.pdf").read_bytes()
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 1


@pytest.mark.parametrize("name", PROFILES)
def test_a_sheet_of_several_ways_has_what_is_typed_on_its_first_page(
    name: str, chromium: browser.Browser, tmp_path: Path
) -> None:
    page = tmp_path / f"{name}.html"
    page.write_text(page_of(name), encoding="utf-8")
    chromium.open(page, width=840)
    printed = chromium.pdf(OUTPUT / f"sheet-{name}.pdf").read_bytes()
    # What goes wrong, if it is much, is the other side of the paper.
    turned = chromium.evaluate("document.querySelectorAll('h2.turn').length")
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 1 + turned


def test_the_keyboard_reaches_the_only_link_and_nothing_else(chromium: browser.Browser, tmp_path: Path) -> None:
    page = tmp_path / "ready.html"
    page.write_text(render(SHEETS["ready"]), encoding="utf-8")
    chromium.open(page, width=840)
    assert chromium.evaluate(
        "[...document.querySelectorAll('*')].filter(e => e.tabIndex >= 0).map(e => e.tagName)"
    ) == ["A"]
