# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The emulator's Exchange rules, asked directly: no process, no socket."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import random
import typing as t
import urllib.parse
import uuid
import xml.etree.ElementTree as ET

import pytest

from tests.emulator import ews, exchange, exchange_directory, exchange_filter
from tests.emulator.exchange_directory import TEXTS
from tests.emulator.model import PROFILES, Answer, Clock, Document, Principal, Profile, Tenant, World

TENANT = "5f3c1c5e-7e1c-4b43-9a51-0b2f3f1d8a01"
DOMAIN = "contoso.onmicrosoft.com"
APP = "1cb8b5d2-8724-4f32-8152-a16a230b682b"
OTHER_APP = "2cb8b5d2-8724-4f32-8152-a16a230b682b"
EXCHANGE_ADMINISTRATOR = "29232cdf-9323-42fd-ade2-1d097af3e4de"
RECIPIENT_ADMINISTRATOR = "31392ffb-586c-42d1-9346-e59415a2cc4e"
GLOBAL_READER = "f2ef992c-3afb-46b9-b7cf-a126ee74c451"
GLOBAL_ADMINISTRATOR = "62e90394-69f5-4237-9190-012177145e10"
EVERYBODY = "0997a1d0-0d1d-4acb-b408-d5ca73121e90"
BYPASS = {"BypassSecurityGroupManagerCheck": True}
SLOW = Profile(
    "slow",
    policy_in_force_s=(60, 60),
    ews_in_force_s=(60, 60),
    membership_visible_s=(30, 30),
    group_entra_id_s=(10, 10),
)


def _principal(
    *,
    wids: t.Iterable[str] = (EXCHANGE_ADMINISTRATOR,),
    roles: t.Iterable[str] = ("Exchange.ManageAsApp",),
    audience: str = "https://outlook.office365.com",
    tenant_id: str = TENANT,
    app_id: str = APP,
) -> Principal:
    return Principal(
        tenant_id=tenant_id,
        app_id=app_id,
        object_id=str(uuid.uuid4()),
        display_name="Operator",
        audience=audience,
        roles=frozenset(roles),
        wids=frozenset({EVERYBODY, *wids}),
    )


class Shell:
    """A world with one tenant, and cmdlets run in it over the handler's front door."""

    def __init__(self) -> None:
        # Late in 2026, so that the dated switches are on whatever day the tests run.
        now = dt.datetime.now(dt.UTC)
        clock = Clock(dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC) - now)
        self.world = World(clock=clock, dice=random.Random(7))
        self.tenant = Tenant(id=TENANT, domains=[DOMAIN, "contoso.com"])
        self.world.tenants[TENANT] = self.tenant
        self.operator = _principal()
        for name in ("fax", "adele", "alex"):
            self.mailbox(name)

    def mailbox(self, name: str, **more: t.Any) -> Document:
        keys: Document = {"address": f"{name}@{DOMAIN}", "display_name": name.title()} | more
        return exchange.new_mailbox(self.world, self.tenant, **keys)

    def post(
        self,
        cmdlet: str,
        parameters: Document | None = None,
        *,
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        principal: Principal | None = None,
    ) -> Answer:
        return exchange.handle(
            self.world,
            principal or self.operator,
            None,
            "POST",
            f"/adminapi/beta/{TENANT}/InvokeCommand",
            query or {},
            {"host": "outlook.office365.com", **(headers or {})},
            {"CmdletInput": {"CmdletName": cmdlet, "Parameters": parameters or {}}},
        )

    def run(self, cmdlet: str, **parameters: t.Any) -> list[Document]:
        """The rows of a successful cmdlet, without type annotations."""
        answer = self.post(cmdlet, parameters)
        assert answer.status == 200, answer.body
        return [{key: value for key, value in row.items() if "@" not in key} for row in answer.body["value"]]

    def refused(self, cmdlet: str, **parameters: t.Any) -> tuple[int, str, str]:
        """(status, last part of the exception type, text) of a cmdlet that fails."""
        answer = self.post(cmdlet, parameters)
        assert answer.status >= 400, answer.body
        number, kind, text = answer.body["error"]["details"][0]["message"].split("|", 2)
        assert len(number) == 8
        assert number.startswith("Ex")
        return answer.status, kind.rpartition(".")[2], text

    def warnings(self, cmdlet: str, **parameters: t.Any) -> list[str]:
        return list(self.post(cmdlet, parameters).body["@adminapi.warnings"])

    def group(self, name: str = "Team", **more: t.Any) -> Document:
        return self.run("New-DistributionGroup", Name=name, Type="Security", **more)[0]

    def policy(self, scope: str = "Team", app_id: str = APP, right: str = "RestrictAccess", **more: t.Any) -> Document:
        return self.run(
            "New-ApplicationAccessPolicy", AppId=app_id, PolicyScopeGroupId=scope, AccessRight=right, **more
        )[0]

    def verdict(self, name: str, app_id: str = APP, *, in_force: bool = False) -> str:
        mailbox = exchange_directory.by_address(self.tenant, f"{name}@{DOMAIN}")
        assert mailbox
        return exchange.policy_verdict(self.world, self.tenant, app_id, mailbox, in_force=in_force)


@pytest.fixture
def shell() -> Shell:
    return Shell()


# ---- who may call ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "audience",
    [
        "https://outlook.office365.com",
        "https://outlook.office365.com/",
        "https://outlook.office.com",
        "https://outlook.office365.us",
        "https://partner.outlook.cn",
        "https://webmail.apps.mil/",
        "00000002-0000-0ff1-ce00-000000000000",
    ],
)
def test_exchange_audiences_are_let_in(shell: Shell, audience: str) -> None:
    assert shell.post("Get-AcceptedDomain", principal=_principal(audience=audience)).status == 200


@pytest.mark.parametrize(
    "principal",
    [
        _principal(audience="https://graph.microsoft.com"),
        _principal(roles=()),
        _principal(roles=("full_access_as_app",)),
        _principal(tenant_id="00000000-0000-4000-8000-00000000000f"),
    ],
)
def test_wrong_audience_role_or_tenant_is_unauthorized(shell: Shell, principal: Principal) -> None:
    assert shell.post("Get-AcceptedDomain", principal=principal).status == 401


def test_no_or_bad_token_is_challenged(shell: Shell) -> None:
    for refusal in ("empty", "invalid", "expired", "audience"):
        answer = exchange.handle(
            shell.world, None, refusal, "POST", f"/adminapi/beta/{TENANT}/InvokeCommand", {}, {}, {"CmdletInput": {}}
        )
        assert answer.status == 401
        assert TEXTS["adminapi"]["refusals"][refusal] in answer.headers["WWW-Authenticate"]


def test_without_a_directory_role_the_application_is_named(shell: Shell) -> None:
    answer = shell.post("Get-AcceptedDomain", principal=_principal(wids=()))
    assert answer.status == TEXTS["adminapi"]["directory_role_missing"]["status"]
    assert f"assigned to application {APP} isn't supported in this scenario" in answer.body["error"]["message"]


READS_OF_RECIPIENTS = ("Get-Recipient", "Get-Mailbox", "Get-User", "Get-CASMailbox", "Get-DistributionGroup")


@pytest.mark.parametrize(
    ("role", "allowed", "unknown"),
    [
        (
            RECIPIENT_ADMINISTRATOR,
            (*READS_OF_RECIPIENTS, "New-DistributionGroup", "Get-OrganizationConfig", "Get-AcceptedDomain"),
            ("New-ApplicationAccessPolicy", "Get-ApplicationAccessPolicy", "Set-OrganizationConfig"),
        ),
        (
            GLOBAL_READER,
            (*READS_OF_RECIPIENTS, "Get-ApplicationAccessPolicy", "Test-ApplicationAccessPolicy"),
            ("New-DistributionGroup", "Add-DistributionGroupMember", "Set-OrganizationConfig"),
        ),
        (GLOBAL_ADMINISTRATOR, ("New-ApplicationAccessPolicy", "Set-OrganizationConfig"), ("Get-Nonsense",)),
        (EXCHANGE_ADMINISTRATOR, ("New-ApplicationAccessPolicy", "Get-RoleGroupMember"), ("Get-Nonsense",)),
    ],
)
def test_cmdlets_by_directory_role(shell: Shell, role: str, allowed: tuple[str, ...], unknown: tuple[str, ...]) -> None:
    """An allowed one is judged on its parameters (here often missing); another is answered as if it did not exist."""
    principal = _principal(wids=(role,))
    for cmdlet in allowed:
        assert shell.post(cmdlet, principal=principal).status in (200, 400, 404), cmdlet
    for cmdlet in unknown:
        answer = shell.post(cmdlet, principal=principal)
        assert answer.status == 403, cmdlet
        assert set(answer.body) == {0}
        assert answer.headers["Content-Encoding"] == "gzip"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", f"/adminapi/v1.0/{TENANT}/InvokeCommand", 405),
        ("GET", f"/adminapi/beta/{TENANT}/InvokeCommand", 405),
        ("POST", f"/adminapi/beta/{TENANT}/Nonsense", 404),
        ("POST", "/adminapi", 404),
        ("POST", "/adminapi/beta/nobody.example/InvokeCommand", 404),
        ("POST", f"/adminapi/beta/{DOMAIN.upper()}/InvokeCommand", 200),
        ("POST", f"/AdminApi/Beta/{TENANT}/invokecommand", 200),
        ("GET", f"/adminapi/v1.0/{TENANT}/EXOModuleFile", 200),
        ("GET", f"/adminapi/beta/{TENANT}/EXOBanner('AutogenSession')", 200),
    ],
)
def test_paths_and_methods(shell: Shell, method: str, path: str, status: int) -> None:
    body = {"CmdletInput": {"CmdletName": "Get-AcceptedDomain"}} if method == "POST" else None
    assert exchange.handle(shell.world, shell.operator, None, method, path, {}, {}, body).status == status


