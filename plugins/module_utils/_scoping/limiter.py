# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The limiter rule: nobody's reach grows because something that limits it is taken away or changed.

A policy is removed, a group removed or its members changed only after a look at all that hangs on it: the grants of
the application itself, by its id, and the policies of every other application on the group or on a group that holds
it, and the scopes of roles that name it. Everything here is pure, and fails closed: what is not known counts as if it
let somebody in.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import Recipient, listed
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.access_policy import (
    DENY,
    EVERY_APPLICATION,
    RESTRICT,
    Policy,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.holding import ABSENT, DELETED, Holding

Json = dict[str, t.Any]

GRANTED = "Granted"
EXCHANGE_ADMIN = "an Exchange Administrator"


@dataclass(frozen=True)
class Scoped:
    """A management scope that names a group, and whose roles it limits: application ids, or whatever stands for whom.

    ``understood``: it is the members of groups and nothing else, so that somebody who comes opens more, and one who
    leaves less. Of any other filter nobody can tell.
    """

    name: str
    applications: tuple[str, ...] = ()
    understood: bool = True

    def __str__(self) -> str:
        return f"the scope {self.name!r} of roles"


@dataclass(frozen=True)
class Facts:
    """What hangs on a group.

    ``policies``: all of the tenant. ``holders``: every group that holds ``group``, at any depth. ``verdicts``: what
    Exchange says today of an application (its id) and a mailbox (its Guid), where it was asked. ``scopes``: those of
    roles that name the group.
    """

    group: Recipient | None = None
    policies: tuple[Policy, ...] = ()
    holders: tuple[Recipient, ...] = ()
    verdicts: t.Mapping[tuple[str, str], str] = field(default_factory=dict)
    scopes: tuple[Scoped, ...] = ()


@dataclass(frozen=True)
class Effect:
    """What a change of members does to one other application. ``app_id`` ``*``: all that have no policy of their own.

    ``policies`` are those on the group or above it, and ``scopes`` those that name it, through which it comes about.
    """

    app_id: str
    policies: tuple[Policy, ...]
    mailboxes: tuple[Recipient, ...]
    scopes: tuple[Scoped, ...] = ()

    @property
    def who(self) -> str:
        return "every other application" if self.app_id == EVERY_APPLICATION else self.app_id

    def as_dict(self) -> Json:
        return {
            "app_id": self.app_id,
            "mailboxes": [mailbox.label for mailbox in self.mailboxes],
            "policies": [policy.as_dict() for policy in self.policies],
            **({"scopes": [scope.name for scope in self.scopes]} if self.scopes else {}),
        }

    @property
    def through(self) -> str:
        """What it comes about through, for people."""
        return listed([*map(str, self.policies), *map(str, self.scopes)])


@dataclass(frozen=True)
class Judgement:
    """``widened`` may open more than before, ``narrowed`` less; nobody that was declared stands in ``widened``."""

    widened: tuple[Effect, ...] = ()
    narrowed: tuple[Effect, ...] = ()

    def stuck(self) -> frozenset[str]:
        """The Guids of the mailboxes whose coming or going would let another application in."""
        return frozenset(mailbox.guid for effect in self.widened for mailbox in effect.mailboxes)


NOBODY: frozenset[str] = frozenset()


def of_others(facts: Facts, own: str | None) -> tuple[Policy, ...]:
    """The policies of other applications, ``*`` included, on the group or on a group that holds it."""
    scopes = [*([facts.group] if facts.group else []), *facts.holders]
    return tuple(
        policy for policy in facts.policies if policy.app_id != own and any(policy.covers(scope) for scope in scopes)
    )


def elsewhere(facts: Facts, own: str | None) -> tuple[Policy, ...]:
    """Policies of other applications that are not on the group itself: reason to ask which groups hold it."""
    group = facts.group
    return tuple(
        policy for policy in facts.policies if policy.app_id != own and (group is None or not policy.covers(group))
    )


def questions(
    facts: Facts, own: str | None, adding: t.Iterable[Recipient], accepted: t.Collection[str] = NOBODY
) -> list[tuple[str, Recipient]]:
    """The (application, mailbox) pairs of which Exchange's verdict decides whether adding the mailbox lets it in."""
    if EVERY_APPLICATION in accepted:
        return []
    asked = {
        policy.app_id
        for policy in of_others(facts, own)
        if policy.access_right != DENY and policy.app_id not in (*accepted, EVERY_APPLICATION)
    }
    return [(app_id, mailbox) for mailbox in adding for app_id in sorted(asked)]


def judge(
    facts: Facts,
    own: str | None,
    *,
    adding: t.Iterable[Recipient] = (),
    removing: t.Iterable[Recipient] = (),
    accepted: t.Collection[str] = NOBODY,
) -> Judgement:
    """What it does to the other applications when these mailboxes come into the group, or leave it.

    ``own``: the application that the group is meant for, None where it is not known, so that each is another one.
    ``accepted``: ids of applications (or ``*``) whose reach may grow.
    """
    coming, going = list(adding), list(removing)
    by_scopes = _by_scopes(facts, own, coming, going, accepted)
    hanging = of_others(facts, own)
    if not hanging:
        return by_scopes
    who = {policy.app_id for policy in hanging}
    if EVERY_APPLICATION in who:
        who |= {policy.app_id for policy in facts.policies} - {own}
    widened: list[Effect] = []
    narrowed: list[Effect] = []
    for app_id in sorted(who):
        hers = [policy for policy in facts.policies if policy.app_id in (app_id, EVERY_APPLICATION)]
        near = tuple(policy for policy in hers if policy in hanging)
        opened = [one for one in coming if _joins_wider(facts, app_id, near, one)]
        closed = [one for one in coming if any(policy.access_right == DENY for policy in near)]
        if going and _leaves_wider(facts, hers, near):
            opened += going
        elif going and any(policy.access_right == RESTRICT for policy in near):
            closed += going
        declared = EVERY_APPLICATION in accepted or app_id in accepted
        if opened and not declared:
            widened.append(Effect(app_id, near, tuple(opened)))
        if closed:
            narrowed.append(Effect(app_id, near, tuple(closed)))
    return Judgement((*widened, *by_scopes.widened), (*narrowed, *by_scopes.narrowed))


def _by_scopes(
    facts: Facts, own: str | None, coming: list[Recipient], going: list[Recipient], accepted: t.Collection[str]
) -> Judgement:
    """The same through scopes of roles: they hold the group's direct members, and have no denial."""
    widened: list[Effect] = []
    narrowed: list[Effect] = []
    for app_id in sorted({app_id for scope in facts.scopes for app_id in scope.applications} - {own or ""}):
        hers = tuple(scope for scope in facts.scopes if app_id in scope.applications)
        odd = tuple(scope for scope in hers if not scope.understood)
        opened = [*coming, *(going if odd else ())]
        if opened and EVERY_APPLICATION not in accepted and app_id not in accepted:
            widened.append(Effect(app_id, (), tuple(opened), hers if coming else odd))
        if going and len(odd) < len(hers):
            narrowed.append(Effect(app_id, (), tuple(going), tuple(scope for scope in hers if scope not in odd)))
    return Judgement(tuple(widened), tuple(narrowed))


def _joins_wider(facts: Facts, app_id: str, near: tuple[Policy, ...], mailbox: Recipient) -> bool:
    """Whether a mailbox that comes into the group may be opened from then on, and not before."""
    if any(policy.access_right == DENY for policy in near) or not near:
        return False
    # No policy near it denies, so that the nearest grants: unless it could open the mailbox before.
    return facts.verdicts.get((app_id, mailbox.guid)) != GRANTED


def _leaves_wider(facts: Facts, hers: list[Policy], near: tuple[Policy, ...]) -> bool:
    """Whether a mailbox that leaves the group may be opened from then on, and not before."""
    if not any(policy.access_right == DENY for policy in near):
        return False
    restricting = [policy for policy in hers if policy.access_right != DENY]
    # A policy that grants the group alone grants the mailbox no more. One elsewhere, or above, may.
    return not restricting or any(facts.group is None or not policy.covers(facts.group) for policy in restricting)


# ---- what people are told -------------------------------------------------------------------------------------------


def members_problem(
    judgement: Judgement, attempted: str, names: t.Mapping[str, str], *, own_known: bool = True
) -> Blocked | None:
    """The reason not to change the members. ``names``: display names by application id, as far as they are known."""
    if not judgement.widened:
        return None
    said = "; ".join(
        f"{called(effect.app_id, names)} could open {listed([one.label for one in effect.mailboxes])} "
        f"({effect.through})"
        for effect in judgement.widened
    )
    ids = ", ".join(effect.app_id for effect in judgement.widened)
    cure = (
        "use a group of this application's own (another name and alias), or name the applications in "
        f"accept_shared_group if that is meant: {ids}"
    )
    if not own_known:
        cure += ". If one of them is the application that this group is for, give it as app_id"
    return Blocked(
        f"other applications would reach more than before: {said}",
        attempted=attempted,
        cure=cure,
        who=EXCHANGE_ADMIN,
        details={"widened": [{**one.as_dict(), "name": names.get(one.app_id)} for one in judgement.widened]},
        options=("accept_shared_group", "alias"),
    )


def narrowing(judgement: Judgement, names: t.Mapping[str, str]) -> list[str]:
    """A warning for each other application that can open less than before."""
    return [
        f"{called(effect.app_id, names)} may lose {listed([one.label for one in effect.mailboxes])}: {effect.through}."
        for effect in judgement.narrowed
    ]


def called(app_id: str, names: t.Mapping[str, str]) -> str:
    """An application by name and id; "every other application" for ``*``."""
    if app_id == EVERY_APPLICATION:
        return "every other application"
    return f"{names[app_id]} ({app_id})" if names.get(app_id) else app_id


# ---- the application's own policies ---------------------------------------------------------------------------------


def needs_proof(policies: t.Iterable[Policy], app_id: str, going: t.Collection[Policy]) -> bool:
    """Whether the application could open more without the policies ``going``, if it holds a grant that they limit.

    While a valid RestrictAccess policy stays and no DenyAccess goes, less is opened than before.
    """
    if not going:
        return False
    if any(policy.access_right == DENY for policy in going):
        return True
    stays = [policy for policy in policies if policy.app_id in (app_id, EVERY_APPLICATION) and policy not in going]
    return not any(policy.access_right == RESTRICT and policy.is_valid for policy in stays)


def removal_problem(
    holding: Holding, attempted: str, *, revoked: bool = False, check_mode: bool = False
) -> Blocked | None:
    """The reason why what limits the application has to stay.

    ``revoked``: a run of ours has taken the application's grants back; in check mode it would have done so, and the
    grants that are still there count as gone.
    """
    if holding.state == ABSENT:
        return None
    if holding.state == DELETED:
        if revoked:
            return None
        return Blocked(
            f"the application {holding.label} is in Entra's recycle bin, and no run of ours revoked its permissions: "
            "restored, it could hold them again, with nothing to limit them",
            attempted=attempted,
            cure="restore the application and decommission again, or delete it for good from the recycle bin",
            who="an Application Administrator",
            details=holding.as_dict(),
        )
    if holding.grants and not (revoked and check_mode):
        return Blocked(
            f"the application {holding.label} still holds {listed(holding.grants)}, which this policy limits: without "
            "it every mailbox would be open to the application",
            attempted=attempted,
            cure="revoke these permissions first (entra_admin_consent with state absent, or in the portal: Enterprise "
            "applications, Permissions)",
            who="a Cloud Application Administrator or Privileged Role Administrator",
            details=holding.as_dict(),
        )
    return None
