# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of reach: its verdict, what became wider or narrower, its table, and a page in which nothing is markup."""

from __future__ import annotations

import base64
import csv
import dataclasses
import hashlib
import io
import json
import random
import re
import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import reach, reach_changes
from tests.unit.reach_reports import (
    ADELE,
    ARCHIVE,
    AT,
    BUSY,
    CALENDAR,
    FAX,
    HOSTILE,
    MANAGER,
    OURS,
    TENANT,
    application,
    compose,
    opening,
    right,
    way,
    wide,
)
from tests.unit.roles.test_sheet import Reader

LAST = "2026-11-21T07:00:00Z"


# --- the verdict -----------------------------------------------------------------------------------------------


def test_what_is_declared_and_no_more_is_ok() -> None:
    report = compose(opening(FAX.upper()), ARCHIVE, MANAGER)
    assert report.document["outcome"] == report.step["outcome"] == "ok"
    assert report.document["wider"] == {"mailboxes": [], "everything": False, "powers": []}
    assert report.step["summary"] == "the application opens exactly 1 mailbox: FAX@CONTOSO.COM"
    assert (report.step["reach"]["others_everything"], report.step["reach"]["others_mighty"]) == (1, 1)


def test_one_mailbox_more_is_blocked_and_named_with_its_way() -> None:
    report = compose(opening(FAX, ADELE))
    assert report.document["wider"]["mailboxes"] == [ADELE]
    assert report.step["outcome"] == "blocked"
    assert f"opens {ADELE} (EWS with full_access_as_app (access policy: Imagicle Digital Fax))" in report.step["msg"]
    assert "What to do" in report.step["msg"]
    assert "What to do" not in report.step["summary"]


def test_a_dormant_way_opens_nothing() -> None:
    dormant = {"address": ADELE, "ways": [way(alive=False, why="the assignment is disabled")]}
    report = compose(opening(FAX, mailboxes=[dormant]))
    assert report.document["outcome"] == "ok"
    assert "dormant: the assignment is disabled" in Reader(reach.page(report.document)).text


def test_every_mailbox_is_blocked_unless_that_very_permission_was_accepted() -> None:
    everything = application(everything=True, everything_ways=[wide()])
    assert compose(everything).document["wider"]["everything"]
    accepted = {"tenant_wide": "agreed with the board", "tenant_wide_permissions": ["Mail.ReadWrite"]}
    report = compose(everything, about=accepted)
    assert report.document["outcome"] == "ok"
    assert report.step["summary"].endswith(
        "every mailbox of the tenant, accepted with the words: agreed with the board"
    )
    more = application(everything=True, everything_ways=[wide(), wide("ews", "full_access_as_app")])
    assert compose(more, about=accepted).document["outcome"] == "blocked"
    # Without a word on what opens it, the words for the whole decide.
    unnamed = application(everything=True)
    assert compose(unnamed).document["outcome"] == "blocked"
    assert compose(unnamed, about=accepted).document["outcome"] == "ok"


@pytest.mark.parametrize("opens", ["everything", "itself"])
def test_a_power_by_which_it_could_widen_itself_is_blocked_unless_the_inventory_names_it(opens: str) -> None:
    power = {"permission": "Application.ReadWrite.All", "what": "", "opens": opens}
    report = compose(opening(FAX, powers=[power]))
    assert report.document["wider"]["powers"] == ["Application.ReadWrite.All"]
    assert "mail2fax_extra_permissions" in report.step["msg"]
    named = {"extra_permissions": ["application.readwrite.all"]}
    assert compose(opening(FAX, powers=[power]), about=named).document["outcome"] == "ok"


