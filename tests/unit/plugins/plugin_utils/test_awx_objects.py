# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What AWX is to have, compared with what the modules, the playbooks and the roles say of themselves."""

from __future__ import annotations

import inspect
import json
import pathlib
import re
import typing as t

import jinja2.sandbox
import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from ansible_collections.mail2fax.m365.plugins.module_utils import _argspec
from ansible_collections.mail2fax.m365.plugins.module_utils._argspec import CONNECTION
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _inventory
from ansible_collections.mail2fax.m365.plugins.plugin_utils._awx import (
    aap,
    credential_types,
    names,
    notifications,
    objects,
    surveys,
    wish,
)
from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores._vault_way import SIGN_IN, Settings
from ansible_collections.mail2fax.m365.plugins.plugin_utils._variables import variables
from tests.awx import rules
from tests.awx.inject import inject
from tests.tools import layout

Json = dict[str, t.Any]
URL = {"mail2fax_awx_scm_url": "https://git.contoso.com/fax/awx.git"}
TYPES = credential_types.all_of_ours()


def wished(**said: t.Any) -> wish.Wish:
    found, complaints = wish.read({**URL, **{f"mail2fax_awx_{name}": value for name, value in said.items()}}, {})
    assert complaints == []
    return found


def complaint(said: Json, environment: dict[str, str] | None = None) -> str:
    _found, complaints = wish.read(said, environment or {})
    assert complaints
    assert all("What to do: " in one for one in complaints)
    return " ".join(complaints)


# --- credential types ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", TYPES)
def test_a_type_is_one_that_awx_takes(word: str) -> None:
    assert list(rules.credential_type(TYPES[word])) == []
    assert set(TYPES[word]["injectors"]) <= {"env", "file"}


def test_no_field_has_a_name_of_jinja() -> None:
    """AWX leaves out what nobody filled in, and such a name would then be rendered as what Jinja has under it."""
    of_jinja = set(jinja2.sandbox.ImmutableSandboxedEnvironment().globals)
    assert {"namespace", "range", "dict"} <= of_jinja
    for about in TYPES.values():
        assert not {field["id"] for field in about["inputs"]["fields"]} & of_jinja


def fallbacks() -> dict[str, str]:
    """Every variable of the environment that a module or a store reads, with the option that it stands for."""
    found = {
        variable: name
        for name, option in CONNECTION.options.items()
        for variable in option.get("fallback", ((), ()))[1]
    }
    document = yaml.safe_load(
        (layout.ROOT / "plugins/doc_fragments/store.py").read_text().split('r"""')[1].split('"""')[0]
    )
    for name, option in document["options"]["store"]["suboptions"].items():
        for variable in re.findall(r"E\((VAULT_\w+)\)", str(option["description"])):
            found[variable] = name
    return found


def test_injectors_set_what_the_modules_read() -> None:
    set_here = {variable for about in TYPES.values() for variable in about["injectors"]["env"]}
    assert set_here <= set(fallbacks())
    options = {fallbacks()[variable] for variable in set_here}
    # The tenant is its host's; these are said in the inventory, or are no matter of a credential.
    elsewhere = {
        *("tenant", "federated_token_path", "managed_identity", "timeout", "patience"),
        *("winrm_operation_timeout", "winrm_read_timeout", "winrm_deadline"),
    }
    assert {name for name in CONNECTION.options if name != "access_token"} - options == elsewhere
    assert {*SIGN_IN, "url", "namespace", "ca_path"} <= options


@pytest.mark.parametrize("word", TYPES)
def test_what_is_secret_is_in_a_file_and_not_in_the_environment(word: str, tmp_path: pathlib.Path) -> None:
    hidden = {field["id"] for field in TYPES[word]["inputs"]["fields"] if field.get("secret")}
    fields = {field["id"]: "yes" for field in TYPES[word]["inputs"]["fields"]}
    inputs = {**fields, **dict.fromkeys(hidden, "canary")}
    around = inject(TYPES[word], inputs, tmp_path)
    assert hidden
    assert "canary" not in str(around)
    assert [path.read_text(encoding="utf-8") for path in tmp_path.iterdir()].count("canary") == len(hidden)


