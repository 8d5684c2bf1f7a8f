# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""For which services an application has signed in, and when last, as Entra's log tells it.

The log needs a licence (Entra ID P1), and a permission that the operator need not have. What cannot be read is said,
and is never taken for silence.
"""

from __future__ import annotations

import datetime as dt
import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils import _names, _permissions, _time
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import M365Error, NoLongerWanted
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant

Json = dict[str, t.Any]
_PURPOSE = "read for which services the application has signed in"


def path(graph: str, app_id: str, since: dt.datetime) -> str:
    """The address: sign-ins of service principals are told by the beta of Graph alone."""
    wanted = (
        f"signInEventTypes/any(t:t eq 'servicePrincipal') and appId eq {_names.odata(app_id)} "
        f"and createdDateTime ge {_time.iso(since)}"
    ).replace(" ", "%20")
    return f"https://{graph}/beta/auditLogs/signIns?$filter={wanted}&$top=999"


def read(tenant: Tenant, app_id: str, since: dt.datetime) -> Json:
    """``{since, complete, why, resources: [{resource, last}]}``; with ``complete`` false, ``why`` says why."""
    found: Json = {"since": _time.iso(since), "complete": False, "why": "", "resources": []}
    try:
        items = list(tenant.graph.items(path(tenant.cloud.graph, app_id, since), _PURPOSE))
    except NoLongerWanted:
        raise
    except M365Error as exc:
        return {**found, "why": f"the sign-ins cannot be read ({exc.message})"}
    last: dict[str, str] = {}
    for item in items:
        name = _permissions.resource_name(str(item.get("resourceId") or "").lower())
        last[name] = max(last.get(name, ""), str(item.get("createdDateTime") or ""))
    return {
        **found,
        "complete": True,
        "resources": [{"resource": name, "last": moment} for name, moment in sorted(last.items())],
    }
