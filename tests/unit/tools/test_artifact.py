# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is packed is what is named, whatever else lies in the folder."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

from tests.tools import layout

STRAY = (
    ".env",
    ".vault-password",
    "id_rsa",
    "secrets.yml",
    "tenants.yml",
    "operator.pem",
    "group_vars/all.yml",
    "handover/contoso.json",
    "plugins/.env",
    "plugins/modules/operator.pem",
    "playbooks/host_vars/contoso.yml",
    "playbooks/handover/contoso.html",
    "roles/client_secret/files/contoso.key",
    "docs/docsite/rst/notes.txt",
)


def test_nothing_is_packed_because_it_happens_to_lie_there(tmp_path: Path) -> None:
    folder = layout.snapshot(tmp_path)
    known = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    for name in STRAY:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("a secret", encoding="utf-8")
    program = str(Path(sys.executable).parent / "ansible-galaxy")
    command = [program, "collection", "build", "--output-path", str(tmp_path), str(folder)]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "ANSIBLE_HOME": str(tmp_path / "home")})
    (artifact,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(artifact) as archive:
        packed = {member.name for member in archive.getmembers() if member.isfile()}
    assert packed - {"MANIFEST.json", "FILES.json"} <= known
    assert {"README.md", "requirements.txt", "playbooks/provision.yml", "meta/runtime.yml"} <= packed
    assert not {name for name in packed if name.startswith(("tests/", "extensions/", "examples/"))}
