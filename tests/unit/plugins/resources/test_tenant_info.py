# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the emulated tenant does not say: odd shapes, refusals in part, and the rules of judging by themselves."""

from __future__ import annotations

import datetime as dt
import json
import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils import _app_policies, _powers
from ansible_collections.mail2fax.m365.plugins.module_utils._door import Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import ServiceError, Throttled
from ansible_collections.mail2fax.m365.plugins.module_utils._http import Request, Response
from ansible_collections.mail2fax.m365.plugins.module_utils._permissions import Wanted as Permissions
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Plan
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight import (
    application,
    control,
    ews,
    host,
    mailboxes,
    scope,
    tenant,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.desired import Desired
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.mailboxes import closest
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.operator import Operator
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.tenant_info import DOOR, State, TenantInfo, plan
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import Recipient
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.application import Desired as Wanted
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.application import State as Application
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.security_group_state import Desired as Group
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant
from tests.unit.script import NOW, TENANT_ID, FakeClock, answer, jwt

Json = dict[str, t.Any]

EXCHANGE_ADMIN = "29232cdf-9323-42fd-ade2-1d097af3e4de"
ABSENT = "Ex1|Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException|It couldn't be found."
APP = "1cb8b5d2-8724-4f32-8152-a16a230b682b"


LISTS = ("/owners", "federatedIdentityCredentials")
"""Of an application that is there; empty where a test says nothing of them."""


class Services:
    """Graph and Exchange by rule: a value per part of a path, and per cmdlet; a pair is (status, body)."""

    def __init__(self, graph: Json | None = None, exchange: Json | None = None, login: Response | None = None) -> None:
        usual = dict.fromkeys(("/organization", "/domains", "/policies", "/directoryRoles"), forbidden())
        self.graph = {**(graph or {}), **{part: value for part, value in usual.items() if part not in (graph or {})}}
        self.exchange = {
            "Get-OrganizationConfig": [{"EwsEnabled": None}],
            "Get-AcceptedDomain": [{"DomainName": "Contoso.com"}],
            **(exchange or {}),
        }
        self.login = login
        self.batches: list[tuple[str, list[t.Any]]] = []

    def send(self, request: Request, timeout_s: float) -> Response:
        assert timeout_s > 0
        if request.host == "login.microsoftonline.com":
            assert self.login is not None, f"nobody is to be asked for {request.url}"
            return self.login
        document = json.loads(request.body or b"{}")
        if request.host == "graph.microsoft.com":
            if request.url.endswith("/$batch"):
                self.batches.append(("graph", [part["url"] for part in document["requests"]]))
                answers = [{"id": part["id"], **self._graph(part["url"])} for part in document["requests"]]
                return answer(200, {"responses": answers})
            found = self._graph(request.url)
            return answer(found["status"], found["body"])
        parts = document.get("requests") or [{"id": "0", "body": document}]
        inputs = [part["body"]["CmdletInput"] for part in parts]
        self.batches.append(("exchange", [(entry["CmdletName"], entry["Parameters"]) for entry in inputs]))
        answers = [{"id": part["id"], **self._exchange(entry)} for part, entry in zip(parts, inputs, strict=True)]
        if "requests" in document:
            return answer(200, {"responses": answers})
        return answer(answers[0]["status"], answers[0]["body"])

    def _graph(self, url: str) -> Json:
        if any(part in url and not any(part in key for key in self.graph) for part in LISTS):
            return {"status": 200, "body": {"value": []}}
        value = next(
            (value for part, value in self.graph.items() if part in url), (404, graph_problem("ResourceNotFound"))
        )
        status, body = value if isinstance(value, tuple) else (200, value)
        return {"status": status, "body": body}

    def _exchange(self, entry: Json) -> Json:
        value = self.exchange.get(entry["CmdletName"], [])
        value = value(entry["Parameters"]) if callable(value) else value
        if isinstance(value, tuple):
            return {"status": value[0], "body": value[1]}
        return {"status": 200, "body": {"value": value}}

    def of(self, service: str) -> list[list[t.Any]]:
        return [parts for name, parts in self.batches if name == service]


def graph_problem(code: str, message: str = "No.") -> Json:
    return {"error": {"code": code, "message": message}}


def forbidden() -> tuple[int, Json]:
    return 403, graph_problem("Authorization_RequestDenied")


def exchange_problem(text: str, status: int = 400) -> tuple[int, Json]:
    return status, {"error": {"code": "BadRequest", "message": "Error", "details": [{"message": text}]}}


def mailbox(address: str, kind: str = "UserMailbox", **keys: t.Any) -> Json:
    return {
        "Guid": f"guid of {address}",
        "PrimarySmtpAddress": address,
        "EmailAddresses": [f"SMTP:{address}"],
        "DisplayName": address,
        "Name": address,
        "Alias": address.partition("@")[0],
        "RecipientTypeDetails": kind,
        **keys,
    }


def look(
    services: Services, *, graph_token: str | None = None, exchange_token: str | None = None, **params: t.Any
) -> Plan:
    roles = ["Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All"]
    tokens = {
        "graph": graph_token or jwt(roles=roles, appid=APP, oid="operator-oid"),
        "exchange": exchange_token or jwt(roles=["Exchange.ManageAsApp"], wids=[EXCHANGE_ADMIN]),
    }
    defaults = {name: option.get("default") for name, option in DOOR.argument_spec.options.items()}
    options = {**defaults, "access_token": tokens, "patience": 0, **params}
    tenant = Tenant(options, environment={}, transport=services, clock=FakeClock())
    resource = TenantInfo(tenant, Task(options))
    return resource.plan(resource.read())


def wanted(**keys: t.Any) -> Json:
    return {
        "on_deleted": "fail",
        "on_namesake": "fail",
        "unique_name": None,
        "app_id": None,
        "display_name": None,
        **keys,
    }


def found(result: Plan, severity: str = "blocked") -> str:
    return "\n".join(
        f"{item['what']}: {item['found']}" for item in result.result["findings"] if item["severity"] == severity
    )


# --- reading -------------------------------------------------------------------------------------------------


def test_a_token_that_does_not_tell_its_roles_is_tried():
    services = Services()
    result = look(services, graph_token="opaque", steps=["application", "policy"])
    assert len(services.of("graph")) == 1
    assert result.result["operator"]["roles"] is None
    assert result.result["missing"] == []


def test_a_tenant_that_cannot_filter_its_recycle_bin_by_unique_name():
    lost = {
        "id": "o",
        "appId": APP,
        "uniqueName": "fax",
        "displayName": "Fax",
        "deletedDateTime": "2026-11-11T12:00:00Z",
    }
    services = Services(
        {"$filter=uniqueName": (400, graph_problem("Request_UnsupportedQuery")), "$top=200": {"value": [lost]}}
    )
    result = look(services, application=wanted(unique_name="fax"))
    assert result.result["application"]["state"] == "deleted"
    assert result.result["application"]["deleted"]["days_left"] == 20
    assert "20 days left" in found(result)


def test_a_recycle_bin_that_may_not_be_read_is_told():
    result = look(Services({"deletedItems": forbidden()}), application=wanted(unique_name="fax"))
    assert result.outcome == "ok"
    assert any("recycle bin" in entry for entry in result.result["unreadable"])


def test_an_application_that_may_not_be_read_is_not_absent():
    result = look(
        Services({"/applications": forbidden(), "deletedItems": forbidden()}), application=wanted(unique_name="fax")
    )
    assert result.result["application"] is None
    assert "may not read the application" in found(result)


def test_an_error_of_a_part_is_an_error():
    with pytest.raises(ServiceError):
        look(
            Services({"/applications": (400, graph_problem("Request_BadRequest"))}),
            application=wanted(unique_name="fax"),
        )
    with pytest.raises(Throttled):
        look(Services({"/organization": (429, graph_problem("TooManyRequests"))}))
    with pytest.raises(ServiceError):
        look(Services(exchange={"Get-Recipient": exchange_problem("odd")}), mailboxes=["fax@contoso.com"])


def test_exchange_that_refuses_everything_is_told_with_the_cure():
    refusal = exchange_problem(f"The role assigned to application {APP} isn't supported in this scenario.", 403)
    services = Services(exchange={"Get-OrganizationConfig": refusal, "Get-AcceptedDomain": refusal})
    result = look(services, ews={"required": True, "opt_in": False})
    assert "isn't supported in this scenario" in found(result)
    assert result.blocked is not None
    assert "Exchange Administrator" in result.blocked.cure
    report = look(services)
    assert (report.outcome, "isn't supported" in found(report, "warning")) == ("ok", True)


def test_ninety_addresses_are_looked_for_in_one_batch():
    addresses = [f"fax{number}@contoso.com" for number in range(90)]
    services = Services(exchange={"Get-Recipient": [mailbox(address) for address in addresses]})
    result = look(services, mailboxes=addresses, control_mailboxes=[])
    assert all(entry["usable"] for entry in result.result["mailboxes"])
    assert len(services.of("exchange")) == 1
    cmdlets = [name for name, _parameters in services.of("exchange")[0]]
    assert cmdlets.count("Get-Recipient") == 5


def test_a_role_without_the_permission_does_not_call_exchange():
    services = Services()
    result = look(services, exchange_token=jwt(roles=[], wids=[EXCHANGE_ADMIN]), steps=["policy"])
    assert services.of("exchange") == []
    assert "Exchange.ManageAsApp of Office 365 Exchange Online is missing" in found(result)


def test_one_page_of_mailboxes_is_enough_to_pick_from():
    pages = [{"@odata.nextLink": "https://outlook.office365.com/adminapi/next"}, {}]

    def listed(parameters: Json) -> t.Any:
        if "RecipientTypeDetails" not in parameters:
            return [mailbox("fax@contoso.com")]
        people = [mailbox(f"user{number:03}@contoso.com") for number in range(60)]
        return 200, {"value": people, **pages.pop(0)}

    services = Services(exchange={"Get-Recipient": listed})
    result = look(services, mailboxes=["fax@contoso.com"])
    assert [item["address"] for item in result.result["control_mailboxes"]] == ["user000@contoso.com"]
    assert len(services.of("exchange")) == 1


def test_addresses_arrive_as_literals():
    services = Services(exchange={"Get-Recipient": [mailbox("o'hara$(x)@contoso.com")]})
    look(services, mailboxes=["o'hara$x@contoso.com"])
    filters = [parameters.get("Filter") for name, parameters in services.of("exchange")[0] if name == "Get-Recipient"]
    assert "EmailAddresses -eq 'smtp:o''hara$x@contoso.com'" in filters


def test_a_deleted_mailbox_is_told_from_a_missing_one():
    def gone(parameters):
        return [mailbox("fax@contoso.com")] if parameters.get("SoftDeletedMailbox") else []

    result = look(Services(exchange={"Get-Mailbox": gone}), mailboxes=["fax@contoso.com"], fail_on_findings=False)
    assert "recycle bin of Exchange Online" in found(result)


def test_what_only_explains_may_fail():
    services = Services(
        exchange={
            "Get-Recipient": lambda parameters: exchange_problem("odd") if "-like" in str(parameters) else [],
            "Get-User": exchange_problem("odd"),
            "Get-Mailbox": exchange_problem("odd"),
        }
    )
    result = look(services, mailboxes=["fax@contoso.com"])
    assert "mailbox fax@contoso.com: no recipient has this address" in found(result)


def test_only_a_few_missing_addresses_are_explained():
    addresses = [f"fax{number}@contoso.com" for number in range(30)]
    services = Services()
    result = look(services, mailboxes=addresses)
    assert len(result.result["findings"]) >= 30
    assert len(services.of("exchange")) == 2
    assert len(services.of("exchange")[1]) == 7


def test_an_alias_with_an_asterisk_is_no_identity():
    group = mailbox("fax@contoso.com", "MailUniversalSecurityGroup", Alias="f*x")
    services = Services(exchange={"Get-Recipient": [group], "Get-DistributionGroupMember": [mailbox("x@contoso.com")]})
    result = look(services, group={"alias": "f*x", "name": None, "address": None, "on_foreign_members": "fail"})
    asked = [
        parameters["Identity"]
        for batch in services.of("exchange")
        for name, parameters in batch
        if name == "Get-DistributionGroupMember"
    ]
    assert asked == ["guid of fax@contoso.com"]
    assert [item["address"] for item in result.result["group"]["members"]] == ["x@contoso.com"]


def test_groups_inside_one_another_do_not_go_on_for_ever():
    def members(parameters: Json) -> list[Json]:
        inner = {"a": "b", "guid of b@contoso.com": "c", "guid of c@contoso.com": "b"}.get(parameters["Identity"])
        return [mailbox(f"{inner}@contoso.com", "MailUniversalSecurityGroup")] if inner else []

    group = mailbox("a@contoso.com", "MailUniversalSecurityGroup")
    services = Services(
        exchange={"Get-Recipient": [group], "Get-DistributionGroup": [group], "Get-DistributionGroupMember": members}
    )
    result = look(services, group={"alias": "a", "name": None, "address": None, "on_foreign_members": "keep"})
    assert [item["address"] for item in result.result["group"]["members"]] == ["b@contoso.com", "c@contoso.com"]
    assert len(services.of("exchange")) == 3


SCOPE = {"alias": "a", "name": None, "address": None, "on_foreign_members": "keep"}


@pytest.mark.parametrize(
    ("owners", "foreign"),
    [
        (None, None),
        ([], ["Lee Gu", "Someone"]),
        (["lee@contoso.com"], ["Someone"]),
        (["lee@contoso.com", "someone@contoso.com"], []),
    ],
)
def test_owners_nobody_declared_stop_the_run(owners: list[str] | None, foreign: list[str] | None):
    managed_by = ["contoso.com/Microsoft Exchange Security Groups/Organization Management", "Lee Gu", "Someone"]
    group = mailbox("a@contoso.com", "MailUniversalSecurityGroup", ManagedBy=managed_by)
    people = [mailbox("lee@contoso.com", Name="Lee Gu"), mailbox("someone@contoso.com", DisplayName="Someone")]

    def recipients(parameters: Json) -> list[Json]:
        wanted = str(parameters["Filter"])
        return [one for one in people if one["PrimarySmtpAddress"] in wanted] or [group]

    told_by_exchange = {
        "Get-Recipient": recipients,
        "Get-DistributionGroup": [group],
        "Get-DistributionGroupMember": [],
    }
    services = Services(exchange=told_by_exchange)
    result = look(services, group={**SCOPE, "owners": owners, "on_foreign_owners": "fail"})
    assert result.result["group"]["foreign_owners"] == foreign
    assert result.result["ready"] is not bool(foreign)
    if foreign:
        assert ", ".join(foreign) in found(result)
    assert len(services.of("exchange")) == 1
    told = look(
        Services(exchange=told_by_exchange),
        group={**SCOPE, "owners": owners, "on_foreign_owners": "remove"},
    )
    assert told.result["ready"]


def test_one_owner_may_come_without_a_list():
    group = mailbox("a@contoso.com", "MailUniversalSecurityGroup", ManagedBy="Lee Gu")
    services = Services(
        exchange={"Get-Recipient": [group], "Get-DistributionGroup": [group], "Get-DistributionGroupMember": []}
    )
    result = look(services, group={**SCOPE, "owners": [], "on_foreign_owners": "fail"})
    assert result.result["group"]["foreign_owners"] == ["Lee Gu"]


def issuer(tenant_id: str) -> Response:
    return answer(200, {"issuer": f"https://login.microsoftonline.com/{tenant_id}/v2.0"})


def test_a_domain_that_is_not_listed_may_still_be_the_tenants():
    assert look(Services(login=issuer(TENANT_ID)), expected_domain="contoso.net").outcome == "ok"
    other = look(Services(login=issuer("99999999-0000-4000-8000-000000000001")), expected_domain="contoso.net")
    assert "contoso.net belongs to tenant 99999999-0000-4000-8000-000000000001" in found(other)
    nobody = look(Services(login=answer(400, {"error": "invalid_tenant"})), expected_domain="contoso.net")
    assert "belongs to no tenant" in found(nobody)


@pytest.mark.parametrize("login", [answer(200, b"<html/>"), answer(400, b"<html/>"), answer(404, {"error": "x"})])
def test_whose_domain_it_is_cannot_be_guessed(login: Response):
    with pytest.raises(ServiceError, match="whose domain"):
        look(Services(login=login), expected_domain="contoso.net")


def test_a_listed_domain_is_not_looked_up():
    assert look(Services(), expected_domain="CONTOSO.com").outcome == "ok"
    verified = {"value": [{"displayName": "Contoso", "verifiedDomains": [{"name": "contoso.org"}]}]}
    result = look(Services({"/organization": verified}), expected_domain="contoso.org")
    assert result.outcome == "ok"
    assert result.result["tenant"] == {
        "id": TENANT_ID,
        "name": "Contoso",
        "domains": ["contoso.org", "contoso.com"],
        "default_domain": "contoso.org",
    }


def test_administrators_are_known_from_graph_as_well():
    people = [
        mailbox("a@contoso.com", ExternalDirectoryObjectId="ID-A"),
        mailbox("b@contoso.com"),
        mailbox("c@contoso.com"),
    ]
    services = Services(
        {"/directoryRoles": {"value": [{"members": [{"id": "id-a"}]}, {}]}},
        {"Get-Recipient": people, "Get-RoleGroupMember": [mailbox("b@contoso.com")]},
    )
    result = look(services, mailboxes=["x@contoso.com"], fail_on_findings=False)
    assert [item["address"] for item in result.result["control_mailboxes"]] == ["c@contoso.com"]


def test_who_is_an_administrator_is_worth_no_failure():
    services = Services(
        {"/directoryRoles": (400, graph_problem("BadRequest"))}, {"Get-Recipient": [mailbox("a@contoso.com")]}
    )
    result = look(services, mailboxes=["x@contoso.com"], fail_on_findings=False)
    assert "who is an administrator" in result.result["unreadable"]
    assert [item["address"] for item in result.result["control_mailboxes"]] == ["a@contoso.com"]


# --- the app-management policy -------------------------------------------------------------------------------


def policy(*rules: Json, enabled: bool = True) -> Json:
    return {"isEnabled": enabled, "applicationRestrictions": {"passwordCredentials": list(rules)}}


FORBID: Json = {"restrictionType": "passwordAddition", "state": "enabled"}
HALF_YEAR: Json = {"restrictionType": "passwordLifetime", "maxLifetime": "P180D"}
MONTH: Json = {"restrictionType": "passwordLifetime", "maxLifetime": "P30D", "state": "enabled"}
SINCE = {"restrictForAppsCreatedAfterDateTime": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("document", "created", "expected"),
    [
        (None, None, (True, None)),
        (policy(FORBID, enabled=False), None, (True, None)),
        (policy(), None, (True, None)),
        (policy(FORBID), None, (False, None)),
        (policy({**FORBID, "state": "disabled"}), None, (True, None)),
        (policy(HALF_YEAR), None, (True, 180)),
        (policy(MONTH, HALF_YEAR), None, (True, 30)),
        (policy(HALF_YEAR, MONTH), None, (True, 30)),
        (policy({**FORBID, **SINCE}), "2025-06-01", (True, None)),
        (policy({**FORBID, **SINCE}), "2026-06-01", (False, None)),
        (policy({**FORBID, **SINCE}), None, (False, None)),
        (policy({"restrictionType": "customPasswordAddition"}), None, (True, None)),
        ({"isEnabled": True}, None, (True, None)),
    ],
)
def test_what_a_policy_restricts(document: Json | None, created: str | None, expected: tuple[bool, int | None]):
    limits = _app_policies.limits(document, None, f"{created}T00:00:00Z" if created else None)
    assert (limits.secrets_allowed, limits.longest.days if limits.longest else None) == expected


def test_the_applications_own_policy_wins():
    app = {"id": "o", "appId": APP, "uniqueName": "fax", "displayName": "Fax", "createdByAppId": APP}
    own = {"value": [{"isEnabled": True, "restrictions": {"passwordCredentials": [{**FORBID, "state": "disabled"}]}}]}
    graph = {
        "/policies/default": policy(FORBID),
        "appManagementPolicies": own,
        "uniqueName=": app,
        "/servicePrincipals?": {"value": [{"id": "p", "appId": APP}]},
        "/applications?": {"value": [app]},
        "deletedItems": {"value": []},
    }
    services = Services(graph)
    exempt = look(services, application=wanted(unique_name="fax", display_name="Fax"), secret_lifetime_days=365)
    assert exempt.outcome == "ok"
    assert exempt.result["app_management_policy"]["secrets_allowed"] is True
    assert len(services.of("graph")) == 1
    unread = Services({**graph, "appManagementPolicies": forbidden()})
    blocked = look(unread, application=wanted(unique_name="fax"), secret_lifetime_days=365)
    assert "forbids client secrets" in found(blocked)
    unborn = Services({"/policies/default": policy(FORBID), "deletedItems": {"value": []}})
    assert look(unborn, application=wanted(unique_name="fax"), secret_lifetime_days=365).outcome == "blocked"
    assert len(unborn.of("graph")) == 1


def test_a_secret_that_is_good_shows_that_secrets_are_allowed():
    def noted(end: str | None) -> str:
        secrets = [{"keyId": "k", "endDateTime": end}] if end else []
        app = {"id": "o", "appId": APP, "uniqueName": "fax", "displayName": "Fax", "passwordCredentials": secrets}
        app["createdByAppId"] = APP
        seen = look(Services({"uniqueName=": app}), application=wanted(unique_name="fax"), secret_lifetime_days=365)
        return found(seen, "warning")

    assert "Policy.Read.All" not in noted("2027-11-21T12:00:00Z")
    assert "the operator may not read it" in noted("2020-11-21T12:00:00Z")
    assert "the operator may not read it" in noted(None)


def test_a_policy_for_every_application_counts_also_for_one_that_is_to_be_made():
    everybody = {"AppId": "*", "AccessRight": "RestrictAccess", "ScopeName": "Board", "Identity": "t\\*:S;G"}
    exchange = {"Get-ApplicationAccessPolicy": [everybody, {**everybody, "AppId": APP}]}
    group = {
        "alias": "fax.group",
        "on_foreign_members": "fail",
        "on_foreign_owners": "fail",
        "on_other_policies": "fail",
    }
    services = Services({"deletedItems": {"value": []}}, exchange)
    result = look(services, application=wanted(unique_name="fax", display_name="Fax"), group=group)
    assert "RestrictAccess for every application on 'Board'" in found(result)
    assert APP not in found(result)
    assert len(services.of("exchange")) == 1


def test_policies_that_may_not_be_read_are_unread_and_nothing_else():
    group = {
        "alias": "fax.group",
        "on_foreign_members": "fail",
        "on_foreign_owners": "fail",
        "on_other_policies": "fail",
    }
    refused = exchange_problem("Ex1|System.UnauthorizedAccessException|The role isn't supported in this scenario.", 403)
    services = Services({"deletedItems": {"value": []}}, {"Get-ApplicationAccessPolicy": refused})
    result = look(services, application=wanted(unique_name="fax"), group=group)
    assert result.result["other_policies"] is None
    assert "the application access policies" in result.result["unreadable"]


def test_a_directory_that_does_not_list_deleted_namesakes_stops_nothing():
    unsupported = (400, graph_problem("Request_UnsupportedQuery"))
    refused = {
        "application?$filter=displayName": unsupported,
        "/applications?": {"value": []},
        "deletedItems": {"value": []},
    }
    result = look(Services(refused), application=wanted(unique_name="fax", display_name="Fax", on_namesake="ignore"))
    assert "recycle bin" not in found(result, "warning")


def test_a_tenant_that_knows_no_such_policy_has_none():
    result = look(Services({"/policies": (404, graph_problem("Request_ResourceNotFound"))}), secret_lifetime_days=9999)
    assert result.outcome == "ok"
    assert result.result["app_management_policy"]["readable"] is True


# --- judging -------------------------------------------------------------------------------------------------

OPERATOR = Operator("app", TENANT_ID, "oid", frozenset({"x"}), frozenset({"y"}), ("Global Administrator",), TENANT_ID)


HOME = tenant.Facts(accepted=("contoso.com",))


def judge(desired: Desired, **slices: t.Any) -> Plan:
    return plan(State(OPERATOR, **{"tenant": HOME, **slices}), desired, NOW)


def open_to(configuration: Json) -> ews.Facts:
    return ews.Facts(configuration)


def registered(**state: t.Any) -> application.Facts:
    return application.Facts(Application(**state))


def those(*recipients: Recipient) -> mailboxes.Facts:
    return mailboxes.Facts(recipients)


def test_an_old_list_does_not_count_and_is_told():
    app = {"appId": APP.upper(), "id": "o"}
    configuration = {
        "EwsEnabled": True,
        "EwsAllowedAppIDs": "11111111-0000-4000-8000-000000000001",
        "EwsAllowList": [APP],
    }
    desired = Desired(ews=True)
    result = judge(desired, ews=open_to(configuration), application=registered(application=app))
    assert "EwsAllowList" in found(result)
    empty = judge(desired, ews=open_to({"EwsEnabled": "True", "EwsAllowedAppIDs": ""}))
    assert "EwsAllowedAppIDs is empty" in found(empty)
    listed = {"EwsEnabled": True, "EwsAllowedAppIDs": f"x, {APP}"}
    assert judge(desired, ews=open_to(listed), application=registered(application=app)).outcome == "ok"


def test_the_end_of_ews_is_counted_down_and_past():
    desired, open_to_all = Desired(ews=True), open_to({"EwsEnabled": None})
    before = plan(State(OPERATOR, ews=open_to_all), desired, NOW)
    assert "in 131 days" in found(before, "warning")
    after = plan(State(OPERATOR, ews=open_to_all), desired, NOW + dt.timedelta(days=131))
    assert "which is past" in found(after, "warning")


def test_every_reason_has_its_cure_and_who_can_help():
    state = State(OPERATOR, tenant=HOME, mailboxes=those(), ews=open_to({"EwsEnabled": False}))
    result = plan(state, Desired(mailboxes=("a@contoso.com", "b@other.net"), ews=True), NOW)
    assert result.blocked is not None
    assert result.blocked.message.startswith("3 things stand in the way: (1) mailbox a@contoso.com:")
    assert all(f"({number})" in result.blocked.cure for number in (1, 2, 3))
    assert "an Exchange Administrator" in result.blocked.who
    assert len(result.blocked.details["findings"]) == 3
    assert "and 2 more" in result.summary


EVERYTHING = Desired(
    application=Wanted(unique_name="fax", display_name="Fax"),
    permissions=(Permissions(APP, ("x",)),),
    mailboxes=("a@contoso.com",),
    control=("b@contoso.com",),
    group=Group(alias="fax", name="Fax"),
    ews=True,
)


def test_what_could_not_be_read_is_not_met_and_breaks_nothing():
    result = judge(EVERYTHING)
    assert found(result) == (
        "the operator's rights: the operator may not read the application, the permissions that APIs offer, the "
        "mailboxes, the scope group, the EWS settings, so the expectations cannot be checked"
    )
    assert result.result["mailboxes"][0]["exists"] is None
    assert result.result["group"]["state"] is None
    assert (result.result["application"], result.result["ews"], result.result["control_mailboxes"]) == (None, None, [])


@pytest.mark.parametrize("number", range(5))
def test_each_thing_that_could_not_be_read_is_named_by_itself(number: int):
    words = ["the application", "the permissions", "the mailboxes", "the scope group", "the EWS settings"]
    people = those(Recipient.of(mailbox("a@contoso.com")), Recipient.of(mailbox("b@contoso.com")))
    slices = {
        "application": application.Facts(None if number == 0 else Application(), offers=None if number == 1 else {}),
        "mailboxes": mailboxes.Facts() if number == 2 else people,
        "scope": scope.Facts(None if number == 3 else ()),
        "ews": ews.Facts(None if number == 4 else {"EwsEnabled": None}),
    }
    told = found(judge(EVERYTHING, **slices))
    assert [word in told for word in words] == [word == words[number] for word in words]


def test_a_deleted_application_does_not_hide_a_namesake():
    deleted = {
        "id": "o",
        "appId": APP,
        "uniqueName": "fax",
        "displayName": "Fax",
        "deletedDateTime": "2026-11-20T00:00:00Z",
    }
    namesake = {"id": "p", "appId": "99999999-0000-4000-8000-000000000001", "displayName": "Fax"}
    desired = Desired(application=Wanted(unique_name="fax", display_name="Fax"))
    told = found(judge(desired, application=registered(deleted=deleted, namesakes=(namesake,))))
    assert "recycle bin" in told
    assert "99999999-0000-4000-8000-000000000001" in told
    assert told.count("\n") == 1


def test_the_summary_is_short_and_says_how_much_is_to_be_noted():
    calm = judge(Desired(), tenant=tenant.Facts("Contoso"))
    assert calm.summary == "Contoso: nothing in the way"
    noted = judge(Desired(ews=True), ews=open_to({"EwsEnabled": None}))
    assert noted.summary == "contoso.com: nothing in the way, 2 to note"
    nameless = plan(State(Operator("", "")), Desired(), NOW)
    assert nameless.summary == "the tenant: nothing in the way"
    assert nameless.result["tenant"] == {"id": None, "name": None, "domains": None, "default_domain": None}

    assert nameless.result["operator"]["directory_roles"] is None


def test_a_tenant_that_lists_no_domains_is_known_by_the_expected_one_if_it_is_its_own() -> None:
    mine, other = Operator(APP, TENANT_ID), Operator(APP, APP)
    wanted = Desired(expected_domain="contoso.com")
    assert tenant.shown_domain(tenant.Facts(owner=TENANT_ID), wanted, mine) == "contoso.com"
    assert tenant.shown_domain(tenant.Facts(owner=TENANT_ID), wanted, other) is None
    assert tenant.shown_domain(tenant.Facts(), wanted, mine) is None
    assert tenant.shown_domain(tenant.Facts(verified=("contoso.org",)), wanted, mine) == "contoso.org"


def test_a_mailbox_with_two_reasons_has_one_entry_and_the_first_address_counts():
    recipients = [Recipient.of(mailbox("a@contoso.com", EmailAddresses=["SMTP:a@contoso.com", "smtp:b@contoso.com"]))]
    result = judge(
        Desired(mailboxes=("b@contoso.com", "a@contoso.com"), control=("x@contoso.com",)), mailboxes=those(*recipients)
    )
    told = found(result, "warning")
    assert "mailbox b@contoso.com: it is a further address of a@contoso.com" in told
    assert "mailbox a@contoso.com: it is the same mailbox as b@contoso.com" in told
    assert told.count("\n") == 1


def test_one_reason_stands_for_itself():
    result = judge(
        Desired(mailboxes=("a@contoso.com",)),
        mailboxes=those(),
        control=control.Facts(candidates=(Recipient.of(mailbox("z@contoso.com")),)),
    )
    assert result.blocked is not None
    assert result.blocked.message == "mailbox a@contoso.com: no recipient has this address"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("faks@contoso.com", ["fax@contoso.com", "fax@contoso.net"]),
        ("fax@contso.com", ["fax@contoso.com", "fax@contoso.net"]),
        ("zzz@contoso.com", []),
    ],
)
def test_the_closest_are_mailboxes_by_their_local_part(address: str, expected: list[str]):
    known = [
        mailbox("fax@contoso.com"),
        mailbox("fax@contoso.net"),
        mailbox("faxe@contoso.com", "MailContact"),
        mailbox("adele@contoso.com"),
    ]
    assert closest(address, map(Recipient.of, known)) == expected


