# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the folders beside this file were made: by version 0.1.0 (commit 5591cd0), from within a checkout of it.

    cd <a checkout of 5591cd0> && python <this file> <folder to write into>

Each folder holds what 0.1.0 left: ``tenants.yml`` (the tenant as a tenants file of the emulator), ``handover`` (record
and sheet), ``secrets`` (the vault file; its password is ``vault-password``) and ``inventory.yml``.
"""

from __future__ import annotations

import copy
import json
import os
import pathlib
import shutil
import subprocess
import sys
import typing as t

sys.path.insert(0, os.getcwd())

import yaml
from ansible.parsing.vault import VaultLib, VaultSecret

from tests.emulator.testing import DEMO_TENANT, start_emulator

DOMAIN = "imagicleucdev.onmicrosoft.com"
TENANT_ID = "969d5b92-bc05-403f-b576-97201b665e65"
HOST, PASSWORD = "contoso", "a vault password of the tests"
GRAPH_APP, EXCHANGE_APP = "00000003-0000-0000-c000-000000000000", "00000002-0000-0ff1-ce00-000000000000"
OWNER = "22222222-0000-4000-8000-000000000002"
BY_HAND = {
    "displayName": "Fax by hand",
    "appId": "33333333-0000-4000-8000-000000000003",
    "signInAudience": "AzureADMyOrg",
    "owners": [OWNER],
    "passwordCredentials": [
        {
            "displayName": "made by a consultant",
            "secretText": "of-a-consultant",
            "keyId": f"44444444-0000-4000-8000-00000000000{n}",
        }
        for n in (1, 2)
    ],
    "delegated": {"scopes": ["User.Read"]},
    "requiredResourceAccess": [
        {
            "resourceAppId": GRAPH_APP,
            "resourceAccess": [{"id": "e1fe6dd8-ba31-4d61-89e7-88639da4683d", "type": "Scope"}],
        }
    ],
}
COLLEAGUE = {"displayName": "Another application", "appId": OWNER}


def main(out: pathlib.Path) -> None:
    demo = yaml.safe_load(DEMO_TENANT.read_text(encoding="utf-8"))
    made(out / "made", demo, {})
    demo["tenants"][0]["applications"] = [COLLEAGUE, BY_HAND]
    made(
        out / "adopted", demo, {"mail2fax_application_id": BY_HAND["appId"], "mail2fax_application_name": "Fax by hand"}
    )


def made(folder: pathlib.Path, file: dict[str, t.Any], variables: dict[str, str]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    file = copy.deepcopy(file)
    file["tenants"][0]["service_principals"] = 5
    (folder / "vault-password").write_text(PASSWORD, encoding="utf-8")
    host = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        "mail2fax_tenant": DOMAIN,
        "mail2fax_expected_domain": DOMAIN,
        "mail2fax_mailboxes": [f"fax@{DOMAIN}"],
        "mail2fax_control_mailboxes": [f"AdeleV@{DOMAIN}"],
        "mail2fax_secret_store": {"backend": "vault_file", "path": "secrets/contoso.yml"},
        **variables,
    }
    (folder / "inventory.yml").write_text(yaml.safe_dump({"all": {"hosts": {HOST: host}}}), encoding="utf-8")
    with start_emulator(file) as emulator:
        home = folder / "home"
        home.mkdir()
        environment = {
            **os.environ,
            **emulator.env(),
            "HOME": str(home),
            "PWD": str(folder),
            "ANSIBLE_HOME": str(home / ".ansible"),
            "ANSIBLE_COLLECTIONS_PATH": str(pathlib.Path.cwd() / ".build"),
            "ANSIBLE_VAULT_PASSWORD_FILE": str(folder / "vault-password"),
            "M365_CLIENT_ID": "11111111-0000-4000-8000-000000000001",
            "M365_CLIENT_SECRET": "operator-secret",
            "M365_PATIENCE": "30",
        }
        command = [str(pathlib.Path(sys.executable).with_name("ansible-playbook")), "-i", "inventory.yml"]
        subprocess.run([*command, "mail2fax.m365.provision"], cwd=folder, env=environment, check=True)
        state = emulator.state(TENANT_ID)
    shutil.rmtree(home)
    vault = VaultLib([("default", VaultSecret(PASSWORD.encode()))])
    stored = yaml.safe_load(vault.decrypt((folder / "secrets" / "contoso.yml").read_bytes()))
    record = json.loads((folder / "handover" / f"{HOST}.json").read_text(encoding="utf-8"))
    tenant = file["tenants"][0]
    principals = {one["appId"]: one for one in state["servicePrincipals"]}
    values = {role["id"]: role["value"] for one in principals.values() for role in one.get("appRoles") or []}
    by_hand = {app["appId"]: app for app in tenant["applications"]}
    kept = []
    for app in state["applications"]:
        if app["appId"] not in by_hand and app["appId"] != record["ids"]["application_id"]:
            continue
        known = by_hand.get(app["appId"], {})
        secrets = {one["keyId"]: one["secretText"] for one in known.get("passwordCredentials", [])}
        secrets[stored["key_id"]] = stored["value"]
        principal = principals[app["appId"]]
        kept.append(
            {
                **{
                    key: app[key]
                    for key in ("id", "appId", "displayName", "uniqueName", "signInAudience", "requiredResourceAccess")
                    if app.get(key)
                },
                **({"owners": known["owners"]} if known.get("owners") else {}),
                "createdDateTime": app["createdDateTime"],
                "passwordCredentials": [
                    {
                        **{key: one[key] for key in ("keyId", "displayName", "startDateTime", "endDateTime")},
                        "secretText": secrets[one["keyId"]],
                    }
                    for one in app["passwordCredentials"]
                ],
                "app_roles": [
                    values[one["appRoleId"]]
                    for one in state["appRoleAssignments"]
                    if one["principalId"] == principal["id"]
                ],
                "delegated": {
                    "scopes": [
                        scope
                        for one in state["oauth2PermissionGrants"]
                        if one["clientId"] == principal["id"]
                        for scope in one["scope"].split()
                    ]
                },
            }
        )
    tenant["applications"] = kept
    tenant["groups"] = [
        {
            "name": one["Name"],
            "alias": one["Alias"],
            "address": one["PrimarySmtpAddress"],
            "type": one["RecipientTypeDetails"],
            "members": [f"fax@{DOMAIN}"],
            "hidden": one["HiddenFromAddressListsEnabled"],
            "require_sender_authentication": one["RequireSenderAuthenticationEnabled"],
            "description": one["Description"][0],
            "join": one["MemberJoinRestriction"],
            "depart": one["MemberDepartRestriction"],
            "guid": one["Guid"],
            "entra_id": one["ExternalDirectoryObjectId"],
        }
        for one in state["groups"]
    ]
    tenant["policies"] = [
        {
            "app_id": one["AppId"],
            "group": one["ScopeName"],
            "access_right": one["AccessRight"],
            "description": one["Description"],
        }
        for one in state["applicationAccessPolicies"]
    ]
    (folder / "tenants.yml").write_text(yaml.safe_dump(file, sort_keys=False), encoding="utf-8")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]).resolve())
