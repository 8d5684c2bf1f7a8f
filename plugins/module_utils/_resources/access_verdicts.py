# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What Exchange says of an application and a mailbox under each scoping model: what is asked, and what it means.

To add a model, write a class that is an ``Asker`` and add it to ``ASKERS``. What is configured is told, not yet what is
in force.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import NotFound, ServiceError
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet, Output
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import listed
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping import mailbox_permission
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.access_policy import AccessPolicies
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.application_role import (
    ADMINISTRATIVE_UNIT,
    CUSTOM,
    GROUP,
    ROLES,
    ApplicationRoles,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.mailbox_permission import MailboxPermissions
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.pointer import Pointer, pointer_of, read_cmdlet
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.tenant_wide import TenantWide

GRANTED, DENIED, PARTLY = "Granted", "Denied", "Partly"
"""``Partly``: some of what is wanted, or something else."""


@dataclass(frozen=True)
class Said:
    """What one model says of one mailbox: GRANTED, DENIED or PARTLY, and why, where that is worth a word."""

    scoping: str
    verdict: str
    reason: str = ""

    def as_dict(self) -> Json:
        return {"scoping": self.scoping, "verdict": self.verdict, "reason": self.reason or None}


@dataclass(frozen=True)
class Asked:
    """What is asked about. ``roles``: names of roles; ``rights``: FullAccess, SendAs.

    ``sid``: of the application, "" where Exchange has to be asked for it. ``one_by_one``: SendAs is read mailbox by
    mailbox, and not for the application as a whole, whom Exchange may not find by its id.
    """

    app_id: str
    mailboxes: tuple[str, ...]
    roles: tuple[str, ...] = ()
    rights: frozenset[str] = frozenset()
    sid: str = ""
    one_by_one: bool = False


Told = dict[str, "Said | ServiceError"]
"""By mailbox: what is said of it, or Exchange's word that there is no such mailbox. Everything else is raised."""


class Asker(t.Protocol):
    """How one model is asked."""

    def cmdlets(self, asked: Asked) -> list[Cmdlet]:
        """What is read; it joins the batch of the other models."""

    def told(self, asked: Asked, outputs: t.Sequence[Output]) -> Told:
        """From the answers to ``cmdlets``."""


class ByPolicies:
    """Model A: Exchange tests the policies for each mailbox."""

    name = AccessPolicies.name

    def cmdlets(self, asked: Asked) -> list[Cmdlet]:
        return [
            Cmdlet(
                "Test-ApplicationAccessPolicy",
                {"Identity": mailbox, "AppId": asked.app_id},
                f"ask Exchange whether the application may open {mailbox}",
            )
            for mailbox in asked.mailboxes
        ]

    def told(self, asked: Asked, outputs: t.Sequence[Output]) -> Told:
        found: Told = {}
        for mailbox, output in zip(asked.mailboxes, outputs, strict=True):
            if output.error is not None:
                found[mailbox] = _absent(output.error)
                continue
            rows = output.objects()
            verdict = str(rows[0].get("AccessCheckResult") or "") if len(rows) == 1 else ""
            if verdict not in (GRANTED, DENIED):
                raise _no_verdict(mailbox, verdict)
            found[mailbox] = Said(self.name, verdict)
        return found


class ByRoles:
    """Model B: Exchange tells, for each mailbox, the roles of the application and whether the mailbox is in scope.

    An application that it does not know has none. So the pointer is read as well, to tell that from a mailbox that it
    does not know.
    """

    name = ApplicationRoles.name

    def cmdlets(self, asked: Asked) -> list[Cmdlet]:
        return [
            read_cmdlet(asked.app_id),
            *(
                Cmdlet(
                    "Test-ServicePrincipalAuthorization",
                    {"Identity": asked.app_id, "Resource": mailbox},
                    f"ask Exchange which roles the application has on {mailbox}",
                )
                for mailbox in asked.mailboxes
            ),
        ]

    def told(self, asked: Asked, outputs: t.Sequence[Output]) -> Told:
        pointed, *tests = outputs
        known = pointer_of(pointed, asked.app_id) is not None
        # A pointer made a moment ago is shown before it can be asked about: then no mailbox has an answer.
        nobody = len(tests) > 1 and all(isinstance(output.error, NotFound) for output in tests)
        found: Told = {}
        for mailbox, output in zip(asked.mailboxes, tests, strict=True):
            if output.error is None:
                found[mailbox] = self._of(mailbox, asked, output.objects())
            elif known and not nobody:
                found[mailbox] = _absent(output.error)
            else:
                _absent(output.error)
                found[mailbox] = Said(self.name, DENIED, "Exchange does not know the application (yet)")
        return found

    def _of(self, mailbox: str, asked: Asked, rows: t.Sequence[Json]) -> Said:
        wanted = {word.casefold(): word for role in asked.roles for word in ROLES[role].grants}
        inside: set[str] = set()
        open_: list[str] = []
        for row in rows:
            role = str(row.get("RoleName") or "")
            if not self._is_inside(mailbox, row):
                continue
            # The words are the role table's, in one text; a bundle's name has none of them.
            words = [word.strip() for word in str(row.get("GrantedPermissions") or "").split(",") if word.strip()]
            inside |= {word.casefold() for word in words or (role.removeprefix("Application "),)}
            if self._is_organization(row):
                open_.append(role)
        missing = [word for fold, word in sorted(wanted.items()) if fold not in inside]
        wide = f"{listed(sorted(open_))} for the whole organization" if open_ else ""
        if not inside:
            return Said(self.name, DENIED, "no role has it in its scope")
        if wanted and missing:
            why = f"{listed(missing)} does not have it in its scope"
            return Said(self.name, PARTLY, f"{why}; {wide}" if wide else why)
        return Said(self.name, GRANTED, wide)

    @staticmethod
    def _is_organization(row: t.Mapping[str, t.Any]) -> bool:
        """An unknown word for what limits a role is the whole organization."""
        return str(row.get("ScopeType") or "") not in (CUSTOM, ADMINISTRATIVE_UNIT, GROUP)

    def _is_inside(self, mailbox: str, row: t.Mapping[str, t.Any]) -> bool:
        said = str(row.get("InScope")).strip().casefold()
        if said in ("true", "false"):
            return said == "true"
        if self._is_organization(row):
            return True
        raise _no_verdict(mailbox, str(row.get("InScope") or ""))


class ByRights:
    """Model C: the rights of the application on each mailbox, by its SID."""

    name = MailboxPermissions.name

    def cmdlets(self, asked: Asked) -> list[Cmdlet]:
        pointed = [] if asked.sid else [read_cmdlet(asked.app_id)]
        sends: list[Cmdlet] = []
        if mailbox_permission.SEND_AS in asked.rights:
            each = [_send_as_cmdlet(mailbox) for mailbox in asked.mailboxes]
            sends = each if asked.one_by_one else [mailbox_permission.send_as_cmdlet(asked.app_id)]
        return [*pointed, *sends, *map(mailbox_permission.full_access_cmdlet, asked.mailboxes)]

    def told(self, asked: Asked, outputs: t.Sequence[Output]) -> Told:
        count = len(outputs) - len(asked.mailboxes)
        before, full_access = list(outputs[:count]), outputs[count:]
        pointer = Pointer(asked.app_id, sid=asked.sid) if asked.sid else pointer_of(before.pop(0), asked.app_id)
        # A trustee that Exchange does not find has no such right; a mailbox that it does not find is told below.
        sends = [entry for output in before for entry in mailbox_permission.send_as_of(output.listed())]
        found: Told = {}
        for mailbox, output in zip(asked.mailboxes, full_access, strict=True):
            if output.error is not None:
                found[mailbox] = _absent(output.error)
                continue
            if pointer is None:
                found[mailbox] = Said(self.name, DENIED, "Exchange does not know the application (yet)")
                continue
            rows = output.objects()
            # Both kinds of rows tell the mailbox by its Name, and every mailbox has a row of its own owner.
            names = {str(row.get("Identity") or "").casefold() for row in rows}
            entries = mailbox_permission.entries_of(rows)
            entries += [entry for name, entry in sends if name.casefold() in names]
            has = mailbox_permission.Rights.of(one for one in entries if one.is_of(pointer)).effective
            found[mailbox] = self._of(asked.rights, has & {mailbox_permission.FULL_ACCESS, mailbox_permission.SEND_AS})
        return found

    def _of(self, wanted: frozenset[str], has: frozenset[str]) -> Said:
        if not has:
            return Said(self.name, DENIED, "it has no right there")
        missing = sorted(wanted - has)
        if missing:
            return Said(self.name, PARTLY, f"it has {listed(sorted(has))}, and not {listed(missing)}")
        return Said(self.name, GRANTED, listed(sorted(has)))


class Everywhere:
    """Model D: nothing limits it, so that there is nothing to ask but whether there is such a mailbox."""

    name = TenantWide.name

    def cmdlets(self, asked: Asked) -> list[Cmdlet]:
        return [
            Cmdlet("Get-Mailbox", {"Identity": mailbox}, f"look for the mailbox {mailbox}")
            for mailbox in asked.mailboxes
        ]

    def told(self, asked: Asked, outputs: t.Sequence[Output]) -> Told:
        return {
            mailbox: Said(self.name, GRANTED, "nothing limits the application")
            if output.error is None
            else _absent(output.error)
            for mailbox, output in zip(asked.mailboxes, outputs, strict=True)
        }


ASKERS: dict[str, Asker] = {
    ByPolicies.name: ByPolicies(),
    ByRoles.name: ByRoles(),
    ByRights.name: ByRights(),
    Everywhere.name: Everywhere(),
}
"""By the model's name."""


def _send_as_cmdlet(mailbox: str) -> Cmdlet:
    return Cmdlet("Get-RecipientPermission", {"Identity": mailbox}, f"read who may send as {mailbox}")


def _absent(error: ServiceError) -> ServiceError:
    """Exchange's word that there is no such thing. Raises any other error."""
    if not isinstance(error, NotFound):
        raise error
    return error


def _no_verdict(mailbox: str, said: str) -> ServiceError:
    return ServiceError(
        f"Exchange gave {said or 'no verdict'!r} for {mailbox}",
        attempted=f"ask Exchange whether the application may open {mailbox}",
        cure="run again; if it stays so, test the mailbox with Exchange's own PowerShell module",
    )
