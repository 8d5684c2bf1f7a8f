# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What Exchange shows of applications: pointers, roles, scopes, policies, rights, and who is in what limits them."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ansible_collections.mail2fax.m365.plugins.module_utils import _names
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import ServiceError
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet, Exchange, Output
from ansible_collections.mail2fax.m365.plugins.module_utils._patience import Patience, Watch
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import Recipient, by_address, in_chunks
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.reach_info_entra import REFUSED, Told
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.reach_info_state import (
    OPENED,
    Held,
    RoleGroup,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping import (
    access_policy,
    application_role,
    mailbox_permission,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping import pointer as pointers
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.pointer import Pointer

Json = dict[str, t.Any]

_LOOK = "look for the mailboxes"
PER_BATCH = 10


class Asker:
    """Reads of Exchange, of which each may be refused."""

    def __init__(self, exchange: Exchange, told: Told) -> None:
        self._exchange = exchange
        self._told = told

    def many(self, cmdlets: t.Sequence[Cmdlet]) -> list[Output]:
        """An output each; where a list as a whole is refused, or a further page of one, each is asked for alone."""
        try:
            outputs = self._exchange.invoke_many(cmdlets)
        except REFUSED as exc:
            if not isinstance(exc, ServiceError) or len(cmdlets) == 1:
                outputs = [Output(error=_as_service(exc)) for _cmdlet in cmdlets]
            else:
                outputs = [self._alone(cmdlet) for cmdlet in cmdlets]
        for output in outputs:
            if output.error is None:
                self._told.answers += 1
        return outputs

    def _alone(self, cmdlet: Cmdlet) -> Output:
        try:
            return self._exchange.invoke_many([cmdlet])[0]
        except REFUSED as exc:
            return Output(error=_as_service(exc))

    def whole(self, output: Output) -> list[Json] | None:
        """All rows; None where they were refused, or cut short."""
        try:
            return output.whole()
        except REFUSED as exc:
            self._told.refused(exc)
            return None

    def some(self, output: Output) -> tuple[list[Json], bool]:
        """(the rows that are there, whether they are all)."""
        rows = self.whole(output)
        return (rows, True) if rows is not None else (output.value, False)


def _as_service(exc: Exception) -> ServiceError:
    return exc if isinstance(exc, ServiceError) else ServiceError(str(exc))


class Reader:
    """Reads for one application (``app_id``), or for all of them."""

    def __init__(self, asker: Asker, patience: Patience, app_id: str | None) -> None:
        self._ask = asker
        self._patience = patience
        self._app_id = app_id
        self.sent: Output | None = None
        """What Exchange said of SendAs, of one application."""
        self.looked = False
        """Whether everybody was found who has one of the addresses."""

    # ---- what hangs on applications

    def look(self, addresses: t.Sequence[str]) -> tuple[Held, dict[str, Recipient | None]]:
        """One request, beside further pages; and the recipients that have ``addresses``."""
        app_id = self._app_id
        everybody = Cmdlet("Get-ServicePrincipal", {}, "read which applications Exchange knows")
        groups = Cmdlet("Get-RoleGroup", {"ResultSize": "Unlimited"}, "read the role groups")
        asked = {
            "pointers": pointers.read_cmdlet(app_id) if app_id else everybody,
            "assignments": (
                application_role.assignments_cmdlet(app_id) if app_id else application_role.all_assignments_cmdlet()
            ),
            "scopes": application_role.scopes_cmdlet(),
            "policies": access_policy.read_cmdlet(),
            "role groups": groups,
            **({"send as": mailbox_permission.send_as_cmdlet(app_id)} if app_id else {}),
        }
        named = [address for address in addresses if not _names.is_guid(address)]
        guids = [("Guid", address) for address in addresses if _names.is_guid(address)]
        more = [*by_address(named, _LOOK), *in_chunks(guids, _LOOK)]
        outputs = self._ask.many([*asked.values(), *more])
        told = dict(zip(asked, outputs, strict=False))
        looked = [self._ask.some(output) for output in outputs[len(asked) :]]
        found = [Recipient.of(row) for some, _whole in looked for row in some]
        self.looked = all(whole for _some, whole in looked)
        rows = {name: self._ask.whole(output) for name, output in told.items() if name not in ("policies", "send as")}
        policies: tuple[access_policy.Policy, ...] | None = None
        try:
            told["policies"].whole()
            policies = tuple(access_policy.policies_of(told["policies"]))
        except REFUSED:
            if _says_none(told["policies"]):
                policies = ()
            else:
                self._ask.whole(told["policies"])
        listed = rows["pointers"]
        known = None if listed is None else tuple(map(Pointer.of, listed))
        if known is not None and app_id:
            known = tuple(one for one in known if one.app_id == app_id)
        held = Held(
            pointers=known,
            assignments=(
                None if rows["assignments"] is None else tuple(application_role.everybodys(told["assignments"]))
            ),
            scopes=None if rows["scopes"] is None else tuple(application_role.scopes_of(told["scopes"])),
            policies=policies,
            role_groups=None if rows["role groups"] is None else tuple(map(_role_group, rows["role groups"])),
            recipients={one.guid: one for one in found},
        )
        self.sent = told.get("send as")
        by_name: dict[str, Recipient | None] = {}
        for address in addresses:
            by_name[address] = next(
                (one for one in found if one.guid == address.lower() or one.has_address(address)), None
            )
        return held, by_name

    # ---- rights, mailbox by mailbox

    def rights(self, held: Held, mailboxes: t.Sequence[Recipient]) -> Held:
        """With the rights on these mailboxes. A request for each ten; when it takes long, it is told how far it is."""
        watch = Watch(self._patience, "")
        entries = dict(held.entries)
        wanted = [one for one in {one.guid: one for one in mailboxes}.values() if one.guid not in entries]
        for start in range(0, len(wanted), PER_BATCH):
            some = wanted[start : start + PER_BATCH]
            cmdlets = [mailbox_permission.full_access_cmdlet(one.guid, one.label) for one in some]
            for one, output in zip(some, self._ask.many(cmdlets), strict=True):
                rows = self._ask.whole(output)
                if rows is not None:
                    entries[one.guid] = tuple(mailbox_permission.entries_of(rows))
            done = min(start + PER_BATCH, len(wanted))
            watch.look(f"Exchange to tell the rights on mailboxes ({done} of {len(wanted)})")
        recipients = {**held.recipients, **{one.guid: one for one in wanted}}
        return replace(held, entries=entries, recipients=recipients, looked_at=len(entries))

    def everybody(self, limit: int | None) -> tuple[list[Recipient], bool]:
        """(mailboxes of the tenant, whether these are all): at most ``limit``."""
        most = None if limit is None else limit + 1
        cmdlet = Cmdlet("Get-Mailbox", {"ResultSize": "Unlimited"}, "read the list of all mailboxes", most)
        rows, whole = self._ask.some(self._ask.many([cmdlet])[0])
        found = [one for one in map(Recipient.of, rows) if one.type in OPENED]
        if limit is None or len(rows) <= limit:
            return found, whole
        return found[:limit], False


def _says_none(output: Output) -> bool:
    """Whether a tenant without any policy said so, which is an error that is none."""
    try:
        return access_policy.policies_of(output) == []
    except REFUSED:
        return False


def _role_group(row: t.Mapping[str, t.Any]) -> RoleGroup:
    def texts(key: str) -> tuple[str, ...]:
        value = row.get(key)
        items = value if isinstance(value, list) else str(value or "").split(",")
        return tuple(str(item).strip().rpartition("/")[2] for item in items if str(item).strip())

    return RoleGroup(str(row.get("Name") or row.get("Identity") or ""), texts("Roles"), texts("Members"))
