# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of all tenants in a browser: it fits where it is read and printed, sorts, filters, and runs its own script
alone. Pictures are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _fleet_page, _fleet_report
from tests.docs import browser
from tests.docs.test_sheet import LONG, OUTPUT
from tests.unit import fleet_reports as made
from tests.unit.fleet_reports import AT, audit, blocked, mailbox, record, texts

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(browser.program() is None, reason="no browser is installed"),
]

HOSTILE = "</script><img src=x onerror='window.stolen = 1'>"
EXTREME = {
    LONG: texts(),
    "stuck": texts(
        record("stuck", tenant={"id": "x" * 36, "domain": LONG, "name": LONG}, mailboxes=[mailbox(LONG, meant=False)]),
        audit("stuck", outcome="blocked", steps=[blocked("preflight", LONG * 2)], tenant_wide=LONG),
    ),
    HOSTILE: texts(),
}
PAGES = {"300": made.fleet(300), "long": EXTREME, "one": {"one": texts(record("one"))}}


def written(name: str, folder: Path) -> Path:
    page = folder / f"{name}.html"
    page.write_text(_fleet_page.page(_fleet_report.report(PAGES[name], AT)), encoding="utf-8")
    return page


@pytest.mark.parametrize("name", PAGES)
def test_the_page_of_all_tenants_fits_every_screen(name: str, chromium: browser.Browser, tmp_path: Path) -> None:
    page = written(name, tmp_path)
    for width in (1360, 390):
        look = chromium.open(page, width=width, phone=width < 500)
        assert look.complaints == ()
        assert look.width <= width, f"scrolls sideways at {width}"
        chromium.picture(OUTPUT / f"fleet-{name}-{width}.png")
        over = chromium.evaluate(
            "[...document.querySelectorAll('tbody td, tbody th')].filter(c => c.scrollWidth > c.clientWidth + 1).length"
        )
        assert over == 0, f"a cell is too narrow at {width}"
    assert chromium.evaluate("window.stolen") is None
    chromium.pdf(OUTPUT / f"fleet-{name}.pdf")


SEEN = "[...document.querySelectorAll('tbody tr')].filter(row => !row.hidden).map(row => row.cells[0].innerText)"


def test_columns_sort_and_the_box_filters_rows_and_dots(chromium: browser.Browser, tmp_path: Path) -> None:
    chromium.open(written("300", tmp_path), width=1360)
    first = chromium.evaluate(SEEN)
    assert len(first) == 300
    click = "document.querySelector('thead th:nth-child({0}) button').click()"
    chromium.evaluate(click.format(1))
    assert [row.split()[0] for row in chromium.evaluate(SEEN)[:2]] == ["customer001", "customer002"]
    chromium.evaluate(click.format(1))
    assert chromium.evaluate(SEEN)[0].startswith("customer300")
    write = (
        "(() => {{ const box = document.getElementById('filter'); box.value = {0};"
        " box.dispatchEvent(new Event('input')); return document.getElementById('told').textContent; }})()"
    )
    assert chromium.evaluate(write.format("'CUSTOMER20  blocked'")) == "2 of 300 tenants"
    assert sorted(row.split()[0] for row in chromium.evaluate(SEEN)) == ["customer201", "customer203"]
    dots = "document.querySelectorAll('svg a:not(.off)').length"
    assert chromium.evaluate(dots) == 1 or chromium.evaluate(dots) == 2
    assert chromium.evaluate(write.format("'<b>'")) == "0 of 300 tenants"
    assert chromium.evaluate("!document.getElementById('none').hidden")
    chromium.evaluate(write.format("''"))
    chromium.evaluate("document.querySelector('button[data-urgency=now]').click()")
    assert chromium.evaluate("document.getElementById('told').textContent") == "12 of 300 tenants"


def test_no_script_runs_but_the_page_s_own(chromium: browser.Browser, tmp_path: Path) -> None:
    page = written("one", tmp_path)
    text = page.read_text(encoding="utf-8")
    page.write_text(text.replace("<footer>", "<script>window.stolen = 1</script><footer>"), encoding="utf-8")
    look = chromium.open(page, width=840)
    assert chromium.evaluate("window.stolen") is None
    assert any("Content Security Policy" in told for told in look.complaints)
