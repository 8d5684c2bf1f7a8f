# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The evidence pack of an audit: a fixed set of files that vouch for each other, and no word more than was seen."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import random
import re
import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import evidence
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.evidence_answers import (
    NOT_PROVEN,
    PARTLY,
    PROVEN,
    WRONG,
    Answer,
    answers,
)
from tests.tools import doc_tables
from tests.unit import evidence_packs, reach_reports
from tests.unit.evidence_packs import BOSS, FULL, pack, probe, results, text
from tests.unit.reach_reports import ADELE, FAX, HOSTILE

Json = dict[str, t.Any]


def document(files: t.Iterable[evidence.File], name: str) -> Json:
    return t.cast("Json", json.loads(text(files, name)))


def said(found: Json | None = None, **about: t.Any) -> dict[str, Answer]:
    """The answers by key."""
    files = pack(found, **about)
    facts = {file.name: json.loads(file.content) for file in files if file.name.endswith(".json")}
    return {one.key: one for one in answers(facts, {"zone": "UTC", **about})}


def states(found: Json | None = None, **about: t.Any) -> dict[str, str]:
    return {key: one.state for key, one in said(found, **about).items()}


# --- the files -----------------------------------------------------------------------------------------------


def test_every_file_is_there_and_the_sums_vouch_for_it() -> None:
    files = pack()
    assert [file.name for file in files] == [*sorted(evidence.FILES), "manifest.json", "MANIFEST.sha256"]
    sums = dict(reversed(line.split("  ")) for line in text(files, "MANIFEST.sha256").splitlines())
    assert sums == {file.name: hashlib.sha256(file.data).hexdigest() for file in files[:-1]}
    listed = {row["name"]: row for row in document(files, "manifest.json")["files"]}
    assert set(listed) == set(evidence.FILES)
    for file in files[:-2]:
        row = listed[file.name]
        assert (row["sha256"], row["bytes"]) == (sums[file.name], len(file.data))
        assert file.content.endswith("\n")
        assert not file.content.endswith("\n\n")


def test_the_same_tenant_gives_the_same_pack_but_for_times() -> None:
    first = pack()
    found = results()
    rows = found["mailbox_probe"]["probes"]
    for row in rows:
        row.update(request_id="another", at="2026-11-29T07:00:00Z", reason="server time 12:00")
    random.Random(1).shuffle(rows)
    found["mailbox_probe"]["tokens"][0]["minutes"] = 75
    found["access_verdict"].update(request_ids=["another"])
    found["access_verdict"]["verdicts"].reverse()
    second = pack(found, at=evidence_packs.AT + dt.timedelta(days=1), record=document(first, "record.json"))

    def lasting(files: list[evidence.File]) -> Json:
        listed = document(files, "manifest.json")["files"]
        return {row["name"]: row["sha256_without_times"] for row in listed if row["sha256_without_times"]}

    assert lasting(first) == lasting(second)
    assert document(first, "manifest.json")["files"] != document(second, "manifest.json")["files"]
    # What did happen is told.
    other = results(admin_consent={"foreign": [{**FULL, "application": ["Mail.Read"]}]})
    assert lasting(pack(other)) != lasting(first)
    # To the letter where nothing differs at all.
    assert pack() == first


def test_a_page_differs_in_times_alone() -> None:
    def timeless(files: list[evidence.File]) -> str:
        return re.sub(
            r"\d{1,2} \w{3} \d{4}(, \d\d:\d\d \w+)?|in \d+ days|\d+ days left", "<time>", text(files, "index.html")
        )

    later = pack(at=evidence_packs.AT + dt.timedelta(days=2), record=document(pack(), "record.json"))
    assert timeless(later) == timeless(pack(record=document(pack(), "record.json")))


def test_nothing_secret_is_in_any_file() -> None:
    found = results()
    found["client_secret"]["secret_text"] = found["preflight"]["access_token"] = "never to be seen"
    found["mailbox_probe"]["probes"][0]["token"] = "never to be seen"
    for file in pack(found):
        assert "never to be seen" not in file.content
        assert "abc" not in file.content.replace("sha256", "") or '"hint"' not in file.content


