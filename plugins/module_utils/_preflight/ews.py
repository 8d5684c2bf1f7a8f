# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Exchange Web Services: every setting of the tenant and of a mailbox that keeps them closed, and what opens it."""

from __future__ import annotations

import datetime as dt
import typing as t
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils import _accesses, _names
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.asking import Answers, Read, Reads
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.desired import Desired
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.finding import (
    EXCHANGE_ADMIN,
    Finding,
    Judged,
    notes,
    refused,
    stops,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import ews_access as _ews_access

STEP = "ews_access"
_WHAT = "Exchange Web Services"


@dataclass(frozen=True)
class Facts:
    """``configuration`` is Get-OrganizationConfig's output, None where it cannot be read."""

    configuration: Json | None = None


def calls(spare: int | None = None) -> Reads:
    """``spare``: where nothing needs EWS."""
    return {"configuration": Read(_ews_access.read_cmdlet(), "the tenant's EWS settings", spare)}


def take(answers: Answers) -> Facts:
    rows = answers.rows("configuration")
    return Facts(rows[0] if rows else None)


# --- a mailbox's own -----------------------------------------------------------------------------------------


def closed_by_mailbox(settings: t.Mapping[str, t.Any], address: str) -> list[tuple[str, str]]:
    """(what a mailbox's own settings shut, how to open it); ``settings`` are Get-CASMailbox's."""
    shut: list[tuple[str, str]] = []
    if is_false(settings.get("EwsEnabled")):
        shut.append(
            (
                "its own EwsEnabled is False, so EWS stays closed for it whatever the tenant allows",
                f"Set-CASMailbox -Identity {address} -EwsEnabled $true",
            )
        )
    agents = _ews_access.shut_agents(settings)
    if agents is not None:
        shut.append((f"its own {agents}", _ews_access.let_agents_in(f"Set-CASMailbox -Identity {address}")))
    return shut


def is_false(value: t.Any) -> bool:
    """Whether Exchange says False, as a value or as a text; null is no answer."""
    return value is False or str(value).strip().lower() == "false"


# --- judging -------------------------------------------------------------------------------------------------


def judge(facts: Facts, desired: Desired, app_id: str, now: dt.datetime) -> Judged:
    """``app_id``: the application's, zeros for one that is to be made."""
    if facts.configuration is None:
        return Judged()
    state = _ews_access.state_of(facts.configuration)
    allowed = state.allows(app_id)
    shown: Json = {**state.as_dict(), "allowed": allowed}
    if not desired.ews:
        return Judged(shown)
    findings = [_end(now)]
    if any(one.protocol == "ews" for one in desired.under(_accesses.ROLE)):
        findings.append(
            notes(
                STEP,
                _WHAT,
                "under an application role they work for anybody who knows their address: Autodiscover refuses the "
                "application",
                "type the address of the service in the fax server's settings, and leave Autodiscover off",
            )
        )
    agents = _ews_access.shut_agents(facts.configuration)
    if agents is not None:
        shown["agents"] = agents
        findings.append(
            stops(
                STEP,
                _WHAT,
                f"the tenant's {agents}",
                _ews_access.let_agents_in("Set-OrganizationConfig"),
                EXCHANGE_ADMIN,
            )
        )
    if desired.ews_opt_in:
        planned = _ews_access.plan(state, _ews_access.Desired(app_id, on_unset=desired.ews_on_unset), now)
        if planned.blocked is not None:
            return Judged(shown, (*findings, refused(STEP, _WHAT, planned.blocked, EXCHANGE_ADMIN)))
    if allowed is None and not (desired.ews_opt_in and desired.ews_on_unset == "enable"):
        findings.append(
            notes(
                STEP,
                _WHAT,
                "EwsEnabled is not set in this tenant, so EWS works until Microsoft sets it to False, tenant by tenant "
                "since 2026-10-01",
                "decide it: exchange_ews_access with on_unset=enable opens EWS for the listed applications alone",
            )
        )
    elif not allowed:
        findings.append(_closed(facts, state, desired, app_id))
    return Judged(shown, tuple(findings))


def _end(now: dt.datetime) -> Finding:
    days = (_ews_access.SUNSET - now.date()).days
    return notes(
        STEP,
        _WHAT,
        f"they end on {_ews_access.SUNSET.isoformat()} for every tenant"
        + (f", in {days} days" if days > 0 else ", which is past"),
        "ask the fax server's vendor for the successor and plan the move",
    )


def _closed(facts: Facts, state: _ews_access.EwsState, desired: Desired, app_id: str) -> Finding:
    found = "EwsEnabled is not set in this tenant, and this run sets it"
    if state.enabled is False:
        found = "the tenant blocks them (EwsEnabled is False)"
    elif state.enabled and not state.ids():
        found = "the tenant allows no application (EwsEnabled is True, and EwsAllowedAppIDs is empty)"
    elif state.enabled:
        found = "the tenant allows listed applications only, and this one is not on the list (EwsAllowedAppIDs)"
        older = (facts.configuration or {}).get("EwsAllowList")
        if app_id != _names.ZERO_GUID and app_id in str(older or "").lower():
            found += "; it stands in EwsAllowList, which is another list and does not count here"
    if desired.ews_opt_in:
        cure = "this run opens EWS for the application; that takes up to 24 hours to come into force"
        return notes(STEP, _WHAT, found, cure)
    cure = (
        "let the run open EWS for this one application (ews.opt_in, mail2fax_ews_opt_in: true), or use a profile that "
        "does without EWS"
    )
    return stops(STEP, _WHAT, found, cure, EXCHANGE_ADMIN)
