# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run over many tenants ends with: one table of all, whatever became of each, and however they were run."""

from __future__ import annotations

import pathlib
import re

import pytest
import yaml

from tests.emulator.testing import start_emulator
from tests.integration.fleet import Fleet, Run, tenants
from tests.tools import layout

TITLE = "TASK [Show all tenants]"
YAML = {"ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml"}


def shown(run: Run) -> list[str]:
    """The table, as it stands in what the run said. It is there once, and after everything else."""
    assert run.stdout.count(TITLE) == 1
    table, recap = run.stdout.split(TITLE)[1].split("PLAY RECAP")
    assert "fatal:" not in table
    assert max(map(len, table.splitlines()[1:])) <= 100
    assert recap
    return [line.strip() for line in table.splitlines()]


def outcomes(run: Run) -> dict[str, str]:
    rows = (
        re.match(r"(tenant\d\d)\s+(failed|blocked|pending|changed|to change|ok|removed|not looked at)\b", line)
        for line in shown(run)
    )
    return {row[1]: row[2] for row in rows if row}


@pytest.mark.turn("many hosts")
def test_every_tenant_is_in_the_last_table(tmp_path: pathlib.Path) -> None:
    wanted = tenants(5)
    wanted["tenants"][1]["operators"][0]["client_secret"] = "another one"
    with start_emulator(wanted) as emulator:
        fleet = Fleet(tmp_path, emulator, count=5, settings=YAML)
        inventory = tmp_path / "tenants.yml"
        hosts = yaml.safe_load(inventory.read_text(encoding="utf-8"))
        # Out of reach, and with a typo: neither may be missing.
        ssh = {"ansible_connection": "ssh", "mail2fax_allowed_connection": "ssh"}
        hosts["all"]["hosts"]["tenant03"].update(ssh, ansible_host="127.0.0.1", ansible_port=1)
        hosts["all"]["hosts"]["tenant04"].update(mail2fax_mailboxes=["fox@tenant04.onmicrosoft.com"])
        inventory.write_text(yaml.safe_dump(hosts), encoding="utf-8")
        bad = {"tenant02": "failed", "tenant03": "failed", "tenant04": "blocked"}

        first = fleet.play("mail2fax.m365.provision")
        assert list(outcomes(first).items()) == [*bad.items(), ("tenant01", "changed"), ("tenant05", "changed")]
        assert "5 tenants: 2 failed, 1 blocked, 2 changed" in shown(first)
        assert "Only these once more: --limit 'tenant02,tenant03,tenant04'" in shown(first)
        # It hides no failure: those that are bad are red one by one, and so is the run.
        assert first.code != 0
        assert [first.recap(host)["failed"] for host in ("tenant01", "tenant02", "tenant04", "tenant05")] == [
            0,
            1,
            1,
            0,
        ]
        assert first.recap("tenant03")["unreachable"] == 1

        # Whatever strategy takes the tenants, the table waits for all of them, and the play of its own is shown once.
        for strategy in ("free", "host_pinned"):
            again = fleet.play("mail2fax.m365.provision", env={"ANSIBLE_STRATEGY": strategy})
            assert outcomes(again) == {**bad, "tenant01": "ok", "tenant05": "ok"}, strategy
            assert again.code != 0

        some = fleet.play("mail2fax.m365.provision", "--check", "--limit", "tenant01,tenant05")
        assert outcomes(some) == {"tenant01": "ok", "tenant05": "ok"}
        assert some.code == 0
        assert "--limit" not in some.stdout

        audit = fleet.play("mail2fax.m365.audit", "--limit", "tenant01,tenant02,tenant05")
        assert outcomes(audit) == {"tenant02": "failed", "tenant01": "ok", "tenant05": "ok"}
        assert audit.code != 0
        rotate = fleet.play("mail2fax.m365.rotate", "--limit", "!tenant03", mail2fax_rotate_only_due=True)
        assert outcomes(rotate) == {
            "tenant02": "failed",
            "tenant04": "blocked",
            "tenant01": "not looked at",
            "tenant05": "not looked at",
        }
        assert rotate.code != 0

        one = fleet.play("mail2fax.m365.provision", "--limit", "tenant01")
        assert one.code == 0
        assert "tenants:" not in one.stdout, "one tenant has its own table"


def test_a_fault_of_the_table_ends_no_run_and_hides_no_failure(tmp_path: pathlib.Path) -> None:
    text = (layout.ROOT / "playbooks/plays/sum_up.yml").read_text(encoding="utf-8")
    summing_up = yaml.safe_load(text.replace("mail2fax.m365.fleet_table", "mail2fax.m365.outcome_table"))[-1]
    complaint = "{{ 'there is one' if inventory_hostname == 'tenant02' else '' }}"
    told = {
        "ansible.builtin.set_fact": {
            "handover_result": {"document": {}, "complaint": complaint},
            "mail2fax_inventory": {},
        }
    }
    with start_emulator(tenants(2)) as emulator:
        run = Fleet(tmp_path, emulator, count=2).play(
            [{"hosts": "all", "gather_facts": False, "tasks": [told]}, summing_up]
        )
    assert "takes the document of a run" in run.output, "the table could not be made"
    assert [run.recap(host)["failed"] for host in ("tenant01", "tenant02")] == [0, 1]
    assert run.code == 2
