# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of ``application_reach_info``, as the tests of reports need them."""

from __future__ import annotations

import typing as t

from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import reach

Json = dict[str, t.Any]
HOSTILE = "<script>alert(1)</script>\"' & {{ 7 * 7 }}"
TENANT = "969d5b92-bc05-403f-b576-97201b665e65"
OURS = "1cb8b5d2-8724-4f32-8152-a16a230b682b"
FAX, ADELE = "fax@contoso.com", "AdeleV@contoso.com"
AT = "2026-11-28T07:00:00Z"


def way(protocol: str = "ews", permission: str = "full_access_as_app", **changes: t.Any) -> Json:
    limited = {"model": "application_access_policy", "limited_by": ["Imagicle Digital Fax"]}
    return {"protocol": protocol, "permission": permission, **limited, **changes}


def right(protocol: str = "imap", permission: str = "IMAP.AccessAsApp", **changes: t.Any) -> Json:
    return way(protocol, permission, **{"model": "mailbox_permission", "limited_by": [], **changes})


def wide(protocol: str = "graph", permission: str = "Mail.ReadWrite", **changes: t.Any) -> Json:
    return way(protocol, permission, **{"model": "tenant_wide", "limited_by": [], **changes})


def application(app_id: str = OURS, name: str = "Mail2DigitalFax", **changes: t.Any) -> Json:
    return {
        "app_id": app_id,
        "display_name": name,
        "complete": True,
        "missing": [],
        "mailboxes": [{"address": FAX, "ways": [way()]}],
        "everything": False,
        "powers": [],
        "people": [],
        **changes,
    }


def opening(*addresses: str, **changes: t.Any) -> Json:
    return application(**{"mailboxes": [{"address": one, "ways": [way()]} for one in addresses], **changes})


def found(*applications: Json, **changes: t.Any) -> Json:
    return {"at": AT, "tenant": {"id": TENANT}, "applications": list(applications), **changes}


def compose(*applications: Json, about: Json | None = None, **changes: t.Any) -> reach.Report:
    known = {
        "host": "contoso",
        "tenant": {"id": TENANT, "domain": "contoso.com", "name": "Contoso"},
        "app_id": OURS,
        "display_name": "Mail2DigitalFax",
        "declared": [FAX],
        "all_applications": True,
        "previous": "",
    }
    return reach.compose(found(*applications, **changes), {**known, **(about or {})})


ARCHIVE = application(
    "20000000-0000-4000-8000-000000000001",
    "Mail archive",
    everything=True,
    everything_ways=[wide(), wide("ews", "full_access_as_app")],
    mailboxes=[],
    people=[{"id": "1", "name": "Alex Wilber", "what": "owner of the application"}],
)
MANAGER = application(
    "20000000-0000-4000-8000-000000000002",
    "Exchange automation",
    mailboxes=[],
    powers=[
        {
            "permission": "Exchange.ManageAsApp",
            "what": "with the directory role Exchange Administrator it may give itself any right",
            "opens": "everything",
        }
    ],
)
CALENDAR = application(
    "20000000-0000-4000-8000-000000000003",
    "Meeting rooms",
    complete=False,
    missing=["rights on mailboxes that nobody has named"],
    mailboxes=[{"address": f"room{number}@contoso.com", "ways": [right()]} for number in range(1, 9)],
)
BUSY = (
    opening(
        FAX,
        people=[{"id": "2", "name": "Lidia Holloway", "what": "owner of the group Imagicle Digital Fax"}],
        mailboxes=[
            {"address": FAX, "ways": [way(), right(alive=False, why="IMAP is off for the mailbox")]},
            {"address": ADELE, "ways": [way()]},
        ],
        powers=[
            {"permission": "Application.ReadWrite.All", "what": "adds secrets to others", "opens": "others"},
            {"permission": "AppRoleAssignment.ReadWrite.All", "what": "grants itself anything", "opens": "everything"},
        ],
    ),
    ARCHIVE,
    MANAGER,
    CALENDAR,
)