def test_module_file_lists_what_the_caller_may_run(shell: Shell) -> None:
    path = f"/adminapi/v1.0/{TENANT}/EXOModuleFile"
    answer = exchange.handle(shell.world, _principal(wids=(GLOBAL_READER,)), None, "GET", path, {}, {}, None)
    exported = answer.body["value"][0]["exportedCmdlets"].split(",")
    assert "Get-ApplicationAccessPolicy" in exported
    assert "New-ApplicationAccessPolicy" not in exported


@pytest.mark.parametrize(
    "body", [None, [], {}, {"CmdletInput": 1}, {"CmdletInput": {"CmdletName": "Get-User", "Parameters": [1]}}]
)
def test_unreadable_bodies(shell: Shell, body: t.Any) -> None:
    path = f"/adminapi/beta/{TENANT}/InvokeCommand"
    assert exchange.handle(shell.world, shell.operator, None, "POST", path, {}, {}, body).status == 400


# ---- the envelope ---------------------------------------------------------------------------------------------------


def test_rows_carry_type_annotations(shell: Shell) -> None:
    row = shell.post("Get-Mailbox", {"Identity": "fax"}).body["value"][0]
    assert row["Guid@data.type"] == "System.Guid"
    assert row["Guid@odata.type"] == "#Guid"
    assert row["EmailAddresses@odata.type"] == "#Collection(String)"
    assert row["EmailAddresses"] == [f"SMTP:fax@{DOMAIN}"]
    assert row["WhenMailboxCreated@data.type"] == "System.DateTime"
    assert not any(key.startswith("_") for key in row)


def test_error_envelope(shell: Shell) -> None:
    answer = shell.post("Get-Mailbox", {"Identity": "ghost"})
    assert answer.status == 404
    error = answer.body["error"]
    assert (error["code"], error["message"], error["details"][0]["code"]) == (
        "NotFound",
        "Error executing cmdlet",
        "Context",
    )
    assert error["details"][0]["message"].split("|")[1:] == [
        "Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException",
        "The operation couldn't be performed because object 'ghost' couldn't be found on "
        f"'{TEXTS['directory']['server']}'.",
    ]
    assert error["innererror"]["internalexception"]["type"].endswith("DirectInvokeCmdletExecutionException")
    assert answer.body["@adminapi.warnings"] == []


def test_select_limits_the_columns(shell: Shell) -> None:
    rows = shell.post("Get-Mailbox", query={"$select": "Alias,guid"}).body["value"]
    assert [set(row) for row in rows] == [{"Alias", "Guid", "Guid@data.type", "Guid@odata.type"}] * 3


def test_pages_are_fetched_by_sending_the_same_body_again(shell: Shell) -> None:
    for number in range(7):
        shell.mailbox(f"user{number}")
    headers, query, names = {"prefer": "odata.maxpagesize=4"}, {"$select": "Name"}, []
    for _page in range(3):
        answer = shell.post("Get-Mailbox", {"ResultSize": "Unlimited"}, query=query, headers=headers)
        names += [row["Name"] for row in answer.body["value"]]
        assert all(set(row) == {"Name"} for row in answer.body["value"])
        link = answer.body.get("@odata.nextLink")
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(link).query)) if link else {}
    assert link is None
    assert len(names) == len(set(names)) == 10
    assert answer.headers["Preference-Applied"] == "odata.maxpagesize=4"


def test_next_link_of_another_request_is_refused(shell: Shell) -> None:
    link = shell.post("Get-Mailbox", headers={"prefer": "odata.maxpagesize=1"}).body["@odata.nextLink"]
    query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(link).query))
    assert shell.post("Get-User", query=query).status == 400
    assert shell.post("Get-Mailbox", query={"$skiptoken": "nonsense"}).status == 400


def test_result_size_cuts_and_warns(shell: Shell) -> None:
    assert len(shell.run("Get-Mailbox", ResultSize=2)) == 2
    assert "more results available" in shell.warnings("Get-Mailbox", ResultSize=2)[0]
    assert shell.warnings("Get-Mailbox", ResultSize="Unlimited") == []


@pytest.mark.parametrize(
    ("cmdlet", "parameters", "fragment"),
    [
        ("Get-Mailbox", {"Nonsense": 1}, "parameter name 'Nonsense'"),
        ("Get-ApplicationAccessPolicy", {"ResultSize": "Unlimited"}, "parameter name 'ResultSize'"),
        ("Set-OrganizationConfig", {"EwsEnabled": "true"}, "parameter 'EwsEnabled'"),
        ("Get-Mailbox", {"ResultSize": 0}, "parameter 'ResultSize'"),
        ("Get-Mailbox", {"Identity": ["a", "b"]}, "parameter 'Identity'"),
        ("New-DistributionGroup", {"Name": "x", "Type": "Universal"}, "Distribution, Security"),
        ("New-DistributionGroup", {"Type": "Security"}, "mandatory parameters: Name"),
        ("Get-Mailbox", {"WhatIf": True}, "parameter name 'WhatIf'"),
        ("Set-DistributionGroup", {"Identity": "x", "Type": "Security"}, "parameter name 'Type'"),
        (
            "New-DistributionGroup",
            {"Name": "x", "HiddenFromAddressListsEnabled": True},
            "HiddenFromAddressListsEnabled",
        ),
        ("New-ApplicationAccessPolicy", {"AppId": "1cb8b5d2-8724-4g32-8152-a16a230b682b"}, "System.Guid"),
    ],
)
def test_parameters_are_bound_strictly(shell: Shell, cmdlet: str, parameters: Document, fragment: str) -> None:
    status, kind, text = shell.refused(cmdlet, **parameters)
    assert (status, kind) == (400, "ParameterBindingException")
    assert fragment in text


def test_names_of_cmdlets_and_parameters_ignore_case_and_common_parameters_pass(shell: Shell) -> None:
    assert shell.run("get-mailbox", IDENTITY="fax", ErrorAction="Stop")[0]["Alias"] == "fax"
    shell.run("New-DistributionGroup", name="g", type="security", confirm=False)
    typed = {"Members@odata.type": "#Collection(String)", "Members": ["fax"], "@odata.type": "#Exchange.Parameters"}
    assert shell.run("New-DistributionGroup", **{"Name": "typed", **typed})


def test_what_if_does_nothing(shell: Shell) -> None:
    answer = shell.post("New-DistributionGroup", {"Name": "Team", "WhatIf": True})
    assert "Team" in answer.body["@adminapi.confirmationmessage"]
    assert not shell.tenant.groups


# ---- recipients -----------------------------------------------------------------------------------------------------


def test_a_mailbox_goes_by_many_names(shell: Shell) -> None:
    made = shell.mailbox("otto", display_name="Otto Normal", aliases=["o.normal@contoso.com"])
    names = ("otto", "OTTO@contoso.onmicrosoft.com", "o.normal@contoso.com", "smtp:o.normal@contoso.com", "Otto Normal")
    for name in (*names, made["Guid"], made["ExternalDirectoryObjectId"], made["DistinguishedName"], made["Sid"]):
        assert shell.run("Get-Recipient", Identity=name)[0]["Guid"] == made["Guid"], name


def test_two_of_one_name_are_ambiguous(shell: Shell) -> None:
    shell.mailbox("a1", display_name="Same")
    shell.mailbox("a2", display_name="Same")
    assert shell.refused("Get-Recipient", Identity="Same")[:2] == (400, "ManagementObjectAmbiguousException")


@pytest.mark.parametrize("identity", [None, ""])
def test_empty_identity_lists_everything(shell: Shell, identity: str | None) -> None:
    shell.group(Members=["fax"])
    shell.group("Second", Members=["adele"])
    assert len(shell.run("Get-Mailbox", Identity=identity)) == 3
    assert len(shell.run("Get-DistributionGroup", Identity=identity)) == 2
    assert len(shell.run("Get-DistributionGroupMember", Identity=identity)) == 2


