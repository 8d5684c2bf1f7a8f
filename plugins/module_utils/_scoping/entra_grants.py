# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Entra grants beside application roles: authorities add up, so one of them may undo what a role's scope limits.

A grant opens every mailbox for its kind of thing, whatever the role's scope says, unless an access policy limits it.
For SMTP it is the other way round and no better: with the permission in its token, Exchange looks at rights on the
mailbox again.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils import _names, _permissions
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import ServiceError
from ansible_collections.mail2fax.m365.plugins.module_utils._graph import Call, Graph, Part
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import GROUPS, Recipient
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.access_policy import (
    EVERY_APPLICATION,
    RESTRICT,
    Policy,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.application_role import EXCHANGE, GRAPH
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant

Json = dict[str, t.Any]

REPLICATION_S = 60.0
SMTP_ROLE = "Application SMTP.SendAsApp"
_PURPOSE = "read what the application holds in Entra"
_KINDS: t.Mapping[str, str] = {
    **dict.fromkeys(("mail", "mail-advanced", "mailboxitem", "mailboxfolder"), "mail"),
    **{kind: kind for kind in ("mailboxsettings", "mailboxconfigitem", "calendars", "contacts")},
}
"""How the names of Graph's permissions begin that open mailboxes, and which of them open the same."""
_RETIRED = ("mail.", "calendars.", "contacts.", "mailboxsettings.", "mail-advanced.")
"""Permissions of Exchange Online's own for an API that ended in March 2024."""


@dataclass(frozen=True, order=True)
class Held:
    """One application permission that was granted. ``resource``: its application id, "" where that is not known.

    ``permission``: its name, or the role's id where nobody knows that. ``id`` and ``principal_id`` take it back.
    """

    resource: str
    permission: str
    id: str = ""
    principal_id: str = ""

    @property
    def of(self) -> str:
        return _permissions.resource_name(self.resource) if self.resource else "a resource that is not known"

    def __str__(self) -> str:
        return f"{self.permission} of {self.of}"


@dataclass(frozen=True)
class Holder:
    """The application's service principal (its object id), and what it holds."""

    principal_id: str
    held: tuple[Held, ...] = ()


def calls(app_id: str) -> list[Call]:
    """The parts of one batch."""
    path = f"/servicePrincipals(appId={_names.odata(app_id)})"
    return [
        Call("GET", f"{path}?$select=id,appId,displayName", _PURPOSE),
        Call("GET", f"{path}/appRoleAssignments?$top=999", _PURPOSE),
        *(_permissions.read_call(resource) for resource in (EXCHANGE, GRAPH)),
    ]


def read(tenant: Tenant, app_id: str, *, waits: bool = True) -> Holder | None:
    """One batch; more while a server of the directory does not show what another made. None: no service principal."""
    seen: list[Holder | bool | None] = []

    def complete() -> bool:
        parts = tenant.graph.batch(calls(app_id), purpose=_PURPOSE)
        seen.append(_holder(tenant.graph, parts))
        return seen[-1] is not False and (seen[-1] is not None or not waits)

    tenant.patiently(complete, budget_s=min(REPLICATION_S, tenant.patience_s))
    found = seen[-1]
    if isinstance(found, bool):
        raise ServiceError(
            "Graph shows the application's service principal and not what it holds",
            attempted=_PURPOSE,
            cure="run again in some minutes",
        )
    return found


def _holder(graph: Graph, parts: t.Sequence[Part]) -> Holder | t.Literal[False] | None:
    """None: there is none. False: the answers contradict one another."""
    principal, assigned, *resources = parts
    document = principal.found()
    if document is None:
        return None
    listed = assigned.found()
    if listed is None:
        return False
    principal_id = str(document["id"]).lower()
    offers = {offer.object_id: offer for offer in _permissions.offers_from(part.found() for part in resources).values()}
    held = []
    for item in graph.rest(listed, _PURPOSE):
        role_id, resource_id = (str(item.get(key) or "").lower() for key in ("appRoleId", "resourceId"))
        offer = offers.get(resource_id)
        if offer is None and len(offers) == len(resources):
            continue  # of another service, which opens no mailbox
        name = offer.names.get((_permissions.APPLICATION, role_id)) if offer else None
        held.append(Held(offer.app_id if offer else "", name or role_id, str(item["id"]), principal_id))
    return Holder(principal_id, tuple(sorted(held)))


def kind_of(one: Held) -> str | None:
    """What a grant opens in every mailbox: ``everything``, a kind of thing, or None for nothing by itself.

    What is not known opens everything. The permissions for IMAP, POP and SMTP open nothing without a right on the
    mailbox.
    """
    name = one.permission.casefold()
    if not one.resource or _names.is_guid(name):
        return "everything"
    if one.resource == EXCHANGE:
        return "everything" if name == "full_access_as_app" else None
    if name == "mail.send":
        return "send"
    return _KINDS.get(name.partition(".")[0])


def is_retired(one: Held) -> bool:
    """Whether it is a permission of an API that ended: dead weight, to be taken back when there is time."""
    return one.resource == EXCHANGE and one.permission.casefold().startswith(_RETIRED)


def undoing(
    held: t.Iterable[Held], roles: t.Collection[str], declared: t.Collection[tuple[str, str]] = ()
) -> list[Held]:
    """The grants that undo what the roles' scope limits. ``declared``: (resource's application id, permission) that
    other accesses of the application take by consent; one of a kind that a role is for undoes it all the same."""
    kinds = {kind for role in roles for kind in _kinds_of_role(role)}
    found = []
    for one in held:
        kind = kind_of(one)
        if one.resource == EXCHANGE and one.permission == "SMTP.SendAsApp":
            if SMTP_ROLE in roles:
                found.append(one)
        elif kind is not None and (
            kind == "everything" or kind in kinds or (one.resource, one.permission) not in declared
        ):
            found.append(one)
    return found


def _kinds_of_role(role: str) -> set[str]:
    name = role.removeprefix("Application ").casefold()
    if name == "mail full access":
        return {"mail", "send"}
    if name == "mail.send":
        return {"send"}
    if name in ("exchange full access", "ews.accessasapp"):
        return {*_KINDS.values(), "send"}
    kind = _KINDS.get(name.partition(".")[0])
    return {kind} if kind else set()


def limited_to(group: Recipient, members: t.Iterable[Recipient], policies: t.Iterable[Policy], app_id: str) -> bool:
    """Whether access policies keep the application's grants to the direct members of the group, or to fewer."""
    hers = [
        one
        for one in policies
        if one.app_id in (app_id, EVERY_APPLICATION) and one.access_right == RESTRICT and one.is_valid
    ]
    nested = any(member.type in GROUPS for member in members)
    return bool(hers) and not nested and all(one.covers(group) for one in hers)


def obeys_policies(one: Held) -> bool:
    """Whether an access policy limits this grant."""
    return one.permission in _permissions.LIMITED.get((one.resource, _permissions.APPLICATION), ())


def by_resource(held: t.Iterable[Held]) -> list[Json]:
    """The shape of the option ``permissions``."""
    names: dict[str, set[str]] = {}
    for one in held:
        names.setdefault(one.of, set()).add(one.permission)
    return [{"resource": of, "application": sorted(some), "delegated": []} for of, some in sorted(names.items())]
