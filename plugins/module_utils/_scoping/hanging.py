# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What hangs on a group, read from Exchange: which groups hold it, which scopes of roles name it, and what other
applications may open today."""

from __future__ import annotations

import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import (
    Forbidden,
    NotFound,
    ServiceError,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet, Exchange, Output
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import PER_FILTER, Recipient, by_properties
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.application_role import (
    GROUP,
    Assignment,
    Scope,
    all_assignments_cmdlet,
    everybodys,
    has,
    opens_mail,
    scopes_of,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.limiter import Scoped
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.pointer import Pointer

DEEPEST = 30
"""How many levels of groups are climbed; more than that is no way to keep groups, and stops the task."""


def holders(exchange: Exchange, group: Recipient) -> tuple[Recipient, ...]:
    """Every group that holds ``group``, at any depth: a request for each level, and one that finds no further."""
    seen: dict[str, Recipient] = {group.guid: group}
    level = [group]
    for _depth in range(DEEPEST):
        pairs = [("Members", one.dn) for one in level]
        if not all(value for _name, value in pairs):
            raise ServiceError(
                f"Exchange gives no distinguished name for {listing(level)}",
                attempted=f"look which groups hold {group.label}",
                cure="run again; if it stays so, give Microsoft's support the name of the group",
            )
        asked = [
            by_properties(pairs[start : start + PER_FILTER], f"look which groups hold {group.label}")
            for start in range(0, len(pairs), PER_FILTER)
        ]
        found = [Recipient.of(item) for output in exchange.invoke_many(asked) for item in output.listed()]
        level = [one for one in {one.guid: one for one in found}.values() if one.guid not in seen]
        if not level:
            return tuple(one for one in seen.values() if one is not group)
        seen.update({one.guid: one for one in level})
    raise ServiceError(
        f"{group.label} lies in groups within groups, more than {DEEPEST} levels deep",
        attempted=f"look which groups hold {group.label}",
        cure="choose another group",
    )


def scopes(exchange: Exchange, group: Recipient, told: Output) -> tuple[Scoped, ...]:
    """The management scopes that name ``group``, with whose roles they limit; and the group itself where a role was
    assigned on it, which need not show among the scopes. One further request.

    ``told``: the answer to ``application_role.scopes_cmdlet``.
    """
    named = [scope for scope in scopes_of(told) if scope.filter.names(group.dn)]
    return _limiting(exchange, named, group)


def left_behind(exchange: Exchange, name: str, told: Output) -> tuple[Scoped, ...]:
    """The same of a group that is to be made under this name: a scope that outlived its group may name it already."""
    if isinstance(told.error, Forbidden):
        return ()  # who may look after groups alone sees no scopes
    return _limiting(exchange, [scope for scope in scopes_of(told) if scope.filter.names_one_called(name)])


def _limiting(exchange: Exchange, named: t.Sequence[Scope], group: Recipient | None = None) -> tuple[Scoped, ...]:
    if not named and group is None:
        return ()
    everything = Cmdlet("Get-ServicePrincipal", {}, "read which applications have roles")
    assigned, pointed = exchange.invoke_many([all_assignments_cmdlet(), everything])
    pointers = [Pointer.of(item) for item in pointed.listed()]
    found = []
    for scope in named:
        users = [one for one in everybodys(assigned) if opens_mail(one.role) and _uses(one, scope, group)]
        whose = {_application(one, pointers) for one in users}
        found.append(Scoped(scope.name, tuple(sorted(whose)), understood=scope.filter.groups is not None))
    on_it = [one for one in everybodys(assigned) if opens_mail(one.role) and group and _is_on(one, group)]
    if on_it and not named and group:
        found.append(Scoped(group.name, tuple(sorted({_application(one, pointers) for one in on_it}))))
    return tuple(found)


def _uses(one: Assignment, scope: Scope, group: Recipient | None) -> bool:
    """Whether the scope limits the assignment. One that was made on the group itself has a scope that Exchange made,
    and says the group's name in its stead."""
    return _is_on(one, group) if one.kind == GROUP and group is not None else one.uses(scope)


def _is_on(one: Assignment, group: Recipient) -> bool:
    said = one.scope.casefold()
    return one.kind == GROUP and (said == group.name.casefold() or group.guid in said)


def _application(one: Assignment, pointers: t.Sequence[Pointer]) -> str:
    """The id of the application that has a role; whatever Exchange says of it where no pointer leads to one."""
    found = next((pointer for pointer in pointers if has(pointer, one)), None)
    return found.app_id if found else next((name for name in one.assignees if name), "somebody")


def listing(some: t.Iterable[Recipient]) -> str:
    return ", ".join(one.label for one in some)


def verdicts(exchange: Exchange, asked: t.Sequence[tuple[str, Recipient]]) -> dict[tuple[str, str], str]:
    """What Exchange says today of each (application, mailbox), by application id and the mailbox's Guid.

    A mailbox that Exchange does not know yet has no verdict, which counts as "could not be opened".
    """
    cmdlets = [
        Cmdlet(
            "Test-ApplicationAccessPolicy",
            {"Identity": mailbox.guid, "AppId": app_id},
            f"ask Exchange whether {app_id} may open {mailbox.label}",
        )
        for app_id, mailbox in asked
    ]
    said: dict[tuple[str, str], str] = {}
    for (app_id, mailbox), output in zip(asked, exchange.invoke_many(cmdlets), strict=True):
        if isinstance(output.error, NotFound):
            continue
        rows = output.objects()
        if len(rows) == 1:
            said[(app_id, mailbox.guid)] = str(rows[0].get("AccessCheckResult") or "")
    return said
