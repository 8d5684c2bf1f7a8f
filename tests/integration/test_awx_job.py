# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is published runs as a job of AWX does: in an empty folder, with credentials as AWX injects them."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import typing as t

import pytest
import yaml
from packaging.requirements import Requirement

from ansible_collections.mail2fax.m365.plugins.plugin_utils._awx import credential_types
from tests.awx import installed
from tests.awx.inject import extra_variables, inject
from tests.emulator.testing import Emulator, start_emulator
from tests.integration.fleet import OPERATOR_SECRET, PASSWORD, Place, tenants
from tests.tools import artifact, layout

Json = dict[str, t.Any]
JOB = 4711
PLACE = Place(1)
RUN = """
import json, sys, ansible_runner
folder, words, password = sys.argv[1:]
answer = ansible_runner.run(
    private_data_dir=folder, playbook="provision.yml", inventory=folder + "/inventory", ident="job", quiet=True,
    cmdline=words, passwords={r"^Vault password \\(mail2fax\\):\\s*?$": password}, process_isolation=False,
)
sys.exit(answer.rc)
"""


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The artifact, installed where nothing is: a path for ANSIBLE_COLLECTIONS_PATH."""
    folder = tmp_path_factory.mktemp("published")
    with layout.alone("artifact"):
        built = artifact.build(folder / "artifact")
    place = folder / "collections"
    artifact.galaxy("install", "--force", "--offline", "--no-deps", "--collections-path", str(place), str(built))
    return place


@pytest.fixture(scope="module")
def emulator() -> t.Iterator[Emulator]:
    with start_emulator(tenants(1)) as started:
        yield started


@pytest.fixture(scope="module")
def volume() -> t.Iterator[pathlib.Path]:
    """A place that outlasts a job: none below a temporary folder does."""
    layout.BUILD.mkdir(exist_ok=True)
    if str(layout.BUILD.resolve()).startswith(("/tmp/", "/var/tmp/")):
        pytest.skip("the clone lies in a temporary folder")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="volume-", dir=layout.BUILD))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def job(
    published: pathlib.Path, emulator: Emulator, volume: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> pathlib.Path:
    """The private data directory after the job, which has succeeded."""
    folder = tmp_path_factory.mktemp("job")
    project = layout.ROOT / "awx/project"
    shutil.copytree(project, folder / "project")
    inventory = folder / "inventory"
    (inventory / "host_vars").mkdir(parents=True)
    (inventory / "hosts.ini").write_text(f"[all:vars]\nansible_connection=local\n\n[tenants]\n{PLACE.host}\n")
    host = {
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        "mail2fax_tenant": PLACE.domain,
        "mail2fax_expected_domain": PLACE.domain,
        "mail2fax_mailboxes": [PLACE.fax],
        "mail2fax_secret_store": {"backend": "vault_file", "path": str(volume / "secret.yml")},
        "mail2fax_handover_dir": str(volume / "handover"),
    }
    (inventory / "host_vars" / f"{PLACE.host}.yml").write_text(yaml.safe_dump(host), encoding="utf-8")
    (folder / "env").mkdir()
    types = credential_types.all_of_ours()
    around = emulator.env()
    operator = {
        "client_id": "11111111-0000-4000-8000-000000000001",
        "client_secret": OPERATOR_SECRET,
        "proxy": around["HTTPS_PROXY"],
        "ca": pathlib.Path(around["REQUESTS_CA_BUNDLE"]).read_text(encoding="utf-8"),
    }
    # The other types are attached as well, and nobody has filled anything in.
    injected = {
        **inject(types["winrm"], {}, folder / "env"),
        **inject(types["hashi_vault"], {}, folder / "env"),
        **inject(types["operator_certificate"], {}, folder / "env"),
        **inject(types["operator_secret"], operator, folder / "env"),
    }
    answers = {"mail2fax_ticket": "CHG 0012345", "mail2fax_prepared_by": "", "mail2fax_on_deleted": ""}
    # An earlier job of the workflow has handed this on.
    answers["mail2fax_run_4710"] = json.dumps({"outcome": "ok"})
    (folder / "env" / "answers").write_text(extra_variables(answers, JOB), encoding="utf-8")
    (folder / "env" / "envvars").write_text(
        yaml.safe_dump(
            {
                **injected,
                "ANSIBLE_COLLECTIONS_PATH": str(published),
                "AWX_PRIVATE_DATA_DIR": str(folder),
                "JOB_ID": str(JOB),
                "M365_PATIENCE": "30",
            }
        ),
        encoding="utf-8",
    )
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ANSIBLE_", "M365_", "VAULT_")) and not name.lower().endswith("_proxy")
    }
    python = pathlib.Path(sys.prefix) / "bin/python"
    words = f"--vault-id mail2fax@prompt -e @{folder}/env/answers"
    run = subprocess.run(
        [str(python), "-c", RUN, str(folder), words, PASSWORD],
        env={**kept, "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}", "HOME": str(folder), "NO_PROXY": ""},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    stdout = folder / "artifacts/job/stdout"
    assert run.returncode == 0, (stdout.read_text(encoding="utf-8") if stdout.exists() else "") + run.stderr
    return folder


def artifacts(job: pathlib.Path) -> Json:
    for path in (job / "artifacts/job/job_events").glob("*-*.json"):
        event = json.loads(path.read_text(encoding="utf-8"))
        if event["event"] == "playbook_on_stats":
            return dict(event["event_data"]["artifact_data"])
    raise AssertionError("no artifact")


def test_the_job_has_done_it_and_hands_on_a_few_words(job: pathlib.Path, emulator: Emulator) -> None:
    assert artifacts(job) == {
        f"mail2fax_run_{JOB}": {
            "outcome": "changed",
            "days_left": pytest.approx(364, abs=2),
            "next": "",
            "tenants": {},
        }
    }
    (tenant,) = emulator.state()["tenants"].values()
    assert [app["displayName"] for app in tenant["applications"]] == [
        "Provisioning operator",
        "Mail2DigitalFax",
    ]


def test_nothing_that_comes_back_from_the_job_has_a_secret(job: pathlib.Path) -> None:
    """Events, output, and what the runner writes down of its command and environment."""
    returned = [path for path in (job / "artifacts").rglob("*") if path.is_file()]
    assert {"command", "stdout", "rc"} <= {path.name for path in returned}
    for path in returned:
        text = path.read_text(encoding="utf-8", errors="replace")
        assert OPERATOR_SECRET not in text, path
        assert PASSWORD not in text, path
        assert not re.search(r"[A-Za-z0-9]{3}8Q~[A-Za-z0-9._~-]{34}", text), path


# --- the image -----------------------------------------------------------------------------------------------------


def builder(*words: str, cwd: pathlib.Path) -> str:
    program = "import sys; from ansible_builder.cli import run; sys.argv[0] = 'ansible-builder'; run()"
    answer = subprocess.run(
        [sys.executable, "-c", program, *words],
        env={**os.environ, "PYTHONPATH": str(installed.python())},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def lines(path: pathlib.Path) -> list[str]:
    text = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in text if line]


def test_the_collection_says_which_packages_it_needs(published: pathlib.Path, tmp_path: pathlib.Path) -> None:
    wanted, system = tmp_path / "python", tmp_path / "system"
    builder("introspect", str(published), "--write-pip", str(wanted), "--write-bindep", str(system), cwd=tmp_path)
    root = published / "ansible_collections/mail2fax/m365"
    assert lines(root / "meta/ee-requirements.txt") == lines(root / "requirements.txt")
    assert [str(Requirement(line)) for line in lines(wanted)] == [
        str(Requirement(line)) for line in lines(root / "requirements.txt")
    ]
    assert not system.exists() or lines(system) == []


def test_what_it_needs_leaves_room_for_other_collections() -> None:
    pinned = {
        Requirement(line).name.lower(): line for line in lines(layout.ROOT / "tests/requirements.txt") if "==" in line
    }
    for line in lines(layout.ROOT / "requirements.txt"):
        wanted = Requirement(line)
        assert all(one.operator in (">=", "<", "!=") for one in wanted.specifier), line
        # What the tests run with is one of these.
        assert wanted.specifier.contains(pinned[wanted.name.lower()].split("==")[1].split()[0]), line


def test_an_image_can_be_made_of_what_is_published(published: pathlib.Path, tmp_path: pathlib.Path) -> None:
    definition = published / "ansible_collections/mail2fax/m365/execution-environment.yml"
    builder("create", "--file", str(definition), "--context", str(tmp_path / "context"), cwd=tmp_path)
    context = tmp_path / "context"
    build = context / "_build"
    files = {
        str(path.relative_to(build)) for path in build.rglob("*") if path.is_file() and "scripts" not in path.parts
    }
    assert files == {"requirements.txt", "requirements.yml"}
    assert [one["name"] for one in yaml.safe_load((build / "requirements.yml").read_text())["collections"]] == [
        "mail2fax.m365"
    ]
    # Beside what the collection says of itself only the library of one store.
    assert [Requirement(line).name for line in lines(build / "requirements.txt")] == ["hvac"]
    (container,) = (path for path in context.iterdir() if path.name in ("Containerfile", "Dockerfile"))
    text = container.read_text(encoding="utf-8")
    assert "sha256" not in text
    for name in yaml.safe_load(definition.read_text(encoding="utf-8"))["images"]["base_image"].values():
        assert re.search(r":[a-z]*[0-9]", name), "a name with a version"
    pins = yaml.safe_load(definition.read_text(encoding="utf-8"))["dependencies"]
    for entry in (pins["ansible_core"], pins["ansible_runner"]):
        assert entry["package_pip"] in (layout.ROOT / "tests/requirements.txt").read_text(encoding="utf-8").split("\n")
