# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""EwsEnabled, and one application's place in EwsAllowedAppIDs, in the tenant's organization configuration.

The list is one string that every write replaces whole, and that reads as empty without a switch. So it is always
read with the switch, merged by id, and written with the others' entries byte for byte as they were.
"""

from __future__ import annotations

import datetime as dt
import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.mail2fax.m365.plugins.module_utils import _added, _names, _time
from ansible_collections.mail2fax.m365.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.mail2fax.m365.plugins.module_utils._door import Door, Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked, ServiceError
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet
from ansible_collections.mail2fax.m365.plugins.module_utils._graph import ON_THE_WAY
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json, Plan, Settled, Step
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import listed
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.limiter import EXCHANGE_ADMIN
from ansible_collections.mail2fax.m365.plugins.module_utils._settle import read_back
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant
from ansible_collections.mail2fax.m365.plugins.module_utils._version import USER_AGENT

IN_FORCE_AFTER = dt.timedelta(hours=24)
SUNSET = dt.date(2027, 4, 1)


@dataclass(frozen=True)
class SetList(Step):
    """The whole of EwsAllowedAppIDs, None for an empty one."""

    listed: str | None = None


@dataclass(frozen=True)
class SetEnabled(Step):
    enabled: bool | None = None


EwsStep: t.TypeAlias = "SetList | SetEnabled"


@dataclass(frozen=True)
class EwsState:
    """``enabled`` is True, False or None (not configured); ``listed`` the raw list, None when there is none.

    ``agents`` says what the older control, by user agents, keeps out (``shut_agents``); None where all may pass.
    """

    enabled: bool | None
    listed: str | None
    agents: str | None = field(default=None, compare=False)

    def ids(self) -> list[str]:
        return [entry.strip().lower() for entry in (self.listed or "").split(",") if entry.strip()]

    def as_dict(self) -> Json:
        return {"EwsEnabled": self.enabled, "EwsAllowedAppIDs": self.listed}

    def allows(self, app_id: str) -> bool | None:
        """Whether EWS is open for the application; None when the tenant has not decided (EwsEnabled is null).

        True with an empty list counts as closed: since October 2026 it blocks every application.
        """
        if self.enabled is None:
            return None
        return self.enabled and app_id in self.ids()


@dataclass(frozen=True)
class Desired:
    app_id: str
    state: str = "present"
    on_unset: str = "keep"
    on_absent: str = "auto"


def read_cmdlet() -> Cmdlet:
    """The one read that shows the list; also used where it travels in a batch with others."""
    return Cmdlet(
        "Get-OrganizationConfig", {"RetrieveEwsOperationAccessPolicy": True}, "read the tenant's EWS settings"
    )


def state_of(configuration: t.Mapping[str, t.Any]) -> EwsState:
    """From Get-OrganizationConfig's output; an empty string is an empty list."""
    enabled = configuration.get("EwsEnabled")
    if isinstance(enabled, str):
        enabled = {"true": True, "false": False}.get(enabled.strip().lower())
    listed = configuration.get("EwsAllowedAppIDs")
    if isinstance(listed, list):
        listed = ",".join(str(entry) for entry in listed)
    return EwsState(enabled, str(listed) if listed else None, shut_agents(configuration))


# ---- the older control, by user agents ------------------------------------------------------------------------------


def shut_agents(settings: t.Mapping[str, t.Any]) -> str | None:
    """What EwsApplicationAccessPolicy, of the tenant or of a mailbox, keeps out, in words; None where all may pass.

    It goes by user agents. The fax server's own is known to its vendor alone, so what is looked at is the one that the
    proof uses: where that one cannot pass, nothing can be proven.
    """
    policy = str(settings.get("EwsApplicationAccessPolicy") or "")
    if policy == "EnforceAllowList" and not _matches(settings.get("EwsAllowList")):
        said = _entries(settings.get("EwsAllowList"))
        return "EwsApplicationAccessPolicy is EnforceAllowList, and EwsAllowList " + (
            f"names other user agents only ({listed(said)})" if said else "is empty, which lets nobody in"
        )
    if policy == "EnforceBlockList" and _matches(settings.get("EwsBlockList")):
        return (
            "EwsApplicationAccessPolicy is EnforceBlockList, and EwsBlockList keeps out "
            f"{listed(_entries(settings.get('EwsBlockList')))}"
        )
    return None