@pytest.mark.parametrize("word", TYPES)
def test_what_nobody_filled_in_says_nothing(word: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    around = inject(TYPES[word], {}, tmp_path)
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {b""}
    assert _argspec.surroundings(around) == {}
    for variable in fallbacks():
        monkeypatch.delenv(variable, raising=False)
    nothing = ArgumentSpecValidator(**CONNECTION.kwargs()).validate({}).validated_parameters
    for variable, value in around.items():
        monkeypatch.setenv(variable, value)
    assert ArgumentSpecValidator(**CONNECTION.kwargs()).validate({}).validated_parameters == nothing
    vault = Settings.of({"url": "https://vault.contoso.com"}, around)
    assert (vault.token, vault.role_id, vault.secret_id, vault.ca_path, vault.namespace) == (None,) * 5


def test_what_is_filled_in_arrives(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in fallbacks():
        monkeypatch.delenv(variable, raising=False)
    for word, inputs in (
        ("operator_certificate", {"client_id": "11", "certificate": "-----BEGIN\n", "certificate_passphrase": "p w"}),
        ("winrm", {"winrm_host": "ex.contoso.com", "winrm_password": "pw", "winrm_skip_certificate_check": True}),
    ):
        for variable, value in inject(TYPES[word], inputs, tmp_path).items():
            monkeypatch.setenv(variable, value)
    found = ArgumentSpecValidator(**CONNECTION.kwargs()).validate({}).validated_parameters
    assert pathlib.Path(found["certificate_path"]).read_text(encoding="utf-8") == "-----BEGIN\n"
    assert (found["client_id"], found["certificate_passphrase"]) == ("11", "p w")
    assert (found["exchange_transport"], found["winrm_host"], found["winrm_password"]) == (
        "winrm",
        "ex.contoso.com",
        "pw",
    )
    assert found["winrm_validate_certs"] is False
    assert (found["proxy"], found["ca_path"], found["winrm_ca_path"]) == (None, None, None)


def test_choices_are_those_of_the_options_and_the_first_is_the_default() -> None:
    for about in TYPES.values():
        by_field = {text.strip("{ }"): variable for variable, text in about["injectors"]["env"].items()}
        for field in about["inputs"]["fields"]:
            if "choices" not in field:
                continue
            option = CONNECTION.options[fallbacks()[by_field[field["id"]]]]
            assert set(field["choices"]) == set(option["choices"])
            assert field["choices"][0] == option["default"]


# --- templates and surveys -----------------------------------------------------------------------------------------


def test_there_is_a_template_for_every_playbook_but_three() -> None:
    made = objects.declared(wished())
    there = {path.name for path in (layout.ROOT / "playbooks").glob("*.yml")} - {
        "awx.yml",
        "operator.yml",
        "conformance.yml",
    }
    runs = [one for one in made["job_templates"] if one["job_type"] == "run"]
    assert sorted(one["playbook"] for one in runs) == sorted(there)
    (check,) = (one for one in made["job_templates"] if one["job_type"] == "check")
    assert (check["name"], check["playbook"]) == (names.PREFLIGHT, "provision.yml")
    assert len({one["name"] for one in made["job_templates"]}) == len(runs) + 1
    for playbook in names.playbooks():
        assert playbook in objects.DESCRIPTIONS


def test_the_project_has_a_file_for_each_template_and_nothing_else_that_looks_like_a_playbook() -> None:
    """By AWX's own rule."""
    project = layout.ROOT / "awx/project"
    looks = re.compile(
        r"^\s*?-?\s*?(?:hosts|(ansible\.builtin\.)?include|(ansible\.builtin\.)?import_playbook):\s*?.*?$"
    )
    offered = {
        str(path.relative_to(project))
        for path in project.rglob("*")
        if path.suffix in (".yml", ".yaml") and any(map(looks.match, path.read_text(encoding="utf-8").splitlines()))
    }
    assert offered == {f"{playbook}.yml" for playbook in names.playbooks()}
    for name in offered:
        (play,) = yaml.safe_load((project / name).read_text(encoding="utf-8"))
        assert play["ansible.builtin.import_playbook"] == f"mail2fax.m365.{name.removesuffix('.yml')}"
    wanted = yaml.safe_load((project / "collections/requirements.yml").read_text(encoding="utf-8"))
    assert [one["name"] for one in wanted["collections"]] == ["mail2fax.m365"]


def test_questions_are_about_one_run_and_nobodys_secret() -> None:
    asked = {row.name: row for row in variables().values() if row.survey}
    options = (layout.ROOT / "roles").glob("*/defaults/main.yml")
    read = "\n".join(
        path.read_text(encoding="utf-8")
        for path in [*options, *(layout.ROOT / "playbooks").rglob("*.yml"), *layout.ROOT.glob("plugins/*/*.py")]
    )
    for row in asked.values():
        assert not row.secret
        assert not row.own
        assert row.type in ("str", "bool", "int", "raw")
        assert re.search(rf"\b{row.name}\b", read), row.name
        assert set(row.survey) <= {*names.playbooks()} & {*row.playbooks} - {*_without_survey()}
    assert {"mail2fax_confirm", "mail2fax_ticket", "mail2fax_rotate"} <= set(asked)


def _without_survey() -> set[str]:
    return {"audit", "fleet_report"}


def test_questions_match_the_argument_specifications() -> None:
    """What a role makes of the variable takes what the question may be answered with."""
    specs: dict[str, Json] = {}
    for path in (layout.ROOT / "roles").glob("*/meta/argument_specs.yml"):
        for point in yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"].values():
            specs.update(point.get("options") or {})
    defaults = [path.read_text(encoding="utf-8") for path in (layout.ROOT / "roles").glob("*/defaults/main.yml")]
    seen = 0
    for row in variables().values():
        for text in defaults if row.survey else ():
            for option in re.findall(rf"^(\w+): [^\n]*(?:\n  [^\n]*)*?\b{row.name} \|", text, re.MULTILINE):
                spec = specs[option]
                seen += 1
                assert spec.get("type", "str") == row.type, (row.name, option)
                assert list(spec.get("choices", [])) == list(row.choices), (row.name, option)
    assert seen >= 4


@pytest.mark.parametrize("playbook", names.playbooks())
def test_a_survey_may_be_left_empty_and_has_no_default(playbook: str) -> None:
    spec = surveys.survey(playbook)
    if spec is None:
        return
    assert list(rules.survey(spec)) == []
    for question in spec["spec"]:
        assert (question["required"], question["type"], question["min"]) == (False, "text", 0)
        assert "default" not in question
        assert "``" not in json.dumps(question)


def test_answers_as_awx_writes_them_are_understood_or_refused_with_the_cure() -> None:
    """Through the loader and its tag, by which ansible-core 2.19 and later give text a type."""
    from tests.awx.inject import extra_variables

    def told(playbook: str, **answers: str) -> list[str]:
        loaded = DataLoader().load(extra_variables(answers, 17))
        said = {name: value for name, value in loaded.items() if value not in (None, "") and name in variables()}
        base = {"mail2fax_mailboxes": ["fax@contoso.com"], "mail2fax_secret_store": {"backend": "none"}}
        host = _inventory.Host(
            "contoso",
            playbook,
            {**base, **said},
            names={*loaded},
            extra={*loaded},
            own={"mail2fax_tenant": "contoso.com"},
        )
        return _inventory.complaints(host)

    good = {
        "mail2fax_rotate": "always",
        "mail2fax_rotate_made_before": "2026-11-21T15:30:00Z",
        "mail2fax_rotate_only_due": "yes",
        "mail2fax_ticket": "CHG 0012345",
        "mail2fax_prepared_by": "",
    }
    assert told("rotate", **good) == []
    assert told("decommission", mail2fax_confirm="true", mail2fax_ticket=" 0012345") == []
    lost = told("provision", mail2fax_ticket="0012345")
    if isinstance(DataLoader().load(extra_variables({"ticket": "0012345"}, 17))["ticket"], str):
        # ansible-core 2.18 keeps it as it was written.
        assert lost == []
    else:
        assert "mail2fax_ticket is a number" in lost[0]
        assert "a word or a blank before it in a survey" in lost[0]
    assert "must be one of" in " ".join(told("provision", mail2fax_on_deleted="no"))


# --- all of it -----------------------------------------------------------------------------------------------------


def test_slices_forks_and_groups_go_to_what_can_be_cut() -> None:
    made = objects.declared(
        wished(slices="4", forks=25, instance_groups=["default", {"name": "fax", "max_forks": "50"}])
    )
    by_name = {one["name"]: one for one in made["job_templates"]}
    assert by_name["Mail2Fax audit"]["job_slice_count"] == 4
    assert by_name["Mail2Fax decommission"]["job_slice_count"] == 1
    assert {one["forks"] for one in by_name.values()} == {25}
    assert by_name["Mail2Fax rotate"]["instance_groups"] == ["default", "fax"]
    assert made["instance_groups"] == [{"name": "fax", "max_forks": 50}]


def test_rules_of_schedules_are_taken_and_tell_local_hours() -> None:
    found, _complaints = wish.read({**URL, "mail2fax_time_zone": "Europe/Rome"}, {})
    made = objects.declared(found)["schedules"]
    assert [list(rules.rule(one["rrule"])) for one in made] == [[], []]
    assert all("TZID=Europe/Rome:" in one["rrule"] for one in made)
    daily, weekly = (one["rrule"] for one in made)
    assert "FREQ=DAILY" in daily
    assert "FREQ=WEEKLY" in weekly


@pytest.mark.parametrize("kind", notifications.DEFAULTS)
def test_every_kind_of_notification_is_whole(kind: str) -> None:
    rest = {
        name: ["x"] if of is list else 1 if of is int else "x" for name, (of, _has) in rules.NOTIFICATIONS[kind].items()
    }
    own = {name: value for name, value in rest.items() if name not in notifications.DEFAULTS[kind]}
    found = wished(notification={"type": kind, "configuration": own})
    for one in objects.declared(found)["notification_templates"]:
        assert list(rules.notification(one)) == []
        assert set(one["notification_configuration"]) == set(rules.NOTIFICATIONS[kind])


def test_credentials_come_from_the_run_where_nothing_is_said_of_them(tmp_path: pathlib.Path) -> None:
    pem = tmp_path / "operator.pem"
    pem.write_text("-----BEGIN", encoding="ascii")
    around = {"M365_CLIENT_ID": "11", "M365_CLIENT_SECRET": "canary"}
    found, _complaints = wish.read(URL, around)
    (one,) = objects.declared(found)["credentials"]
    assert (one["name"], one["inputs"]) == (
        TYPES["operator_secret"]["name"],
        {"client_id": "11", "client_secret": "canary"},
    )
    assert all(each["credentials"] == [one["name"]] for each in objects.declared(found)["job_templates"])
    assert "canary" not in repr(found)
    found, _complaints = wish.read(URL, {"M365_CLIENT_ID": "11", "M365_CERTIFICATE_PATH": str(pem)})
    assert [each.type for each in found.credentials] == ["operator_certificate"]
    assert wish.read({**URL, "mail2fax_awx_credentials": []}, around)[0].credentials == ()
    assert wish.read(URL, {})[0].credentials == ()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({}, "mail2fax_awx_scm_url says nothing"),
        ({**URL, "mail2fax_awx_branch": None}, "mail2fax_awx_branch is not a variable"),
        ({**URL, "mail2fax_awx_slices": "many"}, "mail2fax_awx_slices is 'many', not a whole number"),
        ({**URL, "mail2fax_awx_state": "gone"}, "must be one of: present, absent"),
        ({**URL, "mail2fax_time_zone": "Rome"}, "not the name of a time zone"),
        ({**URL, "mail2fax_awx_execution_environment": ["x"]}, "neither text nor a mapping with an image"),
        ({**URL, "mail2fax_awx_instance_groups": [{"forks": 1}]}, "neither a name nor a mapping"),
        ({**URL, "mail2fax_awx_notification": {"type": "smoke"}}, "has the type 'smoke'"),
        ({**URL, "mail2fax_awx_notification": "mail"}, "mail2fax_awx_notification"),
        ({**URL, "mail2fax_awx_credentials": "canary"}, "is not a list"),
        ({**URL, "mail2fax_awx_credentials": [{"inputs": {}}]}, "has no type"),
        (
            {**URL, "mail2fax_awx_credentials": [{"type": "operator_secret", "inputs": {"client_id": 1}}]},
            "lacks client_secret",
        ),
        (
            {**URL, "mail2fax_awx_credentials": [{"type": "hashi_vault", "inputs": {"url": "x", "secret": "canary"}}]},
            "has secret",
        ),
        (
            {**URL, "mail2fax_awx_credentials": [{"type": "Vault", "lookups": {"vault_password": "canary"}}]},
            "looks up vault_password without saying where",
        ),
        (
            {
                **URL,
                "mail2fax_awx_credentials": [{"type": "hashi_vault", "inputs": {"url": "x"}, "name": n} for n in "ab"],
            },
            "a job has one credential of a type",
        ),
    ],
)
def test_what_cannot_be_meant_is_told_and_no_secret_is_quoted(said: Json, words: str) -> None:
    assert words in complaint(said)
    assert "canary" not in complaint(said)


