# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Moving an application from one way in to another: where from, where to, whether that is a path, and what is next.

Pure. Two promises decide everything here. No gap: the new way is proven before the old one is touched. Never wider:
what limits the old way goes only when nothing that it limits can be used any more, tokens included.

A migration is a mapping that the record of a tenant keeps under ``migration``::

    from, to      {profile, scoping: {access: model}, group_alias, group_name, scope_name}
    phase         one of PHASES
    since, until  when it began, and when to look again (None: a person is awaited, or nothing)
    awaits        what is awaited, in words; empty: nothing
    held          permissions that are granted later, once the rights that they ask for are in force
    in_force_by   when all that the new way needs is in force at the latest
    fresh_by      when every token is dead that was issued before the new permissions were granted
    tokens_until  when every token is dead that was issued before the old permissions were revoked
    revoked       whether they were
    ending        whether what limited the old way is being taken away: from there no way leads back
    rolling       whether it is being rolled back
    shown         whose values the hand-over sheet tells: from (if nothing is said) or to; shown_at: since when
    before        {permissions, tags, consents}: what the application had before the first write
    added         entries (see _added) of what the migration adds
    names         names that stay as they are, whatever the new profile calls them
"""

from __future__ import annotations

import datetime as dt
import difflib
import typing as t
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils._scoping import token_life
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.model import MODELS
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.times import instant, iso, readable_time
from ansible_collections.mail2fax.m365.plugins.plugin_utils._profile_format import ProfileError

Json = dict[str, t.Any]
Load = t.Callable[[str, t.Any], Json]
"""(profile, scoping) -> the resolved profile (see _profile). Raises ProfileError."""

PHASES = ("prepare", "prove", "hand_over", "confirm", "retire", "done")
"""In their order. The record's ``profile`` is the old one until ``retire`` ends."""

A, B, C, D = "application_access_policy", "application_role", "mailbox_permission", "tenant_wide"
BY_GROUP = (A, B)
PATHS: t.Mapping[tuple[str, str], str] = {
    (A, B): "",
    (A, C): "",
    (B, C): "",
    (B, B): "",
    (C, C): "",
    (C, B): "smtp",
}
"""(model of an access that goes, of one that comes) -> the one protocol of which that is a path, empty: any.

From A to A there is one as well: the same access with another group."""

CLAIM = "SMTP.SendAsApp"
"""With it in a token Exchange asks for rights on the mailbox, and a role does not count any more."""

_KEYS = ("profile", "scoping", "group_alias", "group_name")
_RESOURCES = {"exchange_online": token_life.EXCHANGE, "microsoft_graph": token_life.GRAPH}
_LETTERS = {A: "an access policy", B: "application roles", C: "rights on mailboxes", D: "nothing"}


class Refused(ValueError):
    """What is said is no migration. The text is for people, and says what to do."""


@dataclass(frozen=True)
class Path:
    """What a migration changes: ids of accesses that stay as they are, that come, and that go."""

    stays: tuple[str, ...]
    comes: tuple[str, ...]
    goes: tuple[str, ...]

    @property
    def nothing(self) -> bool:
        return not self.comes and not self.goes


# ---- where from, where to -------------------------------------------------------------------------------------------


def paths(old: Json, new: Json, groups: tuple[str, str] = ("", "")) -> Path:
    """What changes from ``old`` to ``new``, both resolved profiles. ``groups``: the aliases of their scope groups.

    Raises Refused where that is no path.
    """
    had, has = _keyed(old, groups[0]), _keyed(new, groups[1])
    path = Path(
        tuple(access["id"] for key, access in has.items() if key in had),
        tuple(access["id"] for key, access in has.items() if key not in had),
        tuple(access["id"] for key, access in had.items() if key not in has),
    )
    if path.nothing:
        raise Refused(
            "mail2fax_migrate_to names what the record shows already, so there is nothing to move. What to do: name "
            "another profile, another scoping model (scoping) or another group (group_alias)."
        )
    going = [access for key, access in had.items() if key not in has]
    for key, access in has.items():
        if key not in had:
            _check(access, going)
    return path


