# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The hand-over sheet: one page of HTML for whoever sets the fax server up.

The page's template lies beside this file. It is compiled when this file is imported, so once for a run: a template task
would compile it anew for every tenant.
"""

from __future__ import annotations

import shlex
import typing as t
from pathlib import Path

import jinja2

from ansible_collections.mail2fax.m365.plugins.module_utils import _steps
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.times import readable_time

_environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent),
    undefined=jinja2.StrictUndefined,
    autoescape=True,
    trim_blocks=True,
)
_environment.filters["quote"] = shlex.quote
_environment.filters["readable_time"] = readable_time
_PAGE = _environment.get_template("sheet.html.j2")


def render(document: t.Mapping[str, t.Any], profile: t.Mapping[str, t.Any], **about: t.Any) -> str:
    """The page. ``document`` is a run's result (see _document), ``profile`` the vendor's (see _profile).

    ``about`` has ``host`` (the inventory's name of the tenant), ``cloud``, ``zone`` (IANA name of the time zone),
    ``contacts`` (whom to call, by ``fax``, ``entra`` and ``exchange``), ``prepared_by`` and ``ticket`` (may be
    empty).
    Raises ValueError or ZoneInfoNotFoundError for an unknown time zone.
    """
    labels = {step.key: step.label for step in _steps.STEPS.values()}
    return _PAGE.render(doc=document, profile=profile, steps_in_words=labels, **about)
