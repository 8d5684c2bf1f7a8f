# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What is declared while a migration stands: the old way in and the new one, as one definition. Pure.

Until ``retire`` it is both, so that a run settles both and removes nothing of either. From then on it is the new way;
what is left of the old one is the migration's to take away. After ``done`` it is the new way, with the names that the
application keeps.
"""

from __future__ import annotations

import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils import _steps
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _migration
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.times import instant

Json = dict[str, t.Any]
_ID = 40
"""The longest id of an access."""


def declared(profile: str, scoping: t.Any, migration: t.Mapping[str, t.Any] | None, load: _migration.Load) -> Json:
    """What the inventory's profile comes to, with what the record tells of a migration. Raises what ``load`` raises."""
    if not migration or migration.get("phase") not in _migration.PHASES:
        return load(profile, scoping)
    new = load(str(migration["to"]["profile"]), migration["to"]["scoping"])
    if migration["phase"] == "done":
        named = load(profile, scoping)
        return after(named, migration) if named["name"] == new["name"] else named
    return definition(load(str(migration["from"]["profile"]), migration["from"]["scoping"]), new, migration)


def definition(old: Json, new: Json, migration: t.Mapping[str, t.Any]) -> Json:
    """A resolved profile for all roles. Beside the keys of one it has ``migrating``, which says what a run may not do:

    ``roles`` (those of both groups), ``looked_at`` (the accesses that the preflight judges by the first group),
    ``groups`` (the aliases of both sides), ``settled`` (names that hold whatever the inventory says), ``tolerated``
    (permissions that are not held against a scope), ``proven`` (the accesses that can be tried for real), ``other``
    (the second group, with what limits by it; empty where there is one group or none), ``two_policies`` (whether an
    access policy on either group is ours), ``old`` and ``new`` (both profiles by themselves), ``phase``.
    """
    old, new = (
        {**old, "names": _names(old, migration["from"], migration)},
        {**new, "names": _names(new, migration["to"], migration)},
    )
    groups = (str(migration["from"].get("group_alias") or ""), str(migration["to"].get("group_alias") or ""))
    path = _migration.paths(old, new, groups)
    base = _of_both(old, new, path, migration) if is_both(migration) else _of_the_new(old, new, migration)
    tolerated = _migration.names_of(old["permissions"]) | _migration.names_of(new["permissions"])
    return {
        **base,
        "migrating": {
            "phase": migration["phase"],
            "settled": _settled(migration),
            "roles": list(dict.fromkeys([*base["roles"], *(new["roles"] if is_both(migration) else [])])),
            "looked_at": _looked_at(base, old, new, migration, groups),
            "groups": list(dict.fromkeys(filter(None, groups))),
            "tolerated": _migration.as_option(tolerated),
            "proven": _proven(base, migration),
            "other": _other(old, new, migration, groups),
            "two_policies": not _same_group(migration) and _migration.A in {*old["models"]} & {*new["models"]},
            "old": old,
            "new": new,
        },
    }


def is_both(migration: t.Mapping[str, t.Any]) -> bool:
    """Whether both ways are declared: until what the old one holds alone is revoked, and while it is taken up again."""
    return bool(migration.get("rolling") or migration["phase"] in _migration.PHASES[:4] or not migration.get("revoked"))


def after(new: Json, migration: t.Mapping[str, t.Any]) -> Json:
    """The new way once the migration is done: what exists keeps its names."""
    return {**new, "names": _names(new, migration["to"], migration)}


def kept(old: Json) -> Json:
    """The names that an application keeps when its profile is another one."""
    return {key: old["names"][key] for key in ("application", "unique_name", "secret")}


def _names(one: Json, side: t.Mapping[str, t.Any], migration: t.Mapping[str, t.Any]) -> Json:
    said = {"group_alias": side.get("group_alias"), "group": side.get("group_name"), "scope": side.get("scope_name")}
    return {**one["names"], **(migration.get("names") or {}), **{key: value for key, value in said.items() if value}}


