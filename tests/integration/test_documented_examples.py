# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every example that ansible-doc shows, taken from where it is documented and run as it stands."""

from __future__ import annotations

import ast
import base64
import datetime as dt
import json
import pathlib
import subprocess
import typing as t
import uuid

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from tests.emulator.testing import DEMO_TENANT, start_emulator
from tests.integration.fleet import OPERATOR_SECRET, PYTHON, Fleet, Json, Run
from tests.integration.transports import PASSWORD, USER, WINDOWS_HOST
from tests.tools import layout
from tests.vault_server import TOKEN, vault_server

APP_ID = "1cb8b5d2-8724-4f32-8152-a16a230b682b"
DOMAIN = "imagicleucdev.onmicrosoft.com"
HOST = "imagicleucdev"
# The examples' Windows host has a name of its own; the emulated one answers here.
LENT = {"mgmt01.contoso.example": "localhost", "CONTOSO\\svc-m365": USER, "contoso.onmicrosoft.com": DOMAIN}
SECRET = {"tenant": DOMAIN, "app_id": APP_ID, "display_name": "DigitalFaxMailServiceSecret", "state": "absent"}


def without_secret(store: Json) -> Json:
    return {"name": "Prepare", "mail2fax.m365.entra_application_secret": {**SECRET, "store": store}}


