# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The options of ``mailbox_probe_info``, read: mailboxes, accesses, and when what was changed is in force."""

from __future__ import annotations

import datetime as dt
import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils import _names
from ansible_collections.mail2fax.m365.plugins.module_utils._accesses import POLICY, ROLE, Access
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import InvalidInput
from ansible_collections.mail2fax.m365.plugins.module_utils._proofs import PROOFS
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.ews_access import IN_FORCE_AFTER
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.mailbox_probe_state import Asked
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.application_role import role_of
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.grant import Permission
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.model import MODELS
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.undoing import undoing


def asked_of(
    accesses: t.Sequence[Access], in_force_by: dt.datetime | None, ews: dt.datetime | None, *, send: bool
) -> tuple[Asked, ...]:
    """What is asked of each access. Which roles its token has to carry is its scoping model's business."""
    return tuple(_asked(access, in_force_by, ews, send) for access in accesses)


def _asked(access: Access, in_force_by: dt.datetime | None, ews: dt.datetime | None, send: bool) -> Asked:
    kind, model = PROOFS[access.protocol], MODELS[access.scoping]
    return Asked(
        id=access.id,
        protocol=access.protocol,
        roles=access.permissions if model.needs_consent else (),
        scoping=access.scoping,
        switched_off=kind.switched_off,
        service=kind.service,
        opened_by=kind.opened_by,
        in_force_by=latest([in_force_by, ews if access.protocol == "ews" else None]),
        # How late a policy may be is told by nobody, and a change of EWS settings says nothing of a role.
        settled_by=in_force_by if access.scoping != POLICY and access.protocol != "ews" else None,
        in_force_after=model.in_force_after,
        look_every=model.look_every,
        send=send,
    )


def undone(access: Access, accesses: t.Iterable[Access], app_id: str, carried: t.Iterable[str]) -> tuple[str, ...]:
    """What the token ``carries`` by a consent in Entra, and what that opens beside the roles of this access, in words.

    What other accesses of the application have by consent is meant to be there. No policy is looked at here.
    """
    if access.scoping != ROLE:
        return ()
    roles = {*access.roles, *filter(None, (role_of(access.resource, name) for name in access.permissions))}
    declared = [
        Permission(other.resource, name) for other in accesses if other.scoping != ROLE for name in other.permissions
    ]
    held = [Permission(access.resource, name) for name in carried]
    return tuple(str(one) for one in undoing(app_id, held, roles, declared=declared))


def latest(moments: t.Iterable[dt.datetime | None]) -> dt.datetime | None:
    return max((moment for moment in moments if moment is not None), default=None)


def in_force_by(params: t.Mapping[str, t.Any]) -> dt.datetime | None:
    """The latest of the instants in the option; empty ones are not said."""
    return latest(_names.instant(said, "in_force_by") for said in params.get("in_force_by") or () if str(said).strip())


def mailboxes(params: t.Mapping[str, t.Any]) -> dict[str, tuple[str, ...]]:
    lists: dict[str, tuple[str, ...]] = {}
    for option in ("allowed", "refused"):
        by_fold: dict[str, str] = {}
        for value in params[option]:
            checked = _names.address(value, option)
            by_fold.setdefault(checked.casefold(), checked)
        lists[option] = tuple(by_fold.values())
    both = {item.casefold() for item in lists["allowed"]} & {item.casefold() for item in lists["refused"]}
    if both:
        raise InvalidInput(
            f"{', '.join(sorted(both))} is in allowed and in refused", cure="a mailbox is either to open or not"
        )
    if not lists["allowed"] and not lists["refused"]:
        raise InvalidInput("no mailbox is named", cure="list mailboxes in allowed, and at least one in refused")
    return lists


def ews_in_force_by(params: t.Mapping[str, t.Any]) -> dt.datetime | None:
    for option, later in (("ews_in_force_by", dt.timedelta(0)), ("ews_changed_at", IN_FORCE_AFTER)):
        if params.get(option):
            return _names.instant(params[option], option) + later
    return None
