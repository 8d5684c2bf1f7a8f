# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What the attempts to open mailboxes amount to: pure planning for ``mailbox_probe_info``."""

from __future__ import annotations

import datetime as dt
import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils._accesses import POLICY
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked, ServiceError
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json, Plan
from ansible_collections.mail2fax.m365.plugins.module_utils._proofs import proof
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import mailbox_probe_words as words
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.mailbox_probe_state import (
    OPENED,
    QUICKLY,
    REFUSED,
    Asked,
    Desired,
    Probe,
    State,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._time import iso

DELIVERED_AFTER = dt.timedelta(minutes=15)


def worth_waiting(probe: Probe, desired: Desired, now: dt.datetime) -> bool:
    """Whether another look may bring another verdict, because something is known to be on its way."""
    if probe.as_expected:
        return False
    verdict, asked = probe.opening.verdict, _asked(probe, desired)
    if verdict in asked.off:
        return asked.on_its_way(now)
    if verdict in (proof.NO_ROLE, proof.OTHER, proof.THROTTLED):
        return True
    if verdict in (proof.NO_MAILBOX, proof.WRONG_POINTER, proof.SIGNED_IN) or asked.overdue(now):
        return False
    return desired.configuration_agrees


def look_again_after(probe: Probe, desired: Desired, delay_s: float) -> float:
    """Seconds until another look at this mailbox. ``delay_s`` is the next of a growing row of waits.

    A refusal that a cache holds lives on by being asked for, so it is left alone for as long as its model says.
    """
    asked = _asked(probe, desired)
    if probe.opening.verdict in (proof.NO_ROLE, proof.OTHER, proof.THROTTLED):
        return delay_s
    return delay_s if asked.look_every <= QUICKLY else asked.look_every.total_seconds()


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
    remarks: list[str] = []
    if desired.accesses:
        result["accesses"] = [_told_access(asked, current.probes, desired) for asked in desired.accesses]
        remarks = [row["remark"] for row in result["accesses"] if row["remark"]]
    warnings = _left_behind(current.probes) + _beside(current, desired)
    undone = _undone(current, desired, now)
    wrong = [probe for probe in current.probes if not probe.as_expected]
    lost = [probe for probe in current.probes if probe.sent is not None and probe.sent.state == "not_found"]
    if not wrong and undone is None and not lost:
        summary = "; ".join([f"{_counted(current.probes)}, as expected", *remarks])
        return Plan(result=result, summary=summary, warnings=warnings)
    heard = [probe for probe in wrong if not probe.silent]
    broken = _met(heard, proof.NO_MAILBOX) or _met(heard, proof.OTHER) or _met(heard, proof.THROTTLED)
    if broken:
        raise _broken(broken, result)
    blocked = (
        undone
        or _no_role(wrong, desired, current, result)
        or _wrong_pointer(wrong)
        or _closed(wrong, desired, now)
        or _overdue(wrong, desired, now)
        or _contradiction(wrong, desired, now)
    )
    if blocked is not None:
        return Plan(result=result, summary=blocked.message, blocked=blocked, warnings=warnings)
    told = "; ".join(_told(probe) for probe in wrong)
    until = _until(wrong, desired, now)
    if lost:
        told = "; ".join(filter(None, [told, *(_not_there(probe) for probe in lost)]))
        until = max(until, now + DELIVERED_AFTER) if wrong else now + DELIVERED_AFTER
    return Plan(
        result=result,
        summary=f"not in force yet: {told}",
        pending=f"configured, but not in force yet: {told}",
        pending_until=iso(until),
        warnings=warnings,
    )


def _asked(probe: Probe, desired: Desired) -> Asked:
    return probe.access or desired.asked[0]


def _until(wrong: list[Probe], desired: Desired, now: dt.datetime) -> dt.datetime:
    """When to look again. What is wrong beside a closed protocol can be judged only once that is open."""
    moments = [now]
    for probe in wrong:
        asked = _asked(probe, desired)
        known = probe.opening.verdict in asked.off or (asked.on_its_way(now) and asked.scoping not in (None, POLICY))
        moments.append((asked.in_force_by or now) if known else now + asked.in_force_after)
    return max(moments)


def _counted(probes: t.Iterable[Probe]) -> str:
    counts = {OPENED: 0, REFUSED: 0, "signed in": 0, "not judged": 0}
    for probe in probes:
        if probe.opening.verdict == proof.SIGNED_IN:
            counts["signed in"] += 1
        else:
            counts["not judged" if probe.silent else probe.expected] += 1
    told = [f"{count} {word}" for word, count in counts.items() if count]
    return " and ".join([", ".join(told[:-1]), told[-1]] if len(told) > 1 else told)


def _told_access(asked: Asked, probes: t.Iterable[Probe], desired: Desired) -> Json:
    """What one access proved. A refusal counts only beside an opening by the same access."""
    own = [probe for probe in probes if probe.access is not None and probe.access.id == asked.id]
    opened = sum(probe.opening.verdict == proof.OPENED for probe in own)
    refused = sum(probe.opening.verdict in proof.REFUSALS for probe in own)
    signed_in = sum(probe.opening.verdict == proof.SIGNED_IN for probe in own)
    controls = [probe for probe in own if probe.expected == REFUSED]
    remark = None
    if signed_in and not opened:
        remark = f"{asked.id}: signing in proves nothing here, so what was read back of rights and roles counts"
    elif controls and not refused and all(probe.silent for probe in controls):
        remark = f"{asked.id}: nothing was refused on the wire, so Exchange's own verdict stands"
    elif refused and not opened and any(probe.expected == OPENED for probe in own):
        remark = f"{asked.id}: no refusal counts before a mailbox opens by the same access"
    return {
        "access": asked.id,
        "protocol": asked.protocol,
        "opened": opened,
        "refused": refused if opened or not desired.allowed else 0,
        "signed_in": signed_in,
        "remark": remark,
    }


def _not_there(probe: Probe) -> str:
    sent = probe.sent
    if sent is None:
        raise AssertionError("only what was sent is told")
    why = f" ({sent.reason})" if sent.reason else ""
    return f"{probe.mailbox}: the message {sent.message_id} was taken, and is not seen in the mailbox yet{why}"


def _left_behind(probes: t.Iterable[Probe]) -> list[str]:
    why = {
        "nobody_reads": "no access of the profile reads mail, so it cannot be looked for and stays in the mailbox",
        "left": "it was found, and could not be removed",
    }
    return [
        f"The message {probe.sent.message_id} was sent to {probe.mailbox}: {why[probe.sent.state]}"
        f"{f' ({probe.sent.reason})' if probe.sent.reason else ''}."
        for probe in probes
        if probe.sent is not None and probe.sent.state in why
    ]


def _beside(current: State, desired: Desired) -> list[str]:
    return [
        f"The application's token carries {', '.join(current.undone[asked.id])} beside the roles of {asked.id}."
        for asked in desired.accesses
        if current.undone.get(asked.id)
    ]


def _met(probes: t.Iterable[Probe], verdict: str | None) -> list[Probe]:
    return [probe for probe in probes if probe.opening.verdict == verdict]


def _told(probe: Probe) -> str:
    verdict = probe.opening.verdict
    by = f" by {probe.access.service}" if probe.access is not None else ""
    why = f" ({probe.opening.reason})" if probe.access is not None and probe.opening.reason else ""
    if verdict == proof.OPENED:
        said = f"still opens{by}"
    elif verdict in proof.REFUSALS:
        said = f"is still {'refused' if probe.access is not None else 'denied'}{by}{why}"
    elif verdict == proof.SIGNED_IN:
        said = f"is neither opened nor refused{by}"
    elif verdict == proof.NO_MAILBOX:
        said = "is not a mailbox"
    elif verdict == proof.NO_ROLE:
        said = "the token is refused, because the role is not in it"
    elif verdict in (proof.OTHER, proof.THROTTLED):
        said = probe.opening.reason or "the answer is not understood"
        return f"{probe.mailbox}{by}: {said}"
    else:
        said = f"the protocol is closed to the application ({probe.opening.reason})"
    return f"{probe.mailbox}: {said}"


def _names_of(probes: t.Iterable[Probe]) -> str:
    return ", ".join(dict.fromkeys(probe.mailbox for probe in probes))


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
    if broken[0].opening.verdict == proof.THROTTLED:
        return ServiceError(
            "; ".join(_told(probe) for probe in broken),
            cure="run again later, or raise patience; with many tenants at once lower forks",
            **about,
        )
    return ServiceError(
        "; ".join(_told(probe) for probe in broken),
        cure="run again later; if it stays, give Microsoft's support the request id",
        **about,
    )


def _undone(current: State, desired: Desired, now: dt.datetime) -> Blocked | None:
    """A grant in Entra beside a scoped role: the two add up."""
    for asked in desired.accesses:
        held = current.undone.get(asked.id, ())
        if not held or asked.on_its_way(now) or _is_limited(asked, current, desired):
            continue
        return Blocked(
            f"the application's token carries {', '.join(held)}: a consent in Entra undoes the scope of its roles, and "
            f"{asked.service} proves nothing of them",
            attempted="prove the application's reach",
            cure="revoke the consent (entra_admin_consent, or mail2fax_on_entra_grant: remove); tokens of before go on "
            "carrying it for their life",
            who="a Cloud Application Administrator or Privileged Role Administrator",
        )
    return None


def _is_limited(asked: Asked, current: State, desired: Desired) -> bool:
    """Whether something narrows a consent all the same, as an access policy does: each control mailbox refuses."""
    verdicts = [
        probe.opening.verdict
        for probe in current.probes
        if probe.access is not None and probe.access.id == asked.id and probe.expected == REFUSED
    ]
    return desired.configuration_agrees and bool(verdicts) and all(verdict in proof.REFUSALS for verdict in verdicts)


def _no_role(wrong: list[Probe], desired: Desired, current: State, result: Json) -> Blocked | None:
    met = _met(wrong, proof.NO_ROLE)
    asked = _asked(met[0], desired) if met else None
    if asked is None or not asked.roles:
        return None
    carried = current.carried.get(asked.id, current.roles)
    missing = [role for role in asked.roles if role not in carried] or list(asked.roles)
    needed, held = ", ".join(missing), ", ".join(result["roles"]) or "none at all"
    lacks = f"the application's token does not carry {needed} (it carries {held})"
    if missing[0] in carried:
        lacks = f"the application's token carries {needed}, and Exchange still says that it is not enough"
    return Blocked(
        lacks,
        attempted="open the mailboxes as the application",
        cure=f"grant admin consent to {needed} (entra_admin_consent); a grant made a moment ago may need some "
        "minutes, so run again or raise patience",
        who="a Cloud Application Administrator or Privileged Role Administrator",
    )


def _wrong_pointer(wrong: list[Probe]) -> Blocked | None:
    met = _met(wrong, proof.WRONG_POINTER)
    if not met:
        return None
    return Blocked(
        f"Exchange refuses {_names_of(met)}, because its service principal of the application has another object id "
        "than the enterprise application that signs in",
        attempted="open the mailboxes as the application",
        cure="replace it (exchange_service_principal, or mail2fax_on_wrong_pointer: replace); rights on mailboxes have "
        "to be given anew then",
        who=words.WHO,
    )


def _closed(wrong: list[Probe], desired: Desired, now: dt.datetime) -> Blocked | None:
    met = [probe for probe in wrong if probe.opening.verdict in _asked(probe, desired).off]
    met = [probe for probe in met if not _asked(probe, desired).on_its_way(now)]
    if not met:
        return None
    asked = _asked(met[0], desired)
    reasons = "; ".join(dict.fromkeys(str(probe.opening.reason) for probe in met))
    return Blocked(
        f"{asked.service} is blocked for {_names_of(met)}: {reasons}",
        attempted="open the mailboxes as the application",
        cure=asked.opened_by,
        who="an Exchange Administrator",
    )


def _overdue(wrong: list[Probe], desired: Desired, now: dt.datetime) -> Blocked | None:
    """A mailbox that has to open and is refused, long after everything is in force."""
    met = [
        probe
        for probe in wrong
        if probe.expected == OPENED
        and probe.opening.verdict in proof.REFUSALS
        and (_asked(probe, desired).overdue(now) or not desired.configuration_agrees)
        and not _asked(probe, desired).strict
    ]
    if not met:
        return None
    asked, verdict = _asked(met[0], desired), met[0].opening.verdict
    likely = "; or ".join(words.causes(asked.protocol, asked.scoping, verdict))
    since = f", although all was in force by {iso(asked.settled_by)}" if asked.settled_by is not None else ""
    return Blocked(
        f"{'; '.join(_told(probe) for probe in met)}{since}. The likeliest cause first: {likely}",
        attempted="open the mailboxes as the application",
        cure="look for these in their order, and run provision, which mends what it may",
        who=words.WHO,
        code=met[0].opening.code,
        request_id=met[0].opening.request_id,
    )


def _contradiction(wrong: list[Probe], desired: Desired, now: dt.datetime) -> Blocked | None:
    met = [
        probe
        for probe in wrong
        if probe.opening.verdict in proof.REFUSALS | {proof.OPENED}
        and (not desired.configuration_agrees or (probe.expected == REFUSED and _asked(probe, desired).overdue(now)))
    ]
    silent = [probe for probe in wrong if probe.silent]
    if not met and not silent:
        return None
    told = [f"{probe.mailbox} {'opens' if probe.opening.verdict == proof.OPENED else 'is denied'}" for probe in met]
    told += [f"nothing was proved of {probe.mailbox}, and its configuration is not right" for probe in silent]
    return Blocked(
        f"the application's reach is not what it should be: {'; '.join(told)}",
        attempted="prove the application's reach",
        cure=words.look_at({_asked(probe, desired).scoping for probe in [*met, *silent]}),
        who="an Exchange Administrator",
    )
