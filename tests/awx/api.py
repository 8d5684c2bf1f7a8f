# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small AWX: which fields each kind of thing has, what it refers to, what is unique, and what cannot be removed.

Stricter than the real one, which takes an unknown field without a word.
"""

from __future__ import annotations

import copy
import typing as t
from dataclasses import dataclass, field

from tests.awx import rules

Json = dict[str, t.Any]
ENCRYPTED = "$encrypted$"


class Refused(Exception):
    """An answer of 4xx."""

    def __init__(self, status: int, body: Json) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body


@dataclass(frozen=True)
class Kind:
    """``fields``: what may be written, with what holds where it is not. ``refers``: fields that name another thing by
    its id, with that kind. ``unique``: fields that no two have alike. ``lists``: what can be associated, with its kind.
    ``gone_with``: a field whose thing takes this one along. ``ignored``: what is taken and derived otherwise.
    """

    type: str
    fields: Json
    refers: dict[str, str] = field(default_factory=dict)
    needed: tuple[str, ...] = ("name",)
    unique: tuple[str, ...] = ("name",)
    lists: dict[str, str] = field(default_factory=dict)
    gone_with: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    survey: bool = False


NOTIFIED = {f"notification_templates_{event}": "notification_templates" for event in ("started", "success", "error")}
BOXES = (
    *("diff_mode", "variables", "limit", "tags", "skip_tags", "job_type", "verbosity", "inventory", "credential"),
    *("execution_environment", "forks", "instance_groups", "job_slice_count", "labels", "timeout", "scm_branch"),
)
PROMPTS = (
    *("inventory", "scm_branch", "job_type", "job_tags", "skip_tags", "limit", "diff_mode", "verbosity", "forks"),
    *("job_slice_count", "timeout", "execution_environment"),
)
"""What a node or a schedule may answer of what its template asks; nothing, unless said."""

KINDS: dict[str, Kind] = {
    "organizations": Kind(
        "organization",
        {"name": "", "description": "", "max_hosts": 0, "default_environment": None},
        {"default_environment": "execution_environments"},
        lists={"galaxy_credentials": "credentials", "instance_groups": "instance_groups", **NOTIFIED},
    ),
    "users": Kind("user", {"username": ""}, unique=("username",), needed=("username",)),
    "instance_groups": Kind(
        "instance_group",
        {
            "name": "",
            "max_forks": 0,
            "max_concurrent_jobs": 0,
            "is_container_group": False,
            "policy_instance_percentage": 0,
            "policy_instance_minimum": 0,
            "policy_instance_list": [],
            "pod_spec_override": "",
            "credential": None,
        },
    ),
    "execution_environments": Kind(
        "execution_environment",
        {"name": "", "description": "", "image": "", "pull": "", "organization": None, "credential": None},
        {"organization": "organizations", "credential": "credentials"},
        needed=("name", "image"),
    ),
    "credential_types": Kind(
        "credential_type",
        {"name": "", "description": "", "kind": "", "inputs": {}, "injectors": {}, "managed": False},
        unique=("name", "kind"),
    ),
    "credentials": Kind(
        "credential",
        {"name": "", "description": "", "organization": None, "credential_type": None, "inputs": {}},
        {"organization": "organizations", "credential_type": "credential_types"},
        needed=("name", "credential_type", "organization"),
        unique=("organization", "name", "credential_type"),
        gone_with=("organization",),
    ),
    "credential_input_sources": Kind(
        "credential_input_source",
        {
            "description": "",
            "input_field_name": "",
            "target_credential": None,
            "source_credential": None,
            "metadata": {},
        },
        {"target_credential": "credentials", "source_credential": "credentials"},
        needed=("input_field_name", "target_credential", "source_credential"),
        unique=("target_credential", "input_field_name"),
        gone_with=("target_credential", "source_credential"),
    ),
    "notification_templates": Kind(
        "notification_template",
        {
            "name": "",
            "description": "",
            "organization": None,
            "notification_type": "",
            "notification_configuration": {},
            "messages": None,
        },
        {"organization": "organizations"},
        needed=("name", "organization", "notification_type"),
        unique=("organization", "name"),
        gone_with=("organization",),
    ),
    "projects": Kind(
        "project",
        {
            "name": "",
            "description": "",
            "organization": None,
            "local_path": "",
            "scm_type": "",
            "scm_url": "",
            "scm_branch": "",
            "scm_refspec": "",
            "scm_clean": False,
            "scm_delete_on_update": False,
            "scm_track_submodules": False,
            "scm_update_on_launch": False,
            "scm_update_cache_timeout": 0,
            "allow_override": False,
            "timeout": 0,
            "credential": None,
            "default_environment": None,
            "signature_validation_credential": None,
        },
        {
            "organization": "organizations",
            "credential": "credentials",
            "default_environment": "execution_environments",
        },
        unique=("organization", "name"),
        lists=NOTIFIED,
    ),
    "inventories": Kind(
        "inventory",
        {
            "name": "",
            "description": "",
            "organization": None,
            "kind": "",
            "host_filter": None,
            "variables": "",
            "prevent_instance_group_fallback": False,
        },
        {"organization": "organizations"},
        needed=("name", "organization"),
        unique=("organization", "name"),
        lists={"instance_groups": "instance_groups"},
        gone_with=("organization",),
    ),
    "inventory_sources": Kind(
        "inventory_source",
        {
            "name": "",
            "description": "",
            "inventory": None,
            "source": "",
            "source_path": "",
            "source_project": None,
            "source_vars": "",
            "scm_branch": "",
            "credential": None,
            "enabled_var": "",
            "enabled_value": "",
            "host_filter": "",
            "overwrite": False,
            "overwrite_vars": False,
            "timeout": 0,
            "verbosity": 1,
            "limit": "",
            "update_on_launch": False,
            "update_cache_timeout": 0,
            "execution_environment": None,
        },
        {
            "inventory": "inventories",
            "source_project": "projects",
            "credential": "credentials",
            "execution_environment": "execution_environments",
        },
        needed=("name", "inventory"),
        unique=("inventory", "name"),
        lists=NOTIFIED,
        gone_with=("inventory",),
    ),
    "job_templates": Kind(
        "job_template",
        {
            "name": "",
            "description": "",
            "job_type": "run",
            "inventory": None,
            "project": None,
            "playbook": "",
            "scm_branch": "",
            "forks": 0,
            "limit": "",
            "verbosity": 0,
            "extra_vars": "",
            "job_tags": "",
            "force_handlers": False,
            "skip_tags": "",
            "start_at_task": "",
            "timeout": 0,
            "use_fact_cache": False,
            "execution_environment": None,
            "host_config_key": "",
            **{f"ask_{box}_on_launch": False for box in BOXES},
            "survey_enabled": False,
            "become_enabled": False,
            "diff_mode": False,
            "allow_simultaneous": False,
            "job_slice_count": 1,
            "webhook_service": "",
            "webhook_credential": None,
            "prevent_instance_group_fallback": False,
        },
        {
            "inventory": "inventories",
            "project": "projects",
            "execution_environment": "execution_environments",
            "webhook_credential": "credentials",
        },
        needed=("name", "project", "inventory"),
        unique=("organization", "name"),
        lists={"credentials": "credentials", "instance_groups": "instance_groups", **NOTIFIED},
        ignored=("organization",),
        survey=True,
    ),
    "workflow_job_templates": Kind(
        "workflow_job_template",
        {
            "name": "",
            "description": "",
            "organization": None,
            "extra_vars": "",
            "job_tags": None,
            "skip_tags": None,
            "inventory": None,
            "limit": None,
            "scm_branch": None,
            "survey_enabled": False,
            "allow_simultaneous": False,
            **{
                f"ask_{box}_on_launch": False
                for box in ("variables", "inventory", "scm_branch", "limit", "labels", "skip_tags", "tags")
            },
            "webhook_service": "",
            "webhook_credential": None,
        },
        {"organization": "organizations", "inventory": "inventories"},
        unique=("organization", "name"),
        lists={**NOTIFIED, "notification_templates_approvals": "notification_templates"},
        survey=True,
    ),
    "workflow_job_template_nodes": Kind(
        "workflow_job_template_node",
        {
            "identifier": "",
            "workflow_job_template": None,
            "unified_job_template": None,
            "all_parents_must_converge": False,
            "extra_data": {},
            **dict.fromkeys(PROMPTS),
        },
        {"workflow_job_template": "workflow_job_templates", "unified_job_template": "unified_job_templates"},
        needed=("identifier", "workflow_job_template"),
        unique=("workflow_job_template", "identifier"),
        lists={
            **dict.fromkeys(("success_nodes", "failure_nodes", "always_nodes"), "workflow_job_template_nodes"),
            "credentials": "credentials",
            "instance_groups": "instance_groups",
        },
        gone_with=("workflow_job_template",),
        ignored=("type",),
    ),
    "workflow_approval_templates": Kind(
        "workflow_approval_template", {"name": "", "description": "", "timeout": 0}, unique=()
    ),
    "schedules": Kind(
        "schedule",
        {
            "name": "",
            "description": "",
            "unified_job_template": None,
            "rrule": "",
            "enabled": True,
            "extra_data": {},
            **dict.fromkeys(PROMPTS),
        },
        {"unified_job_template": "unified_job_templates"},
        needed=("name", "unified_job_template", "rrule"),
        unique=("unified_job_template", "name"),
        lists={"credentials": "credentials", "instance_groups": "instance_groups"},
        gone_with=("unified_job_template",),
    ),
}
UNIFIED = ("projects", "inventory_sources", "job_templates", "workflow_job_templates", "workflow_approval_templates")
IN_USE = {"credential_types": ("credentials", "credential_type")}
"""What is refused to be removed while something has it in this field; all else AWX removes, and empties the field."""

BOOKKEEPING = ("id", "type", "url", "related", "summary_fields", "created", "modified")


class Awx:
    """The things by kind and id, and every request that wrote something."""

    def __init__(self) -> None:
        self.things: dict[str, dict[int, Json]] = {kind: {} for kind in KINDS}
        self.surveys: dict[int, Json] = {}
        self.linked: dict[tuple[int, str], list[int]] = {}
        self.secrets: dict[int, Json] = {}
        self.writes: list[tuple[str, str, Json]] = []
        self._next = 1
        self.make("users", {"username": "admin"})
        organization = self.make("organizations", {"name": "Default"})["id"]
        self.make("instance_groups", {"name": "default"})
        self.make("execution_environments", {"name": "AWX EE (latest)", "image": "quay.io/ansible/awx-ee:24.6.1"})
        galaxy = self._of_awx("Ansible Galaxy/Automation Hub API Token", "galaxy", {"url": {}})
        self._of_awx("Vault", "vault", {"vault_password": {"secret": True}, "vault_id": {}})
        fields: Json = {"url": {}, "token": {"secret": True}, "role_id": {}, "secret_id": {"secret": True}}
        self._of_awx("HashiCorp Vault Secret Lookup", "external", fields)
        self.make(
            "credentials",
            {"name": "Ansible Galaxy", "credential_type": galaxy, "organization": organization, "inputs": {}},
        )
        self.writes.clear()

    def _of_awx(self, name: str, kind: str, fields: Json) -> int:
        entries = [{"id": one, "label": one, "type": "string", **about} for one, about in fields.items()]
        thing = {"name": name, "kind": kind, "managed": True, "inputs": {"fields": entries}, "injectors": {}}
        return int(self._keep("credential_types", {**KINDS["credential_types"].fields, **thing})["id"])

    # --- reading -------------------------------------------------------------------------------------------------

    def named(self, kind: str, name: str) -> Json:
        (found,) = (
            one for one in self.things[kind].values() if one.get("name") == name or one.get("identifier") == name
        )
        return found

    def names(self, kind: str) -> list[str]:
        return sorted(one.get("name") or one.get("identifier") or "" for one in self.things[kind].values())

    def find(self, kind: str, query: dict[str, str]) -> list[Json]:
        kinds = UNIFIED if kind == "unified_job_templates" else (kind,)
        either = {key.removeprefix("or__"): value for key, value in query.items() if key.startswith("or__")}
        every = {key: value for key, value in query.items() if not key.startswith("or__")}
        found = [self.shown(one, thing) for one in kinds for thing in self.things[one].values()]
        for key in {*either, *every}:
            if key not in ("id", "name") and not any(
                key in KINDS[one].fields or key in KINDS[one].ignored for one in kinds
            ):
                raise Refused(400, {"detail": f"{kind} has no field named {key!r}"})
        return [
            one
            for one in found
            if all(str(one.get(key)) == value for key, value in every.items())
            and (not either or any(str(one.get(key)) == value for key, value in either.items()))
        ]

    def kind_of(self, number: int) -> str:
        return next(kind for kind, things in self.things.items() if number in things)

    def shown(self, kind: str, thing: Json) -> Json:
        url = f"/api/v2/{kind}/{thing['id']}/"
        found = {**copy.deepcopy(thing), "type": KINDS[kind].type, "url": url, "summary_fields": {}}
        related = {name: f"{url}{name}/" for name in KINDS[kind].lists}
        if KINDS[kind].survey:
            related["survey_spec"] = f"{url}survey_spec/"
        if kind == "job_templates":
            project = self.things["projects"].get(thing["project"] or 0) or {}
            found["organization"] = project.get("organization")
        if kind == "workflow_job_template_nodes" and thing["unified_job_template"]:
            target = thing["unified_job_template"]
            related["unified_job_template"] = f"/api/v2/{self.kind_of(target)}/{target}/"
        if kind == "credentials":
            found["inputs"] = {
                name: ENCRYPTED if name in self._secret_fields(thing["credential_type"]) and value else value
                for name, value in thing["inputs"].items()
            }
        if kind == "notification_templates":
            found["notification_configuration"] = {
                name: ENCRYPTED if name in rules.HIDDEN and value else value
                for name, value in thing["notification_configuration"].items()
            }
        found["related"] = related
        return found

    def _secret_fields(self, number: int) -> set[str]:
        fields = self.things["credential_types"][number]["inputs"].get("fields", [])
        return {one["id"] for one in fields if one.get("secret")}

    # --- writing -------------------------------------------------------------------------------------------------

    def make(self, kind: str, body: Json) -> Json:
        about = KINDS[kind]
        missing = [name for name in about.needed if body.get(name) in (None, "")]
        if missing:
            raise Refused(400, {name: ["This field is required."] for name in missing})
        self._check(kind, {**about.fields, **body}, body)
        thing = {**copy.deepcopy(about.fields), **self._taken(kind, body)}
        return self.shown(kind, self._keep(kind, thing))

    def _keep(self, kind: str, thing: Json) -> Json:
        thing["id"] = self._next
        self._next += 1
        self.things[kind][thing["id"]] = thing
        return thing

    def change(self, kind: str, number: int, body: Json) -> Json:
        thing = self.thing(kind, number)
        if thing.get("managed"):
            raise Refused(403, {"detail": "Modifications not allowed for managed things"})
        self._check(kind, {**thing, **body}, body, number)
        taken = self._taken(kind, body)
        if kind == "credentials" and "inputs" in taken:
            before = thing["inputs"]
            taken["inputs"] = {
                name: before.get(name) if value == ENCRYPTED else value for name, value in taken["inputs"].items()
            }
        thing.update(taken)
        return self.shown(kind, thing)

    def thing(self, kind: str, number: int) -> Json:
        found = self.things[kind].get(number)
        if found is None:
            raise Refused(404, {"detail": "Not found."})
        return found

    def _taken(self, kind: str, body: Json) -> Json:
        taken = {name: copy.deepcopy(value) for name, value in body.items() if name in KINDS[kind].fields}
        if kind == "credentials" and "inputs" in taken:
            fields = self.things["credential_types"].get(body.get("credential_type") or 0, {}).get("inputs", {})
            for one in fields.get("fields", []):
                # A choice that is sent blank is stored as the first.
                if one.get("choices") and taken["inputs"].get(one["id"]) == "":
                    taken["inputs"][one["id"]] = one["choices"][0]
        if kind == "notification_templates" and "notification_configuration" in taken:
            for name, (_kind, _default) in rules.NOTIFICATIONS[body["notification_type"]].items():
                taken["notification_configuration"].setdefault(name, {"timeout": 30}.get(name, ""))
        return taken

    def _check(self, kind: str, whole: Json, body: Json, number: int = 0) -> None:
        about = KINDS[kind]
        unknown = sorted(set(body) - set(about.fields) - set(about.ignored))
        if unknown:
            raise Refused(400, {"detail": f"{kind} has no field {', '.join(unknown)}"})
        for name, value in body.items():
            default = about.fields.get(name)
            if default is not None and value is not None and type(value) is not type(default):
                raise Refused(400, {name: [f"{value!r} is of another kind than {default!r}."]})
            if name in about.refers and value is not None:
                kinds = UNIFIED if about.refers[name] == "unified_job_templates" else (about.refers[name],)
                if not any(value in self.things[one] for one in kinds):
                    raise Refused(400, {name: [f'Invalid pk "{value}" - object does not exist.']})
        self._check_content(kind, whole, body)
        if about.unique:
            key = [self.shown(kind, {**whole, "id": number}).get(name) for name in about.unique]
            for other in self.things[kind].values():
                if other["id"] != number and [self.shown(kind, other).get(name) for name in about.unique] == key:
                    raise Refused(
                        400, {"__all__": [f"{about.type} with this {' and '.join(about.unique)} already exists."]}
                    )

    def _check_content(self, kind: str, whole: Json, body: Json) -> None:
        complaints: list[str] = []
        if kind == "credential_types":
            complaints += rules.credential_type(whole)
        if kind == "schedules":
            complaints += rules.rule(whole["rrule"])
        if kind == "notification_templates":
            complaints += rules.notification(whole)
        if kind == "job_templates":
            project = self.things["projects"].get(whole["project"] or 0, {})
            # Nothing has been synchronized here.
            if project.get("scm_type") and not project.get("allow_override"):
                complaints.append("Playbook not found for project.")
        if kind == "inventory_sources" and whole["source"] != "scm":
            complaints.append("only scm is known here")
        if kind == "credentials":
            fields = self.things["credential_types"][whole["credential_type"]]["inputs"].get("fields", [])
            known = {one["id"]: one for one in fields}
            complaints += [f"{name} is no field of the type" for name in whole["inputs"] if name not in known]
            complaints += [
                f"{name}: {value!r} is not taken"
                for name, value in whole["inputs"].items()
                if name in known
                and (
                    isinstance(value, bool) != (known[name]["type"] == "boolean")
                    or not isinstance(value, (bool, str))
                    or (known[name].get("choices") and value and value not in known[name]["choices"])
                )
            ]
        if complaints:
            raise Refused(400, {"detail": "; ".join(complaints)})

    def remove(self, kind: str, number: int) -> None:
        thing = self.thing(kind, number)
        if thing.get("managed"):
            raise Refused(403, {"detail": "Deletion not allowed for managed things"})
        if kind in IN_USE:
            other, name = IN_USE[kind]
            if any(one[name] == number for one in self.things[other].values()):
                raise Refused(403, {"detail": "Credential types that are in use cannot be deleted"})
        self._drop(kind, number)

    def _drop(self, kind: str, number: int) -> None:
        del self.things[kind][number]
        for other, about in KINDS.items():
            for name, target in about.refers.items():
                if kind not in (UNIFIED if target == "unified_job_templates" else (target,)):
                    continue
                for one in [one for one in self.things[other].values() if one.get(name) == number]:
                    if name in about.gone_with:
                        self._drop(other, one["id"])
                    else:
                        one[name] = None

    def associate(self, kind: str, number: int, name: str, body: Json) -> None:
        self.thing(kind, number)
        if set(body) - {"id", "disassociate"}:
            raise Refused(400, {"detail": "an association has an id"})
        there = self.linked.setdefault((number, name), [])
        if body.get("disassociate"):
            there.remove(body["id"])
            return
        target = self.thing(KINDS[kind].lists[name], body["id"])
        if name == "credentials":
            same = [
                one
                for one in map(self.things["credentials"].__getitem__, there)
                if one["credential_type"] == target["credential_type"]
                and one["inputs"].get("vault_id") == target["inputs"].get("vault_id")
            ]
            if same:
                raise Refused(400, {"error": "Cannot assign multiple credentials of one type."})
        there.append(body["id"])

    def associated(self, kind: str, number: int, name: str) -> list[Json]:
        self.thing(kind, number)
        target = KINDS[kind].lists[name]
        return [
            self.shown(target, self.things[target][one])
            for one in self.linked.get((number, name), [])
            if one in self.things[target]
        ]
