# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The application in Exchange: whether the pointer there leads to its service principal, by the step's own rules."""

from __future__ import annotations

from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight import application, held
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.desired import Desired
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.finding import (
    EXCHANGE_ADMIN,
    Judged,
    notes,
    refused,
    stops,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import service_principal_plan
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.application_role import assignments_of
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.pointer import Pointer

STEP = "service_principal"
_WHAT = "the application in Exchange"


def principal_of(facts: application.Facts) -> service_principal_plan.Principal | None:
    """The service principal in Entra, as it was found; None where there is none yet."""
    found = facts.state.service_principal if facts.state is not None else None
    if not found or not found.get("id"):
        return None
    return service_principal_plan.Principal(
        str(found["id"]).lower(),
        str(found.get("displayName") or ""),
        str((facts.document or {}).get("id") or "").lower(),
    )


def is_replaced(facts: held.Facts, registration: application.Facts, desired: Desired) -> bool:
    """Whether this run makes the pointer anew, so that what hangs on it goes or is void."""
    state = _state(facts, registration)
    return state.is_wrong and desired.on_wrong_pointer == service_principal_plan.REPLACE


def _state(facts: held.Facts, registration: application.Facts) -> service_principal_plan.State:
    pointer = facts.pointer(registration.app_id)
    assignments = assignments_of(facts.assignments, pointer) if facts.assignments is not None else []
    return service_principal_plan.State(pointer, principal_of(registration), tuple(assignments))


def judge(facts: held.Facts, registration: application.Facts, desired: Desired) -> Judged:
    if not desired.needs_pointer or not registration.app_id:
        return Judged()
    state = _state(facts, registration)
    step = service_principal_plan.Desired(
        registration.app_id, on_wrong_pointer=desired.on_wrong_pointer, check_mode=True
    )
    plan = service_principal_plan.plan(state, step)
    shown: Json | None = state.pointer.as_dict() if state.pointer is not None else None
    if plan.blocked is not None:
        return Judged(shown, (refused(STEP, _WHAT, plan.blocked, EXCHANGE_ADMIN),))
    findings = []
    if state.principal is None and state.pointer is not None:
        told = stops if desired.on_wrong_pointer == service_principal_plan.FAIL else notes
        findings.append(
            told(
                STEP,
                _WHAT,
                f"it leads to the service principal {state.pointer.object_id}, which is not there any more; the run "
                "makes another one, to which it will not lead",
                "set on_wrong_pointer to replace (mail2fax_on_wrong_pointer), and it is made anew: rights on mailboxes "
                "have to be given again"
                if desired.on_wrong_pointer == service_principal_plan.FAIL
                else "it will be replaced",
                EXCHANGE_ADMIN,
                service_principal=state.pointer.as_dict(),
            )
        )
    if state.is_wrong:
        leads = f"it was made with the object ID {shown['object_id'] if shown else ''}"
        own = state.principal.object_id if state.principal is not None else ""
        findings.append(
            notes(
                STEP,
                _WHAT,
                f"{leads}, and the enterprise application's is {own}. {' '.join(plan.warnings)}".rstrip("."),
                "it will be replaced",
            )
        )
    findings += [
        stops(
            STEP,
            _WHAT,
            f"the service principal {other.object_id} stands there under the application ID {other.app_id}, and not "
            f"under {registration.app_id}",
            f"find out who made it and why, then remove it: Remove-ServicePrincipal -Identity {other.identity}",
            EXCHANGE_ADMIN,
            service_principal=other.as_dict(),
        )
        for other in _impostors(facts, state, registration)
    ]
    return Judged(shown, tuple(findings))


def _impostors(
    facts: held.Facts, state: service_principal_plan.State, registration: application.Facts
) -> list[Pointer]:
    """Others with the object id of the application's service principal, which Exchange takes once only."""
    if state.principal is None or state.pointer is not None:
        return []
    return [
        one
        for one in facts.pointers or ()
        if one.object_id == state.principal.object_id and one.app_id != registration.app_id
    ]