def test_each_cmdlet_knows_its_kinds(shell: Shell) -> None:
    kinds = (
        "SharedMailbox",
        "RoomMailbox",
        "MailContact",
        "MailUser",
        "GroupMailbox",
        "User",
        "DynamicDistributionGroup",
    )
    for number, kind in enumerate(kinds):
        shell.mailbox(f"x{number}", type=kind)
    shell.group()

    def details(cmdlet: str) -> set[str]:
        return {row["RecipientTypeDetails"] for row in shell.run(cmdlet)} - {"UserMailbox"}

    assert details("Get-Recipient") == {*kinds, "MailUniversalSecurityGroup"} - {"User"}
    assert details("Get-Mailbox") == {"SharedMailbox", "RoomMailbox"}
    assert details("Get-CASMailbox") == {"SharedMailbox", "RoomMailbox"}
    assert details("Get-User") == {"SharedMailbox", "RoomMailbox", "MailUser", "User"}
    assert details("Get-DistributionGroup") == {"MailUniversalSecurityGroup"}
    rooms = shell.run("Get-Recipient", RecipientTypeDetails=["RoomMailbox", "MailContact"])
    assert {row["RecipientTypeDetails"] for row in rooms} == {"RoomMailbox", "MailContact"}
    valid = {row["RecipientTypeDetails"] for row in shell.run("Get-Recipient") if row["IsValidSecurityPrincipal"]}
    assert valid == {"UserMailbox", "MailUser", "MailUniversalSecurityGroup"}


def test_admins_are_members_of_organization_management(shell: Shell) -> None:
    shell.mailbox("boss", admin=True)
    assert [row["Alias"] for row in shell.run("Get-RoleGroupMember", Identity="organization management")] == ["boss"]
    assert shell.run("Get-RoleGroupMember", Identity="Help Desk") == []
    assert shell.refused("Get-RoleGroupMember", Identity="Nonsense")[0] == 404


def test_accepted_domains(shell: Shell) -> None:
    rows = shell.run("Get-AcceptedDomain")
    assert [(row["DomainName"], row["Default"], row["InitialDomain"]) for row in rows] == [
        (DOMAIN, True, True),
        ("contoso.com", False, False),
    ]


def test_lists_are_sorted_and_searched_on_demand(shell: Shell) -> None:
    shell.mailbox("zed", display_name="Adele Zimmer")
    by_alias = [row["Alias"] for row in shell.run("Get-Mailbox", SortBy="Alias")]
    assert by_alias == ["adele", "alex", "fax", "zed"]
    assert [row["Alias"] for row in shell.run("Get-Recipient", Anr="ADELE", SortBy="Alias")] == ["adele", "zed"]


def test_names_with_stars_at_either_end(shell: Shell) -> None:
    assert {row["Alias"] for row in shell.run("Get-Mailbox", Identity="a*")} == {"adele", "alex"}
    assert {row["Alias"] for row in shell.run("Get-Mailbox", Identity=f"*x@{DOMAIN}")} == {"alex", "fax"}
    assert shell.run("Get-Mailbox", Identity="nobody*") == []


# ---- the filter language --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Alias -eq 'fax'", {"fax"}),
        ("alias -EQ 'FAX'", {"fax"}),
        ("Alias -ne 'fax'", {"adele", "alex", "pat"}),
        ("Alias -like 'a*'", {"adele", "alex"}),
        ("Alias -notlike 'a*'", {"fax", "pat"}),
        ("Alias -eq 'a*'", set()),
        (f"EmailAddresses -eq 'smtp:fax@{DOMAIN}'", {"fax"}),
        (f"EmailAddresses -eq 'fax@{DOMAIN}'", {"fax"}),
        ("EmailAddresses -like '*x@*'", {"fax", "alex"}),
        ("DisplayName -eq 'Pat O''Neil'", {"pat"}),
        ('DisplayName -eq "Pat O\'Neil"', {"pat"}),
        ("DisplayName -eq 'Fax' -or DisplayName -eq 'Alex' -and Alias -eq 'nobody'", {"fax"}),
        ("(DisplayName -eq 'Fax' -or DisplayName -eq 'Alex') -and Alias -like '*x'", {"fax", "alex"}),
        ("-not (Alias -eq 'fax') -and -not Alias -eq 'pat'", {"adele", "alex"}),
        ("HiddenFromAddressListsEnabled -eq $true", set()),
        ("HiddenFromAddressListsEnabled -eq $false", {"fax", "adele", "alex", "pat"}),
        ("CustomAttribute1 -eq $null", {"fax", "adele", "alex", "pat"}),
        ("CustomAttribute1 -ne $null", set()),
        ("RecipientTypeDetails -eq UserMailbox", {"fax", "adele", "alex", "pat"}),
        ("Alias -ge 'alex' -and Alias -lt 'fax'", {"alex"}),
        ("Alias -gt 'alex' -and Alias -le 'fax'", {"fax"}),
    ],
)
def test_filters(shell: Shell, text: str, found: set[str]) -> None:
    shell.mailbox("pat", display_name="Pat O'Neil")
    assert {row["Alias"] for row in shell.run("Get-Recipient", Filter=text)} == found


@pytest.mark.parametrize(
    "text",
    [
        "Alias -eq",
        "Alias 'fax'",
        "Alias -eq 'O'Neil'",
        "(Alias -eq 'fax'",
        "Alias -eq 'fax')",
        "Alias -eq 'fax' -and",
        "Alias -contains 'fax'",
        "Alias -eq $variable",
        "Nonsense -eq 'fax'",
        "'Alias' -eq 'fax'",
    ],
)
def test_bad_filters_are_refused(shell: Shell, text: str) -> None:
    assert shell.refused("Get-Recipient", Filter=text)[:2] == (400, "ParsingException")


def test_filter_text_is_never_a_pattern_or_code() -> None:
    values = {"name": "a.c[x] $env:PATH `n (y) \u202e"}
    quoted = values["name"].replace("'", "''")
    assert exchange_filter.parse(f"Name -eq '{quoted}'")(values.__getitem__)
    assert not exchange_filter.parse("Name -like 'abc*'")(values.__getitem__)
    assert exchange_filter.parse("Name -like 'a.c[*'")(values.__getitem__)


def test_filter_by_membership(shell: Shell) -> None:
    group = shell.group(Members=["fax", "adele"])
    named = group["DistinguishedName"].replace("'", "''")
    assert {row["Alias"] for row in shell.run("Get-Recipient", Filter=f"MemberOfGroup -eq '{named}'")} == {
        "fax",
        "adele",
    }


# ---- groups ---------------------------------------------------------------------------------------------------------


def test_new_security_group_with_all_it_derives(shell: Shell) -> None:
    group = shell.group("Imagicle Digital Fax", Description="For the fax server")
    assert group["Alias"] == "ImagicleDigitalFax"
    assert group["PrimarySmtpAddress"] == f"ImagicleDigitalFax@{DOMAIN}"
    assert group["DisplayName"] == group["Name"] == group["Identity"] == "Imagicle Digital Fax"
    assert group["GroupType"] == "Universal, SecurityEnabled"
    assert group["RecipientType"] == group["RecipientTypeDetails"] == "MailUniversalSecurityGroup"
    assert group["ManagedBy"] == ["Organization Management"]
    assert group["Description"] == ["For the fax server"]
    assert (group["MemberJoinRestriction"], group["MemberDepartRestriction"]) == ("Closed", "Closed")
    assert group["RequireSenderAuthenticationEnabled"] is True
    assert group["HiddenFromAddressListsEnabled"] is False
    assert shell.run("Get-DistributionGroup", Identity="ImagicleDigitalFax") == [group]


def test_type_defaults_to_distribution(shell: Shell) -> None:
    group = shell.run("New-DistributionGroup", Name="List")[0]
    assert (group["RecipientTypeDetails"], group["GroupType"]) == ("MailUniversalDistributionGroup", "Universal")
    assert group["MemberDepartRestriction"] == "Open"


@pytest.mark.parametrize(
    ("name", "alias"),
    [
        ("O'Hara & Söhne", "O'Hara&S?hne"),
        ("Fax $env:TEMP", "Fax$env?TEMP"),
        ("Fax \u202exaF", "Fax?xaF"),
        ('A "quoted" name; x', "A?quoted?name?x"),
    ],
)
def test_odd_names_arrive_as_they_are(shell: Shell, name: str, alias: str) -> None:
    group = shell.group(name, PrimarySmtpAddress=f"odd@{DOMAIN}")
    assert (group["Name"], group["Alias"]) == (name, alias)
    assert shell.run("Get-DistributionGroup", Identity=name)[0]["Guid"] == group["Guid"]
    quoted = name.replace("'", "''")
    assert shell.run("Get-DistributionGroup", Filter=f"Name -eq '{quoted}'")[0]["Guid"] == group["Guid"]
    assert shell.refused("Get-DistributionGroup", Identity=name + "\\")[0] == 404