def test_several_vault_passwords_may_go_together() -> None:
    entries = [{"type": "vault_password", "name": n, "inputs": {"vault_id": n, "vault_password": "x"}} for n in "ab"]
    assert len(wished(credentials=entries).credentials) == 2


# --- for infra.aap_configuration -------------------------------------------------------------------------------------


def test_the_exported_variables_say_the_same_and_no_secret(tmp_path: pathlib.Path) -> None:
    """Loaded as Ansible loads a file of variables, and rendered as it renders them."""
    found = wished(
        credentials=[
            {"type": "operator_secret", "inputs": {"client_id": "11", "client_secret": "canary"}},
            {"type": "vault_password", "inputs": {"vault_password": "canary"}},
        ]
    )
    text = aap.text(found)
    assert "canary" not in text
    assert "aap_mail2fax_operator_by_secret_client_secret" in text
    loader = DataLoader()
    file = tmp_path / "mail2fax.yml"
    file.write_text(text, encoding="utf-8")
    trusting = "trusted_as_template" in inspect.signature(loader.load_from_file).parameters
    loaded = loader.load_from_file(str(file), **({"trusted_as_template": True} if trusting else {}))
    given = {
        "aap_mail2fax_operator_by_secret_client_secret": "from a vault",
        "aap_mail2fax_vault_password_vault_password": "from a vault",
    }
    rendered = Templar(loader, {**loaded, **given}).template(loaded)
    made = objects.declared(found)
    for kind in (
        "credential_types",
        "notification_templates",
        "projects",
        "job_templates",
        "schedules",
        "inventory_sources",
    ):
        assert json.loads(json.dumps(rendered[aap.VARIABLES[kind]])) == json.loads(json.dumps(made[kind])), kind
    (operator, vault) = rendered["controller_credentials"]
    assert dict(operator["inputs"]) == {"client_id": "11", "client_secret": "from a vault"}
    assert dict(vault["inputs"]) == {"vault_id": "mail2fax", "vault_password": "from a vault"}
    (workflow,) = rendered["controller_workflows"]
    nodes = {node["identifier"]: node for node in workflow["simplified_workflow_nodes"]}
    assert list(nodes) == ["preflight", "provision", "audit", "approval"]
    assert nodes["preflight"]["success_nodes"] == ["approval"]
    assert nodes["approval"]["success_nodes"] == ["provision"]
    assert nodes["approval"]["approval_node"]["name"] == "Mail2Fax approval"


