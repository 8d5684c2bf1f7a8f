# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A browser without a window, for looking at pages that lie on this machine. It is given no network.

Run as a program, it draws a page: ``browser.py PAGE.html PICTURE.png``.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions"),
    # Whatever is not on this machine is not there.
    "--host-resolver-rules=MAP * ~NOTFOUND",
)


class BrowserError(RuntimeError):
    """The browser did not do what it was asked for."""


def program() -> str | None:
    """The browser's path; None where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def picture(page: Path, target: Path, *, width: int, height: int, scale: float = 1) -> Path:
    """A PNG of the page's upper left part, ``width`` by ``height`` CSS pixels. Raises BrowserError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    _run(page, f"--screenshot={target}", f"--window-size={width},{height}", f"--force-device-scale-factor={scale}")
    if not target.is_file():
        raise BrowserError(f"no picture of {page}")
    return target


def document(page: Path, *, width: int, height: int = 900) -> str:
    """The page's HTML after its scripts have run. Raises BrowserError."""
    return _run(page, "--dump-dom", f"--window-size={width},{height}", "--virtual-time-budget=2000")


def pdf(page: Path, target: Path) -> Path:
    """The page as it is printed. Raises BrowserError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    _run(page, f"--print-to-pdf={target}", "--no-pdf-header-footer")
    return target


def _run(page: Path, *words: str) -> str:
    browser = program()
    if browser is None:
        raise BrowserError(f"none of {', '.join(NAMES)} is installed")
    with tempfile.TemporaryDirectory(prefix="m365-browser-") as folder:
        command = [browser, *FLAGS, f"--user-data-dir={folder}", *words, page.resolve().as_uri()]
        try:
            answer = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
        except subprocess.TimeoutExpired:
            raise BrowserError(f"the browser did not come to an end with {page}") from None
    if answer.returncode:
        raise BrowserError(answer.stderr[-2000:])
    return answer.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description="Draw the upper part of a page that lies on this machine.")
    parser.add_argument("page", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--width", type=int, default=960)
    parser.add_argument("--height", type=int, default=985)
    parser.add_argument("--instead", nargs=2, metavar=("TEXT", "OTHER"), help="draw OTHER where the page has TEXT")
    given = parser.parse_args()
    if program() is None:
        print(f"No browser ({', '.join(NAMES)}): {given.picture} stays as it is.")
        return 0
    try:
        with tempfile.TemporaryDirectory(prefix="m365-browser-") as folder:
            text, other = given.instead or ("", "")
            copy = Path(folder, given.page.name)
            html = given.page.read_text(encoding="utf-8")
            copy.write_text(html.replace(text, other) if text else html, encoding="utf-8")
            picture(copy, given.picture.resolve(), width=given.width, height=given.height)
    except (BrowserError, OSError) as error:
        print(f"browser: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