def test_what_the_inventory_keeps_is_told_and_blocks_nothing_but_everything_does() -> None:
    report = compose(opening(FAX, ADELE), about={"keeps": True})
    assert (report.document["outcome"], report.document["kept"]) == ("ok", [ADELE])
    assert f"the inventory keeps {ADELE}, which nobody declared" in report.step["summary"]
    text = Reader(reach.page(report.document)).text
    assert f"The inventory keeps {ADELE}" in text
    assert re.search(rf"{ADELE} kept EWS .* {FAX} yes EWS", text)
    shut = compose(opening(FAX, ADELE), about={"keeps": True, "control": [ADELE.upper()]}).document
    assert (shut["outcome"], shut["kept"], shut["wider"]["mailboxes"]) == ("blocked", [], [ADELE])
    everything = application(everything=True, everything_ways=[wide()])
    assert compose(everything, about={"keeps": True}).document["outcome"] == "blocked"


def test_a_report_takes_over_what_it_names_and_nothing_else() -> None:
    told = "what nobody has asked for"
    leaky = way(token=told)
    one = opening(
        mailboxes=[{"address": FAX, "ways": [leaky], "token": told}],
        everything_ways=[{**leaky, "alive": False}],
        people=[{"id": "1", "name": "Adele", "what": "owner", "token": told}],
        powers=[{"permission": "x", "what": "y", "opens": "others", "token": told}],
        token=told,
    )
    assert told not in json.dumps(dataclasses.asdict(compose(one, token=told)))


def test_a_power_over_other_applications_is_told() -> None:
    power = {"permission": "Application.ReadWrite.All", "what": "adds secrets to others", "opens": "others"}
    report = compose(opening(FAX, powers=[power]))
    assert report.document["outcome"] == "ok"
    assert report.step["summary"].endswith("it also holds Application.ReadWrite.All: adds secrets to others")
    assert "By what it could widen this itself" in reach.page(report.document)


def test_everything_but_some_mailboxes_is_told_so() -> None:
    denied = application(
        "2", "Archive", everything=True, everything_ways=[wide(but=[FAX])], mailboxes=[], dormant=[], closed=[FAX]
    )
    document = compose(opening(FAX), denied).document
    first, second, third = re.split(r"\d\. What ", Reader(reach.page(document)).text)[1:]
    assert "Archive" not in first + second
    assert f"opens every mailbox but {FAX} now" in third
    assert f"but {FAX}" in [row["detail"] for row in rows(document)]
    assert "every mailbox of the tenant but 1" in reach.table(document)


def test_what_only_slept_is_a_row_of_its_own() -> None:
    slept = application(mailboxes=[], dormant=[{"address": ADELE, "ways": [way(alive=False, why="disabled")]}])
    document = compose(slept).document
    assert document["outcome"] == "ok"
    assert re.search(rf"{ADELE} no EWS .* dormant: disabled", Reader(reach.page(document)).text)
    assert [(row["mailbox"], row["state"]) for row in rows(document)] == [(ADELE, "dormant")]


def test_what_the_module_calls_wider_knows_aliases() -> None:
    declared = {"declared": ["telefax@contoso.com"]}
    assert compose(opening(FAX), about=declared).document["outcome"] == "blocked"
    told = {"mailboxes": [], "everything": False}
    assert compose(opening(FAX), about=declared, wider=told).document["outcome"] == "ok"


def test_what_others_reach_is_listed_and_blocks_nothing() -> None:
    assert compose(ARCHIVE, MANAGER, CALENDAR).document["outcome"] == "ok"
    report = compose(ARCHIVE, about={"app_id": ""})
    assert report.document["application_id"] is None
    assert report.step["summary"] == "there is no application yet"


def test_an_application_that_is_still_to_be_made_is_none() -> None:
    zeros = "00000000-0000-0000-0000-000000000000"
    unmade = application(zeros, "", mailboxes=[])
    report = compose(unmade, about={"app_id": zeros}, declared=[], unknown=[])
    assert (report.document["application_id"], report.document["applications"]) == (None, [])
    assert report.document["declared"] == [FAX]
    assert report.step["summary"] == "there is no application yet"


def test_declared_mailboxes_are_named_by_their_primary_address() -> None:
    found = compose(
        opening(FAX), about={"declared": ["telefax@contoso.com"]}, declared=[FAX], unknown=["x@contoso.com"]
    )
    assert found.document["declared"] == [FAX, "x@contoso.com"]
    assert found.document["outcome"] == "ok"
    assert "No such mailbox: x@contoso.com" in Reader(reach.page(found.document)).text


