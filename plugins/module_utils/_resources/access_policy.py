# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""One application access policy: an application, a group, and whether the group is what it may or may not open.

What has to be done is planned in ``access_policy_plan``.
"""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import replace

from ansible_collections.mail2fax.m365.plugins.module_utils import _names
from ansible_collections.mail2fax.m365.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.mail2fax.m365.plugins.module_utils._door import Door, Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Conflict, NotFound
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Plan, Settled
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import Recipient
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.access_policy_plan import (
    Create,
    Describe,
    Desired,
    PolicyStep,
    Remove,
    State,
    asks_for_holding,
    plan,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping import holding
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.access_policy import (
    DENY,
    RESTRICT,
    policies_of,
    read_cmdlet,
    scope_cmdlet,
    scopes,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._settle import read_back
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant

LONGEST_DESCRIPTION = 1024


class AccessPolicy:
    """The resource behind ``exchange_application_access_policy``."""

    def __init__(self, tenant: Tenant, task: Task) -> None:
        params = task.params
        self._tenant = tenant
        group = str(params["group"])
        description = params.get("description")
        if description is not None:
            description = _names.name(description, "description", LONGEST_DESCRIPTION)
        self._desired = Desired(
            app_id=task.app_id(),
            group=_names.name(group, "group", 256).strip(),
            access_right=params["access_right"],
            description=description,
            state=params["state"],
            on_other_policies=params["on_other_policies"],
            not_before=_names.instant_said(params.get("not_before"), "not_before"),
            consent_revoked=bool(params.get("consent_revoked")),
            check_mode=task.check_mode,
        )

    def read(self) -> State:
        state = self._look()
        if asks_for_holding(state, self._desired, self._tenant.now()):
            state = replace(state, holding=holding.read(self._tenant, self._desired.app_id))
        return state

    def _look(self) -> State:
        policies, found = self._tenant.exchange.invoke_many([read_cmdlet(), scope_cmdlet(self._desired.group)])
        recipients = [Recipient.of(item) for item in found.listed()]
        return State(tuple(policies_of(policies)), tuple(scopes(recipients, self._desired.group)))

    def plan(self, current: State) -> Plan:
        return plan(current, self._desired, self._tenant.now())

    def perform(self, step: PolicyStep) -> None:
        match step:
            case Create():
                self._create(step)
            case Describe():
                self._tenant.exchange.invoke(
                    "Set-ApplicationAccessPolicy", step.title, Identity=step.identity, Description=step.description
                )
            case Remove():
                # Somebody else may have removed it meanwhile.
                with contextlib.suppress(NotFound):
                    self._tenant.exchange.invoke(
                        "Remove-ApplicationAccessPolicy", step.title, Identity=step.identity, Confirm=False
                    )
            case _:
                t.assert_never(step)

    def _create(self, step: Create) -> None:
        refusals: list[NotFound] = []

        def accepted() -> bool:
            """A group made a moment ago may be unknown to the server that answers now."""
            try:
                self._tenant.exchange.invoke("New-ApplicationAccessPolicy", step.title, **step.arguments)
            except NotFound as exc:
                refusals.append(exc)
                return False
            except Conflict:
                if not self._already_there():
                    raise
            return True

        if not self._tenant.patiently(accepted):
            raise refusals[-1]

    def _already_there(self) -> bool:
        current = self._look()
        return any(
            policy.app_id == self._desired.app_id
            and policy.access_right == self._desired.access_right
            and any(policy.covers(scope) for scope in current.scopes)
            for policy in current.policies
        )

    def settle(self, plan: Plan) -> Settled:
        seen = read_back(self._tenant, self).require("the access policy")
        return Settled({key: seen.plan.result[key] for key in ("policy", "other_policies")})


SPEC = ArgumentSpec(
    {
        "app_id": {"type": "str", "required": True},
        "group": {"type": "str", "required": True},
        "access_right": {"type": "str", "default": RESTRICT, "choices": [RESTRICT, DENY]},
        "description": {"type": "str"},
        "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
        "on_other_policies": {"type": "str", "default": "fail", "choices": ["fail", "remove", "keep"]},
        "not_before": {"type": "str"},
        "consent_revoked": {"type": "bool", "default": False},
    }
)
DOOR = Door(AccessPolicy, SPEC, takes=True)
