# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import json
import os
import typing as t

from ansible import constants
from ansible.errors import AnsibleError
from ansible.inventory.host import Host as InventoryHost
from ansible.plugins.action import ActionBase
from ansible.utils.vars import load_extra_vars
from ansible.vars.manager import VariableManager

from ansible_collections.mail2fax.m365.plugins.module_utils import _argspec
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import InvalidInput, M365Error
from ansible_collections.mail2fax.m365.plugins.plugin_utils import (
    _blanks,
    _both,
    _clash,
    _held,
    _hosts,
    _inventory,
    _locked,
    _looked_up,
    _moving,
    _places,
    _profile,
    _records,
    _rings,
    _sheet,
    _shelves,
    _together,
    _volatile,
)
from ansible_collections.mail2fax.m365.plugins.plugin_utils._plain import plain
from ansible_collections.mail2fax.m365.plugins.plugin_utils._store_logins import of_this_run
from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores import Controller
from ansible_collections.mail2fax.m365.plugins.plugin_utils._variables import APART, variables

Json = dict[str, t.Any]
_held.names()  # In the main process, once for all workers.

WHOSE = ("mail2fax_tenant", "mail2fax_expected_domain")
"""The variables that say which tenant a host is."""

_OF_A_ROLE = frozenset(name for name in _held.documented() if name.endswith(("_profile", "_scoping")))
"""Where a role is given a profile of its own."""

_END_ALONE = ("provision", "audit")
"""Playbooks in which nothing but the end asks for the whole record."""

YAML_ENDINGS = (".yml", ".yaml", ".json")