def test_what_could_not_be_read_blocks_nothing_and_is_told() -> None:
    report = compose(opening(FAX, complete=False, missing=["rights on mailboxes that nobody has named"]))
    assert report.document["outcome"] == "ok"
    assert report.step["summary"].startswith("the application opens at least 1 mailbox")
    text = Reader(reach.page(report.document)).text
    assert "AS DECLARED, AS FAR AS COULD BE READ" in text
    assert "What could not be read rights on mailboxes that nobody has named" in text


# --- the last report -------------------------------------------------------------------------------------------


def changes(before: list[dict[str, t.Any]], now: list[dict[str, t.Any]], **about: t.Any) -> list[tuple[str, str, str]]:
    last = json.dumps(compose(*before, at=LAST, about={k: v for k, v in about.items() if k != "missing"}).document)
    missing = {"missing": about.pop("missing")} if "missing" in about else {}
    report = compose(*now, about={**about, "previous": last}, **missing)
    assert all(entry["since"] == LAST for entry in report.document["changes"])
    return [(one["became"], one["kind"], one["what"]) for one in report.document["changes"]]


def test_the_first_report_has_nothing_to_compare_with() -> None:
    report = compose(*BUSY)
    assert (report.changed, report.document["changes"], report.document["compared_with"]) == (True, [], None)
    assert report.shown["before"] == {}
    assert "This is the first report" in Reader(reach.page(report.document)).text


def test_a_mailbox_more_is_wider_and_one_less_is_narrower() -> None:
    by = "EWS with full_access_as_app (access policy: Imagicle Digital Fax)"
    assert changes([opening(FAX)], [opening(FAX, ADELE)]) == [("wider", "mailbox", f"opens {ADELE}, by {by}")]
    assert changes([opening(FAX, ADELE)], [opening(FAX)]) == [
        ("narrower", "mailbox", f"does not open {ADELE} any more")
    ]


def test_what_is_not_seen_while_something_was_not_read_is_not_narrower() -> None:
    blind = opening(FAX, complete=False, missing=["Exchange refused"])
    assert changes([opening(FAX, ADELE)], [blind]) == [
        ("unknown", "mailbox", f"does not open {ADELE} any more, as far as could be read"),
        ("unknown", "reading", "is not known exactly any more: Exchange refused"),
    ]
    assert changes([blind], [opening(FAX)]) == [("known", "reading", "is known exactly now")]
    gone = changes([opening(FAX), ARCHIVE], [opening(FAX)], missing=["the list of applications was cut short"])
    assert [entry[:2] for entry in gone] == [("unknown", "application")]


def test_what_was_not_seen_for_want_of_rights_is_no_widening_when_it_is_seen_again() -> None:
    whole = [BUSY[0], ARCHIVE]
    first = compose(*whole, at=LAST).document
    blind = opening(complete=False, missing=["Exchange refused"], mailboxes=[])
    second = compose(blind, missing=["the permissions granted in Entra"], about={"previous": json.dumps(first)})
    assert second.changed
    assert {entry["became"] for entry in second.document["changes"]} == {"unknown"}
    # As long as nothing can be read, nothing is new, however often.
    nothing = compose(missing=["all"], about={"previous": json.dumps(second.document)}).document
    assert len(nothing["remembered"]) == 2
    assert not compose(missing=["all"], about={"previous": json.dumps(nothing)}).changed
    third = compose(
        blind, missing=["the permissions granted in Entra"], about={"previous": json.dumps(second.document)}
    )
    assert not third.changed
    again = compose(*whole, about={"previous": json.dumps(third.document)})
    assert [(entry["became"], entry["kind"]) for entry in again.document["changes"]] == [("known", "reading")]
    assert "remembered" not in again.document["applications"][0]
    assert again.document["remembered"] == []
    # What did change meanwhile is told.
    more = compose(opening(FAX, "lee@contoso.com"), about={"previous": json.dumps(third.document)})
    told = {(entry["became"], entry["kind"], entry["mailbox"]) for entry in more.document["changes"]}
    assert {("wider", "mailbox", "lee@contoso.com"), ("narrower", "mailbox", ADELE)} <= told
    assert ("narrower", "application", None) in told
    assert ("wider", "mailbox", FAX) not in told


