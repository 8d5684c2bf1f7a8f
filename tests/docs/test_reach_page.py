# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of reach in a browser: it fits where it is read and printed, sorts, filters, and runs no script but its own.
Pictures are kept."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import reach
from tests.docs import browser
from tests.docs.test_sheet import LONG, OUTPUT
from tests.unit import reach_reports
from tests.unit.reach_reports import ADELE, BUSY, FAX, HOSTILE, application, compose, opening, right, way

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(browser.program() is None, reason="no browser is installed"),
]

LAST = json.dumps(compose(opening(FAX), reach_reports.ARCHIVE, at="2026-11-21T07:00:00Z").document)
EXTREME = application(
    name=LONG * 2,
    mailboxes=[{"address": LONG, "ways": [way(limited_by=[LONG]), right("smtp", "SMTP.SendAsApp", why=LONG)]}],
    people=[{"id": "1", "name": LONG, "what": f"owner of {LONG}"}],
    powers=[{"permission": f"{'Very' * 12}.ReadWrite.All", "what": LONG, "opens": "others"}],
    missing=[LONG],
    complete=False,
)
PAGES = {
    "busy": compose(*BUSY, about={"previous": LAST}).document,
    "calm": compose(opening(FAX), about={"previous": json.dumps(compose(opening(FAX)).document)}).document,
    "long": compose(
        EXTREME, about={"declared": [LONG], "tenant": {"id": "x" * 36, "domain": LONG, "name": LONG}}
    ).document,
    "hostile": compose(opening(HOSTILE, FAX, display_name=HOSTILE, missing=[HOSTILE])).document,
}


def written(name: str, folder: Path) -> Path:
    page = folder / f"{name}.html"
    page.write_text(reach.page(PAGES[name]), encoding="utf-8")
    return page


@pytest.mark.parametrize("name", ["busy", "long", "hostile"])
def test_a_page_of_reach_fits_every_screen(name: str, chromium: browser.Browser, tmp_path: Path) -> None:
    page = written(name, tmp_path)
    for width in (1280, 390):
        look = chromium.open(page, width=width, phone=width < 500)
        assert look.complaints == ()
        assert look.width <= width, f"scrolls sideways at {width}"
        chromium.picture(OUTPUT / f"reach-{name}-{width}.png", full=True)
        cells = chromium.evaluate(
            "[...document.querySelectorAll('main tbody td, main tbody th')].map(cell =>"
            " [cell.textContent.trim(), cell.getBoundingClientRect().width, cell.scrollWidth - cell.clientWidth])"
        )
        for text, wide, over in cells:
            assert wide >= 50, (width, text)
            assert over <= 1, (width, text)
    chromium.pdf(OUTPUT / f"reach-{name}.pdf")


def test_a_page_of_a_usual_tenant_is_two_sheets_of_paper_at_most(chromium: browser.Browser, tmp_path: Path) -> None:
    for name, most in (("calm", 1), ("busy", 2)):
        chromium.open(written(name, tmp_path), width=840)
        printed = chromium.pdf(OUTPUT / f"reach-{name}.pdf").read_bytes()
        assert len(re.findall(rb"/Type\s*/Page\b", printed)) <= most, name


SEEN = (
    "[...document.querySelectorAll('table.{0} tbody tr')].filter(r => !r.hidden).map(r => r.cells[0].innerText.trim())"
)


def test_columns_sort_and_the_box_filters(chromium: browser.Browser, tmp_path: Path) -> None:
    chromium.open(written("busy", tmp_path), width=1280)
    seen = SEEN.format("reached")
    assert chromium.evaluate(seen) == [ADELE, FAX, FAX]
    click = "document.querySelector('table.reached thead th:nth-child({0}) button').click()"
    for column, wanted in ((1, [ADELE, FAX, FAX]), (1, [FAX, FAX, ADELE]), (2, [ADELE, FAX, FAX])):
        chromium.evaluate(click.format(column))
        assert chromium.evaluate(seen) == wanted
    assert chromium.evaluate("document.querySelectorAll('table.reached [aria-sort]').length") == 1
    write = (
        "(() => {{ const box = document.getElementById('filter'); box.value = {0};"
        " box.dispatchEvent(new Event('input')); return document.getElementById('told').textContent; }})()"
    )
    assert chromium.evaluate(write.format("'IMAP  dormant'")).startswith("2 of ")
    assert chromium.evaluate(seen) == [FAX]
    assert chromium.evaluate("document.querySelector('table.mighty').hidden")
    assert chromium.evaluate(write.format("'<b>'")).endswith('rows have "<b>"')
    assert chromium.evaluate(write.format("''")) == ""
    assert not chromium.evaluate("document.querySelector('table.mighty').hidden")


def test_no_script_runs_but_the_page_s_own(chromium: browser.Browser, tmp_path: Path) -> None:
    page = tmp_path / "injected.html"
    text = reach.page(PAGES["hostile"])
    bad = "<script>window.stolen = 1</script><img src=x onerror='window.stolen = 1'>"
    page.write_text(text.replace("<footer>", f"{bad}<footer>"), encoding="utf-8")
    look = chromium.open(page, width=840)
    assert chromium.evaluate("window.stolen") is None
    assert any("Content Security Policy" in told for told in look.complaints)
    # And as it is, nothing is asked for: the page of a hostile tenant complains of nothing (above).
    assert "http" not in text.replace("http-equiv", "")