def _keyed(profile: Json, group: str) -> dict[tuple[t.Any, ...], Json]:
    return {
        (
            access["protocol"],
            frozenset(access["permissions"]),
            access["scoping"],
            group.casefold() if access["scoping"] in BY_GROUP else "",
        ): access
        for access in profile["accesses"]
    }


def _check(access: Json, going: t.Sequence[Json]) -> None:
    """Whether there is a path to an access that comes, from any of those that go."""
    model, name = access["scoping"], access["id"]
    if model == D:
        raise Refused(
            f"mail2fax_migrate_to would let the access {name} into every mailbox (tenant_wide), and a migration never "
            "opens more than before. What to do: pick a scoping model that limits it, with scoping."
        )
    if any(one["scoping"] == D for one in going):
        raise Refused(
            "The record shows an access that nothing limits (tenant_wide), and from there no migration leads anywhere. "
            "What to do: decommission the application, and provision it with the new profile or scoping model."
        )
    if model == A:
        same = [one for one in going if (one["protocol"], one["scoping"]) == (access["protocol"], A)]
        if not any(set(access["permissions"]) <= set(one["permissions"]) for one in same):
            raise Refused(
                f"mail2fax_migrate_to would limit the access {name} by an access policy, which Microsoft has put on "
                f"the way out: no migration leads there. What to do: pick {B} or {C} where the profile allows it, with "
                "scoping."
            )
        return
    froms = {one["scoping"] for one in going}
    only = [protocol for one, protocol in ((one, PATHS.get((one, model))) for one in froms) if protocol is not None]
    if froms and "" not in only and access["protocol"] not in only:
        told = " or ".join(sorted(_LETTERS[one] for one in froms))
        raise Refused(
            f"No migration leads from {told} to {_LETTERS[model]} for the access {name} ({access['protocol']}): from "
            "rights on mailboxes to application roles there is one for SMTP only. What to do: give the new way an "
            "application of its own, that is a second inventory host with the same mail2fax_tenant."
        )


def target(said: t.Any, current: t.Mapping[str, t.Any], load: Load) -> tuple[Json, Json]:
    """(from, to) as a migration keeps them. ``said``: ``mail2fax_migrate_to``. ``current``: what the record shows,
    ``profile`` (a name or path), ``scoping``, ``group_alias``, ``group_name`` and ``scope_name``.

    Raises Refused where that is no migration, and what ``load`` raises.
    """
    wish = _wish(said)
    old = load(str(current["profile"]), current["scoping"])
    begin: Json = {
        "profile": str(current["profile"]),
        "scoping": _models(old),
        "group_alias": str(current.get("group_alias") or "") if _has_group(old) else "",
        "group_name": str(current.get("group_name") or "") if _has_group(old) else "",
        "scope_name": str(current.get("scope_name") or old["names"].get("scope") or "") if B in old["models"] else "",
    }
    profile = str(wish.get("profile") or begin["profile"])
    scoping = wish.get("scoping")
    if profile == begin["profile"] and "profile" not in wish and not isinstance(scoping, str):
        scoping = {**begin["scoping"], **(scoping or {})}
    try:
        new = load(profile, scoping)
    except ProfileError as exc:
        raise Refused(f"{str(exc).replace('mail2fax_scoping', 'mail2fax_migrate_to.scoping')}.") from exc
    if wish.get("group_alias") and not _has_group(new):
        raise Refused(
            f"mail2fax_migrate_to names the group {wish['group_alias']}, and the scoping models that it leads to need "
            "none. What to do: leave group_alias out."
        )
    end = {"profile": profile, "scoping": _models(new), **_group(wish, begin, new)}
    paths(old, new, (begin["group_alias"], end["group_alias"]))
    return begin, end


def _wish(said: t.Any) -> Json:
    if isinstance(said, str) and said.strip():
        return {"profile": said.strip()}
    if not isinstance(said, t.Mapping) or not any(said.values()):
        raise Refused(
            "mail2fax_migrate_to says nothing. What to do: set it to the name of a profile, or to a mapping with any "
            "of profile, scoping, group_alias and group_name."
        )
    for key in said:
        if key not in _KEYS:
            near = difflib.get_close_matches(str(key), _KEYS, 1)
            raise Refused(
                f"mail2fax_migrate_to has the key {key!r}, which it does not know. What to do: "
                f"{f'write {near[0]} if that is meant' if near else 'use ' + ', '.join(_KEYS)}."
            )
    return {str(key): value for key, value in said.items() if value not in (None, "", {})}