@pytest.mark.parametrize(
    ("parameters", "kind"),
    [
        ({"Name": "FAX GROUP", "Alias": "new"}, "ADObjectAlreadyExistsException"),
        ({"Name": "fax"}, "ADObjectAlreadyExistsException"),
        ({"Name": "New", "Alias": "FAXGROUP"}, "RecipientTaskException"),
        ({"Name": "New", "PrimarySmtpAddress": f"FAX@{DOMAIN}"}, "ProxyAddressExistsException"),
        ({"Name": "New", "PrimarySmtpAddress": "new@elsewhere.example"}, "NotAcceptedDomainException"),
        ({"Name": "New", "PrimarySmtpAddress": "new"}, "DataValidationException"),
        ({"Name": "New", "Alias": "has space"}, "DataValidationException"),
        ({"Name": "N" * 65}, "DataValidationException"),
        ({"Name": "   "}, "DataValidationException"),
        ({"Name": "New", "DisplayName": "D" * 257}, "DataValidationException"),
        ({"Name": "New", "ManagedBy": ["shared"]}, "RecipientTaskException"),
        ({"Name": "New", "MemberDepartRestriction": "Open"}, "RecipientTaskException"),
        ({"Name": "New", "MemberJoinRestriction": "Open"}, "RecipientTaskException"),
        ({"Name": "New", "MemberDepartRestriction": "ApprovalRequired"}, "RecipientTaskException"),
        ({"Name": "New", "Members": ["ghost"]}, "ManagementObjectNotFoundException"),
        ({"Name": "New", "ManagedBy": ["ghost"]}, "ManagementObjectNotFoundException"),
    ],
)
def test_creation_refused(shell: Shell, parameters: Document, kind: str) -> None:
    shell.group("Fax Group", Alias="faxgroup")
    shell.mailbox("shared", type="SharedMailbox")
    _unused, refused, _unused = shell.refused("New-DistributionGroup", Type="Security", **parameters)
    assert refused == kind
    assert len(shell.tenant.groups) == 1


def test_groups_of_an_owner(shell: Shell) -> None:
    shell.group("Hers", ManagedBy=["adele"])
    shell.group("Nobody's")
    assert [row["Name"] for row in shell.run("Get-DistributionGroup", ManagedBy=f"adele@{DOMAIN}")] == ["Hers"]


def test_a_group_may_keep_its_own_names(shell: Shell) -> None:
    group = shell.group()
    same = {key: group[key] for key in ("Name", "Alias", "PrimarySmtpAddress", "EmailAddresses")}
    assert shell.warnings("Set-DistributionGroup", Identity="Team", **same, **BYPASS)
    shell.group("Second")
    for key, value in {"Name": "TEAM", "Alias": "team", "EmailAddresses": [f"SMTP:team@{DOMAIN}"]}.items():
        assert shell.refused("Set-DistributionGroup", Identity="Second", **{key: value}, **BYPASS)[0] == 400


def test_owners_are_printed_by_name(shell: Shell) -> None:
    assert shell.group(ManagedBy=[f"adele@{DOMAIN}"], CopyOwnerToMember=True)["ManagedBy"] == ["adele"]
    assert [row["Alias"] for row in shell.run("Get-DistributionGroupMember", Identity="Team")] == ["adele"]
    change = {"@odata.type": "#Exchange.GenericHashTable", "Add": ["alex"], "Remove": ["adele"]}
    shell.run("Set-DistributionGroup", Identity="Team", ManagedBy=change, **BYPASS)
    assert shell.run("Get-DistributionGroup", Identity="Team")[0]["ManagedBy"] == ["alex"]
    shell.run(
        "Set-DistributionGroup", Identity="Team", ManagedBy=["Organization Management", "fax@" + DOMAIN], **BYPASS
    )
    assert shell.run("Get-DistributionGroup", Identity="Team")[0]["ManagedBy"] == ["Organization Management", "fax"]
    assert (
        shell.refused("Set-DistributionGroup", Identity="Team", ManagedBy=[], **BYPASS)[1] == "RecipientTaskException"
    )


def test_a_hashtable_has_to_be_announced(shell: Shell) -> None:
    shell.group()
    refused = shell.refused("Set-DistributionGroup", Identity="Team", ManagedBy={"Add": ["alex"]}, **BYPASS)
    assert refused[:2] == (400, "ParameterBindingException")


def test_settings_of_a_group(shell: Shell) -> None:
    shell.group()
    settings = {
        "DisplayName": "Fax \u200fmachines",
        "HiddenFromAddressListsEnabled": True,
        "RequireSenderAuthenticationEnabled": False,
        "Description": "New",
        "CustomAttribute3": "mine",
        "MemberJoinRestriction": "ApprovalRequired",
    }
    assert shell.run("Set-DistributionGroup", Identity="Team", **settings, **BYPASS) == []
    group = shell.run("Get-DistributionGroup", Identity="Team")[0]
    assert {key: group[key] for key in settings} == settings | {"Description": ["New"]}
    warning = shell.warnings("Set-DistributionGroup", Identity="Team", **settings, **BYPASS)
    assert "no settings of 'Team' have been modified" in warning[0]


def test_addresses_of_a_group(shell: Shell) -> None:
    shell.group(PrimarySmtpAddress=f"first@{DOMAIN}")
    shell.run("Set-DistributionGroup", Identity="Team", PrimarySmtpAddress="second@contoso.com", **BYPASS)
    group = shell.run("Get-DistributionGroup", Identity="Team")[0]
    assert group["PrimarySmtpAddress"] == "second@contoso.com"
    assert group["EmailAddresses"] == ["SMTP:second@contoso.com", f"smtp:first@{DOMAIN}"]
    change = {
        "@odata.type": "#Exchange.GenericHashTable",
        "add": ["third@contoso.com"],
        "remove": [f"smtp:first@{DOMAIN}"],
    }
    shell.run("Set-DistributionGroup", Identity="Team", EmailAddresses=change, **BYPASS)
    group = shell.run("Get-DistributionGroup", Identity="third@contoso.com")[0]
    assert group["EmailAddresses"] == ["SMTP:second@contoso.com", "smtp:third@contoso.com"]
    taken = shell.refused("Set-DistributionGroup", Identity="Team", PrimarySmtpAddress=f"fax@{DOMAIN}", **BYPASS)
    assert taken[1] == "ProxyAddressExistsException"


def test_a_renamed_group_keeps_its_policy(shell: Shell) -> None:
    shell.group(Members=["fax"])
    policy = shell.policy()
    shell.run("Set-DistributionGroup", Identity="Team", Name="Renamed", DisplayName="Shown", **BYPASS)
    now = shell.run("Get-ApplicationAccessPolicy", Identity=policy["Identity"])[0]
    assert (now["ScopeIdentity"], now["ScopeName"]) == ("Renamed", "Shown")
    assert (shell.verdict("fax"), shell.verdict("adele")) == ("Granted", "Denied")


@pytest.mark.parametrize(
    ("cmdlet", "parameters"),
    [
        ("Set-DistributionGroup", {"Description": "x"}),
        ("Remove-DistributionGroup", {}),
        ("Add-DistributionGroupMember", {"Member": "adele"}),
        ("Remove-DistributionGroupMember", {"Member": "fax"}),
        ("Update-DistributionGroupMember", {"Members": ["adele"]}),
    ],
)
def test_an_application_has_to_bypass_the_manager_check(shell: Shell, cmdlet: str, parameters: Document) -> None:
    shell.group(Members=["fax"])
    before = copy.deepcopy(shell.tenant.groups)
    for given in ({}, {"BypassSecurityGroupManagerCheck": False}):
        refused = shell.refused(cmdlet, Identity="Team", **parameters, **given)
        assert refused[1] == "OperationRequiresGroupManagerException"
    assert shell.tenant.groups == before
    assert shell.run(cmdlet, Identity="Team", **parameters, **BYPASS) == []
    assert shell.tenant.groups != before


def test_members_come_and_go_one_by_one(shell: Shell) -> None:
    shell.group()
    shell.group("Inner")
    shell.mailbox("contact", type="MailContact")
    shell.mailbox("m365", type="GroupMailbox")
    for member in (f"fax@{DOMAIN}", "Inner", "contact"):
        shell.run("Add-DistributionGroupMember", Identity="Team", Member=member, **BYPASS)
    assert {row["Name"] for row in shell.run("Get-DistributionGroupMember", Identity="Team")} == {
        "fax",
        "Inner",
        "contact",
    }
    add, remove = "Add-DistributionGroupMember", "Remove-DistributionGroupMember"
    assert shell.refused(add, Identity="Team", Member="fax", **BYPASS)[1] == "MemberAlreadyExistsException"
    assert shell.refused(add, Identity="Team", Member="Team", **BYPASS)[0] == 400
    assert shell.refused(add, Identity="Team", Member="m365", **BYPASS)[1] == "RecipientTaskException"
    assert shell.refused(add, Identity="Team", Member="ghost", **BYPASS)[1] == "ManagementObjectNotFoundException"
    shell.run(remove, Identity="Team", Member="fax", **BYPASS)
    assert shell.refused(remove, Identity="Team", Member="fax", **BYPASS)[1] == "MemberNotFoundException"


def test_update_replaces_and_a_hashtable_wipes(shell: Shell) -> None:
    shell.group(Members=["fax", "adele"])
    shell.run("Update-DistributionGroupMember", Identity="Team", Members=["alex", "adele"], **BYPASS)
    assert {row["Alias"] for row in shell.run("Get-DistributionGroupMember", Identity="Team")} == {"alex", "adele"}
    change = {"@odata.type": "#Exchange.GenericHashTable", "Add": ["fax"]}
    shell.run("Update-DistributionGroupMember", Identity="Team", Members=change, **BYPASS)
    assert shell.run("Get-DistributionGroupMember", Identity="Team") == []


