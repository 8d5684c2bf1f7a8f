# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Exchange's pointer to an application's service principal: what role assignments and rights on mailboxes hang on.

Exchange takes any object id, and one that is wrong shows nowhere but at sign-in. So the id comes from Graph, always.
What has to be done is planned in ``service_principal_plan``.
"""

from __future__ import annotations

import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils import _names
from ansible_collections.mail2fax.m365.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.mail2fax.m365.plugins.module_utils._door import Door, Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import (
    Blocked,
    Conflict,
    Forbidden,
    NotFound,
    ServiceError,
    Throttled,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Output
from ansible_collections.mail2fax.m365.plugins.module_utils._graph import Call
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Plan, Settled
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.service_principal_plan import (
    FAIL,
    REPLACE,
    Create,
    Desired,
    Principal,
    Remove,
    Right,
    ServicePrincipalStep,
    State,
    plan,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping import mailbox_permission
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.application_role import (
    assignments_cmdlet,
    assignments_of,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.pointer import Pointer, pointer_of, read_cmdlet
from ansible_collections.mail2fax.m365.plugins.module_utils._settle import read_back
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant

LONGEST_NAME = 256
REPLICATION_S = 60.0
"""How long the directory may hide a service principal that was made a moment ago."""


class ServicePrincipal:
    """The resource behind ``exchange_service_principal``."""

    def __init__(self, tenant: Tenant, task: Task) -> None:
        params = task.params
        self._tenant = tenant
        self._seen = _seen(params.get("pointer_read"))
        said = params.get("object_id")
        name = params.get("display_name")
        self._desired = Desired(
            app_id=task.app_id(),
            object_id=_names.guid(said, "object_id") if said else "",
            object_id_read=bool(params.get("object_id_read")),
            display_name=_names.name(name, "display_name", LONGEST_NAME) if name is not None else "",
            on_wrong_pointer=params["on_wrong_pointer"],
            state=params["state"],
            mailboxes=tuple(
                one if _names.is_guid(one) else _names.address(one, "mailboxes")
                for one in dict.fromkeys(params.get("mailboxes") or ())
            ),
            check_mode=task.check_mode,
        )

    def read(self) -> State:
        desired = self._desired
        if desired.app_id == _names.ZERO_GUID:
            return State()
        if desired.state == "absent":
            return self._what_hangs_on_it()
        read = desired.object_id if desired.object_id_read else ""
        seen, self._seen = self._seen, None
        if seen is not None and read and (seen.app_id, seen.object_id) == (desired.app_id, read):
            # Both were read in this run, and nothing is written. Whoever lets the application in looks again.
            return State(seen, Principal(read))
        [output] = self._tenant.exchange.invoke_many([read_cmdlet(desired.app_id)])
        pointer = pointer_of(output, desired.app_id)
        if pointer is not None and read and pointer.object_id == read:
            # Graph said so in this run, and nothing is written.
            return State(pointer, Principal(pointer.object_id))
        state = State(pointer, self._principal())
        if pointer is not None and state.is_wrong:
            [assigned] = self._tenant.exchange.invoke_many([assignments_cmdlet(desired.app_id)])
            state = State(pointer, state.principal, tuple(assignments_of(assigned, pointer)))
        return state

    def _what_hangs_on_it(self) -> State:
        desired = self._desired
        asked = [
            read_cmdlet(desired.app_id),
            assignments_cmdlet(desired.app_id),
            mailbox_permission.send_as_cmdlet(desired.app_id),
            *(mailbox_permission.full_access_cmdlet(one) for one in desired.mailboxes),
        ]
        pointed, assigned, send_as, *full_access = self._tenant.exchange.invoke_many(asked)
        pointer = pointer_of(pointed, desired.app_id)
        if pointer is None:
            return State()
        rights = _rights(pointer, send_as, dict(zip(desired.mailboxes, full_access, strict=True)))
        return State(pointer, None, tuple(assignments_of(assigned, pointer)), rights)

    def _principal(self) -> Principal | None:
        """The application's service principal in Entra, with patience: it may have been made a moment ago."""
        found: list[Principal] = []

        def shows() -> bool:
            found[:] = [one for one in (self._look(),) if one is not None]
            return bool(found) or self._desired.check_mode

        budget = min(REPLICATION_S, self._tenant.patience_s)
        self._tenant.patiently(shows, budget_s=budget, what="the application's service principal to show in Entra")
        return found[0] if found else None

    def _look(self) -> Principal | None:
        key = _names.odata(self._desired.app_id)
        purpose = "read the application's service principal"
        calls = [
            Call("GET", f"/servicePrincipals(appId={key})?$select=id,appId,displayName", purpose),
            Call("GET", f"/servicePrincipals?$filter=appId%20eq%20{key}&$select=id,appId,displayName", purpose),
            Call("GET", f"/applications(appId={key})?$select=id,appId", purpose),
        ]
        principal, principals, application = self._tenant.graph.batch(calls, purpose=purpose)
        document = principal.found() or next(iter(principals.value().get("value") or []), None)
        if document is None:
            return None
        # The registration is of another tenant where a service principal is all that there is here.
        registration = application.body if application.error is None and isinstance(application.body, dict) else {}
        return Principal(
            str(document["id"]).lower(),
            str(document.get("displayName") or ""),
            str(registration.get("id") or "").lower(),
        )

    def plan(self, current: State) -> Plan:
        return plan(current, self._desired)

    def perform(self, step: ServicePrincipalStep) -> None:
        match step:
            case Create():
                self._create(step)
            case Remove():
                self._remove(step)
            case _:
                t.assert_never(step)

    def _remove(self, step: Remove) -> None:
        def gone() -> bool:
            try:
                self._tenant.exchange.invoke(
                    "Remove-ServicePrincipal", step.title, Identity=step.identity, Confirm=False
                )
            except NotFound:
                # Somebody else was quicker, or the service principal went; where it still reads, the server that was
                # asked to remove it does not know it yet.
                [pointed] = self._tenant.exchange.invoke_many([read_cmdlet(self._desired.app_id)])
                return pointer_of(pointed, self._desired.app_id) is None
            return True

        self._tenant.patiently(gone, budget_s=min(30.0, self._tenant.patience_s))

    def _create(self, step: Create) -> None:
        refusals: list[ServiceError] = []

        def made() -> bool:
            try:
                self._tenant.exchange.invoke("New-ServicePrincipal", step.title, **step.arguments)
            except (Forbidden, Throttled):
                raise
            except ServiceError as exc:
                # Nobody has seen in which words Exchange says that there is one: so it is looked for, whatever it says.
                refusals.append(exc)
                if self._is_there(step, exc):
                    return True
                if not isinstance(exc, Conflict):
                    raise
                return False
            return True

        # A pointer that was removed a moment ago may still be in the way.
        if not self._tenant.patiently(made, budget_s=min(30.0, self._tenant.patience_s)):
            raise refusals[-1]

    def _is_there(self, step: Create, refusal: ServiceError) -> bool:
        """Whether the pointer exists already as it was to be made. Raises Blocked where another has its object id."""
        object_id = str(step.arguments["ObjectId"])
        asked = [read_cmdlet(self._desired.app_id), read_cmdlet(object_id)]
        ours, theirs = self._tenant.exchange.invoke_many(asked)
        pointer = pointer_of(ours, self._desired.app_id)
        if pointer is not None:
            return pointer.object_id == object_id
        for holder in map(Pointer.of, theirs.listed()):
            if holder.object_id == object_id:
                raise Blocked(
                    f"Exchange's service principal of another application ({holder.app_id}, called "
                    f"{holder.display_name!r}) has this application's object id {object_id}",
                    attempted=step.title,
                    cure="find out who made it, remove it (Remove-ServicePrincipal), and run again",
                    who="an Exchange Administrator",
                    request_id=refusal.request_id,
                    details={"service_principal": holder.as_dict()},
                )
        return False

    def settle(self, plan: Plan) -> Settled:
        seen = read_back(self._tenant, self).require("Exchange's service principal")
        return Settled({key: seen.plan.result[key] for key in ("service_principal", "sid", "object_id")})


