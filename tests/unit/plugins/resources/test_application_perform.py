# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""entra_application and entra_admin_consent where replicas lag, answers are lost and others are faster."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.mail2fax.m365.plugins.module_utils import _module
from ansible_collections.mail2fax.m365.plugins.module_utils._door import Door, Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import AnswerLost
from ansible_collections.mail2fax.m365.plugins.module_utils._http import Response
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import application, consent
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant
from tests.unit.script import Exchange, FakeClock, Script, answer, graph_error, jwt

OPERATOR = "11111111-0000-4000-8000-000000000001"
APP_ID = "1cb8b5d2-8724-4f32-8152-a16a230b682b"
EXCHANGE = "00000002-0000-0ff1-ce00-000000000000"
FULL = "dc890d15-9560-4a4c-9b7f-a736ec74ec40"
NAME_TAKEN = "Another object with the same value for property uniqueName already exists."
IN_USE = f"The service principal cannot be created, updated, or restored because the name {APP_ID} is already in use."
HIDDEN = "Resource 'x' does not exist or one of its queried reference-property objects are not present."
DOCUMENT = {
    "id": "object",
    "appId": APP_ID,
    "displayName": "Fax",
    "uniqueName": "fax",
    "signInAudience": "AzureADMyOrg",
    "createdDateTime": "2026-11-01T00:00:00Z",
    "createdByAppId": OPERATOR,
}
DELETED = {**DOCUMENT, "deletedDateTime": "2026-11-20T00:00:00Z"}
PRINCIPAL = {"id": "principal", "appId": APP_ID, "accountEnabled": True}

Part = tuple[int, t.Any]
ABSENT: Part = (404, {"error": {"code": "Request_ResourceNotFound", "message": HIDDEN}})


def found(document: t.Any) -> Part:
    return 200, document


def listed(*documents: t.Any) -> Part:
    return 200, {"value": list(documents)}


def parts(*answers: Part) -> Response:
    responses = [{"id": str(index), "status": status, "body": body} for index, (status, body) in enumerate(answers)]
    return answer(200, {"responses": responses})


def batch(*answers: Part) -> Exchange:
    def as_many(body: t.Any) -> bool:
        return len(body["requests"]) == len(answers)

    return Exchange("POST", "/v1.0/$batch", parts(*answers), as_many)


def run(
    door: Door, params: dict[str, t.Any], *exchanges: Exchange, patience: int = 30
) -> tuple[dict[str, t.Any], Script, FakeClock]:
    """One task against a script, all of which has to be played."""
    options = ArgumentSpecValidator(**door.argument_spec.kwargs()).validate(
        {"tenant": "contoso.com", "access_token": {"graph": jwt(appid=OPERATOR)}, "patience": patience, **params}
    )
    assert not options.error_messages
    script, clock = Script(exchanges), FakeClock()
    result = _module.execute(
        door,
        Task(options.validated_parameters),
        lambda: Tenant(options.validated_parameters, environment={}, transport=script, clock=clock),
    )
    assert script.finished(), f"unplayed: {exchanges[len(script.seen)]}"
    return result, script, clock


def apply(*exchanges: Exchange, patience: int = 30, **params: t.Any) -> tuple[dict[str, t.Any], Script, FakeClock]:
    base = {"unique_name": "fax", "display_name": "Fax"}
    return run(application.DOOR, {**base, **params}, *exchanges, patience=patience)


NOTHING = batch(ABSENT, listed(), ABSENT, ABSENT, listed())
BINNED = [batch(ABSENT, listed(DELETED), ABSENT, ABSENT, listed()), batch(ABSENT, listed(), ABSENT)]
DONE = [
    batch(found(DOCUMENT), listed(), listed(), listed(), listed(DOCUMENT)),
    batch(found(PRINCIPAL), listed(), listed()),
]
CREATED = Exchange("PATCH", "/applications(uniqueName='fax')", answer(201, DOCUMENT))
PRINCIPAL_CREATED = Exchange("POST", "/servicePrincipals", answer(201, PRINCIPAL))


