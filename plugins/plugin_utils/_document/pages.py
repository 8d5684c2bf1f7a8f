# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""How the pages are made that tell of whole tenants: every text is escaped, and a script runs by its digest alone."""

from __future__ import annotations

import base64
import hashlib
import typing as t
from pathlib import Path

import jinja2

from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.table import plain
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.times import readable_time


def template(name: str, **filters: t.Callable[..., t.Any]) -> jinja2.Template:
    """A template that lies beside the sheet's, with ``filters`` of its own. It is compiled here: ask in a run that
    makes the page, and once."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parents[1]),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        # A name may turn the reading direction or hold what nobody sees: such characters are spelled.
        finalize=lambda value: plain(value) if isinstance(value, str) and not hasattr(value, "__html__") else value,
    )
    environment.filters.update(readable_time=readable_time, digest=_digest, **filters)
    return environment.get_template(name)


def _digest(script: str) -> str:
    """By which a browser knows a script that it may run."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
