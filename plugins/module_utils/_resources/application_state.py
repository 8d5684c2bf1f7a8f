# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""An application as it is, as it is wanted, and the steps from one to the other: data."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.mail2fax.m365.plugins.module_utils import _accesses
from ansible_collections.mail2fax.m365.plugins.module_utils._ownership import Access, Identity, Trust
from ansible_collections.mail2fax.m365.plugins.module_utils._permissions import Offers, Wanted
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json, Step


@dataclass(frozen=True)
class State:
    """What the tenant has, as Graph documents.

    ``deleted`` and ``deleted_service_principal`` lie in the recycle bin. ``namesakes`` are other live
    applications with the declared display name, looked up only where one would have to be created. ``holder`` is
    the live application that has the declared unique name where another one is adopted by app id. ``access`` is who
    can sign in as ``application``; None where that was not looked at. ``gone`` says that the application which the
    record names is proven to be neither live nor deleted.
    """

    application: Json | None = None
    deleted: Json | None = None
    namesakes: tuple[Json, ...] = ()
    holder: Json | None = None
    service_principal: Json | None = None
    deleted_service_principal: Json | None = None
    offers: Offers = field(default_factory=dict)
    access: Access | None = None
    gone: bool = False


@dataclass(frozen=True)
class Desired:
    """The task's options. None means: not managed.

    ``trust`` None: whose the application is was not asked. ``taking_back``: it is looked at to be taken back, so who
    else can sign in as it stops nothing.
    """

    unique_name: str | None = None
    app_id: str | None = None
    display_name: str | None = None
    state: str = "present"
    permissions: tuple[Wanted, ...] | None = None
    extra_permissions: tuple[str, ...] | None = None
    accesses: tuple[_accesses.Access, ...] | None = None
    accepts_tenant_wide: str = ""
    exclusive_permissions: bool = True
    sign_in_audience: str = "AzureADMyOrg"
    notes: str | None = None
    tags: tuple[str, ...] | None = None
    on_deleted: str = "fail"
    on_namesake: str = "fail"
    service_principal: bool = True
    enabled: bool | None = None
    purge: bool = False
    release_service_principal: bool = False
    trust: Trust | None = None
    taking_back: bool = False
    declared: frozenset[str] | None = None
    left: frozenset[str] = frozenset()

    @property
    def called(self) -> str:
        """The application in words, for messages."""
        name = self.display_name or self.unique_name
        return repr(name) if name else f"with app id {self.app_id or self.identity.from_record}"

    @property
    def taken_back(self) -> bool:
        """Whether the application goes, now or in a later step."""
        return self.state != "present" or self.taking_back

    @property
    def identity(self) -> Identity:
        """Which application is meant."""
        recorded = self.trust.recorded_app_id if self.trust is not None else ""
        return Identity(self.unique_name, self.app_id, recorded, self.declared, self.left)


# --- steps ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Create(Step):
    """Make the application; ``properties`` are Graph's."""

    properties: Json


@dataclass(frozen=True)
class Update(Step):
    """Set Graph's ``properties`` of the application with the object id ``id``."""

    id: str
    properties: Json


@dataclass(frozen=True)
class Restore(Step):
    """Take the application with the object id ``id`` out of the recycle bin."""

    id: str


@dataclass(frozen=True)
class Delete(Step):
    """Delete the application with the object id ``id``, into the recycle bin."""

    id: str


@dataclass(frozen=True)
class Purge(Step):
    """Remove the application with the object id ``id`` from the recycle bin."""

    id: str


@dataclass(frozen=True)
class CreatePrincipal(Step):
    """Make the service principal. ``app_id`` None: of the application that was made just before. ``anew``: one that
    came back with its application goes first, because it has grants that are not ours."""

    app_id: str | None
    enabled: bool
    anew: bool = False


@dataclass(frozen=True)
class EnablePrincipal(Step):
    """Let the service principal with the object id ``id`` sign in, or not."""

    id: str
    enabled: bool


@dataclass(frozen=True)
class DeletePrincipal(Step):
    """Delete the service principal with the object id ``id``, and with it its grants."""

    id: str


@dataclass(frozen=True)
class PurgePrincipal(Step):
    """Remove the service principal with the object id ``id`` from the recycle bin."""

    id: str


AnyStep: t.TypeAlias = (
    "Create | Update | Restore | Delete | Purge | CreatePrincipal | EnablePrincipal | DeletePrincipal | PurgePrincipal"
)