def _of_both(old: Json, new: Json, path: _migration.Path, migration: t.Mapping[str, t.Any]) -> Json:
    coming = [access for access in new["accesses"] if access["id"] in path.comes]
    taken = {access["id"] for access in old["accesses"]}
    held = set(migration.get("held") or [])
    granted = {
        one
        for one in _migration.names_of(old["permissions"]) | _migration.names_of(new["permissions"])
        if one[2] not in held or one in _migration.names_of(old["permissions"])
    }
    accesses = [*old["accesses"], *({**access, "id": _free(access["id"], taken)} for access in coming)]
    chosen = set(old["steps"]) | set(new["steps"])
    one_group = not (migration["from"].get("group_alias") and migration["to"].get("group_alias")) or (
        _same_group(migration)
    )
    roles = list(dict.fromkeys([*old["roles"], *new["roles"]] if one_group else old["roles"]))
    names = old["names"] if migration["from"].get("group_alias") else {**old["names"], **_group_names(new)}
    return {
        **old,
        "names": names,
        "accesses": accesses,
        "models": sorted({*old["models"], *new["models"]}),
        "protocols": sorted({*old["protocols"], *new["protocols"]}),
        "permissions": _migration.as_option(granted),
        "roles": roles,
        "steps": list(_steps.of("provision", {step for step in chosen if _steps.STEPS[step].chosen})),
        "full_access": old["full_access"] or new["full_access"],
        "send_as": old["send_as"] or new["send_as"],
        "switches": sorted({*old["switches"], *new["switches"]}),
        "sunset": old.get("sunset") or new.get("sunset"),
    }


def _of_the_new(old: Json, new: Json, migration: t.Mapping[str, t.Any]) -> Json:
    """Rights that tokens of before still need stay until those are dead, or the removal has begun."""
    if migration.get("ending") or not new["full_access"]:
        return new
    return {
        **new,
        "full_access": old["full_access"] or new["full_access"],
        "send_as": old["send_as"] or new["send_as"],
    }


def _group_names(one: Json) -> Json:
    return {key: one["names"][key] for key in ("group", "group_alias", "scope") if one["names"].get(key)}


def _same_group(migration: t.Mapping[str, t.Any]) -> bool:
    one, other = (str(migration[side].get("group_alias") or "").casefold() for side in ("from", "to"))
    return one == other


def _settled(migration: t.Mapping[str, t.Any]) -> Json:
    """The group and the scope of the side that a run looks after, whatever the inventory calls them."""
    first, second = ("from", "to") if is_both(migration) else ("to", "from")
    side = migration[first] if migration[first].get("group_alias") else migration[second]
    # A scope of the new way within the old way's group.
    scope = side.get("scope_name") or (migration[second].get("scope_name") if _same_group(migration) else "")
    return {
        "group_alias": side.get("group_alias") or "",
        "group_name": side.get("group_name") or "",
        "scope_name": scope or "",
    }


def _other(old: Json, new: Json, migration: t.Mapping[str, t.Any], groups: tuple[str, str]) -> Json:
    """The new way's group, where the old way has another one."""
    if not all(groups) or _same_group(migration) or not is_both(migration):
        return {}
    end = migration["to"]
    return {
        "group_alias": end["group_alias"],
        "group_name": end["group_name"],
        "policy": _migration.A in new["models"],
        "roles": list(new["roles"]),
        "scope_name": end.get("scope_name") or "",
    }


def _looked_at(
    base: Json, old: Json, new: Json, migration: t.Mapping[str, t.Any], groups: tuple[str, str]
) -> list[Json]:
    if not _other(old, new, migration, groups):
        return list(base["accesses"])
    own = {access["id"] for access in old["accesses"]}
    return [one for one in base["accesses"] if one["id"] in own or one["scoping"] not in _migration.BY_GROUP]


