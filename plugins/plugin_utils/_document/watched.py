# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What an audit watches."""

from __future__ import annotations

import typing as t

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _credentials
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import calendar
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.run import Run
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.times import instant, iso, readable_time

Json = dict[str, t.Any]


def last_good_at(run: Run, outcome: str) -> str | None:
    """When something was last known of the tenant for certain."""
    if run.mode == "audit":
        looked = run.good("reach" if run.kind == "reach" else "credentials")
        return iso(run.at) if run.reached() and looked else known_at(run)
    if run.mode == "apply" and outcome not in ("blocked", "failed"):
        return iso(run.at)
    return run.previous.get("last_good_at")


def watched(run: Run) -> Json:
    """``credentials`` as far as they are known, the exposure to EWS, what the application reaches, and the calendar; of
    a tenant out of reach since when."""
    found: Json = {
        "reached": run.reached(),
        "unknown_since": None if run.reached() else known_at(run),
        "reach": run.good("reach").get("reach") or _last_reach(run),
        "calendar": _calendar(run),
    }
    return found if run.kind == "reach" else {**found, "credentials": credentials(run), "ews": _ews(run)}


def _last_reach(run: Run) -> Json | None:
    """As an earlier audit saw it; what had changed then is no news any more."""
    found = run.audited.get("reach")
    return {**found, "changes": []} if isinstance(found, dict) and run.kind != "reach" else None


def _calendar(run: Run) -> Json | None:
    if run.previous.get("state") in ("removing", "removed"):
        return None
    return calendar.calendar(
        [run.context["profile"], run.previous.get("profile") or {}], run.previous.get("migration"), run.at
    )


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
