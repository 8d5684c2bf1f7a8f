# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What a removal left behind, and why."""

from __future__ import annotations

import typing as t

from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.run import Run
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.times import readable_time
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.words import some

Json = dict[str, t.Any]


def leftovers(run: Run) -> list[str]:
    """Sentences for people."""
    found = [str(reason) for reason in run.context.get("kept") or [] if reason]
    application = run.good("application")
    if run.previous.get("state") == "removed" and not run.of("application"):
        # It was gone before this run, which had nothing to look at: what stayed then is still there.
        found += [text for text in run.previous.get("leftovers") or [] if text not in found]
    if application.get("recoverable_until"):
        found.append(
            "The application lies in the recycle bin until "
            f"{readable_time(application['recoverable_until'], date_only=True)}; it can be restored from there."
        )
    for entry in run.good("admin_consent").get("foreign") or []:
        names = [*(entry.get("application") or []), *(entry.get("delegated") or [])]
        if names and not application.get("recoverable_until"):
            why = "" if run.previous.get("ours") is None else ", which no run of this collection granted"
            found.append(f"The application keeps {some(names)} of {entry.get('resource')}{why}.")
    others = [
        str(policy.get("scope_name") or policy.get("identity"))
        for policy in run.good("access_policy").get("other_policies") or []
        if policy.get("app_id") != "*"
    ]
    if others:
        found.append(f"Other access policies of the application stay: {some(others)}.")
    group = run.good("scope_group")
    if group.get("left_over"):
        found.append(f"In the group stay: {some(group['left_over'])}.")
    if group.get("group"):
        found.append(f"The group {group['group'].get('name')} stays{_group_stays(run, group)}.")
    return found


def _group_stays(run: Run, result: Json) -> str:
    if result["group"].get("made_here") is not False:
        return ""
    gone, members = result.get("members_removed") or [], result.get("members") or []
    if gone:
        return f", because others made it; {some(gone)} left it"
    if run.previous.get("ours") is not None or not members:
        return ", because others made it"
    return f", because others made it; no record tells which of its members a run put there: {some(members)}"