def test_everything_is_remembered_as_well() -> None:
    wide_open = application(everything=True, everything_ways=[wide()], mailboxes=[])
    first = compose(wide_open, at=LAST).document
    blind = application(complete=False, missing=["the permissions granted in Entra"], mailboxes=[])
    second = compose(blind, about={"previous": json.dumps(first)}).document
    assert [entry["became"] for entry in second["changes"]] == ["unknown", "unknown"]
    assert second["wider"]["everything"] is False
    again = compose(wide_open, about={"previous": json.dumps(second)}).document
    assert [entry["kind"] for entry in again["changes"]] == ["reading"]
    assert again["applications"][0]["everything_ways"][0]["seen_since"] == LAST


def test_a_second_way_is_wider_and_a_way_that_wakes_up_too() -> None:
    both = opening(FAX, mailboxes=[{"address": FAX, "ways": [way(), right()]}])
    asleep = opening(FAX, mailboxes=[{"address": FAX, "ways": [way(), right(alive=False)]}])
    wider = [("wider", "way", f"opens {FAX} by IMAP with IMAP.AccessAsApp (right on the mailbox) as well")]
    assert changes([opening(FAX)], [both]) == changes([asleep], [both]) == wider
    assert changes([opening(FAX)], [asleep]) == []
    assert [entry[0] for entry in changes([both], [opening(FAX)])] == ["narrower"]


def test_everything_is_told_once_and_not_mailbox_by_mailbox() -> None:
    everything = application(everything=True, everything_ways=[wide()], mailboxes=[])
    by = "Microsoft Graph with Mail.ReadWrite (limited by nothing)"
    assert changes([opening(FAX)], [everything]) == [
        ("wider", "everything", f"opens every mailbox of the tenant, by {by}")
    ]
    assert changes([everything], [opening(FAX)]) == [
        ("narrower", "everything", "does not open every mailbox any more: exactly 1 mailbox")
    ]
    assert changes([everything], [{**everything, "everything_ways": [wide(), wide("ews")]}]) == [
        ("wider", "way", "opens every mailbox by EWS with Mail.ReadWrite (limited by nothing) as well")
    ]


def test_powers_people_and_applications_count() -> None:
    seen = [entry[:2] for entry in changes([opening(FAX), ARCHIVE], [BUSY[0], MANAGER])]
    assert seen == [
        *[("wider", "mailbox"), ("wider", "power"), ("wider", "power"), ("wider", "person")],
        ("wider", "application"),
        ("narrower", "application"),
    ], "ours first"


def test_a_report_of_one_application_says_nothing_of_the_others() -> None:
    last = json.dumps(compose(opening(FAX), ARCHIVE, at=LAST).document)
    one = compose(opening(FAX), about={"previous": last, "all_applications": False})
    assert one.document["changes"] == []
    last = json.dumps(one.document)
    assert compose(opening(FAX), ARCHIVE, about={"previous": last}).document["changes"] == []


def test_what_is_to_be_told_of_many_applications_is_told_once() -> None:
    apps = [opening(FAX, app_id=str(number), name=f"App {number}") for number in range(9)]
    blind = [{**one, "complete": False, "missing": ["the directory roles"]} for one in apps]
    last = json.dumps(compose(*apps, at=LAST).document)
    report = compose(*blind, about={"previous": last})
    assert len(report.document["changes"]) == 9
    told = "App 0, App 1, App 2, App 3, App 4 and 4 more: is not known exactly any more: the directory roles"
    assert told in Reader(reach.page(report.document)).text
    assert report.shown["after"]["changes"] == [f"unknown since 21 Nov 2026, 07:00 UTC: {told}"]