# --- the guide -------------------------------------------------------------------------------------------------------


def blocks(language: str) -> list[str]:
    text = (layout.ROOT / "docs/docsite/rst/awx.rst").read_text(encoding="utf-8")
    found = re.findall(rf"\.\. code-block:: {language}\n(?:   :caption: .*\n)?\n((?:   .*\n|\n)+)", text)
    return [re.sub(r"^   ", "", block, flags=re.MULTILINE) for block in found]


def test_what_the_guide_says_to_write_is_understood() -> None:
    said = [yaml.safe_load(block) for block in blocks("yaml")]
    assert len(said) >= 5
    wanted: Json = dict(URL)
    hosts: Json = {}
    for block in said:
        for name, value in block.items():
            if name.startswith("mail2fax_awx_"):
                _found, complaints = wish.read({**wanted, name: value}, {})
                assert complaints == [], name
            else:
                hosts[name] = value
    known = {name: value for name, value in hosts.items() if name.startswith("mail2fax_")}
    assert _inventory.complaints(_inventory.Host("contoso", "provision", known, names={*known})) == []
    # What people type stands in the files that they type it for.
    (shown,) = [one for one in said if "mail2fax_awx_notification" in one]
    assert wish.read(shown, {})[1] == []
    words = set(re.findall(r"-e (mail2fax_\w+)=", " ".join(blocks("sh"))))
    assert words <= set(variables())


def test_the_guide_names_everything_that_is_made() -> None:
    text = (layout.ROOT / "docs/docsite/rst/awx.rst").read_text(encoding="utf-8")
    for name in (names.WORKFLOW, names.PREFLIGHT, names.BLOCKED, names.EXPIRY, names.INVENTORY):
        assert f"*{name}*" in text
    for what, _begin, _rule in objects.SCHEDULES.values():
        assert f"*{names.PRODUCT} {what}*" in text
