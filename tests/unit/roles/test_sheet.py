# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hand-over sheet: what it says in each state, and that nothing in it is taken for markup."""

from __future__ import annotations

import pathlib
import re
import typing as t
from html.parser import HTMLParser

import pytest
import yaml

from ansible_collections.mail2fax.m365.plugins.module_utils import _proofs
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping import model as _scoping_model
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _profile, _sheet
from tests.tools import layout

HOSTILE = "<script>alert(1)</script>\"' & {{ 7 * 7 }}"


def document(**changes: t.Any) -> dict[str, t.Any]:
    return {
        "host": "contoso",
        "at": "2026-11-21T12:00:00Z",
        "mode": "apply",
        "state": "ready",
        "outcome": "changed",
        "tenant": {"id": "969d5b92-bc05-403f-b576-97201b665e65", "domain": "contoso.com", "name": "Contoso"},
        "ids": {"application_id": "1cb8b5d2-8724-4f32-8152-a16a230b682b"},
        "application": {"display_name": "Mail2DigitalFax"},
        "group": {"address": "fax.group@contoso.com", "alias": "fax.group"},
        "secret": {
            "display_name": "Secret",
            "key_id": "00000000-0000-4000-8000-000000000005",
            "end_date_time": "2027-11-21T12:00:00Z",
            "renew_from": "2027-10-22T12:00:00Z",
            "stored_in": {"backend": "vault_file", "place": "/srv/fax server/contoso.yml"},
        },
        "steps": [{"step": "preflight", "outcome": "ok", "summary": "fine"}],
        "mailboxes": [
            {
                "mailbox": "fax@contoso.com",
                "expected": "granted",
                "verdict": "Granted",
                "verdict_at": "2026-11-21T12:00:00Z",
                "probe": "opened",
                "probe_at": "2026-11-21T12:00:01Z",
                "as_expected": True,
            }
        ],
        "pending": [],
        "pending_until": None,
        "unprotected": "none",
        "warnings": [],
        **changes,
    }


def render(doc: dict[str, t.Any], profile: str = "imagicle_ews", scoping: t.Any = None, **about: t.Any) -> str:
    known = {"zone": "UTC", "contacts": {}, "prepared_by": "", "ticket": "", "cloud": "global", "host": "contoso"}
    return _sheet.render(doc, _profile.load(profile, scoping=scoping), **{**known, **about})


def tried(address: str, expected: str, **seen: str) -> dict[str, t.Any]:
    """A mailbox with a proof for each access: ``imap="opened"``."""
    at = "2026-11-21T12:00:01Z"
    return {
        **document()["mailboxes"][0],
        "mailbox": address,
        "expected": expected,
        "verdict": "Granted" if expected == "granted" else "Denied",
        "proofs": [{"access": access, "verdict": verdict, "at": at} for access, verdict in seen.items()],
    }


class Reader(HTMLParser):
    """The elements, whether they are closed in order, and the text as a person sees it."""

    VOID: t.ClassVar = {"meta", "br", "img", "link", "input"}

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def test_ready_tells_what_to_type_where_and_where_the_secret_lies() -> None:
    page = render(document())
    text = Reader(page).text
    assert "READY" in text
    assert "NOT READY" not in text
    assert re.search(r"Application ID .*1cb8b5d2.* Directory ID .*969d5b92.* Client Secret .*Not printed here", text)
    assert "ansible-vault view '/srv/fax server/contoso.yml'" in text
    assert "Valid until 21 Nov 2027 ; it will be renewed from 22 Oct 2027 on" in text
    assert "outlook.office365.com , port 443" in text
    assert "Exchange's verdict, 21 Nov 2026, 12:00 UTC" in text
    assert "must get in Granted opened" in text
    assert "00000000-0000-4000-8000-000000000005" not in page, "the secret's id is what gets pasted by mistake"
    assert "Ends on 1 Apr 2027" in text
    for error in _profile.load("imagicle_ews")["errors"]:
        assert error["seen"] in text


def test_mail_is_typed_by_host_port_encryption_method_and_user() -> None:
    doc = document(mailboxes=[tried("fax@contoso.com", "granted", imap="opened", smtp="signed_in")])
    text = Reader(render(doc, "imagicle_imap_smtp", cloud="gcc_high")).text
    assert (
        "Connection Host Port Encryption Sign-in User name "
        "IMAP, to receive outlook.office365.us 993 TLS OAuth 2.0 (XOAUTH2) fax@contoso.com "
        "SMTP, to send smtp.office365.us 587 STARTTLS OAuth 2.0 (XOAUTH2) fax@contoso.com"
    ) in text
    two = [*doc["mailboxes"], tried("fax2@contoso.com", "granted", imap="opened", smtp="signed_in")]
    assert "(XOAUTH2) the mailbox's address" in Reader(render(document(mailboxes=two), "imagicle_imap_smtp")).text


