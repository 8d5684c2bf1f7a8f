# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What the attempts to open mailboxes amount to: pure planning for ``mailbox_probe_info``."""

from __future__ import annotations

import datetime as dt
import typing as t
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked, ServiceError
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json, Plan
from ansible_collections.mail2fax.m365.plugins.module_utils._proofs import proof
from ansible_collections.mail2fax.m365.plugins.module_utils._time import iso

POLICY_IN_FORCE_AFTER = dt.timedelta(minutes=60)
"""How long Exchange may go on obeying the policies of before; Microsoft says more than 30 minutes."""

OPENED = proof.OPENED
REFUSED = "refused"


@dataclass(frozen=True)
class Desired:
    """``allowed`` have to open, ``refused`` must not. ``ews_in_force_by``: when an EWS change is in force at last."""

    app_id: str
    tenant: str
    role: str | None
    """The role that a token needs before anything is tried; None where the service itself is asked."""
    allowed: tuple[str, ...]
    refused: tuple[str, ...]
    wait_s: float = 0.0
    configuration_agrees: bool = True
    ews_in_force_by: dt.datetime | None = None
    switched_off: str | None = None
    """The verdict that says that the protocol is closed as a whole."""
    service: str = ""
    opened_by: str = ""
    """How such a protocol is called, and what opens it, in words."""

    def expectations(self) -> list[tuple[str, str]]:
        return [(mailbox, OPENED) for mailbox in self.allowed] + [(mailbox, REFUSED) for mailbox in self.refused]


@dataclass(frozen=True)
class Probe:
    """One mailbox as it was met at ``at``."""

    mailbox: str
    expected: str
    opening: proof.Opening
    at: dt.datetime

    @property
    def as_expected(self) -> bool:
        verdict = self.opening.verdict
        return verdict == proof.OPENED if self.expected == OPENED else verdict in proof.REFUSALS

    def as_dict(self) -> Json:
        return {
            "mailbox": self.mailbox,
            "expected": self.expected,
            "verdict": self.opening.verdict,
            "as_expected": self.as_expected,
            "reason": self.opening.reason,
            "request_id": self.opening.request_id,
            "at": iso(self.at),
        }


@dataclass(frozen=True)
class State:
    """``why_not`` says why nothing was probed (check mode only); else ``probes`` has every mailbox once."""

    probes: tuple[Probe, ...] = ()
    roles: tuple[str, ...] = ()
    tenant_id: str | None = None
    why_not: str | None = None


def worth_waiting(probe: Probe, desired: Desired, now: dt.datetime) -> bool:
    """Whether another look may bring another verdict, because something is known to be on its way."""
    if probe.as_expected:
        return False
    verdict = probe.opening.verdict
    if desired.switched_off is not None and verdict == desired.switched_off:
        return desired.ews_in_force_by is not None and now < desired.ews_in_force_by
    if verdict in (proof.NO_ROLE, proof.OTHER):
        return True
    return verdict != proof.NO_MAILBOX and desired.configuration_agrees


def plan(current: State, desired: Desired, now: dt.datetime) -> Plan:
    """The outcome. Raises ServiceError (failed) for a mailbox that is not there or an answer nobody expects."""
    result: Json = {
        "app_id": desired.app_id,
        "tenant_id": current.tenant_id,
        "roles": sorted(current.roles),
        "probes": [probe.as_dict() for probe in current.probes],
    }
    if current.why_not is not None:
        return Plan(result=result, summary=current.why_not)
    wrong = [probe for probe in current.probes if not probe.as_expected]
    if not wrong:
        counts = {
            expected: sum(probe.expected == expected for probe in current.probes) for expected in (OPENED, REFUSED)
        }
        told = " and ".join(f"{count} {expected}" for expected, count in counts.items() if count)
        return Plan(result=result, summary=f"{told}, as expected")
    broken = _met(wrong, proof.NO_MAILBOX) or _met(wrong, proof.OTHER)
    if broken:
        raise _broken(broken, result)
    blocked = _no_role(wrong, desired, result) or _closed(wrong, desired, now) or _contradiction(wrong, desired)
    if blocked is not None:
        return Plan(result=result, summary=blocked.message, blocked=blocked)
    until = now + POLICY_IN_FORCE_AFTER
    if _met(wrong, desired.switched_off) and desired.ews_in_force_by is not None:
        # What is wrong besides can be judged only once EWS is open.
        until = max(desired.ews_in_force_by, until if len(_met(wrong, desired.switched_off)) < len(wrong) else now)
    told = "; ".join(_told(probe) for probe in wrong)
    return Plan(
        result=result,
        summary=f"not in force yet: {told}",
        pending=f"configured, but not in force yet: {told}",
        pending_until=iso(until),
    )