def test_a_member_added_and_removed_at_once_is_never_seen(shell: Shell) -> None:
    shell.group(Members=["fax"])
    shell.world.profile = SLOW
    for cmdlet, member in (
        ("Add-DistributionGroupMember", "adele"),
        ("Remove-DistributionGroupMember", "adele"),
        ("Remove-DistributionGroupMember", "fax"),
        ("Add-DistributionGroupMember", "fax"),
    ):
        shell.run(cmdlet, Identity="Team", Member=member, **BYPASS)
        seen = [row["Alias"] for row in shell.run("Get-DistributionGroupMember", Identity="Team")]
        assert seen == ["fax"], cmdlet


def test_too_many_members_at_once(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TEXTS["limits"], "members_at_once", 2)
    shell.group()
    refused = shell.refused(
        "Update-DistributionGroupMember", Identity="Team", Members=["fax", "adele", "alex"], **BYPASS
    )
    assert "at most 2 entries; 3 were given" in refused[2]


def test_two_thousand_members(shell: Shell) -> None:
    for number in range(2000):
        shell.mailbox(f"m{number}")
    shell.group()
    members = [f"m{number}@{DOMAIN}" for number in range(2000)]
    shell.run("Update-DistributionGroupMember", Identity="Team", Members=members, **BYPASS)
    assert len(shell.run("Get-DistributionGroupMember", Identity="Team")) == 1000
    first = shell.post("Get-DistributionGroupMember", {"Identity": "Team", "ResultSize": "Unlimited"}).body
    assert len(first["value"]) == 1000
    assert "@odata.nextLink" in first


def test_a_synchronised_group_belongs_to_the_organisation(shell: Shell) -> None:
    exchange.new_group(shell.world, shell.tenant, name="Synced", dir_synced=True)
    refused = shell.refused("Set-DistributionGroup", Identity="Synced", Description="x", **BYPASS)
    assert "synchronized from your on-premises organization" in refused[2]


def test_removed_group_leaves_other_groups_and_its_policy_denies_everybody(shell: Shell) -> None:
    shell.group(Members=["fax"])
    shell.group("Outer", Members=["Team"])
    shell.policy()
    shell.run("Remove-DistributionGroup", Identity="Team", **BYPASS)
    assert shell.run("Get-DistributionGroupMember", Identity="Outer") == []
    assert exchange.member_addresses(shell.tenant, next(iter(shell.tenant.groups.values()))) == []
    assert not any(group["_members"] for group in shell.tenant.groups.values())
    assert shell.verdict("fax") == "Denied"
    assert len(shell.run("Get-ApplicationAccessPolicy")) == 1


def test_entra_id_and_membership_come_late(shell: Shell) -> None:
    shell.world.profile = SLOW
    assert shell.group(Members=["fax"])["ExternalDirectoryObjectId"] == ""
    assert shell.run("Get-DistributionGroupMember", Identity="Team") == []
    early = next(iter(shell.tenant.groups.values()))["ExternalDirectoryObjectId"]
    assert shell.refused("Get-DistributionGroup", Identity=early)[0] == 404
    shell.world.clock.advance(seconds=11)
    entra_id = shell.run("Get-DistributionGroup", Identity="Team")[0]["ExternalDirectoryObjectId"]
    assert entra_id == early
    assert uuid.UUID(entra_id)
    shell.world.clock.advance(seconds=20)
    assert [row["Alias"] for row in shell.run("Get-DistributionGroupMember", Identity="Team")] == ["fax"]
    shell.run("Remove-DistributionGroupMember", Identity="Team", Member="fax", **BYPASS)
    assert len(shell.run("Get-DistributionGroupMember", Identity=entra_id)) == 1
    refused = shell.refused("Remove-DistributionGroupMember", Identity="Team", Member="fax", **BYPASS)
    assert refused[1] == "MemberNotFoundException"
    shell.world.clock.advance(seconds=31)
    assert shell.run("Get-DistributionGroupMember", Identity="Team") == []


# ---- application access policies ------------------------------------------------------------------------------------


def test_no_policy_is_an_error_not_an_empty_list(shell: Shell) -> None:
    status, kind, text = shell.refused("Get-ApplicationAccessPolicy")
    assert (status, kind) == (404, "ManagementObjectNotFoundException")
    assert f"'OU={DOMAIN},OU=Microsoft Exchange Hosted Organizations" in text
    assert "\\*'" in text


def test_new_policy_prints_every_field(shell: Shell) -> None:
    group = shell.group(DisplayName="Fax machines")
    policy = shell.policy(Description="Restrict")
    sid = shell.run("Get-Recipient", Identity="Team")[0]["Sid"]
    assert policy == {
        "ScopeName": "Fax machines",
        "ScopeIdentity": "Team",
        "Identity": f"{TENANT}\\{APP}:{sid};{group['ExternalDirectoryObjectId']}",
        "AppId": APP,
        "ScopeIdentityRaw": f"{sid};{group['ExternalDirectoryObjectId']}",
        "Description": "Restrict",
        "AccessRight": "RestrictAccess",
        "ShardType": "All",
        "IsValid": True,
        "ObjectState": "Unchanged",
    }
    assert shell.run("Get-ApplicationAccessPolicy") == [policy]
    generated = shell.policy(app_id=OTHER_APP)["Description"]
    assert generated.startswith(f"AppId: {OTHER_APP}; ScopeIdentitySid: {sid}; ScopeIdentityOid: ")


def test_several_applications_make_a_policy_each(shell: Shell) -> None:
    shell.group()
    made = shell.run(
        "New-ApplicationAccessPolicy",
        AppId=[APP.upper(), OTHER_APP],
        PolicyScopeGroupId="Team",
        AccessRight="denyaccess",
    )
    assert [(policy["AppId"], policy["AccessRight"]) for policy in made] == [
        (APP, "DenyAccess"),
        (OTHER_APP, "DenyAccess"),
    ]


def test_restrict_and_deny_on_one_group_collide(shell: Shell) -> None:
    shell.group()
    shell.policy()
    refused = shell.refused(
        "New-ApplicationAccessPolicy", AppId=APP, PolicyScopeGroupId="Team", AccessRight="DenyAccess"
    )
    assert refused[1] == "ADObjectAlreadyExistsException"


@pytest.mark.parametrize(
    ("kind", "fits"),
    [
        ("UserMailbox", True),
        ("MailUser", True),
        ("SharedMailbox", False),
        ("RoomMailbox", False),
        ("EquipmentMailbox", False),
        ("DiscoveryMailbox", False),
        ("MailContact", False),
        ("GroupMailbox", False),
        ("DynamicDistributionGroup", False),
        ("PublicFolder", False),
    ],
)
def test_the_scope_has_to_be_a_security_principal(shell: Shell, kind: str, fits: bool) -> None:
    shell.mailbox("scope", type=kind)
    parameters = {"AppId": APP, "PolicyScopeGroupId": f"scope@{DOMAIN}", "AccessRight": "RestrictAccess"}
    answer = shell.post("New-ApplicationAccessPolicy", parameters)
    assert answer.status == (200 if fits else 400)
    if not fits:
        assert "isn't a security principal" in answer.body["error"]["details"][0]["message"]


def test_a_plain_list_is_no_scope_and_a_missing_one_is_not_found(shell: Shell) -> None:
    shell.run("New-DistributionGroup", Name="List")
    parameters = {"AppId": APP, "AccessRight": "RestrictAccess"}
    assert shell.refused("New-ApplicationAccessPolicy", PolicyScopeGroupId="List", **parameters)[0] == 400
    assert shell.refused("New-ApplicationAccessPolicy", PolicyScopeGroupId="Ghost", **parameters)[0] == 404


def test_policies_have_little_room(shell: Shell) -> None:
    shell.group()
    made = 0
    while True:
        parameters = {
            "AppId": str(uuid.uuid4()),
            "PolicyScopeGroupId": "Team",
            "AccessRight": "DenyAccess",
            "Description": "x",
        }
        answer = shell.post("New-ApplicationAccessPolicy", parameters)
        if answer.status != 200:
            break
        made += 1
    assert made == 300
    assert "total size of App Access Policies exceeded" in answer.body["error"]["details"][0]["message"]
    assert len(shell.tenant.application_access_policies) == 300
    identity = next(iter(shell.tenant.application_access_policies))
    refused = shell.refused("Set-ApplicationAccessPolicy", Identity=identity, Description="longer")
    assert "total size" in refused[2]
    assert shell.run("Get-ApplicationAccessPolicy", Identity=identity)[0]["Description"] == "x"


def test_only_the_description_of_a_policy_can_be_set(shell: Shell) -> None:
    shell.group()
    identity = shell.policy(Description="old")["Identity"]
    shell.run("Set-ApplicationAccessPolicy", Identity=identity, Description="it's $new")
    assert shell.run("Get-ApplicationAccessPolicy", Identity=identity)[0]["Description"] == "it's $new"
    refused = shell.refused("Set-ApplicationAccessPolicy", Identity=identity, AccessRight="DenyAccess")
    assert refused[1] == "ParameterBindingException"
    assert shell.run("Get-ApplicationAccessPolicy", Identity=identity.partition("\\")[2].upper())
    shell.run("Remove-ApplicationAccessPolicy", Identity=identity, Confirm=False)
    assert shell.refused("Remove-ApplicationAccessPolicy", Identity=identity)[0] == 404


