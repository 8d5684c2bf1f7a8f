# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mail, calendar and settings over Graph: what lets an application in, and each way in which it is kept out."""

from __future__ import annotations

import typing as t
import uuid

import pytest
import requests

from tests.emulator.testing import Emulator, start_emulator
from tests.fidelity.mail import (
    BASIC,
    DOMAIN,
    EXCHANGE,
    FAX,
    GRAPH,
    NOBODY,
    NOTHING,
    OPERATOR,
    OTHER,
    POLICY,
    SCOPED,
    SHARED,
    TENANT,
    WIDE,
    invoke,
    tenant,
    token,
)

NOW, LATER = "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"
READS = {
    "messages": "/messages?$top=1&$select=id",
    "inbox": "/mailFolders/inbox?$select=id",
    "calendar": f"/calendarView?startDateTime={NOW}&endDateTime={LATER}&$select=id",
    "events": "/events",
    "settings": "/mailboxSettings",
}
DENIED = (403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
BY_POLICY = (403, "ErrorAccessDenied", "Access to OData is disabled: [RAOP] : Blocked by tenant configured AppOnly")


class Mail:
    """Graph, asked as an application for a mailbox."""

    def __init__(self, emulator: Emulator, app: str) -> None:
        self._session = emulator.session()
        self._session.headers["Authorization"] = f"Bearer {token(emulator, app, GRAPH)}"

    def __call__(self, method: str, user: str, path: str, body: t.Any = None, **more: t.Any) -> requests.Response:
        url = f"{GRAPH}/v1.0/users/{user}{path}"
        return self._session.request(method, url, json=body, timeout=30, **more)

    def send(self, user: str, *to: str, **message: t.Any) -> requests.Response:
        people = [{"emailAddress": {"address": address}} for address in to]
        text = {
            "subject": "Fax",
            "body": {"contentType": "Text", "content": "Page 1"},
            "toRecipients": people,
            **message,
        }
        return self("POST", user, "/sendMail", {"message": text, "saveToSentItems": False})


def refused(answer: requests.Response, status: int, code: str, message: str = "") -> None:
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code)
    assert error["message"].startswith(message)


@pytest.fixture(scope="module")
def running() -> t.Iterator[Emulator]:
    with start_emulator({"tenants": [tenant()]}) as emulator:
        yield emulator


@pytest.fixture
def emulator(running: Emulator) -> Emulator:
    return running.reset()


# --- let in by permission, policy and role ----------------------------------------------------------------------------


@pytest.mark.parametrize("what", READS)
def test_each_read_by_each_model(emulator: Emulator, what: str) -> None:
    for app, other in ((WIDE, None), (POLICY, BY_POLICY), (SCOPED, DENIED), (NOTHING, DENIED)):
        mail = Mail(emulator, app)
        if app != NOTHING:
            assert mail("GET", FAX, READS[what]).status_code == 200, app
        if other is None:
            assert mail("GET", OTHER, READS[what]).status_code == 200
        else:
            refused(mail("GET", OTHER, READS[what]), *other)


def test_each_send_by_each_model(emulator: Emulator) -> None:
    for app, other in ((WIDE, None), (POLICY, BY_POLICY), (SCOPED, DENIED), (NOTHING, DENIED)):
        mail = Mail(emulator, app)
        if app != NOTHING:
            answer = mail.send(FAX, FAX)
            assert (answer.status_code, answer.content) == (202, b"")
        if other is None:
            assert mail.send(OTHER, FAX).status_code == 202
        else:
            refused(mail.send(OTHER, FAX), *other)
    senders = [message["from"] for message in emulator.state(TENANT)["messages"]]
    assert senders == [FAX, OTHER, FAX, FAX]


