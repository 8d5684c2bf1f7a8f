# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""A scoping model is a thing: what it reads, what it makes of it, and what it asks of the run around it.

To add a model, write a file beside this one with a class that is a ``Model``, and add an instance to ``MODELS``.
Whatever sums up or compares reach (``_reach``) asks the table, and knows no model.
"""

from __future__ import annotations

import datetime as dt
import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet, Output
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.access_policy import AccessPolicies
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.application_role import ApplicationRoles
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.grant import Grant, Inside, Permission
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.mailbox_permission import MailboxPermissions
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.tenant_wide import TenantWide


class Model(t.Protocol):
    """How an application's permissions are limited to mailboxes, or granted mailbox by mailbox."""

    name: t.ClassVar[str]
    needs_consent: t.ClassVar[bool]
    """Whether an Entra grant belongs to it. Then the token carries a role, and a proof may ask for it."""
    before: t.ClassVar[tuple[str, ...]]
    """The keys of the steps (``_steps``) that have to be done before anything is granted."""
    makes: t.ClassVar[tuple[str, ...]]
    """The keys of the steps that this model brings into a run, beside the consent."""
    in_force_after: t.ClassVar[dt.timedelta]
    """How long the service may go on by what was before."""
    look_every: t.ClassVar[dt.timedelta]
    """How often it is worth looking whether a change is in force."""

    def cmdlets(self, app_id: str) -> list[Cmdlet]:
        """What has to be read, in one batch with whatever else is read."""

    def grants(
        self, app_id: str, held: t.Iterable[Permission], outputs: t.Sequence[Output], inside: Inside
    ) -> list[Grant]:
        """What the application's permissions open under this model. ``outputs``: the answers to ``cmdlets``."""


@t.runtime_checkable
class ByMailbox(t.Protocol):
    """A model of which a part shows mailbox by mailbox only."""

    def of_mailbox(self, mailbox: str) -> list[Cmdlet]:
        """What has to be read of one mailbox (its Guid); the answers follow those to ``cmdlets``."""


MODELS: dict[str, Model] = {
    model.name: model for model in (AccessPolicies(), ApplicationRoles(), MailboxPermissions(), TenantWide())
}
"""By the name that a profile's ``scoping`` says."""