def test_order_of_evaluation(shell: Shell) -> None:
    assert shell.verdict("fax") == "Granted"  # no policy at all
    shell.group("A", Members=["fax", "adele"])
    shell.group("B", Members=["adele"])
    shell.policy("A")
    assert [shell.verdict(name) for name in ("fax", "adele", "alex")] == ["Granted", "Granted", "Denied"]
    assert shell.verdict("alex", OTHER_APP) == "Granted"
    shell.policy("B", right="DenyAccess")
    assert [shell.verdict(name) for name in ("fax", "adele", "alex")] == ["Granted", "Denied", "Denied"]
    shell.run("Remove-ApplicationAccessPolicy", Identity=shell.run("Get-ApplicationAccessPolicy")[0]["Identity"])
    assert [shell.verdict(name) for name in ("fax", "adele", "alex")] == ["Granted", "Denied", "Granted"]


def test_two_restrictions_add_up_and_a_star_is_every_application(shell: Shell) -> None:
    shell.group("A", Members=["fax"])
    shell.group("B", Members=["adele"])
    shell.policy("A")
    shell.policy("B", app_id="*")
    assert [shell.verdict(name) for name in ("fax", "adele", "alex")] == ["Granted", "Granted", "Denied"]
    assert shell.verdict("fax", OTHER_APP) == "Denied"


def test_nested_groups_count_even_in_a_ring(shell: Shell) -> None:
    shell.group("Inner", Members=["fax"])
    shell.group("Middle", Members=["Inner"])
    shell.group("Outer", Members=["Middle"])
    shell.run("Add-DistributionGroupMember", Identity="Inner", Member="Outer", **BYPASS)
    shell.policy("Outer")
    assert [shell.verdict(name) for name in ("fax", "adele")] == ["Granted", "Denied"]


def test_the_test_cmdlet_reads_configuration(shell: Shell) -> None:
    shell.world.profile = SLOW
    shell.group(Members=["fax"])
    shell.policy()
    row = shell.run("Test-ApplicationAccessPolicy", Identity=f"adele@{DOMAIN}", AppId=APP)[0]
    mailbox = shell.run("Get-Mailbox", Identity="adele")[0]
    assert row["AccessCheckResult"] == "Denied"
    assert (row["Mailbox"], row["MailboxId"], row["AppId"]) == ("adele", mailbox["Guid"], APP)
    assert shell.verdict("adele", in_force=True) == "Granted"
    unknown = shell.run("Test-ApplicationAccessPolicy", Identity="adele", AppId=str(uuid.uuid4()))[0]
    assert unknown["AccessCheckResult"] == "Granted"
    assert shell.refused("Test-ApplicationAccessPolicy", Identity="ghost", AppId=APP)[0] == 404


def test_enforcement_lags_both_ways(shell: Shell) -> None:
    shell.group(Members=["fax"])
    shell.world.profile = SLOW
    identity = shell.policy()["Identity"]
    assert shell.verdict("adele", in_force=True) == "Granted"
    shell.world.clock.advance(seconds=61)
    assert shell.verdict("adele", in_force=True) == "Denied"
    shell.run("Add-DistributionGroupMember", Identity="Team", Member="adele", **BYPASS)
    shell.run("Remove-DistributionGroupMember", Identity="Team", Member="fax", **BYPASS)
    assert [shell.verdict(name) for name in ("fax", "adele")] == ["Denied", "Granted"]
    assert [shell.verdict(name, in_force=True) for name in ("fax", "adele")] == ["Granted", "Denied"]
    shell.world.clock.advance(seconds=61)
    assert [shell.verdict(name, in_force=True) for name in ("fax", "adele")] == ["Denied", "Granted"]
    shell.run("Remove-ApplicationAccessPolicy", Identity=identity)
    assert (shell.verdict("fax"), shell.verdict("fax", in_force=True)) == ("Granted", "Denied")
    shell.world.clock.advance(seconds=61)
    assert shell.verdict("fax", in_force=True) == "Granted"


def test_a_policy_removed_before_it_came_into_force_never_does(shell: Shell) -> None:
    shell.group()
    shell.world.profile = SLOW
    shell.run("Remove-ApplicationAccessPolicy", Identity=shell.policy()["Identity"])
    for _half_minute in range(4):
        assert shell.verdict("fax", in_force=True) == "Granted"
        shell.world.clock.advance(seconds=30)


# ---- the EWS settings -----------------------------------------------------------------------------------------------


def _gate(shell: Shell, app_id: str = APP, name: str = "fax") -> str | None:
    mailbox = exchange_directory.by_address(shell.tenant, f"{name}@{DOMAIN}")
    assert mailbox
    return exchange.ews_gate(shell.world, shell.tenant, app_id, mailbox)


DISABLED, BLOCKED = TEXTS["ews"]["policy_reasons"]["disabled"], TEXTS["ews"]["policy_reasons"]["policy"]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, None),
        ({"EwsEnabled": False}, DISABLED),
        ({"EwsEnabled": False, "EwsAllowedAppIDs": APP}, DISABLED),
        ({"EwsEnabled": True, "EwsAllowedAppIDs": APP}, None),
        ({"EwsEnabled": True, "EwsAllowedAppIDs": f"{OTHER_APP} , {APP.upper()}"}, None),
        ({"EwsEnabled": True, "EwsAllowedAppIDs": OTHER_APP}, BLOCKED),
        ({"EwsEnabled": True}, BLOCKED),
        ({"EwsAllowedAppIDs": OTHER_APP}, None),
    ],
)
def test_gate(shell: Shell, settings: Document, reason: str | None) -> None:
    shell.run("Set-OrganizationConfig", **settings)
    assert _gate(shell) == reason


def test_true_with_an_empty_list_blocks_only_from_october_2026(shell: Shell) -> None:
    shell.run("Set-OrganizationConfig", EwsEnabled=True)
    assert _gate(shell) == BLOCKED
    shell.world.clock.advance(days=-60)
    assert _gate(shell) is None


def test_the_final_stop_is_a_date_in_the_texts(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TEXTS["ews"]["dates"], "retired_from", dt.date(2027, 4, 1))
    assert _gate(shell) is None
    shell.world.clock.advance(days=150)
    assert _gate(shell) == DISABLED


def test_mailbox_flag(shell: Shell) -> None:
    shell.run("Set-CASMailbox", Identity="fax", EwsEnabled=False)
    assert shell.run("Get-CASMailbox", Identity="fax")[0]["EwsEnabled"] is False
    assert (_gate(shell), _gate(shell, name="adele")) == (DISABLED, None)
    shell.run("Set-CASMailbox", Identity="fax", EwsEnabled=None)
    assert _gate(shell) is None


def test_list_is_read_only_with_the_switch_and_kept_byte_for_byte(shell: Shell) -> None:
    listed = f"{OTHER_APP} ,{APP.upper()}"
    shell.run("Set-OrganizationConfig", EwsEnabled=True, EwsAllowedAppIDs=listed)
    plain = shell.run("Get-OrganizationConfig")[0]
    full = shell.run("Get-OrganizationConfig", RetrieveEwsOperationAccessPolicy=True)[0]
    assert (plain["EwsEnabled"], plain["EwsAllowedAppIDs"]) == (True, None)
    assert full["EwsAllowedAppIDs"] == listed
    shell.run("Set-OrganizationConfig", EwsAllowedAppIDs=None)
    assert shell.run("Get-OrganizationConfig", RetrieveEwsOperationAccessPolicy=True)[0]["EwsAllowedAppIDs"] is None
    assert shell.warnings("Set-OrganizationConfig", EwsAllowedAppIDs=None)
    assert shell.warnings("Set-OrganizationConfig", EwsAllowedAppIDs="")


@pytest.mark.parametrize(
    "value",
    ["nonsense", f"{APP},", f"{APP};{OTHER_APP}", [APP], {"@odata.type": "#Exchange.GenericHashTable", "Add": [APP]}],
)
def test_list_is_one_string_of_guids(shell: Shell, value: t.Any) -> None:
    assert shell.refused("Set-OrganizationConfig", EwsAllowedAppIDs=value)[0] == 400


def test_settings_come_into_force_one_after_the_other(shell: Shell) -> None:
    shell.world.profile = SLOW
    shell.run("Set-OrganizationConfig", EwsEnabled=False)
    assert _gate(shell) is None
    shell.world.clock.advance(seconds=40)
    shell.run("Set-OrganizationConfig", EwsEnabled=True, EwsAllowedAppIDs=APP)
    assert _gate(shell) is None
    shell.world.clock.advance(seconds=30)
    assert _gate(shell) == DISABLED
    shell.world.clock.advance(seconds=31)
    assert _gate(shell) is None
    assert _gate(shell, OTHER_APP) == BLOCKED


