# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What the steps that make the scope ask Exchange for, whatever is there: asked with the rest, and handed on to them.

Only where the application is known by its id, so where all of it may be there already. Nothing here is judged, and a
refusal is for the step to tell.
"""

from __future__ import annotations

from ansible_collections.mail2fax.m365.plugins.module_utils import _accesses
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight import held
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.asking import Read, Reads
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.desired import Desired
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import application_role
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping import access_policy
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.application_role import (
    assignments_cmdlet,
    scopes_cmdlet,
)


def of_a_scope(desired: Desired) -> bool:
    """Whether steps that make a group and what hangs on it follow, on an application that is there."""
    return bool(held.known_id(desired)) and desired.group is not None and bool(desired.keys & {"scope_group", "audit"})


def calls(desired: Desired) -> Reads:
    """Beside what other topics read in the same words."""
    if desired.group is None:
        return {}
    reads = {"group": Read(access_policy.scope_cmdlet(desired.group.alias), "the scope group")}
    if _accesses.ROLE not in desired.models:
        return {**reads, "scopes": Read(scopes_cmdlet(), held.SCOPES)}
    reads["assignments"] = Read(assignments_cmdlet(held.known_id(desired)), held.SCOPES)
    reads["organization"] = Read(application_role.organization_cmdlet(), "the organization")
    return reads
