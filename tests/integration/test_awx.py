# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook awx, by the real modules of awx.awx 24.6.1 against a small AWX that refuses what it does not know."""

from __future__ import annotations

import ast
import os
import pathlib
import re
import subprocess
import sys
import typing as t

import pytest

from tests.awx import api, installed
from tests.awx.story import Told, tell
from tests.tools import layout

Json = dict[str, t.Any]
SECRETS = ("canary-token", "canary-secret", "canary-password", "canary-renewed", "canary-run", "canary-slack")
LOOKING_UP = "Vault of Contoso"
FULL: Json = {
    "mail2fax_awx_scm_url": "https://git.contoso.com/fax/awx.git",
    "mail2fax_awx_execution_environment": "registry.contoso.com/mail2fax:1",
    "mail2fax_awx_instance_groups": [{"name": "default", "max_forks": 50}],
    "mail2fax_awx_slices": 4,
    "mail2fax_time_zone": "Europe/Rome",
    "mail2fax_awx_credentials": [
        {
            "type": "operator_secret",
            "inputs": {"client_id": "11111111-0000-4000-8000-000000000001", "cloud": ""},
            "lookups": {
                "client_secret": {"credential": LOOKING_UP, "metadata": {"secret_path": "x", "secret_key": "y"}}
            },
        },
        {
            "name": LOOKING_UP,
            "type": "HashiCorp Vault Secret Lookup",
            "inputs": {"url": "https://vault.contoso.com:8200", "token": "canary-token"},
        },
        {
            "type": "hashi_vault",
            "inputs": {"url": "https://vault.contoso.com", "role_id": "r", "secret_id": "canary-secret"},
        },
        {"type": "vault_password", "inputs": {"vault_password": "canary-password"}},
    ],
}
RENEWED: Json = {
    **FULL,
    "mail2fax_awx_credentials": [
        *FULL["mail2fax_awx_credentials"][:2],
        {
            "type": "hashi_vault",
            "inputs": {"url": "https://vault.contoso.com", "role_id": "r", "secret_id": "canary-renewed"},
        },
        FULL["mail2fax_awx_credentials"][3],
    ],
}
OTHER: Json = {
    "mail2fax_awx_organization": "Fax",
    "mail2fax_awx_scm_url": "https://git.contoso.com/fax/awx.git",
    "mail2fax_awx_notification": {"type": "slack", "configuration": {"token": "canary-slack", "channels": ["#fax"]}},
}
# What somebody did by hand meanwhile.
DRIFT = """
(one,) = [x for x in awx.things["schedules"].values() if "audit" in x["name"]]
one["enabled"] = False
awx.linked[(awx.named("workflow_job_template_nodes", "approval")["id"], "success_nodes")].clear()
template = awx.named("job_templates", "Mail2Fax rotate")
awx.surveys[template["id"]]["spec"].pop()
"""
BY_HAND = """
kind = awx.named("credential_types", "Mail2Fax operator by secret")["id"]
awx.make("credentials", {"name": "Of somebody", "credential_type": kind, "organization": 2, "inputs": {}})
"""
NOT_ANY_MORE = 'awx.remove("credentials", awx.named("credentials", "Of somebody")["id"])'
WITHOUT_GALAXY = 'awx.remove("credentials", awx.named("credentials", "Ansible Galaxy")["id"])'
RUNS: dict[str, Json] = {
    "made": FULL,
    "again": FULL,
    "renewed": RENEWED,
    "renewed and said": {**RENEWED, "mail2fax_awx_update_secrets": True},
    "another branch": {**FULL, "mail2fax_awx_scm_branch": "next"},
    "mended": {**FULL, "_first": DRIFT},
    "in use": {**FULL, "mail2fax_awx_state": "absent", "_first": BY_HAND},
    "removed": {**FULL, "mail2fax_awx_state": "absent", "_first": NOT_ANY_MORE},
    "removed again": {**FULL, "mail2fax_awx_state": "absent"},
    "of the run": OTHER,
    "of the run again": OTHER,
    "bare": {**OTHER, "mail2fax_awx_organization": "Bare", "_first": WITHOUT_GALAXY},
    "exported": {**FULL, "mail2fax_awx_export": "aap/mail2fax.yml"},
    "misspelled": {**FULL, "mail2fax_awx_slice": 4},
    "all gone": {**OTHER, "mail2fax_awx_state": "absent"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    found = tmp_path_factory.mktemp("awx")
    (found / "aap").mkdir()
    return found


@pytest.fixture(scope="module")
def told(folder: pathlib.Path) -> dict[str, Told]:
    sign_in = {"M365_CLIENT_ID": "11111111-0000-4000-8000-000000000001", "M365_CLIENT_SECRET": "canary-run"}
    runs = [dict(run) for run in RUNS.values()]
    return dict(zip(RUNS, tell(folder, runs, **sign_in), strict=True))


def paths(one: Told) -> list[str]:
    """What was written, without numbers."""
    return [f"{method} {re.sub(r'[0-9]+/', '', path.removeprefix('/api/v2/'))}" for method, path, _body in one.writes]


def test_it_makes_everything(told: dict[str, Told]) -> None:
    made = told["made"]
    assert made.code == 0, made.output
    assert made.names("job_templates") == sorted(
        ["Mail2Fax preflight", *(f"Mail2Fax {name.replace('_', ' ')}" for name in _playbooks())]
    )
    audit = made.named("job_templates", "Mail2Fax audit")
    assert (audit["playbook"], audit["job_slice_count"], audit["job_type"]) == ("audit.yml", 4, "run")
    assert made.named("job_templates", "Mail2Fax preflight")["job_type"] == "check"
    assert made.linked["Mail2Fax audit.credentials"] == [
        "Mail2Fax operator by secret",
        "Mail2Fax HashiCorp Vault",
        "Mail2Fax vault password",
    ]
    assert made.linked["Mail2Fax audit.notification_templates_error"] == ["Mail2Fax expiry"]
    assert made.linked["Mail2Fax rotate.notification_templates_error"] == ["Mail2Fax blocked"]
    assert [made.linked[f"{node}.success_nodes"] for node in ("preflight", "approval", "provision")] == [
        ["approval"],
        ["provision"],
        ["audit"],
    ]
    assert made.named("workflow_approval_templates", "Mail2Fax approval")["timeout"] == 3 * 24 * 3600
    assert made.named("instance_groups", "default")["max_forks"] == 50
    (source,) = made.things["inventory_sources"]
    assert (source["overwrite"], source["overwrite_vars"], source["update_on_launch"]) == (True, True, True)
    assert made.surveys["Mail2Fax rotate"]["spec"]
    assert "Mail2Fax audit" not in made.surveys
    assert all("RRULE:" in one["rrule"] and "TZID=Europe/Rome" in one["rrule"] for one in made.things["schedules"])


def _playbooks() -> list[str]:
    return [
        path.stem
        for path in (layout.ROOT / "playbooks").glob("*.yml")
        if path.stem not in ("awx", "operator", "conformance")
    ]


def test_credentials_are_kept_and_looked_up(told: dict[str, Told]) -> None:
    made = told["made"]
    operator = made.named("credentials", "Mail2Fax operator by secret")
    assert operator["inputs"] == {"client_id": "11111111-0000-4000-8000-000000000001"}
    (source,) = made.things["credential_input_sources"]
    assert source["input_field_name"] == "client_secret"
    assert source["source_credential"] == made.named("credentials", LOOKING_UP)["id"]
    assert made.named("credentials", "Mail2Fax vault password")["inputs"]["vault_id"] == "mail2fax"


@pytest.mark.parametrize("name", ["again", "renewed", "removed again", "of the run again", "exported", "misspelled"])
def test_these_write_nothing(told: dict[str, Told], name: str) -> None:
    assert told[name].writes == []
    # A file is written all the same.
    assert [line for line in told[name].changed() if name != "exported"] == []


def test_a_secret_is_sent_again_when_somebody_says_so(told: dict[str, Told]) -> None:
    assert told["renewed"].named("credentials", "Mail2Fax HashiCorp Vault")["inputs"]["secret_id"] == "canary-secret"
    said = told["renewed and said"]
    assert said.named("credentials", "Mail2Fax HashiCorp Vault")["inputs"]["secret_id"] == "canary-renewed"
    assert set(paths(said)) == {"PATCH credentials/"}


def test_only_what_differs_is_written(told: dict[str, Told]) -> None:
    branch = told["another branch"]
    assert paths(branch) == ["PATCH projects/"]
    mended = told["mended"]
    # The branch is no longer said, and stays.
    assert sorted(paths(mended)) == [
        "PATCH schedules/",
        "POST job_templates/survey_spec/",
        "POST workflow_job_template_nodes/success_nodes/",
    ]


def test_a_type_that_somebody_uses_stays_and_is_named(told: dict[str, Told]) -> None:
    used = told["in use"]
    assert used.code != 0
    assert "Mail2Fax operator by secret: AWX does not remove a credential type that a credential has" in used.output
    assert "Mail2Fax operator by secret" in used.names("credential_types")
    assert used.names("job_templates") == []


def test_everything_of_ours_goes_in_order_and_nothing_else(told: dict[str, Told]) -> None:
    order = [line.removeprefix("DELETE ").rstrip("/") for line in [*paths(told["in use"]), *paths(told["removed"])]]
    ranks = {kind: number for number, kind in enumerate(dict.fromkeys(order))}
    before = ("schedules", "workflow_job_templates", "job_templates", "inventory_sources", "inventories", "projects")
    after = ("credentials", "execution_environments", "notification_templates", "credential_types")
    assert list(ranks) == [*before, *after]
    gone = told["removed"]
    assert gone.code == 0, gone.output
    assert gone.names("organizations") == ["Default"]
    assert gone.names("instance_groups") == ["default"]
    assert gone.names("credentials") == ["Ansible Galaxy"]
    assert gone.names("execution_environments") == ["AWX EE (latest)"]
    assert not [
        name for kind in gone.things for name in gone.names(kind) if "Mail2Fax" in name and "approval" not in name
    ]


def test_a_new_organization_can_install_collections_and_is_kept(told: dict[str, Told]) -> None:
    made = told["of the run"]
    assert made.code == 0, made.output
    assert made.linked["Fax.galaxy_credentials"] == ["Ansible Galaxy"]
    assert "Mail2Fax daily audit (Fax)" in made.names("schedules")
    # The other organization still uses the types, which is told.
    assert told["all gone"].code != 0
    assert "Fax" in told["all gone"].names("organizations")
    assert "Mail2Fax operator by secret (Fax)" not in told["all gone"].names("credentials")


def test_an_organization_that_cannot_install_collections_is_told(told: dict[str, Told]) -> None:
    bare = told["bare"]
    assert bare.code == 0, bare.output
    assert "Bare" in bare.names("organizations")
    assert "the new organization could be given" in bare.output
    # Both organizations have everything, each for itself.
    assert bare.names("projects") == ["Mail2Fax", "Mail2Fax"]
    gone = told["all gone"]
    assert gone.names("projects") == ["Mail2Fax"]
    assert gone.names("inventories") == ["Mail2Fax tenants (Bare)"]
    assert gone.names("notification_templates") == ["Mail2Fax blocked (Bare)", "Mail2Fax expiry (Bare)"]
    assert "Mail2Fax daily audit (Bare)" in gone.names("schedules")


def test_the_sign_in_of_the_run_is_the_credential_where_none_is_said(told: dict[str, Told]) -> None:
    inputs = told["of the run"].named("credentials", "Mail2Fax operator by secret (Fax)")["inputs"]
    assert inputs["client_secret"] == "canary-run"


def test_no_secret_is_shown(told: dict[str, Told], folder: pathlib.Path) -> None:
    text = "".join(one.output for one in told.values()) + (folder / "aap/mail2fax.yml").read_text(encoding="utf-8")
    assert [secret for secret in SECRETS if secret in text] == []


def test_what_is_misspelled_is_told_before_anything_is_sent(told: dict[str, Told]) -> None:
    assert told["misspelled"].code != 0
    assert "mail2fax_awx_slice is not a variable of this collection. What to do: call it mail2fax_awx_slices" in (
        told["misspelled"].output
    )


def test_without_awx_awx_it_says_what_to_install(tmp_path: pathlib.Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "M365_"))}
    answer = subprocess.run(
        [
            str(pathlib.Path(sys.executable).with_name("ansible-playbook")),
            *("mail2fax.m365.awx", "-e", "mail2fax_awx_scm_url=https://git.contoso.com/fax/awx.git"),
        ],
        env={**kept, "ANSIBLE_COLLECTIONS_PATH": str(layout.live()), "ANSIBLE_HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 2, answer.stdout
    assert "ansible-galaxy collection install awx.awx:24.6.1" in answer.stdout


def test_the_small_awx_knows_only_what_the_modules_and_awxkit_name() -> None:
    """Each field is a word of the module that makes the thing, or of awxkit's page for it."""
    modules = installed.collections() / "ansible_collections/awx/awx/plugins/modules"
    pages = installed.python() / "awxkit/api/pages"
    for kind, about in api.KINDS.items():
        sources = [modules / f"{about.type}.py", pages / f"{kind}.py", pages / "workflow_job_template_nodes.py"]
        sources += [pages / "projects.py", pages / "inventory.py", modules / "workflow_job_template_node.py"]
        words = {
            node.value
            for path in sources
            if path.is_file()
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        words |= {
            node.arg
            for path in sources
            if path.is_file()
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.keyword | ast.arg) and node.arg
        }
        assert set(about.fields) - words == set(), kind