class ActionModule(ActionBase):
    """Looks at variables, and at the last result; sends nothing to a tenant. What is wrong is returned, not raised, so
    that each host can end for itself where its result is written."""

    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: Json | None = None) -> Json:
        found: Json = task_vars or {}
        result: Json = super().run(tmp, found) or {}
        del tmp
        _checked, args = self.validate_argument_spec(
            {"playbook": {"type": "str", "required": True}, "hosts": {"type": "list", "elements": "str"}}
        )
        if args["hosts"] is not None:
            result.update(_of_all(args["hosts"], found))
            result["unmet"] = self._unmet(found)
            noted = {key: result[key] for key in ("rings", "unmet")}
            _together.note_compared(constants.DEFAULT_LOCAL_TMP, [str(host) for host in args["hosts"]], noted)
            if result["unmet"]:
                result["warnings"] = [
                    f"{', '.join(result['unmet'])}: nobody in the inventory is called so. The limit, or "
                    "mail2fax_hosts, names it; the run goes on without."
                ]
        else:
            result.update(self._of_one(str(args["playbook"]), found))
        result["changed"] = False
        return result

    def _of_one(self, playbook: str, found: Json) -> Json:
        name = str(found["inventory_hostname"])
        extra = dict(load_extra_vars(self._loader) or {})
        outside = self._inventory_of(name)
        self._rendering = _looked_up.Rendering(self._templar, found)
        said, broken, locked = self._said(found)
        looked_up = self._keep_what_was_looked_up(name, said, found)
        own = self._own(outside, extra, found, said)
        host = _inventory.Host(
            name=name,
            playbook=playbook,
            said=said,
            names=frozenset(found),
            outside=frozenset(outside),
            extra=frozenset(extra),
            broken=broken,
            locked=locked,
            own=own,
            borrowed=_borrowed(said, own, {*outside} - {*extra}),
            everywhere=self._said_for_all(name, said, outside, extra),
            environment=_argspec.surroundings(os.environ),
            count=len(found.get("ansible_play_hosts_all") or [name]),
            ini=_is_ini(str(found.get("inventory_file") or "")),
        )
        refused = _inventory.complaints(host)
        blocked = [*locked.values()]
        known: Json = {"document": {}, "refused": "", "path": "", "source": "", "folder": ""}
        claimed: Json = {}
        try:
            # Where records are kept, and nobody can tell: then none is read, and none is written.
            if _shelves.VARIABLE not in broken:
                known, claimed = self._whereabouts(name, said, found)
        except InvalidInput as exc:
            refused.append(str(exc))
        except M365Error as exc:
            # Nothing is known of what the last run left, so nothing may be begun.
            blocked.append(str(exc))
        except (ValueError, OSError) as exc:
            refused.append(f"the folder of the results cannot be used: {_reason(exc)}.")
        migration = self._migration(playbook, said, known["document"], found, refused, blocked)
        # The main process keeps it for every host as long as the run lasts, and text takes a seventh of the room.
        as_text = playbook in _END_ALONE and not migration and bool(known["document"])
        answer: Json = {
            "host": name,
            "playbook": playbook,
            "tenant": str(said.get("mail2fax_tenant") or ""),
            "expected_domain": str(said.get("mail2fax_expected_domain") or ""),
            "refused": refused,
            "record": {} if as_text else known["document"],
            "record_text": json.dumps(known["document"]) if as_text else "",
            "record_refused": known["refused"],
            "known": _records.known(known["document"]),
            "migration": migration,
            "definition": self._definition(playbook, said, migration, found),
            "record_path": known["path"],
            "record_source": known["source"],
            "record_version": known.get("version"),
            "folder": known["folder"],
            "blocked": blocked,
            "volatile": self._volatile(host, known, found),
            # A folder that nobody meant is not made for the sake of a complaint.
            "writes": bool(known["path"]) and not any("mail2fax_handover_dir" in text for text in refused),
            "moves": known.get("moves", []),
            "claim": claimed,
            "declared": _inventory.declared(said) if _inventory.EVIDENCE in said and playbook == "audit" else {},
            "rings": _rings.claimed(said, playbook=playbook, predicts=bool(self._task.check_mode)),
            "looked_up": looked_up,
        }
        if _held.names() & set(extra):
            # Whatever a task registered, everybody would read the extra variable: no result can be trusted.
            return {"failed": True, "outcome": "failed", "msg": " ".join(refused), "host": name}
        return answer

    def _whereabouts(self, name: str, said: Json, found: Json) -> tuple[Json, Json]:
        folder = _places.base(found.get("inventory_dir"))
        store = said.get("mail2fax_secret_store")
        options = said.get(_shelves.VARIABLE)
        options = _shelves.checked(options) if isinstance(options, dict) else None
        text = self._option(found, "handover_dir") or _shelves.folder_of(options, said.get("mail2fax_handover_dir"))
        place = _places.resolve(text or "handover", folder)
        tenant = str(said.get("mail2fax_tenant") or "")
        record = _records.find(place, name, old_folder=_old_folder(text or "handover"), tenant=tenant)
        if _shelves.is_elsewhere(options):
            controller = Controller(self._loader, {}, of_this_run())
            with _shelves.open_shelf(options, folder=place, controller=controller) as shelf:
                record = _records.find_kept(shelf, name, record)
        file = self._option(found, "handover_name") or _places.file_name(name)
        claimed = _clash.claim(
            said,
            file=os.path.join(place, f"{file}.json") if record.version is None else record.path,
            store=_places.store(store, folder) if isinstance(store, dict) else {},
            recorded_tenant=str((record.record.document.get("tenant") or {}).get("id") or ""),
        )
        around = _argspec.surroundings(os.environ)
        claimed["borrows_a_secret"] = bool(
            claimed["client_id"]
            and not any(
                f"mail2fax_{way}" in said for way in (*_inventory.WITH_AN_ID, "managed_identity", "access_token")
            )
            and any(f"M365_{way.upper()}" in around for way in _inventory.WITH_AN_ID)
        )
        stored = (record.record.document.get("secret") or {}).get("stored_in")
        moved = _places.moved_store(store, folder, stored) if isinstance(store, dict) else None
        moves = [*_records.moves(record), *([moved] if moved else [])]
        known = {
            "document": record.record.document,
            "refused": record.record.refused,
            "path": record.path,
            "source": record.source,
            "version": None if record.version is None else record.version.as_mapping(),
            "folder": place,
            "moves": [{"source": source, "destination": there} for source, there in moves],
        }
        return known, claimed

    def _migration(
        self, playbook: str, said: Json, document: Json, found: Json, refused: list[str], blocked: list[str]
    ) -> Json:
        """The migration that the record tells of, or that this run begins; with what is wrong with it."""
        load = self._profiles(found)
        if playbook == "migrate":
            migration, problem = _moving.begin(document, said, _profile.names(), load)
            refused += [problem] if problem else []
            return migration
        problem = _moving.named(document, said, load) if playbook in ("provision", "rotate", "audit") else ""
        blocked += [problem] if problem else []
        return document.get("migration") or {}

    def _definition(self, playbook: str, said: Json, migration: Json, found: Json) -> Json:
        """What the profile comes to, for all roles at once; empty where each has to look it up for itself: where the
        inventory names another profile for a role, where a migration goes on meanwhile, and where there is none. Of a
        profile of ours, what only a sheet needs is left to whoever makes the sheet."""
        if playbook == "migrate" or _OF_A_ROLE & found.keys():
            return {}
        profile = str(said.get("mail2fax_profile") or "imagicle_ews")
        try:
            whole = _both.declared(profile, said.get("mail2fax_scoping"), migration, self._profiles(found))
        except _profile.ProfileError:
            # Whoever needs it says so.
            return {}
        if migration or profile not in _profile.names():
            return whole
        return {name: value for name, value in whole.items() if name not in _sheet.OF_A_SHEET}

    def _profiles(self, found: Json) -> t.Callable[[str, t.Any], Json]:
        def load(term: str, scoping: t.Any) -> Json:
            return _profile.load(term, find, scoping)

        def find(path: str) -> str | None:
            beside = _places.beside(path, found.get("inventory_dir"))
            with contextlib.suppress(AnsibleError):
                return beside or str(self._find_needle("files", path))
            return None

        return load

    def _option(self, found: Json, name: str) -> str:
        """An option of the role handover that the inventory sets itself."""
        value = self._templar.template(found[name]) if name in found else None
        return "" if _blanks.blank(value) else str(value)

    def _volatile(self, host: _inventory.Host, known: Json, found: Json) -> list[str]:
        """Why what this run leaves would not be there for the next one, in sentences; none where it lasts."""
        said = host.said
        if not _volatile.is_a_job(host.names, os.environ) or _blanks.truth_of(said.get(_volatile.VARIABLE)):
            return []
        places = []
        options, store = said.get(_shelves.VARIABLE), said.get("mail2fax_secret_store")
        options = options if isinstance(options, dict) else {}
        if not _shelves.is_elsewhere(options) and known["folder"]:
            variable = _shelves.VARIABLE if options.get("path") else "mail2fax_handover_dir"
            written = self._option(found, "handover_dir") or _shelves.folder_of(
                options, said.get("mail2fax_handover_dir")
            )
            places.append(_volatile.Place("The record", variable, written, known["folder"]))
        if isinstance(store, dict) and store.get("backend") == "vault_file" and store.get("path"):
            path = str(store["path"]).strip()
            there = _places.resolve(path, _places.base(found.get("inventory_dir")))
            places.append(_volatile.Place("The client secret", "mail2fax_secret_store", path, there))
        folders = _volatile.folders_of_the_job(
            os.environ, found.get("inventory_dir"), found.get("playbook_dir"), constants.DEFAULT_LOCAL_TMP
        )
        return _volatile.complaints(places, folders)

    def _said(self, found: Json) -> tuple[Json, set[str], dict[str, str]]:
        """Rendered values of what is known and not blank; the names of what cannot be rendered; and, in a sentence
        each, what the run's vault passwords do not open."""
        said: Json = {}
        broken: set[str] = set()
        locked: dict[str, str] = {}
        for name, row in variables().items():
            # What is not about tenants is not looked up for each of them.
            if row.playbooks == APART or name not in found or _blanks.blank(found[name]):
                continue
            try:
                value = plain_but_dates(self._once(name, found))
            except Exception as exc:
                # Whatever a look-up raises. Its text may quote what it looked at.
                broken.add(name)
                if _locked.by_vault(exc):
                    locked[name] = str(_locked.unopened(name, found[name]))
                continue
            if _locked.still_encrypted(value):
                locked[name] = str(_locked.taken_as_it_is(name))
            elif not _blanks.blank(value):
                said[name] = value
        return said, {*broken, *locked}, locked

    def _once(self, name: str, found: Json) -> t.Any:
        """A variable's value. The first rendering of the run decides what a look-up has answered."""
        kept = _looked_up.kept(constants.DEFAULT_LOCAL_TMP, str(found["inventory_hostname"]), name, found[name])
        return kept[0] if kept else self._rendering.value(name)

    def _keep_what_was_looked_up(self, host: str, said: Json, found: Json) -> Json:
        """What look-ups have answered is kept for the run; by name, what may be kept as a fact."""
        asked = {name: value for name, value in said.items() if self._rendering.asks(name)}
        _looked_up.keep(
            constants.DEFAULT_LOCAL_TMP, host, {name: (found[name], value) for name, value in asked.items()}
        )
        facts = {name: _looked_up.fact(variables()[name], plain(value)) for name, value in asked.items()}
        return {name: found[0] for name, found in facts.items() if found}

    def _said_for_all(self, name: str, said: Json, outside: Json, extra: Json) -> set[str]:
        """Which confirmations are said for whoever is in the run, and not for this host or a group of its own."""
        confirmations = {row.name for row in variables().values() if row.confirms and row.name in said}
        if not confirmations:
            return set()
        before = constants.VARIABLE_PRECEDENCE
        try:
            constants.VARIABLE_PRECEDENCE = [entry for entry in before if not entry.startswith("all_")]
            own = self._inventory_of(name)
        finally:
            constants.VARIABLE_PRECEDENCE = before
        return {one for one in confirmations if one in extra or (one in outside and one not in own)}

    def _unmet(self, found: Json) -> list[str]:
        """Names in the limit and in mail2fax_hosts that no host and no group has."""
        groups = {str(group): [str(host) for host in hosts] for group, hosts in dict(found["groups"]).items()}
        pattern = found.get("mail2fax_hosts")
        said = _hosts.limit(found.get("ansible_limit")) + ([] if _blanks.blank(pattern) else _hosts.split(pattern))
        return list(dict.fromkeys(_hosts.nobody(said, groups)))

    def _own(self, outside: Json, extra: Json, found: Json, said: Json) -> Json:
        """What the inventory itself says of whose tenant it is, as it would read without any extra variable."""
        names = [name for name in WHOSE if not _blanks.blank(outside.get(name))]
        templar = self._templar
        # What no extra variable touches is not rendered, and looked up, once more.
        own: Json = {}
        for name in names:
            kept = _looked_up.kept(constants.DEFAULT_LOCAL_TMP, str(found["inventory_hostname"]), name, outside[name])
            if kept and not _rendered_with(extra, self._rendering, name):
                own[name] = kept[0]
            elif name in said and found[name] == outside[name] and not _rendered_with(extra, self._rendering, name):
                own[name] = said[name]
        names = [name for name in names if name not in own]
        if names:
            known = {name: value for name, value in found.items() if name not in extra}
            known |= {name: outside[name] for name in extra if name in outside}
            templar = templar.copy_with_new_env(available_variables=known)
        for name in names:
            try:
                value = plain(templar.template(outside[name]))
            except Exception:
                continue
            if not _blanks.blank(value):
                own[name] = value
        return own

    def _inventory_of(self, name: str) -> Json:
        """The host's variables without what plays, facts and the command line add: those of the inventory."""
        known = self._task.get_variable_manager()
        inventory = getattr(known, "_inventory", None)
        host: InventoryHost | None = inventory.get_host(name) if inventory else None
        if host is None:
            return {}
        fresh = VariableManager(loader=self._loader, inventory=inventory)
        fresh._extra_vars = {}
        return dict(fresh.get_vars(host=host, include_hostvars=False))