@pytest.mark.parametrize("word", [HOSTILE, "{{ lookup('pipe', 'id') }}", "a\u202eb\x07", "=cmd|' /C calc'!A0"])
def test_what_a_tenant_is_called_is_never_markup(word: str) -> None:
    found = results()
    found["credentials"]["applications"][0]["display_name"] = word
    found["scope_group"]["group"]["owners"] = [word]
    found["mailbox_probe"]["probes"][0].update(mailbox=word, reason=word)
    found["access_policy"]["policy"]["group_name"] = word
    files = pack(found, ticket=word, prepared_by=word)
    page = text(files, "index.html")
    assert "<script" not in page
    assert "\u202e" not in page
    assert "\x07" not in page
    assert document(files, "people.json")["owners_of_the_group"] == [word]
    assert text(files, "reach.csv").startswith("host,")


# --- what is said of what was seen ---------------------------------------------------------------------------


def test_all_is_well() -> None:
    assert states() == {
        "identity": PROVEN,
        "power": PROVEN,
        "mailboxes": PROVEN,
        "changers": PARTLY,
        "credentials": PROVEN,
        "ews": PARTLY,
        "use": NOT_PROVEN,
        "history": PARTLY,
        "exceptions": PROVEN,
    }
    page = text(pack(), "index.html")
    assert "AS DECLARED" in page
    assert "NOT AS DECLARED" not in page
    assert "request-for-fax@contoso.com" in page
    assert "request-for-verdicts" in page
    assert "CHG0012345" in page


def test_every_question_says_how_when_and_what_is_not_proven() -> None:
    for found in (None, results(credentials={"applications": []})):
        for answer in said(found).values():
            assert answer.question.endswith("?")
            assert answer.short.endswith(".")
            assert answer.at
            assert answer.not_proven or answer.key == "ews", answer.key
            assert answer.how or answer.state == NOT_PROVEN, answer.key
            assert set(answer.files) <= set(evidence.FILES)


def test_a_mailbox_that_should_be_shut_is_told_first() -> None:
    open_ = [probe(FAX, "opened", "opened"), probe(ADELE, "refused", "opened")]
    found = results(mailbox_probe={"probes": open_, "outcome": "blocked", "msg": "no"})
    answer = said(found)["mailboxes"]
    assert answer.state == WRONG
    assert answer.short == f"{ADELE} is not as declared: it should be shut, and was opened."
    page = text(pack(found), "index.html")
    assert "NOT AS DECLARED" in page
    assert "not as meant" in page


def test_one_refusal_is_not_many_and_none_is_not_one() -> None:
    one = said(results(mailbox_probe={"probes": [probe(FAX, "opened", "opened"), probe(ADELE, "refused", "refused")]}))
    assert any("Only one mailbox" in line for line in one["mailboxes"].not_proven)
    off = probe(ADELE, "refused", "protocol_off_tenant", as_expected=True)
    none = said(results(mailbox_probe={"probes": [probe(FAX, "opened", "opened"), off]}))["mailboxes"]
    assert none.state == PARTLY
    assert any("refused on the wire" in line for line in none.not_proven)
    assert not any("Really refused" in line for line in none.proven)


def test_reach_that_is_not_whole_is_no_proof() -> None:
    part = reach_reports.compose(reach_reports.opening(FAX, complete=False, missing=["the directory roles"])).document
    answer = said(report=part)["mailboxes"]
    assert answer.state == PARTLY
    assert answer.short == "It opens at least 1 mailbox."
    assert "Not read: the directory roles." in answer.not_proven
    wide = reach_reports.compose(reach_reports.opening(FAX, BOSS)).document
    answer = said(report=wide)["mailboxes"]
    assert answer.state == WRONG
    assert answer.short == f"Beyond what is declared it opens {BOSS}."


def test_without_a_report_the_pack_says_so_and_is_whole() -> None:
    files = pack(report={}, no_report="Graph did not answer")
    assert document(files, "reach.json")["missing"] == ["Graph did not answer"]
    assert "Graph did not answer" in text(files, "reach.html")
    assert "Graph did not answer" in text(files, "reach.csv")
    assert said(report={}, no_report="Graph did not answer")["mailboxes"].state == PARTLY


def test_what_was_not_reached_is_not_proven() -> None:
    nothing = {step: {} for step in results() if step != "preflight"}
    found = {**nothing, "preflight": results()["preflight"]}
    told = states(found, report={})
    assert "THE AUDIT DID NOT GO THROUGH" not in text(pack(found, report={}), "index.html")
    assert {told[key] for key in ("identity", "power", "mailboxes", "changers", "credentials")} == {NOT_PROVEN}
    assert "No mailbox was tried" in text(pack(found, report={}), "index.html")


