# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What things are called in AWX, and which playbooks have a template there."""

from __future__ import annotations

import pathlib

PRODUCT = "Mail2Fax"
PROJECT = PRODUCT
INVENTORY = f"{PRODUCT} tenants"
SOURCE = f"{PRODUCT} tenants from the project"
ENVIRONMENT = PRODUCT
WORKFLOW = f"{PRODUCT} onboarding"
PREFLIGHT = f"{PRODUCT} preflight"
BLOCKED = f"{PRODUCT} blocked"
EXPIRY = f"{PRODUCT} expiry"

PLAYBOOKS = pathlib.Path(__file__).resolve().parents[3] / "playbooks"

WITHOUT_TEMPLATE = frozenset({"awx", "conformance", "operator"})
"""They set up AWX itself, or sign in as a person: nobody should start them by a button."""


def playbooks() -> list[str]:
    """Those of the collection that have a template in AWX, in the order of their names."""
    return sorted({path.stem for path in PLAYBOOKS.glob("*.yml")} - WITHOUT_TEMPLATE)


def template(playbook: str) -> str:
    return f"{PRODUCT} {playbook.replace('_', ' ')}"


def own(name: str, organization: str) -> str:
    """The name of what AWX's modules look for by name alone, in all organizations, where there are several of ours."""
    return name if organization == "Default" else f"{name} ({organization})"


def schedule(what: str, organization: str) -> str:
    """It names its organization, because AWX looks for schedules by name alone, in all organizations."""
    return f"{PRODUCT} {what} ({organization})"
