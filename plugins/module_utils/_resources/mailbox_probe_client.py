# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Whether the fax server's own mail client can send the token that the proof got: pure, for ``mailbox_probe_info``.

The proof reads any token. A client may not: its sign-in ends before the server is asked, and blames something else.
"""

from __future__ import annotations

from ansible_collections.mail2fax.m365.plugins.module_utils._clients import CLIENTS
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.mailbox_probe_state import Desired, State


def longest(current: State) -> int | None:
    """How many characters the longest token has; None where none was asked for."""
    return max(current.lengths.values(), default=None)


def warnings(current: State, desired: Desired) -> list[str]:
    """What the named client cannot do of what was proved; nothing where none is named or nothing was probed."""
    name = desired.client
    if not name or not current.lengths:
        return []
    client, found = CLIENTS[name], []
    others = [asked for asked in desired.asked if asked.protocol not in client.sends]
    if others:
        told = ", ".join(dict.fromkeys(asked.protocol for asked in others))
        found.append(
            f"{name} is not known to sign in with a token by {told}; another program of the fax server has to."
        )
    own = [asked for asked in desired.asked if asked.protocol in client.sends]
    length = max((current.lengths.get(asked.id, 0) for asked in own), default=0)
    cut = [mailbox for mailbox in desired.allowed if not client.sends_whole(length, mailbox)]
    if cut:
        bound = min(bound for mailbox in cut if (bound := client.longest(mailbox)) is not None)
        found.append(
            f"{name} cannot send the application's token to {', '.join(cut)}: the token has {length} characters, and "
            f"{name} sends no more than {bound}. Take permissions and roles off the application that the fax server "
            "does not need, or use another client."
        )
    return found
