# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The permissions that are in force for the application now: what was consented to until now."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils import _accesses, _names, _permissions
from ansible_collections.mail2fax.m365.plugins.module_utils._graph import Call
from ansible_collections.mail2fax.m365.plugins.module_utils._permissions import APPLICATION, Offer, Offers
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.asking import Answers, Ask, Read, Reads
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.desired import Desired
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.grant import Permission

_WHAT = "the permissions in force"


@dataclass(frozen=True)
class Facts:
    """As Graph documents; None where the operator may not read them, or the application's id was not known before."""

    roles: tuple[Json, ...] | None = None
    scopes: tuple[Json, ...] | None = None
    offers: tuple[Offer, ...] = ()


def calls(desired: Desired) -> Reads:
    """Only where the record or the inventory names the application by its id: so it costs no request of its own."""
    wanted = desired.application
    if wanted is None or wanted.identity.looked_up[0] != "appId":
        return {}
    return _of(desired, wanted.identity.looked_up[1])


def _of(desired: Desired, app_id: str) -> Reads:
    path = f"/servicePrincipals(appId={_names.odata(app_id)})"
    reads = {
        "roles": Read(Call("GET", f"{path}/appRoleAssignments?$top=999", f"read {_WHAT}"), _WHAT),
        "scopes": Read(Call("GET", f"{path}/oauth2PermissionGrants?$top=999", f"read {_WHAT}"), _WHAT),
    }
    declared = {item.app_id for item in desired.permissions or ()}
    for name, app_id in _permissions.WELL_KNOWN.items():
        if app_id not in declared:
            reads[name] = Read(_permissions.read_call(app_id), "the permissions that an API offers")
    return reads


def take(answers: Answers) -> Facts:
    """It only helps to know: what cannot be read stops nothing."""

    def rows(name: str) -> tuple[Json, ...] | None:
        return None if not answers.asked(name) or answers.useless(name) else tuple(answers.rows(name) or ())

    offered = [
        None if not answers.asked(name) or answers.useless(name) else answers.document(name)
        for name in _permissions.WELL_KNOWN
    ]
    return Facts(rows("roles"), rows("scopes"), tuple(_permissions.offers_from(offered).values()))


def explain(facts: Facts, desired: Desired, app_id: str, ask: Ask) -> Facts:
    """``app_id``: zeros for an application that is to be made. One further request where only the first batch told the
    id, and where a grant would undo the scope of a role."""
    if facts.roles is not None or app_id == _names.ZERO_GUID or _accesses.ROLE not in desired.models:
        return facts
    if calls(desired):
        return facts  # asked, and refused
    return take(ask.further(_of(desired, app_id)))


def held(facts: Facts, declared: Offers | None) -> tuple[Permission, ...] | None:
    """The application permissions that are in force, as scoping models ask for them; None where nothing is known.

    One whose name is not known has its id for a name.
    """
    if facts.roles is None:
        return None
    offers = {offer.object_id: offer for offer in (*facts.offers, *(declared or {}).values())}
    found = []
    for role in facts.roles:
        resource = offers.get(str(role.get("resourceId") or "").lower())
        ident = str(role.get("appRoleId") or "").lower()
        if resource is not None:
            found.append(Permission(resource.app_id, resource.names.get((APPLICATION, ident)) or ident))
    return tuple(dict.fromkeys(found))


def shown(facts: Facts, declared: Offers | None) -> list[Json] | None:
    """One entry for each resource, sorted by name; None where nothing is known.

    ``declared``: what the resources of declared permissions offer.
    """
    if facts.roles is None and facts.scopes is None:
        return None
    offers = {offer.object_id: offer for offer in (*facts.offers, *(declared or {}).values())}
    entries: dict[str, Json] = {}

    def entry(resource: t.Any, name: t.Any) -> Json:
        ident = str(resource or "").lower()
        known = offers.get(ident)
        title = known.display_name if known is not None else str(name or ident)
        return entries.setdefault(ident, {"resource": title, "application": [], "delegated": []})

    for role in facts.roles or ():
        offer = offers.get(str(role.get("resourceId") or "").lower())
        ident = str(role.get("appRoleId") or "").lower()
        said = (offer.names.get((APPLICATION, ident)) if offer is not None else None) or ident
        entry(role.get("resourceId"), role.get("resourceDisplayName"))["application"].append(said)
    for grant in facts.scopes or ():
        names = str(grant.get("scope") or "").split()
        entry(grant.get("resourceId"), None)["delegated"] += names
    for one in entries.values():
        one["application"], one["delegated"] = sorted(set(one["application"])), sorted(set(one["delegated"]))
    return sorted(entries.values(), key=lambda one: str(one["resource"]))
