# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""One way in that an application has, as data: what every scoping model answers with."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass


@dataclass(frozen=True)
class Permission:
    """What an application holds: a permission's name and the application id of the resource that has it."""

    resource: str
    name: str


@dataclass(frozen=True)
class Grant:
    """What one permission or role opens under one model. Mailboxes are told by their Guids, in lower case.

    ``only``: all that is opened, None for every mailbox of the tenant; ``but`` is taken off either. ``limited_by`` says
    what narrows it, for people. ``complete`` is False where something that decides could not be read: then ``only`` and
    ``but`` are what is known, and more may be open. ``unsure`` is True where something that may take mailboxes off
    could not be read: then ``but`` may be too little, and nobody can say of a mailbox that it is open.
    """

    model: str
    permission: str
    protocol: str
    only: frozenset[str] | None = None
    but: frozenset[str] = frozenset()
    limited_by: tuple[str, ...] = ()
    complete: bool = True
    unsure: bool = False
    since: str = ""
    """When it was given (ISO 8601, UTC), where that is known."""

    def opens(self, mailbox: str) -> bool:
        """Whether the mailbox (its Guid) is known to be open."""
        return mailbox not in self.but and (self.only is None or mailbox in self.only)

    @property
    def everything(self) -> bool:
        """Whether nothing says which mailboxes it opens."""
        return self.only is None


class Partly(frozenset[str]):
    """What is known of something of which a part could not be read."""


def is_whole(members: frozenset[str] | None) -> bool:
    """Whether that is all there is."""
    return members is not None and not isinstance(members, Partly)


EVERY_MAILBOX = "*"
"""The key that stands for all mailboxes of the tenant."""

Inside = t.Callable[[str], "frozenset[str] | None"]
"""By the key of a group (as the model's limiter names it: a management scope by its distinguished name, folded): the
Guids of the mailboxes in it at any depth, None where they cannot be read, ``Partly`` where only some could. A scope
holds direct members only; whoever answers for it with more than those errs on the safe side. The text of a scope's
filter may be a key as well. The Name of a mailbox is the key of that mailbox alone, and EVERY_MAILBOX of all that there
are."""
