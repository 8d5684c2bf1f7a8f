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

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _both, _migration, _taking
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import ours, token_lives
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.times import instant
from ansible_collections.mail2fax.m365.plugins.plugin_utils._profile_format import ProfileError

Json = dict[str, t.Any]
SETTLING = (
    *("application", "scope_group", "service_principal", "mailbox_permission", "application_role", "access_policy"),
    *("ews_access", "mailbox_protocols", "admin_consent"),
)
"""The steps that make what a way in needs."""
_DECIDES = tuple(step for step in SETTLING if step not in ("application", "ews_access"))


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
        return _back(migration, record)
    try:
        if _migration.stands(migration):
            # A run that says nothing goes on with what stands, and that may be the way back.
            on = migration if wish in (None, "", {}) else _forward(migration, load)
            return on, _same(migration, wish, load)
        if wish in (None, "", {}):
            raise _migration.Refused(
                "No migration stands, and mail2fax_migrate_to says nothing. What to do: set it to the profile to move "
                "to, or to a mapping with any of profile, scoping and group_alias."
            )
        if migration.get("phase") == "done" and not _same(migration, wish, load):
            return migration, ""
        current = _current(record, said, known_profiles, load)
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


def _forward(migration: Json, load: _migration.Load) -> Json:
    """On from where it stands. What was being rolled back begins anew, with what was there before kept in mind."""
    if not migration.get("rolling"):
        return migration
    start, end = migration["from"], migration["to"]
    old, new = load(start["profile"], start["scoping"]), load(end["profile"], end["scoping"])
    kept = {
        key: value for key, value in migration.items() if key in ("from", "to", "since", "before", "added", "names")
    }
    return {**kept, "phase": "prepare", "until": None, "held": _migration.held_back(old, new)}


def _back(migration: Json, record: Json) -> tuple[Json, str]:
    # What a refused run left is a record, too, and shows none of ours.
    if not migration and not (record.get("ids") or {}).get("application_id"):
        return {}, (
            "No record of this host is there, so nobody knows what a migration has added, and nothing was touched. "
            "What to do: point mail2fax_handover_dir (or mail2fax_record_store) to where its record lies."
        )
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


def _own_file(said: t.Mapping[str, t.Any], name: str, load: _migration.Load) -> str:
    """The path that the inventory names, where that profile has the recorded name, which may be one of ours; else
    empty."""
    term = str(said.get("mail2fax_profile") or "")
    if not _is_path(term):
        return ""
    try:
        return term if load(term, None)["name"] == name else ""
    except ProfileError:
        return ""


def _is_path(term: str) -> bool:
    return "/" in term or term.endswith((".yml", ".yaml"))


def _current(
    record: Json, said: t.Mapping[str, t.Any], known_profiles: t.Collection[str], load: _migration.Load
) -> Json:
    """What the record shows. Raises Refused where it shows no application of ours."""
    app_id = (record.get("ids") or {}).get("application_id")
    if not app_id or record.get("state") in ("removed", "removing") or record.get("removing"):
        raise _migration.Refused(
            "No record shows an application of this host, so there is nothing to move from. What to do: run "
            "mail2fax.m365.provision first, or point mail2fax_handover_dir to where its record lies."
        )
    shown = record.get("profile") or {}
    name = str(shown.get("name") or "")
    if own := _own_file(said, name, load):
        term = own
    elif name in known_profiles:
        term = name
    else:
        term = str(said.get("mail2fax_profile") or "")
        if not _is_path(term):
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
        "scope": ((record.get("exchange") or {}).get("scope") or {}).get("name"),
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
    raw = [entry for one in (found.get("results") or {}).get("scope_group") or [] for entry in one.get("added") or []]
    makes = bool(before.get("makes_group")) or any(entry.get("kind") == "group" for entry in raw)
    # Of a group that is to be made nobody knows the Guid yet; it goes whole.
    entries = [one for one in entries if one["of"] or one["kind"] not in ("member", "owner", "setting")]
    new = [entry for entry in entries if _taking.is_new(entry, definition["old"], before, record)]
    return {
        **migration,
        "since": migration.get("since") or str(found.get("now") or ""),
        "before": {**before, "makes_group": makes},
        "added": ours.merged(migration.get("added") or [], new),
    }


# ---- what the steps came to -----------------------------------------------------------------------------------------


def went_on(migration: Json, found: Json) -> Json:
    """As ``_migration.next``, from the results of a run. ``found``: ``results``, ``definition``, ``now``, ``began``,
    ``confirm``, ``when``, ``usage`` (of entra_application_info), ``grace``."""
    results: t.Mapping[str, list[Json]] = found.get("results") or {}
    waiting = _waiting(results)
    if waiting:
        return {**migration, "awaits": waiting[0], "until": waiting[1]}
    definition = found["definition"]["migrating"]
    usage: Json = {}
    lives = token_lives.by_resource((found.get("record") or {}).get("token_lives"))
    if found.get("when") == "unused":
        told = (found.get("usage") or {}).get("sign_ins") or {}
        now = instant(found.get("now")) or dt.datetime.now(dt.UTC)
        usage = _migration.usage(migration, definition["old"], definition["new"], told, now, lives)
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
        why=str(usage.get("why") or ""),
        look_again=usage.get("look_again"),
        grace=_taking.grace_of(found),
        lives=lives,
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