def _met(probes: t.Iterable[Probe], verdict: str | None) -> list[Probe]:
    return [probe for probe in probes if probe.opening.verdict == verdict]


def _told(probe: Probe) -> str:
    words = {
        proof.OPENED: "still opens",
        proof.DENIED_BY_POLICY: "is still denied",
        proof.IMPERSONATION_REFUSED: "is still denied",
        proof.NO_MAILBOX: "is not a mailbox",
        proof.NO_ROLE: "the token is refused, because the role is not in it",
        proof.OTHER: probe.opening.reason or "the answer is not understood",
    }
    closed = f"the protocol is closed to the application ({probe.opening.reason})"
    return f"{probe.mailbox}: {words.get(probe.opening.verdict, closed)}"


def _names_of(probes: t.Iterable[Probe]) -> str:
    return ", ".join(probe.mailbox for probe in probes)


def _broken(broken: list[Probe], result: Json) -> ServiceError:
    about: Json = {
        "attempted": f"open {_names_of(broken)}",
        "code": broken[0].opening.code,
        "request_id": broken[0].opening.request_id,
        "details": {"probes": result["probes"]},
    }
    if broken[0].opening.verdict == proof.NO_MAILBOX:
        return ServiceError(
            f"Exchange has no mailbox behind {_names_of(broken)}",
            cure="check the address, and that the account has a mailbox in the cloud",
            **about,
        )
    return ServiceError(
        "; ".join(_told(probe) for probe in broken),
        cure="run again later; if it stays, give Microsoft's support the request id",
        **about,
    )


def _no_role(wrong: list[Probe], desired: Desired, result: Json) -> Blocked | None:
    if not _met(wrong, proof.NO_ROLE) or desired.role is None:
        return None
    held = ", ".join(result["roles"]) or "none at all"
    lacks = f"the application's token does not carry {desired.role} (it carries {held})"
    if desired.role in result["roles"]:
        lacks = f"the application's token carries {desired.role}, and Exchange still says that it is not enough"
    return Blocked(
        lacks,
        attempted="open the mailboxes as the application",
        cure=f"grant admin consent to {desired.role} (entra_admin_consent); a grant made a moment ago may need some "
        "minutes, so run again or raise patience",
        who="a Cloud Application Administrator or Privileged Role Administrator",
    )


def _closed(wrong: list[Probe], desired: Desired, now: dt.datetime) -> Blocked | None:
    met = _met(wrong, desired.switched_off)
    if not met or (desired.ews_in_force_by is not None and now < desired.ews_in_force_by):
        return None
    reasons = "; ".join(dict.fromkeys(str(probe.opening.reason) for probe in met))
    return Blocked(
        f"{desired.service} is blocked for {_names_of(met)}: {reasons}",
        attempted="open the mailboxes as the application",
        cure=desired.opened_by,
        who="an Exchange Administrator",
    )


def _contradiction(wrong: list[Probe], desired: Desired) -> Blocked | None:
    met = [probe for probe in wrong if probe.opening.verdict in proof.REFUSALS | {proof.OPENED}]
    if not met or desired.configuration_agrees:
        return None
    return Blocked(
        "the application's reach is not what it should be: "
        + "; ".join(
            f"{probe.mailbox} {'opens' if probe.opening.verdict == proof.OPENED else 'is denied'}" for probe in met
        ),
        attempted="prove the application's reach",
        cure="look at the application access policy and at the members of its group "
        "(exchange_application_access_policy, exchange_security_group)",
        who="an Exchange Administrator",
    )