# --- powers --------------------------------------------------------------------------------------------------


def test_powers_that_cannot_be_known_are_not_missing():
    assert _powers.missing(_powers.POWERS, graph=None, exchange=None, roles=None) == []


def test_any_alternative_is_enough():
    held = {"graph": {"Application.ReadWrite.All"}, "exchange": (), "roles": ()}
    assert _powers.missing(["application", "secret"], **held) == []
    lacking = _powers.missing(["application", "secret"], graph={"User.Read.All"}, exchange=(), roles=())
    assert [(item.permission, item.steps) for item in lacking] == [
        ("Application.ReadWrite.OwnedBy", ("application", "secret"))
    ]


def test_the_recipient_role_is_enough_for_groups_only():
    held = {"graph": (), "exchange": {"Exchange.ManageAsApp"}, "roles": ["Exchange Recipient Administrator"]}
    assert _powers.missing(["group"], **held) == []
    assert [item.permission for item in _powers.missing(["policy", "ews"], **held)] == ["Exchange Administrator"]


def test_delegated_permissions_need_a_right_of_their_own():
    held = {"graph": {"AppRoleAssignment.ReadWrite.All", "Application.Read.All"}, "exchange": (), "roles": ()}
    assert [item.permission for item in _powers.missing(["consent"], **held)] == [
        "DelegatedPermissionGrant.ReadWrite.All"
    ]
    assert _powers.missing(["consent"], **held, only_for={"application"}) == []


