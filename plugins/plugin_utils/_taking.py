# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What a migration takes away: the old way when it is retired, the new one when it is rolled back. Pure.

Only what the record proves to be of one side goes, and what limits goes last. What others made stays.
"""

from __future__ import annotations

import datetime as dt
import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils._directory import PROFILE_TAG
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping import token_life
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _migration
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import ours, take_back, token_lives
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.times import instant, iso

Json = dict[str, t.Any]
SWITCHES = {"ImapEnabled": "imap", "PopEnabled": "pop", "SmtpClientAuthenticationDisabled": "smtp"}


def grace_of(found: Json) -> int | None:
    """``grace`` as a number of minutes; None where nothing is said."""
    said = found.get("grace")
    return None if said in (None, "") else int(str(said))


# ---- whose it is ----------------------------------------------------------------------------------------------------


def is_new(entry: Json, old: Json, before: Json, record: Json) -> bool:
    """Whether it is the new way's: what the old one declares is mended, and stays when the migration is rolled back."""
    kind, name = entry["kind"], str(entry["id"])
    of_group = str(entry.get("of") or "").lower()
    group = str((record.get("ids") or {}).get("group") or "").lower()
    had_group = bool(_migration.BY_GROUP[0] in old["models"] or _migration.BY_GROUP[1] in old["models"])
    if kind in ("permission", "consent"):
        return (str(entry["resource"]), str(entry["type"]), str(entry["name"])) not in _migration.names_of(
            old["permissions"]
        )
    if kind in ("member", "owner"):
        return not (had_group and of_group == group)
    if kind == "setting":
        return bool(of_group) and of_group != group and of_group != (record.get("ids") or {}).get("application_id")
    if kind == "policy":
        return not (_migration.A in old["models"] and name.lower() == group)
    if kind == "right":
        return not (old["full_access"] if name == "FullAccess" else old["send_as"])
    if kind == "switch":
        return SWITCHES.get(name) not in old["switches"]
    if kind == "assignment":
        return name not in {str(one.get("name")) for one in before.get("assignments") or []}
    if kind == "scope":
        return name != before.get("scope")
    if kind == "pointer":
        return not {_migration.B, _migration.C} & set(old["models"])
    if kind == "ews_entry":
        return "ews_access" not in old["steps"]
    return kind not in ("application", "service_principal")


# ---- what is taken away ---------------------------------------------------------------------------------------------


def plan(migration: Json, found: Json) -> Json:
    """What is taken away now, as the tasks take it: the old way's, or, where it is rolled back, the new way's.

    ``found``: ``record``, ``definition``, ``preflight``, ``app_id``, ``application_id`` (as the inventory says it),
    ``grace``.
    """
    old, new = (found["definition"]["migrating"][side] for side in ("old", "new"))
    record: Json = found["record"]
    taken = take_back.take_back(
        record,
        {
            "application_id": found.get("application_id"),
            "permissions": old["permissions"],
            "chosen": old["steps"],
            "token_grace_minutes": grace_of(found),
            "tenant": found.get("preflight") or {},
        },
    )
    if migration.get("rolling"):
        decided = _of_the_new(migration, old, new, record)
    else:
        decided = _of_the_old(migration, old, new, record)
    if decided["ews"]:
        decided["ews"] = decided["ews"] if migration.get("rolling") else taken["ews"]
    else:
        decided["ews"] = {"goes": False, "on_absent": "auto"}
    everything = {"candidates": taken["rights"]["candidates"], "former_sids": taken["rights"]["former_sids"]}
    decided["rights"] = {**everything, **decided["rights"]}
    known = {key: taken[key] for key in ("stays", "members", "settings")}
    if not migration.get("rolling"):
        decided["policy"]["goes"] = decided["policy"]["goes"] and taken["policy"]["goes"]
    return {**known, **decided}


def _of_the_old(migration: Json, old: Json, new: Json, record: Json) -> Json:
    start, end = migration["from"], migration["to"]
    entries = list(record.get("ours") or [])
    same = str(start.get("group_alias")).casefold() == str(end.get("group_alias")).casefold()
    kept_roles = {role.casefold() for role in new["roles"]} if same else set()
    assigned = (migration.get("before") or {}).get("assignments") or []
    roles = [str(one["name"]) for one in assigned if str(one.get("role") or "").casefold() not in kept_roles]
    scopes = [str(one["id"]) for one in entries if one["kind"] == "scope" and one["id"] == start.get("scope_name")]
    lost = {
        right
        for right, had, has in (
            ("FullAccess", old["full_access"], new["full_access"]),
            ("SendAs", old["send_as"], new["send_as"]),
        )
        if had and not has
    }
    given = [row for row in (record.get("exchange") or {}).get("rights") or [] if row.get("guid")]
    return {
        "revoke": _migration.beyond(old["permissions"], new["permissions"]),
        "roles": {
            "goes": _migration.B in old["models"] and bool(roles),
            "own_assignments": roles,
            "own_scopes": [] if same and _migration.B in new["models"] else scopes,
            "group": start.get("group_alias") or "",
        },
        "rights": {
            "goes": bool(lost),
            # Where some stay, those alone go that the new way does not need.
            "own": [{"mailbox": row["guid"], "right": right} for row in given for right in sorted(lost)],
        },
        "protocols": {
            "restore": [
                _switch(one)
                for one in entries
                if one["kind"] == "switch" and SWITCHES.get(str(one["id"])) not in new["switches"]
            ]
        },
        "ews": {"goes": True} if "ews_access" in old["steps"] and "ews_access" not in new["steps"] else {},
        "policy": {
            "goes": _migration.A in old["models"] and not (same and _migration.A in new["models"]),
            "group": start.get("group_alias") or "",
        },
        "group": {"goes": bool(start.get("group_alias")) and not same, "alias": start.get("group_alias") or ""},
        "pointer": {"goes": False},
        "permissions": new["permissions"],
        "tags": _tagged(migration, new),
    }