IMAP_TOO = {
    "name": "Prepare",
    "mail2fax.m365.entra_admin_consent": {
        "tenant": DOMAIN,
        "app_id": APP_ID,
        "permissions": [{"resource": "exchange_online", "application": ["IMAP.AccessAsApp"]}],
        "accept_credentials": "{{ adopted_application.accepted | map(attribute='id') }}",
    },
}
DELETED = {
    "name": "Prepare",
    "mail2fax.m365.entra_application": {"tenant": DOMAIN, "unique_name": "mail2fax", "state": "absent"},
}
# One story of all examples of modules, filters and lookups: its order, and what has to be done in between. The text
# after a title is the task's outcome, as far as it has one.
STORY: list[tuple[str, str, str] | Json] = [
    ("m365_tenant_info", "Which tenant is this, and what may I do?", "ok"),
    ("m365_tenant_info", "Can the fax server be provisioned here?", "ok"),
    ("refused_options", "Stop before anything is written", ""),
    ("entra_application", "Make the fax server's application", "changed"),
    DELETED,
    ("entra_application", "Bring it back from the recycle bin if somebody deleted it", "changed"),
    ("entra_application_info", "Which applications of this name are there, and who owns them?", "ok"),
    ("entra_application_info", "When do its secrets end?", ""),
    ("entra_application", "Delete it for good", "changed"),
    ("entra_application", "Adopt an application that was made by hand, and give it a unique name", "changed"),
    ("exchange_security_group", "The mailboxes that the fax server may open", "changed"),
    ("exchange_security_group", "The same, and whoever else got into the group goes", "ok"),
    ("exchange_service_principal", "Exchange knows the fax server", "changed"),
    ("exchange_service_principal", "The same, and one that somebody made with the wrong object ID is made anew", "ok"),
    (
        "exchange_application_role",
        "The fax server reads and sends mail of the group's members, and of nobody else",
        "changed",
    ),
    (
        "exchange_application_access_info",
        "The same where the application has roles, and no permission in Entra",
        "ok",
    ),
    (
        "exchange_application_role",
        "Whatever else it was assigned goes, and so does a consent that opens more",
        "changed",
    ),
    ("exchange_mailbox_permission", "The fax server opens the fax mailbox and sends as it", "changed"),
    ("exchange_mailbox_permission", "The same, and it has no right on any other mailbox of the tenant", "ok"),
    ("exchange_mailbox_protocols", "The fax mailbox can be read by IMAP and sent from by SMTP", "changed"),
    ("exchange_application_access_policy", "The fax server opens the group's mailboxes and no others", "changed"),
    (
        "exchange_application_access_policy",
        "The same by the group's alias, and whatever else limited the fax server goes",
        "ok",
    ),
    ("exchange_ews_access", "Let the fax server use EWS where the tenant blocks it", "ok"),
    ("entra_application_secret", "Keep the fax server's secret in an encrypted file", "changed"),
    IMAP_TOO,
    ("mailbox_probe_info", "Prove an application that reads by IMAP and sends by SMTP", "ok"),
    ("days_until", "Tell how long the secret still works", ""),
    ("readable_time", "Tell when the secret ends", ""),
    ("entra_admin_consent", "Let the fax server's application open mailboxes, and nothing else", "changed"),
    ("exchange_application_access_info", "The fax mailbox and no other", "ok"),
    ("exchange_application_access_info", "What may it open", "ok"),
    ("application_reach_info", "Which mailboxes can the fax server's application open", "ok"),
    ("application_reach_info", "It opens no other", ""),
    ("application_reach_info", "What else in this tenant can open the fax mailbox, or every mailbox", "ok"),
    ("application_reach_info", "The same with FullAccess looked for on every mailbox", "ok"),
    ("mailbox_probe_info", "Prove that the fax server reaches the fax mailbox and nobody else's", "ok"),
    ("mailbox_probe_info", "The same for an application that signs in with a certificate", "ok"),
    ("run_result", "Show the outcome of two steps", ""),
    ("handover_file", "Write what came of the run", ""),
    ("file_name", "Show where the result of the last run is", ""),
    ("placed", "Show where the hand-over is written", ""),
    ("record", "Tell how the last run left the tenant", ""),
    ("said", "Show how long a secret lives", ""),
    ("take_back", "Tell what would stay", ""),
    ("what_stopped", "Note what stopped the run", ""),
    ("outcome_table", "Show the last run of a tenant", ""),
    ("sheet", "Keep the sheet", ""),
    ("fleet_table", "Show what a run over many tenants came to", ""),
    ("sheets", "Show the sheets", ""),
    ("run_artifact", "Hand on what the run came to", ""),
    ("reach_report", "Does the application open more than the fax mailbox?", ""),
    ("handover_file", "Keep a report where the tenant's record is kept", ""),
    ("reach_file", "Keep the page of a report", ""),
    ("awx_objects", "Show which templates AWX is to have", ""),
    ("profile", "Show the fields of the vendor's form", ""),
    ("profile", "Show what is done where application roles limit the application", ""),
    ("profile", "Use a profile of one's own", ""),
    ("entra_application_secret", "Remove it from the application and from the file", "changed"),
    (
        "entra_application_secret",
        "Keep it in HashiCorp Vault, with VAULT_ADDR and VAULT_TOKEN from the environment",
        "changed",
    ),
    without_secret({"backend": "hashi_vault", "path": "mail2fax/imagicleucdev"}),
    ("entra_application_secret", "Hand a new value to the fax team, sealed for their key", "changed"),
    ("windows_host_info", "Does this Windows host do what is needed?", "ok"),
    ("windows_host_info", "Does Exchange's module read the same as its REST endpoint?", "ok"),
    ("entra_admin_consent", "Revoke everything", "changed"),
    ("exchange_application_role", "Take the roles back", "changed"),
    ("exchange_mailbox_protocols", "SMTP AUTH of the fax mailbox follows the organization again", "changed"),
    ("exchange_mailbox_permission", "Take its rights back", "changed"),
    ("exchange_service_principal", "Exchange forgets the fax server, if nothing hangs on it any more", "changed"),
    ("exchange_ews_access", "Take the fax server off the list", "ok"),
    ("exchange_application_access_policy", "Remove the policy, after the consent was revoked", "pending"),
]
# What is removed only once no token of before can be alive, in a run of its own.
LATER: list[tuple[str, str, str] | Json] = [
    ("exchange_application_access_policy", "Remove the policy, after the consent was revoked", "changed"),
    ("exchange_security_group", "Remove the group, after the policy that used it", "changed"),
]
# What is no task beside others: with what every playbook begins and ends, keywords of a play, what asks for many
# results, and what is said of a record or a migration that this story does not have. Tests of their own have them.
APART = {
    ("inventory_check", "Look at the inventory"),
    ("run_end", "Stop where a person is needed"),
    ("handover", "Hand over what the steps before have returned"),
    ("hosts_meant", "Look at the tenants that are meant"),
    ("ring_sizes", "Provision ring after ring"),
    ("ring_held", "Wait where the ring before came to a bad end"),
    ("fleet_report", "Make one page of all tenants"),
    ("evidence", "Which files does the pack have?"),
    ("document", "Show how the last run left the tenant"),
    ("migration", "Tell where the migration stands"),
}
# The roles in the order of a tenant's life, each with its entry point.
ROLES = [
    *(("preflight", "main"), ("application", "main"), ("mailbox_scope", "main"), ("client_secret", "main")),
    *(("admin_consent", "main"), ("verify", "main"), ("handover", "main"), ("handover", "record")),
    ("decommission", "main"),
]
# The playbooks of their names are tried in tests of their own.
OF_PLAYBOOKS = [("migrate", "main"), ("reach", "main")]


