# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the supported versions of ansible-core do differently and a user of the collection may notice: by asking them.

Run as a program, this asks each version that a Python at hand can run, and writes what it saw into ``cores.yml``
beside it, from which the guide's table is made (``make docs-tables``). What no Python here can run stays as it is.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml
from ansible.parsing.vault import VaultLib, VaultSecret

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.tools import cores, layout

DATA = Path(__file__).with_name("cores.yml")
PASSWORD, HIDDEN = "a password of the tests", "contoso-hidden-word"
Facts = dict[str, str]

FACTS: dict[str, str] = {
    "digits": "``!unsafe '0012345'``, as AWX writes answers of a survey, handed on as ``\"{{ x }}\"``",
    "condition": "``when:`` with a variable that is a text, not true or false",
    "invocation": "results hold the options of the task (``invocation``)",
    "failed": "``results[].failed`` of a loop's items that went well",
    "prefix": "before the text of an error of a module of ours, in the worker",
    "workers": "workers of a run whose process group was killed",
    "vaulted": "a variable that was encrypted, shown by ``debug``",
}
"""What is asked, and how the guide's table calls it."""

PLAY = """
- hosts: all
  gather_facts: false
  vars:
    word: a text
    given: !unsafe '0012345'
    handed_on: "{{ given }}"
    hidden: !vault |
VAULTED
  tasks:
    - ansible.builtin.debug:
        msg: "digits={{ handed_on | type_debug }}:{{ handed_on }}."
    - ansible.builtin.debug:
        msg: taken
      when: word
      ignore_errors: true
      register: taken
    - ansible.builtin.debug:
        msg: "condition={{ taken is success }}."
    - mail2fax.m365.handover_file:
        path: "{{ playbook_dir }}/{{ item }}"
        content: x
      loop: [a, b]
      register: found
    - ansible.builtin.debug:
        msg: "invocation={{ found.results[0].invocation is defined }}. failed={{ found.results[0].failed is defined }}."
    - mail2fax.m365.handover_file:
        path: /dev/null/x
        content: x
      ignore_errors: true
    - ansible.builtin.debug:
        msg: "workers={{ lookup('ansible.builtin.pipe', who) }}."
      vars:
        who: "{{ ansible_playbook_python }} who.py"
    - ansible.builtin.debug:
        msg: "vaulted={{ hidden }}."
"""


def observed(core: cores.Core) -> Facts:
    """What this version does. Raises RuntimeError when the run that asks does not end well."""
    python = core.python()
    secret = VaultSecret(PASSWORD.encode())
    vaulted = VaultLib([("default", secret)]).encrypt(HIDDEN, secret).decode()
    with tempfile.TemporaryDirectory(prefix="core-") as name:
        folder = Path(name)
        (folder / "password").write_text(PASSWORD, encoding="utf-8")
        text = PLAY.replace("VAULTED", "\n".join(f"      {line}" for line in vaulted.splitlines()))
        (folder / "play.yml").write_text(text, encoding="utf-8")
        # Whether what a worker starts is in another session than the run's.
        (folder / "who.py").write_text("import os; print(os.getsid(0) != int(os.environ['RUN']))\n", encoding="utf-8")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "PYTHON", "M365_"))}
        environment = {
            **kept,
            "HOME": name,
            "ANSIBLE_HOME": f"{name}/.ansible",
            "ANSIBLE_REMOTE_TMP": f"{name}/.ansible/tmp",
            "ANSIBLE_COLLECTIONS_PATH": str(layout.live()),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_DEPRECATION_WARNINGS": "0",
        }
        script = 'export RUN=$$; exec "$0" -i localhost, -c local --vault-password-file password play.yml'
        answer = subprocess.run(
            ["sh", "-c", script, str(python.with_name("ansible-playbook"))],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,
        )
    output = answer.stdout + answer.stderr
    if answer.returncode:
        raise RuntimeError(f"{core.name}: exit code {answer.returncode}\n{output}")

    def said(word: str) -> str:
        found = re.search(rf"{word}=(.*?)\.", answer.stdout)
        return found[1] if found else ""

    kind, _unused, digits = said("digits").partition(":")
    prefix = re.search(r"(Action failed|Module failed): ", output)
    return {
        "digits": f"{'a number' if kind == 'int' else 'a text'}, {digits}",
        "condition": "taken as true" if said("condition") == "True" else "an error",
        "invocation": "yes" if said("invocation") == "True" else "no, unless ``INJECT_INVOCATION`` is set",
        "failed": "false" if said("failed") == "True" else "left out",
        "prefix": f"``{prefix[1]}:``" if prefix else "nothing",
        "workers": "live on; ours stop by themselves" if said("workers") == "True" else "end with it",
        "vaulted": "shown" if HIDDEN in answer.stdout else "``$REDACTED$``",
    }


def known() -> dict[str, Facts]:
    """What was seen of each version, the oldest first."""
    found: dict[str, Any] = yaml.safe_load(DATA.read_text(encoding="utf-8")) or {}
    return {str(version): facts for version, facts in found.items()}


def rows() -> list[list[str]]:
    """The guide's table: a row for each thing that is not the same everywhere, a column for each version."""
    data = known()
    return [
        [title, *(facts[name] for facts in data.values())]
        for name, title in FACTS.items()
        if len({facts[name] for facts in data.values()}) > 1
    ]


def main() -> int:
    before = known() if DATA.exists() else {}
    found: dict[str, Facts] = {}
    for version in cores.PYTHONS:
        core = cores.on_the_newest(version)
        if core is None:
            print(f"ansible-core {version}: not run, because no Python at hand runs it")
            if version in before:
                found[version] = before[version]
            continue
        found[version] = observed(core)
        print(f"{core.name}: {found[version]}")
    head = "".join(
        f"# {line}\n"
        for line in (
            "Copyright (c) 2026, the mail2fax.m365 authors",
            "GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)",
            "SPDX-License-" + "Identifier: GPL-3.0-or-later",
        )
    )
    what = "# What the versions of ansible-core do, as make cores saw it.\n"
    DATA.write_text(head + "---\n" + what + yaml.safe_dump(found, sort_keys=False, width=110), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
