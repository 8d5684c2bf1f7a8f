# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Answers of the script on a management host, found among whatever else its process prints."""

from __future__ import annotations

import json
import re
import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.host_script import END, MARKER

HEAD_AT_MOST = 128
"""No marker's line is longer."""
ANSWER_AT_MOST = 256 * 1024 * 1024
"""No answer is longer: some ten thousand mailboxes with all their properties."""


class Answers:
    """Takes the documents out of a process's standard output, which also carries whatever else was printed."""

    def __init__(self, nonce: str) -> None:
        """``nonce``: what the process was given to mark its answers with."""
        self._head = re.compile(rb"\n" + f"{MARKER} {nonce}".encode() + rb" (\d{1,9}) (\d{1,10})@@\n")
        self._buffer = bytearray()
        self._awaited: int | None = None
        """From how many bytes on it is worth looking again."""
        self._found: dict[int, t.Any] = {}

    @property
    def held(self) -> int:
        """How many bytes of output are kept: the answer that is on its way, and no noise."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """More output. Raises ValueError when a document is not what its marker says."""
        self._buffer += data
        while self._awaited is None or len(self._buffer) >= self._awaited:
            head = self._head.search(self._buffer)
            if head is None:
                # A marker may be cut in two; what lies before it is noise.
                del self._buffer[: max(0, len(self._buffer) - HEAD_AT_MOST)]
                self._awaited = None
                return
            length = int(head[2])
            if length > ANSWER_AT_MOST:
                raise ValueError(f"an answer of {length} characters")
            tail = f"\n{END}\n".encode()
            end = head.end() + length
            if len(self._buffer) < end + len(tail):
                del self._buffer[: head.start()]
                self._awaited = end + len(tail) - head.start()
                return
            if self._buffer[end : end + len(tail)] != tail:
                raise ValueError("an answer is not as long as it says")
            self._found[int(head[1])] = json.loads(self._buffer[head.end() : end])
            # The closing line's newline may be the first of the next marker.
            del self._buffer[: end + len(tail) - 1]
            self._awaited = None

    def take(self, sequence: int) -> t.Any:
        """The document that answers this request, or None while it is not whole."""
        return self._found.pop(sequence, None)