def test_graph_is_typed_by_tenant_client_secret_and_endpoint() -> None:
    text = Reader(render(document(), "graph_mail", cloud="china")).text
    assert "Tenant ID 969d5b92-bc05-403f-b576-97201b665e65" in text
    assert "Client ID 1cb8b5d2-8724-4f32-8152-a16a230b682b" in text
    endpoint = "https://login.chinacloudapi.cn/969d5b92-bc05-403f-b576-97201b665e65/oauth2/v2.0/token"
    assert f"Token endpoint {endpoint}" in text
    assert "Scope https://microsoftgraph.chinacloudapi.cn/.default" in text
    assert "Microsoft Graph over HTTPS, host microsoftgraph.chinacloudapi.cn , port 443" in text
    # SMTP has a host of its own, and one token with the others.
    assert "Scope https://partner.outlook.cn/.default" in Reader(render(document(), "smtp_send", cloud="china")).text
    draft = document(state="draft", tenant={"id": None, "domain": None, "name": None}, secret=None, mailboxes=[])
    assert "Token endpoint not yet known" in Reader(render(draft, "graph_mail")).text


def test_each_way_in_is_proven_and_limited_for_itself() -> None:
    doc = document(
        state="wait",
        outcome="pending",
        pending=[{"step": "mailbox_probe", "what": "the role is not in force", "until": "2026-11-21T14:00:00Z"}],
        pending_until="2026-11-21T14:00:00Z",
        mailboxes=[
            tried("fax@contoso.com", "granted", imap="opened", smtp="refused"),
            tried("AdeleV@contoso.com", "denied", imap="no_mailbox", smtp="refused"),
        ],
    )
    doc["mailboxes"][0]["as_expected"] = False
    text = Reader(render(doc, "imap_smtp_least")).text
    assert "IMAP: An entry of the application on each of these mailboxes: FullAccess." in text
    assert "SMTP: Exchange's role Application SMTP.SendAsApp for the direct members of the group" in text
    assert "must get in Granted IMAP: opened SMTP: refused – not yet as it must be" in text
    assert "must be kept out Denied IMAP: no such mailbox SMTP: refused" in text
    assert "Over IMAP nothing was refused on the wire" in text
    assert "WAIT until 21 Nov 2026, 14:00 UTC" in text
    assert "A change takes half an hour to two hours" in text
    assert "No consent in the portal to SMTP.SendAsApp: it would stop the sending." in text
    assert "IMAP and SMTP must stay on" in text
    assert re.findall(r"\b([1-9])\. [A-Z]", text) == list("12345")


def test_what_nothing_limits_says_so_in_the_words_of_who_accepted_it() -> None:
    words = "Calendars of everybody, J. Doe, CHG 0012345 <b>"
    text = Reader(render(document(tenant_wide=words), "imagicle_attendant_calendar", "tenant_wide")).text
    assert (
        f"NOTHING limits it: Calendars.Read opens every mailbox of the tenant. Accepted with the words: {words}" in text
    )
    assert ", group" not in text


def test_what_is_known_of_the_mail_client_is_told() -> None:
    text = Reader(render(document(), "imagicle_imap_smtp", client="curl")).text
    assert "With curl:" in text
    assert "It does not show what the server said." in text
    assert "With curl" not in Reader(render(document(), "imagicle_imap_smtp", client="ours")).text
    assert (
        "It is not known to sign in to Graph with a token"
        in Reader(render(document(), "graph_mail", client="curl")).text
    )