def test_lists_of_user_agents(shell: Shell) -> None:
    def blocked(agent: str) -> bool:
        return bool(_ews(shell, agent=agent)[2].headers.get("X-EWS-Policy-Reason") == BLOCKED)

    assert "must be specified" in shell.refused("Set-OrganizationConfig", EwsAllowList=["x"])[2]
    allow = {"EwsApplicationAccessPolicy": "EnforceAllowList", "EwsAllowList": ["Imagicle/*", "Outlook"]}
    shell.run("Set-OrganizationConfig", **allow)
    shown = shell.run("Get-OrganizationConfig")[0]
    assert {key: shown[key] for key in allow} == allow
    assert [blocked(agent) for agent in ("imagicle/1.2", "Outlook", "Outlook/2", "")] == [False, False, True, True]
    change = {"@odata.type": "#Exchange.GenericHashTable", "Add": ["*probe*"]}
    shell.run("Set-OrganizationConfig", EwsApplicationAccessPolicy="EnforceBlockList", EwsBlockList=change)
    assert [blocked(agent) for agent in ("a probe (1)", "imagicle/1.2", "")] == [True, False, False]
    change = {"@odata.type": "#Exchange.GenericHashTable", "Add": ["Outlook"], "Remove": []}
    shell.run("Set-OrganizationConfig", EwsApplicationAccessPolicy="EnforceBlockList", EwsBlockList=change)
    assert [blocked(agent) for agent in ("a probe (1)", "Outlook")] == [True, True]
    shell.run("Set-OrganizationConfig", EwsApplicationAccessPolicy=None)
    assert not blocked("a probe (1)")


# ---- batches and hiccups --------------------------------------------------------------------------------------------


def _batch(shell: Shell, parts: list[Document], **options: t.Any) -> Answer:
    path = f"/adminapi/beta/{TENANT}/$batch"
    headers = {"host": "outlook.office365.com", "prefer": "odata.maxpagesize=2;odata.continue-on-error"}
    return exchange.handle(shell.world, shell.operator, None, "POST", path, {}, headers, {"requests": parts}, **options)


def _part(number: str, cmdlet: str, **parameters: t.Any) -> Document:
    return {
        "id": number,
        "method": "POST",
        "url": f"https://outlook.office365.com/adminapi/beta/{TENANT}/InvokeCommand?$select=Alias",
        "headers": {"Content-Type": "application/json"},
        "body": {"CmdletInput": {"CmdletName": cmdlet, "Parameters": parameters}},
    }


def test_a_batch_is_200_whatever_its_parts_say(shell: Shell) -> None:
    told: list[tuple[str, int, str]] = []
    answer = _batch(
        shell,
        [
            _part("1", "Get-Mailbox", Identity="fax"),
            _part("2", "Get-Mailbox", Identity="ghost"),
            _part("3", "Get-Nonsense"),
            _part("4", "Get-Mailbox"),
            _part("5", "New-DistributionGroup", Name="G"),
            _part("6", "Get-DistributionGroup", Identity="G"),
            {**_part("7", "Get-Mailbox"), "url": "https://outlook.office365.com/elsewhere"},
            {**_part("8", "Get-Mailbox"), "method": "GET"},
        ],
        on_part=lambda *values: told.append(values),
    )
    assert answer.status == 200
    by_id = {response["id"]: response for response in answer.body["responses"]}
    assert [by_id[number]["status"] for number in "12345678"] == [200, 404, 403, 200, 200, 200, 400, 400]
    assert by_id["1"]["body"]["value"] == [{"Alias": "fax"}]
    assert "ManagementObjectNotFoundException" in by_id["2"]["body"]["error"]["details"][0]["message"]
    assert len(by_id["4"]["body"]["value"]) == 2
    assert by_id["4"]["body"]["@odata.nextLink"].startswith(f"https://outlook.office365.com/adminapi/beta/{TENANT}/")
    assert told[:3] == [("Get-Mailbox", 200, "1"), ("Get-Mailbox", 404, "2"), ("Get-Nonsense", 403, "3")]


def test_a_fault_takes_a_parts_place_before_the_work(shell: Shell) -> None:
    answer = _batch(
        shell,
        [_part("1", "New-DistributionGroup", Name="G"), _part("2", "Get-Mailbox", Identity="fax")],
        part_fault=lambda cmdlet: Answer(503) if cmdlet.startswith("New-") else None,
    )
    assert [response["status"] for response in answer.body["responses"]] == [503, 200]
    assert not shell.tenant.groups


def test_size_of_a_batch(shell: Shell) -> None:
    parts = [_part(str(number), "Get-AcceptedDomain") for number in range(21)]
    assert _batch(shell, parts[:20]).status == 200
    assert _batch(shell, parts).status == 400


def test_a_part_cannot_reach_another_tenant(shell: Shell) -> None:
    other = Tenant(id="7f3c1c5e-7e1c-4b43-9a51-0b2f3f1d8a01", domains=["other.onmicrosoft.com"])
    shell.world.tenants[other.id] = other
    part = _part("1", "Get-Mailbox")
    part["url"] = part["url"].replace(TENANT, other.id)
    assert _batch(shell, [part]).body["responses"][0]["status"] == 401


def test_a_storm_answers_parts_in_any_order_and_hiccups_without_doing(shell: Shell) -> None:
    shell.world.profile = dataclasses.replace(PROFILES["storm"], throttle_probability=0.0)
    orders, statuses = set(), set()
    for _attempt in range(20):
        answer = _batch(shell, [_part(str(number), "Get-AcceptedDomain") for number in range(6)])
        orders.add(tuple(response["id"] for response in answer.body["responses"]))
        statuses |= {response["status"] for response in answer.body["responses"]}
        for response in answer.body["responses"]:
            if response["status"] == 400:
                message = response["body"]["error"]["details"][0]["message"]
                assert any(entry["type"] in message for entry in TEXTS["transient"])
    assert len(orders) > 1
    assert statuses == {200, 400}


ALWAYS_BUSY = Profile("busy", throttle_probability=1.0)


def test_throttling_comes_in_several_forms_and_before_the_work(shell: Shell) -> None:
    shell.world.profile = ALWAYS_BUSY
    answers = [shell.post("New-DistributionGroup", {"Name": "Team"}) for _attempt in range(30)]
    assert {answer.status for answer in answers} == {429, 503, 400}
    assert {answer.headers.get("Retry-After") for answer in answers if answer.status == 429} == {"1"}
    assert all(b"maximum number of concurrent requests" in answer.body for answer in answers if answer.status != 429)
    assert not shell.tenant.groups


def test_cmdlet_of() -> None:
    assert exchange.cmdlet_of({"CmdletInput": {"CmdletName": "Get-User"}}) == "Get-User"
    others: list[t.Any] = [None, [], {}, {"CmdletInput": 1}, {"CmdletInput": {"CmdletName": 1}}]
    for body in others:
        assert exchange.cmdlet_of(body) is None


# ---- EWS ------------------------------------------------------------------------------------------------------------

PROBE = """<?xml version="1.0" encoding="utf-8"?>
<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/" xmlns:t="{types}" xmlns:m="{messages}">
 <soap:Header><t:RequestServerVersion Version="Exchange2016"/>
  <t:ExchangeImpersonation><t:ConnectingSID>{who}</t:ConnectingSID></t:ExchangeImpersonation></soap:Header>
 <soap:Body>{operation}</soap:Body></soap:Envelope>"""
GET_INBOX = (
    "<m:GetFolder><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape></m:FolderShape>"
    '<m:FolderIds><t:DistinguishedFolderId Id="{folder}"/></m:FolderIds></m:GetFolder>'
)


def _ews(
    shell: Shell,
    who: str = f"fax@{DOMAIN}",
    *,
    kind: str = "PrimarySmtpAddress",
    operation: str = GET_INBOX.format(folder="inbox"),
    principal: Principal | None = None,
    agent: str = "",
) -> tuple[int, str, Answer]:
    """(status, EWS response code or "", answer)"""
    envelope = PROBE.format(
        types=ews.TYPES, messages=ews.MESSAGES, who=f"<t:{kind}>{who}</t:{kind}>", operation=operation
    )
    answer = ews.handle(
        shell.world,
        principal or _principal(roles=["full_access_as_app"], wids=()),
        None,
        {"user-agent": agent},
        envelope.encode(),
    )
    code = ""
    if answer.body:
        root = ET.fromstring(answer.body)
        found = [entry for entry in root.iter() if entry.tag.endswith("}ResponseCode")]
        code = found[0].text or ""
    return answer.status, code, answer


def test_the_minimal_probe_gets_the_id_and_nothing_else(shell: Shell) -> None:
    status, code, answer = _ews(shell)
    assert (status, code) == (200, "NoError")
    root = ET.fromstring(answer.body)
    folder = root.find(f".//{{{ews.MESSAGES}}}Folders/{{{ews.TYPES}}}Folder")
    assert folder is not None
    assert [entry.tag for entry in folder] == [f"{{{ews.TYPES}}}FolderId"]
    assert root.find(f".//{{{ews.TYPES}}}ServerVersionInfo") is not None


