# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What two runs have in common: ids by order of appearance, times and folders left out."""

from __future__ import annotations

import itertools
import json
import re
import typing as t

GUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE)
INSTANT = re.compile(r"\b20\d\d-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|\+00:00)?)?")
OF_AN_ID = re.compile(r"(?<=mail2fax-)[0-9a-f]{12}(?=-)")
"""What a role assignment's name has of the application's id."""
SID = re.compile(r"S-1-5-21(-\d+){4}")
GRANT = re.compile(r"(?<=/)[A-Za-z0-9_-]{43}(?=\")")
FOLDER = re.compile(r"/\S*?/(?:lane\d+|canary-[^/\s\"]+)/")


def comparable(value: t.Any) -> t.Any:
    """The value with ids by order of appearance, and without what two runs cannot share."""
    ids: dict[str, str] = {}
    numbers = itertools.count(1)

    def named(found: re.Match[str]) -> str:
        known = found[0].lower()
        if known not in ids:
            ids[known] = f"<id {next(numbers)}>"
        return ids[known]

    text = OF_AN_ID.sub("<of an id>", json.dumps(value, sort_keys=True))
    text = GRANT.sub("<grant>", SID.sub("<sid>", GUID.sub(named, text)))
    return json.loads(FOLDER.sub("<folder>/", INSTANT.sub("<time>", text)))