def test_what_grants_application_permissions_is_needed_for_those_alone():
    held = {
        "graph": {"Application.Read.All", "DelegatedPermissionGrant.ReadWrite.All"},
        "exchange": None,
        "roles": None,
    }
    assert _powers.missing(["admin_consent"], **held, only_for={"delegated"}) == []
    (lacking,) = _powers.missing(["admin_consent"], **held)
    assert lacking.permission == "AppRoleAssignment.ReadWrite.All"
    assert _powers.missing(["application_role"], **held) == []
    (lacking,) = _powers.missing(["application_role"], **held, only_for={"revoked"})
    assert lacking.permission == "AppRoleAssignment.ReadWrite.All"


def test_role_ids_become_names():
    names = _powers.directory_roles({EXCHANGE_ADMIN, _powers.EVERY_MEMBER, "00000000-1111-4000-8000-000000000000"})
    assert names == ["00000000-1111-4000-8000-000000000000", "Exchange Administrator"]


def test_every_step_and_need_is_in_words():
    for power in _powers.POWERS.values():
        assert power.title
        assert all(_powers.who(need) and need.any_of[0] in _powers.in_words(need) for need in power.needs)
    assert list(_powers.WORDS) == DOOR.argument_spec.options["steps"]["choices"]


# --- long lists, and what was switched off -------------------------------------------------------------------


