# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the documentation site into ``.build/docs/html``. Every warning of antsibull-docs and of Sphinx is an error.

Sphinx and its theme live in an environment of their own, ``.build/docs-venv``, which is made when it is missing.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.docs import browser
from tests.tools import doc_tables, layout, process

DOCS = layout.ROOT / "docs"
VENV = layout.BUILD / "docs-venv"
SITE = layout.BUILD / "docs"
NAME = "mail2fax.m365"
# What pages show beside their text, by the names they have in it.
SHOWN = {"pictures": DOCS / "pictures"}


class DocsError(Exception):
    """The site could not be built; the text says which part failed."""


def environment() -> Path:
    """Make the virtual environment, unless it was made from these very requirements, and return its ``bin``."""
    wanted = (DOCS / "requirements.txt").read_bytes()
    stamp = VENV / f".made-from-{hashlib.sha256(wanted).hexdigest()[:16]}"
    if not stamp.is_file():
        print(f"Making {VENV.relative_to(layout.ROOT)} (about half a minute) ...", file=sys.stderr, flush=True)
        shutil.rmtree(VENV, ignore_errors=True)
        # The pip of the tests' environment installs there as well as one of its own would.
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(VENV)], check=True)
        pip = [sys.executable, "-m", "pip", "--python", str(VENV / "bin/python"), "install"]
        pip += ["--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--requirement", str(DOCS / "requirements.txt")], check=True)
        stamp.touch()
    return VENV / "bin"


def step(what: str, command: list[str], env: dict[str, str]) -> None:
    if process.run(command, cwd=layout.ROOT, env=env):
        raise DocsError(f"{what} failed")


def build(site: Path = SITE, *, quiet: bool = False) -> Path:
    """Build the site anew below ``site``, which is emptied first, and return the pages' folder. Raises DocsError.

    Whoever builds in the default place does so within ``alone("docs")``.
    """
    tools = environment()
    home = layout.BUILD / "home"
    home.mkdir(parents=True, exist_ok=True)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "M365_", "PYTHON"))}
    env |= {
        # antsibull-docs and Sphinx from their environment, ansible-doc from the one that runs this.
        "PATH": os.pathsep.join([str(tools), str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "HOME": str(home),
        "ANSIBLE_HOME": str(home / ".ansible"),
        "ANSIBLE_COLLECTIONS_PATH": str(layout.live()),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LC_ALL": "C.UTF-8",
    }
    shutil.rmtree(site, ignore_errors=True)
    source, html = site / "rst", site / "html"
    source.mkdir(parents=True)
    words = ["--use-current", "--squash-hierarchy", "--fail-on-error", "--no-add-antsibull-docs-version"]
    step(
        "antsibull-docs",
        [str(tools / "antsibull-docs"), "collection", *words, "--dest-dir", str(source), NAME],
        env,
    )
    for name, folder in SHOWN.items():
        shutil.copytree(folder, source / name)
    page = source / "docsite/messages.rst"
    text = page.read_text(encoding="utf-8")
    page.write_text(text.replace(doc_tables.MESSAGES_MARK, doc_tables.message_lists()), encoding="utf-8")
    words = ["--fail-on-warning", "--keep-going", "--builder", "html", "--conf-dir", str(DOCS)]
    words += ["--doctree-dir", str(site / "doctrees"), *(["--quiet"] if quiet else [])]
    step("Sphinx", [str(tools / "sphinx-build"), *words, str(source), str(html)], env)
    return html


def test(words: list[str]) -> int:
    """Run the tests of the site and the guides, and return pytest's exit code.

    They build the site themselves. Its environment is made here, because tests have a home of their own, without the
    user's pip settings; and the browser is seen to, without which they would leave out how the pages look.
    """
    environment()
    try:
        browser.require()
    except browser.BrowserError as error:
        raise DocsError(str(error)) from None
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadfile", *words, "tests/docs"]
    return process.run(command, cwd=layout.ROOT, env=os.environ)


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the documentation site into .build/docs/html.")
    parser.add_argument("--test", action="store_true", help="test it instead; what follows is for pytest")
    arguments, words = parser.parse_known_args()
    if words and not arguments.test:
        parser.error(f"unknown: {' '.join(words)}")
    process.stop_cleanly()
    try:
        if arguments.test:
            return test(words)
        with layout.alone("docs"):
            html = build()
    except (DocsError, layout.LayoutError, subprocess.CalledProcessError) as error:
        print(f"docs: {error}", file=sys.stderr)
        return 1
    print(f"\n{html.relative_to(layout.ROOT)}/index.html")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("stopped")