def _group(wish: Json, begin: Json, new: Json) -> Json:
    """The scope group of the new way, and the name of its scope: the old one's, unless another is named."""
    if not _has_group(new):
        return {"group_alias": "", "group_name": "", "scope_name": ""}
    names = new["names"]
    alias = str(wish.get("group_alias") or begin["group_alias"] or names["group_alias"])
    same = alias.casefold() == begin["group_alias"].casefold()
    if same:
        name = begin["group_name"]
    elif alias.casefold() == str(names["group_alias"]).casefold():
        name = str(names["group"])
    else:
        name = ""
    name = str(wish.get("group_name") or name or f"{begin['group_name'] or names['group']} ({alias})")[:64]
    scope = ""
    if B in new["models"]:
        scope = begin["scope_name"] if same and begin["scope_name"] else str(names.get("scope") or name)
        if not same and scope.casefold() == begin["scope_name"].casefold():
            scope = f"{scope[: 61 - len(alias)]} ({alias})"[:64]
    return {"group_alias": alias, "group_name": name, "scope_name": scope}


def _models(profile: Json) -> dict[str, str]:
    return {access["id"]: access["scoping"] for access in profile["accesses"]}


def _has_group(profile: Json) -> bool:
    return any(model in BY_GROUP for model in profile["models"])


def stands(migration: t.Mapping[str, t.Any] | None) -> bool:
    """Whether a migration is under way."""
    return bool(migration) and (migration or {}).get("phase") in PHASES[:-1]


def same_target(one: t.Mapping[str, t.Any], other: t.Mapping[str, t.Any]) -> bool:
    return all(one.get(key) == other.get(key) for key in ("profile", "scoping")) and (
        str(one.get("group_alias") or "").casefold() == str(other.get("group_alias") or "").casefold()
    )


def called(side: t.Mapping[str, t.Any]) -> str:
    """One side of it, for people."""
    models = ", ".join(f"{access}: {model}" for access, model in side["scoping"].items())
    group = f", group {side['group_alias']}" if side.get("group_alias") else ""
    return f"{side['profile']} ({models}{group})"


# ---- what a migration has to grant, to revoke, to wait for ----------------------------------------------------------


def held_back(old: Json, new: Json) -> list[str]:
    """Permissions that are granted only once rights are in force: SMTP leaves the role at the first token with it."""
    roles = any(access["protocol"] == "smtp" and access["scoping"] == B for access in old["accesses"])
    asks = any(access["protocol"] == "smtp" and access["scoping"] == C for access in new["accesses"])
    return [CLAIM] if roles and asks else []


def names_of(permissions: t.Iterable[Json]) -> set[tuple[str, str, str]]:
    """(resource, type, name) of each, from the shape of the modules' option ``permissions``."""
    return {
        (str(item["resource"]), kind, str(name))
        for item in permissions
        for kind in ("application", "delegated")
        for name in item.get(kind) or []
    }


def as_option(names: t.Iterable[tuple[str, str, str]]) -> list[Json]:
    """The other way round."""
    found: dict[str, Json] = {}
    for resource, kind, name in sorted(names):
        found.setdefault(resource, {"resource": resource, "application": [], "delegated": []})[kind].append(name)
    return list(found.values())


def beyond(some: t.Iterable[Json], others: t.Iterable[Json]) -> list[Json]:
    """The permissions of ``some`` that ``others`` has not."""
    return as_option(names_of(some) - names_of(others))


def in_force_after(old: Json, new: Json, groups: tuple[str, str]) -> dt.timedelta:
    """How long what the new way needs may take to be in force."""
    path = paths(old, new, groups)
    return max(
        (MODELS[access["scoping"]].in_force_after for access in new["accesses"] if access["id"] in path.comes),
        default=dt.timedelta(),
    )


def fresh_after(
    old: Json, new: Json, grace: int | None, seen: t.Mapping[str, dt.timedelta] | None = None
) -> dt.timedelta:
    """How long a token may live that the fax server got by the old way, and that lacks a permission of the new one.
    ``seen``: how long tokens were seen to live, by application id of the resource.

    Without a grant that comes, or where the old way asks for tokens of another service, none does.
    """
    asked = {access["resource"] for access in old["accesses"]}
    coming = [one for one in beyond(new["permissions"], old["permissions"]) if one["resource"] in asked]
    now = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
    return lives(now, coming, grace, seen) - now