@pytest.mark.parametrize(
    ("step", "change", "key"),
    [
        ("admin_consent", {"foreign": [{**FULL, "application": ["Mail.Read"]}]}, "power"),
        ("admin_consent", {"outcome": "blocked", "failed": True, "msg": "no"}, "power"),
        ("access_policy", {"changed": True, "outcome": "changed"}, "history"),
    ],
)
def test_what_is_not_as_declared_is_named(step: str, change: Json, key: str) -> None:
    found = results(**{step: change})
    assert states(found)[key] == WRONG
    assert "NOT AS DECLARED" in text(pack(found), "index.html")


def test_credentials_of_others_and_ended_ones_are_wrong() -> None:
    found = results()
    foreign = {**found["credentials"]["applications"][0]["secrets"][0], "key_id": "9", "display_name": "By hand"}
    found["credentials"]["applications"][0]["secrets"].append(foreign)
    answer = said(found)["credentials"]
    assert answer.state == WRONG
    assert answer.short == "By 2 secrets, 1 not made by this collection."
    assert any("not made by this collection" in line for line in answer.proven)
    assert said(at=evidence_packs.AT + dt.timedelta(days=400))["credentials"].state == WRONG


def test_what_was_accepted_stands_in_its_own_words() -> None:
    declared = {"mail2fax_extra_permissions": ["Sites.Selected"], "mail2fax_on_foreign_members": "keep"}
    declared |= {"mail2fax_on_entra_grant": "remove"}
    told = " ".join(said(declared=declared)["exceptions"].proven)
    assert "Sites.Selected" in told
    assert "keep" in told
    assert "remove" not in told
    assert "legacy" in told


def test_what_would_only_be_made_limits_nothing_and_belongs_to_nobody() -> None:
    zero = "00000000-0000-0000-0000-000000000000"
    found = results(
        credentials={"applications": []},
        scope_group={"group": {"name": "Fax", "guid": zero, "owners": ["Adele Vance"]}, "outcome": "changed"},
        access_policy={"policy": {"identity": None, "group": "Fax", "group_name": "Fax"}, "outcome": "changed"},
    )
    told = said(found)
    assert told["identity"].short == "There is no application in this tenant that is the fax server's."
    assert not any("Limited by" in line for line in told["mailboxes"].proven)
    assert document(pack(found), "people.json")["owners_of_the_group"] == []


def test_people_are_told_once_by_what_they_are_called() -> None:
    people = [{"id": "1", "name": "alex@contoso.com", "what": "x"}, {"id": "", "name": "Adele Vance", "what": "y"}]
    people.append({"id": "7", "name": "", "what": "z"})
    report = reach_reports.compose(reach_reports.opening(FAX, people=people)).document
    told = said(report=report)["changers"].short
    assert told == "Beside the tenant's administrators: 7, Adele Vance, alex@contoso.com."


def test_what_nobody_can_tell_is_not_wrong_and_what_was_accepted_is_told() -> None:
    found = results(access_policy={"failed": True, "outcome": "blocked", "msg": "Exchange did not answer"})
    answer = said(found)["mailboxes"]
    assert answer.state != WRONG
    assert any(line.startswith("Not known") for line in answer.not_proven)
    removing = {"since": "2026-11-28T06:00:00Z", "until": "2026-11-28T07:30:00Z"}
    known = {**document(pack(), "record.json"), "kind": "decommission", "state": "removing", "removing": removing}
    files = pack({"preflight": results()["preflight"]}, record=known, report={})
    assert "BEING REMOVED until 28 Nov 2026, 07:30 UTC" in text(files, "index.html")


def test_other_ways_in_than_ews_are_no_exposure() -> None:
    answer = said(profile="imap_smtp_least")["ews"]
    assert (answer.state, answer.short) == (PROVEN, "No. It uses IMAP, SMTP.")


def test_the_guide_has_every_question_and_every_file() -> None:
    guide = (doc_tables.GUIDES / "what_to_show_an_auditor.rst").read_text(encoding="utf-8")
    for answer in said().values():
        assert answer.question in guide
        assert all(f"``{name}``" in guide for name in answer.files), answer.key
    assert all(f"``{name}``" in guide for name in (*evidence.FILES, "manifest.json", "MANIFEST.sha256"))
    for state in (PROVEN, PARTLY, NOT_PROVEN, WRONG):
        assert state in " ".join(guide.split()).replace("*", "")