def test_answers_of_creates_are_proof_enough() -> None:
    result, script, _clock = apply(NOTHING, CREATED, PRINCIPAL_CREATED)
    assert (result["app_id"], result["service_principal_id"]) == (APP_ID, "principal")
    assert script.seen[1].headers["Prefer"] == "create-if-missing"
    assert json.loads(script.seen[2].body or b"") == {
        "appId": APP_ID,
        "tags": ["WindowsAzureActiveDirectoryIntegratedApp"],
    }


def test_a_service_principal_that_shall_not_sign_in_is_born_disabled() -> None:
    disabled = {**PRINCIPAL, "accountEnabled": False}
    created = Exchange(
        "POST", "/servicePrincipals", answer(201, disabled), lambda body: body["accountEnabled"] is False
    )
    result, *_rest = apply(NOTHING, CREATED, created, enabled=False)
    assert result["outcome"] == "changed"


def test_an_upsert_that_made_nothing_new_is_read_back_with_patience() -> None:
    result, _script, clock = apply(
        NOTHING,
        Exchange("PATCH", "/applications(uniqueName='fax')", answer(204)),
        Exchange("GET", "/applications(uniqueName='fax')", graph_error(404, "Request_ResourceNotFound", HIDDEN)),
        Exchange("GET", "/applications(uniqueName='fax')", answer(200, DOCUMENT)),
        PRINCIPAL_CREATED,
    )
    assert result["application"]["object_id"] == "object"
    assert len(clock.sleeps) == 1


@pytest.mark.parametrize(
    "refusal",
    [
        graph_error(400, "Request_BadRequest", f"The appId '{APP_ID}' does not reference a valid application object."),
        graph_error(404, "Request_ResourceNotFound", HIDDEN),
        graph_error(
            403,
            "Authorization_RequestDenied",
            "the backing application of the service principal being created must in the local tenant",
        ),
    ],
)
def test_a_service_principal_waits_for_its_application(refusal: Response) -> None:
    refused = Exchange("POST", "/servicePrincipals", refusal)
    result, _script, clock = apply(NOTHING, CREATED, refused, refused, PRINCIPAL_CREATED)
    assert result["service_principal_id"] == "principal"
    assert len(clock.sleeps) == 2


def test_a_real_lack_of_permission_is_not_waited_for() -> None:
    refused = Exchange("POST", "/servicePrincipals", graph_error(403, "Authorization_RequestDenied", "Insufficient."))
    result, _script, clock = apply(NOTHING, CREATED, refused)
    assert (result["failed"], result["changed"]) == (True, True)
    assert result["error"]["done"] == ["create the application 'Fax'"]
    assert clock.sleeps == []


def test_after_a_lost_answer_a_replica_that_hides_the_application_is_waited_for() -> None:
    result, _script, clock = apply(
        NOTHING,
        CREATED,
        Exchange("POST", "/servicePrincipals", AnswerLost("lost")),
        NOTHING,
        batch(found(DOCUMENT), listed(), listed(), listed(), listed()),
        batch(ABSENT, listed(), ABSENT),
        Exchange("POST", "/servicePrincipals", graph_error(409, "Request_MultipleObjectsWithSameKeyValue", IN_USE)),
        batch(ABSENT, listed()),
        batch(found(PRINCIPAL), listed()),
        *DONE,
    )
    assert result["service_principal_id"] == "principal"
    assert result["changed"]
    assert len(clock.sleeps) == 2


def test_a_service_principal_that_exists_and_never_shows_is_an_error() -> None:
    result, *_rest = apply(
        NOTHING,
        CREATED,
        Exchange("POST", "/servicePrincipals", graph_error(409, "Request_MultipleObjectsWithSameKeyValue", IN_USE)),
        batch(ABSENT, listed()),
        patience=0,
    )
    assert "shows none" in result["msg"]


