# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people are told of the ways in, what limits them, and what a proof could not show."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils import _proofs
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _fleet, _profile
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import table, ways

GROUP = {"name": "Mail2Fax Senders", "address": "mail2fax.senders@contoso.com"}
LEAST = _profile.load("imap_smtp_least")
AT = "2026-11-21T12:00:00Z"


def box(address: str, expected: str, **seen: str) -> dict[str, t.Any]:
    """One mailbox with a proof for each access: ``imap="opened"``."""
    good = {"granted": ("opened", "signed_in"), "denied": (*_proofs.proof.REFUSALS, "signed_in")}[expected]
    return {
        "mailbox": address,
        "expected": expected,
        "verdict": "Granted" if expected == "granted" else "Denied",
        "verdict_at": AT,
        "probe": next(iter(seen.values()), None),
        "probe_at": AT,
        "as_expected": all(verdict in good for verdict in seen.values()),
        "proofs": [
            {"access": access, "protocol": access, "verdict": verdict, "reason": None, "at": AT}
            for access, verdict in seen.items()
        ],
    }


def document(*boxes: dict[str, t.Any], **changes: t.Any) -> dict[str, t.Any]:
    accesses = [{key: access[key] for key in ("id", "protocol", "scoping")} for access in LEAST["accesses"]]
    return {
        "host": "contoso",
        "kind": "provision",
        "mode": "apply",
        "state": "ready",
        "outcome": "ok",
        "at": AT,
        "profile": {"accesses": accesses},
        "steps": [],
        "mailboxes": list(boxes),
        **changes,
    }


def test_every_verdict_has_words() -> None:
    for verdict in _proofs.verdicts() - {"other"}:
        assert verdict in ways._SEEN, verdict


def test_each_model_says_what_limits_it() -> None:
    assert ways.limits(LEAST, GROUP) == [
        (
            "IMAP",
            "An entry of the application on each of these mailboxes: FullAccess. Without one a mailbox stays shut.",
        ),
        (
            "SMTP",
            "Exchange's role Application SMTP.SendAsApp for the direct members of the group "
            "mail2fax.senders@contoso.com, and for no other mailbox.",
        ),
    ]
    ((called, both),) = ways.limits(_profile.load("imagicle_imap_smtp"), {})
    assert called == "IMAP and SMTP"
    assert "FullAccess and SendAs" in both
    ((_called, policy),) = ways.limits(_profile.load("graph_mail", scoping="application_access_policy"), GROUP)
    assert policy == (
        "Mail.ReadWrite and Mail.Send would open every mailbox; an access policy keeps it to the members of the group "
        "mail2fax.senders@contoso.com."
    )
    ((_called, everything),) = ways.limits(
        _profile.load("graph_mail", scoping="tenant_wide"), {}, "Agreed, CHG 0012345"
    )
    assert everything.startswith("NOTHING limits it: Mail.ReadWrite and Mail.Send open every mailbox")
    assert everything.endswith("Accepted with the words: Agreed, CHG 0012345")


def test_a_model_and_a_protocol_that_nobody_worded_are_called_by_their_names() -> None:
    toy = {"accesses": [{"id": "a", "protocol": "toy", "scoping": "by_moonlight", "permissions": ["Toy.Read"]}]}
    assert ways.limits(toy, {}) == [("TOY", "By the model by moonlight.")]
    assert ways.seen("half_open") == "half open"
    two = [{"id": "in", "protocol": "imap"}, {"id": "out", "protocol": "imap"}]
    assert ways.labels(two) == {"in": "IMAP (in)", "out": "IMAP (out)"}