def documented() -> dict[tuple[str, str], Json]:
    """The tasks of every EXAMPLES block of the plugins, by plugin and name."""
    found: dict[tuple[str, str], Json] = {}
    for kind in ("modules", "filter", "lookup"):
        for path in sorted((layout.ROOT / "plugins" / kind).glob("[a-z]*.py")):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "EXAMPLES":
                    text = ast.literal_eval(node.value)
                    for ours, theirs in LENT.items() if path.stem == "windows_host_info" else ():
                        text = text.replace(ours, theirs)
                    tasks = yaml.safe_load(text)
                    assert tasks, f"{path.stem} has no example"
                    found |= {(path.stem, task["name"]): task for task in tasks}
    return found


def role_examples() -> dict[tuple[str, str], list[Json]]:
    found = {}
    for path in sorted((layout.ROOT / "roles").iterdir()):
        specs = yaml.safe_load((path / "meta/argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
        found |= {(path.name, entry): yaml.safe_load(spec.get("examples", "")) for entry, spec in specs.items()}
    return found


def test_every_example_is_in_the_story() -> None:
    told = {entry[:2] for entry in [*STORY, *LATER] if isinstance(entry, tuple)}
    assert sorted([*told, *APART]) == sorted(documented())
    assert sorted([*ROLES, *OF_PLAYBOOKS]) == sorted(role_examples())
    assert all(role_examples().values()), "a role without an example"


def test_ansible_doc_shows_the_examples_of_roles(tmp_path: pathlib.Path) -> None:
    with start_emulator() as emulator:
        fleet = Fleet(tmp_path, emulator)
        for role in sorted({role for role, _entry in [*ROLES, *OF_PLAYBOOKS]}):
            words = [str(PYTHON.with_name("ansible-doc")), "-t", "role", f"mail2fax.m365.{role}"]
            said = subprocess.run(words, env=fleet.environment(), capture_output=True, text=True, check=True).stdout
            assert "EXAMPLES:" in said, role
            assert f"name: mail2fax.m365.{role}" in said


@pytest.mark.slow
def test_the_examples_of_plugins(tmp_path: pathlib.Path) -> None:
    public = keys(tmp_path / "keys")
    life = {"keyId": str(uuid.uuid4()), "startDateTime": "2026-01-01T00:00:00Z", "endDateTime": "2099-01-01T00:00:00Z"}
    wanted = tenant(keyCredentials=[{"type": "AsymmetricX509Cert", "usage": "Verify", "key": public, **life}])
    wanted["windows_hosts"] = [WINDOWS_HOST]
    profile = layout.ROOT / "plugins/plugin_utils/profiles/imagicle_ews.yml"
    (tmp_path / "profiles").mkdir()
    own = profile.read_text(encoding="utf-8").replace("name: imagicle_ews", "name: our_fax_server")
    (tmp_path / "profiles/our_fax_server.yml").write_text(own, encoding="utf-8")
    (tmp_path / "handover").mkdir()
    examples = documented()

    def tasks(story: list[tuple[str, str, str] | Json]) -> list[Json]:
        return [
            dict(entry) if isinstance(entry, dict) else {"register": "seen", **examples[entry[:2]]} for entry in story
        ]

    with start_emulator(wanted) as emulator, vault_server() as vault:
        fleet = of_one_tenant(tmp_path, emulator)
        fleet.settings = {
            "M365_TENANT": DOMAIN,
            "VAULT_ADDR": vault.url,
            "VAULT_TOKEN": TOKEN,
            "M365_WINRM_PORT": str(emulator.winrm[WINDOWS_HOST["name"]]["https"]),
            "M365_WINRM_AUTH": "basic",
        }
        run = fleet.play([{"hosts": "all", "gather_facts": False, "vars": variables(), "tasks": tasks(STORY)}])
        assert run.code == 0, run.output[-6000:]
        told(run, STORY)
        emulator.clock(days=1)
        revoked = {"revoked": run.result("Revoke everything")}
        later = fleet.play([{"hosts": "all", "gather_facts": False, "vars": revoked, "tasks": tasks(LATER)}])
        assert later.code == 0, later.output[-6000:]
        told(later, LATER)
        state = emulator.state()["tenants"][wanted["tenants"][0]["id"]]
        assert (state["groups"], state["applicationAccessPolicies"]) == ([], [])
        assert {row["principalDisplayName"] for row in state["appRoleAssignments"]} == {"Provisioning operator"}
        assert [app["uniqueName"] for app in state["applications"] if app["appId"] == APP_ID] == ["mail2fax"]
        assert emulator.exposures() == []


@pytest.mark.slow
def test_the_examples_of_roles(tmp_path: pathlib.Path) -> None:
    examples = role_examples()
    plays = [
        {"hosts": "all", "gather_facts": False, "tasks": [task for entry in ROLES for task in examples[entry]]},
    ]
    with start_emulator() as emulator:
        fleet = of_one_tenant(tmp_path, emulator)
        fleet.settings = {"M365_TENANT": DOMAIN}
        run = fleet.play(plays)
        assert run.code == 0, run.output[-6000:]
        shown = next(iter(run.result("Show when its secret ends").values()))
        record = json.loads((tmp_path / f"handover/{HOST}.json").read_text(encoding="utf-8"))
        assert record["state"] == "ready"
        assert {row["probe"] for row in record["mailboxes"]} == {"opened", "denied_by_policy"}
        assert shown
        assert (
            run.result("Show when its secret ends")["handover_last.secret.end_date_time"]
            == record["secret"]["end_date_time"]
        )
        assert run.recap(HOST)["failed"] == 0
        assert emulator.exposures() == []


def told(run: Run, story: list[tuple[str, str, str] | Json]) -> None:
    """Each task ran, none was skipped, and came to what the story says."""
    for entry in story:
        if isinstance(entry, dict):
            continue
        plugin, title, outcome = entry
        found = run.of(title)
        assert [event["event"] for event in found] == ["ok"], (title, found)
        result = found[0]["result"]
        assert result.get("outcome", "") == outcome or not outcome, (plugin, title, result)
        assert "VARIABLE IS NOT DEFINED" not in json.dumps(result), (plugin, title)


def variables() -> Json:
    """What the examples take for granted: results of tasks before them, and names of the reader's own."""
    end = (dt.datetime.now(dt.UTC) + dt.timedelta(days=180)).replace(microsecond=0).isoformat()
    return {
        "windows_password": PASSWORD,
        "group": "Imagicle Digital Fax",
        "alias": "imagicle.digital.fax",
        "client_secret_result": {"end_date_time": end},
        "preflight_result": "{{ tenant }}",
        "application_result": "{{ fax_application }}",
        "handover_result": "{{ {'preflight': tenant} | mail2fax.m365.run_result(made) }}",
        "handover_last": "{{ handover_result.document }}",
        "tenant_result": "{{ tenant }}",
        "ansible_failed_result": {"failed": True, "msg": "something else failed"},
        "ansible_failed_task": {"name": "Something else", "action": "ansible.builtin.command"},
        "mail2fax_application_id": APP_ID,
        "report": "{{ (found | mail2fax.m365.reach_report(whose)).document }}",
        "whose": {"host": HOST, "app_id": APP_ID},
        "made": {"host": HOST, "profile": "{{ lookup('mail2fax.m365.profile', 'imagicle_ews') }}"},
    }


def tenant(**application: t.Any) -> Json:
    """The demo's tenant, in which somebody has made an application by hand."""
    wanted = t.cast("Json", yaml.safe_load(DEMO_TENANT.read_text(encoding="utf-8")))
    by_hand = {"appId": APP_ID, "displayName": "Fax, made by hand", **application}
    wanted["tenants"][0].update(applications=[by_hand], service_principals=20)
    wanted["tenants"][0]["operators"][0]["client_secret"] = OPERATOR_SECRET
    return wanted


def of_one_tenant(folder: pathlib.Path, emulator: t.Any) -> Fleet:
    fleet = Fleet(folder, emulator)
    inventory = {"all": {"hosts": {HOST: {"ansible_connection": "local", "ansible_python_interpreter": str(PYTHON)}}}}
    (folder / "tenants.yml").write_text(yaml.safe_dump(inventory), encoding="utf-8")
    return fleet


def keys(folder: pathlib.Path) -> str:
    """The fax team's public key, the application's certificate with its key, and the certificate as Graph has it."""
    folder.mkdir()
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    (folder / "fax-team.pub").write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, form))
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fax server")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "fax-server.pem").write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return base64.b64encode(made.public_bytes(serialization.Encoding.DER)).decode()
