# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes with a job of AWX is told before anything is written; what lasts is not complained of."""

from __future__ import annotations

import pathlib

import pytest

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _volatile
from ansible_collections.mail2fax.m365.plugins.plugin_utils._volatile import Place

JOB = "/runner"


def told(written: str, path: str | None = None, *, folders: tuple[str, ...] = (JOB, "/tmp")) -> list[str]:
    return _volatile.complaints([Place("The record", "mail2fax_handover_dir", written, path or written)], folders)


@pytest.mark.parametrize(
    ("written", "path", "why"),
    [
        ("", "/runner/inventory/handover", "is not set"),
        ("handover", "/srv/fax/inventory/handover", "is relative"),
        ("../../srv/fax", "/srv/fax", "is relative"),
        ("~/fax", "/home/runner/fax", "is relative"),
        ("/runner/artifacts/fax", None, "leads into /runner"),
        ("/runner", None, "leads into /runner"),
        ("/tmp/fax", None, "leads into /tmp"),
    ],
)
def test_what_goes_with_the_job_is_told_with_a_way_out(written: str, path: str | None, why: str) -> None:
    (text,) = told(written, path)
    assert why in text
    assert "mail2fax_record_store" in text
    assert "mail2fax_allow_volatile: true" in text


@pytest.mark.parametrize("written", ["/srv/fax", "/runners/fax", "/tmpfs/fax", "/var/lib/fax"])
def test_what_lasts_is_fine(written: str) -> None:
    assert told(written) == []


def test_links_are_followed(tmp_path: pathlib.Path) -> None:
    (tmp_path / "job").mkdir()
    (tmp_path / "lasting").symlink_to(tmp_path / "job")
    assert told(str(tmp_path / "lasting" / "fax"), folders=(str((tmp_path / "job").resolve()),))


def test_each_place_for_itself() -> None:
    places = [
        Place("The record", "mail2fax_record_store", "/srv/fax", "/srv/fax"),
        Place("The client secret", "mail2fax_secret_store", "/runner/t1.yml", "/runner/t1.yml"),
    ]
    (text,) = _volatile.complaints(places, [JOB])
    assert text.startswith("The client secret would be kept in /runner/t1.yml")
    assert "hashi_vault" in text


def test_what_counts_as_a_job() -> None:
    assert _volatile.is_a_job({"awx_job_id"}, {})
    assert _volatile.is_a_job({"tower_job_id"}, {})
    assert _volatile.is_a_job((), {"AWX_PRIVATE_DATA_DIR": "/runner"})
    assert not _volatile.is_a_job({"mail2fax_tenant"}, {"AWX_PRIVATE_DATA_DIR": ""})


def test_the_folders_of_a_job(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    monkeypatch.chdir("/")
    found = _volatile.folders_of_the_job({"AWX_PRIVATE_DATA_DIR": str(tmp_path)}, "/srv/project", None, "relative")
    assert {str(tmp_path), "/srv/project", "/tmp"} <= {*found}
    assert "/" not in found
    assert all(folder.startswith("/") for folder in found)