def test_a_service_principal_that_came_back_with_a_restored_application_is_replaced() -> None:
    result, *_rest = apply(
        *BINNED,
        Exchange("POST", "/directory/deletedItems/object/restore", answer(200, DOCUMENT)),
        Exchange("POST", "/servicePrincipals", graph_error(409, "Request_MultipleObjectsWithSameKeyValue", IN_USE)),
        batch(found({**PRINCIPAL, "id": "old"}), listed()),
        Exchange("DELETE", "/servicePrincipals/old", answer(204)),
        Exchange("DELETE", "/directory/deletedItems/old", graph_error(404, "Request_ResourceNotFound", HIDDEN)),
        Exchange("DELETE", "/directory/deletedItems/old", answer(204)),
        PRINCIPAL_CREATED,
        *DONE,
        on_deleted="restore",
    )
    assert result["service_principal_id"] == "principal"


def test_a_purged_application_may_hold_its_name_a_little_longer() -> None:
    taken = Exchange("PATCH", "/applications(uniqueName='fax')", graph_error(400, "Request_BadRequest", NAME_TAKEN))
    result, _script, clock = apply(
        *BINNED,
        Exchange("DELETE", "/directory/deletedItems/object", answer(204)),
        taken,
        taken,
        CREATED,
        PRINCIPAL_CREATED,
        on_deleted="purge",
    )
    assert result["outcome"] == "changed"
    assert len(clock.sleeps) == 2


@pytest.mark.parametrize(
    ("bin_holds", "kind", "says"), [([DELETED], "Blocked", "recycle bin"), ([], "Conflict", "another application")]
)
def test_a_taken_name_is_explained(bin_holds: list[t.Any], kind: str, says: str) -> None:
    result, *_rest = apply(
        NOTHING,
        Exchange("PATCH", "/applications(uniqueName='fax')", graph_error(400, "Request_BadRequest", NAME_TAKEN)),
        Exchange("GET", "/directory/deletedItems/microsoft.graph.application?", answer(200, {"value": bin_holds})),
    )
    assert (result["error"]["kind"], result["changed"]) == (kind, False)
    assert says in result["msg"]


def test_a_recycle_bin_that_does_not_filter_is_gone_through() -> None:
    unsupported: Part = (400, {"error": {"code": "Request_UnsupportedQuery", "message": "no such filter"}})
    other = {**DELETED, "id": "other", "uniqueName": "other"}
    result, *_rest = apply(
        batch(ABSENT, unsupported, ABSENT, ABSENT, listed()),
        Exchange(
            "GET", "/directory/deletedItems/microsoft.graph.application?", answer(200, {"value": [other, DELETED]})
        ),
        batch(ABSENT, listed(), ABSENT),
    )
    assert result["outcome"] == "blocked"
    assert result["error"]["details"]["deleted"]["object_id"] == "object"


def test_what_never_reaches_the_recycle_bin_is_an_error() -> None:
    gone = Exchange("DELETE", "/directory/deletedItems/object", graph_error(404, "Request_ResourceNotFound", HIDDEN))
    result, *_rest = apply(*BINNED, gone, gone, on_deleted="purge", patience=1)
    assert "not in the recycle bin" in result["msg"]


def test_a_change_that_never_shows_is_an_error_that_says_what_is_left() -> None:
    renamed = {**DOCUMENT, "displayName": "renamed"}
    reads = [
        batch(found(renamed), listed(), listed(), listed(), listed()),
        batch(found(PRINCIPAL), listed(), listed()),
    ]
    result, *_rest = apply(*reads, Exchange("PATCH", "/applications/object", answer(204)), *reads, *reads, patience=1)
    assert (result["failed"], result["changed"], result["error"]["kind"]) == (True, True, "Conflict")
    assert "still to do: set display_name of 'Fax'" in result["msg"]


def test_owners_that_may_not_be_read_do_not_hide_the_namesakes() -> None:
    forbidden: Part = (403, {"error": {"code": "Authorization_RequestDenied", "message": "no"}})
    result, *_rest = apply(
        batch(ABSENT, listed(), ABSENT, ABSENT, listed(DOCUMENT, {**DOCUMENT, "id": "b"})), batch(forbidden, ABSENT)
    )
    assert result["outcome"] == "blocked"
    assert len(result["error"]["details"]["namesakes"]) == 2


# --- consent -------------------------------------------------------------------------------------------------