def _proven(base: Json, migration: t.Mapping[str, t.Any]) -> list[Json]:
    """The accesses of which a real call tells something.

    A token with a consent proves nothing of a role for the same protocol, and one without a held permission nothing of
    the rights that it asks for. Where a person is awaited, only the new way is used, so that the old one is seen idle.
    """
    granted = {name for _resource, _kind, name in _migration.names_of(base["permissions"])}
    by_consent = {
        access["protocol"]
        for access in base["accesses"]
        if access["scoping"] != _migration.B and set(access["permissions"]) <= granted
    }
    proven = [
        access
        for access in base["accesses"]
        if (access["protocol"] not in by_consent if access["scoping"] == _migration.B else True)
        and (access["scoping"] == _migration.B or set(access["permissions"]) <= granted)
    ]
    if migration["phase"] != "confirm":
        return proven
    wanted = migration["to"]["scoping"]
    new = [
        access
        for access in proven
        if any(access["id"] in (one, _called(one)) and access["scoping"] == model for one, model in wanted.items())
    ]
    # A token for the same service carries the old way's consent, which a proof of roles holds against them unless it is
    # told of that access, too; they were proven before.
    carried = {access["resource"] for access in proven if access not in new and access["scoping"] != _migration.B}
    return [
        access for access in new if access["scoping"] != _migration.B or access["resource"] not in carried
    ] or proven


def _called(name: str) -> str:
    return f"{name[: _ID - 4]}_new"


def _free(name: str, taken: t.Collection[str]) -> str:
    return _called(name) if name in taken else name


def over(moment: t.Any, now: t.Any) -> bool:
    """Whether a moment (ISO 8601, or nothing) has come."""
    until, at = instant(moment), instant(now)
    return until is None or at is None or at >= until


# ---- what a sheet tells ---------------------------------------------------------------------------------------------


def told(profile: Json, document: t.Mapping[str, t.Any]) -> tuple[Json, Json, Json | None]:
    """(profile, document, what is said of the move) for a hand-over sheet: one side alone, with its own proofs.

    The last is None where no migration stands, else ``from`` and ``to`` (titles), ``side`` (from or to), ``before``
    (the old way's connections, while they work beside those that are told), ``same`` (whether nothing has to be typed
    anew) and ``untried`` (ids of accesses that nothing but Exchange's own word and time stands for yet).
    """
    migrating = profile.get("migrating")
    migration = document.get("migration") or {}
    if not migrating or not _migration.stands(migration):
        return profile, dict(document), None
    side = "to" if migration.get("shown") == "to" else "from"
    old, new = migrating["old"], migrating["new"]
    shown = new if side == "to" else old
    tried = {(one["protocol"], one["scoping"]) for one in migrating["proven"]}
    own = {(one["protocol"], one["scoping"]): one["id"] for one in shown["accesses"]}
    called = {one["id"]: own.get((one["protocol"], one["scoping"])) for one in profile["accesses"]}
    rows = [{**row, "proofs": list(_own_proofs(row, called))} for row in document.get("mailboxes") or []]
    works = side == "to" and migration["phase"] == "confirm" and not migration.get("rolling")
    moving = {
        "from": old["title"] if old["name"] != new["name"] else _models_of(old),
        "to": new["title"] if old["name"] != new["name"] else _models_of(new),
        "side": side,
        "phase": migration["phase"],
        "rolling": bool(migration.get("rolling")),
        "before": old["connection"] if works else [],
        "same": [_plain(row) for row in old["connection"]] == [_plain(row) for row in new["connection"]],
        "untried": [one["id"] for one in new["accesses"] if (one["protocol"], one["scoping"]) not in tried],
    }
    return shown, {**document, "mailboxes": rows}, moving


def _own_proofs(row: t.Mapping[str, t.Any], called: t.Mapping[str, str | None]) -> t.Iterator[Json]:
    for proof in row.get("proofs") or []:
        name = called.get(str(proof.get("access")), proof.get("access"))
        if name is not None:
            yield {**proof, "access": name}


def _plain(row: Json) -> Json:
    return {key: value for key, value in row.items() if key != "access"}


def _models_of(profile: Json) -> str:
    words = {
        _migration.A: "an access policy",
        _migration.B: "application roles",
        _migration.C: "rights on the mailboxes",
    }
    return " and ".join(dict.fromkeys(words.get(model, model) for model in profile["models"]))
