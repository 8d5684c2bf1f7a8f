# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first page of an evidence pack in a browser: it fits where it is read and printed, and runs no script. Pictures
are kept."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest

from tests.docs import browser
from tests.docs.test_sheet import LONG, OUTPUT
from tests.unit.evidence_packs import BOSS, FULL, pack, probe, results, text
from tests.unit.reach_reports import ADELE, FAX, HOSTILE

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(browser.program() is None, reason="no browser is installed"),
]

WRONG = results(
    admin_consent={"foreign": [{**FULL, "application": ["Mail.Read"]}]},
    mailbox_probe={
        "probes": [
            probe(FAX, "opened", "opened"),
            probe(ADELE, "refused", "opened"),
            probe(BOSS, "refused", "refused"),
        ],
        "outcome": "blocked",
    },
)
STRANGE = results(scope_group={"group": {"name": LONG, "owners": [LONG, HOSTILE], "guid": "g"}})
STRANGE["mailbox_probe"]["probes"] = [
    probe(LONG, "opened", "opened", request_id=LONG),
    probe(HOSTILE, "refused", "refused"),
]
STRANGE["credentials"]["applications"][0]["display_name"] = LONG
PAGES: dict[str, t.Any] = {
    "declared": {},
    "wrong": {"found": WRONG},
    "strange": {"found": STRANGE, "ticket": LONG, "prepared_by": HOSTILE},
    "unread": {"found": {"preflight": results()["preflight"]}, "report": {}},
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_of_evidence_fits_every_screen(name: str, chromium: browser.Browser, tmp_path: Path) -> None:
    content = text(pack(**PAGES[name]), "index.html")
    page = tmp_path / f"{name}.html"
    page.write_text(content, encoding="utf-8")
    for width in (1280, 840, 390):
        look = chromium.open(page, width=width, phone=width < 500)
        assert look.complaints == ()
        assert look.width <= width, f"scrolls sideways at {width}"
        chromium.picture(OUTPUT / f"evidence-{name}-{width}.png", full=True)
    assert chromium.evaluate("document.scripts.length") == 0
    assert chromium.evaluate("[...document.querySelectorAll('article')].length") == 9
    assert "http" not in content.replace("http-equiv", "")
    printed = chromium.pdf(OUTPUT / f"evidence-{name}.pdf").read_bytes()
    if name == "declared":
        assert len(re.findall(rb"/Type\s*/Page\b", printed)) <= 4