def _of_the_new(migration: Json, old: Json, new: Json, record: Json) -> Json:
    came = [one for one in record.get("ours") or [] if _came(one, migration, old, record)]
    entries = ours.merged(migration.get("added") or [], came)
    before: Json = migration.get("before") or {}
    kinds = {str(one["kind"]) for one in entries}
    granted = _migration.names_of(new["permissions"]) - _migration.names_of(old["permissions"])
    return {
        "revoke": _migration.as_option(granted - _migration.names_of(before.get("consents") or [])),
        "roles": {
            "goes": bool({"assignment", "scope"} & kinds),
            "own_assignments": [str(one["id"]) for one in entries if one["kind"] == "assignment"],
            "own_scopes": [str(one["id"]) for one in entries if one["kind"] == "scope"],
            "group": migration["to"].get("group_alias") or "",
        },
        "rights": {
            "goes": "right" in kinds,
            "own": [{"mailbox": str(one["of"]), "right": str(one["id"])} for one in entries if one["kind"] == "right"],
        },
        "protocols": {"restore": [_switch(one) for one in entries if one["kind"] == "switch"]},
        "ews": {"goes": True, "on_absent": _ews_before(before)} if "ews_entry" in kinds else {},
        "policy": {"goes": "policy" in kinds, "group": migration["to"].get("group_alias") or ""},
        "group": {
            "goes": bool({"group", "member", "setting"} & kinds) or bool(before.get("makes_group")),
            "alias": migration["to"].get("group_alias") or "",
        },
        "pointer": {"goes": "pointer" in kinds},
        "permissions": before.get("permissions") or [],
        "tags": list(before.get("tags") or []),
    }


def _ews_before(before: Json) -> str:
    found = (before.get("ews_found") or {}).get("EwsEnabled", "auto")
    return {None: "unset", True: "enabled", False: "disabled"}.get(found, "auto")


def _switch(entry: Json) -> Json:
    return {"mailbox": entry["of"], "setting": entry["id"], "before": entry.get("before")}


def _tagged(migration: Json, new: Json) -> list[str]:
    others = [tag for tag in (migration.get("before") or {}).get("tags") or [] if not str(tag).startswith(PROFILE_TAG)]
    return sorted([*others, f"{PROFILE_TAG}{new['name']}"])


def revoked(migration: Json, found: Json) -> Json:
    """After what the old way holds alone was revoked. ``found``: ``result`` (of entra_admin_consent), ``definition``,
    ``now``, ``grace``. A run that died in between counts from now."""
    definition = found["definition"]["migrating"]
    told = instant((found.get("result") or {}).get("tokens_until"))
    known = instant(migration.get("tokens_until"))
    now = instant(found.get("now")) or dt.datetime.now(dt.UTC)
    if told is None and _migration.revoked_until(definition["old"], definition["new"], now, None) is not None:
        # What a run that died was told nobody knows: the longest life counts, that by the policies of a tenant too.
        told = token_life.tokens_until(now, [token_life.EXCHANGE, token_life.GRAPH], grace_of(found))[0]
    ends = [moment for moment in (told, known, *_lives_longer(found, now, told)) if moment is not None]
    proven = {(one["protocol"], one["scoping"]) for one in definition["proven"]}
    unproven = [one["id"] for one in definition["new"]["accesses"] if (one["protocol"], one["scoping"]) not in proven]
    after = {**migration, "revoked": True, "tokens_until": iso(max(ends)) if ends else None, "unproven": unproven}
    return _until_dead(after, now)


def _lives_longer(found: Json, now: dt.datetime, told: dt.datetime | None) -> list[dt.datetime | None]:
    """What the record adds: tokens of what an earlier run revoked, and how long the proofs' own tokens lived."""
    record: Json = found.get("record") or {}
    if told is None or grace_of(found) is not None:
        return []
    lives = token_lives.by_resource(record.get("token_lives"))
    seen = token_life.tokens_until(now, list(lives), lives=lives)[0] if lives else None
    return [instant(record.get("tokens_until")), seen]


def waited(migration: Json, found: Json) -> Json:
    """In a later run, which has proven the new way without the old permissions: whether old tokens may be alive."""
    now = instant(found.get("now")) or dt.datetime.now(dt.UTC)
    return _until_dead({**migration, "unproven": []} if migration.get("revoked") else migration, now)


