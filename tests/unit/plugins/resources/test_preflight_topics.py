# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The topics of application roles, rights and protocols: odd shapes, and what travels only where there is room."""

from __future__ import annotations

import typing as t
from dataclasses import replace

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils import _accesses, _powers, _recipients
from ansible_collections.mail2fax.m365.plugins.module_utils._accesses import Access
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Forbidden, InvalidInput
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet, Output
from ansible_collections.mail2fax.m365.plugins.module_utils._graph import Part
from ansible_collections.mail2fax.m365.plugins.module_utils._permissions import APPLICATION, WELL_KNOWN, Offer
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight import (
    control,
    following,
    granted,
    held,
    licences,
    mailboxes,
    protocols,
    rights,
    wide,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.asking import Answers, Ask, Read
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.desired import Desired
from ansible_collections.mail2fax.m365.plugins.module_utils._proofs import PROOFS
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import Recipient
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.application_state import (
    Desired as ApplicationDesired,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.security_group_state import (
    Desired as GroupDesired,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.grant import Permission
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.model import MODELS
from tests.unit.script import NOW

Json = dict[str, t.Any]

FAX = "fax@contoso.com"
APP = "1cb8b5d2-8724-4f32-8152-a16a230b682b"
SMTP = Access("smtp", "smtp", _accesses.RIGHT, ("SMTP.SendAsApp",))
IMAP = Access("imap", "imap", _accesses.RIGHT, ("IMAP.AccessAsApp",))


def person(address: str = FAX, kind: str = "UserMailbox") -> Recipient:
    return Recipient(f"guid of {address}", kind, address, address, addresses=frozenset({address}))


# --- what travels --------------------------------------------------------------------------------------------


class Exchange:
    """Notes what is sent, and answers nothing."""

    def __init__(self) -> None:
        self.sent: list[list[str]] = []

    def invoke_many(self, cmdlets: t.Sequence[Cmdlet]) -> list[Output]:
        self.sent.append([cmdlet.name for cmdlet in cmdlets])
        return [Output() for _cmdlet in cmdlets]


class Tenant:
    def __init__(self) -> None:
        self.exchange = Exchange()


def read(name: str, spare: int | None = None) -> Read:
    return Read(Cmdlet(f"Get-{name}", {}, name), name, spare)


@pytest.mark.parametrize(
    ("always", "sent"),
    [(0, 4), (1, 5), (7, 10), (9, 10), (10, 10), (11, 15), (20, 20)],
)
def test_what_only_helps_costs_no_request_of_its_own(always: int, sent: int) -> None:
    tenant = Tenant()
    ask = Ask(t.cast("t.Any", tenant), graph=False, exchange=True)
    reads = {f"must {number}": read(f"Must{number}") for number in range(always)}
    spare = {f"spare {number}": read(f"Spare{number}", 3 - number) for number in range(4)}
    answers = ask.topics({"must": reads, "spare": spare})
    (batch,) = tenant.exchange.sent
    assert len(batch) == sent
    assert batch[:always] == [f"Get-Must{number}" for number in range(always)]
    # Of the spare ones the lowest numbers first.
    assert batch[always:] == [f"Get-Spare{number}" for number in (3, 2, 1, 0)][: sent - always]
    assert [answers["spare"].asked(f"spare {number}") for number in (3, 2, 1, 0)] == [
        number < sent - always for number in range(4)
    ]


@pytest.mark.parametrize("count", [1, 24, 25, 26, 60])
def test_what_a_later_step_asks_for_is_asked_in_its_own_words(count: int) -> None:
    """So that it need not ask; and everybody is asked for once, whoever asks."""
    fax = tuple(f"fax{number}@contoso.com" for number in range(count))
    owners = ("owner@contoso.com", "Both@contoso.com")
    wanted = Desired(
        mailboxes=fax,
        control=("adele@contoso.com", "both@contoso.com"),
        group=GroupDesired("fax.group", name="Fax", owners=owners),
        protocols=("smtp",),
    )
    for apart in (False, True):
        names = [("Alias", "fax.group"), ("Name", "Fax")]
        reads = [read.request for read in mailboxes.calls(wanted, names, apart=apart).values()]
        asked = [request for request in reads if isinstance(request, Cmdlet)]
        for name in ("Get-Recipient", "Get-CASMailbox"):
            told = [str(one.parameters["Filter"]).split(" -or ") for one in asked if one.name == name]
            found = [word for page in told for word in page if "smtp:" in word]
            assert sorted(found) == sorted(f"EmailAddresses -eq 'smtp:{one}'" for one in [*fax, *EVERYBODY_ELSE])
            assert all(len(page) <= _recipients.PER_FILTER for page in told)
        group = [one.parameters for one in _recipients.by_address([*fax, *owners], "as the group's step asks")]
        switches = [one.parameters for one in _recipients.by_address(fax, "as the protocols' step asks")]
        if apart:
            assert [one.parameters for one in asked if one.name == "Get-Recipient"][: len(group)] == group
            assert [one.parameters for one in asked if one.name == "Get-CASMailbox"][: len(switches)] == switches


EVERYBODY_ELSE = ("adele@contoso.com", "both@contoso.com", "owner@contoso.com")


@pytest.mark.parametrize(
    ("steps", "app_id", "follows"),
    [
        (("scope_group", "access_policy"), APP, True),
        (("audit", "verify"), APP, True),
        (("client_secret",), APP, False),
        (("scope_group",), None, False),
    ],
)
def test_what_follows_is_asked_for_where_it_may_be_there(
    steps: tuple[str, ...], app_id: str | None, follows: bool
) -> None:
    application = ApplicationDesired(unique_name="fax", trust=None, app_id=app_id)
    wanted = Desired(group=GroupDesired("fax.group"), application=application, steps=steps)
    assert following.of_a_scope(wanted) is follows
    assert following.of_a_scope(replace(wanted, group=None)) is False


# --- the options ---------------------------------------------------------------------------------------------


def test_an_access_is_named_once() -> None:
    one = {"id": "imap", "protocol": "imap", "scoping": _accesses.RIGHT}
    assert _accesses.parse(None, "accesses", models=MODELS, protocols=PROOFS) is None
    assert _accesses.parse([one], "accesses", models=MODELS, protocols=PROOFS) == (
        Access("imap", "imap", _accesses.RIGHT),
    )
    with pytest.raises(InvalidInput, match="'imap' twice"):
        _accesses.parse([one, {**one, "protocol": "pop"}], "accesses", models=MODELS, protocols=PROOFS)


def test_the_resource_of_an_access_follows_from_its_protocol() -> None:
    assert Access("a", "graph", _accesses.ROLE).resource == WELL_KNOWN["microsoft_graph"]
    assert all(Access("a", one, _accesses.ROLE).resource == WELL_KNOWN["exchange_online"] for one in ("ews", "smtp"))


def test_without_accesses_a_policy_limits_everything() -> None:
    assert Desired().models == {_accesses.POLICY}
    assert Desired().by_policy_alone
    assert not Desired(accesses=(SMTP,)).by_policy_alone


def test_what_is_never_granted_takes_no_right_to_revoke_it() -> None:
    held = {"graph": {"Application.ReadWrite.OwnedBy"}, "exchange": None, "roles": None}
    assert Desired(consent="none").grants == frozenset()
    assert _powers.missing(["decommission"], **held, only_for=Desired(consent="none").grants) == []
    lacking = _powers.missing(["decommission"], **held, only_for=Desired().grants)
    assert [one.permission for one in lacking] == [
        *("AppRoleAssignment.ReadWrite.All", "DelegatedPermissionGrant.ReadWrite.All")
    ]


def test_where_nothing_limits_no_control_mailbox_is_picked() -> None:
    open_to_all = Access("mail", "graph", _accesses.WIDE, ("Mail.Send",))
    assert Desired(mailboxes=(FAX,)).picks
    assert not Desired(mailboxes=(FAX,), accesses=(SMTP, open_to_all)).picks
    assert wide.judge(Desired(accesses=(SMTP,))) == []
    accepted = Desired(accesses=(open_to_all,), accepts_tenant_wide="the board, in writing", control=(FAX,))
    assert [one.severity for one in wide.judge(accepted)] == ["warning", "warning"]


# --- protocols -----------------------------------------------------------------------------------------------


def switches(own: t.Any, organization: bool | None, *, opt_in: bool = False, kind: str = "UserMailbox") -> list[str]:
    recipient = person(kind=kind)
    settings = {recipient.guid: {"SmtpClientAuthenticationDisabled": own, "ImapEnabled": True, "PopEnabled": True}}
    found = mailboxes.Facts((recipient,), settings)
    wanted = Desired(mailboxes=(FAX,), accesses=(SMTP,), protocols=("smtp",), protocols_opt_in=opt_in)
    judged = protocols.judge(protocols.Facts(organization), wanted, found, NOW)
    return [f"{one.severity}: {one} {one.cure}" for one in judged.findings]


@pytest.mark.parametrize("own", [False, "False", "false"])
@pytest.mark.parametrize("organization", [True, False])
def test_a_mailbox_s_own_switch_wins(own: t.Any, organization: bool | None) -> None:
    assert switches(own, organization) == []


@pytest.mark.parametrize("own", [None, ""])
def test_a_mailbox_without_one_follows_the_organization(own: t.Any) -> None:
    assert switches(own, False) == []
    (stop,) = switches(own, True)
    assert stop.startswith("blocked: SMTP AUTH: the organization's switch is off")
    (note,) = switches(own, True, opt_in=True)
    assert note.startswith("warning")
    assert "the organization's switch stays as it is" in note


def test_a_switch_of_the_organization_that_cannot_be_read_is_named() -> None:
    assert protocols.blind(protocols.Facts(), Desired(protocols=("smtp",))) == [
        "the organization's switch of SMTP AUTH"
    ]
    assert protocols.blind(protocols.Facts(), Desired(protocols=("imap",))) == []


def test_a_shared_mailbox_is_called_one() -> None:
    (stop,) = switches(True, False, kind="SharedMailbox")
    assert f"the shared mailbox {FAX}" in stop
    assert "mail2fax_protocols_opt_in: true" in stop


def test_the_organization_is_asked_for_smtp_alone() -> None:
    assert protocols.calls(Desired(protocols=("imap", "pop"))) == {}
    assert list(protocols.calls(Desired(protocols=("smtp",)))) == ["organization"]


def test_settings_and_licences_are_asked_for_where_a_protocol_needs_them() -> None:
    wanted = Desired(mailboxes=(FAX,), accesses=(SMTP,), protocols=("smtp",))
    assert sorted(mailboxes.calls(wanted)) == ["plans 0", "recipients 0", "settings 0"]
    assert sorted(mailboxes.calls(Desired(mailboxes=(FAX,)))) == ["recipients 0"]


# --- licences ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "unlicensed", "plan", "used", "words"),
    [
        ("UserMailbox", True, "", SMTP, "no licence with a mailbox"),
        ("SharedMailbox", True, "", SMTP, None),
        ("UserMailbox", False, "ExchangeOnlineDeskless-9c8a", IMAP, "has no IMAP"),
        ("UserMailbox", False, "ExchangeOnlineDeskless-9c8a", SMTP, None),
        ("UserMailbox", False, "ExchangeOnlineEnterprise-9c8a", IMAP, None),
        ("UserMailbox", False, "", IMAP, None),
    ],
)
def test_a_licence_is_judged_by_what_it_is_needed_for(
    kind: str, unlicensed: bool, plan: str, used: Access, words: str | None
) -> None:
    one = person(kind=kind)
    told = licences.judge(one, FAX, [one.guid] if unlicensed else [], {one.guid: plan}, Desired(accesses=(used,)))
    assert [words in str(finding) for finding in told] == ([] if words is None else [True])
    assert all(finding.who == "a License Administrator" for finding in told)


# --- what the application has in Exchange --------------------------------------------------------------------


def test_what_the_operator_may_not_read_is_named() -> None:
    wanted = Desired(accesses=(SMTP,), mailboxes=(FAX,))
    assert held.blind(held.Facts(), wanted, "an id") == [held.POINTER]
    assert held.blind(held.Facts(pointers=()), wanted, "an id") == []
    unread: list[str] = []
    refused = Answers({"pointer": read("ServicePrincipal")}, {"pointer": Output(error=Forbidden("no"))}, unread)
    assert held.take(refused).pointers is None
    assert unread == ["ServicePrincipal"]


def test_rights_that_cannot_be_read_stop_nothing() -> None:
    reads = {f"rights on {FAX}": read("MailboxPermission"), "send as": read("RecipientPermission")}
    facts = held.take(Answers(reads, {name: Output(error=Forbidden("no")) for name in reads}))
    assert facts.full_access == {}
    assert facts.send_as is None


def test_the_page_of_further_mailboxes_leaves_the_named_ones_out() -> None:
    page = control.Facts(candidates=tuple(person(f"user{number}@contoso.com") for number in range(40)))
    wanted = Desired(mailboxes=("User0@contoso.com",), control=("user1@contoso.com",), accesses=(IMAP,))
    found = rights.further(page, wanted, 0)
    assert len(found) == rights.LOOKED_AT - 2
    assert not {"user0@contoso.com", "user1@contoso.com"} & set(found)
    many = Desired(mailboxes=tuple(f"u{number}@contoso.com" for number in range(40)), accesses=(IMAP,))
    assert rights.further(page, many, 1) == []


def test_permissions_in_force_by_name_or_else_by_id() -> None:
    offer = Offer(WELL_KNOWN["microsoft_graph"], "graph", "Microsoft Graph", names={(APPLICATION, "send"): "Mail.Send"})
    roles = ({"resourceId": "GRAPH", "appRoleId": "SEND"}, {"resourceId": "graph", "appRoleId": "new"})
    facts = granted.Facts(roles, (), (offer,))
    assert granted.held(facts, None) == (
        Permission(WELL_KNOWN["microsoft_graph"], "Mail.Send"),
        Permission(WELL_KNOWN["microsoft_graph"], "new"),
    )
    assert granted.held(granted.Facts(), None) is None


def test_a_part_of_graph_is_no_answer_of_exchange() -> None:
    answers = Answers({"pointer": read("ServicePrincipal")}, {"pointer": t.cast("t.Any", Part(200, {}))})
    assert answers.output("pointer") is None


def test_a_check_that_was_switched_off_is_told() -> None:
    """As a warning of the preflight, which stands in table, sheet and result."""
    from ansible_collections.mail2fax.m365.plugins.module_utils._preflight import host

    (found,) = host.judge(host.Facts(name="exchange.contoso.com", unchecked=True), Desired())
    assert "the certificate of exchange.contoso.com is not checked" in found.sentence()
    assert found.severity == "warning"
    assert host.judge(host.Facts(name="exchange.contoso.com"), Desired()) == []
