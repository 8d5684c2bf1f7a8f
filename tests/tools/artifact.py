# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the artifact from the clone as it lies here, look into it, install it in an empty place, run it from there.

Modules, roles and playbooks then come from what would be published; only the tenant emulator comes from the clone.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.tools import layout, process

ARTIFACT = layout.BUILD / "artifact"
INSTALLED = layout.BUILD / "installed"

# What a user of the published collection cannot do without, and so must be in it.
REQUIRED = (
    "COPYING",
    "README.md",
    "CHANGELOG.md",
    "changelogs/config.yaml",
    "meta/runtime.yml",
    "meta/execution-environment.yml",
    "meta/ee-requirements.txt",
    "meta/ee-bindep.txt",
    "requirements.txt",
)
SHIPPED_WHOLE = ("plugins/", "roles/", "playbooks/", "meta/")


def galaxy(*arguments: str) -> None:
    """Run ansible-galaxy with a home and a temporary folder below ``.build``."""
    home = layout.BUILD / "home"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "PYTHON"))}
    # It installs nothing that it finds elsewhere, so it must look nowhere else.
    environment = inherited | {
        "HOME": str(home),
        "ANSIBLE_HOME": str(home / ".ansible"),
        "ANSIBLE_COLLECTIONS_PATH": str(INSTALLED),
    }
    command = [str(Path(sys.executable).parent / "ansible-galaxy"), "collection", *arguments]
    subprocess.run(command, cwd=layout.ROOT, env=environment, check=True)


def build(folder: Path = ARTIFACT) -> Path:
    """Build the artifact in this folder, which is emptied first, and return its path."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    galaxy("build", "--output-path", str(folder), str(layout.ROOT))
    (artifact,) = folder.glob("*.tar.gz")
    return artifact


def findings(artifact: Path) -> list[str]:
    """Say what is in the artifact and should not be, and the other way round."""
    with tarfile.open(artifact) as archive:
        packed = {member.name for member in archive.getmembers() if not member.isdir()} - {
            "MANIFEST.json",
            "FILES.json",
        }
        links = sorted(member.name for member in archive.getmembers() if member.issym() or member.islnk())
    known = set(layout.known_files())
    wanted = {name for name in known if name.startswith(SHIPPED_WHOLE)} | set(REQUIRED)
    complaints = [f"packed, but unknown to git: {name}" for name in sorted(packed - known)]
    complaints += [f"packed, but a matter of the clone: {name}" for name in sorted(packed) if name.startswith("tests/")]
    complaints += [f"not packed: {name}" for name in sorted(wanted - packed)]
    complaints += [f"a link: {name}" for name in links]
    print(f"{artifact.name}: {len(packed)} files, {artifact.stat().st_size // 1024} KiB")
    return complaints


def install(artifact: Path) -> Path:
    """Install the artifact where nothing is, and return the path for ``ANSIBLE_COLLECTIONS_PATH``."""
    shutil.rmtree(INSTALLED, ignore_errors=True)
    galaxy("install", "--offline", "--no-deps", "--collections-path", str(INSTALLED), str(artifact))
    manifest = json.loads((INSTALLED / layout.COLLECTION / "MANIFEST.json").read_text(encoding="utf-8"))
    information = manifest["collection_info"]
    print(f"installed {information['namespace']}.{information['name']} {information['version']}")
    return INSTALLED


def main() -> int:
    parser = argparse.ArgumentParser(description="Build, check, install and run the artifact.")
    parser.add_argument("--build-only", action="store_true", help="do not install and run it")
    arguments = parser.parse_args()
    process.stop_cleanly()
    with layout.alone("artifact"):
        return make(build_only=arguments.build_only)


def make(*, build_only: bool) -> int:
    """Do what the program is for, and return its exit code."""
    artifact = build()
    complaints = findings(artifact)
    for complaint in complaints:
        print(f"artifact: {complaint}", file=sys.stderr)
    if complaints:
        return 1
    if build_only:
        print(artifact)
        return 0
    demo = [sys.executable, "tests/demo/run.py", "--collections", str(install(artifact))]
    return process.run(demo, cwd=layout.ROOT, env=os.environ)


if __name__ == "__main__":
    sys.exit(main())
