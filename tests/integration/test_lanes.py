# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two lanes, one behaviour: a task in Ansible's own worker says and does what the module in a process does.

The same playbook runs twice, from the same tenant, once through each lane; a case is one task of it.
"""

from __future__ import annotations

import difflib
import json
import pathlib
import typing as t
from dataclasses import dataclass, field

import pytest

from tests.emulator.testing import Emulator, start_emulator
from tests.integration.alike import comparable
from tests.integration.fleet import OPERATOR_SECRET, Fleet, Place, Run, tenants
from tests.tools import layout

Json = dict[str, t.Any]
TENANT = Place(1)
KNOWN = "aaaaaaaa-0000-4000-8000-000000000001"
"""An application made by hand that is scoped, consented and can sign in."""

APP_SECRET = "known~secret.of-the_application"
WEAK = "11111111-0000-4000-8000-000000000002"
"""An operator that may do nothing."""

PERMISSIONS = [
    {"resource": "exchange_online", "application": ["full_access_as_app"]},
    {"resource": "microsoft_graph", "delegated": ["User.Read"]},
]


def site() -> Json:
    file = tenants(
        1,
        groups=[{"name": "Scope", "alias": "scope", "members": [TENANT.fax]}],
        policies=[{"app_id": KNOWN, "group": "scope"}],
        applications=[
            {
                "appId": KNOWN,
                "displayName": "Made by hand",
                "app_roles": ["full_access_as_app"],
                "passwordCredentials": [
                    {"displayName": "s", "secretText": APP_SECRET, "endDateTime": "2099-01-01T00:00:00Z"}
                ],
            }
        ],
    )
    file["tenants"][0]["operators"].append({"client_id": WEAK, "client_secret": "weak-secret"})
    return file


@dataclass(frozen=True)
class Case:
    """One task. ``keywords`` are the task's, beside the module's options ``args``; ``red`` when it has to fail."""

    name: str
    module: str
    args: Json = field(default_factory=dict)
    keywords: Json = field(default_factory=dict)
    red: bool = False

    def task(self, number: int) -> Json:
        return {
            "name": self.name,
            f"mail2fax.m365.{self.module}": self.args,
            "register": f"case_{number}",
            "ignore_errors": True,
            **self.keywords,
        }


APP = {"unique_name": "Lanes", "display_name": "Lanes & 'fax'", "permissions": PERMISSIONS}
NEW = "{{ case_1.app_id }}"
GROUP = {"name": "Lanes", "alias": "lanes", "members": [TENANT.fax], "owners": []}
POLICY = {"app_id": NEW, "group": "lanes", "description": "Lanes only"}
CHECK, DIFF = {"check_mode": True}, {"diff": True}
SECRET = {"app_id": NEW, "display_name": "lanes", "store": {"backend": "vault_file", "path": "{{ lanes_store }}"}}
LOOK = {
    "planned": {"steps": ["application", "scope_group"]},
    "application": {"app_id": NEW, "display_name": "Lanes"},
    "mailboxes": [TENANT.fax],
    "group": {"name": "Lanes", "alias": "lanes"},
    "secret_name": "lanes",
    "store": SECRET["store"],
}
FILE = {"path": "{{ lanes_store }}.json", "content": '{"a": 1}'}
PROBE = {"app_id": KNOWN, "app_secret": APP_SECRET}
WEAKLY = {"client_id": WEAK, "client_secret": "weak-secret"}

RIGHTS = {"app_id": NEW, "mailboxes": [TENANT.fax], "send_as": True}
ROLE = {"app_id": NEW, "roles": ["Mail.Read"], "group": "lanes", "scope_name": "Lanes", "permissions": PERMISSIONS}
PROTOCOLS = {"mailboxes": [TENANT.fax], "protocols": ["imap", "smtp"]}

CASES = [
    Case("predict an application", "entra_application", APP, {**CHECK, **DIFF}),
    Case("make an application", "entra_application", APP, DIFF),
    Case("make it again", "entra_application", APP),
    Case("rename it", "entra_application", {**APP, "display_name": "Lanes"}, DIFF),
    Case("unknown permission", "entra_application", {**APP, "permissions": [
        {"resource": "exchange_online", "application": ["full_acess_as_app"]}]}, red=True),
    Case("unknown option", "entra_application", {**APP, "displayname": "x"}, red=True),
    Case("unknown suboption", "entra_application", {**APP, "permissions": [
        {"resource": "exchange_online", "aplication": ["x"]}]}, red=True),
    Case("wrong type", "entra_application", {**APP, "timeout": "soon"}, red=True),
    Case("wrong choice", "entra_application", {**APP, "on_deleted": "perhaps"}, red=True),
    Case("bad app id", "entra_application", {"app_id": "5c3g0000-0000-4000-8000-000000000001"}, red=True),
    Case("an operator without powers", "entra_application", {**APP, **WEAKLY}, red=True),
    Case("a wrong operator's secret", "entra_application", {**APP, "client_secret": "no-such-secret"}, red=True),
    Case("a secret's id for its value", "entra_application", {**APP, "client_secret": KNOWN}, red=True),
    Case("look it up", "entra_application_info", {"unique_name": "Lanes"}),
    Case("look several up", "entra_application_info", {"display_name": "{{ item }}"},
         {"loop": ["Lanes", "Made by hand", "Nobody"]}),
    Case("two ways to look", "entra_application_info", {"unique_name": "x", "app_id": KNOWN}, red=True),
    Case("predict a group", "exchange_security_group", GROUP, {**CHECK, **DIFF}),
    Case("make a group", "exchange_security_group", GROUP, DIFF),
    Case("make the group again", "exchange_security_group", GROUP, DIFF),
    Case("a member who is nobody", "exchange_security_group", {**GROUP, "members": [f"fx@{TENANT.domain}"]}, red=True),
    Case("no name", "exchange_security_group", {"alias": "lanes"}, red=True),
    Case("predict a policy", "exchange_application_access_policy", POLICY, {**CHECK, **DIFF}),
    Case("make a policy", "exchange_application_access_policy", POLICY, DIFF),
    Case("make the policy again", "exchange_application_access_policy", POLICY),
    Case("a policy for no group", "exchange_application_access_policy", {**POLICY, "group": "nobody"}, red=True),
    Case("predict consent", "entra_admin_consent", {"app_id": NEW, "permissions": PERMISSIONS}, {**CHECK, **DIFF}),
    Case("grant consent", "entra_admin_consent", {"app_id": NEW, "permissions": PERMISSIONS}, DIFF),
    Case("grant it again", "entra_admin_consent", {"app_id": NEW, "permissions": PERMISSIONS}),
    Case("rights before Exchange knows it", "exchange_mailbox_permission", RIGHTS, red=True),
    Case("predict rights", "exchange_mailbox_permission", RIGHTS, {**CHECK, **DIFF}),
    Case("make a pointer", "exchange_service_principal", {"app_id": NEW}, DIFF),
    Case("a pointer for nobody", "exchange_service_principal", {"app_id": TENANT.id, "patience": 1}, red=True),
    Case("predict roles", "exchange_application_role", ROLE, {**CHECK, **DIFF}),
    Case("assign roles", "exchange_application_role", ROLE, DIFF),
    Case("roles for no group", "exchange_application_role", {**ROLE, "group": "nobody", "patience": 1}, red=True),
    Case("give rights", "exchange_mailbox_permission", RIGHTS, DIFF),
    Case("give them again", "exchange_mailbox_permission", {**RIGHTS, "exclusive": True, "scan": "all"}, DIFF),
    Case("rights on nobody", "exchange_mailbox_permission", {**RIGHTS, "mailboxes": [f"fx@{TENANT.domain}"]}, red=True),
    Case("predict protocols", "exchange_mailbox_protocols", PROTOCOLS, {**CHECK, **DIFF}),
    Case("switch protocols on", "exchange_mailbox_protocols", PROTOCOLS, DIFF),
    Case("an unknown protocol", "exchange_mailbox_protocols", {**PROTOCOLS, "protocols": ["smpt"]}, red=True),
    Case("put them back", "exchange_mailbox_protocols", {"state": "absent", "restore": [
        {"mailbox": TENANT.fax, "setting": "SmtpClientAuthenticationDisabled", "before": None}]}, DIFF),
    Case("consent for nobody", "entra_admin_consent", {"app_id": TENANT.id, "permissions": PERMISSIONS}, red=True),
    Case("verdicts", "exchange_application_access_info", {
        "app_id": NEW, "expect": {"granted": [TENANT.fax], "denied": [TENANT.control]}}),
    Case("verdicts against expectation", "exchange_application_access_info", {
        "app_id": NEW, "expect": {"granted": [TENANT.control]}}, red=True),
    Case("reach", "application_reach_info", {"app_id": NEW, "mailboxes": [TENANT.fax]}),
    Case("reach of all", "application_reach_info", {"all_applications": True, "app_id": NEW, "scan": "all"}),
    Case("reach of nothing", "application_reach_info", {}, red=True),
    Case("look at the tenant", "m365_tenant_info", {
        "mailboxes": [TENANT.fax], "permissions": PERMISSIONS, "ews": {"required": True}}),
    Case("the wrong tenant", "m365_tenant_info", {"expected_domain": "contoso.example"}, red=True),
    Case("a secret of its own", "entra_application_secret", SECRET, DIFF),
    Case("the secret again", "entra_application_secret", SECRET),
    Case("look at the tenant and the store", "m365_tenant_info", LOOK),
    Case("a run that would be refused", "m365_tenant_info", {**LOOK, "mailboxes": [], "planned": {
        "steps": ["scope_group"], "options": {"exchange_security_group": {"owners": ["nobody"]}}}}, red=True),
    Case("a run of what is no module", "m365_tenant_info", {**LOOK, "planned": {
        "options": {"copy": {"src": "x"}}}}, red=True),
    Case("a store of another kind", "m365_tenant_info", {**LOOK, "store": {
        "backend": "azure_key_vault", "path": "x"}}, red=True),
    Case("a store that cannot be opened", "m365_tenant_info", {**LOOK, "store": {
        "backend": "vault_file", "path": "{{ lanes_store }}/x"}}, red=True),
    Case("a secret that would be renewed at once", "m365_tenant_info", {
        **LOOK, "secret_lifetime_days": 20, "secret_renew_before_days": 30}, red=True),
    Case("probe", "mailbox_probe_info", {**PROBE, "allowed": [TENANT.fax], "refused": [TENANT.control]}),
    Case("probe from the store", "mailbox_probe_info",
         {"app_id": NEW, "allowed": [TENANT.fax], "store": SECRET["store"]}),
    Case("probe with a wrong secret", "mailbox_probe_info",
         {**PROBE, "app_secret": "no-such-secret", "allowed": [TENANT.fax]}, red=True),
    Case("probe against expectation", "mailbox_probe_info",
         {**PROBE, "allowed": [TENANT.control], "configuration_agrees": False}, red=True),
    Case("open EWS", "exchange_ews_access", {"app_id": NEW, "on_unset": "enable"}, DIFF),
    Case("open EWS again", "exchange_ews_access", {"app_id": NEW}),
    Case("EWS without powers", "exchange_ews_access", {"app_id": NEW, **WEAKLY}, red=True),
    Case("EWS for nobody", "exchange_ews_access", {}, red=True),
    Case("predict a file", "handover_file", FILE, {**CHECK, **DIFF}),
    Case("write a file", "handover_file", FILE),
    Case("write a file into a file", "handover_file", {**FILE, "path": "{{ lanes_store }}.json/x"}, red=True),
    Case("close EWS", "exchange_ews_access", {"app_id": NEW, "state": "absent"}, DIFF),
    Case("take roles back", "exchange_application_role", {
        "app_id": NEW, "scope_name": "Lanes", "state": "absent"}, DIFF),
    Case("take rights back", "exchange_mailbox_permission", {**RIGHTS, "state": "absent"}, DIFF),
    Case("take the pointer back", "exchange_service_principal", {"app_id": NEW, "state": "absent"}, DIFF),
    Case("revoke consent", "entra_admin_consent", {"app_id": NEW, "permissions": PERMISSIONS, "state": "absent"}, DIFF),
    Case("remove the policy", "exchange_application_access_policy", {**POLICY, "state": "absent"}),
    Case("remove the group", "exchange_security_group", {"name": "Lanes", "alias": "lanes", "state": "absent"}, DIFF),
    Case("remove the application", "entra_application", {"unique_name": "Lanes", "state": "absent"}, DIFF),
    Case("no such Windows host", "windows_host_info", {
        "exchange_transport": "winrm", "winrm_host": "127.0.0.1", "winrm_port": 9, "winrm_user": "u",
        "winrm_password": "p", "winrm_auth": "ntlm", "patience": 0}, red=True),
    Case("a Windows host without a name", "windows_host_info", {}, red=True),
    # The keywords of a task
    Case("no_log", "entra_application_info", {"app_id": KNOWN}, {"no_log": True}),
    Case("delegated to localhost", "entra_application_info", {"app_id": KNOWN}, {"delegate_to": "localhost"}),
    Case("a way of one's own", "entra_application_info",
         {"app_id": KNOWN, "access_token": {"graph": "ready"}, "patience": 0},
         {"environment": dict.fromkeys(("HTTPS_PROXY", "https_proxy"), "http://127.0.0.1:9")}, red=True),
    Case("a conclusion of one's own", "entra_application_info", {"app_id": KNOWN},
         {"changed_when": True, "failed_when": "applications_wrong | default(false)"}),
    Case("until", "entra_application_info", {"unique_name": "Nobody"},
         {"until": "case_until is defined", "retries": 1, "delay": 0}, red=True),
    Case("a date and a number for texts", "entra_application_info",
         {"display_name": "{{ '2026-11-21' | to_datetime('%Y-%m-%d') }}", "cloud": "global"}),
]  # fmt: skip


def playbook(lane: bool) -> list[Json]:
    return [
        {
            "hosts": "all",
            "gather_facts": False,
            "vars": {"mail2fax_in_process": lane},
            "module_defaults": {
                "group/mail2fax.m365.m365": {
                    "tenant": "{{ mail2fax_tenant }}",
                    "client_id": "11111111-0000-4000-8000-000000000001",
                    "client_secret": "{{ lanes_secret }}",
                    "patience": 20,
                }
            },
            "tasks": [case.task(number) for number, case in enumerate(CASES)],
        }
    ]


@dataclass
class Lane:
    run: Run
    journal: list[Json]
    state: Json


def run_lane(folder: pathlib.Path, emulator: Emulator, in_process: bool) -> Lane:
    emulator.reset()
    emulator.clear_journal()
    variables = {"lanes_secret": OPERATOR_SECRET, "lanes_store": str(folder / "store.yml")}
    fleet = Fleet(folder, emulator, variables=variables)
    # The operator comes from the play alone.
    run = fleet.play(playbook(in_process), env={"M365_CLIENT_ID": "", "M365_CLIENT_SECRET": ""})
    return Lane(run, emulator.journal(), emulator.state(TENANT.id))


@pytest.fixture(scope="module")
def lanes(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[dict[bool, Lane]]:
    with start_emulator(site()) as emulator:
        yield {
            in_process: run_lane(tmp_path_factory.mktemp("lane"), emulator, in_process) for in_process in (True, False)
        }


KEYS = ("host", "method", "path", "cmdlet", "status")


def shown(event: Json) -> Json:
    # ansible-core's own wrapping of an error's text names the place where it was raised.
    result = {name: value for name, value in event["result"].items() if name != "exception"}
    return {"event": event["event"], "result": result}


def lines(run: Run, case: Case) -> list[str]:
    return json.dumps(comparable([shown(event) for event in run.of(case.name)]), indent=1, sort_keys=True).splitlines()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_both_lanes_agree(lanes: dict[bool, Lane], case: Case) -> None:
    here, there = (lines(lanes[lane].run, case) for lane in (True, False))
    difference = "\n".join(difflib.unified_diff(here, there, "worker", "module", lineterm="", n=0))
    assert not difference, difference
    ends = [event for event in lanes[True].run.of(case.name) if event["event"] in ("ok", "failed", "skipped")]
    assert [event["event"] for event in ends] == ["failed" if case.red else "ok"], ends[-1]["result"].get("msg")


def test_both_lanes_ask_the_services_the_same(lanes: dict[bool, Lane]) -> None:
    """Besides sign-ins, which only the worker's tasks share."""

    def asked(lane: Lane) -> list[str]:
        rows = [row for row in lane.journal if row["host"] != "login.microsoftonline.com"]
        return [json.dumps(row) for row in comparable([[row[name] for name in KEYS] for row in rows])]

    difference = "\n".join(difflib.unified_diff(asked(lanes[True]), asked(lanes[False]), lineterm="", n=0))
    assert not difference, difference
    signed_in = {lane: sum(row["path"].endswith("/token") for row in lanes[lane].journal) for lane in (True, False)}
    assert signed_in[True] < signed_in[False] / 3


def test_no_module_is_left_out() -> None:
    modules = {path.stem for path in (layout.ROOT / "plugins" / "modules").glob("[a-z]*.py")}
    # They look at variables and at results of runs, and have the controller's side only.
    assert modules - {"inventory_check", "fleet_report", "handover", "run_end"} == {case.module for case in CASES}


def test_the_module_lane_is_one(lanes: dict[bool, Lane]) -> None:
    started = {
        lane: {
            case.module for case in CASES if any(case.module in " ".join(words) for words in lanes[lane].run.programs)
        }
        for lane in (True, False)
    }
    assert started[True] == set()
    assert started[False] == {case.module for case in CASES} - {"entra_application_secret"}
