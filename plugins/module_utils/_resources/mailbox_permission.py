# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Rights of one application on mailboxes: FullAccess and SendAs, all mailboxes in one task.

FullAccess shows mailbox by mailbox only, SendAs for the whole tenant at once. What has to be done is decided in
``mailbox_permission_plan``.
"""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import replace

from ansible_collections.mail2fax.m365.plugins.module_utils import _claim, _names, _ownership
from ansible_collections.mail2fax.m365.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.mail2fax.m365.plugins.module_utils._door import Door, Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import InvalidInput, NotFound
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Plan, Settled
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.mailbox_permission_plan import (
    Desired,
    Give,
    RightStep,
    State,
    Take,
    adds,
    plan,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.mailbox_permission_read import Reader
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.limiter import EXCHANGE_ADMIN
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.mailbox_permission import SEND_AS
from ansible_collections.mail2fax.m365.plugins.module_utils._settle import read_back
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant


class MailboxPermission:
    """The resource behind ``exchange_mailbox_permission``."""

    def __init__(self, tenant: Tenant, task: Task) -> None:
        self._tenant = tenant
        self._desired = _desired(task)
        self._scan_limit = task.params["scan_limit"] if task.params["scan"] == "all" else None
        self._also: tuple[str, ...] = ()

    # ---- reading

    def read(self) -> State:
        state = Reader(self._tenant.exchange, self._desired, self._scan_limit).look(self._also)
        if adds(state, self._desired):
            self._desired = replace(self._desired, trust=_claim.signed_in(self._tenant, self._desired.trust))
            state = replace(state, claim=_claim.look(self._tenant, self._desired.app_id))
        return state

    # ---- planning and writing

    def plan(self, current: State) -> Plan:
        return plan(current, self._desired, self._tenant.now())

    def perform(self, step: RightStep) -> None:
        match step:
            case Give():
                self._give(step)
            case Take():
                # Somebody else may have taken it off meanwhile, or removed the mailbox.
                with contextlib.suppress(NotFound):
                    self._take(step)
            case _:
                t.assert_never(step)

    def _give(self, step: Give) -> None:
        refusals: list[NotFound] = []

        def accepted() -> bool:
            """A service principal made a moment ago may be unknown to the server that answers now."""
            try:
                if step.right == SEND_AS:
                    self._tenant.exchange.invoke(
                        "Add-RecipientPermission",
                        step.title,
                        Identity=step.mailbox,
                        Trustee=step.user,
                        AccessRights=[step.right],
                        Confirm=False,
                    )
                else:
                    self._tenant.exchange.invoke(
                        "Add-MailboxPermission",
                        step.title,
                        Identity=step.mailbox,
                        User=step.user,
                        AccessRights=[step.right],
                        AutoMapping=False,
                        InheritanceType="All",
                        Confirm=False,
                    )
            except NotFound as exc:
                refusals.append(exc)
                return False
            return True

        if not self._tenant.patiently(accepted, what="Exchange to know the application's service principal"):
            refusals[-1].cure = (
                "run again in some minutes: Exchange learns late of a service principal that was made a moment ago. If "
                "it stays so, look whether the service principal and the mailbox are still there"
            )
            refusals[-1].who = EXCHANGE_ADMIN
            raise refusals[-1]

    def _take(self, step: Take) -> None:
        if step.rights == (SEND_AS,):
            self._tenant.exchange.invoke(
                "Remove-RecipientPermission",
                step.title,
                Identity=step.mailbox,
                Trustee=step.user,
                AccessRights=list(step.rights),
                Confirm=False,
            )
        else:
            self._tenant.exchange.invoke(
                "Remove-MailboxPermission",
                step.title,
                Identity=step.mailbox,
                User=step.user,
                AccessRights=list(step.rights),
                InheritanceType="All",
                Confirm=False,
            )

    def settle(self, plan: Plan) -> Settled:
        """The declared mailboxes again, and those that were changed."""
        self._also = tuple(dict.fromkeys(step.mailbox for step in plan.steps))
        seen = read_back(self._tenant, self).require("the application's right on a mailbox")
        return Settled({"rights": seen.plan.result["rights"]})


def _desired(task: Task) -> Desired:
    """The options, checked. Raises InvalidInput."""
    params = task.params
    mailboxes = tuple(_names.address(item, "mailboxes") for item in params["mailboxes"])
    present = params["state"] == "present"
    if present and not mailboxes:
        raise InvalidInput("mailboxes is empty", cure="list the mailboxes' addresses", options=("mailboxes",))
    if present and not params["full_access"] and not params["send_as"]:
        raise InvalidInput(
            "full_access and send_as are both false, so no right is declared",
            cure="set one of them to true, or state to absent",
            options=("full_access", "send_as"),
        )
    if params["scan_limit"] < 1:
        raise InvalidInput("scan_limit is below 1", cure="give a number of mailboxes", options=("scan_limit",))
    return Desired(
        app_id=task.app_id(),
        mailboxes=mailboxes,
        full_access=params["full_access"],
        send_as=params["send_as"],
        state=params["state"],
        exclusive=params["exclusive"],
        candidates=tuple(
            item.strip().lower() if _names.is_guid(item.strip()) else _names.address(item, "candidates")
            for item in params["candidates"] or ()
        ),
        former_sids=frozenset(str(item).strip().lower() for item in params["former_sids"] or () if item),
        own_rights=None
        if params["own_rights"] is None
        else frozenset((_names.guid(item["mailbox"], "own_rights"), item["right"]) for item in params["own_rights"]),
        trust=_ownership.trust_of(params),
        check_mode=task.check_mode,
    )


SPEC = ArgumentSpec(
    {
        "app_id": {"type": "str", "required": True},
        "mailboxes": {"type": "list", "elements": "str", "required": True},
        "full_access": {"type": "bool", "default": True},
        "send_as": {"type": "bool", "default": False},
        "exclusive": {"type": "bool", "default": False},
        "candidates": {"type": "list", "elements": "str", "default": []},
        "scan": {"type": "str", "default": "candidates", "choices": ["candidates", "all"]},
        "scan_limit": {"type": "int", "default": 1000},
        "former_sids": {"type": "list", "elements": "str", "default": []},
        "own_rights": {
            "type": "list",
            "elements": "dict",
            "options": {
                "mailbox": {"type": "str", "required": True},
                "right": {"type": "str", "required": True},
            },
        },
        "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
        **_ownership.TRUST_OPTIONS,
    }
)
DOOR = Door(MailboxPermission, SPEC, takes=True)
