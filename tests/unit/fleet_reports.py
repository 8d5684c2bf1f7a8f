# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents of many tenants, as runs leave them, for tests of the report on all of them."""

from __future__ import annotations

import datetime as dt
import json
import random
import typing as t

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _fleet_report

Json = dict[str, t.Any]
AT = dt.datetime(2026, 11, 28, 7, tzinfo=dt.UTC)


def iso(days: float) -> str:
    return (AT + dt.timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def identity(number: int, kind: str = "0") -> str:
    return f"{number:08x}-000{kind}-4000-8000-{number:012x}"


def record(host: str, number: int = 1, *, days: float = 300, **changes: t.Any) -> Json:
    """A result of a provisioning, ``days`` before the secret's end."""
    domain = f"{host}.example"
    steps = [{"step": "preflight", "outcome": "ok", "summary": "nothing in the way"}]
    return {
        "schema": 2,
        "host": host,
        "at": iso(-1),
        "kind": "provision",
        "mode": "apply",
        "outcome": "ok",
        "state": "ready",
        "tenant": {"id": identity(number), "domain": domain, "name": host.title()},
        "profile": {
            "name": "imagicle_ews",
            "version": "1",
            "status": "verified",
            "title": "Imagicle",
            "accesses": [{"id": "ews", "protocol": "ews", "scoping": "application_access_policy"}],
        },
        "steps": steps,
        "ids": {"application_id": identity(number, "1")},
        "secret": {"display_name": "DigitalFax", "key_id": identity(number, "2"), "end_date_time": iso(days)},
        "mailboxes": [mailbox(f"fax@{domain}"), mailbox(f"else@{domain}", expected="denied", probe="refused")],
        "pending": [],
        "ours": [],
        **changes,
    }


def mailbox(address: str, *, expected: str = "granted", probe: str = "opened", meant: bool = True) -> Json:
    return {
        "mailbox": address,
        "expected": expected,
        "verdict": "Granted" if expected == "granted" else "Denied",
        "probe": probe,
        "probe_at": iso(-1),
        "as_expected": meant,
        "proofs": [{"access": "ews", "protocol": "ews", "verdict": probe, "reason": None, "at": iso(-1)}],
    }


def audit(host: str, number: int = 1, *, days: float = 300, **changes: t.Any) -> Json:
    credential = {
        "kind": "secret",
        "of": "application",
        "display_name": "DigitalFax",
        "key_id": identity(number, "2"),
        "end_date_time": iso(days),
        "whose": "ours",
        "days_left": int(days),
        "within_days": None,
        "outcome": "ok",
    }
    calendar = {"ews_days_left": 124, "ews_ends": "2027-04-01", "phase": None, "next": "run mail2fax.m365.migrate"}
    return {
        **record(host, number, days=days),
        "at": iso(-0.1),
        "mode": "audit",
        "reached": True,
        "unknown_since": None,
        "credentials": [credential],
        "drift": [],
        "calendar": calendar,
        **changes,
    }


def reach(host: str, number: int = 1, *, mailboxes: int = 1, **changes: t.Any) -> Json:
    ways = [
        {"protocol": "ews", "permission": "full_access_as_app", "model": "application_access_policy", "limited_by": []}
    ]
    ours = {
        "app_id": identity(number, "1"),
        "display_name": "Mail2DigitalFax",
        "complete": True,
        "missing": [],
        "mailboxes": [{"address": f"fax{one}@{host}.example", "ways": ways} for one in range(mailboxes)],
        "everything": False,
        "powers": [],
        "people": [],
        **changes,
    }
    return {
        "schema": 1,
        "host": host,
        "tenant": {"id": identity(number)},
        "at": iso(-0.1),
        "application_id": identity(number, "1"),
        "declared": [],
        "applications": [ours],
        "wider": {"mailboxes": [], "everything": False},
    }


def texts(record_: Json | None = None, audit_: Json | None = None, reach_: Json | None = None) -> _fleet_report.Texts:
    return _fleet_report.Texts(*(None if one is None else json.dumps(one) for one in (record_, audit_, reach_)))


def blocked(step: str, cure: str) -> Json:
    error = {"kind": "Blocked", "message": "it is so", "cure": cure, "who": "an Exchange Administrator", "code": None}
    return {"step": step, "outcome": "blocked", "summary": cure, "msg": cure, "error": error}


def fleet(count: int = 300) -> dict[str, _fleet_report.Texts]:
    """So many tenants, as a fleet of some years looks."""
    chance = random.Random(300)
    found: dict[str, _fleet_report.Texts] = {}
    for number in range(1, count + 1):
        host = f"customer{number:03}"
        days = chance.choice([chance.uniform(20, 365), chance.uniform(60, 365), 301 + chance.uniform(0, 2)])
        whole = (record(host, number, days=days), audit(host, number, days=days), reach(host, number))
        match number % 50:
            case 1:
                late = audit(host, number, days=-3, outcome="blocked", steps=[blocked("credentials", "renew it")])
                found[host] = texts(record(host, number, days=-3), late, whole[2])
            case 2:
                gone = {"reached": False, "unknown_since": iso(-9), "outcome": "failed", "credentials": []}
                steps = [{**blocked("preflight", "mend the operator's secret"), "outcome": "failed"}]
                found[host] = texts(whole[0], audit(host, number, days=days, steps=steps, **gone))
            case 3:
                drift = audit(host, number, days=days, outcome="blocked", drift=["access_policy"])
                found[host] = texts(whole[0], drift, reach(host, number, everything=True))
            case 4:
                found[host] = texts()
            case 5:
                wait = {
                    "outcome": "pending",
                    "pending_until": iso(0.1),
                    "pending": [{"step": "x", "what": "the policy is not in force yet", "until": iso(0.1)}],
                }
                found[host] = texts(record(host, number, days=days, at=iso(-0.01), **wait), None, whole[2])
            case 6:
                soon = chance.uniform(1, 13)
                found[host] = texts(record(host, number, days=soon), audit(host, number, days=soon), whole[2])
            case 7:
                old = record(host, number, days=days, at=iso(-40))
                found[host] = texts(old, None, reach(host, number, complete=False))
            case 8:
                confirm = {
                    "ews_days_left": 124,
                    "ews_ends": "2027-04-01",
                    "phase": "confirm",
                    "next": "change the fax server's settings",
                }
                found[host] = texts(whole[0], audit(host, number, days=days, calendar=confirm), whole[2])
            case 9:
                found[host] = texts(
                    record(host, number, state="removed", secret=None, mailboxes=[], kind="decommission")
                )
            case _:
                found[host] = texts(*whole)
    return found