def test_nothing_new_but_times_is_no_change_whatever_the_order() -> None:
    first = compose(*BUSY, at=LAST)
    again = compose(*reversed(BUSY), about={"previous": json.dumps(first.document)})
    assert not again.changed
    assert again.document["changes"] == []
    assert again.shown["before"] == again.shown["after"]
    assert (first.kept, again.kept) == (first.document, first.document)
    text = Reader(reach.page(again.document)).text
    assert "Nothing became wider or narrower since the report of 21 Nov 2026, 07:00 UTC" in text
    nameless = {"previous": json.dumps(first.document), "tenant": {}}
    assert not compose(*BUSY, about=nameless).changed
    # Another declaration is another report, though the tenant is the same.
    assert compose(*BUSY, about={"previous": json.dumps(first.document), "declared": [FAX, ADELE]}).changed


def test_what_was_seen_first_keeps_its_time() -> None:
    first = compose(opening(FAX), at=LAST).document
    second = compose(opening(FAX, ADELE), about={"previous": json.dumps(first)}).document
    seen = {row["address"]: row["ways"][0]["seen_since"] for row in second["applications"][0]["mailboxes"]}
    assert seen == {FAX: LAST, ADELE: AT}


def test_a_diff_shows_the_change_and_since_when() -> None:
    first = compose(opening(FAX), at=LAST).document
    shown = compose(opening(FAX, ADELE), about={"previous": json.dumps(first)}).shown
    added = set(shown["after"]["applications"][f"Mail2DigitalFax ({OURS})"]) - set(
        shown["before"]["applications"][f"Mail2DigitalFax ({OURS})"]
    )
    assert added == {
        "opens exactly 2 mailboxes",
        f"{ADELE}: EWS with full_access_as_app (access policy: Imagicle Digital Fax)",
    }
    assert shown["after"]["changes"][0].startswith(f"wider since 21 Nov 2026, 07:00 UTC: Mail2DigitalFax opens {ADELE}")


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("{", "not JSON"),
        ("[]", "not a report"),
        ('{"host": "contoso"}', "not a report"),
        ('{"host": "contoso", "applications": [{"app_id": "x", "mailboxes": [{"ways": 1}]}]}', "not a report"),
        ('{"host": "contoso", "applications": [{"app_id": "x", "powers": ["y"]}]}', "not a report"),
        ('{"host": "contoso", "applications": [], "declared": 5}', "not a report"),
        ('{"host": "contoso", "applications": [{"app_id": "x", "missing": "y"}]}', "not a report"),
        ('{"host": "contoso", "applications": [{"app_id": "x", "everything_ways": [{"but": 1}]}]}', "not a report"),
        ('{"host": "fabrikam", "applications": []}', "belongs to 'fabrikam'"),
        ('{"host": "contoso", "applications": [], "schema": 99}', "later version"),
        ('{"host": "contoso", "applications": [], "tenant": {"id": "x"}}', "belongs to the tenant x"),
    ],
)
def test_a_report_that_cannot_be_used_is_refused_and_never_taken_for_none(text: str, refused: str) -> None:
    assert refused in reach.read(text, "contoso", TENANT).refused


def test_no_report_is_none_and_a_bare_one_is_taken() -> None:
    assert reach.read("", "contoso") == reach.read(None, "contoso") == reach.Last()
    bare = '{"host": "contoso", "tenant": {"id": null}, "at": "x", "declared": [], "applications": []}'
    assert not reach.read(bare, "contoso", TENANT).refused


