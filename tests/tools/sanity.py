# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run ``ansible-test sanity`` in a home of its own, with nothing but a package index in reach.

ansible-test keeps virtual environments and downloads below the user's home, and fetches the program that puts pip
into an environment from a host of its own. Here each ansible-core has a home below ``.build/ansible-test``, and that
program is a few lines which use the pip that Python itself carries.

``sanity.py`` takes the tests' own ansible-core, ``sanity.py --others`` the oldest one or the newest that this Python
can run, unless that is the tests' own: one of them, chosen by the commit, and both where SOAK is set. The tests' own
looks at every file, the others at what is shipped, since nothing else ever meets them. Further arguments are handed to
``ansible-test sanity``.
"""

from __future__ import annotations

import argparse
import ast
import configparser
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.sample import sample
from tests.tools import cores, layout, process

HOMES = layout.BUILD / "ansible-test"
SHIPPED = ("plugins/", "roles/", "playbooks/", "meta/", "changelogs/")

# What ansible-test runs as get-pip: "python THIS --disable-pip-version-check pip==X --no-setuptools --no-wheel".
# The pip that Python carries installs pinned packages as well as version X would, and need not be fetched for each
# environment; nor need it be unpacked and compiled for each, of which there are some ten: the first one's serves all.
GET_PIP = """\
import ensurepip
import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig
import tempfile

# ensurepip switches pip's settings off for its own purposes, in this very process.
environment = dict(os.environ)
library = pathlib.Path(sysconfig.get_path("purelib"))
shared = pathlib.Path(PIPS, "python%d.%d.%d" % sys.version_info[:3])
if shared.is_dir():
    (library / "pip.pth").write_text(str(shared) + "\\n", encoding="utf-8")
else:
    ensurepip.bootstrap(upgrade=True, default_pip=True)
    shared.parent.mkdir(parents=True, exist_ok=True)
    copy = pathlib.Path(tempfile.mkdtemp(dir=shared.parent))
    shutil.copytree(library / "pip", copy / "pip")
    try:
        copy.rename(shared)
    except OSError:  # somebody else was first
        shutil.rmtree(copy)
wanted = [word for word in sys.argv[1:] if not word.startswith(("--", "pip=="))]
if wanted:
    sys.exit(subprocess.call([sys.executable, "-m", "pip", "install", *wanted], env=environment))
"""


def pip_versions(python: Path) -> set[str]:
    """Name the versions of pip that this interpreter's ansible-test would bootstrap."""
    program = (
        "import ansible_test, os, sys; sys.path.insert(0, os.path.dirname(ansible_test.__file__));"
        "from ansible_test._internal import python_requirements as p, host_configs as h;"
        "c = h.NativePythonConfig(version='%d.%d' % sys.version_info[:2], path=sys.executable);"
        "print(p.get_venv_packages(c)['pip'])"
    )
    answer = subprocess.run([python, "-c", program], check=True, capture_output=True, text=True)
    return set(answer.stdout.split())


def pip_settings() -> dict[str, str]:
    """Return the settings that pip would go by here, from files and environment alike.

    ansible-test hands no PIP_… and no proxy variables on to the programs it starts.
    """
    # Settings may say "quiet", and then pip lists nothing unless told otherwise.
    command = [sys.executable, "-m", "pip", "--verbose", "config", "list"]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    settings: dict[str, str] = {"quiet": "1"}
    proxy = os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy")
    if proxy:
        settings["proxy"] = proxy
    lines = [line.partition("=") for line in answer.stdout.splitlines() if "=" in line]
    for kind in ("global.", "install.", ":env:."):  # as pip ranks them: what comes later wins
        for name, _equals, value in lines:
            if name.startswith(kind):
                settings[name.removeprefix(kind)] = str(ast.literal_eval(value))
    return settings


def prepare(home: Path, python: Path) -> None:
    """Make the home: the stand-in for get-pip, and pip's settings."""
    cache = home / ".ansible/test/cache"
    cache.mkdir(parents=True, exist_ok=True)
    program = f"PIPS = {str(HOMES / 'pip')!r}\n{GET_PIP}"
    for version in pip_versions(python):
        (cache / f"get_pip_{version.replace('.', '_')}.py").write_text(program, encoding="utf-8")
    config = configparser.RawConfigParser()
    # What nobody imports need not be compiled (pip wants a "no" to say so), and one cache serves all homes.
    config["global"] = {"no-compile": "no", "cache-dir": str(layout.BUILD / "pip-cache"), **pip_settings()}
    target = home / ".config/pip/pip.conf"
    target.parent.mkdir(parents=True, exist_ok=True)
    # An index address may carry a password.
    with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        config.write(file)


def run(core: cores.Core, words: list[str]) -> int:
    """Run the tests of one version, in a copy of the collection, and return the exit code."""
    python = core.python()
    home = HOMES / core.version
    prepare(home, python)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "GIT_"))}
    environment["HOME"] = str(home)
    environment["PATH"] = f"{python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    command = [str(python.parent / "ansible-test"), "sanity", "--python", f"3.{core.minor}", "--color", "no", *words]
    print(f"{core.name}", flush=True)
    with layout.snapshot_of(f"sanity-{core.version}") as copy:
        return process.run(command, cwd=copy, env=environment)


def main() -> int:
    parser = argparse.ArgumentParser(description="Run ansible-test sanity without ignore entries.")
    parser.add_argument("--others", action="store_true", help="on the other versions of ansible-core")
    arguments, words = parser.parse_known_args()
    process.stop_cleanly()
    ignored = sorted(name for name in layout.known_files() if name.startswith("tests/sanity/ignore"))
    if ignored:
        print(f"sanity: there must be no ignore entries: {', '.join(ignored)}", file=sys.stderr)
        return 1
    usual = cores.Core(cores.USUAL, cores.HERE, Path(sys.executable))
    if arguments.others:
        codes = [run(core, [*words, *SHIPPED]) for core in sample(cores.others_here(), 1, of="sanity")]
    else:
        codes = [run(usual, words)]
    return max(codes, default=0)


if __name__ == "__main__":
    sys.exit(main())
