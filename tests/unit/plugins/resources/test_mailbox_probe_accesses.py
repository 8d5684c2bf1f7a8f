# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several accesses in one task: tokens, what each model asks of them, rhythm, messages sent, and what it amounts to."""

from __future__ import annotations

import datetime as dt
import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils._auth import Token
from ansible_collections.mail2fax.m365.plugins.module_utils._door import Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import InvalidInput, ServiceError
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Plan
from ansible_collections.mail2fax.m365.plugins.module_utils._proofs import PROOFS, proof
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.mailbox_probe import DOOR, MailboxProbe
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant
from ansible_collections.mail2fax.m365.plugins.module_utils._time import iso
from tests.unit.plugins.resources.test_mailbox_probe import APP, FAX, OTHER, SECRET, Services
from tests.unit.script import NOW, FakeClock, answer, jwt

Json = dict[str, t.Any]
Says = t.Callable[[str, int], proof.Opening]
"""(mailbox, how often it was asked before) -> what it answers."""

IMAP: Json = {
    "id": "imap",
    "protocol": "imap",
    "permissions": ["IMAP.AccessAsApp"],
    "scoping": "mailbox_permission",
    "roles": [],
}
SMTP_ROLE: Json = {
    "id": "smtp",
    "protocol": "smtp",
    "permissions": ["SMTP.SendAsApp"],
    "scoping": "application_role",
    "roles": ["Application SMTP.SendAsApp"],
}
SMTP_RIGHT: Json = {**SMTP_ROLE, "scoping": "mailbox_permission", "roles": []}
GRAPH: Json = {
    "id": "mail",
    "protocol": "graph",
    "permissions": ["Mail.ReadWrite", "Mail.Send"],
    "scoping": "application_role",
    "roles": [],
}
POINTER = "7cb8b5d2-8724-4f32-8152-a16a230b682b"
ANOTHER = "8cb8b5d2-8724-4f32-8152-a16a230b682b"


def said(verdict: str, reason: str | None = "why", code: str | None = None) -> proof.Opening:
    return proof.Opening(verdict, None if verdict in ("opened", "signed_in") else reason, code)


def as_declared(mailbox: str, _before: int) -> proof.Opening:
    return said("opened" if mailbox == FAX else "refused")


def by_right(mailbox: str, _before: int) -> proof.Opening:
    return said("opened" if mailbox == FAX else "no_permission")


