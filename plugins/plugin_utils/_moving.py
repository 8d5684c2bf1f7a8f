# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""One run of a migration: from what a record and variables say, and from the results of steps, to what is done. Pure.

What is noted in the record is noted before it is done, so that a run that dies forgets nothing that it added.
"""

from __future__ import annotations

import datetime as dt
import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils._scoping import token_life
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _both, _migration
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import ours, take_back
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.times import instant, iso
from ansible_collections.mail2fax.m365.plugins.plugin_utils._profile_format import ProfileError

Json = dict[str, t.Any]
TAG = "mail2fax:profile="
"""Of the registration: which profile it is there for, since a unique name is written once."""

SETTLING = (
    *("application", "scope_group", "service_principal", "mailbox_permission", "application_role", "access_policy"),
    *("ews_access", "mailbox_protocols", "admin_consent"),
)
"""The steps that make what a way in needs."""
_DECIDES = tuple(step for step in SETTLING if step not in ("application", "ews_access"))
_SWITCHES = {"ImapEnabled": "imap", "PopEnabled": "pop", "SmtpClientAuthenticationDisabled": "smtp"}


# ---- the beginning of a run -----------------------------------------------------------------------------------------


def begin(
    record: Json, said: t.Mapping[str, t.Any], known_profiles: t.Collection[str], load: _migration.Load
) -> tuple[Json, str]:
    """(the migration that this run is about, empty for none; why it may not run, empty if it may).

    ``said``: values of ``mail2fax_migrate_to``, ``mail2fax_migrate_rollback``, ``mail2fax_profile``.
    """
    migration: Json = dict(record.get("migration") or {})
    wish, back = said.get("mail2fax_migrate_to"), bool(said.get("mail2fax_migrate_rollback"))
    if back:
        return _back(migration)
    try:
        if _migration.stands(migration):
            return {**migration, "rolling": False}, _same(migration, wish, load)
        if wish in (None, "", {}):
            raise _migration.Refused(
                "No migration stands, and mail2fax_migrate_to says nothing. What to do: set it to the profile to move "
                "to, or to a mapping with any of profile, scoping and group_alias."
            )
        if migration.get("phase") == "done" and not _same(migration, wish, load):
            return migration, ""
        current = _current(record, said, known_profiles)
        start, end = _migration.target(wish, current, load)
    except (_migration.Refused, ProfileError) as exc:
        return {}, str(exc)
    old, new = load(start["profile"], start["scoping"]), load(end["profile"], end["scoping"])
    return {
        "from": start,
        "to": end,
        "phase": "prepare",
        "since": None,
        "until": None,
        "held": _migration.held_back(old, new),
        "names": {**_both.kept(old), **_names_in_use(record)},
    }, ""


def _back(migration: Json) -> tuple[Json, str]:
    if migration.get("phase") == "done":
        return {}, (
            "The migration is done and what limited the old way is gone, so it cannot be rolled back. What to do: "
            "leave mail2fax_migrate_rollback out; where the record shows a path, migrate to it."
        )
    if migration.get("ending"):
        return {}, (
            "What limited the old way is being taken away, so the migration cannot be rolled back any more. What to "
            "do: leave mail2fax_migrate_rollback out, and run it again: it ends what it began."
        )
    return ({**migration, "rolling": True} if migration else {}), ""


def _same(migration: Json, wish: t.Any, load: _migration.Load) -> str:
    """Why what is said is not the migration that stands; empty where it is, or nothing is said."""
    if wish in (None, "", {}):
        return ""
    start, end = migration["from"], migration["to"]
    old = load(start["profile"], start["scoping"])
    # What the record shows now may be either side, so that the beginning is taken as it was then.
    current = {**start, "group_alias": start.get("group_alias") or old["names"].get("group_alias")}
    try:
        _begin, wanted = _migration.target(wish, current, load)
    except (_migration.Refused, ProfileError) as exc:
        return str(exc)
    if _migration.same_target(wanted, end):
        return ""
    return (
        f"A migration from {start['profile']} to {_migration.called(end)} stands (phase {migration['phase']}), and "
        f"mail2fax_migrate_to names {_migration.called(wanted)}. What to do: name the one that stands, or nothing; or "
        "roll it back first, with mail2fax_migrate_rollback: true."
    )


def _current(record: Json, said: t.Mapping[str, t.Any], known_profiles: t.Collection[str]) -> Json:
    """What the record shows. Raises Refused where it shows no application of ours."""
    app_id = (record.get("ids") or {}).get("application_id")
    if not app_id or record.get("state") in ("removed", "removing") or record.get("removing"):
        raise _migration.Refused(
            "No record shows an application of this host, so there is nothing to move from. What to do: run "
            "mail2fax.m365.provision first, or point mail2fax_handover_dir to where its record lies."
        )
    shown = record.get("profile") or {}
    name = str(shown.get("name") or "")
    if name in known_profiles:
        term = name
    else:
        term = str(said.get("mail2fax_profile") or "")
        if "/" not in term and not term.endswith((".yml", ".yaml")):
            raise _migration.Refused(
                f"The record shows the profile {name}, which is a file of your own. What to do: set mail2fax_profile "
                "to its path, as it was when the application was provisioned."
            )
    scoping = {str(one["id"]): str(one["scoping"]) for one in shown.get("accesses") or []}
    group, exchange = record.get("group") or {}, record.get("exchange") or {}
    return {
        "profile": term,
        "scoping": scoping or _migration.A,
        "group_alias": group.get("alias"),
        "group_name": group.get("name"),
        "scope_name": (exchange.get("scope") or {}).get("name"),
    }


def named(record: Json, said: t.Mapping[str, t.Any], load: _migration.Load) -> str:
    """Why no run but ``migrate`` may go on with what the inventory names; empty where it may.

    While a migration stands, that is one of its two sides; when it is done, the new one.
    """
    migration: Json = record.get("migration") or {}
    if migration.get("phase") not in _migration.PHASES or record.get("state") == "removed":
        return ""
    start, end = migration["from"], migration["to"]
    try:
        wanted = _side(load(str(said.get("mail2fax_profile") or "imagicle_ews"), said.get("mail2fax_scoping")))
        known = [_side(load(side["profile"], side["scoping"])) for side in (start, end)]
    except ProfileError:
        return ""  # told where the profile is read
    alias = str(said.get("mail2fax_group_alias") or "").casefold()
    stands = _migration.stands(migration)
    sides = [start, end] if stands else [end]
    aliases = {str(side.get("group_alias") or "").casefold() for side in sides} - {""}
    if wanted in (known if stands else known[1:]) and (not alias or not aliases or alias in aliases):
        return ""
    lines = " and ".join(_lines(end, said, load))
    if stands:
        return (
            f"A migration from {_migration.called(start)} to {_migration.called(end)} stands (phase "
            f"{migration['phase']}), and the inventory names neither. Nothing was touched. What to do: set "
            f"mail2fax_profile and mail2fax_scoping as they were, or as they are going to be: {lines}."
        )
    return (
        f"The application was migrated to {_migration.called(end)}, and the inventory names another way in. Nothing "
        f"was touched. What to do: write in the inventory {lines}."
    )


def _side(profile: Json) -> tuple[t.Any, ...]:
    return (profile["name"], {access["id"]: access["scoping"] for access in profile["accesses"]})


def _lines(end: Json, said: t.Mapping[str, t.Any], load: _migration.Load) -> list[str]:
    """What has to stand in an inventory that names the new way, as far as it does not yet."""
    lines = []
    profile = load(end["profile"], None)
    if str(said.get("mail2fax_profile") or "imagicle_ews") != end["profile"]:
        lines.append(f"mail2fax_profile: {end['profile']}")
    models = {access["id"]: access["scoping"] for access in profile["accesses"]}
    scoping = said.get("mail2fax_scoping")
    if models != end["scoping"]:
        only = set(end["scoping"].values())
        wanted = next(iter(only)) if len(only) == 1 else end["scoping"]
        if scoping != wanted:
            lines.append(f"mail2fax_scoping: {wanted}")
    elif scoping not in (None, "", {}):
        lines.append("no mail2fax_scoping")
    alias = str(said.get("mail2fax_group_alias") or "")
    if alias and end.get("group_alias") and alias.casefold() != end["group_alias"].casefold():
        lines.append(f"mail2fax_group_alias: {end['group_alias']}")
    return lines or [f"mail2fax_profile: {end['profile']}"]


def _names_in_use(record: Json) -> Json:
    found = {
        "application": (record.get("application") or {}).get("display_name"),
        "unique_name": (record.get("application") or {}).get("unique_name"),
        "secret": (record.get("secret") or {}).get("display_name"),
    }
    return {key: str(value) for key, value in found.items() if value}


# ---- what it adds, and what was there before ------------------------------------------------------------------------


def noted(migration: Json, found: Json) -> Json:
    """The migration with what it is going to add, and with what the application had: written before the first write.

    ``found``: ``results`` (of the steps in check mode), ``application`` (of entra_application_info), ``record``,
    ``definition``, ``now``. What was noted once stays: an old value is older than a newer one.
    """
    shown: Json = next(iter((found.get("application") or {}).get("applications") or []), {})
    record: Json = found["record"]
    before = migration.get("before") or {
        "permissions": shown.get("permissions") or [],
        "tags": sorted(shown.get("tags") or []),
        "consents": [
            {key: item.get(key) or [] for key in ("application", "delegated")} | {"resource": item["resource"]}
            for item in shown.get("grants") or []
        ],
        "assignments": list((record.get("exchange") or {}).get("assignments") or []),
        "ews_found": record.get("ews_found"),
        "ours": [{key: one[key] for key in ("kind", "of", "id")} for one in record.get("ours") or []],
    }
    entries = [
        entry
        for step, results in (found.get("results") or {}).items()
        for result in results
        for entry in ours.added(step, result)
    ]
    definition = found["definition"]["migrating"]
    new = [entry for entry in entries if _is_new(entry, definition["old"], before, record)]
    return {
        **migration,
        "since": migration.get("since") or str(found.get("now") or ""),
        "before": before,
        "added": ours.merged(migration.get("added") or [], new),
    }


def _is_new(entry: Json, old: Json, before: Json, record: Json) -> bool:
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
        return _SWITCHES.get(name) not in old["switches"]
    if kind == "assignment":
        return name not in {str(one.get("name")) for one in before.get("assignments") or []}
    if kind == "scope":
        return name != str(((record.get("exchange") or {}).get("scope") or {}).get("name"))
    if kind == "pointer":
        return not {_migration.B, _migration.C} & set(old["models"])
    if kind == "ews_entry":
        return "ews_access" not in old["steps"]
    return kind not in ("application", "service_principal")


# ---- what the steps came to -----------------------------------------------------------------------------------------


def went_on(migration: Json, found: Json) -> Json:
    """As ``_migration.next``, from the results of a run. ``found``: ``results``, ``definition``, ``now``, ``began``,
    ``confirm``, ``when``, ``unused`` ({unused, why}), ``grace``, ``check``."""
    results: t.Mapping[str, list[Json]] = found.get("results") or {}
    waiting = _waiting(results)
    if waiting:
        return {**migration, "awaits": waiting[0], "until": waiting[1]}
    definition = found["definition"]["migrating"]
    usage: Json = found.get("unused") or {}
    flat = {step: [one for one in some if one and not one.get("skipped")] for step, some in results.items()}
    probes = [one for step in ("access_verdict", "mailbox_probe") for one in flat.get(step, []) if one.get("pending")]
    facts = _migration.Facts(
        now=_latest(flat, found),
        began=found.get("began") or None,
        changed=any(one.get("changed") for step in _DECIDES for one in flat.get(step, [])),
        granted=any(one.get("changed") for one in flat.get("admin_consent", [])),
        in_force_by=tuple(
            moment
            for step in _DECIDES
            for one in flat.get(step, [])
            if (moment := instant(one.get("in_force_by"))) is not None
        ),
        by_hand=any(one.get("by_hand") for one in flat.get("admin_consent", [])),
        proof_pending=next(((str(one["pending"]), one.get("pending_until")) for one in probes), None),
        confirmed=bool(found.get("confirm")),
        when_unused=found.get("when") == "unused",
        unused=usage.get("unused"),
        why=str(usage.get("why") or "nobody has looked"),
        grace=grace_of(found),
    )
    after = _migration.next(migration, definition["old"], definition["new"], facts)
    if after["phase"] == "retire" and facts.proof_pending is not None:
        after.update(awaits=facts.proof_pending[0], until=facts.proof_pending[1])
    return after


def _waiting(results: t.Mapping[str, list[Json]]) -> tuple[str, t.Any] | None:
    """What a step of the making waits for, before anything can be tried."""
    for step in _DECIDES:
        for one in results.get(step) or []:
            if one and one.get("outcome") == "pending" and not one.get("by_hand"):
                return str(one.get("pending") or one.get("summary") or step), one.get("pending_until")
    return None


def _latest(flat: t.Mapping[str, list[Json]], found: Json) -> dt.datetime:
    """The services' time at the end of the run, as far as it is known: the proofs tell theirs."""
    moments = [instant(found.get("now"))]
    moments += [
        instant(row.get("at"))
        for step, rows in (("access_verdict", "verdicts"), ("mailbox_probe", "probes"))
        for one in flat.get(step, [])
        for row in one.get(rows) or []
    ]
    return max(moment for moment in moments if moment is not None)


