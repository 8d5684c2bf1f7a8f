# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The proof by POP."""

from __future__ import annotations

import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils._auth import Token
from ansible_collections.mail2fax.m365.plugins.module_utils._clouds import Cloud
from ansible_collections.mail2fax.m365.plugins.module_utils._http import Http
from ansible_collections.mail2fax.m365.plugins.module_utils._proofs.proof import PROTOCOL_OFF_MAILBOX, Opening


class Pop:
    """Mailboxes of one tenant, opened with a token that the caller brings."""

    needs_role: t.ClassVar[str | None] = "POP.AccessAsApp"
    switched_off: t.ClassVar[str | None] = PROTOCOL_OFF_MAILBOX
    service: t.ClassVar[str] = "POP"
    opened_by: t.ClassVar[str] = (
        "switch POP on for the mailbox (exchange_mailbox_protocols, or mail2fax_protocols_opt_in: true); such "
        "a change takes up to an hour"
    )

    @staticmethod
    def audience(cloud: Cloud) -> str:
        return cloud.exchange_audience

    def __init__(self, http: Http, cloud: Cloud) -> None:
        self._http, self._cloud = http, cloud

    def open(self, token: Token, address: str) -> Opening:
        raise NotImplementedError
