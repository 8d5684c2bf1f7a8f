# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Where documents of a tenant are kept beyond a run, when that is no folder: the interface, not a place.

The places themselves are in ``plugin_utils/_shelves``: they belong to the controller.
"""

from __future__ import annotations

import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils._store import HASHI_VAULT


class Kept(t.Protocol):
    """One document of one tenant. Every refusal is a Blocked that says what to do; none quotes content."""

    @property
    def place(self) -> str:
        """Where it is, in words that may be printed anywhere."""

    @property
    def by_hand(self) -> str:
        """How a person puts a text there, in a sentence."""

    def probe(self, *, by_writing: bool) -> None:
        """Prove that a write would succeed, without changing the document. ``by_writing``: beside it something may be
        written, where nothing else tells."""

    def read(self) -> str | None:
        """The text, None when there is none. What cannot be read raises; it is never None."""

    def write(self, text: str) -> list[str]:
        """Replace it in one go; refuse with Conflict when somebody else changed it since it was read. Warnings."""


SHELF_BACKENDS: dict[str, dict[str, dict[str, t.Any]]] = {
    "folder": {
        "path": {"type": "path"},
    },
    "hashi_vault": HASHI_VAULT,
}
"""The options of each back end; ``plugin_utils/_shelves`` has the back ends themselves."""

FOLDER = "folder"
SHELF_OPTIONS: dict[str, dict[str, t.Any]] = {
    "backend": {"type": "str", "required": True, "choices": list(SHELF_BACKENDS)},
    **{name: spec for options in SHELF_BACKENDS.values() for name, spec in options.items()},
}
