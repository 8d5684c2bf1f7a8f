# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The proof by Microsoft Graph."""

from __future__ import annotations

import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils._auth import Token
from ansible_collections.mail2fax.m365.plugins.module_utils._clouds import Cloud
from ansible_collections.mail2fax.m365.plugins.module_utils._http import Http
from ansible_collections.mail2fax.m365.plugins.module_utils._proofs.proof import Opening


class GraphMail:
    """Mailboxes of one tenant, opened with a token that the caller brings."""

    needs_role: t.ClassVar[str | None] = None
    switched_off: t.ClassVar[str | None] = None
    service: t.ClassVar[str] = "Microsoft Graph"
    opened_by: t.ClassVar[str] = "nothing: it has no switch"

    @staticmethod
    def audience(cloud: Cloud) -> str:
        return cloud.graph_audience

    def __init__(self, http: Http, cloud: Cloud) -> None:
        self._http, self._cloud = http, cloud

    def open(self, token: Token, address: str) -> Opening:
        raise NotImplementedError
