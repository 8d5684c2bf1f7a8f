# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What a run came to: its document, and what that amounts to."""

from __future__ import annotations

import typing as t

from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import compose, record, words

Json = dict[str, t.Any]


def result(results: t.Mapping[str, t.Any], context: t.Mapping[str, t.Any]) -> Json:
    """``document``, ``changed`` (whether it tells anything of the tenant that the last one did not), ``outcome``,
    ``summary`` and ``complaint``; for ``results`` and ``context`` see compose. Raises ValueError."""
    kind = context.get("kind") or "provision"
    if kind not in words.STEPS:
        raise ValueError(f"the kind is {kind!r}, not one of {', '.join(words.STEPS)}")
    for key in ("host", "profile"):
        if not context.get(key):
            raise ValueError(f"the context lacks {key}")
    document = compose.compose(results, context)
    return {
        "document": document,
        "changed": not record.same(document, record.read(context.get("previous"), str(context["host"])).document),
        "outcome": document["outcome"],
        "summary": words.headline(document),
        "complaint": words.complaint(document),
    }
