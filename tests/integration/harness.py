# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module's code in this process, through the real HTTP stack, against an emulated tenant."""

from __future__ import annotations

import importlib
import json
import os
import pathlib
import subprocess
import sys
import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.mail2fax.m365.plugins.module_utils import _module
from ansible_collections.mail2fax.m365.plugins.module_utils._door import Door, Task
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant
from tests.emulator.testing import Emulator

DOMAIN = "imagicleucdev.onmicrosoft.com"
TENANT_ID = "969d5b92-bc05-403f-b576-97201b665e65"
OPERATOR: dict[str, t.Any] = {
    "tenant": DOMAIN,
    "client_id": "11111111-0000-4000-8000-000000000001",
    "client_secret": "operator-secret",
}
GRAPH, EXCHANGE, LOGIN = "graph.microsoft.com", "outlook.office365.com", "login.microsoftonline.com"


def door(module_name: str) -> Door:
    """The door of a module, by the module's own name."""
    module = importlib.import_module(f"ansible_collections.mail2fax.m365.plugins.modules.{module_name}")
    return t.cast("Door", module.DOOR)


def run(
    module_name: str,
    params: dict[str, t.Any],
    emulator: Emulator,
    check_mode: bool = False,
    *,
    services: t.Mapping[str, t.Any] | None = None,
    **connection: t.Any,
) -> dict[str, t.Any]:
    """The result of one task, as ``_module.execute`` gives it; ``connection`` replaces the demo tenant's operator.

    ``services`` is what the controller would hand in, such as the ``store`` of a secret.
    Options are typed and completed as Ansible would do it. Raises ValueError for options that Ansible would refuse.
    """
    entry = door(module_name)
    spec = entry.argument_spec.kwargs()
    given = {
        name: value
        for name, value in {**OPERATOR, "patience": 20, **emulator.connection, **connection}.items()
        if name in spec["argument_spec"]
    }
    checked = ArgumentSpecValidator(**spec).validate({**given, **params})
    if checked.error_messages:
        raise ValueError("; ".join(checked.error_messages))
    options = checked.validated_parameters
    task = Task(options, check_mode, services or {})
    return _module.execute(entry, task, lambda: Tenant(options, environment=emulator.env()))


def graph_as_a_person(
    emulator: Emulator, method: str, path: str, body: t.Any = None, *, tenant: str = DOMAIN
) -> dict[str, t.Any]:
    """What somebody does to a tenant (the demo's, unless said) by hand: one plain request to Graph. Raises on a
    refusal."""
    token = emulator.token(tenant, OPERATOR["client_id"], OPERATOR["client_secret"])
    with emulator.session() as session:
        answer = session.request(
            method,
            f"https://{GRAPH}/v1.0{path}",
            json=body,
            headers={"Authorization": f"Bearer {token}"},
            timeout=30,
        )
    assert answer.status_code < 400, answer.text
    return t.cast("dict[str, t.Any]", answer.json()) if answer.content else {}


def requests_to(emulator: Emulator, host: str = GRAPH) -> list[dict[str, t.Any]]:
    """What the journal has for one host; a batch counts once, its parts do not."""
    return [row for row in emulator.journal() if row["host"] == host and not row.get("batch")]


def writes(emulator: Emulator) -> list[dict[str, t.Any]]:
    """Every request, or part of a batch, to Graph that is no reading one."""
    rows = [row for row in emulator.journal() if row["host"] == GRAPH]
    return [row for row in rows if row["method"] != "GET" and not row["path"].endswith("/$batch")]


def play(
    folder: pathlib.Path,
    emulator: Emulator,
    playbook: str,
    words: t.Sequence[str],
    variables: t.Mapping[str, t.Any],
    **environment: str,
) -> subprocess.CompletedProcess[str]:
    """A playbook of the collection, run as a person would in ``folder``, which has ``tenants.yml`` and
    ``vault-password``; with a home of its own, against an emulated tenant. ``words`` are further ones of the command,
    ``variables`` extra variables, ``environment`` what is set besides."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    command = [str(pathlib.Path(sys.executable).with_name("ansible-playbook")), "-i", "tenants.yml", *words]
    return subprocess.run(
        [*command, f"mail2fax.m365.{playbook}", "-e", json.dumps(variables)],
        cwd=folder,
        env={
            **os.environ,
            **emulator.env(),
            "HOME": str(home),
            "ANSIBLE_HOME": str(home / ".ansible"),
            "ANSIBLE_VAULT_PASSWORD_FILE": str(folder / "vault-password"),
            "M365_PATIENCE": "30",
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
