# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook awx against the small AWX, as often as a story wants, in one process: seconds instead of minutes.

Parser, templar, strategy and the modules of awx.awx are the real ones; what is left out is a process for each module.
The process is one of its own, because a running Python looks for collections where it looked first.

runs = tell(folder, [{"mail2fax_awx_state": "present", ...}, {...}])
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pathlib
import subprocess
import sys
import typing as t
from dataclasses import dataclass

from ansible.plugins.action import ActionBase

Json = dict[str, t.Any]
ROOT = pathlib.Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Told:
    """What one run came to: ``writes`` are its requests that were no reads, ``things`` what AWX had after it."""

    code: int
    output: str
    writes: list[list[t.Any]]
    things: dict[str, list[Json]]
    surveys: Json
    linked: dict[str, list[str]]
    """Names of what is associated, by ``<name of the thing>.<list>``."""

    def names(self, kind: str) -> list[str]:
        return sorted(one.get("name") or one.get("identifier") or "" for one in self.things[kind])

    def named(self, kind: str, name: str) -> Json:
        (found,) = (one for one in self.things[kind] if name in (one.get("name"), one.get("identifier")))
        return found

    def changed(self) -> list[str]:
        return [line for line in self.output.splitlines() if line.startswith("changed: ")]


def tell(folder: pathlib.Path, runs: list[Json], **environment: str) -> list[Told]:
    """Each of ``runs`` is the extra variables of one run; ``_words`` are further words of its command line, and
    ``_first`` is Python that is done to the small AWX (``awx``) before it."""
    from tests.awx import installed
    from tests.tools import layout

    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ANSIBLE_", "CONTROLLER_", "TOWER_", "M365_", "VAULT_"))
    }
    started = {
        **kept,
        "ANSIBLE_COLLECTIONS_PATH": f"{layout.live()}{os.pathsep}{installed.collections()}",
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_NOCOLOR": "1",
        # Every request of these modules reads the certificates that it trusts, and here it is sent without TLS.
        "SSL_CERT_FILE": os.devnull,
        "SSL_CERT_DIR": os.devnull,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{layout.live()}",
        **environment,
    }
    answer = subprocess.run(
        [sys.executable, "-m", "tests.awx.story"],
        input=json.dumps({"folder": str(folder), "runs": runs}),
        env=started,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    return [Told(**one) for one in json.loads(answer.stdout.splitlines()[-1])]


_EXECUTE = ActionBase._execute_module


def _in_this_process(self: t.Any, module_name: str | None = None, module_args: t.Any = None, **given: t.Any) -> Json:
    """Stands for ActionBase._execute_module."""
    from unittest import mock

    from ansible.module_utils.basic import AnsibleModule
    from ansible.module_utils.testing import patch_module_args

    from ansible_collections.mail2fax.m365.plugins.plugin_utils._plain import plain

    name = module_name or self._task.action
    if not name.startswith("awx.awx."):
        return _EXECUTE(self, module_name=module_name, module_args=module_args, **given)
    args = dict(self._task.args if module_args is None else module_args)
    self._update_module_args(name, args, given.get("task_vars") or {})
    path = f"ansible_collections.awx.awx.plugins.modules.{name.split('.')[-1]}"
    found: list[Json] = []
    # Not by what it prints: another thread of Ansible's prints meanwhile.
    keep = mock.patch.object(AnsibleModule, "_record_module_result", lambda self, result: found.append(result))
    with keep, patch_module_args(plain(args)), contextlib.suppress(SystemExit):
        importlib.import_module(path).main()
    return t.cast("Json", json.loads(json.dumps(found[0], default=str)))


def _main() -> None:
    from unittest import mock

    import ansible.plugins.strategy
    from ansible._internal._templating._jinja_bits import AnsibleEnvironment
    from ansible.cli.playbook import PlaybookCLI

    from tests.awx.server import serving
    from tests.integration import inprocess

    asked = json.loads(sys.stdin.read())
    folder = pathlib.Path(asked["folder"])
    told: list[Json] = []
    inprocess.let_ansible_find_the_collection()
    with serving() as awx, contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(ansible.plugins.strategy, "WorkerProcess", inprocess._Worker))
        stack.enter_context(mock.patch.object(AnsibleEnvironment, "compile", inprocess._compiled_once))
        stack.enter_context(mock.patch("ansible.cli.init_plugin_loader", return_value=None))
        stack.enter_context(mock.patch.object(ActionBase, "_execute_module", _in_this_process))
        around = {name: value for name, value in os.environ.items() if name.startswith(("M365_", "VAULT_"))}
        for run in asked["runs"]:
            words = run.pop("_words", [])
            exec(run.pop("_first", ""), {"awx": awx})
            awx.writes.clear()
            command = ["ansible-playbook", *words, "mail2fax.m365.awx", "-e", json.dumps(run)]
            with inprocess._own_process(folder, {**awx.environment, **around}) as printed:
                code = int(PlaybookCLI(command).run() or 0)
            by_id = {number: one for things in awx.things.values() for number, one in things.items()}
            linked = {
                f"{by_id[number].get('name') or by_id[number].get('identifier')}.{name}": [
                    by_id[one].get("name") or by_id[one].get("identifier") for one in ids if one in by_id
                ]
                for (number, name), ids in awx.linked.items()
                if number in by_id and ids
            }
            told.append(
                {
                    "code": code,
                    "output": printed.getvalue(),
                    "writes": json.loads(json.dumps(awx.writes)),
                    "things": {
                        kind: list(things.values()) for kind, things in json.loads(json.dumps(awx.things)).items()
                    },
                    "surveys": {
                        by_id[number]["name"]: survey for number, survey in awx.surveys.items() if number in by_id
                    },
                    "linked": linked,
                }
            )
    print(json.dumps(told))


if __name__ == "__main__":
    _main()
