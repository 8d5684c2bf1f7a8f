# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What a tenant's app-management policies allow a client secret, read one way by the preflight and by the step.

A policy that is assigned to the application and enabled takes the place of the tenant's default. One that is disabled
counts for nothing, so the default holds.
"""

from __future__ import annotations

import datetime as dt
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import NotFound
from ansible_collections.mail2fax.m365.plugins.module_utils._graph import Call, Part

Document = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class Limits:
    """What the policies allow. ``readable``: whether the one that counts could be read; what cannot be read is open."""

    readable: bool = False
    secrets_allowed: bool = True
    longest: dt.timedelta | None = None

    @property
    def open(self) -> bool:
        return self.secrets_allowed and self.longest is None


UNREAD = Limits()
"""Nothing is known, so nothing is forbidden: the write will tell."""


def default_call() -> Call:
    return Call("GET", "/policies/defaultAppManagementPolicy", "read the tenant's app-management policy")


def assigned_call(application: str) -> Call:
    """The policies assigned to an application; ``application`` is its path, such as ``/applications(appId='…')``."""
    return Call("GET", f"{application}/appManagementPolicies", "read the application's app-management policy")


def read(default: Part, assigned: Part | None, created: t.Any) -> Limits:
    """What the answers to both calls amount to; ``assigned`` is None where nobody had to ask, or could.

    ``created`` is the application's createdDateTime, None for one that is to be made.
    """
    own = _document(assigned) if assigned is not None else {}
    return limits(_document(default), (own or {}).get("value"), created)


def _document(part: Part) -> Document | None:
    """The document; empty where the directory knows of none, None where it cannot be read."""
    if isinstance(part.error, NotFound):
        return {}
    return part.body if part.error is None and isinstance(part.body, dict) else None


def limits(default: Document | None, assigned: t.Iterable[Document | None] | None, created: t.Any) -> Limits:
    """From the tenant's default policy and those assigned to the application, None where they cannot be read.

    Every rule holds for an application that is to be made (``created`` is None).
    """
    own = [policy for policy in assigned or () if policy and policy.get("isEnabled", True)]
    if own:
        # Entra assigns an application one policy at most. Should it ever be more, none of them is left out.
        return Limits(True, *_judged([rule for one in own for rule in _rules(one.get("restrictions"))], created))
    if default is None:
        return UNREAD
    return Limits(
        True, *_judged(_rules(default.get("applicationRestrictions")) if default.get("isEnabled") else [], created)
    )


def _rules(restrictions: t.Any) -> list[Document]:
    return list((restrictions or {}).get("passwordCredentials") or [])


def _judged(rules: t.Iterable[Document], created: t.Any) -> tuple[bool, dt.timedelta | None]:
    made = _moment(created)
    allowed, longest = True, None
    for rule in rules:
        if str(rule.get("state") or "enabled") != "enabled":
            continue
        since = _moment(rule.get("restrictForAppsCreatedAfterDateTime"))
        if since is not None and made is not None and made < since:
            continue
        if rule.get("restrictionType") == "passwordAddition":
            allowed = False
        elif rule.get("restrictionType") == "passwordLifetime" and rule.get("maxLifetime"):
            limit = duration(str(rule["maxLifetime"]))
            longest = limit if longest is None or (limit is not None and limit < longest) else longest
    return allowed, longest


def _moment(text: t.Any) -> dt.datetime | None:
    try:
        moment = dt.datetime.fromisoformat(str(text or "").replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)


def duration(text: str) -> dt.timedelta | None:
    """An ISO 8601 duration as app-management policies write it (P180D, P6M, P1Y, P4DT12H); None if unreadable."""
    match = re.fullmatch(r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?", text)
    if match is None or not any(match.groups()):
        return None
    years, months, weeks, days, hours, minutes, seconds = (int(value or 0) for value in match.groups())
    return dt.timedelta(
        days=years * 365 + months * 30 + weeks * 7 + days, hours=hours, minutes=minutes, seconds=seconds
    )
