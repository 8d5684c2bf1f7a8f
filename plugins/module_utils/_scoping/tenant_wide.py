# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Model D: nothing limits an Entra grant, so that it opens every mailbox of the tenant.

An application gets that only where somebody accepts it in words, which every result and sheet repeats. The model also
speaks for permissions on mailboxes that no access policy limits, whoever granted them.
"""

from __future__ import annotations

import datetime as dt
import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils import _permissions
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import InvalidInput
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet, Output
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.grant import Grant, Inside, Permission

IN_FORCE_AFTER = dt.timedelta(minutes=5)
FEWEST_CHARACTERS = 10
"""How long the words have to be by which somebody accepts it: long enough to be no yes by mistake."""


class TenantWide:
    """The model: a grant that opens mailboxes and that nothing can limit. What a policy could limit is model A's."""

    name: t.ClassVar[str] = "tenant_wide"
    needs_consent: t.ClassVar[bool] = True
    before: t.ClassVar[tuple[str, ...]] = ()
    makes: t.ClassVar[tuple[str, ...]] = ()
    in_force_after: t.ClassVar[dt.timedelta] = IN_FORCE_AFTER
    look_every: t.ClassVar[dt.timedelta] = dt.timedelta(seconds=10)

    def cmdlets(self, app_id: str) -> list[Cmdlet]:
        return []

    def grants(
        self, app_id: str, held: t.Iterable[Permission], outputs: t.Sequence[Output], inside: Inside
    ) -> list[Grant]:
        return [
            Grant(self.name, one.name, "graph") for one in held if _permissions.is_never_limited(one.resource, one.name)
        ]


def accepted(words: str | None, option: str) -> str:
    """The words by which somebody accepts that nothing limits the application; "" where nobody did.

    Raises InvalidInput for a yes, and for what is too short to be meant.
    """
    said = (words or "").strip()
    if not said:
        return ""
    if len(said) < FEWEST_CHARACTERS:
        raise InvalidInput(
            f"{option} is {said!r}, which says too little: the words are printed on the sheet as the reason why the "
            "application may open every mailbox",
            cure=f"say in {FEWEST_CHARACTERS} characters or more who accepts it and why",
            options=(option,),
        )
    return said