def _of_all(hosts: t.Sequence[str], found: Json) -> Json:
    """What hosts have in common that each has to have for itself, and what earlier plays of the run have left."""
    everybody = found["hostvars"]
    claims: dict[str, Json] = {}
    rings: list[Json] = []
    looked_up: list[Json] = []
    stale: set[str] = set()
    held = _held.names() - {_held.BEGUN, _held.COMPARED, _held.PLAYBOOK}
    for host in hosts:
        known = everybody.raw_get(host)
        stale |= held & set(known)
        begun = known.get(_held.BEGUN) or {}
        if begun.get("claim"):
            claims[host] = plain(begun["claim"])
        rings.append(plain(begun.get("rings") or {}))
        looked_up += [{"host": host, "name": str(name)} for name in begun.get("looked_up") or {}]
    refused = _clash.clashes(claims)
    found_rings, wrong = _rings.of_run(rings, len(hosts))
    if wrong:
        refused = {host: [*refused.get(host, []), wrong] for host in hosts}
    return {"refused": refused, "stale": sorted(stale), "rings": found_rings, "looked_up": looked_up}


def _rendered_with(extra: Json, rendering: _looked_up.Rendering, name: str) -> bool:
    """Whether a variable is, or refers to, an extra variable."""
    return name in extra or rendering.refers(name, extra)


def _borrowed(said: Json, own: Json, inventory: t.Collection[str]) -> set[str]:
    """Which of the inventory's variables would say something else, or nothing, without the extra variables."""
    return {name for name in WHOSE if name in inventory and name in said and said[name] != own.get(name)}


def plain_but_dates(value: t.Any) -> t.Any:
    """In plain types, dates and times as they are: they tell that a text has lost its digits."""
    if isinstance(value, t.Mapping):
        return {str(key): plain_but_dates(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_but_dates(item) for item in value]
    return value if hasattr(value, "isoformat") else plain(value)


def _old_folder(text: str) -> str | None:
    try:
        return _places.resolve(text, os.getcwd())
    except OSError:
        return None


def _is_ini(source: str) -> bool:
    return os.path.isfile(source) and not source.endswith(YAML_ENDINGS) and not os.access(source, os.X_OK)


def _reason(exc: Exception) -> str:
    return str(getattr(exc, "strerror", None) or exc)