def let_agents_in(command: str) -> str:
    """The cure for ``shut_agents``; ``command`` is the cmdlet that sets it, with whose setting it is."""
    ours = USER_AGENT.partition("/")[0]
    return (
        f"let the fax server's user agent (its vendor knows it) and {ours}*, which the proof uses, pass: {command} "
        f"-EwsApplicationAccessPolicy EnforceAllowList -EwsAllowList <the fax server's>,'{ours}*'; or lift it: "
        f"{command} -EwsApplicationAccessPolicy $null"
    )


def _entries(value: t.Any) -> list[str]:
    rows = value if isinstance(value, list) else str(value or "").split(",")
    return [str(row).strip() for row in rows if str(row).strip()]


def _matches(patterns: t.Any) -> bool:
    regular = (".*".join(map(re.escape, pattern.split("*"))) for pattern in _entries(patterns))
    return any(re.fullmatch(pattern, USER_AGENT, re.IGNORECASE) for pattern in regular)


# ---- planning -------------------------------------------------------------------------------------------------------


def plan(current: EwsState, desired: Desired, now: dt.datetime) -> Plan:
    after = _present(current, desired) if desired.state == "present" else _absent(current, desired)
    steps: list[EwsStep] = []
    who = "the application" if desired.app_id == _names.ZERO_GUID else desired.app_id
    title = f"put {who} on the EWS list" if desired.state == "present" else f"take {who} off the EWS list"
    list_step = SetList(title, after.listed)
    enabled_step = SetEnabled(f"set EwsEnabled to {after.enabled}", after.enabled)
    if after.listed != current.listed:
        steps.append(list_step)
    if after.enabled != current.enabled:
        # Opening: the list first, so that EWS never opens for anybody else. Closing: the other way round.
        steps.insert(len(steps) if after.enabled else 0, enabled_step)
    result: Json = {
        "app_id": desired.app_id,
        "ews": after.as_dict(),
        "found": current.as_dict(),
        "allowed": after.allows(desired.app_id),
        "agents": current.agents,
    }
    if steps and desired.state == "present" and current.agents is None:
        result["in_force_by"] = _time.iso(now + IN_FORCE_AFTER)
    warnings: list[str] = []
    if desired.state == "present" and current.agents is not None:
        warnings.append(
            f"EWS stays closed, and no waiting opens it: the tenant's {current.agents}. To open it, "
            f"{let_agents_in('Set-OrganizationConfig')}."
        )
    if desired.state == "present":
        days = (SUNSET - now.date()).days
        warnings.append(
            f"Exchange Web Services end on {SUNSET.isoformat()} for every tenant"
            + (f", in {days} days" if days > 0 else ", which is past")
            + ". Ask the fax server's vendor for the successor and plan the move."
        )
        if current.enabled is None and not steps:
            warnings.append(
                "EwsEnabled is not set in this tenant. EWS works until Microsoft sets it to False, which it does "
                "tenant by tenant since 2026-10-01; run this again then, or with on_unset=enable to decide now."
            )
        elif current.enabled is None:
            warnings.append("EwsEnabled was not set: from now on only the listed applications can use EWS.")
        elif current.enabled and not current.ids():
            warnings.append("The EWS list was empty: from now on only this application can use EWS.")
        elif not current.enabled and (others := [entry for entry in current.ids() if entry != desired.app_id]):
            warnings.append(f"EWS was off. Now it opens for the others on the list too: {', '.join(others)}.")
    blocked = _odd_entries(current, desired) if after.listed != current.listed else None
    if blocked is not None:
        result.pop("in_force_by", None)
        result.update(ews=current.as_dict(), allowed=current.allows(desired.app_id))
        return Plan(
            before=current.as_dict(),
            after=current.as_dict(),
            result=result,
            summary=blocked.message,
            blocked=blocked,
        )
    return Plan(
        before=current.as_dict(),
        after=after.as_dict(),
        steps=list(steps),
        result=result,
        summary=_summary(current, after, desired),
        warnings=warnings,
        added=_added_by(current, after, desired),
    )


def _added_by(current: EwsState, after: EwsState, desired: Desired) -> list[Json]:
    was, is_ = (desired.app_id in state.ids() for state in (current, after))
    return [_added.entry("ews_entry", None, desired.app_id)] if is_ and not was else []


