# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Everything that AWX is to have, in lists by its kind, with the API's own names of fields (24.6.1). Pure.

The modules of awx.awx take these as options of the same names, and so does the collection infra.aap_configuration.
"""

from __future__ import annotations

import itertools
import typing as t

from ansible_collections.mail2fax.m365.plugins.plugin_utils._awx import credential_types, names, notifications, surveys
from ansible_collections.mail2fax.m365.plugins.plugin_utils._awx.wish import Credential, Wish

Json = dict[str, t.Any]

ALL_AT_ONCE = frozenset({"decommission", "fleet_report"})
"""What no slice may do: one tenant at a time, or a report of all of them."""

DESCRIPTIONS = {
    "audit": "Look whether tenants are as declared, and which secrets end soon. Writes nothing into a tenant.",
    "decommission": "Take back what a provisioning made. Wants a limit and a confirmation.",
    "fleet_report": "One page of all tenants, from what the last runs left. Asks no tenant.",
    "migrate": "Change from one way in to another, phase by phase.",
    "provision": "From whatever state a tenant is in to a proven application.",
    "reach": "Which applications can open which mailboxes. Writes nothing into a tenant.",
    "rotate": "Renew the client secrets that are due.",
}
CHECKED = "What a provisioning would do. Writes nothing into a tenant."
BLOCKED = "A tenant is blocked or failed, and a person is needed. The last lines of the job say what to do."
ENDS = "A tenant is not as declared, or a secret or certificate ends soon. The last lines of the job say what to do."
APPROVAL_S = 3 * 24 * 3600

# Local hours. A rotation gives people something to do, so it comes on a day, and at an hour, at which they are there.
SCHEDULES = {
    "audit": ("daily audit", "20260101T050000", "FREQ=DAILY;INTERVAL=1"),
    "rotate": ("weekly rotation", "20260106T090000", "FREQ=WEEKLY;INTERVAL=1;BYDAY=TU"),
}


def declared(wish: Wish, playbooks: t.Sequence[str] | None = None) -> dict[str, list[Json]]:
    """The lists, in the order in which they are made. No value of a secret is in any of them but ``credentials``."""
    found = names.playbooks() if playbooks is None else list(playbooks)
    templates = list(_templates(wish, found))
    return {
        "instance_groups": [one for one in wish.instance_groups if len(one) > 1],
        "execution_environments": list(_environments(wish)),
        "notification_templates": list(_notifications(wish)),
        "credential_types": list(credential_types.all_of_ours().values()),
        # Those that others look up with are made first, and go last.
        "credentials": [
            _credential(wish, one)
            for one in sorted(wish.credentials, key=lambda one: one.attach, reverse=wish.state == "absent")
        ],
        "credential_input_sources": list(_sources(wish)),
        "projects": [_project(wish)],
        "inventories": [
            {
                "name": names.own(names.INVENTORY, wish.organization),
                "description": "A host is a tenant",
                "organization": wish.organization,
                "kind": "",
            }
        ],
        "inventory_sources": [_inventory_source(wish)],
        "job_templates": templates,
        "workflow_job_templates": [_workflow(wish)],
        "workflow_nodes": list(_nodes(wish)),
        "workflow_approvals": list(_approvals(wish)),
        "workflow_links": list(_links(wish)),
        "schedules": list(_schedules(wish, found)),
    }


def _environments(wish: Wish) -> t.Iterator[Json]:
    if wish.execution_environment.get("image"):
        yield {
            "description": "What the collection mail2fax.m365 needs",
            "organization": wish.organization,
            "pull": "missing",
            **wish.execution_environment,
        }


def _notifications(wish: Wish) -> t.Iterator[Json]:
    for name, description, told in (
        (names.BLOCKED, "A person is needed", BLOCKED),
        (names.EXPIRY, "Something ends soon, or differs", ENDS),
    ):
        own = names.own(name, wish.organization)
        yield notifications.template(own, description, told, wish.notification, wish.organization)


def _credential(wish: Wish, one: Credential) -> Json:
    inputs = dict(one.inputs)
    if credential_types.name_of(one.type) == "Vault":
        # AWX lets nobody change it, and an update looks for it.
        inputs.setdefault("vault_id", "mail2fax")
    made: Json = {
        "name": one.name,
        "organization": wish.organization,
        "credential_type": credential_types.name_of(one.type),
        "inputs": inputs,
    }
    return {**made, "description": one.description} if one.description else made


def _sources(wish: Wish) -> t.Iterator[Json]:
    for one in wish.credentials:
        for name, source in one.lookups.items():
            yield {
                "target_credential": one.name,
                "input_field_name": name,
                "source_credential": str(source["credential"]),
                "metadata": dict(source.get("metadata") or {}),
            }


def _project(wish: Wish) -> Json:
    made: Json = {
        "name": names.PROJECT,
        "description": "One file for each playbook of mail2fax.m365",
        "organization": wish.organization,
        "scm_type": "git",
        "scm_url": wish.scm_url,
        "scm_update_on_launch": True,
        "scm_update_cache_timeout": 60,
        # Else templates could be made only after a first sync, and a sync that nobody does would be waited for.
        "allow_override": True,
        "wait": False,
    }
    if wish.scm_branch:
        made["scm_branch"] = wish.scm_branch
    if wish.scm_credential:
        made["credential"] = wish.scm_credential
    if wish.execution_environment:
        made["default_environment"] = wish.execution_environment["name"]
    return made


def _inventory_source(wish: Wish) -> Json:
    made: Json = {
        "name": names.SOURCE,
        "inventory": names.own(names.INVENTORY, wish.organization),
        "organization": wish.organization,
        "source": "scm",
        "source_project": names.PROJECT,
        "source_path": wish.inventory_source,
        # What was taken out of the file is gone, hosts as well as variables.
        "overwrite": True,
        "overwrite_vars": True,
        "update_on_launch": True,
        "update_cache_timeout": 60,
    }
    if wish.execution_environment:
        made["execution_environment"] = wish.execution_environment["name"]
    return made


def _templates(wish: Wish, playbooks: t.Sequence[str]) -> t.Iterator[Json]:
    if "provision" in playbooks:
        yield {**_template(wish, "provision"), "name": names.PREFLIGHT, "description": CHECKED, "job_type": "check"}
    for playbook in playbooks:
        yield _template(wish, playbook)


def _template(wish: Wish, playbook: str) -> Json:
    sliced = wish.slices > 1 and playbook not in ALL_AT_ONCE
    made: Json = {
        "name": names.template(playbook),
        "description": DESCRIPTIONS.get(playbook, f"The playbook mail2fax.m365.{playbook}"),
        "organization": wish.organization,
        "job_type": "run",
        "inventory": names.own(names.INVENTORY, wish.organization),
        "project": names.PROJECT,
        "playbook": f"{playbook}.yml",
        "forks": wish.forks,
        "verbosity": 0,
        "diff_mode": True,
        "allow_simultaneous": False,
        "ask_limit_on_launch": True,
        # A slice that a limit leaves without hosts fails, so whoever gives a limit takes one.
        "ask_job_slice_count_on_launch": playbook not in ALL_AT_ONCE,
        "job_slice_count": wish.slices if sliced else 1,
        "notification_templates_error": [
            names.own(names.EXPIRY if playbook == "audit" else names.BLOCKED, wish.organization)
        ],
    }
    spec = surveys.survey(playbook)
    made["survey_enabled"] = spec is not None
    if spec is not None:
        made["survey_spec"] = spec
    attached = [one.name for one in wish.credentials if one.attach]
    if attached:
        made["credentials"] = attached
    if wish.execution_environment:
        made["execution_environment"] = wish.execution_environment["name"]
    if wish.instance_groups:
        made["instance_groups"] = [one["name"] for one in wish.instance_groups]
    return made


def _workflow(wish: Wish) -> Json:
    made: Json = {
        "name": names.WORKFLOW,
        "description": "Preflight, an approval, provision, audit. Takes a limit.",
        "organization": wish.organization,
        "allow_simultaneous": False,
        "ask_limit_on_launch": True,
        "ask_variables_on_launch": False,
        "notification_templates_error": [names.own(names.BLOCKED, wish.organization)],
        "notification_templates_approvals": [names.own(names.BLOCKED, wish.organization)],
    }
    spec = surveys.survey("provision")
    made["survey_enabled"] = spec is not None
    if spec is not None:
        made["survey_spec"] = spec
    return made


# A node, its approval and its links are told apart, because one task for two of them changes something in every run.


def _nodes(wish: Wish) -> t.Iterator[Json]:
    for identifier, template in (
        ("preflight", names.PREFLIGHT),
        ("provision", names.template("provision")),
        ("audit", names.template("audit")),
    ):
        yield {
            "identifier": identifier,
            "workflow_job_template": names.WORKFLOW,
            "organization": wish.organization,
            "unified_job_template": template,
            "lookup_organization": wish.organization,
        }


def _approvals(wish: Wish) -> t.Iterator[Json]:
    yield {
        "identifier": "approval",
        "workflow_job_template": names.WORKFLOW,
        "organization": wish.organization,
        "approval_node": {
            "name": f"{names.PRODUCT} approval",
            "description": "The preflight found nothing in the way. Its job shows what provision will change.",
            "timeout": APPROVAL_S,
        },
    }


def _links(wish: Wish) -> t.Iterator[Json]:
    order = ("preflight", "approval", "provision", "audit")
    for before, after in itertools.pairwise(order):
        yield {
            "identifier": before,
            "workflow_job_template": names.WORKFLOW,
            "organization": wish.organization,
            "success_nodes": [after],
        }


def _schedules(wish: Wish, playbooks: t.Sequence[str]) -> t.Iterator[Json]:
    for playbook, (what, begin, rule) in SCHEDULES.items():
        if playbook in playbooks:
            yield {
                "name": names.schedule(what, wish.organization),
                "description": DESCRIPTIONS[playbook],
                "organization": wish.organization,
                "unified_job_template": names.template(playbook),
                # As text: the look-ups of awx.awx that make such a rule fail on ansible-core 2.18 and newer.
                "rrule": f"DTSTART;TZID={wish.time_zone}:{begin} RRULE:{rule}",
                "enabled": True,
            }