def generated(dice: random.Random) -> list[dict[str, t.Any]]:
    """Applications with everything that a report can tell, all of it read."""
    found = []
    for number in range(3):
        boxes = [f"box{one}@contoso.com" for one in range(4)]
        ways = [way(), right(), wide("graph", "Mail.Read"), right("smtp", "SMTP.SendAsApp", alive=False, why="off")]
        rows = [{"address": one, "ways": dice.sample(ways, dice.randint(1, 3))} for one in dice.sample(boxes, 2)]
        everything = dice.random() < 0.3
        powers = [
            {"permission": "P", "what": "w", "opens": "itself"},
            {"permission": "Q", "what": "w", "opens": "others"},
        ]
        people = [{"id": str(one), "name": f"N{one}", "what": "owner"} for one in range(2)]
        if number == 0 or dice.random() < 0.7:
            found.append(
                application(
                    OURS if number == 0 else str(number),
                    f"App {number}",
                    mailboxes=[] if everything else rows,
                    everything=everything,
                    everything_ways=[wide()] if everything else [],
                    powers=dice.sample(powers, dice.randint(0, 2)),
                    people=dice.sample(people, dice.randint(0, 2)),
                )
            )
    return found


def amount(applications: list[dict[str, t.Any]]) -> set[tuple[str, ...]]:
    """What is open, held and had by whom, as a set of plain facts."""
    facts: set[tuple[str, ...]] = set()
    for one in applications:
        app = str(one["app_id"])
        facts |= {(app, "*", *map(str, (w["protocol"], w["permission"]))) for w in one["everything_ways"]}
        facts |= {(app, "P", str(p["permission"])) for p in one["powers"]} | {
            (app, "N", p["id"]) for p in one["people"]
        }
        facts |= {
            (app, row["address"], w["protocol"], w["permission"])
            for row in one["mailboxes"]
            for w in row["ways"]
            if w.get("alive") is not False
        }
    return facts


def test_what_is_told_agrees_with_what_there_is_in_generated_tenants() -> None:
    dice = random.Random(11)
    kinds = set()
    for _tenant in range(60):
        one, other = generated(dice), generated(dice)
        there, back = ({(entry[0], entry[1]) for entry in changes(*pair)} for pair in ((one, other), (other, one)))
        swapped = {"wider": "narrower", "narrower": "wider"}
        assert there == {(swapped[became], kind) for became, kind in back}
        assert bool(there) == (amount(one) != amount(other))
        if amount(one) < amount(other):
            assert {became for became, _kind in there} == {"wider"}
        assert changes(one, one) == []
        kinds |= there
    assert len(kinds) == 12, "every kind of change, both ways"


# --- the table -------------------------------------------------------------------------------------------------


def rows(document: t.Mapping[str, t.Any]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(reach.table(document))))


def test_the_table_has_a_row_for_each_way_power_person_and_gap() -> None:
    found = rows(compose(*BUSY).document)
    assert [(row["kind"], row["mailbox"]) for row in found if row["ours"] == "yes"] == [
        *[("way", ADELE), ("way", FAX), ("way", FAX), ("power", ""), ("power", ""), ("person", "")],
    ]
    assert {row["state"] for row in found if row["kind"] == "way"} == {"alive", "dormant"}
    assert [row["mailbox"] for row in found if row["application"] == "Mail archive"][:2] == ["(every mailbox)"] * 2
    assert [row["detail"] for row in found if row["kind"] == "not read"] == CALENDAR["missing"]


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "\n", " =", "\u200b=", "\N{FULLWIDTH EQUALS SIGN}"])
def test_no_cell_begins_a_formula(begin: str) -> None:
    bad = f'{begin}cmd|"/c calc"!A1'
    power = {"permission": bad, "what": bad, "opens": bad}
    person = {"id": bad, "name": bad, "what": bad}
    ways = [{"address": bad, "ways": [way(bad, bad, model=bad, limited_by=[bad], why=bad)]}]
    one = application(bad, bad, mailboxes=ways, powers=[power], people=[person], missing=[bad], complete=False)
    document = {**compose(one, missing=[bad]).document, "host": bad, "tenant": {"id": bad}}
    cells = [cell for row in rows(document) for cell in row.values() if bad in cell]
    assert len(cells) > 20
    assert all(cell.startswith("'") for cell in cells)


# --- the page --------------------------------------------------------------------------------------------------