def _until_dead(migration: Json, now: dt.datetime) -> Json:
    until = instant(migration.get("tokens_until"))
    if until is not None and now < until:
        what = "the end of tokens that were issued before the old permissions were revoked"
        return {**migration, "awaits": what, "until": migration["tokens_until"]}
    if migration.get("unproven"):
        what = f"one more run, which proves {', '.join(migration['unproven'])} without the old permissions"
        return {**migration, "awaits": what, "until": iso(now)}
    return {**migration, "awaits": "", "until": None}


def taken_up(migration: Json, found: Json) -> Json:
    """Rolled back so far that the old way stands again. ``found``: ``results``, ``definition``, ``now``, ``grace``.

    What the old way asks for has to be in force, and tokens with the claim of the new one dead, before more goes.
    """
    old = found["definition"]["migrating"]["old"]
    results: t.Mapping[str, list[Json]] = found.get("results") or {}
    now = instant(found.get("now")) or dt.datetime.now(dt.UTC)
    flat = [(step, one) for step, some in results.items() for one in some if one and one.get("changed")]
    ends = [moment for moment in (instant(migration.get("back_by")),) if moment is not None]
    ends += [moment for _step, one in flat if (moment := instant(one.get("in_force_by"))) is not None]
    if any(step == "admin_consent" for step, _one in flat):
        ends.append(_migration.lives(now, old["permissions"], grace_of(found)))
    until = max(ends, default=None)
    waits = until is not None and until > now
    return {
        **migration,
        "back_by": iso(until) if until else None,
        # What the fax server uses now stays on the sheet until the other one works.
        "shown": migration.get("shown") if waits else "from",
        "awaits": "what was taken up again of the old way to be in force" if waits else "",
        "until": iso(until) if until and waits else None,
    }


def claim_revoked(migration: Json, found: Json) -> Json:
    """Rolled back so far that the new permissions are revoked: rights that tokens with them need stay as long."""
    old, new = (found["definition"]["migrating"][side] for side in ("old", "new"))
    now = instant(found.get("now")) or dt.datetime.now(dt.UTC)
    needs = bool(_migration.held_back(old, new)) and not migration.get("held")
    told = instant((found.get("result") or {}).get("tokens_until"))
    known = instant(migration.get("claim_until"))
    if needs and told is None and known is None:
        told = token_life.tokens_until(now, [token_life.EXCHANGE], grace_of(found))[0]
    ends = [moment for moment in (told, known) if moment is not None] if needs else []
    waits = bool(ends) and max(ends) > now
    return {
        **migration,
        "claim_until": iso(max(ends)) if ends else None,
        "awaits": "the end of tokens that were issued with the new permissions" if waits else "",
        "until": iso(max(ends)) if waits else None,
    }


def done(migration: Json, now: t.Any) -> Json:
    kept: Json = {key: migration[key] for key in ("from", "to", "since", "names") if key in migration}
    return {**kept, "phase": "done", "until": None, "awaits": "", "done_at": str(now or "")}


# ---- what the record says of it afterwards --------------------------------------------------------------------------


def left(entries: list[Json], migration: Json, old: Json, record: Json) -> list[Json]:
    """What is ours once a migration is rolled back: without what it added."""
    return [one for one in entries if not _came(one, migration, old, record)]


def _came(entry: Json, migration: Json, old: Json, record: Json) -> bool:
    before: Json = migration.get("before") or {}
    known = {_key(one) for one in before.get("ours") or []}
    if _key(entry) in known:
        return False
    if entry["kind"] in ("permission", "consent"):
        # What was there before and was only taken up again is not ours now.
        had = _migration.names_of(before.get(f"{entry['kind']}s") or [])
        if (str(entry["resource"]), str(entry["type"]), str(entry["name"])) in had:
            return True
    return is_new(entry, old, before, record)


def _key(entry: Json) -> tuple[t.Any, ...]:
    return (entry["kind"], entry["of"], entry["id"])


def retired(entries: list[Json], new: Json, scope: str, group: str | None) -> list[Json]:
    """What is ours once the old way is gone: without what only that one had. ``scope`` and ``group``: the old ones,
    where they are not the new one's as well."""
    return [one for one in entries if not _is_gone(one, new, scope, group)]


def _is_gone(entry: Json, new: Json, scope: str, group: str | None) -> bool:
    kind, name = entry["kind"], str(entry["id"])
    if kind in ("permission", "consent"):
        known = _migration.names_of(new["permissions"])
        return (str(entry["resource"]), str(entry["type"]), str(entry["name"])) not in known
    if kind == "policy":
        return _migration.A not in new["models"] or name.lower() == str(group or "")
    if kind == "assignment":
        return _migration.B not in new["models"]
    if kind == "scope":
        return _migration.B not in new["models"] or name == scope
    if kind == "right":
        return not (new["full_access"] if name == "FullAccess" else new["send_as"])
    if kind == "switch":
        return SWITCHES.get(name) not in new["switches"]
    if kind == "ews_entry":
        return "ews_access" not in new["steps"]
    return kind in ("group", "member", "owner", "setting") and bool(group) and group in (entry["of"], name)
