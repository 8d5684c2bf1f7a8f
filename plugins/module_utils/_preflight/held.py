# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What the application has in Exchange, as it was read: its pointer, role assignments and scopes, rights on mailboxes.

The topics ``pointer``, ``roles`` and ``rights`` judge it.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.mail2fax.m365.plugins.module_utils import _accesses, _names
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Output
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.asking import Answers, Ask, Read, Reads
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.desired import Desired
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping import (
    application_role,
    mailbox_permission,
    pointer,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.pointer import Pointer

POINTER, SCOPES = "the application in Exchange", "the management scopes and role assignments"
RIGHTS = "the rights on the mailboxes"
_ON = "rights on "


@dataclass(frozen=True)
class Facts:
    """``pointers``: those that bear the application's id, and others of the same object id. None stands for what the
    operator may not read, or what nobody asked for.

    ``full_access``: by address, the answer of Get-MailboxPermission, of as many mailboxes as there was room for.
    """

    pointers: tuple[Pointer, ...] | None = None
    scopes: Output | None = None
    assignments: Output | None = None
    send_as: Output | None = None
    full_access: t.Mapping[str, Output] = field(default_factory=dict)

    def pointer(self, app_id: str) -> Pointer | None:
        return next((one for one in self.pointers or () if one.app_id == app_id), None)


def known_id(desired: Desired) -> str:
    """The application's id where it is known before anything is read; "" otherwise."""
    wanted = desired.application
    if wanted is None or wanted.identity.looked_up[0] != "appId":
        return ""
    return str(wanted.identity.looked_up[1]).lower()


def calls(desired: Desired) -> Reads:
    app_id = known_id(desired)
    reads: dict[str, Read] = {}
    if desired.needs_pointer and app_id:
        reads.update(_of(desired, app_id, spare=True))
    if _accesses.ROLE in desired.models:
        reads["scopes"] = Read(application_role.scopes_cmdlet(), SCOPES)
        reads["assignments"] = Read(application_role.all_assignments_cmdlet(), SCOPES)
    return reads


def _of(desired: Desired, app_id: str, *, spare: bool) -> Reads:
    """What is read by the application's id. ``spare``: rights where the batch has room for them."""
    reads = {"pointer": Read(pointer.read_cmdlet(app_id), POINTER)}
    if _accesses.RIGHT not in desired.models:
        return reads
    reads["send as"] = Read(mailbox_permission.send_as_cmdlet(app_id), RIGHTS, 0 if spare else None)
    for address in [*desired.mailboxes, *desired.control]:
        reads[_ON + address] = Read(mailbox_permission.full_access_cmdlet(address), RIGHTS, 3 if spare else None)
    return reads


def take(answers: Answers) -> Facts:
    return Facts(
        pointers=_pointers(answers),
        scopes=_output(answers, "scopes"),
        assignments=_output(answers, "assignments"),
        send_as=_output(answers, "send as", only_helps=True),
        full_access={
            name.removeprefix(_ON): output
            for name in answers.reads
            if name.startswith(_ON) and (output := _output(answers, name, only_helps=True)) is not None
        },
    )


def _pointers(answers: Answers) -> tuple[Pointer, ...] | None:
    rows = answers.rows("pointer")
    return None if rows is None else tuple(map(Pointer.of, rows))


def _output(answers: Answers, name: str, *, only_helps: bool = False) -> Output | None:
    """Raises what no refusal explains, unless it ``only_helps`` to tell more."""
    output = answers.output(name)
    if output is None or (answers.useless(name) if only_helps else answers.refused(name)):
        return None
    output.listed()
    return output


def explain(facts: Facts, desired: Desired, app_id: str, ask: Ask) -> Facts:
    """``app_id``: of the application that was found, zeros for one that is to be made. One further request where only
    the answers told the id."""
    if not desired.needs_pointer or app_id == _names.ZERO_GUID or known_id(desired):
        return facts
    more = take(ask.further(_of(desired, app_id, spare=False)))
    return replace(facts, pointers=more.pointers, send_as=more.send_as, full_access=more.full_access)


def blind(facts: Facts, desired: Desired, app_id: str) -> list[str]:
    """What was expected and could not be read, in words."""
    unread = [POINTER] if desired.needs_pointer and app_id != _names.ZERO_GUID and facts.pointers is None else []
    if _accesses.ROLE in desired.models and (facts.scopes is None or facts.assignments is None):
        unread.append(SCOPES)
    return unread