def lives(
    now: dt.datetime,
    permissions: t.Iterable[Json],
    grace: int | None,
    seen: t.Mapping[str, dt.timedelta] | None = None,
) -> dt.datetime:
    """When tokens are dead that are issued until ``now`` with these permissions."""
    names = {resource for resource, kind, _name in names_of(permissions) if kind == "application"}
    asked = [_RESOURCES.get(one, one) for one in names]
    return token_life.tokens_until(now, asked, grace, lives=seen)[0] if names else now


def revoked_until(old: Json, new: Json, now: dt.datetime, grace: int | None) -> dt.datetime | None:
    """When tokens are dead that carry what the old way had alone, counted from ``now``; None where it had nothing."""
    gone = [one for one in beyond(old["permissions"], new["permissions"]) if one["application"]]
    return lives(now, gone, grace) if gone else None


QUIET = dt.timedelta(hours=24)
"""For how long nobody has to have used the old way, at least."""
LATE = dt.timedelta(hours=2)
"""How late the log may tell of a sign-in."""


def quiet(old: Json, lives: t.Mapping[str, dt.timedelta] | None = None) -> dt.timedelta:
    """How long the log has to be silent of the old way: whoever has a token signs in again only when it ends.

    ``lives``: how long tokens were seen to live, by application id of the resource.
    """
    now = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
    asked = {_RESOURCES.get(one, one) for one in (access["resource"] for access in old["accesses"])}
    return max(QUIET, token_life.tokens_until(now, asked, lives=lives)[0] - now + LATE)


def usage(
    migration: t.Mapping[str, t.Any],
    old: Json,
    new: Json,
    told: t.Mapping[str, t.Any],
    now: dt.datetime,
    lives: t.Mapping[str, dt.timedelta] | None = None,
) -> Json:
    """``{unused, why, look_again}``: what the sign-ins (see _sign_ins) tell of the old way. ``unused`` None: nothing.

    A sign-in is for a service, and not for a way in: two ways to one service look alike. Nothing is believed silent
    that could not be read, and a log that does not show the new way either is believed nothing.
    """
    shown = instant(migration.get("shown_at"))
    before, after = ({access["resource"] for access in one["accesses"]} for one in (old, new))
    if before & after:
        names = " and ".join(sorted(_SERVICES.get(one, one) for one in before & after))
        return {"unused": None, "why": f"both ways sign in for {names}, so sign-ins do not tell them apart"}
    if shown is None or not told:
        return {"unused": None, "why": "the next run is the first to look"}
    if not told.get("complete"):
        return {"unused": None, "why": str(told.get("why") or "the sign-ins could not be read")}
    seen = [
        moment for row in told.get("resources") or [] if row["resource"] in before and (moment := instant(row["last"]))
    ]
    if not any(row["resource"] in after for row in told.get("resources") or []):
        return {"unused": None, "why": "the log shows no sign-in by the new way either"}
    last = max([shown, *seen])
    needed = quiet(old, lives)
    if now - last >= needed:
        return {"unused": True, "why": ""}
    why = (
        f"it was used at {readable_time(iso(last))}"
        if seen and last > shown
        else "nobody has used it since the sheet told"
    )
    return {"unused": False, "why": why, "look_again": iso(last + needed)}


_SERVICES = {"exchange_online": "Exchange Online", "microsoft_graph": "Microsoft Graph"}


# ---- what is next ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Facts:
    """What a run has found out. ``began``: the phase of the record when it began, None where there was no migration.

    ``settled``: every step of the way to both went through. ``changed``: one of them changed what decides who gets in.
    ``in_force_by``: what they say of when that is in force. ``by_hand``: a person has to give the consent.
    ``proof_pending``: (words, until) while a proof is not in force yet. ``unused``: whether the old way is known to be
    unused; None where nobody can tell, and ``why`` says why. ``lives``: how long tokens were seen to live, by resource.
    """

    now: dt.datetime
    began: str | None = None
    settled: bool = True
    changed: bool = False
    granted: bool = False
    in_force_by: tuple[dt.datetime, ...] = ()
    by_hand: bool = False
    proof_pending: tuple[str, str | None] | None = None
    confirmed: bool = False
    when_unused: bool = False
    unused: bool | None = None
    why: str = ""
    look_again: str | None = None
    grace: int | None = None
    lives: t.Mapping[str, dt.timedelta] | None = None