def test_a_long_list_is_cut_with_a_count():
    people = [mailbox(f"stranger{number}@contoso.com") for number in range(1200)]
    group = mailbox("scope@contoso.com", "MailUniversalSecurityGroup", ManagedBy=[f"Owner {n}" for n in range(400)])
    services = Services(
        exchange={
            "Get-Recipient": lambda parameters: (
                [mailbox("fax@contoso.com")]
                if "fax@" in str(parameters)
                else [group]
                if "scope" in str(parameters)
                else []
            ),
            "Get-DistributionGroup": [group],
            "Get-DistributionGroupMember": people,
        }
    )
    wanted_group = {**SCOPE, "alias": "scope", "on_foreign_members": "fail", "owners": [], "on_foreign_owners": "fail"}
    result = look(services, mailboxes=["fax@contoso.com"], group=wanted_group)
    assert result.blocked is not None
    assert "it holds 1200 more than the fax mailboxes" in result.blocked.message
    assert "and 1190 more" in result.blocked.message
    assert len(result.blocked.message) < 4000
    assert len(json.dumps(result.result)) < 80_000
    assert result.result["group"]["foreign_members_count"] == 1200


def test_many_reasons_are_cut_with_a_count():
    many = tuple(f"fax{number}@contoso.com" for number in range(500))
    result = judge(Desired(mailboxes=many), mailboxes=those())
    assert result.blocked is not None
    assert result.blocked.message.startswith("500 things stand in the way: (1) ")
    assert "490 more" in result.blocked.message
    assert len(result.blocked.message) < 3000
    assert len(result.blocked.cure) < 3000
    told = judge(Desired(mailboxes=many, fail_on_findings=False), mailboxes=those())
    assert len(told.warnings) == 101
    assert len(told.result["findings"]) == 501


@pytest.mark.parametrize(
    ("unchecked", "basic", "words"),
    [(False, True, None), (True, True, "the user's password"), (True, False, "another machine can answer")],
)
def test_a_host_whose_certificate_is_not_checked_is_told(unchecked: bool, basic: bool, words: str | None):
    facts = host.Facts({}, None, "mgmt01", unchecked, basic)
    told = found(judge(Desired(), host=facts), "warning")
    assert (words in told) if words else told == ""
