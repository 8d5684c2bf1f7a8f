# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nobody's reach grows because a limiter is taken away or changed: the rule, and random tenants against it."""

from __future__ import annotations

import itertools
import random
import subprocess
import typing as t
from dataclasses import dataclass, field

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import Recipient
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping import limiter
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.access_policy import (
    DENY,
    EVERY_APPLICATION,
    RESTRICT,
    Policy,
)

OWN = "0a000000-0000-4000-8000-00000000000a"
B = "0b000000-0000-4000-8000-00000000000b"
C = "0c000000-0000-4000-8000-00000000000c"
GROUP, MAILBOX = "MailUniversalSecurityGroup", "UserMailbox"


def one(name: str, kind: str = MAILBOX) -> Recipient:
    return Recipient(
        *(f"guid-{name}", kind, f"{name}@contoso.com", name, name, name),
        entra_id=f"entra-{name}",
        dn=f"CN={name}",
        addresses=frozenset({f"{name}@contoso.com"}),
    )


def policy(app_id: str, scope: Recipient, right: str = RESTRICT) -> Policy:
    return Policy(f"t\\{app_id}:{scope.name}", app_id, right, scope.name, scope.name, entra_id=scope.entra_id)


SG, ABOVE, OTHER = one("sg", GROUP), one("above", GROUP), one("other", GROUP)
FAX, SCAN = one("fax"), one("scan")


def facts(*policies: Policy, verdicts: dict[tuple[str, str], str] | None = None) -> limiter.Facts:
    return limiter.Facts(SG, policies, (ABOVE,), verdicts or {})


def who(effects: t.Iterable[limiter.Effect]) -> list[str]:
    return [effect.app_id for effect in effects]


@pytest.mark.parametrize("scope", [SG, ABOVE])
@pytest.mark.parametrize("app_id", [B, EVERY_APPLICATION])
def test_who_is_restricted_to_the_group_may_open_what_comes_into_it(app_id: str, scope: Recipient):
    judged = limiter.judge(facts(policy(app_id, scope)), OWN, adding=[FAX])
    assert who(judged.widened) == [app_id]
    blocked = limiter.members_problem(judged, "add fax", {B: "Scanner"})
    assert blocked is not None
    assert app_id in blocked.cure
    assert "accept_shared_group" in blocked.options
    if app_id == B:
        assert "Scanner" in blocked.message


@pytest.mark.parametrize("accepted", [{B}, {EVERY_APPLICATION}])
def test_who_is_named_may(accepted: set[str]):
    assert not limiter.judge(facts(policy(B, SG)), OWN, adding=[FAX], accepted=accepted).widened
    assert limiter.judge(facts(policy(B, SG), policy(C, SG)), OWN, adding=[FAX], accepted={B}).widened


def test_a_policy_for_every_application_is_accepted_by_an_asterisk_alone():
    here = facts(policy(EVERY_APPLICATION, SG))
    assert limiter.judge(here, OWN, adding=[FAX], accepted={B}).widened
    assert not limiter.judge(here, OWN, adding=[FAX], accepted={EVERY_APPLICATION}).widened


def test_our_own_policies_and_those_on_other_groups_count_for_nobody():
    here = facts(policy(OWN, SG), policy(B, OTHER))
    assert limiter.of_others(here, OWN) == ()
    assert limiter.judge(here, OWN, adding=[FAX], removing=[SCAN]) == limiter.Judgement()


def test_without_an_application_of_its_own_everybody_is_another_one():
    judged = limiter.judge(facts(policy(OWN, SG)), None, adding=[FAX])
    assert who(judged.widened) == [OWN]
    blocked = limiter.members_problem(judged, "add fax", {}, own_known=False)
    assert blocked is not None
    assert "app_id" in blocked.cure


def test_what_could_be_opened_before_is_not_widened():
    here = facts(policy(B, SG), verdicts={(B, FAX.guid): "Granted"})
    assert not limiter.judge(here, OWN, adding=[FAX]).widened
    assert limiter.judge(here, OWN, adding=[FAX, SCAN]).widened[0].mailboxes == (SCAN,)