class Worlds:
    """Services by protocol, with what they were asked and by which tokens."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **says: Says) -> None:
        self.asked: list[tuple[str, str]] = []
        self.tokens: list[tuple[str, str]] = []
        self.sent: list[proof.Letter] = []
        self.found: list[proof.Found] = []
        self.send_says = said("opened")
        worlds = self

        for protocol, one in says.items():
            base = PROOFS[protocol]

            class Fake:
                needs_role = base.needs_role
                switched_off = base.switched_off
                service = base.service
                opened_by = base.opened_by
                audience = staticmethod(base.audience)
                sends = protocol == "smtp"
                reads = protocol in ("imap", "graph")
                name, answers = protocol, staticmethod(one)

                def __init__(self, http: t.Any, cloud: t.Any) -> None:
                    """Nothing is opened."""

                def open(self, token: Token, address: str) -> proof.Opening:
                    before = worlds.asked.count((self.name, address))
                    worlds.asked.append((self.name, address))
                    worlds.tokens.append((self.name, token.value))
                    return t.cast("proof.Opening", self.answers(address, before))

                def send(self, token: Token, letter: proof.Letter) -> proof.Opening:
                    worlds.sent.append(letter)
                    return worlds.send_says

                def take(self, token: Token, letter: proof.Letter) -> proof.Found:
                    worlds.tokens.append((self.name, token.value))
                    return worlds.found.pop(0)

            monkeypatch.setitem(PROOFS, protocol, t.cast("t.Any", Fake))


def signed_in(*roles: str, serial: int = 0, oid: str = POINTER) -> t.Any:
    claims = {"roles": list(roles), "appid": APP, "oid": oid, "serial": serial}
    return answer(200, {"token_type": "Bearer", "expires_in": 3599, "access_token": jwt(**claims)})


def look(services: Services, *accesses: Json, check_mode: bool = False, **params: t.Any) -> tuple[Plan, FakeClock]:
    defaults = {name: option.get("default") for name, option in DOOR.argument_spec.options.items()}
    given: Json = {
        "app_secret": SECRET,
        "allowed": [FAX],
        "refused": [OTHER],
        "accesses": list(accesses),
        "patience": 30,
    }
    options = {**defaults, "tenant": "contoso.com", "app_id": APP, **given, **params}
    clock = FakeClock()
    tenant = Tenant(options, environment={}, transport=services, clock=clock)
    resource = MailboxProbe(tenant, Task(options, check_mode))
    return resource.plan(resource.read()), clock


def soon(hours: float) -> list[str]:
    return [iso(NOW + dt.timedelta(hours=hours))]


# --- tokens ------------------------------------------------------------------------------------------------------


def test_two_protocols_of_one_api_take_one_sign_in_and_a_row_for_each_mailbox(monkeypatch: pytest.MonkeyPatch):
    worlds = Worlds(monkeypatch, imap=by_right, smtp=as_declared, graph=as_declared)
    services = Services([signed_in("IMAP.AccessAsApp")])
    result, clock = look(services, IMAP, SMTP_ROLE)
    assert (result.outcome, clock.sleeps, len(services.secrets)) == ("ok", [], 1)
    rows = [(row["mailbox"], row["access"], row["protocol"], row["verdict"]) for row in result.result["probes"]]
    assert rows == [
        (FAX, "imap", "imap", "opened"),
        (FAX, "smtp", "smtp", "opened"),
        (OTHER, "imap", "imap", "no_permission"),
        (OTHER, "smtp", "smtp", "out_of_scope"),
    ]
    assert result.result["accesses"][0] == {
        "access": "imap",
        "protocol": "imap",
        "opened": 1,
        "refused": 1,
        "signed_in": 0,
        "remark": None,
    }
    assert result.summary == "2 opened and 2 refused, as expected"
    assert len({value for _name, value in worlds.tokens}) == 1
    both = Services([signed_in("IMAP.AccessAsApp")])
    look(both, IMAP, GRAPH)
    assert len(both.secrets) == 2, "Microsoft Graph is another API"


def test_under_a_role_nothing_has_to_be_in_the_token_and_under_rights_the_permission(monkeypatch: pytest.MonkeyPatch):
    worlds = Worlds(monkeypatch, imap=as_declared, smtp=as_declared)
    result, clock = look(Services([signed_in()]), SMTP_ROLE)
    assert (result.outcome, clock.sleeps) == ("ok", [])
    result, _clock = look(Services([signed_in()]), IMAP, SMTP_ROLE, patience=1)
    assert result.blocked is not None
    assert "does not carry IMAP.AccessAsApp (it carries none at all)" in result.blocked.message
    assert ("imap", FAX) not in worlds.asked


def test_a_consent_beside_the_role_is_said_and_blocks_unless_it_is_on_its_way_out(monkeypatch: pytest.MonkeyPatch):
    Worlds(monkeypatch, smtp=as_declared, graph=as_declared, imap=as_declared)
    services = Services([signed_in("SMTP.SendAsApp")])
    result, _clock = look(services, SMTP_ROLE, refused=[])
    assert result.blocked is not None
    assert "carries SMTP.SendAsApp (with it Exchange looks for rights on the mailbox" in result.blocked.message
    assert result.blocked.who == "a Cloud Application Administrator or Privileged Role Administrator"
    assert look(services, SMTP_ROLE, refused=[], in_force_by=soon(1))[0].outcome == "ok"
    read = {**GRAPH, "permissions": ["Mail.Read"]}
    wider = Services([signed_in("Mail.ReadWrite")])
    assert look(wider, read, refused=[])[0].outcome == "blocked", "a sibling opens the same"
    limited, _clock = look(wider, read)
    assert limited.outcome == "ok", "each control mailbox is refused, so something limits the consent"
    assert "carries Mail.ReadWrite" in limited.warnings[0]
    assert look(Services([signed_in("IMAP.AccessAsApp")]), IMAP, SMTP_ROLE)[0].outcome == "ok"


def test_a_pointer_with_another_object_id_is_told_apart(monkeypatch: pytest.MonkeyPatch):
    Worlds(monkeypatch, smtp=lambda mailbox, before: said("refused"))
    services = Services([signed_in(oid=ANOTHER)])
    result, _clock = look(services, SMTP_ROLE, object_id=POINTER.upper(), in_force_by=soon(1))
    assert result.blocked is not None
    assert "another object id than the enterprise application" in result.blocked.message
    assert {row["verdict"] for row in result.result["probes"]} == {"wrong_pointer"}
    assert look(services, SMTP_ROLE, object_id=ANOTHER, in_force_by=soon(1))[0].outcome == "pending"


# --- what it amounts to ------------------------------------------------------------------------------------------


def test_a_role_that_is_not_in_force_yet_is_pending_until_its_hour(monkeypatch: pytest.MonkeyPatch):
    worlds = Worlds(monkeypatch, smtp=lambda mailbox, before: said("refused", "AUTH: 535 5.7.3"))
    result, clock = look(Services([signed_in()]), SMTP_ROLE, in_force_by=soon(1.5), wait=60)
    assert (result.outcome, result.pending_until) == ("pending", "2026-11-21T13:30:00Z")
    assert "still refused by SMTP AUTH (AUTH: 535 5.7.3)" in str(result.pending)
    assert (clock.sleeps, len(worlds.asked)) == ([], 2), "a refusal that is asked for every few seconds lives on"
    unknown, _clock = look(Services([signed_in()]), SMTP_ROLE)
    assert (unknown.outcome, unknown.pending_until) == ("pending", "2026-11-21T14:00:00Z")


def test_a_long_wait_looks_every_five_minutes(monkeypatch: pytest.MonkeyPatch):
    worlds = Worlds(
        monkeypatch, smtp=lambda mailbox, before: said("opened" if mailbox == FAX and before == 3 else "refused")
    )
    result, clock = look(Services([signed_in(serial=n) for n in range(9)]), SMTP_ROLE, wait=1800)
    assert result.outcome == "ok"
    assert (sum(clock.sleeps), worlds.asked.count(("smtp", FAX)), worlds.asked.count(("smtp", OTHER))) == (900.0, 4, 1)
    assert len({value for _name, value in worlds.tokens}) > 1, "a token is not used for long"


def test_after_its_hour_a_refusal_is_blocked_with_the_causes_that_are_left(monkeypatch: pytest.MonkeyPatch):
    Worlds(
        monkeypatch,
        smtp=lambda mailbox, before: said("refused"),
        imap=lambda mailbox, before: said("no_permission"),
    )
    role, clock = look(Services([signed_in()]), SMTP_ROLE, in_force_by=soon(-1), wait=900)
    assert role.blocked is not None
    assert clock.sleeps == []
    told = role.blocked.message
    assert "all was in force by 2026-11-21T11:00:00Z" in told
    assert told.index("direct member") < told.index("not assigned") < told.index("service principal")
    right, _clock = look(Services([signed_in("IMAP.AccessAsApp")]), IMAP, in_force_by=soon(-1))
    assert right.blocked is not None
    assert "right on the mailbox is missing" in right.blocked.message
    assert "IMAP is switched off" in right.blocked.message
    assert right.blocked.who == "an Exchange Administrator"


def test_a_control_mailbox_that_opens_is_late_and_then_blocked(monkeypatch: pytest.MonkeyPatch):
    Worlds(monkeypatch, smtp=lambda mailbox, before: said("opened"))
    services = Services([signed_in()])
    assert look(services, SMTP_ROLE, in_force_by=soon(1))[0].outcome == "pending"
    late, _clock = look(services, SMTP_ROLE, in_force_by=soon(-1))
    assert late.blocked is not None
    assert f"{OTHER} opens" in late.blocked.message
    assert "roles of the application" in late.blocked.cure


@pytest.mark.parametrize("verdict", ["protocol_off_mailbox", "protocol_off_tenant", "no_mailbox"])
def test_a_control_mailbox_that_says_nothing_leaves_exchange_s_verdict(verdict: str, monkeypatch: pytest.MonkeyPatch):
    Worlds(monkeypatch, smtp=lambda mailbox, before: said("opened" if mailbox == FAX else verdict))
    services = Services([signed_in()])
    result, clock = look(services, SMTP_ROLE, wait=900)
    assert (result.outcome, clock.sleeps) == ("ok", [])
    assert "nothing was refused on the wire" in result.summary
    row = result.result["accesses"][0]
    assert (row["opened"], row["refused"]) == (1, 0)
    assert "Exchange's own verdict stands" in row["remark"]
    contradicted, _clock = look(services, SMTP_ROLE, configuration_agrees=False)
    assert contradicted.outcome == "blocked"


def test_a_sign_in_by_imap_that_is_refused_beside_an_opening_is_no_refusal(monkeypatch: pytest.MonkeyPatch):
    Worlds(monkeypatch, imap=as_declared)
    result, _clock = look(Services([signed_in("IMAP.AccessAsApp")]), IMAP)
    assert result.outcome == "ok"
    assert result.result["probes"][1]["verdict"] == "protocol_off_mailbox"
    assert "nothing was refused on the wire" in result.summary
    Worlds(monkeypatch, imap=lambda mailbox, before: said("opened" if mailbox == FAX else "refused"))
    both, _clock = look(Services([signed_in("IMAP.AccessAsApp")]), IMAP, allowed=[FAX, OTHER], refused=[])
    assert both.outcome == "pending", "a fax mailbox may be late"


def test_one_control_mailbox_that_is_refused_is_enough(monkeypatch: pytest.MonkeyPatch):
    third = "bob@contoso.com"
    Worlds(
        monkeypatch,
        smtp=lambda mailbox, before: said({FAX: "opened", OTHER: "refused"}.get(mailbox, "protocol_off_mailbox")),
    )
    result, _clock = look(Services([signed_in()]), SMTP_ROLE, refused=[OTHER, third])
    assert (result.outcome, result.result["accesses"][0]["remark"]) == ("ok", None)


def test_a_refusal_counts_only_beside_an_opening(monkeypatch: pytest.MonkeyPatch):
    Worlds(monkeypatch, imap=lambda mailbox, before: said("no_permission"))
    result, _clock = look(Services([signed_in("IMAP.AccessAsApp")]), IMAP, in_force_by=soon(1))
    row = result.result["accesses"][0]
    assert (result.outcome, row["refused"]) == ("pending", 0)
    assert "no refusal counts before a mailbox opens" in row["remark"]


def test_a_protocol_that_is_off_for_a_fax_mailbox_is_blocked_with_what_opens_it(monkeypatch: pytest.MonkeyPatch):
    Worlds(monkeypatch, smtp=lambda mailbox, before: said("protocol_off_tenant", "AUTH: 535 5.7.139"))
    services = Services([signed_in()])
    result, _clock = look(services, SMTP_ROLE)
    assert result.blocked is not None
    assert result.blocked.message == f"SMTP AUTH is blocked for {FAX}: AUTH: 535 5.7.139"
    assert "mail2fax_protocols_opt_in" in result.blocked.cure
    late, _clock = look(services, SMTP_ROLE, in_force_by=soon(1))
    assert (late.outcome, late.pending_until) == ("pending", "2026-11-21T13:00:00Z")


def test_a_sign_in_that_proves_nothing_leaves_what_was_read_back(monkeypatch: pytest.MonkeyPatch):
    Worlds(monkeypatch, smtp=lambda mailbox, before: said("signed_in"))
    services = Services([signed_in("SMTP.SendAsApp")])
    result, clock = look(services, SMTP_RIGHT, wait=600)
    assert (result.outcome, clock.sleeps) == ("ok", [])
    assert result.summary.startswith("2 signed in, as expected; smtp: signing in proves nothing here")
    assert [row["as_expected"] for row in result.result["probes"]] == [True, True]
    wrong, _clock = look(services, SMTP_RIGHT, configuration_agrees=False)
    assert wrong.blocked is not None
    assert f"nothing was proved of {FAX}" in wrong.blocked.message


def test_a_missing_fax_mailbox_and_a_service_that_asks_to_wait_fail(monkeypatch: pytest.MonkeyPatch):
    Worlds(monkeypatch, smtp=lambda mailbox, before: said("no_mailbox"))
    with pytest.raises(ServiceError, match=rf"no mailbox behind {FAX}\. What"):
        look(Services([signed_in()]), SMTP_ROLE)
    Worlds(monkeypatch, smtp=lambda mailbox, before: said("throttled", "it asks to wait 92 seconds"))
    with pytest.raises(ServiceError, match="92 seconds") as caught:
        look(Services([signed_in()]), SMTP_ROLE)
    assert "raise patience" in caught.value.cure


def test_ews_that_opens_late_says_nothing_of_the_policy(monkeypatch: pytest.MonkeyPatch):
    ews = {
        "id": "ews",
        "protocol": "ews",
        "permissions": ["full_access_as_app"],
        "scoping": "application_access_policy",
    }
    Worlds(monkeypatch, ews=lambda mailbox, before: said("denied_by_policy"))
    services = Services([signed_in("full_access_as_app")])
    result, _clock = look(services, ews, ews_in_force_by=soon(-5)[0])
    assert (result.outcome, result.pending_until) == ("pending", "2026-11-21T13:00:00Z")
    both, _clock = look(services, ews, in_force_by=soon(20))
    assert (both.outcome, both.pending_until) == ("pending", "2026-11-21T13:00:00Z")


@pytest.mark.parametrize("verdict", ["no_role", "denied_by_policy", "impersonation_refused"])
def test_under_a_role_ews_has_its_own_words_for_out_of_scope(verdict: str, monkeypatch: pytest.MonkeyPatch):
    ews = {"id": "ews", "protocol": "ews", "permissions": ["full_access_as_app"], "scoping": "application_role"}
    Worlds(monkeypatch, ews=lambda mailbox, before: said("opened" if mailbox == FAX else verdict))
    result, clock = look(Services([signed_in()]), ews, wait=60)
    assert (result.outcome, clock.sleeps) == ("ok", [])
    assert result.result["probes"][1]["verdict"] == "out_of_scope"
    Worlds(monkeypatch, ews=lambda mailbox, before: said(verdict))
    late, _clock = look(Services([signed_in()]), ews)
    assert (late.outcome, late.pending_until) == ("pending", "2026-11-21T14:00:00Z")


# --- a real message ----------------------------------------------------------------------------------------------


def test_a_message_is_sent_found_by_imap_and_removed(monkeypatch: pytest.MonkeyPatch):
    worlds = Worlds(monkeypatch, imap=as_declared, smtp=lambda mailbox, before: said("signed_in"))
    worlds.found = [proof.Found(False), proof.Found(False), proof.Found(True, gone=True)]
    result, clock = look(Services([signed_in("IMAP.AccessAsApp", "SMTP.SendAsApp")]), IMAP, SMTP_RIGHT, send=True)
    assert result.outcome == "ok"
    assert clock.sleeps == [0.5, 1.0]
    assert [letter.address for letter in worlds.sent] == [FAX], "nothing is ever sent as a control mailbox"
    row = next(row for row in result.result["probes"] if row["access"] == "smtp" and row["mailbox"] == FAX)
    assert row["verdict"] == "opened"
    assert row["message"] == {"id": worlds.sent[0].message_id, "state": "removed", "reason": None}
    assert result.warnings == []


def test_a_message_that_nobody_can_look_for_is_told(monkeypatch: pytest.MonkeyPatch):
    worlds = Worlds(monkeypatch, smtp=as_declared)
    result, _clock = look(Services([signed_in()]), SMTP_ROLE, send=True)
    assert result.outcome == "ok"
    assert len(result.warnings) == 1
    assert worlds.sent[0].message_id in result.warnings[0]


def test_a_message_that_does_not_arrive_is_pending_and_not_sent_again(monkeypatch: pytest.MonkeyPatch):
    worlds = Worlds(monkeypatch, smtp=as_declared, graph=as_declared)
    worlds.found = [proof.Found(False)] * 40
    result, _clock = look(Services([signed_in()]), GRAPH, SMTP_ROLE, send=True, wait=600)
    assert result.outcome == "pending"
    assert result.pending_until is not None
    assert worlds.sent[0].message_id in str(result.pending)
    assert len(worlds.sent) == 1


def test_a_message_that_is_refused_counts_and_none_is_sent_in_check_mode(monkeypatch: pytest.MonkeyPatch):
    worlds = Worlds(monkeypatch, smtp=lambda mailbox, before: said("signed_in"))
    worlds.send_says = said("no_permission", "DATA: 430 4.2.0")
    services = Services([signed_in("SMTP.SendAsApp")])
    result, _clock = look(services, SMTP_RIGHT, send=True, in_force_by=soon(-1))
    assert result.blocked is not None
    assert "430 4.2.0" in result.blocked.message
    planned, _clock = look(services, SMTP_RIGHT, send=True, check_mode=True)
    assert (planned.outcome, len(worlds.sent)) == ("ok", 1)


def test_a_message_that_may_have_been_taken_is_not_sent_again_in_a_long_wait(monkeypatch: pytest.MonkeyPatch):
    worlds = Worlds(monkeypatch, smtp=as_declared, imap=as_declared)
    worlds.send_says = said("other", "lost", proof.UNSURE)
    worlds.found = [proof.Found(False)] * 20 + [proof.Found(True, gone=True)]
    services = Services([signed_in("IMAP.AccessAsApp", serial=n) for n in range(9)])
    result, _clock = look(services, SMTP_ROLE, IMAP, send=True, wait=300, patience=10)
    assert (result.outcome, len(worlds.sent)) == ("ok", 1)


def test_a_message_of_which_nobody_knows_is_looked_for(monkeypatch: pytest.MonkeyPatch):
    worlds = Worlds(monkeypatch, smtp=as_declared, imap=as_declared)
    worlds.send_says = said("other", "lost", proof.UNSURE)
    worlds.found = [proof.Found(True, gone=True)]
    result, _clock = look(Services([signed_in("IMAP.AccessAsApp")]), SMTP_ROLE, IMAP, send=True)
    assert result.outcome == "ok"


# --- options -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accesses", "params", "words"),
    [
        ([], {}, "accesses is empty"),
        ([IMAP, IMAP], {}, "the id 'imap' twice"),
        ([IMAP], {"in_force_by": ["tomorrow"]}, "in_force_by is 'tomorrow'"),
        ([IMAP], {"object_id": "x"}, "object_id"),
    ],
)
def test_options_that_cannot_be_right(accesses: list[Json], params: Json, words: str):
    services = Services([signed_in()])
    with pytest.raises(InvalidInput, match=words):
        look(services, *accesses, **params)
    assert services.secrets == []