RESOURCE = found(
    {
        "id": "exchange",
        "appId": EXCHANGE,
        "appRoles": [
            {"id": FULL, "value": "full_access_as_app", "isEnabled": True, "allowedMemberTypes": ["Application"]},
        ],
        "oauth2PermissionScopes": [{"id": "s", "value": "EWS.AccessAsUser.All", "isEnabled": True}],
    }
)
ASSIGNMENT = {"id": "a1", "resourceId": "exchange", "appRoleId": FULL}
GRANT = {"id": "g1", "resourceId": "exchange", "consentType": "AllPrincipals", "scope": "old"}
SEEN = found({"id": "principal", "displayName": "Fax", "accountEnabled": True})
HERE = [found(DOCUMENT), listed(), listed(), listed()]
"""The application, who owns it, its federated credentials, who owns its service principal."""
FORBIDDEN: Part = (403, {"error": {"code": "Authorization_RequestDenied", "message": "no"}})
LIFETIMES = batch(FORBIDDEN, FORBIDDEN)
UNSEEN = batch(ABSENT, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT, RESOURCE)


def grant(
    *exchanges: Exchange, patience: int = 30, delegated: bool = False, **params: t.Any
) -> tuple[dict[str, t.Any], Script, FakeClock]:
    permission = {"resource": "exchange_online", "application": ["full_access_as_app"]}
    if delegated:
        permission["delegated"] = ["EWS.AccessAsUser.All"]
    base = {"app_id": APP_ID, "permissions": [permission]}
    return run(consent.DOOR, {**base, **params}, *exchanges, patience=patience)


def test_a_hidden_service_principal_is_waited_for() -> None:
    result, _script, clock = grant(UNSEEN, UNSEEN, batch(SEEN, listed(ASSIGNMENT), listed(), *HERE, RESOURCE))
    assert (result["outcome"], len(clock.sleeps)) == ("ok", 2)


def test_a_service_principal_without_its_grants_is_looked_at_again() -> None:
    half = batch(SEEN, ABSENT, listed(), *HERE, RESOURCE)
    result, *_rest = grant(half, batch(SEEN, listed(ASSIGNMENT), listed(), *HERE, RESOURCE))
    assert result["outcome"] == "ok"
    result, *_rest = grant(half, patience=0)
    assert (result["failed"], result["outcome"]) == (True, "failed")


def test_absence_is_not_waited_for_when_absence_is_wanted() -> None:
    result, _script, clock = grant(batch(ABSENT, ABSENT, ABSENT, listed(), RESOURCE), state="absent")
    assert (result["outcome"], clock.sleeps) == ("ok", [])
    # One server does not show it, another does: that is no absence.
    hidden = batch(ABSENT, ABSENT, ABSENT, listed(PRINCIPAL), RESOURCE)
    seen = batch(SEEN, listed(), listed(), listed(PRINCIPAL), RESOURCE)
    result, _script, clock = grant(hidden, seen, state="absent")
    assert (result["outcome"], len(clock.sleeps)) == ("ok", 1)


def test_all_pages_are_read_from_graphs_own_host() -> None:
    page = found(
        {"value": [], "@odata.nextLink": "https://graph.microsoft.com/v1.0/servicePrincipals/x/more?$skiptoken=1"}
    )
    result, script, _clock = grant(
        batch(SEEN, page, listed(), *HERE, RESOURCE),
        Exchange("GET", "/v1.0/servicePrincipals/x/more?$skiptoken=1", answer(200, {"value": [ASSIGNMENT]})),
    )
    assert result["outcome"] == "ok"
    assert script.seen[1].host == "graph.microsoft.com"