def test_only_what_decides_is_asked():
    here = facts(policy(B, SG), policy(C, SG, DENY), policy(EVERY_APPLICATION, SG), policy(OWN, SG))
    assert limiter.questions(here, OWN, [FAX]) == [(B, FAX)]
    assert limiter.questions(here, OWN, [FAX], {B}) == []
    assert limiter.questions(here, OWN, [FAX], {EVERY_APPLICATION}) == []


def test_who_is_denied_the_group_loses_what_comes_into_it():
    judged = limiter.judge(facts(policy(B, SG, DENY)), OWN, adding=[FAX])
    assert not judged.widened
    assert who(judged.narrowed) == [B]
    assert "Scanner" in limiter.narrowing(judged, {B: "Scanner"})[0]


@pytest.mark.parametrize("scope", [SG, ABOVE])
@pytest.mark.parametrize("elsewhere", [[], [policy(B, OTHER)], [policy(B, ABOVE)]])
def test_who_is_denied_the_group_may_open_what_leaves_it(scope: Recipient, elsewhere: list[Policy]):
    judged = limiter.judge(facts(policy(B, scope, DENY), *elsewhere), OWN, removing=[SCAN])
    assert who(judged.widened) == [B]
    assert judged.stuck() == {SCAN.guid}


def test_who_is_restricted_to_the_group_loses_what_leaves_it():
    judged = limiter.judge(facts(policy(B, SG)), OWN, removing=[SCAN])
    assert not judged.widened
    assert who(judged.narrowed) == [B]


def test_a_denial_for_everybody_that_goes_opens_it_for_those_with_policies_of_their_own_too():
    here = facts(policy(EVERY_APPLICATION, SG, DENY), policy(B, OTHER))
    assert who(limiter.judge(here, OWN, removing=[SCAN]).widened) == [EVERY_APPLICATION, B]


def test_many_are_cut_with_a_count():
    many = [one(f"m{number:04}") for number in range(1200)]
    blocked = limiter.members_problem(limiter.judge(facts(policy(B, SG)), OWN, adding=many), "add", {})
    assert blocked is not None
    assert len(blocked.message) < 1000
    assert "and 1190 more" in blocked.message


# ---- random tenants -------------------------------------------------------------------------------------------------


@dataclass
class World:
    """A tenant of groups within groups, and policies on them. What is asked of it knows nothing of the limiter."""

    groups: dict[str, set[str]] = field(default_factory=dict)
    """Direct members, groups among them, by name."""
    policies: list[tuple[str, str, str]] = field(default_factory=list)
    """(application, right, name of the scope)."""

    def inside(self, scope: str, mailbox: str) -> bool:
        if scope == mailbox:
            return True
        return any(self.inside(member, mailbox) for member in self.groups.get(scope, ()))

    def opens(self, app_id: str, mailbox: str) -> bool:
        hers = [(right, scope) for app, right, scope in self.policies if app in (app_id, EVERY_APPLICATION)]
        met = {right for right, scope in hers if self.inside(scope, mailbox)}
        if DENY in met:
            return False
        return RESTRICT in met or not any(right == RESTRICT for right, _scope in hers)

    def above(self, name: str) -> set[str]:
        holders = {group for group, members in self.groups.items() if name in members}
        return holders.union(*(self.above(group) for group in holders)) if holders else set()


MAILBOXES = ("m1", "m2", "m3", "m4")
NOBODY_IN_PARTICULAR = "0d000000-0000-4000-8000-00000000000d"
"""An application without a policy of its own."""


