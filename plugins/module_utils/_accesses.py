# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The accesses of a profile as options take them: by which protocol, with which permission, limited by which model."""

from __future__ import annotations

import difflib
import typing as t
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils import _permissions
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked, InvalidInput
from ansible_collections.mail2fax.m365.plugins.module_utils._permissions import APPLICATION, Wanted

POLICY, ROLE, RIGHT, WIDE = "application_access_policy", "application_role", "mailbox_permission", "tenant_wide"
"""The scoping models by the names that people say."""

OPTION: dict[str, t.Any] = {
    "type": "list",
    "elements": "dict",
    "options": {
        "id": {"type": "str", "required": True},
        # Which there are is said by the tables of proofs and models, which whoever parses hands in.
        "protocol": {"type": "str", "required": True},
        "permissions": {"type": "list", "elements": "str", "default": []},
        "scoping": {"type": "str", "required": True},
        "roles": {"type": "list", "elements": "str", "default": []},
        # What a profile says besides; nothing here needs it.
        "resource": {"type": "str"},
        "scoping_allowed": {"type": "list", "elements": "str"},
    },
}

GRANT_OPTIONS: dict[str, t.Any] = {"accesses": OPTION, "accept_tenant_wide": {"type": "str"}}
"""The options by which a task says what limits the permissions that it declares or grants."""


@dataclass(frozen=True)
class Access:
    """One way in. ``permissions`` are Entra's names, ``roles`` Exchange's where the model is application_role."""

    id: str
    protocol: str
    scoping: str
    permissions: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()

    @property
    def resource(self) -> str:
        """The application id of the API that has the permissions."""
        return _permissions.WELL_KNOWN["microsoft_graph" if self.protocol == "graph" else "exchange_online"]


def parse(
    option: t.Sequence[t.Mapping[str, t.Any]] | None,
    name: str,
    *,
    models: t.Collection[str],
    protocols: t.Collection[str] | None = None,
) -> tuple[Access, ...] | None:
    """None stays None. ``models`` and ``protocols``: those that there are; None: any protocol, because nothing is done
    by it. Raises InvalidInput for another one, and for an id that is there twice."""
    if option is None:
        return None
    found = tuple(
        Access(
            id=one["id"],
            protocol=one["protocol"],
            scoping=one["scoping"],
            permissions=tuple(one.get("permissions") or ()),
            roles=tuple(one.get("roles") or ()),
        )
        for one in option
    )
    for one in found:
        _known(one.scoping, "scoping", models, name, one.id)
        if protocols is not None:
            _known(one.protocol, "protocol", protocols, name, one.id)
    twice = next((one.id for number, one in enumerate(found) if one.id in {other.id for other in found[:number]}), None)
    if twice is not None:
        raise InvalidInput(f"{name} has the id {twice!r} twice", cure="give each access an id of its own")
    return found


def _known(word: str, key: str, there: t.Collection[str], name: str, access: str) -> None:
    if word in there:
        return
    meant = difflib.get_close_matches(word, there, 1)
    raise InvalidInput(
        f"{name}: the {key} of the access {access!r} is {word!r}, which is not one of {', '.join(sorted(there))}",
        cure=f"write {meant[0]}" if meant else "take one of these",
        options=(name,),
    )


# ---- what may be granted --------------------------------------------------------------------------------------------

Pairs: t.TypeAlias = "frozenset[tuple[str, str]]"
"""(application id of the API, name of an application permission) each."""

_SECURITY_OFFICER = "the tenant's security officer"


def under(accesses: t.Iterable[Access], *models: str) -> Pairs:
    """The permissions that accesses of these models name, whether a grant belongs to the model or not."""
    return frozenset(
        (access.resource, name) for access in accesses if access.scoping in models for name in access.permissions
    )


def grantable(accesses: t.Collection[Access]) -> Pairs:
    """What may be granted in Entra: whatever an access policy limits where there is one, what opens nothing without a
    right on a mailbox under that model, and what the model without a limit is accepted for. Nothing under roles."""
    by_policy: set[tuple[str, str]] = {
        (app_id, name)
        for (app_id, kind), names in _permissions.LIMITED.items()
        if kind == APPLICATION
        for name in names
    }
    by_right = {(_permissions.WELL_KNOWN["exchange_online"], name) for name in _permissions.BY_RIGHT}
    wide = {pair for pair in under(accesses, WIDE) if _permissions.opens_every_mailbox(*pair)}
    limited = by_policy if any(access.scoping == POLICY for access in accesses) else set()
    return frozenset(limited | (under(accesses, RIGHT) & by_right) | wide)


def withheld(accesses: t.Collection[Access]) -> Pairs:
    """What must not be granted in Entra, because a role stands for it: the grant would undo the role's scope."""
    return under(accesses, ROLE) - grantable(accesses)


def beyond(
    wanted: t.Collection[Wanted],
    extra: t.Collection[str] | None,
    accesses: t.Collection[Access] | None,
    *,
    wide_accepted: bool,
) -> Blocked | None:
    """The reason to stop where a permission is declared that nothing limits, or that a role stands for.

    ``accesses`` None: nobody said which model limits what, so that only access policies count. ``extra``: names that
    are meant all the same; None: whatever is declared is meant, but for what a role stands for.
    """
    if accesses is None:
        return _permissions.beyond(wanted, extra)
    declared = frozenset((item.app_id, name) for item in wanted for name in item.application)
    meant = frozenset(pair for pair in declared if pair[1] in (extra or ()))
    roled = sorted(name for _app_id, name in (declared & withheld(accesses)) - meant)
    if roled:
        return Blocked(
            f"{_permissions.several(roled)} must not be granted in Entra: an application role stands for it, and the "
            "grant would undo the role's scope",
            cure="take it out of permissions, or choose another scoping model for its access",
            who=_SECURITY_OFFICER,
            details={"withheld": roled},
            options=("permissions", "accesses"),
        )
    wide = sorted(name for _app_id, name in (declared & under(accesses, WIDE)) - meant)
    if wide and not wide_accepted:
        return Blocked(
            f"nothing limits {_permissions.several(wide)}: the application could open every mailbox of the tenant, and "
            "nobody accepted that in words",
            cure="choose another scoping model, or say in accept_tenant_wide who accepts it and why",
            who=_SECURITY_OFFICER,
            details={"tenant_wide": wide},
            options=("accept_tenant_wide",),
        )
    return _permissions.beyond(wanted, extra, grantable(accesses))