def _seen(said: t.Mapping[str, t.Any] | None) -> Pointer | None:
    """The option pointer_read: what was read of the pointer before, in this run."""
    if not said or not said.get("object_id") or not said.get("sid"):
        return None
    text = {key: str(said.get(key) or "") for key in ("app_id", "object_id", "sid", "display_name", "identity")}
    return Pointer(**{**text, **{key: text[key].lower() for key in ("app_id", "object_id", "sid")}})


def _rights(pointer: Pointer, send_as: Output, full_access: t.Mapping[str, Output]) -> tuple[Right, ...]:
    """What the pointer may on mailboxes, as far as they were looked at."""
    found = {
        Right(name, right)
        for name, entry in mailbox_permission.send_as_of(send_as.listed())
        if entry.is_of(pointer)
        for right in entry.rights
    }
    for mailbox, output in full_access.items():
        for entry in mailbox_permission.entries_of(output.listed()):
            if entry.is_of(pointer):
                found |= {Right(mailbox, right) for right in entry.rights}
    return tuple(sorted(found))


SPEC = ArgumentSpec(
    {
        "app_id": {"type": "str", "required": True},
        "object_id": {"type": "str"},
        "object_id_read": {"type": "bool", "default": False},
        "pointer_read": {"type": "dict"},
        "display_name": {"type": "str"},
        "on_wrong_pointer": {"type": "str", "default": FAIL, "choices": [FAIL, REPLACE]},
        "mailboxes": {"type": "list", "elements": "str", "default": []},
        "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
    }
)
DOOR = Door(ServicePrincipal, SPEC, takes=True)
