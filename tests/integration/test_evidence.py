# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook audit with mail2fax_evidence_dir: a folder that sha256sum vouches for, the same from audit to audit."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import evidence
from tests.emulator.hosted import HostedEmulator, start_hosted
from tests.integration.harness import GRAPH
from tests.integration.inprocess import play_in_process
from tests.integration.site import HOST, OPERATOR, Run, Site, World

Json = dict[str, t.Any]
WORLD = World("evidence", principals=20)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Site]:
    with start_hosted(WORLD.tenants()) as emulator:
        said = {"mail2fax_evidence_dir": "proof/of it", "mail2fax_time_zone": "Europe/Rome"}
        found = Site(tmp_path_factory.mktemp("site"), emulator, WORLD, said, player=play_in_process)
        made = found.play("provision")
        assert made.code == 0, made.output
        emulator.pass_time(4 * 3600)
        yield found


def audited(site: Site, **variables: t.Any) -> Run:
    hosted(site).pass_time(3600)
    return site.play("audit", **variables)


def hosted(site: Site) -> HostedEmulator:
    return t.cast("HostedEmulator", site.emulator)


def pack(site: Site) -> dict[str, str]:
    folder = site.folder / "proof" / "of it" / HOST
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.iterdir())}


def lasting(files: dict[str, str]) -> dict[str, str]:
    """Without what differs from audit to audit: times, request ids, and the sums that follow from them."""
    found = {}
    for name, text in files.items():
        text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z|\d{1,2} \w{3} \d{4}(, \d\d:\d\d \w+)?", "<time>", text)
        text = re.sub(r'"minutes": \d+', "<time>", text)
        for request in requests(files):
            text = text.replace(request, "<request>")
        found[name] = re.sub(r"\b[0-9a-f]{64}\b|\"bytes\": \d+", "<sum>", text) if "anifest" in name.lower() else text
    return found


def requests(files: dict[str, str]) -> set[str]:
    proofs = json.loads(files["proofs.json"])
    rows = [*proofs["opened"], *proofs["refused"]]
    return {str(row["request_id"]) for row in rows if row["request_id"]} | set(proofs["verdict_request_ids"])


def test_a_pack_is_checked_by_its_manifest_and_the_next_is_the_same(site: Site) -> None:
    first = audited(site)
    assert first.code == 0, first.output
    assert first.writes() == []
    one = pack(site)
    assert set(one) == {*evidence.FILES, "manifest.json", "MANIFEST.sha256"}
    folder = site.folder / "proof" / "of it" / HOST
    checked = subprocess.run(
        ["sha256sum", "--strict", "-c", "MANIFEST.sha256"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert checked.stdout.count(": OK") == len(one) - 1
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o640}

    assert audited(site).code == 0
    two = pack(site)
    for name, text in lasting(one).items():
        assert lasting(two)[name] == text, name
    assert requests(one).isdisjoint(requests(two))
    proofs = json.loads(two["proofs.json"])
    assert {row["mailbox"] for row in proofs["opened"]} == set(WORLD.fax)
    assert {row["mailbox"] for row in proofs["refused"]} == set(WORLD.control)
    assert all(row["request_id"] and row["at"] for row in [*proofs["opened"], *proofs["refused"]])
    assert "CET" in two["index.html"]
    assert "AS DECLARED" in two["index.html"]
    assert json.loads(two["reach.json"])["all_applications"] is True


def test_nothing_secret_is_in_a_pack(site: Site) -> None:
    site.declare(**{f"mail2fax_{name}": value for name, value in OPERATOR.items()})
    site.declare(mail2fax_contacts={"fax": "canary-of-contacts"})
    ran = audited(site)
    site.declare(**dict.fromkeys([f"mail2fax_{name}" for name in OPERATOR]))
    assert ran.code == 0, ran.output
    files = pack(site)
    assert "canary-of-contacts" in files["declared.json"]
    secrets = [*site.emulator.issued(), OPERATOR["client_secret"]]
    assert len(secrets) > 1
    for name, text in files.items():
        assert "client_secret" not in text.replace('"client_secret"', "").replace("mail2fax_client_secret", ""), name
        for secret in secrets:
            assert secret not in text, name
        assert '"hint":' not in text, name


def test_drift_is_on_the_page_and_the_run_ends_red(site: Site) -> None:
    site.declare(mail2fax_policy_description="Another text")
    ran = audited(site)
    site.declare(mail2fax_policy_description=None)
    assert ran.code != 0
    files = pack(site)
    assert "NOT AS DECLARED" in files["index.html"]
    assert json.loads(files["manifest.json"])["outcome"] == "blocked"


@pytest.mark.soak
def test_what_could_not_be_read_is_said(site: Site) -> None:
    refused = {"status": 403, "body": {"error": {"code": "Authorization_RequestDenied", "message": "no"}}}
    match = {"host": GRAPH, "path_regex": r"/owners|/federatedIdentityCredentials"}
    hosted(site).faults([{"match": match, "times": 500, "effect": refused}])
    audited(site)
    hosted(site).faults([])
    files = pack(site)
    assert "not proven" in files["index.html"]
    assert len(files) == len(evidence.FILES) + 2


def test_a_folder_that_cannot_be_written_ends_the_run_red(site: Site) -> None:
    blocker = site.folder / "a file"
    blocker.write_text("", encoding="utf-8")
    ran = audited(site, mail2fax_evidence_dir="a file")
    assert ran.code != 0
    assert "The evidence pack could not be written to" in ran.output
    assert str(blocker) in ran.output
    assert ran.record["outcome"] == "ok"


def test_of_another_tenant_there_is_no_pack(site: Site, tmp_path: pathlib.Path) -> None:
    ran = audited(site, mail2fax_evidence_dir=str(tmp_path), mail2fax_expected_domain="nobody.example")
    assert ran.code != 0
    assert os.listdir(tmp_path) == []


@pytest.mark.soak
def test_without_the_variable_there_is_none(site: Site) -> None:
    site.declare(mail2fax_evidence_dir="")
    before = pack(site)
    ran = audited(site)
    assert ran.code == 0, ran.output
    assert pack(site) == before
    assert json.loads((site.folder / "handover" / f"{HOST}.audit.json").read_text(encoding="utf-8"))["outcome"] == "ok"