def test_a_permission_beside_a_role_undoes_its_scope(emulator: Emulator) -> None:
    scoped = Mail(emulator, SCOPED)
    refused(scoped("GET", OTHER, READS["inbox"]), *DENIED)
    with start_emulator(
        {
            "tenants": [
                tenant(
                    operators=[
                        {"client_id": SCOPED, "client_secret": "mail-secret", "app_roles": ["Mail.Read"]},
                        *tenant()["operators"][:-4],
                        *tenant()["operators"][-3:],
                    ]
                )
            ]
        }
    ) as both:
        assert Mail(both, SCOPED)("GET", OTHER, READS["inbox"]).status_code == 200
        refused(Mail(both, SCOPED).send(OTHER, FAX), *DENIED)  # that permission is not among them


def test_a_role_opens_what_a_policy_does_not(emulator: Emulator) -> None:
    """A policy limits permissions, not roles."""
    (app,) = [sp for sp in emulator.state(TENANT)["servicePrincipals"] if sp["appId"] == POLICY]
    invoke(emulator, "New-ServicePrincipal", AppId=POLICY, ObjectId=app["id"])
    role = {"Role": "Application Mail.Read", "App": POLICY}
    invoke(emulator, "New-ManagementRoleAssignment", Name="wide", **role)
    assert Mail(emulator, POLICY)("GET", OTHER, READS["messages"]).status_code == 200


def test_folders_and_contacts_have_permissions_of_their_own() -> None:
    """That for folders is limited by no policy, and opens no message."""
    operators = [
        {"client_id": POLICY, "client_secret": "mail-secret", "app_roles": ["MailboxFolder.Read.All", "Contacts.Read"]},
        *(one for one in tenant()["operators"] if one["client_id"] != POLICY),
    ]
    with start_emulator({"tenants": [tenant(operators=operators)]}) as emulator:
        mail = Mail(emulator, POLICY)
        assert mail("GET", OTHER, READS["inbox"]).status_code == 200
        refused(mail("GET", FAX, READS["messages"]), *DENIED)
        assert mail("GET", FAX, "/contacts?$top=1&$select=id").json()["value"] == []
        refused(mail("GET", OTHER, "/contacts"), *BY_POLICY)


def test_headers_alone(emulator: Emulator) -> None:
    Mail(emulator, WIDE).send(FAX, FAX)
    (seen,) = Mail(emulator, BASIC)("GET", FAX, "/messages").json()["value"]
    assert seen["subject"] == "Fax"
    assert not {"body", "bodyPreview"} & set(seen)
    (whole,) = Mail(emulator, WIDE)("GET", FAX, "/messages").json()["value"]
    assert whole["body"]["content"].strip() == "Page 1"
    refused(Mail(emulator, BASIC)("DELETE", FAX, f"/messages/{whole['id']}"), *DENIED)


def test_a_shared_mailbox_is_opened_like_any_other(emulator: Emulator) -> None:
    assert Mail(emulator, WIDE)("GET", SHARED, READS["messages"]).status_code == 200


# --- later than configured --------------------------------------------------------------------------------------------


def test_roles_and_policies_when_the_caches_know() -> None:
    with start_emulator({"tenants": [tenant()]}, profile="realistic") as emulator:
        (app,) = [sp for sp in emulator.state(TENANT)["servicePrincipals"] if sp["appId"] == NOTHING]
        invoke(emulator, "New-ServicePrincipal", AppId=NOTHING, ObjectId=app["id"])
        emulator.clock(seconds=30)
        role = {"Name": "late", "Role": "Application Mail.Read", "App": NOTHING, "CustomResourceScope": "Fax scope"}
        invoke(emulator, "New-ManagementRoleAssignment", **role)
        refused(Mail(emulator, NOTHING)("GET", FAX, READS["messages"]), *DENIED)
        emulator.clock(seconds=7201)
        assert Mail(emulator, NOTHING)("GET", FAX, READS["messages"]).status_code == 200