def test_a_grant_is_looked_for_until_it_shows() -> None:
    nothing = batch(SEEN, listed(), listed(), *HERE, RESOURCE)
    there = batch(SEEN, listed(ASSIGNMENT), listed(), *HERE, RESOURCE)
    result, *_rest = grant(nothing, batch((201, ASSIGNMENT)), nothing, there)
    assert result["outcome"] == "changed"
    joined = {**GRANT, "scope": "EWS.AccessAsUser.All old"}
    result, *_rest = grant(
        batch(SEEN, listed(ASSIGNMENT), listed(GRANT), *HERE, RESOURCE),
        batch((204, None)),
        batch(SEEN, listed(ASSIGNMENT), listed(GRANT), *HERE, RESOURCE),
        batch(SEEN, listed(ASSIGNMENT), listed(joined), *HERE, RESOURCE),
        delegated=True,
    )
    assert result["outcome"] == "changed"


def test_a_change_that_somebody_undoes_is_an_error() -> None:
    seen = batch(SEEN, listed(ASSIGNMENT), listed(), listed(), RESOURCE)
    result, *_rest = grant(seen, batch((204, None)), seen, state="absent", patience=0)
    assert (result["error"]["kind"], result["changed"]) == ("Conflict", True)
    assert "revoke full_access_as_app" in result["msg"]


def test_what_is_gone_already_counts_as_revoked() -> None:
    result, *_rest = grant(
        batch(SEEN, listed(ASSIGNMENT), listed(), listed(), RESOURCE),
        batch(ABSENT),
        batch(SEEN, listed(), listed(), listed(), RESOURCE),
        LIFETIMES,
        state="absent",
    )
    assert "could not be read" in result["tokens_until_reason"]
    assert result["revoked"] == [
        {"resource": "exchange_online", "application": ["full_access_as_app"], "delegated": []}
    ]


def test_after_a_lost_answer_it_is_still_told_what_was_revoked() -> None:
    result, *_rest = grant(
        batch(SEEN, listed(ASSIGNMENT), listed(), listed(), RESOURCE),
        Exchange("POST", "/$batch", AnswerLost("lost")),
        batch(SEEN, listed(), listed(), listed(), RESOURCE),
        batch(SEEN, listed(), listed(), listed(), RESOURCE),
        LIFETIMES,
        state="absent",
    )
    assert result["changed"]
    assert result["revoked"] == [
        {"resource": "exchange_online", "application": ["full_access_as_app"], "delegated": []}
    ]


def test_a_grant_that_vanished_before_it_was_changed_is_an_error_with_a_cure() -> None:
    result, *_rest = grant(
        batch(SEEN, listed(ASSIGNMENT), listed(GRANT), *HERE, RESOURCE), batch(ABSENT), delegated=True
    )
    assert result["failed"]
    assert "run again" in result["msg"]


def test_one_refusal_ends_it_and_what_went_through_is_told() -> None:
    refused: Part = (403, {"error": {"code": "Authorization_RequestDenied", "message": "no"}})
    result, *_rest = grant(
        batch(SEEN, listed(), listed(), *HERE, RESOURCE), batch((201, ASSIGNMENT), refused), delegated=True
    )
    assert result["error"]["done"] == ["grant full_access_as_app (application) of exchange_online"]
    assert "DelegatedPermissionGrant.ReadWrite.All" in result["msg"]


def test_an_exact_list_wins_over_a_grant_that_others_just_made() -> None:
    theirs = {**GRANT, "scope": "EWS.AccessAsUser.All other"}
    exists: Part = (
        409,
        {"error": {"code": "Request_MultipleObjectsWithSameKeyValue", "message": "Permission entry already exists."}},
    )
    result, *_rest = grant(
        batch(SEEN, listed(ASSIGNMENT), listed(), *HERE, RESOURCE),
        batch(exists),
        Exchange("GET", "/servicePrincipals/principal/oauth2PermissionGrants", answer(200, {"value": []})),
        Exchange("GET", "/servicePrincipals/principal/oauth2PermissionGrants", answer(200, {"value": [theirs]})),
        Exchange(
            "PATCH", "/oauth2PermissionGrants/g1", answer(204), lambda body: body == {"scope": "EWS.AccessAsUser.All"}
        ),
        batch(SEEN, listed(ASSIGNMENT), listed({**GRANT, "scope": "EWS.AccessAsUser.All"}), *HERE, RESOURCE),
        delegated=True,
        exclusive=True,
    )
    assert result["outcome"] == "changed"
