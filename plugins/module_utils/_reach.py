# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What it amounts to: the union of every way in that an application has, mailbox by mailbox. Pure.

Authorities add up: a mailbox is open when any grant opens it, whatever another model says.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet, Output
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.grant import Grant, Inside, Permission
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.model import MODELS, ByMailbox


@dataclass(frozen=True)
class Way:
    """One way into a mailbox."""

    model: str
    permission: str
    protocol: str
    limited_by: tuple[str, ...] = ()

    def __str__(self) -> str:
        narrowed = f", limited by {', '.join(self.limited_by)}" if self.limited_by else ""
        return f"{self.permission} by {self.protocol}{narrowed}"


@dataclass(frozen=True)
class Wider:
    """What is open beyond what was wanted: ``mailboxes`` by Guid, ``everything`` where nothing bounds a grant.

    ``unknown``: grants of which something that decides could not be read.
    """

    mailboxes: t.Mapping[str, tuple[Way, ...]]
    everything: tuple[Way, ...] = ()
    unknown: tuple[Way, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.mailboxes or self.everything or self.unknown)


def cmdlets(app_id: str, mailboxes: t.Sequence[str] = ()) -> list[tuple[str, Cmdlet]]:
    """(model, read) for all that has to be read to know an application's reach.

    ``mailboxes``: the Guids of those that are looked at one by one, where a model shows something in no other way.
    """
    asked = [(name, cmdlet) for name, model in sorted(MODELS.items()) for cmdlet in model.cmdlets(app_id)]
    for name, model in sorted(MODELS.items()):
        if isinstance(model, ByMailbox):
            asked += [(name, cmdlet) for mailbox in mailboxes for cmdlet in model.of_mailbox(mailbox)]
    return asked


def grants(
    app_id: str, held: t.Iterable[Permission], answers: t.Sequence[tuple[str, Output]], inside: Inside
) -> list[Grant]:
    """Every grant under every model. ``answers``: (model, output) in the order of ``cmdlets``."""
    permissions = list(held)
    return [
        grant
        for name, model in sorted(MODELS.items())
        for grant in model.grants(app_id, permissions, [output for of, output in answers if of == name], inside)
    ]


def way(grant: Grant) -> Way:
    return Way(grant.model, grant.permission, grant.protocol, grant.limited_by)


def reach(found: t.Iterable[Grant], mailboxes: t.Iterable[str]) -> dict[str, list[Way]]:
    """By mailbox (Guid): the ways into it; none for one that stays closed."""
    known = list(found)
    return {mailbox: [way(grant) for grant in known if grant.opens(mailbox)] for mailbox in mailboxes}


def wider_than(found: t.Iterable[Grant], wanted: t.Collection[str]) -> Wider:
    """What the grants open beyond the mailboxes ``wanted``, whether somebody has named those or not."""
    known = list(found)
    beyond = {guid for grant in known for guid in (grant.only or ()) if guid not in wanted and grant.opens(guid)}
    return Wider(
        {guid: tuple(ways) for guid, ways in reach(known, sorted(beyond)).items()},
        tuple(way(grant) for grant in known if grant.everything),
        tuple(way(grant) for grant in known if not grant.complete),
    )