def next(migration: t.Mapping[str, t.Any], old: Json, new: Json, facts: Facts) -> Json:
    """The migration as it is after a run has settled both ways, and tried what can be tried: as far as it can go.

    It never goes beyond the beginning of ``retire``.
    """
    found: Json = {**migration, "awaits": "", "until": None}
    groups = (str(found["from"].get("group_alias") or ""), str(found["to"].get("group_alias") or ""))
    if not facts.settled or found["phase"] not in PHASES[:4]:
        return found
    known = instant(found.get("in_force_by"))
    if facts.changed or known is None:
        told = [*facts.in_force_by, facts.now + in_force_after(old, new, groups), *([known] if known else [])]
        found["in_force_by"] = iso(max(told))
    if facts.granted or not found.get("fresh_by"):
        found["fresh_by"] = iso(facts.now + fresh_after(old, new, facts.grace, facts.lives))
    if found["phase"] == "prepare" and _is_prepared(found, facts):
        found["phase"] = "prove"
    if found["phase"] == "prove" and _is_proven(found, facts):
        found["phase"] = "hand_over"
    if found["phase"] == "hand_over" and not _waits(
        found, "fresh_by", facts, "the end of tokens that the fax server got before the new permissions were granted"
    ):
        found.update(phase="confirm", shown="to", shown_at=iso(facts.now))
    if found["phase"] == "confirm" and _is_confirmed(found, facts):
        found["phase"] = "retire"
    return found


def released(migration: t.Mapping[str, t.Any], now: dt.datetime) -> Json:
    """The migration with nothing held back any more, if the rights that it waits for are in force."""
    ready = instant(migration.get("in_force_by"))
    if not migration.get("held") or migration.get("rolling") or ready is None or now < ready:
        return dict(migration)
    return {**migration, "held": [], "fresh_by": None}


def _is_prepared(found: Json, facts: Facts) -> bool:
    if facts.by_hand:
        found["awaits"] = "a person who gives the consent to the new permissions"
        return False
    return not (
        found.get("held") and _await(found, found["in_force_by"], "the rights on the mailboxes, before the consent")
    )


def _is_proven(found: Json, facts: Facts) -> bool:
    if facts.proof_pending is not None:
        words, until = facts.proof_pending
        _await(found, max(filter(None, (until, found["in_force_by"])), default=None), words)
        return False
    return not _waits(found, "in_force_by", facts, "what Exchange has cached to be in force for the new way")


def _is_confirmed(found: Json, facts: Facts) -> bool:
    if facts.began == "confirm" and facts.confirmed:
        return True
    if facts.when_unused and facts.unused:
        return True
    if facts.when_unused and facts.unused is False:
        _await(found, facts.look_again, f"the old way to be unused for longer than tokens live: {facts.why}")
        return False
    told = f" Whether the old way is still used cannot be told: {facts.why}." if facts.when_unused else ""
    found["awaits"] = (
        "somebody who set the fax server up as the hand-over sheet says, saw a fax go out and one come in, and "
        f"says so with mail2fax_migrate_confirm: true.{told}"
    )
    return False


def _waits(found: Json, key: str, facts: Facts, what: str) -> bool:
    until = instant(found.get(key))
    return until is not None and facts.now < until and _await(found, found[key], what)


def _await(found: Json, until: str | None, what: str) -> bool:
    found.update(awaits=what, until=until)
    return True


def told(migration: t.Mapping[str, t.Any]) -> str:
    """In a few words for people: the phase, and what is awaited since when, until when."""
    words = str(migration["phase"]).replace("_", " ")
    if migration.get("rolling"):
        words = "roll back"
    until = f" until {readable_time(migration['until'])}" if migration.get("until") else ""
    awaits = f": waits{until} for {migration['awaits']}" if migration.get("awaits") else ""
    return f"{words}{awaits}"