def _odd_entries(current: EwsState, desired: Desired) -> Blocked | None:
    """Exchange writes the list only whole, and only if every entry is an id."""
    entries = [entry.strip() for entry in (current.listed or "").split(",") if entry.strip()]
    odd = [entry for entry in entries if not _names.is_guid(entry.strip("{}"))]
    if not odd:
        return None
    kept = ",".join(entry for entry in entries if entry not in odd)
    named = ", ".join(map(repr, odd[:10])) + (f" and {len(odd) - 10} more" if len(odd) > 10 else "")
    return Blocked(
        f"EwsAllowedAppIDs holds what is not an application id: {named}; with that in it Exchange refuses to write the "
        "list",
        attempted="open EWS for the application" if desired.state == "present" else "close EWS for the application",
        cure=f"take it out: Set-OrganizationConfig -EwsAllowedAppIDs '{kept}'",
        who=EXCHANGE_ADMIN,
        details={"entries": odd[:100]},
    )


def _present(current: EwsState, desired: Desired) -> EwsState:
    if current.allows(desired.app_id) or (current.enabled is None and desired.on_unset == "keep"):
        return current
    listed = current.listed
    if desired.app_id not in current.ids():
        # What others wrote stays byte for byte, a comma at the end as well.
        before = listed if listed and listed.strip() else ""
        comma = "," if before and not before.rstrip().endswith(",") else ""
        listed = f"{before}{comma}{desired.app_id}"
    return EwsState(True, listed)


def _absent(current: EwsState, desired: Desired) -> EwsState:
    listed = current.listed
    if desired.app_id in current.ids():
        kept = [entry for entry in (current.listed or "").split(",") if entry.strip().lower() != desired.app_id]
        listed = ",".join(kept) if any(entry.strip() for entry in kept) else None
    enabled = current.enabled
    if desired.on_absent != "auto":
        enabled = {"enabled": True, "disabled": False, "unset": None}[desired.on_absent]
    elif listed is None and current.listed is not None and current.enabled:
        # Nobody else was on the list, so nobody else loses anything; an empty list might open EWS for all.
        enabled = False
    return EwsState(enabled, listed)


def _summary(current: EwsState, after: EwsState, desired: Desired) -> str:
    if desired.state == "absent":
        return "not on the EWS list" if after == current else "taken off the EWS list"
    allowed = after.allows(desired.app_id)
    if allowed is None:
        return "EWS not restricted by the tenant (EwsEnabled is not set)"
    return "EWS open for this application" if after == current else "EWS opened for this application"


class EwsAccess:
    """The resource behind ``exchange_ews_access``."""

    def __init__(self, tenant: Tenant, task: Task) -> None:
        self._tenant = tenant
        params = task.params
        self._desired = Desired(
            app_id=task.app_id(),
            state=params["state"],
            on_unset=params["on_unset"],
            on_absent=params["on_absent"],
        )

    def read(self) -> EwsState:
        cmdlet = read_cmdlet()
        found = self._tenant.exchange.invoke(cmdlet.name, cmdlet.purpose, **cmdlet.parameters)
        if not found:
            raise ServiceError("Exchange's answer is not one", attempted=cmdlet.purpose, cure=ON_THE_WAY)
        return state_of(found[0])

    def plan(self, current: EwsState) -> Plan:
        return plan(current, self._desired, self._tenant.now())

    def perform(self, step: EwsStep) -> None:
        match step:
            case SetList():
                self._tenant.exchange.invoke("Set-OrganizationConfig", step.title, EwsAllowedAppIDs=step.listed)
            case SetEnabled():
                self._tenant.exchange.invoke("Set-OrganizationConfig", step.title, EwsEnabled=step.enabled)
            case _:
                t.assert_never(step)

    def settle(self, plan: Plan) -> Settled:
        seen = read_back(self._tenant, self).require("the tenant's EWS setting")
        return Settled({"ews": seen.state.as_dict(), "allowed": seen.state.allows(self._desired.app_id)})


SPEC = ArgumentSpec(
    {
        "app_id": {"type": "str", "required": True},
        "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
        "on_unset": {"type": "str", "default": "keep", "choices": ["keep", "enable"]},
        "on_absent": {"type": "str", "default": "auto", "choices": ["auto", "enabled", "disabled", "unset"]},
    }
)
DOOR = Door(EwsAccess, SPEC, takes=True)