def invent(seed: int) -> tuple[World, set[str], set[str], set[str]]:
    """(tenant, mailboxes that come into g0, those that leave it, applications whose reach may grow)."""
    chance = random.Random(seed)
    world = World()
    names = [f"g{number}" for number in range(chance.randint(1, 5))]
    for index, name in enumerate(names):
        members = set(chance.sample(MAILBOXES, chance.randint(0, 3)))
        # Only groups further on, so that no group holds itself; g0 is often one of those held.
        world.groups[name] = members | {inner for inner in names[:index] if chance.random() < 0.4}
    for app_id, scope in itertools.product((OWN, B, C, EVERY_APPLICATION), (*names, *MAILBOXES[:1])):
        if chance.random() < (0.15 if app_id == EVERY_APPLICATION else 0.3):
            world.policies.append((app_id, chance.choice((RESTRICT, RESTRICT, DENY)), scope))
    inside = {member for member in world.groups["g0"] if member in MAILBOXES}
    adding = set(chance.sample(MAILBOXES, chance.randint(0, 2))) - inside
    removing = set(chance.sample(sorted(inside), chance.randint(0, len(inside))))
    accepted = {app for app in (B, C, EVERY_APPLICATION) if chance.random() < 0.15}
    return world, adding, removing, accepted


def check(seed: int) -> str:
    """What became of one random tenant: ``idle``, ``blocked`` or ``changed``. Asserts that nobody's reach grew."""
    world, adding, removing, accepted = invent(seed)
    made = {name: one(name, GROUP if name in world.groups else MAILBOX) for name in (*world.groups, *MAILBOXES)}
    known = limiter.Facts(
        made["g0"],
        tuple(policy(app, made[scope], right) for app, right, scope in world.policies),
        tuple(made[name] for name in sorted(world.above("g0"))),
    )
    coming = [made[name] for name in sorted(adding)]
    said = {
        (app, mailbox.guid): "Granted" if world.opens(app, mailbox.name) else "Denied"
        for app, mailbox in limiter.questions(known, OWN, coming, accepted)
    }
    known = limiter.Facts(known.group, known.policies, known.holders, said)
    judged = limiter.judge(
        known, OWN, adding=coming, removing=[made[name] for name in sorted(removing)], accepted=accepted
    )
    if not adding and not removing:
        assert not judged.widened
        return "idle"
    if judged.widened:
        return "blocked"
    others = [B, C, NOBODY_IN_PARTICULAR]
    before = {(app, box) for app in others for box in MAILBOXES if world.opens(app, box)}
    world.groups["g0"] = (world.groups["g0"] | adding) - removing
    grown = {(app, box) for app in others for box in MAILBOXES if world.opens(app, box)} - before
    if EVERY_APPLICATION not in accepted:
        assert {app for app, _box in grown} <= accepted, f"seed {seed}: {grown}"
    return "changed"


def commit_seed() -> int:
    """Another sample with every commit, the same one within it."""
    told = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    return int(told[:8] or "0", 16)


def test_nobody_elses_reach_grows_in_a_sample_of_random_tenants():
    start = commit_seed()
    became = [check(seed) for seed in range(start, start + 3000)]
    assert min(became.count(word) for word in ("blocked", "changed")) > 200, "the sample tries nothing"


def check_removal(seed: int) -> str:
    """The same for a group that goes as a whole, which it does only when no policy is on it any more."""
    world, _adding, _removing, accepted = invent(seed)
    world.policies = [(app, right, scope) for app, right, scope in world.policies if scope != "g0"]
    made = {name: one(name, GROUP if name in world.groups else MAILBOX) for name in (*world.groups, *MAILBOXES)}
    known = limiter.Facts(
        made["g0"],
        tuple(policy(app, made[scope], right) for app, right, scope in world.policies),
        tuple(made[name] for name in sorted(world.above("g0"))),
    )
    members = [made[name] for name in sorted(world.groups["g0"])]
    if limiter.judge(known, OWN, removing=members, accepted=accepted).widened:
        return "stays"
    others = [B, C, NOBODY_IN_PARTICULAR]
    before = {(app, box) for app in others for box in MAILBOXES if world.opens(app, box)}
    del world.groups["g0"]
    for held in world.groups.values():
        held.discard("g0")
    grown = {(app, box) for app in others for box in MAILBOXES if world.opens(app, box)} - before
    if EVERY_APPLICATION not in accepted:
        assert {app for app, _box in grown} <= accepted, f"seed {seed}: {grown}"
    return "goes"