def test_the_page_tells_its_three_parts() -> None:
    text = Reader(reach.page(compose(*BUSY).document)).text
    assert f"WIDER THAN DECLARED It opens {ADELE}, and nobody declared that" in text
    first, second, third = re.split(r"\d\. What ", text)[1:]
    assert first.startswith("can open the fax mailbox")
    assert "Mail2DigitalFax" in first
    assert "Mail archive" in first, "what opens everything opens the fax mailbox"
    assert "Meeting rooms" not in first
    assert re.search(rf"{ADELE} NO EWS .* {FAX} yes EWS", second)
    assert "Lidia Holloway, owner of the group Imagicle Digital Fax" in second
    assert re.search(r"Mail archive \S+ opens every mailbox now .*Exchange automation \S+ can open every", third)
    assert re.search(r"Other applications with power over mail .*Meeting rooms \S+ at least 8 mailboxes", third)


def test_nothing_of_a_tenant_is_markup_and_only_the_page_s_own_script_runs() -> None:
    person = {"id": HOSTILE, "name": HOSTILE, "what": HOSTILE}
    power = {"permission": HOSTILE, "what": HOSTILE, "opens": HOSTILE}
    ways = [{"address": HOSTILE, "ways": [way(HOSTILE, HOSTILE, model=HOSTILE, limited_by=[HOSTILE], why=HOSTILE)]}]
    bad = {"mailboxes": ways, "powers": [power], "people": [person], "missing": [HOSTILE], "complete": False}
    apps = [
        application(name=HOSTILE, **bad),
        application("2", HOSTILE, everything=True, everything_ways=[wide(HOSTILE, HOSTILE)], **bad),
        application("3", HOSTILE, **{**bad, "powers": []}),
    ]
    tenant = {"id": TENANT, "domain": HOSTILE, "name": f"{HOSTILE}2"}
    about = {"host": HOSTILE, "tenant": tenant, "declared": [HOSTILE], "tenant_wide": HOSTILE}
    last = compose(application(), at=LAST, about=about).document
    document = compose(*apps, missing=[HOSTILE], about={**about, "previous": json.dumps(last)}).document
    page = reach.page({**document, "at": HOSTILE, "compared_with": HOSTILE})
    reader = Reader(page)
    assert page.count("<script") == 1
    assert page.count(HOSTILE) == 0
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert not [name for name, _value in reader.attributes if name.startswith("on") or name in ("src", "href")]
    [script] = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in page
    assert "{{" not in script


def test_characters_that_turn_the_reading_direction_are_spelled() -> None:
    page = reach.page(compose(opening(FAX, display_name="Mail\u202exaf\u0000")).document)
    assert "\u202e" not in page
    assert "\\u202e" in page


def test_a_page_of_what_the_design_names_alone() -> None:
    bare = {
        "host": "contoso",
        "tenant": {"id": TENANT},
        "at": AT,
        "declared": [FAX],
        "applications": [
            {
                **{"app_id": OURS, "display_name": "Fax", "complete": True, "missing": [], "everything": False},
                "mailboxes": [{"address": FAX, "ways": [{"protocol": "ews", "permission": "x", "model": "y"}]}],
                **{"powers": [], "people": []},
            }
        ],
    }
    text = Reader(reach.page(bare)).text
    assert "AS DECLARED It opens exactly 1 mailbox" in text
    assert rows(bare)[0]["mailbox"] == FAX
    assert "OPENS NOTHING" in Reader(reach.page({"host": "contoso", "applications": []})).text
    assert reach_changes.compare({}, bare) == []


def test_a_time_zone_that_is_none_is_an_error() -> None:
    with pytest.raises((ValueError, KeyError)):
        reach.page(compose(*BUSY).document, zone="Mars/Olympus")


def test_large_tenants_are_no_trouble() -> None:
    many = [f"user{number}@contoso.com" for number in range(1500)]
    first = compose(opening(*many), at=LAST)
    again = compose(opening(*many), about={"previous": json.dumps(first.document)})
    assert not again.changed
    assert len(again.step["summary"]) < 600
    assert len(first.step["msg"]) < 2000