def test_not_yet_has_a_face_of_its_own() -> None:
    switches = {"rbac_cache": True, "rbac_denial": "ExtensionError"}
    with start_emulator({"tenants": [tenant(switches=switches)]}) as emulator:
        mail = Mail(emulator, SCOPED)
        refused(mail("GET", OTHER, READS["messages"]), *DENIED)
        joins = {"Identity": "fax-group", "Member": OTHER, "BypassSecurityGroupManagerCheck": True}
        invoke(emulator, "Add-DistributionGroupMember", **joins)
        refused(mail("GET", OTHER, READS["messages"]), 403, "ExtensionError")
        emulator.clock(seconds=1801)
        assert Mail(emulator, SCOPED)("GET", OTHER, READS["messages"]).status_code == 200


# --- the other refusals -----------------------------------------------------------------------------------------------


def test_tokens(emulator: Emulator) -> None:
    mail = Mail(emulator, WIDE)
    emulator.clock(seconds=3700)
    refused(
        mail("GET", FAX, READS["messages"]), 401, "InvalidAuthenticationToken", "Access token has expired or is not"
    )
    mail._session.headers["Authorization"] = f"Bearer {token(emulator, WIDE, EXCHANGE)}"
    refused(mail("GET", FAX, READS["messages"]), 401, "InvalidAuthenticationToken", "Access token validation failure.")
    mail._session.headers["Authorization"] = "Bearer nonsense"
    refused(mail("GET", FAX, READS["messages"]), 401, "InvalidAuthenticationToken", "CompactToken parsing failed")


def test_who_is_asked_for(emulator: Emulator) -> None:
    mail = Mail(emulator, WIDE)
    (fax,) = [box for box in emulator.state(TENANT)["mailboxes"] if box["PrimarySmtpAddress"] == FAX]
    assert mail("GET", fax["ExternalDirectoryObjectId"], READS["messages"]).status_code == 200
    refused(
        mail("GET", NOBODY, READS["messages"]), 404, "ErrorInvalidUser", f"The requested user '{NOBODY}' is invalid."
    )
    refused(mail("GET", f"telefax@{DOMAIN}", READS["messages"]), 404, "ErrorInvalidUser")  # an alias
    refused(mail("GET", str(uuid.uuid4()), READS["messages"]), 404, "Request_ResourceNotFound", "Resource '")
    refused(
        mail("GET", f"poor@{DOMAIN}", READS["messages"]), 404, "MailboxNotEnabledForRESTAPI", "The mailbox is either"
    )
    refused(mail("GET", FAX, "/messages/AAMkX"), 404, "ErrorItemNotFound", "The specified object was not found")
    refused(mail("GET", FAX, "/mailFolders/nosuch"), 404, "ErrorItemNotFound")
    refused(Mail(emulator, OPERATOR)("GET", NOBODY, READS["messages"]), *DENIED)  # who may nothing learns nothing


def test_older_forms() -> None:
    switches = {"no_mailbox_form": "older", "policy_denial": "older"}
    with start_emulator({"tenants": [tenant(switches=switches)]}) as emulator:
        poor = Mail(emulator, WIDE)("GET", f"poor@{DOMAIN}", READS["messages"])
        refused(poor, 404, "MailboxNotEnabledForRESTAPI", "REST API is not yet supported for this mailbox.")
        denied = Mail(emulator, POLICY)("GET", OTHER, READS["messages"])
        refused(denied, 403, "ErrorAccessDenied", "Access to OData is disabled.")


def test_a_tenant_without_exchange() -> None:
    lone = {"client_id": WIDE, "client_secret": "mail-secret", "app_roles": ["Mail.Read"]}
    with start_emulator(
        {"tenants": [{"id": TENANT, "domains": [DOMAIN], "exchange": False, "operators": [lone]}]}
    ) as other:
        refused(Mail(other, WIDE)("GET", NOBODY, READS["messages"]), 401, "UnknownError")


def test_a_service_principal_that_is_switched_off(emulator: Emulator) -> None:
    mail = Mail(emulator, WIDE)
    operator = emulator.session()
    operator.headers["Authorization"] = f"Bearer {token(emulator, OPERATOR, GRAPH)}"
    off = operator.patch(f"{GRAPH}/v1.0/servicePrincipals(appId='{WIDE}')", json={"accountEnabled": False}, timeout=30)
    assert off.status_code == 204
    refused(mail("GET", FAX, READS["messages"]), 401, "UnknownError")


