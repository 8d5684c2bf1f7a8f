# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of an audit, as the tests of evidence packs need them."""

from __future__ import annotations

import copy
import datetime as dt
import typing as t

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _profile
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import compose as _compose
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import evidence
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.evidence import File
from tests.unit import reach_reports
from tests.unit.reach_reports import ADELE, FAX, OURS, TENANT

Json = dict[str, t.Any]
OPERATOR = "11111111-0000-4000-8000-00000000000a"
KEY = "00000000-0000-4000-8000-000000000005"
AT = dt.datetime(2026, 11, 28, 7, 0, 0, tzinfo=dt.UTC)
FULL = {"resource": "exchange_online", "application": ["full_access_as_app"], "delegated": []}
READ = {"resource": "microsoft_graph", "application": [], "delegated": ["User.Read"]}
BOSS = "boss@contoso.com"


def probe(mailbox: str, expected: str, verdict: str, **changes: t.Any) -> Json:
    return {
        "mailbox": mailbox,
        "access": "ews",
        "protocol": "ews",
        "expected": expected,
        "verdict": verdict,
        "as_expected": (expected == "opened") == (verdict == "opened"),
        "reason": None,
        "request_id": f"request-for-{mailbox}",
        "at": "2026-11-28T06:59:00Z",
        **changes,
    }


def results(**changes: Json) -> Json:
    """Of an audit that found everything as it should be; a change joins, or replaces, what one step returned."""
    application: Json = {
        "app_id": OURS,
        "object_id": "00000000-0000-4000-8000-000000000002",
        "display_name": "Mail2DigitalFax",
        "unique_name": "mail2fax-imagicle-ews",
        "sign_in_audience": "AzureADMyOrg",
        "notes": None,
        "tags": [],
        "created_date_time": "2026-11-01T07:00:00Z",
        "created_by_app_id": OPERATOR,
        "permissions": [FULL, READ],
        "redirect_uris": [],
        "owners": [{"id": "1", "type": "user", "display_name": "Alex", "user_principal_name": "alex@contoso.com"}],
        "secrets": [
            {
                "key_id": KEY,
                "display_name": "Secret",
                "start_date_time": "2026-11-01T07:00:00Z",
                "end_date_time": "2027-11-01T07:00:00Z",
                "hint": "abc",
                "secret_text": "never to be seen",
            }
        ],
        "certificates": [],
        "federated_credentials": [],
        "service_principal": {"id": "sp", "display_name": "Mail2DigitalFax", "enabled": True, "owners": []},
        "grants": [FULL, READ],
    }
    group = {"name": "Fax", "alias": "fax", "address": "fax.group@contoso.com", "guid": "g", "owners": ["Adele Vance"]}
    found: Json = {
        "preflight": {
            "tenant": {"id": TENANT, "name": "Contoso", "domains": ["contoso.com"]},
            "operator": {"app_id": OPERATOR, "roles": ["Application.ReadWrite.All"], "exchange_roles": []},
            "app_management_policy": {"readable": False, "secrets_allowed": None, "max_lifetime_days": None},
            "findings": [],
            "ews": {"EwsEnabled": None, "EwsAllowedAppIDs": None, "allowed": None},
        },
        "application": {"app_id": OURS, "service_principal_id": "sp", "application": application},
        "credentials": {"applications": [application]},
        "scope_group": {"group": group, "members": [FAX], "policies_of_others": []},
        "access_policy": {
            "policy": {
                "identity": "t\\a:s;e",
                "group": "fax.group@contoso.com",
                "group_name": "Fax",
                "access_right": "RestrictAccess",
                "description": "",
                "is_valid": True,
            },
            "other_policies": [],
        },
        "ews_access": {},
        "client_secret": {
            "key_id": KEY,
            "display_name": "Secret",
            "end_date_time": "2027-11-01T07:00:00Z",
            "stored_in": {"backend": "vault_file", "place": "/srv/secrets/contoso.yml"},
        },
        "admin_consent": {"granted": [FULL, READ], "foreign": []},
        "access_verdict": {
            "request_ids": ["request-for-verdicts"],
            "verdicts": [
                {"mailbox": FAX, "expected": "Granted", "verdict": "Granted", "as_expected": True, "at": "x"},
                {"mailbox": ADELE, "expected": "Denied", "verdict": "Denied", "as_expected": True, "at": "x"},
                {"mailbox": BOSS, "expected": "Denied", "verdict": "Denied", "as_expected": True, "at": "x"},
            ],
        },
        "mailbox_probe": {
            "probes": [
                probe(FAX, "opened", "opened"),
                probe(ADELE, "refused", "denied_by_policy"),
                probe(BOSS, "refused", "denied_by_policy"),
            ],
            "accesses": [
                {"access": "ews", "protocol": "ews", "opened": 1, "refused": 2, "signed_in": 0, "remark": None}
            ],
            "roles": ["full_access_as_app"],
            "tokens": [{"resource": "exchange_online", "minutes": 60}],
        },
    }
    for step, change in changes.items():
        found[step] = {**found.get(step, {}), **change}
    for result in found.values():
        result.setdefault("outcome", "ok")
        result.setdefault("changed", False)
        result.setdefault("summary", "as declared")
    return copy.deepcopy(found)


def pack(found: Json | None = None, at: dt.datetime = AT, profile: str = "imagicle_ews", **about: t.Any) -> list[File]:
    """``about`` adds to the context of the filter."""
    found = results() if found is None else found
    definition = _profile.load(profile)
    record = about.pop("record", {})
    document = _compose.compose(
        found,
        {
            "host": "contoso",
            "kind": "provision",
            "mode": "audit",
            "profile": definition,
            "names": {"application": "Mail2DigitalFax", "secret": "Secret"},
            "mailboxes": [FAX],
            "previous": record,
            "renew_before": 30,
            "at": at,
            "tenant_wide": about.get("tenant_wide"),
        },
    )
    report = reach_reports.compose(reach_reports.opening(FAX), at=at.isoformat().replace("+00:00", "Z")).document
    known: Json = {
        "document": document,
        "profile": definition,
        "record": record or document,
        "report": report,
        "declared": {"mail2fax_mailboxes": [FAX], "mail2fax_secret_store": {"backend": "vault_file", "path": "x"}},
        "versions": {"collection": "1.2.3"},
        "zone": "UTC",
        "ticket": "CHG0012345",
    }
    return evidence.pack(found, {**known, **about})


def text(files: t.Iterable[File], name: str) -> str:
    return next(file.content for file in files if file.name == name)