def test_a_seventh_profile_with_a_protocol_and_a_model_of_its_own_has_its_sheet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One file, and a line in each of two tables: nothing here knows their names."""

    class Toy:
        name = "by_moonlight"
        needs_consent = False
        makes: t.ClassVar = ("scope_group",)
        needs_role = switched_off = None
        service = opened_by = "toy"

        @staticmethod
        def audience(cloud: t.Any) -> str:
            return str(cloud.exchange_audience)

    monkeypatch.setitem(_scoping_model.MODELS, Toy.name, t.cast("t.Any", Toy))
    monkeypatch.setitem(_proofs.PROOFS, "toy", t.cast("t.Any", Toy))
    file = yaml.safe_load((_profile.FOLDER / "smtp_send.yml").read_text(encoding="utf-8"))
    file["accesses"] = [{"id": "toy", "protocol": "toy", "permissions": ["Toy.Read"], "scoping": Toy.name}]
    file["handover"]["fields"] = [one for one in file["handover"]["fields"] if not one.get("access")]
    file["errors"] = [one for one in file["errors"] if not one.get("access")]
    profile = _profile.resolve(_profile.check(file, "seventh"))
    assert profile["steps"][:3] == ["preflight", "application", "scope_group"]
    known = {"zone": "UTC", "contacts": {}, "prepared_by": "", "ticket": "", "cloud": "dod", "host": "contoso"}
    doc = document(mailboxes=[tried("fax@contoso.com", "granted", toy="half_open")])
    text = Reader(_sheet.render(doc, profile, **known)).text
    assert "TOY: By the model by moonlight." in text
    assert "Granted half open" in text


def test_one_policy_for_one_way_in_needs_no_more_words_than_ever() -> None:
    text = Reader(render(document())).text
    assert "What the application may open" not in text
    assert re.findall(r"\b([1-9])\. [A-Z]", text) == list("1234")


def test_a_new_secret_says_how_long_the_one_before_works() -> None:
    renewed = {**document()["secret"], "previous_until": "2026-11-28T12:00:00Z"}
    assert "type it in before <b>28 Nov 2026</b>" in render(document(secret=renewed))
    for secret in (document()["secret"], {**renewed, "previous_until": "2026-11-21T11:00:00Z"}):
        assert "type it in before" not in render(document(secret=secret))


def test_a_time_that_all_share_is_said_once_and_others_with_each() -> None:
    later = {**document()["mailboxes"][0], "mailbox": "fax2@contoso.com", "verdict_at": "2026-11-21T13:30:00Z"}
    text = Reader(render(document(mailboxes=[document()["mailboxes"][0], later]))).text
    assert "Granted 21 Nov 2026, 12:00 UTC opened" in text
    assert "Granted 21 Nov 2026, 13:30 UTC opened" in text
    assert text.count("Tried as the application, 21 Nov 2026, 12:00 UTC") == 1


def test_wait_tells_until_when() -> None:
    pending = [{"step": "mailbox_probe", "what": "not in force", "until": "2026-11-21T13:00:00Z"}]
    doc = document(state="wait", pending=pending, pending_until="2026-11-21T13:00:00Z")
    text = Reader(render(doc, zone="Europe/Rome")).text
    assert "WAIT until 21 Nov 2026, 14:00 CET" in text
    assert "not in force, until 21 Nov 2026, 14:00 CET" in text
    assert "WAIT You may" not in text
    text = Reader(render(document(state="wait", pending=[{"what": "no negative proof", "until": None}]))).text
    assert "WAIT Everything is set" in text


def test_a_draft_tells_what_stands_in_the_way() -> None:
    steps = [
        {"step": "preflight", "outcome": "ok", "summary": "fine"},
        {"step": "application", "outcome": "blocked", "summary": "taken", "msg": "The name is taken. Choose another."},
    ]
    ids = {"application_id": None}
    text = Reader(render(document(state="draft", steps=steps, ids=ids, secret=None, mailboxes=[]))).text
    assert "NOT READY (DRAFT)" in text
    assert "Application, blocked: The name is taken. Choose another." in text
    assert "not yet known" in text
    assert "not yet made" in text
    assert "Then test" not in text
    assert "If it does not work" not in text, "nothing can have been typed in yet"
    assert "3. To know" in text


def test_removed_tells_what_is_left() -> None:
    text = Reader(render(document(state="removed", secret=None, leftovers=["The group stays."]))).text
    assert "REMOVED" in text
    assert "The group stays." in text
    assert "Client Secret" not in text


def test_reach_that_must_not_be_is_seen() -> None:
    mailbox = {**document()["mailboxes"][0], "expected": "denied", "as_expected": False}
    text = Reader(render(document(mailboxes=[mailbox], unprotected="the application can reach a@b.example"))).text
    assert "must be kept out" in text
    assert "not as it must be" in text
    assert "Not safe yet, or not known to be: the application can reach a@b.example" in text


def hostile(value: t.Any) -> t.Any:
    """Every text replaced that does not steer the page."""
    if isinstance(value, dict):
        steering = ("state", "outcome", "step", "expected", "mode", "at", "end_date_time", "renew_from")
        return {key: item if key in steering else hostile(item) for key, item in value.items()}
    if isinstance(value, list):
        return [hostile(item) for item in value]
    return HOSTILE if isinstance(value, str) else value


@pytest.mark.parametrize("state", ["ready", "wait", "draft", "removed"])
def test_nothing_is_taken_for_markup(state: str) -> None:
    steps = [{"step": "preflight", "outcome": "blocked", "summary": "x", "msg": "x"}]
    doc = hostile(document(state=state, steps=steps, leftovers=["x"], pending=[{"what": "x", "until": "x"}]))
    doc["tenant"]["domain"] = HOSTILE
    profile = _profile.load("imagicle_ews")
    wild = hostile(profile)
    for field, wanted in zip(wild["handover"]["fields"], profile["handover"]["fields"], strict=True):
        field["value"] = wanted["value"]
    for error in wild["errors"]:
        error["call"] = "fax"
    page = render(
        doc,
        handover_definition=wild,
        contacts={"fax": HOSTILE, "entra": HOSTILE, "exchange": HOSTILE},
        prepared_by=HOSTILE,
        ticket=HOSTILE,
        host=HOSTILE,
    )
    reader = Reader(page)
    assert "script" not in reader.tags
    assert HOSTILE in reader.text
    assert all(name in ("href", "content", "class", "scope", "data-name", "lang", "charset", "name", "aria-label",
                        "http-equiv", "colspan") for name, _value in reader.attributes)  # fmt: skip


def test_no_text_of_a_profile_with_several_ways_is_taken_for_markup() -> None:
    profile = _profile.load("imap_smtp_least", scoping={"smtp": "application_role"})
    wild = hostile(profile)
    for key in ("accesses", "models", "protocols", "switches"):
        wild[key] = profile[key]
    for row, known in zip(wild["connection"], profile["connection"], strict=True):
        row.update(access=known["access"], protocol=known["protocol"])
    for row, known in zip(wild["handover"]["fields"], profile["handover"]["fields"], strict=True):
        row.update(value=known["value"], access=known.get("access") or "")
    for row, known in zip(wild["errors"], profile["errors"], strict=True):
        row.update(call=known["call"], scoping=known["scoping"], access=known["access"])
    doc = document(
        group={"address": HOSTILE, "alias": HOSTILE},
        tenant_wide=HOSTILE,
        mailboxes=[tried(HOSTILE, "granted", imap=HOSTILE, smtp="opened"), tried(HOSTILE, "denied", imap="no_mailbox")],
    )
    known = {"zone": "UTC", "contacts": {}, "prepared_by": "", "ticket": "", "cloud": "global", "host": HOSTILE}
    page = _sheet.render(doc, wild, **known)
    reader = Reader(page)
    assert "script" not in reader.tags
    assert page.count("<script") == 0
    assert HOSTILE in reader.text


def test_a_long_address_breaks_instead_of_widening_the_page() -> None:
    page = render(document())
    # A mail address offers no place to break; without this rule it decides how wide the table is.
    assert re.search(r"\.proof tbody th \{[^}]*overflow-wrap: anywhere", page)
    assert re.search(r'<table class="proof">.*?<th scope="row">fax@contoso\.com</th>', page, re.DOTALL)


def test_nothing_is_loaded_from_elsewhere() -> None:
    page = render(document())
    reader = Reader(page)
    assert not {"img", "link", "script", "iframe", "object", "base"} & set(reader.tags)
    assert "url(" not in page
    assert "@import" not in page
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in reader.attributes


def test_colours_have_enough_contrast_and_no_meaning_of_their_own() -> None:
    style = (
        (layout.ROOT / "plugins/plugin_utils/sheet.html.j2")
        .read_text(encoding="utf-8")
        .split("<style>")[1]
        .split("</style>")[0]
    )
    named = dict(re.findall(r"--(\w+): (#\w+);", style))
    grounds = ["#ffffff", *re.findall(r"\.state\.[^{]*\{ background: (#\w{6})", style), named["shade"]]
    for ink in (named["ink"], named["soft"], named["mark"]):
        for ground in grounds:
            assert contrast(ink, ground) >= 4.5, (ink, ground)


def contrast(one: str, other: str) -> float:
    """The ratio of WCAG 2."""

    def luminance(colour: str) -> float:
        parts = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_every_option_of_a_role_is_described_and_has_a_default() -> None:
    """No role has a knob that only its tasks know of."""
    for role in sorted(path for path in (layout.ROOT / "roles").iterdir() if path.is_dir()):
        described = set(_yaml(role / "meta" / "argument_specs.yml")["argument_specs"]["main"]["options"])
        defaults = set(_yaml(role / "defaults" / "main.yml"))
        assert described <= defaults, role.name
        # What is worked out inside stands in no description, and bears the role's name all the same.
        assert all(name.startswith(f"{role.name}_") for name in defaults), role.name
        assert {name for name in defaults - described if not name.endswith("_definition")} == set(), role.name


def _yaml(path: pathlib.Path) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", yaml.safe_load(path.read_text(encoding="utf-8")))