def test_sending_that_is_refused(emulator: Emulator) -> None:
    mail = Mail(emulator, WIDE)
    other = {"from": {"emailAddress": {"address": OTHER}}}
    refused(mail.send(FAX, FAX, **other), 403, "ErrorSendAsDenied")
    refused(mail.send(FAX), 400, "ErrorInvalidRecipients")
    refused(mail("POST", FAX, "/sendMail", {"subject": "bare"}), 400, "ErrorInvalidRequest")
    assert emulator.state(TENANT)["messages"] == []


def test_throttling_is_a_fault(emulator: Emulator) -> None:
    body = {"error": {"code": "ApplicationThrottled", "message": "Application is over its MailboxConcurrency limit."}}
    effect = {"status": 429, "headers": {"Retry-After": "10"}, "body": body}
    emulator.faults(
        [{"match": {"host": "graph.microsoft.com", "path_regex": "/messages"}, "times": 1, "effect": effect}]
    )
    mail = Mail(emulator, WIDE)
    refused(mail("GET", FAX, READS["messages"]), 429, "ApplicationThrottled", "Application is over its")
    assert mail("GET", FAX, READS["messages"]).status_code == 200


# --- messages ---------------------------------------------------------------------------------------------------------


def test_messages_are_listed_read_moved_and_deleted(emulator: Emulator) -> None:
    mail = Mail(emulator, WIDE)
    for number in range(12):
        assert mail.send(FAX, FAX, subject=f"Fax {number}").status_code == 202
    first = mail("GET", FAX, "/messages?$count=true&$select=subject").json()
    assert (first["@odata.count"], len(first["value"])) == (12, 10)
    assert first["value"][0]["subject"] == "Fax 11"  # newest first
    rest = mail._session.get(first["@odata.nextLink"], timeout=30).json()
    assert [one["subject"] for one in rest["value"]] == ["Fax 1", "Fax 0"]
    (one,) = mail("GET", FAX, "/mailFolders/inbox/messages?$filter=subject eq 'Fax 7'").json()["value"]
    assert (one["isRead"], one["from"]["emailAddress"]["address"]) == (False, FAX)
    path = f"/messages/{one['id']}"
    assert mail("GET", FAX, path).json()["internetMessageId"] == one["internetMessageId"]
    assert b"Subject: Fax 7" in mail("GET", FAX, f"{path}/$value").content
    assert mail("PATCH", FAX, path, {"isRead": True}).json()["isRead"] is True
    assert mail("GET", FAX, "/mailFolders/inbox").json()["unreadItemCount"] == 11
    assert mail("DELETE", FAX, path).status_code == 204
    assert mail("GET", FAX, "/mailFolders/inbox").json()["totalItemCount"] == 11
    assert mail("GET", FAX, "/mailFolders/deleteditems").json()["totalItemCount"] == 1
    assert mail("DELETE", FAX, path).status_code == 204
    refused(mail("GET", FAX, path), 404, "ErrorItemNotFound")


def test_a_copy_of_what_is_sent_is_kept_unless_it_is_not_wanted(emulator: Emulator) -> None:
    mail = Mail(emulator, WIDE)
    to = [{"emailAddress": {"address": OTHER}}]
    assert mail("POST", FAX, "/sendMail", {"message": {"subject": "Kept", "toRecipients": to}}).status_code == 202
    assert mail.send(FAX, OTHER).status_code == 202
    folders = [(m["mailbox"], m["folder"], m["subject"]) for m in emulator.state(TENANT)["messages"]]
    assert folders == [(OTHER, "inbox", "Kept"), (FAX, "sentitems", "Kept"), (OTHER, "inbox", "Fax")]


def test_a_calendar_view_needs_its_bounds(emulator: Emulator) -> None:
    refused(Mail(emulator, WIDE)("GET", FAX, "/calendarView"), 400, "ErrorInvalidParameter")
