# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the WinRM transport costs: WS-Man round trips per task, counted in the emulator's journal.

Not the time: on a real host that is mostly Exchange's module connecting, which takes seconds.
"""

from __future__ import annotations

import pathlib
import sys
import typing as t

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))
sys.path.insert(1, str(pathlib.Path(__file__).parents[2] / ".build"))

from tests.integration.chain import CONTROL, FAX
from tests.integration.exchange_admin import APP, HELP, TENANTS
from tests.integration.harness import run
from tests.integration.transports import round_trips, start_emulator

ACTIONS = ("Create", "Command", "Send", "Receive", "Signal", "Delete")
GROUP: dict[str, t.Any] = {"name": "Imagicle Digital Fax", "alias": "imagicle.digital.fax", "owners": []}
POLICY = {"app_id": APP, "group": "imagicle.digital.fax"}
VERDICT = {"app_id": APP, "expect": {"granted": [FAX], "denied": [CONTROL]}}

# What is counted, the module, its options, and whether it has something to change.
TASKS: tuple[tuple[str, str, dict[str, t.Any], bool], ...] = (
    ("preflight", "m365_tenant_info", {"mailboxes": [FAX]}, False),
    ("group, made", "exchange_security_group", {**GROUP, "members": [FAX]}, True),
    ("group, one member more", "exchange_security_group", {**GROUP, "members": [FAX, HELP]}, True),
    ("group, nothing to do", "exchange_security_group", {**GROUP, "members": [FAX, HELP]}, False),
    ("policy, made", "exchange_application_access_policy", POLICY, True),
    ("policy, nothing to do", "exchange_application_access_policy", POLICY, False),
    ("EWS, nothing to do", "exchange_ews_access", {"app_id": APP}, False),
    ("verdict", "exchange_application_access_info", VERDICT, False),
)


def measure() -> list[tuple[str, dict[str, int]]]:
    """(task, WS-Man requests by action) in the order of ``TASKS``. Raises RuntimeError when a task goes wrong."""
    found = []
    with start_emulator(TENANTS) as emulator:
        for title, module, options, changes in TASKS:
            emulator.clear_journal()
            result = run(module, options, emulator)
            if result.get("failed") or result["changed"] != changes:
                raise RuntimeError(f"{title}: {result}")
            found.append((title, round_trips(emulator)))
    return found


def lines() -> list[str]:
    """The table that ``make bench`` prints."""
    rows = [f"{'WS-Man round trips':26}" + "".join(f"{action:>9}" for action in ACTIONS) + f"{'all':>7}"]
    for title, counts in measure():
        numbers = "".join(f"{counts.get(action, 0):>9}" for action in ACTIONS)
        rows.append(f"{title:26}{numbers}{sum(counts.values()):>7}")
    return rows


if __name__ == "__main__":
    print("\n".join(lines()))