def grace_of(found: Json) -> int | None:
    said = found.get("grace")
    return None if said in (None, "") else int(str(said))


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
                if one["kind"] == "switch" and _SWITCHES.get(str(one["id"])) not in new["switches"]
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
            "goes": bool({"group", "member", "setting"} & kinds),
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
    others = [tag for tag in (migration.get("before") or {}).get("tags") or [] if not str(tag).startswith(TAG)]
    return sorted([*others, f"{TAG}{new['name']}"])


def revoked(migration: Json, found: Json) -> Json:
    """After what the old way holds alone was revoked. ``found``: ``result`` (of entra_admin_consent), ``definition``,
    ``now``, ``grace``. A run that died in between counts from now."""
    definition = found["definition"]["migrating"]
    told = instant((found.get("result") or {}).get("tokens_until"))
    known = instant(migration.get("tokens_until"))
    now = instant(found.get("now")) or dt.datetime.now(dt.UTC)
    if told is None:
        told = _migration.revoked_until(definition["old"], definition["new"], now, grace_of(found))
    ends = [moment for moment in (told, known) if moment is not None]
    proven = {(one["protocol"], one["scoping"]) for one in definition["proven"]}
    unproven = [one["id"] for one in definition["new"]["accesses"] if (one["protocol"], one["scoping"]) not in proven]
    after = {**migration, "revoked": True, "tokens_until": iso(max(ends)) if ends else None, "unproven": unproven}
    return _until_dead(after, now)


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
    return _is_new(entry, old, before, record)


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
        return _SWITCHES.get(name) not in new["switches"]
    if kind == "ews_entry":
        return "ews_access" not in new["steps"]
    return kind in ("group", "member", "owner", "setting") and bool(group) and group in (entry["of"], name)
