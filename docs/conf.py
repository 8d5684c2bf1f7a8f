# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation site, as Sphinx builds it from what antsibull-docs wrote (see tests/tools/docs.py)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

project = "mail2fax.m365"
copyright = "2026, the mail2fax.m365 authors"
author = "the mail2fax.m365 authors"
title = "mail2fax.m365"
html_title = "mail2fax.m365"
html_short_title = "mail2fax.m365"
language = "en"

extensions = ["sphinx_antsibull_ext"]
default_role = "any"
highlight_language = "YAML+Jinja"
pygments_style = "ansible"
smartquotes = False
# Ansible's own modules are named in the reference. Their pages lie on another site, which is not asked when this one is
# built: a build needs no network, and says the same everywhere.
intersphinx_mapping: dict[str, tuple[str, str | None]] = {}
suppress_warnings = ["ref.ref"]

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_js_files = ["search.js"]
html_copy_source = False
html_show_sphinx = False
html_show_sourcelink = False
html_theme_options = {
    "navigation_with_keys": True,
    "top_of_page_buttons": [],
    "light_css_variables": {"color-brand-primary": "#0b5c8a", "color-brand-content": "#0b5c8a"},
    "dark_css_variables": {"color-brand-primary": "#7cc4ee", "color-brand-content": "#7cc4ee"},
}

INTRODUCTION = Path(__file__).with_name("introduction.rst")
CONTENTS = re.compile(r"^\.\. contents::\n(?:   :.*\n)+", re.MULTILINE)
HEADING = re.compile(r"^(?P<words>\S.*)\n(?:-+|~+)\n", re.MULTILINE)
TOCTREE = re.compile(r"^\.\. toctree::\n(?:    :.*\n)+\n(?P<pages>(?:    \S+\n)+)", re.MULTILINE)
REFERENCE = re.compile(r"^    (?P<page>(?P<name>\w+)_(?:module|role|filter|lookup))$", re.MULTILINE)


def first_page(text: str) -> str:
    """The site's first page: our own introduction, and antsibull-docs' lists, whose pages get short names."""
    parts = [INTRODUCTION.read_text(encoding="utf-8")]
    position = text.index("\n\n", text.index(".. toctree::"))  # of the first, empty one
    for tree in TOCTREE.finditer(text, position):
        before = text[position : tree.start()]
        heading = [*HEADING.finditer(before)][-1]["words"].replace(" Index", "s")
        pages = REFERENCE.sub(r"    \g<name> <\g<page>>", tree["pages"])
        if "docsite/" in pages:
            # The introduction itself names the guides, with what is in them.
            before = ""
        parts.append(f"{before}\n.. toctree::\n    :hidden:\n    :caption: {heading}\n\n{pages}")
        position = tree.end()
    return "\n".join(parts)


def adapt(app: Any, docname: str, source: list[str]) -> None:
    """Take out what this theme brings by itself: each page's list of contents."""
    text = CONTENTS.sub("", source[0])
    source[0] = first_page(text) if docname == "index" else text


def setup(app: Any) -> None:
    app.connect("source-read", adapt)