@pytest.mark.parametrize(
    ("kind", "who", "expected"),
    [
        ("PrimarySmtpAddress", f"FAX@{DOMAIN.upper()}", (200, "NoError")),
        ("SmtpAddress", f"fax@{DOMAIN}", (200, "NoError")),
        ("PrincipalName", f"fax@{DOMAIN}", (200, "NoError")),
        ("SmtpAddress", f"telefax@{DOMAIN}", (200, "NoError")),
        ("PrimarySmtpAddress", f"telefax@{DOMAIN}", (500, "ErrorNonPrimarySmtpAddress")),
        ("PrimarySmtpAddress", f"ghost@{DOMAIN}", (500, "ErrorNonExistentMailbox")),
        ("PrimarySmtpAddress", f"contact@{DOMAIN}", (500, "ErrorNonExistentMailbox")),
        ("PrimarySmtpAddress", "", (500, "ErrorImpersonationRequired")),
    ],
)
def test_whom_one_may_impersonate(shell: Shell, kind: str, who: str, expected: tuple[int, str]) -> None:
    del shell.tenant.mailboxes[shell.run("Get-Mailbox", Identity="fax")[0]["Guid"]]
    shell.mailbox("fax", aliases=[f"telefax@{DOMAIN}"])
    shell.mailbox("contact", type="MailContact")
    assert _ews(shell, who, kind=kind)[:2] == expected


def test_a_sid_may_be_impersonated(shell: Shell) -> None:
    sid = shell.run("Get-User", Identity="fax")[0]["Sid"]
    assert _ews(shell, sid, kind="SID")[0] == 200


def test_denial_by_policy_in_either_form(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.group(Members=["adele"])
    shell.policy()
    status, code, answer = _ews(shell)
    assert (status, code) == (403, "")
    assert "X-EWS-Policy-Reason" not in answer.headers
    monkeypatch.setitem(TEXTS["ews"], "policy_denial", "fault")
    status, code, answer = _ews(shell)
    assert (status, code) == (500, "ErrorAccessDenied")
    assert _ews(shell, f"adele@{DOMAIN}")[0] == 200


def test_real_access_obeys_a_policy_only_once_it_is_in_force(shell: Shell) -> None:
    shell.group()
    shell.world.profile = SLOW
    shell.policy()
    assert _ews(shell)[0] == 200
    shell.world.clock.advance(seconds=61)
    assert _ews(shell)[0] == 403


def test_ews_settings_come_before_everything_about_the_mailbox(shell: Shell) -> None:
    shell.group(Members=["adele"])
    shell.policy()
    shell.run("Set-OrganizationConfig", EwsEnabled=False)
    for name in ("fax", "adele", "ghost"):
        status, _unused, answer = _ews(shell, f"{name}@{DOMAIN}")
        assert (status, answer.headers["X-EWS-Policy-Reason"]) == (403, DISABLED)


def test_no_role_no_entry(shell: Shell) -> None:
    shell.run("Set-OrganizationConfig", EwsEnabled=False)
    status, _unused, answer = _ews(shell, principal=_principal(roles=["Exchange.ManageAsApp"]))
    assert (status, "X-EWS-Policy-Reason" in answer.headers) == (403, False)
    assert "not enough scope" in answer.headers["x-ms-diagnostics"]


@pytest.mark.parametrize(
    "principal", [None, _principal(audience="https://graph.microsoft.com", roles=["full_access_as_app"])]
)
def test_no_token_for_exchange(shell: Shell, principal: Principal | None) -> None:
    answer = ews.handle(shell.world, principal, "expired" if principal is None else None, {}, b"")
    assert answer.status == 401
    reason = TEXTS["adminapi"]["refusals"]["audience" if principal else "expired"]
    assert reason in answer.headers["x-ms-diagnostics"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<not closed",
        b"<a/>",
        b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        b'<!DOCTYPE x><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><y/></s:Body></s:Envelope>',
        b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body/></s:Envelope>',
    ],
)
def test_unreadable_soap(shell: Shell, body: bytes) -> None:
    answer = ews.handle(shell.world, _principal(roles=["full_access_as_app"]), None, {}, body)
    assert answer.status == 500
    assert b"ErrorSchemaValidation" in answer.body


def test_a_body_has_a_limit(shell: Shell) -> None:
    body = b" " * (TEXTS["ews"]["body_too_large"]["limit_bytes"] + 1)
    assert ews.handle(shell.world, _principal(roles=["full_access_as_app"]), None, {}, body).status == 413


def test_busy_ews_says_for_how_long(shell: Shell) -> None:
    shell.world.profile = ALWAYS_BUSY
    status, code, answer = _ews(shell)
    assert (status, code) == (500, "ErrorServerBusy")
    value = ET.fromstring(answer.body).find(f".//{{{ews.TYPES}}}Value[@Name='BackOffMilliseconds']")
    assert value is not None
    assert value.text == "1000"


def test_folders_one_by_one(shell: Shell) -> None:
    for folder in ("msgfolderroot", "root", "sentitems", "calendar"):
        assert _ews(shell, operation=GET_INBOX.format(folder=folder))[:2] == (200, "NoError")
    assert _ews(shell, operation=GET_INBOX.format(folder="publicfoldersroot"))[:2] == (200, "ErrorFolderNotFound")
    assert _ews(shell, operation="<m:GetDelegate/>")[:2] == (500, "ErrorAccessDenied")


def test_shapes_and_depths(shell: Shell) -> None:
    _unused, _unused, answer = _ews(shell, operation=GET_INBOX.format(folder="inbox").replace("IdOnly", "Default"))
    assert ET.fromstring(answer.body).findtext(f".//{{{ews.TYPES}}}DisplayName") == "Inbox"
    find = GET_INBOX.format(folder="root").replace("GetFolder", 'FindFolder Traversal="{}"', 1)
    find = find.replace("FolderIds", "ParentFolderIds").replace("/m:GetFolder", "/m:FindFolder")
    counts = []
    for depth in ("Shallow", "Deep"):
        found = ET.fromstring(_ews(shell, operation=find.format(depth))[2].body).find(
            f".//{{{ews.MESSAGES}}}RootFolder"
        )
        assert found is not None
        counts.append(int(found.get("TotalItemsInView", "")))
    folders = TEXTS["ews"]["folders"]
    assert counts == [sum(folder[4] == "root" for folder in folders), len(folders) - 1]


def test_a_folder_id_is_good_for_its_own_mailbox_only(shell: Shell) -> None:
    _unused, _unused, answer = _ews(shell)
    found = ET.fromstring(answer.body).find(f".//{{{ews.TYPES}}}FolderId")
    assert found is not None
    operation = GET_INBOX.replace('t:DistinguishedFolderId Id="{folder}"', f't:FolderId Id="{found.get("Id")}"')
    assert _ews(shell, operation=operation)[1] == "NoError"
    assert _ews(shell, f"adele@{DOMAIN}", operation=operation)[1] == "ErrorFolderNotFound"
    bad = GET_INBOX.replace('t:DistinguishedFolderId Id="{folder}"', 't:FolderId Id="%%%"')
    assert _ews(shell, operation=bad)[1] == "ErrorInvalidIdMalformed"


def test_another_mailbox_than_the_impersonated_one(shell: Shell) -> None:
    inner = "<t:Mailbox><t:EmailAddress>{}</t:EmailAddress></t:Mailbox>"
    asked = GET_INBOX.format(folder="inbox").replace('"inbox"/>', '"inbox">{}</t:DistinguishedFolderId>')
    for address, code in (
        (f"fax@{DOMAIN}", "NoError"),
        (f"adele@{DOMAIN}", "ErrorAccessDenied"),
        ("x@y.z", "ErrorNonExistentMailbox"),
    ):
        assert _ews(shell, operation=asked.format(inner.format(address)))[1] == code


# ---- the constructors -----------------------------------------------------------------------------------------------


def test_constructors_refuse_what_does_not_exist(shell: Shell) -> None:
    with pytest.raises(ValueError, match="no recipient type"):
        shell.mailbox("x", type="Mailbox")
    with pytest.raises(ValueError, match="no group type"):
        exchange.new_group(shell.world, shell.tenant, name="x", type="Security")
    with pytest.raises(ValueError, match="names 0 recipients"):
        exchange.new_group(shell.world, shell.tenant, name="x", members=["ghost"])


def test_local_parts_that_repeat_get_a_number(shell: Shell) -> None:
    first, second = shell.mailbox("fax", address="fax@contoso.com"), shell.mailbox("fax", address="fax@third.example")
    assert [first["Alias"], first["Name"], second["Alias"]] == ["fax1", "fax1", "fax2"]


def test_writes_are_reported_for_the_state_file(shell: Shell) -> None:
    told: list[str] = []
    for collection in (shell.tenant.groups, shell.tenant.application_access_policies, shell.tenant.settings):
        collection.on_change = lambda name, key, value: told.append(name)
    steps: list[tuple[str, Document, str]] = [
        ("New-DistributionGroup", {"Name": "Team", "Type": "Security"}, "groups"),
        ("Add-DistributionGroupMember", {"Identity": "Team", "Member": "fax", **BYPASS}, "groups"),
        ("Set-DistributionGroup", {"Identity": "Team", "Description": "x", **BYPASS}, "groups"),
        (
            "New-ApplicationAccessPolicy",
            {"AppId": APP, "PolicyScopeGroupId": "Team", "AccessRight": "DenyAccess"},
            "application_access_policies",
        ),
        ("Set-OrganizationConfig", {"EwsEnabled": False}, "settings"),
        ("Remove-DistributionGroup", {"Identity": "Team", **BYPASS}, "groups"),
    ]
    for cmdlet, parameters, name in steps:
        told.clear()
        shell.run(cmdlet, **parameters)
        assert name in told, cmdlet
