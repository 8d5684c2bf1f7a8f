# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""How an application and what belongs to it is read: by the resource that writes it, and by the preflight."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.mail2fax.m365.plugins.module_utils import _directory, _names, _ownership, _permissions
from ansible_collections.mail2fax.m365.plugins.module_utils._directory import (
    BRIEF,
    deleted_call,
    deleted_found,
    find_call,
    listed_call,
    named_call,
    owners_call,
    service_principal_calls,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import NotFound, ServiceError
from ansible_collections.mail2fax.m365.plugins.module_utils._graph import Call, Part
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.application_state import Desired, State
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant

ABSENT_S = 15.0
"""How long an application that the record names is looked for before it counts as gone."""

HIDDEN_S = 1.5
"""The same for one that is to go, where no record names it."""


class Reader:
    """Reads what is desired. ``desired`` gets the operator, and loses a record whose application is proven gone."""

    def __init__(self, tenant: Tenant, desired: Desired) -> None:
        self._tenant = tenant
        self.desired = desired
        self._gone = False

    def read(self, *, awaited: bool = False) -> State:
        """One batch; a second one when there is an application whose service principal has to be looked at.

        ``awaited``: it was made or restored a moment ago, so it is waited for until a replica shows it. One that the
        record names, or that is to go, is looked for more than once as well: one answer proves no absence.
        """
        if self.desired.trust is not None:
            token = self._tenant.sign_in.token(self._tenant.cloud.graph_audience)
            self.desired = replace(self.desired, trust=self.desired.trust.signed_in(token))
        seen: list[State | None] = []

        def is_there() -> bool:
            return seen[-1] is not None and any((seen[-1].application, seen[-1].deleted))

        def shows() -> bool:
            seen.append(self._look(doubtful=len(seen) > 0))
            return is_there()

        recorded = bool(self.desired.identity.from_record) and not self._gone
        if awaited:
            self._tenant.patiently(shows)
        elif recorded or self.desired.state != "present":
            wait = ABSENT_S if recorded else HIDDEN_S
            self._tenant.patiently(shows, budget_s=min(wait, self._tenant.patience_s))
            if recorded and len(seen) == 1 and not is_there():
                shows()  # no patience at all is still no proof
        else:
            self._tenant.patiently(lambda: shows() or seen[-1] is not None)
        state = seen[-1]
        if state is None:
            raise ServiceError(
                "Graph shows the application and not who owns it",
                attempted="read the application",
                cure="run again in some minutes",
            )
        if recorded and not awaited and state.application is None and state.deleted is None:
            self._gone = True
            if self.desired.state == "present" or state.service_principal is None:
                # What is declared counts from here on.
                left = self.desired.left | {self.desired.identity.from_record}
                self.desired = replace(self.desired, left=left)
                return self.read()
        return replace(state, gone=self._gone)

    def _look(self, *, doubtful: bool = False) -> State | None:
        """What one look shows; None where a replica shows the application and not what hangs on it.

        ``doubtful``: it was not there a moment ago, so it is looked for by a filter as well: other servers answer.
        """
        desired = self.desired
        present = desired.state == "present"
        names = desired.state != "absent"
        declared = [item.app_id for item in desired.permissions or ()] if names else []
        key, value = desired.identity.looked_up
        by_id = value if key == "appId" else None
        path = _directory.key_of(app_id=by_id, unique_name=desired.unique_name)
        calls = {"application": find_call(unique_name=desired.unique_name, app_id=by_id)}
        calls["deleted"] = deleted_call(key, value)
        if present:
            calls |= _ownership.application_calls(path)
        if by_id:
            calls["principal"], calls["deleted_principal"] = service_principal_calls(by_id)
            if present:
                calls |= _ownership.principal_call(by_id)
            if desired.app_id and desired.unique_name and present:
                calls["holder"] = find_call(unique_name=desired.unique_name, select=BRIEF)
            if doubtful:
                calls["listed"] = listed_call(by_id)
        elif present and desired.display_name:
            calls["namesakes"] = named_call(desired.display_name)
        calls |= {app_id: _permissions.read_call(app_id) for app_id in declared}
        parts = self._batch(calls, "read the application")

        application = parts["application"].found()
        if application is None and "listed" in parts and parts["listed"].value().get("value"):
            return None  # one server has it
        deleted = next(iter(deleted_found(self._tenant.graph, parts["deleted"], key, value)), None)
        offers = _permissions.offers_from(parts[app_id].found() for app_id in declared)
        namesakes: list[Json] = []
        if application is None and (deleted is None or desired.on_deleted == "purge") and "namesakes" in parts:
            namesakes = list(parts["namesakes"].value().get("value") or [])
        holder = parts["holder"].found() if "holder" in parts else None

        document = application or deleted
        further: dict[str, Call] = {}
        if document is not None and "principal" not in parts:
            app_id = str(document["appId"])
            further["principal"], further["deleted_principal"] = service_principal_calls(app_id)
            if present:
                further |= _ownership.principal_call(app_id)
        if document is not None and names:
            required = _permissions.from_required_access(document.get("requiredResourceAccess"))
            # Only for their names, and only where others have added permissions of a resource nobody declared.
            further |= {
                app_id: _permissions.read_call(app_id)
                for app_id in sorted({item.resource for item in required} - set(offers))
            }
        if namesakes and desired.on_namesake == "fail":
            for item in namesakes:
                further[f"owners {item['id']}"] = owners_call(item)
        if further:
            more = self._batch(further, "read what belongs to the application")
            offers |= _permissions.offers_from(part.found() for name, part in more.items() if _names.is_guid(name))
            for item in namesakes:
                owners = more.get(f"owners {item['id']}")
                if owners is not None and (listed := _tolerant(owners)) is not None:
                    item["owners"] = list(listed.get("value") or [])
            parts, calls = {**parts, **more}, {**calls, **further}
        principal = parts["principal"].found() if "principal" in parts else None
        access = None
        if application is not None and present:
            access = _ownership.access_from(self._tenant.graph, application, principal, calls, parts)
            if access is None:
                return None
        return State(
            application=application,
            deleted=deleted,
            namesakes=tuple(namesakes),
            holder=holder,
            service_principal=principal,
            deleted_service_principal=_directory.first(parts["deleted_principal"].value())
            if "deleted_principal" in parts
            else None,
            offers=offers,
            access=access,
        )

    def _batch(self, calls: dict[str, Call], purpose: str) -> dict[str, Part]:
        return dict(zip(calls, self._tenant.graph.batch(list(calls.values()), purpose=purpose), strict=True))


def _tolerant(part: Part) -> Json | None:
    """Owners only help a person to choose: None when the operator may not read them or the application just went."""
    if isinstance(part.error, NotFound):
        return None
    return part.allowed()