def test_nobody_elses_reach_grows_when_a_group_goes():
    start = commit_seed()
    became = [check_removal(seed) for seed in range(start, start + 1500)]
    assert min(became.count(word) for word in ("stays", "goes")) > 50, "the sample tries nothing"


@pytest.mark.soak
def test_nobody_elses_reach_grows_in_very_many_random_tenants():
    for seed in range(100_000):
        check(seed)
        check_removal(seed)


def test_nothing_is_blocked_that_lets_nobody_in_by_a_policy_that_restricts():
    """Where no policy denies, the judgement is exact: blocked is only what would really widen somebody."""
    for seed in range(2000):
        world, adding, removing, _accepted = invent(seed)
        world.policies = [
            (app, RESTRICT, scope) for app, _right, scope in world.policies if app not in (OWN, EVERY_APPLICATION)
        ]
        made = {name: one(name, GROUP if name in world.groups else MAILBOX) for name in (*world.groups, *MAILBOXES)}
        known = limiter.Facts(
            made["g0"],
            tuple(policy(app, made[scope], right) for app, right, scope in world.policies),
            tuple(made[name] for name in sorted(world.above("g0"))),
        )
        coming = [made[name] for name in sorted(adding)]
        said = {
            (app, box.guid): "Granted" if world.opens(app, box.name) else "Denied"
            for app, box in limiter.questions(known, OWN, coming)
        }
        judged = limiter.judge(
            limiter.Facts(known.group, known.policies, known.holders, said),
            OWN,
            adding=coming,
            removing=[made[name] for name in sorted(removing)],
        )
        before = {(app, box) for app in (B, C) for box in adding if world.opens(app, box)}
        world.groups["g0"] |= adding
        grown = {(app, box) for app in (B, C) for box in adding if world.opens(app, box)} - before
        assert {(effect.app_id, box.name) for effect in judged.widened for box in effect.mailboxes} == grown, seed


# ---- scopes of roles ------------------------------------------------------------------------------------------------


def scoped(*applications: str, understood: bool = True) -> limiter.Facts:
    return limiter.Facts(scopes=(limiter.Scoped("their scope", applications, understood),))


BOX = Recipient(guid="box", type="UserMailbox", address="box@contoso.com")
THEIRS = "9cb8b5d2-8724-4f32-8152-a16a230b682b"
OURS_TOO = "8cb8b5d2-8724-4f32-8152-a16a230b682b"


def test_who_comes_into_a_group_comes_into_every_scope_that_names_it():
    judgement = limiter.judge(scoped(THEIRS, OURS_TOO), OURS_TOO, adding=[BOX])
    assert [effect.app_id for effect in judgement.widened] == [THEIRS]
    problem = limiter.members_problem(judgement, "change", {})
    assert problem is not None
    assert "the scope 'their scope' of roles" in problem.message
    assert problem.details["widened"][0]["scopes"] == ["their scope"]
    for accepted in (frozenset({THEIRS}), frozenset({"*"})):
        assert not limiter.judge(scoped(THEIRS), OURS_TOO, adding=[BOX], accepted=accepted).widened


def test_who_leaves_a_group_leaves_the_scope_unless_nobody_can_tell():
    judgement = limiter.judge(scoped(THEIRS), OURS_TOO, removing=[BOX])
    assert (judgement.widened, [one.app_id for one in judgement.narrowed]) == ((), [THEIRS])
    assert "their scope" in limiter.narrowing(judgement, {})[0]
    judgement = limiter.judge(scoped(THEIRS, understood=False), OURS_TOO, removing=[BOX])
    assert ([one.app_id for one in judgement.widened], judgement.narrowed) == ([THEIRS], ())
    assert not limiter.judge(scoped(), OURS_TOO, adding=[BOX], removing=[BOX]).widened
