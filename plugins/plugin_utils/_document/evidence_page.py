# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The first page of an evidence pack: one file of HTML for an auditor, to read and to print.

It runs no script and loads nothing. Whatever comes from a tenant is escaped. Its template lies beside the sheet's.
"""

from __future__ import annotations

import functools
import typing as t

import jinja2

from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import pages, ways
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.words import spoken

if t.TYPE_CHECKING:
    from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.evidence_answer import Answer

Json = dict[str, t.Any]
_WRONG, _PROVEN = "not as declared", "proven"


@functools.cache
def _template() -> jinja2.Template:
    return pages.template("evidence.html.j2")


def page(
    facts: t.Mapping[str, Json],
    answers: t.Sequence[Answer],
    files: t.Mapping[str, str],
    about: t.Mapping[str, t.Any],
) -> str:
    """``facts``: the pack's documents by file name; ``files``: what each file of a pack is. Raises ValueError or
    ZoneInfoNotFoundError for an unknown time zone in ``about``."""
    audit, proofs = facts["audit.json"], facts["proofs.json"]
    wrong = [one for one in answers if one.state == _WRONG]
    verdicts = {str(row["mailbox"]).casefold(): row for row in proofs["verdicts"]}
    rows = [
        {
            "mailbox": row["mailbox"],
            "meant": "open" if row["expected"] == "opened" else "shut",
            "exchange": verdicts.get(str(row["mailbox"]).casefold(), {}).get("verdict"),
            "way": ways.called(str(row["protocol"] or "")),
            "seen": ways.seen(row["verdict"]),
            "right": row["as_expected"] is not False,
            "at": row["at"],
            "request": row["request_id"],
            "reason": row["reason"] if row["as_expected"] is False else None,
        }
        for row in [*proofs["opened"], *proofs["refused"]]
    ]
    tenant = audit["tenant"]
    return _template().render(
        host=audit["host"],
        where=tenant["domain"] or tenant["id"] or audit["host"],
        tenant=tenant,
        subject=audit["application"]["display_name"] or "The fax server's application",
        subject_id=audit["ids"]["application_id"],
        at=audit["at"],
        outcome=audit["outcome"],
        removing=audit.get("removing") if audit["state"] == "removing" else None,
        stopped=[
            f"{spoken(step['step'])}: {step['summary']}"
            for step in audit["steps"]
            if step["outcome"] in ("blocked", "failed")
        ],
        wrong=wrong,
        counted={
            state: sum(one.state == state for one in answers) for state in dict.fromkeys(a.state for a in answers)
        },
        answers=answers,
        proofs=rows,
        verdict_request_ids=proofs["verdict_request_ids"],
        files={**files, "manifest.json": "each file with its SHA-256 sum, for machines"},
        versions=facts["versions.json"],
        prepared_by=about.get("prepared_by") or "",
        ticket=about.get("ticket") or "",
        zone=str(about.get("zone") or "UTC"),
    )
