# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What an audit watches."""

from __future__ import annotations

import typing as t

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _credentials
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.run import Run
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.times import instant, iso, readable_time

Json = dict[str, t.Any]


def last_good_at(run: Run, outcome: str) -> str | None:
    """When something was last known of the tenant for certain."""
    if run.mode == "audit":
        return iso(run.at) if run.reached() and run.good("credentials") else known_at(run)
    if run.mode == "apply" and outcome not in ("blocked", "failed"):
        return iso(run.at)
    return run.previous.get("last_good_at")


def watched(run: Run) -> Json:
    """``credentials`` as far as they are known, and the exposure to EWS; of a tenant out of reach since when."""
    return {
        "reached": run.reached(),
        "unknown_since": None if run.reached() else known_at(run),
        "credentials": credentials(run),
        "ews": _ews(run),
    }


def known_at(run: Run) -> str | None:
    return max(
        (str(document["last_good_at"]) for document in (run.previous, run.audited) if document.get("last_good_at")),
        default=None,
    )


def since(run: Run) -> str:
    at = known_at(run)
    return f"unknown since {readable_time(at)}" if at else "unknown"


def credentials(run: Run) -> list[Json]:
    found = run.good("credentials")
    recorded = run.previous.get("secret") or {}
    if found:
        in_use = run.good("client_secret").get("key_id") or recorded.get("key_id")
        name = str(run.names.get("secret") or "")
        rows = [
            row
            for application in found.get("applications") or []
            for row in _credentials.listed(application, name, in_use)
        ]
    else:
        rows = _credentials.carried(run.audited.get("credentials") or [], recorded)
    return _credentials.judged(rows, run.thresholds, run.at)


def _ews(run: Run) -> Json | None:
    ews = run.meant() and run.good("preflight").get("ews")
    if not ews:
        return run.audited.get("ews")
    found = {key: ews.get(key) for key in ("EwsEnabled", "EwsAllowedAppIDs", "allowed")}
    sunset = run.context["profile"].get("sunset")
    if sunset:
        end = instant(sunset["date"])
        found.update(ends_on=str(sunset["date"]), days_left=(end.date() - run.at.date()).days if end else None)
    return found