@pytest.mark.parametrize(
    ("imap", "smtp", "told"),
    [
        ("no_permission", "refused", []),
        ("no_mailbox", "refused", ["Over IMAP nothing was refused on the wire"]),
        ("protocol_off_mailbox", "protocol_off_tenant", ["Over IMAP and SMTP nothing was refused on the wire"]),
        (
            "no_permission",
            "signed_in",
            ["Over SMTP nothing was refused on the wire: Exchange lets the application sign"],
        ),
        # What is wrong is told otherwise.
        ("opened", "throttled", []),
    ],
)
def test_what_refused_nothing_is_said(imap: str, smtp: str, told: list[str]) -> None:
    doc = document(
        box("fax@contoso.com", "granted", imap="opened", smtp="opened"), box("a@b", "denied", imap=imap, smtp=smtp)
    )
    found = ways.unrefused(doc, doc["profile"]["accesses"])
    assert len(found) == len(told)
    assert all(one.startswith(start) for one, start in zip(found, told, strict=True))
    assert all(start in " ".join(table.table(doc, 400)) for start in told)


def test_one_mailbox_that_refused_is_enough() -> None:
    doc = document(box("a@b", "denied", imap="no_mailbox"), box("c@d", "denied", imap="no_permission"))
    assert ways.unrefused(doc, doc["profile"]["accesses"]) == []


def test_the_table_has_a_line_for_each_mailbox_and_way_in() -> None:
    doc = document(
        box("fax@contoso.com", "granted", imap="opened", smtp="refused"),
        box("a@contoso.com", "denied", imap="no_permission", smtp="refused"),
        state="wait",
    )
    lines = table.table(doc)
    start = next(number for number, line in enumerate(lines) if line.startswith("MAILBOX"))
    assert [line.split("  ")[0] for line in lines[start + 1 : start + 5]] == [
        "fax@contoso.com",
        "",
        "a@contoso.com",
        "",
    ]
    assert "IMAP  opened" in lines[start + 1]
    assert "SMTP  refused (not yet)" in lines[start + 2]
    assert "IMAP  no permission" in lines[start + 3]
    assert all(len(line) <= 90 for line in lines)


@pytest.mark.parametrize(
    ("expected", "verdicts", "marked"),
    [
        ("granted", {"imap": "opened", "smtp": "refused"}, ["smtp"]),
        ("granted", {"imap": "no_mailbox", "smtp": "protocol_off_tenant"}, ["imap", "smtp"]),
        ("denied", {"imap": "opened", "smtp": "signed_in"}, ["imap"]),
        ("denied", {"imap": "no_permission", "smtp": "no_mailbox"}, []),
    ],
)
def test_what_is_not_as_meant_is_marked_and_no_more(expected: str, verdicts: dict[str, str], marked: list[str]) -> None:
    row = {**box("a@contoso.com", expected, **verdicts), "as_expected": not marked}
    assert [one["access"] for one in ways.proofs(row) if one.get("as_expected") is False] == marked


def test_where_the_proofs_are_right_and_exchange_is_not_all_is_marked() -> None:
    row = {**box("a@contoso.com", "granted", imap="opened", smtp="opened"), "verdict": "Denied", "as_expected": False}
    assert [one["as_expected"] for one in ways.proofs(row)] == [False, False]


def test_a_record_of_an_earlier_version_is_read_on() -> None:
    old = {**box("fax@contoso.com", "granted"), "probe": "opened", "as_expected": True}
    old.pop("proofs")
    doc = document(old, profile={"name": "imagicle_ews"})
    assert "Granted        opened" in "\n".join(table.table(doc))


def test_words_of_acceptance_stand_in_every_table() -> None:
    words = "Backup of all mailboxes, CHG 0012345"
    doc = document(outcome="ok", tenant_wide=words)
    assert f"NOTHING limits the application to mailboxes. Accepted: {words}" in "\n".join(table.table(doc, 120))
    rows = [_fleet.row("contoso", doc), _fleet.row("other", document(outcome="ok"))]
    told = "\n".join(_fleet.table(rows, 120))
    assert f"contoso: NOTHING limits the application. Accepted: {words}" in told
    assert told.count("NOTHING") == 1
