# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Whether it is true: a mailbox is really opened, or not. One file for each protocol, one table."""

from __future__ import annotations

import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils._accesses import Access
from ansible_collections.mail2fax.m365.plugins.module_utils._clouds import Cloud
from ansible_collections.mail2fax.m365.plugins.module_utils._http import Http
from ansible_collections.mail2fax.m365.plugins.module_utils._proofs.ews import Ews
from ansible_collections.mail2fax.m365.plugins.module_utils._proofs.graph import GraphMail
from ansible_collections.mail2fax.m365.plugins.module_utils._proofs.imap import Imap
from ansible_collections.mail2fax.m365.plugins.module_utils._proofs.pop import Pop
from ansible_collections.mail2fax.m365.plugins.module_utils._proofs.proof import VERDICTS, Kind, Proof
from ansible_collections.mail2fax.m365.plugins.module_utils._proofs.smtp import Smtp

PROOFS: dict[str, Kind] = {
    name: t.cast("Kind", kind)
    for name, kind in (("ews", Ews), ("graph", GraphMail), ("imap", Imap), ("pop", Pop), ("smtp", Smtp))
}
"""By protocol."""


def make(kind: Kind, http: Http, cloud: Cloud, access: Access) -> Proof:
    """The proof of one access in one tenant."""
    of = getattr(kind, "of", None)
    return t.cast("Proof", of(http, cloud, access)) if of is not None else kind(http, cloud)


def verdicts() -> set[str]:
    """Every word that a proof may answer with."""
    return {*VERDICTS, *(kind.switched_off for kind in PROOFS.values() if kind.switched_off is not None)}
