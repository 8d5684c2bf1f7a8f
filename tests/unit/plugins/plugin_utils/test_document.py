# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import copy
import datetime as dt
import json
import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils import _steps
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _profile
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import compose as _compose
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import record, table, times, words

Json = dict[str, t.Any]
NOW = dt.datetime(2026, 11, 21, 12, 0, 30, 5, tzinfo=dt.UTC)
APP = "1cb8b5d2-8724-4f32-8152-a16a230b682b"
ZERO = "00000000-0000-0000-0000-000000000000"
OPERATOR = "11111111-0000-4000-8000-00000000000a"
FAX, OTHER = "fax@contoso.com", "adele@contoso.com"


def results(**changes: Json | None) -> Json:
    """The registered results of a first provisioning; a change of None: the step registered nothing."""
    found: Json = {
        "preflight": {
            "changed": False,
            "outcome": "ok",
            "summary": "nothing in the way",
            "tenant": {"id": "969d5b92-bc05-403f-b576-97201b665e65", "name": "Contoso", "domains": ["contoso.com"]},
            "findings": [],
            "ews": {"EwsEnabled": None, "EwsAllowedAppIDs": None, "allowed": None},
        },
        "application": {
            "changed": True,
            "outcome": "changed",
            "summary": "created",
            "steps": ["create the application"],
            "app_id": APP,
            "service_principal_id": "00000000-0000-4000-8000-000000000003",
            "application": {"object_id": "00000000-0000-4000-8000-000000000002", "display_name": "Mail2DigitalFax"},
        },
        "scope_group": {
            "changed": True,
            "outcome": "changed",
            "summary": "group created",
            "group": {"guid": "00000000-0000-4000-8000-000000000004", "name": "Fax", "alias": "fax.group"},
        },
        "access_policy": {"changed": True, "outcome": "changed", "summary": "policy created"},
        "ews_access": {"changed": False, "skipped": True, "skip_reason": "Conditional result was False"},
        "client_secret": {
            "changed": True,
            "outcome": "changed",
            "summary": "made",
            "key_id": "00000000-0000-4000-8000-000000000005",
            "display_name": "Secret",
            "end_date_time": "2027-11-21T12:00:00Z",
            "stored_in": "vault file /s/contoso.yml",
            "value": "CANARY",
        },
        "admin_consent": {"changed": True, "outcome": "changed", "summary": "granted"},
        "access_verdict": {
            "changed": False,
            "outcome": "ok",
            "summary": "1 Granted, 1 Denied",
            "verdicts": [
                {"mailbox": OTHER, "verdict": "Denied", "expected": "Denied", "as_expected": True, "at": "t1"},
                {"mailbox": FAX, "verdict": "Granted", "expected": "Granted", "as_expected": True, "at": "t1"},
            ],
        },
        "mailbox_probe": {
            "changed": False,
            "outcome": "ok",
            "summary": "as expected",
            "probes": [
                {"mailbox": FAX, "verdict": "opened", "expected": "opened", "as_expected": True, "at": "t2"},
                {
                    "mailbox": OTHER,
                    "verdict": "denied_by_policy",
                    "expected": "refused",
                    "as_expected": True,
                    "at": "t2",
                },
            ],
        },
    }
    found.update(changes)
    return {name: value for name, value in found.items() if value is not None}


def compose(found: Json, **context: t.Any) -> Json:
    known: Json = {
        "host": "contoso",
        "profile": _profile.load("imagicle_ews"),
        "names": {"application": "Mail2DigitalFax", "group": "Fax", "group_alias": "fax.group", "secret": "Secret"},
        "mailboxes": [FAX],
        "renew_before": 30,
        "at": NOW,
    }
    return _compose.compose(found, {**known, **context})


def failed(outcome: str, msg: str, **more: t.Any) -> Json:
    return {"failed": True, "changed": False, "outcome": outcome, "msg": msg, "summary": msg[:20], **more}


def test_the_document_of_a_whole_run() -> None:
    document = compose(results())
    assert document["schema"] == record.SCHEMA
    assert document["at"] == "2026-11-21T12:00:30Z"
    assert document["outcome"] == "changed"
    assert document["state"] == "ready"
    assert [step["step"] for step in document["steps"]] == list(_steps.of("provision", None))
    assert document["steps"][1]["changes"] == ["create the application"]
    assert document["ids"]["application_id"] == APP
    assert document["ids"]["group"] == "00000000-0000-4000-8000-000000000004"
    assert document["tenant"] == {
        "id": "969d5b92-bc05-403f-b576-97201b665e65",
        "domain": "contoso.com",
        "name": "Contoso",
    }
    assert document["secret"] == {
        "display_name": "Secret",
        "key_id": "00000000-0000-4000-8000-000000000005",
        "end_date_time": "2027-11-21T12:00:00Z",
        "renew_from": "2027-10-22T12:00:00Z",
        "stored_in": "vault file /s/contoso.yml",
    }
    assert document["unprotected"] == "none"
    assert "CANARY" not in json.dumps(document)
    assert words.complaint(document) == ""


def test_ews_that_needs_no_opening_is_ok_because_the_preflight_has_looked() -> None:
    document = compose(results())
    assert document["steps"][4] == {
        "step": "ews_access",
        "outcome": "ok",
        "summary": "EWS is not restricted by the tenant, nothing to do",
    }
    wrong = {**results()["preflight"], "findings": [{"severity": "blocked", "step": "tenant", "what": "domain"}]}
    audited = {step["step"]: step for step in compose(results(preflight=wrong), mode="audit")["steps"]}
    assert audited["ews_access"]["outcome"] == "skipped"


def test_mailboxes_have_both_verdicts_and_the_fax_mailbox_comes_first() -> None:
    rows = compose(results())["mailboxes"]
    assert [(row["mailbox"], row["expected"], row["verdict"], row["probe"]) for row in rows] == [
        (FAX, "granted", "Granted", "opened"),
        (OTHER, "denied", "Denied", "denied_by_policy"),
    ]
    assert [(row["verdict_at"], row["probe_at"], row["as_expected"]) for row in rows] == [("t1", "t2", True)] * 2
    # Also where the run's options do not tell which is which.
    assert [row["mailbox"] for row in compose(results(), mailboxes=[])["mailboxes"]] == [FAX, OTHER]
    # One contradiction is enough.
    probe = copy.deepcopy(results()["mailbox_probe"])
    probe["probes"][1].update(verdict="opened", as_expected=False)
    rows = compose(results(mailbox_probe=probe))["mailboxes"]
    assert [row["as_expected"] for row in rows] == [True, False]
    # What was not asked is there, too.
    untried = compose(results(access_verdict=None, mailbox_probe=None), mailboxes=f"{FAX}, second@contoso.com")
    assert [(row["mailbox"], row["verdict"], row["as_expected"]) for row in untried["mailboxes"]] == [
        (FAX, None, None),
        ("second@contoso.com", None, None),
    ]


@pytest.mark.parametrize(
    ("outcomes", "worst"),
    [
        ([], "ok"),
        (["ok", "changed"], "changed"),
        (["changed", "pending", "ok"], "pending"),
        (["pending", "blocked", "skipped"], "blocked"),
        (["blocked", "failed", "changed"], "failed"),
    ],
)
def test_the_worst_outcome_is_the_runs(outcomes: list[str], worst: str) -> None:
    assert words.worst(outcomes) == worst


def test_a_mailbox_given_by_an_alias_goes_by_its_primary_address() -> None:
    looked_at = [{"address": "faxes@contoso.com", "primary": FAX}, {"address": "gone@contoso.com", "primary": None}]
    document = compose(
        results(preflight={**results()["preflight"], "mailboxes": looked_at}),
        mailboxes=["Faxes@contoso.com", "gone@contoso.com"],
    )
    assert [row["mailbox"] for row in document["mailboxes"]] == [FAX, "gone@contoso.com", OTHER]


def test_pending_is_told_with_the_latest_time() -> None:
    probe = {
        **results()["mailbox_probe"],
        "outcome": "pending",
        "pending": "not in force",
        "pending_until": "2026-11-21T13:00:00Z",
    }
    preflight = {**results()["preflight"], "outcome": "pending", "pending": "no proof", "pending_until": None}
    document = compose(results(mailbox_probe=probe, preflight=preflight))
    assert document["outcome"] == "pending"
    assert document["state"] == "wait"
    assert document["pending_until"] == "2026-11-21T13:00:00Z"
    assert [item["step"] for item in document["pending"]] == ["preflight", "mailbox_probe"]
    assert words.headline(document) == "wait until 21 Nov 2026, 13:00 UTC"
    assert words.complaint(document) == ""


def test_a_run_that_stopped_says_where_and_why() -> None:
    error = {"kind": "Blocked", "options": ["on_other_policies"]}
    stop = failed("blocked", "set on_other_policies to remove. More.", error=error)
    later: dict[str, Json | None] = dict.fromkeys(
        ("client_secret", "admin_consent", "access_verdict", "mailbox_probe"), None
    )
    document = compose(
        results(access_policy=stop, **later),
        stopped={"task": "Restrict", "msg": stop["msg"], "outcome": "blocked", "error": error},
    )
    outcomes = {step["step"]: step["outcome"] for step in document["steps"]}
    assert outcomes["access_policy"] == "blocked"
    assert [outcomes[name] for name in ("ews_access", "client_secret", "admin_consent")] == ["skipped"] * 3
    assert document["steps"][3]["msg"] == stop["msg"]
    assert document["steps"][3]["error"] == error
    assert document["stopped"]["step"] == "access_policy"
    assert document["state"] == "draft"
    assert document["unprotected"].startswith("not known")
    # The error tells the module's option; the inventory calls it otherwise.
    assert words.complaint(document).endswith("(In the inventory: mail2fax_on_other_policies.)")


def test_a_task_that_could_not_start_belongs_to_the_first_step_without_a_result() -> None:
    later: dict[str, Json | None] = dict.fromkeys(("client_secret", "admin_consent", "access_verdict", "mailbox_probe"))
    document = compose(results(**later), stopped={"task": "Validating", "msg": "value is wrong", "outcome": "failed"})
    outcomes = {step["step"]: step["outcome"] for step in document["steps"]}
    assert outcomes["client_secret"] == "failed"
    assert outcomes["admin_consent"] == "skipped"
    assert document["stopped"]["step"] == "client_secret"


def test_what_a_stopped_run_does_not_know_is_taken_from_the_last_one() -> None:
    before = compose(results())
    stop = failed("failed", "no route")
    document = compose(
        {"preflight": stop}, stopped={"task": "Look", "msg": "no route"}, previous=json.dumps(before), mailboxes=[]
    )
    for key in ("ids", "secret", "tenant", "application", "group"):
        assert document[key] == before[key], key
    # But not what was proven: it would be taken for today's.
    assert document["mailboxes"] == []
    # Of a wrong tenant nothing is taken over.
    wrong = {
        **stop,
        "tenant": {"id": "another", "domains": ["other.example"]},
        "findings": [{"severity": "blocked", "step": "tenant", "what": "expected_domain", "found": "another"}],
    }
    assert compose({"preflight": wrong}, stopped={"msg": "x"})["tenant"] == {"id": None, "domain": None, "name": None}


@pytest.mark.parametrize(
    ("domains", "default", "called"),
    [
        # Domains that were not read, with the expected one told in their place.
        ([], "contoso.example", "contoso.com"),
        (["contoso.onmicrosoft.com", "contoso.com"], "contoso.onmicrosoft.com", "contoso.com"),
        # The domain is gone.
        (["contoso.onmicrosoft.com"], "contoso.onmicrosoft.com", "contoso.onmicrosoft.com"),
    ],
)
def test_a_tenant_stays_called_as_it_was(domains: list[str], default: str, called: str) -> None:
    first = compose(results())
    preflight = results()["preflight"]
    found = {**preflight["tenant"], "domains": domains, "default_domain": default}
    again = compose({**results(), "preflight": {**preflight, "tenant": found}}, previous=json.dumps(first))
    assert again["tenant"]["domain"] == called


def test_ids_of_what_a_prediction_would_make_are_not_ids() -> None:
    predicted = {**results()["application"], "app_id": ZERO, "service_principal_id": ZERO}
    predicted["application"] = {"object_id": ZERO}
    document = compose(
        results(application=predicted, access_verdict={"skipped": True}, mailbox_probe={"skipped": True}), mode="check"
    )
    assert document["ids"]["application_id"] is None
    assert document["ids"]["application_object_id"] is None
    assert document["state"] == "draft"
    assert document["steps"][-1]["summary"] == "nothing to prove before the steps above are done"
    assert words.headline(document) == "plan only"
    # Not even where it finds nothing to do: it is no proof that was asked for.
    assert compose(results(), mode="check")["state"] == "draft"


def test_a_second_run_that_differs_in_times_alone_tells_the_same() -> None:
    first = compose(results())
    quiet = copy.deepcopy(results())
    for result in quiet.values():
        result.update(changed=False, outcome="ok", summary="as it was")
        result.pop("steps", None)
        for row in [*result.get("verdicts", []), *result.get("probes", [])]:
            row["at"] = "later"
    second = compose(quiet, previous=json.dumps(first), at=NOW + dt.timedelta(hours=1))
    assert second != first
    assert record.same(first, second)
    quiet["client_secret"]["end_date_time"] = "2028-01-01T00:00:00Z"
    assert not record.same(first, compose(quiet, previous=json.dumps(first)))
    quiet = copy.deepcopy(results())
    quiet["mailbox_probe"]["probes"][1].update(verdict="opened", as_expected=False)
    assert not record.same(first, compose(quiet))


def test_a_proof_that_is_late_has_its_hour_until_it_succeeds():
    late = {
        "changed": False,
        "outcome": "pending",
        "pending": "x",
        "pending_until": "2026-11-22T12:00:00Z",
        "probes": [],
    }
    first = compose(results(mailbox_probe=late))
    assert first["proof_by"] == "2026-11-22T12:00:00Z"
    blocked = {"changed": False, "failed": True, "outcome": "blocked", "msg": "x", "error": {"message": "x"}}
    second = compose(results(mailbox_probe=blocked), previous=json.dumps(first))
    assert second["proof_by"] == "2026-11-22T12:00:00Z", "what is overdue is not late anew"
    third = compose(results(), previous=json.dumps(second))
    assert third["proof_by"] is None


def test_how_ews_was_found_is_noted_once_and_kept() -> None:
    opened = {
        "changed": True,
        "outcome": "changed",
        "summary": "opened",
        "found": {"EwsEnabled": False, "EwsAllowedAppIDs": "x"},
        "in_force_by": "2026-11-22T12:00:00Z",
    }
    first = compose(results(ews_access=opened))
    assert first["ews_found"] == opened["found"]
    assert first["ews_in_force_by"] == "2026-11-22T12:00:00Z"
    # A later opening finds what the first one made; that is not how it was.
    again = {**opened, "found": {"EwsEnabled": True, "EwsAllowedAppIDs": "y"}, "in_force_by": None}
    second = compose(results(ews_access=again), previous=json.dumps(first))
    assert second["ews_found"] == opened["found"]
    assert second["ews_in_force_by"] == "2026-11-22T12:00:00Z"
    # A prediction has opened nothing.
    assert compose(results(ews_access=opened), mode="check")["ews_found"] is None
    untouched = {**opened, "changed": False, "outcome": "ok"}
    assert compose(results(ews_access=untouched))["ews_found"] is None


def test_how_long_tokens_live_of_what_was_revoked_beside_roles_is_kept() -> None:
    until = "2026-11-23T12:00:00Z"
    revoked = {
        "changed": True,
        "outcome": "pending",
        "pending": "tokens",
        "pending_until": until,
        "tokens_until": until,
    }
    first = compose(results(application_role=revoked))
    assert first["tokens_until"] == until
    again = compose(results(application_role={"outcome": "ok"}), previous=json.dumps(first))
    assert again["tokens_until"] == until
    assert "tokens_until" not in compose(results())


def test_a_run_that_fails_after_a_revocation_does_not_forget_it() -> None:
    until, since = "2026-11-22T13:00:00Z", "2026-11-21T12:00:00Z"
    failed = {"failed": True, "outcome": "failed", "msg": "no", "tokens_until": until, "revoked_at": since}
    first = compose(results(admin_consent=failed), kind="decommission")
    assert (first["tokens_until"], first["tokens_since"]) == (until, since)
    # A later revocation whose tokens end before cuts nothing short, and a removal that went through forgets it.
    sooner = {**failed, "tokens_until": "2026-11-21T13:30:00Z"}
    again = compose(results(admin_consent=sooner), previous=json.dumps(first))
    assert (again["tokens_until"], again["tokens_since"]) == (until, since)
    gone = compose({"preflight": results()["preflight"]}, kind="decommission", previous=json.dumps(first))
    assert (gone["state"], "tokens_until" in gone) == ("removed", False)
    # A prediction has revoked nothing.
    assert "tokens_until" not in compose(results(admin_consent=failed), mode="check")


def test_what_the_proofs_tokens_say_of_the_others_is_kept_where_it_is_more_than_usual() -> None:
    def proof(**minutes: int) -> Json:
        tokens = [{"resource": name, "minutes": number} for name, number in minutes.items()]
        return results(mailbox_probe={**results()["mailbox_probe"], "tokens": tokens})

    usual = compose(proof(exchange_online=90, microsoft_graph=1440))
    assert "token_lives" not in usual
    long = compose(proof(exchange_online=480, microsoft_graph=90))
    assert long["token_lives"] == {"exchange_online": 480}
    assert compose(proof(exchange_online=75), previous=json.dumps(long))["token_lives"] == {"exchange_online": 480}
    assert record.read(json.dumps({**long, "token_lives": [1]})).refused


def test_an_audit_tells_drift_as_a_reason_to_stop() -> None:
    document = compose(
        results(client_secret={**results()["client_secret"], "changed": False, "outcome": "ok"}), mode="audit"
    )
    assert document["outcome"] == "blocked"
    assert document["drift"] == ["application", "scope_group", "access_policy", "admin_consent"]
    assert document["ews_found"] is None
    told = words.complaint(document)
    assert "application: not as declared, to be done: create the application" in told
    assert "client secret" not in told
    assert words.headline(document) == "not as declared"
    calm = {name: {**result, "changed": False, "outcome": "ok"} for name, result in results().items()}
    document = compose(calm, mode="audit")
    assert (document["outcome"], document["drift"], words.complaint(document)) == ("ok", [], "")


def test_findings_that_did_not_stop_the_preflight_are_blocked_all_the_same() -> None:
    finding = {"severity": "blocked", "step": "group", "what": "the group", "found": "has strangers"}
    document = compose(results(preflight={**results()["preflight"], "findings": [finding]}), mode="audit")
    assert document["steps"][0]["outcome"] == "blocked"
    assert "preflight: the group: has strangers" in words.complaint(document)


def test_reach_that_must_not_be_is_told() -> None:
    verdict = copy.deepcopy(results()["access_verdict"])
    verdict["verdicts"][0].update(verdict="Granted", as_expected=False)
    document = compose(results(access_verdict={**verdict, **failed("blocked", "reach")}))
    assert document["unprotected"] == f"the application can reach {OTHER}"


def test_warnings_are_gathered_and_the_end_of_ews_is_told_once() -> None:
    preflight = {
        **results()["preflight"],
        "warnings": ["Exchange Web Services: they end on 2027-04-01.", "Something else."],
    }
    document = compose(results(preflight=preflight))
    assert len([warning for warning in document["warnings"] if "2027-04-01" in warning]) == 1
    assert "Something else." in document["warnings"]


# --- removal -------------------------------------------------------------------------------------------------


def removal(**changes: Json | None) -> Json:
    found: Json = {
        "preflight": results()["preflight"],
        "admin_consent": {"changed": True, "outcome": "changed", "summary": "revoked", "foreign": []},
        "client_secret": {"changed": True, "outcome": "changed", "summary": "1 removed", "key_id": None},
        "application": {
            "changed": True,
            "outcome": "changed",
            "summary": "deleted",
            "app_id": None,
            "application": None,
            "recoverable_until": "2026-12-21T12:00:00Z",
        },
        "ews_access": {"changed": False, "outcome": "ok", "summary": "not on the list"},
        "access_policy": {"changed": True, "outcome": "changed", "summary": "removed", "other_policies": []},
        "scope_group": {"changed": True, "outcome": "changed", "summary": "removed", "group": None},
    }
    found.update(changes)
    return {name: value for name, value in found.items() if value is not None}


def test_after_a_removal_only_what_names_it_is_kept() -> None:
    before = {**compose(results()), "ews_found": {"EwsEnabled": None, "EwsAllowedAppIDs": None}}
    document = compose(removal(), kind="decommission", previous=json.dumps(before))
    assert document["state"] == "removed"
    assert document["ids"] == before["ids"]
    assert document["secret"] is None
    assert document["ews_found"] is None
    assert document["mailboxes"] == []
    assert document["unprotected"] == "none"
    assert document["leftovers"] == [
        "The application lies in the recycle bin until 21 Dec 2026; it can be restored from there."
    ]
    # What is provisioned after that is new.
    anew = compose({"preflight": failed("blocked", "no")}, stopped={"msg": "no"}, previous=json.dumps(document))
    assert anew["ids"]["application_id"] is None
    assert anew["secret"] is None


def test_a_removal_that_stopped_keeps_everything_for_the_next_try() -> None:
    before = {**compose(results()), "ews_found": {"EwsEnabled": None, "EwsAllowedAppIDs": None}}
    found = removal(access_policy=failed("failed", "no answer"), scope_group=None)
    document = compose(found, kind="decommission", previous=json.dumps(before), stopped={"msg": "no answer"})
    assert document["state"] == "draft"
    assert document["outcome"] == "failed"
    assert document["ews_found"] == before["ews_found"]
    assert document["secret"] == before["secret"]
    assert document["steps"][-1] == {
        "step": "scope_group",
        "outcome": "skipped",
        "summary": "not run, because access policy stopped",
    }
    again = compose(results(), previous=json.dumps(document))
    assert again["ews_found"] == before["ews_found"]


def test_leftovers_are_listed() -> None:
    found = removal(
        application=None,
        admin_consent={
            "changed": True,
            "outcome": "changed",
            "foreign": [{"resource": "microsoft_graph", "application": ["Mail.Read"], "delegated": []}],
        },
        access_policy={
            "changed": True,
            "outcome": "changed",
            "other_policies": [{"scope_name": "Sales", "app_id": APP}, {"scope_name": "All", "app_id": "*"}],
        },
        scope_group={"changed": False, "outcome": "ok", "group": {"name": "Fax"}},
    )
    document = compose(found, kind="decommission", kept=["", "It was adopted."])
    assert document["leftovers"] == [
        "It was adopted.",
        "The application keeps Mail.Read of microsoft_graph.",
        "Other access policies of the application stay: Sales.",
        "The group Fax stays.",
    ]


@pytest.mark.parametrize(
    ("known", "gone", "told"),
    [
        (True, [FAX], "The group Fax stays, because others made it; fax@contoso.com left it."),
        (True, [], "The group Fax stays, because others made it."),
        (
            False,
            [],
            "The group Fax stays, because others made it; no record tells which of its members a run put there: "
            "adele@contoso.com.",
        ),
    ],
)
def test_a_group_of_others_stays_and_what_left_it_is_told(known: bool, gone: list[str], told: str) -> None:
    group = {"name": "Fax", "made_here": False}
    found = removal(scope_group={"outcome": "ok", "group": group, "members": [OTHER], "members_removed": gone})
    before = json.dumps(compose(results())) if known else ""
    assert told in compose(found, kind="decommission", previous=before)["leftovers"]


# --- what is ours --------------------------------------------------------------------------------------------

GROUP = "00000000-0000-4000-8000-000000000004"
FULL = {"resource": "exchange_online", "application": ["full_access_as_app"], "delegated": []}
EXCHANGE = {"resource": "exchange_online", "type": "application", "name": "full_access_as_app"}
READ = {"resource": "microsoft_graph", "application": [], "delegated": ["User.Read"]}


def adding(*, members: t.Sequence[str] = (FAX,), consent: t.Sequence[Json] = (FULL,), **changes: Json | None) -> Json:
    """A first run that found the application, its principal aside, and the group."""
    found = results()
    found["application"]["added"] = {"app_id": APP.upper(), "service_principal": True, "permissions": [FULL]}
    found["scope_group"]["added"] = {"group": GROUP, "members": list(members)}
    found["access_policy"]["added"] = {"app_id": APP, "group": GROUP}
    found["admin_consent"]["added"] = {"app_id": APP, "permissions": list(consent)}
    return {**found, **changes}


OURS = [
    {"kind": "consent", "of": APP, "id": "exchange_online/application/full_access_as_app", **EXCHANGE},
    {"kind": "member", "of": GROUP, "id": FAX},
    {"kind": "permission", "of": APP, "id": "exchange_online/application/full_access_as_app", **EXCHANGE},
    {"kind": "policy", "of": APP, "id": GROUP},
    {"kind": "service_principal", "of": APP, "id": APP},
]


def test_what_runs_added_is_kept_from_run_to_run() -> None:
    first = compose(adding())
    assert first["ours"] == OURS
    second = compose(results(), previous=json.dumps(first))
    assert second["ours"] == OURS
    third = compose(adding(members=[OTHER], consent=[READ]), previous=json.dumps(second))
    kept = {(entry["kind"], entry["id"]) for entry in third["ours"]}
    assert {("member", OTHER), ("member", FAX), ("consent", "microsoft_graph/delegated/User.Read")} <= kept
    rotated = compose({"client_secret": results()["client_secret"]}, kind="rotate", previous=json.dumps(third))
    assert rotated["ours"] == third["ours"]


def test_a_step_that_stopped_half_way_tells_what_it_added() -> None:
    stopped = {**failed("failed", "no answer"), "added": {"group": GROUP, "members": [FAX]}}
    first = compose(adding(scope_group=stopped, access_policy=None, admin_consent=None), stopped={"msg": "no answer"})
    assert first["ours"] == [entry for entry in OURS if entry["kind"] in ("member", "permission", "service_principal")]


def test_a_prediction_and_a_record_without_a_beginning_claim_nothing() -> None:
    first = compose(results())
    assert compose(adding(), mode="check", previous=json.dumps(first))["ours"] == first["ours"]
    before = {key: value for key, value in first.items() if key != "ours"}
    assert compose(adding(), previous=json.dumps(before))["ours"] is None


def test_after_a_removal_nothing_is_ours() -> None:
    before = json.dumps(compose(adding()))
    stopped = removal(access_policy=failed("failed", "no answer"), scope_group=None)
    half = compose(stopped, kind="decommission", previous=before, stopped={"msg": "no answer"})
    assert half["ours"] == OURS
    done = compose(removal(), kind="decommission", previous=json.dumps(half))
    assert done["ours"] == []


# --- reading, times, the table -------------------------------------------------------------------------------


def test_times_are_readable() -> None:
    assert times.readable_time("2026-11-21T15:30:00Z") == "21 Nov 2026, 15:30 UTC"
    assert times.readable_time("2026-07-01T23:30:00+00:00", "Europe/Rome") == "2 Jul 2026, 01:30 CEST"
    assert times.readable_time("2026-07-01T23:30:00", date_only=True) == "1 Jul 2026"
    assert times.readable_time("2027-04-01", date_only=True) == "1 Apr 2027"
    assert times.readable_time(None) == ""
    assert times.readable_time("soon") == "soon"


def test_the_table_tells_steps_and_mailboxes_within_its_width() -> None:
    lines = table.table(compose(results()), 80)
    assert lines[0] == "contoso (contoso.com): changed. READY"
    assert "admin consent   changed  granted" in lines
    assert "fax@contoso.com    granted  Granted        opened" in lines
    assert all(line == line.rstrip() and len(line) <= 80 for line in lines)


def test_the_table_stays_narrow_and_harmless_whatever_is_in_it() -> None:
    long = "x" * 70 + "@contoso.com"
    hostile = {**results()["preflight"], "summary": "\x1b[31mred\u202e " + "word " * 40}
    verdict = copy.deepcopy(results()["access_verdict"])
    verdict["verdicts"][0].update(mailbox=long, verdict="Granted", as_expected=False)
    lines = table.table(compose(results(preflight=hostile, access_verdict=verdict)), 90)
    assert all(len(line) <= 90 for line in lines)
    text = "\n".join(lines)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\\u202e" in text
    assert "..." in text
    assert "(not as meant)" in text


def test_the_table_of_a_prediction_speaks_of_what_would_be() -> None:
    predicted = table.table(compose(results(), mode="check"))
    assert any("application     to change  created" in line for line in predicted)
    assert any(line.startswith("application     drift") for line in table.table(compose(results(), mode="audit")))


# --- rotations -----------------------------------------------------------------------------------------------

LATER = NOW + dt.timedelta(days=340)


def renewed(**changes: t.Any) -> Json:
    return {
        "changed": True,
        "outcome": "changed",
        "summary": "secret made",
        "key_id": "00000000-0000-4000-8000-000000000006",
        "display_name": "Secret",
        "end_date_time": "2028-10-26T12:00:00Z",
        "stored_in": "vault file /s/contoso.yml",
        "rotated": True,
        "previous_until": "2027-11-03T12:00:30Z",
        **changes,
    }


def rotate(found: Json, previous: Json, **context: t.Any) -> Json:
    known = {"kind": "rotate", "previous": json.dumps(previous), "at": LATER}
    return compose(found, **{**known, **context})


def test_a_rotation_keeps_what_it_does_not_look_at() -> None:
    first = compose(results())
    document = rotate({"client_secret": renewed(), "mailbox_probe": results()["mailbox_probe"]}, first)
    assert [step["step"] for step in document["steps"]] == ["client_secret", "mailbox_probe"]
    for name in ("ids", "tenant", "application", "group", "mailboxes", "unprotected", "ews_found"):
        assert document[name] == first[name], name
    assert (document["outcome"], document["state"]) == ("changed", "ready")
    assert document["secret"]["key_id"] == renewed()["key_id"]
    assert document["secret"]["previous_until"] == "2027-11-03T12:00:30Z"
    assert "previous_until" not in first["secret"]
    assert not record.same(document, first)
    retired = renewed(changed=False, outcome="ok", rotated=False, previous_until=None)
    again = rotate({"client_secret": retired}, document)
    assert again["steps"][1] == {"step": "mailbox_probe", "outcome": "skipped", "summary": "nothing new to prove"}
    assert record.same(again, document), "a run that finds nothing to do tells nothing new"
    assert record.same(rotate({"client_secret": results()["client_secret"]}, first), first)


@pytest.mark.parametrize("before", ["ready", "wait", "draft"])
def test_a_secret_that_was_not_renewed_leaves_the_state_as_it_was(before: str) -> None:
    refusal = failed("blocked", "the store is closed")
    document = rotate(
        {"client_secret": refusal}, {**compose(results()), "state": before}, stopped={"task": "t", **refusal}
    )
    assert (document["outcome"], document["state"]) == ("blocked", before)
    assert document["secret"]["key_id"] == results()["client_secret"]["key_id"]
    assert words.headline(document) == "not rotated"
    told = words.complaint(document).splitlines()
    assert told == ["the store is closed", "The secret in use works until 21 Nov 2027, 24 days from now."]


def test_an_expired_secret_that_was_not_renewed_is_an_outage() -> None:
    refusal = failed("failed", "no route")
    found: Json = {"client_secret": refusal}
    stopped = {"task": "t", **refusal}
    late = rotate(found, compose(results()), stopped=stopped, at=NOW + dt.timedelta(days=370))
    assert "OUTAGE: the last secret known here expired on 21 Nov 2027." in words.complaint(late)
    assert "not known" in words.complaint(rotate(found, {}, stopped=stopped))


def test_a_mailbox_that_does_not_open_with_the_new_secret_makes_a_draft() -> None:
    refusal = failed("blocked", "the policy refuses")
    probe = copy.deepcopy(results()["mailbox_probe"])
    probe["probes"][0].update(verdict="denied_by_policy", as_expected=False)
    document = rotate(
        {"client_secret": renewed(), "mailbox_probe": {**probe, **refusal}},
        compose(results()),
        stopped={"task": "t", **refusal},
    )
    assert (document["outcome"], document["state"], words.headline(document)) == ("blocked", "draft", "not ready")
    assert document["mailboxes"][0]["as_expected"] is False
    # The next one proves it, and what Exchange said then still agrees.
    mended = rotate({"client_secret": renewed(), "mailbox_probe": results()["mailbox_probe"]}, document)
    assert [row["as_expected"] for row in mended["mailboxes"]] == [True, True]
    assert mended["state"] == "draft", "only a provisioning makes a draft good"


def test_what_was_pending_stays_so_until_somebody_looks() -> None:
    waiting = {"outcome": "pending", "pending": "not in force", "pending_until": "2026-11-21T13:00:00Z"}
    first = compose(
        results(
            mailbox_probe={**results()["mailbox_probe"], **waiting},
            access_policy={**results()["access_policy"], **waiting},
        )
    )
    idle = rotate({"client_secret": renewed(changed=False, outcome="ok")}, first)
    assert ([item["step"] for item in idle["pending"]], idle["state"]) == (["access_policy", "mailbox_probe"], "wait")
    proven = rotate({"client_secret": renewed(), "mailbox_probe": results()["mailbox_probe"]}, first)
    assert ([item["step"] for item in proven["pending"]], proven["state"]) == (["access_policy"], "wait")


def test_a_rotation_without_a_record_tells_what_it_does_not_know() -> None:
    document = rotate(
        {"client_secret": renewed(), "preflight": results()["preflight"], "mailbox_probe": results()["mailbox_probe"]},
        {},
        app_id=APP,
    )
    assert [step["step"] for step in document["steps"]] == ["preflight", "client_secret", "mailbox_probe"]
    assert document["ids"]["application_id"] == APP
    assert document["state"] == "draft"
    assert document["unprotected"] == "not known: a rotation does not look at the access policy"
    assert words.headline(document) == "not known to be ready"
    assert [row["mailbox"] for row in document["mailboxes"]] == [FAX, OTHER]


# --- what an audit watches -----------------------------------------------------------------------------------


def calm(**changes: Json | None) -> Json:
    quiet = {name: {**result, "changed": False, "outcome": "ok"} for name, result in results().items()}
    listed = {
        "changed": False,
        "outcome": "ok",
        "summary": "1 application found",
        "applications": [
            {
                "secrets": [
                    {
                        "key_id": results()["client_secret"]["key_id"],
                        "display_name": "Secret",
                        "start_date_time": "2026-11-21T12:00:00Z",
                        "end_date_time": "2027-11-21T12:00:00Z",
                    },
                    {"key_id": "f", "display_name": "by hand", "end_date_time": "2027-11-05T12:00:00Z"},
                ],
                "certificates": [],
                "service_principal": None,
            }
        ],
    }
    found = {**quiet, "credentials": listed, **changes}
    return {name: value for name, value in found.items() if value is not None}


def audit(found: Json, **context: t.Any) -> Json:
    return compose(found, **{"mode": "audit", "previous": json.dumps(compose(results())), **context})


def test_credentials_are_judged_by_the_day_of_the_audit() -> None:
    document = audit(calm())
    assert (document["outcome"], document["reached"], document["unknown_since"]) == ("ok", True, None)
    assert [(row["whose"], row["days_left"]) for row in document["credentials"]] == [("foreign", 348), ("ours", 364)]
    assert document["last_good_at"] == document["at"]
    soon = audit(calm(), at=LATER)
    assert [step["step"] for step in soon["steps"]][1:3] == ["application", "credentials"]
    assert soon["steps"][2]["outcome"] == "blocked"
    assert words.complaint(soon).startswith("credentials: the foreign secret 'by hand' ends on 2027-11-05, in 8 days")
    assert words.headline(soon) == "not as declared"
    own = audit(calm(), at=LATER, thresholds={"pending": [30], "blocked": []})
    assert (own["outcome"], [item["step"] for item in own["pending"]]) == ("pending", ["credentials"])
    with pytest.raises(ValueError, match="not soon"):
        audit(calm(), thresholds={"soon": [1]})


def test_what_a_rotation_will_tidy_is_no_drift() -> None:
    tidy = {**results()["client_secret"], "steps": ["remove secret 1 (its overlap is over)"]}
    document = audit(calm(client_secret=tidy))
    assert (document["outcome"], document["drift"], words.complaint(document)) == ("pending", [], "")
    assert document["pending"][0]["what"] == "left to the next rotation: remove secret 1 (its overlap is over)"
    gone = audit(calm(client_secret={**tidy, "key_id": None, "steps": ["make the secret (removed outside)"]}))
    assert (gone["outcome"], gone["drift"]) == ("blocked", ["client_secret"])


def test_a_tenant_out_of_reach_keeps_what_was_known_of_it() -> None:
    last = audit(calm())
    refusal = failed("failed", "no route to the tenant")
    out = audit({"preflight": refusal}, previous_audit=json.dumps(last), stopped={"task": "t", **refusal}, at=LATER)
    assert (out["reached"], out["unknown_since"], out["last_good_at"]) == (False, last["at"], last["at"])
    assert words.headline(out) == "unknown since 21 Nov 2026, 12:00 UTC"
    assert {step["step"]: step["summary"] for step in out["steps"]}["credentials"] == words.headline(out)
    assert [(row["days_left"], row["outcome"]) for row in out["credentials"]] == [(8, "blocked"), (24, "pending")]
    assert out["ews"] == last["ews"]
    assert table.table(out)[0] == "contoso (contoso.com): failed. UNKNOWN since 21 Nov 2026, 12:00 UTC"
    never = audit({"preflight": refusal}, previous="", stopped={"task": "t", **refusal})
    assert (never["unknown_since"], words.headline(never)) == (None, "unknown")
    # The tenant that answered is another one: as good as none.
    finding = {"severity": "blocked", "step": "tenant", "what": "domain", "found": "foreign"}
    wrong = audit({"preflight": {**results()["preflight"], "findings": [finding]}}, previous_audit=json.dumps(last))
    assert (wrong["reached"], wrong["ews"]) == (False, last["ews"])


def test_the_table_of_an_audit_has_each_credential_and_ews() -> None:
    opened = {"EwsEnabled": True, "EwsAllowedAppIDs": f"{APP},{ZERO}", "allowed": True}
    found = calm(preflight={**results()["preflight"], "ews": opened})
    found["credentials"]["applications"][0]["service_principal"] = {
        "certificates": [{"key_id": "c", "thumbprint": "AB12", "end_date_time": "2026-01-01T00:00:00Z"}]
    }
    text = "\n".join(table.table(audit(found), 100))
    assert "AB12        certificate of the principal  foreign  expired   1 Jan 2026: blocked" in text
    assert "Secret      secret                        ours     364 days  21 Nov 2027" in text
    assert "EWS: open for this application, 2 on the tenant's list; ends on 1 Apr 2027, in 131 days" in text


# --- while something waits -----------------------------------------------------------------------------------

UNTIL = "2026-11-21T13:30:00Z"
WAITS = {"changed": False, "outcome": "pending", "summary": "stays", "pending": "it stays", "pending_until": UNTIL}


def test_a_removal_waits_for_the_last_token_and_says_until_when() -> None:
    before = json.dumps(compose(adding()))
    first = compose(removal(access_policy=WAITS, scope_group=WAITS), kind="decommission", previous=before)
    assert (first["outcome"], first["state"]) == ("pending", "removing")
    assert first["removing"] == {"since": "2026-11-21T12:00:30Z", "until": UNTIL}
    assert first["secret"] is None
    assert first["ours"] == OURS
    assert words.headline(first) == "being removed until 21 Nov 2026, 13:30 UTC"
    assert words.complaint(first) == ""
    # Meanwhile an audit is green, and waits.
    seen = compose({"preflight": results()["preflight"]}, mode="audit", previous=json.dumps(first))
    assert (seen["outcome"], seen["state"], words.complaint(seen)) == ("pending", "removing", "")
    assert seen["pending_until"] == UNTIL
    done = compose(removal(), kind="decommission", previous=json.dumps(first))
    assert (done["state"], done["removing"], done["ours"]) == ("removed", None, [])
    # What went before its time is told.
    assert [text for text in done["warnings"] if "mail2fax_token_grace_minutes" in text]
    later = compose(removal(), kind="decommission", previous=json.dumps(first), at=NOW + dt.timedelta(hours=2))
    assert not [text for text in later["warnings"] if "mail2fax_token_grace_minutes" in text]


def test_a_consent_that_a_person_gives_is_waited_for() -> None:
    told = {"outcome": "pending", "summary": "waits", "pending": "a person has to grant", "by_hand": {"address": "x"}}
    document = compose(results(admin_consent=told, mailbox_probe=None))
    assert (document["outcome"], document["state"], words.complaint(document)) == ("pending", "wait", "")
    assert document["steps"][-1]["summary"] == "nothing to prove before a person has given the consent"
    assert [item["what"] for item in document["pending"]] == ["a person has to grant"]


def test_nothing_is_pending_beside_a_reasoned_refusal() -> None:
    verdict = copy.deepcopy(results()["access_verdict"])
    verdict["verdicts"][1].update(verdict="Denied", as_expected=False, reason="DenyAccess on Sales")
    waits = {"changed": False, "outcome": "pending", "summary": "ok", "pending": "not yet", "pending_until": UNTIL}
    found = results(access_policy=waits, access_verdict={**verdict, **failed("blocked", "denied")})
    document = compose(found)
    assert (document["pending"], document["pending_until"]) == ([], None)


def test_an_end_that_failed_is_told() -> None:
    stopped = {"step": "handover", "msg": "the sheet could not be made", "outcome": "failed"}
    document = compose(results(), stopped=stopped)
    assert document["outcome"] == "failed"
    assert document["state"] == "draft"
    assert document["stopped"]["step"] == "handover"
    assert document["ids"]["application_id"] == APP
    assert "the sheet could not be made" in words.complaint(document)


def test_lists_are_cut_with_a_count() -> None:
    members = [f"m{number}@contoso.com" for number in range(1200)]
    group = {"outcome": "ok", "group": {"name": "Fax", "made_here": False}, "members": members, "members_removed": []}
    text = "\n".join(compose(removal(scope_group=group), kind="decommission")["leftovers"])
    assert "and 1190 more" in text
    long = compose(results(access_policy=failed("blocked", "x" * 850_000)))
    assert len(json.dumps(long)) < 20_000


def test_who_registered_the_application_is_kept_where_it_was_the_operator() -> None:
    found = results()
    found["preflight"]["operator"] = {"app_id": OPERATOR}
    found["application"]["application"]["created_by_app_id"] = OPERATOR.upper()
    first = compose(found)
    assert first["made_by"] == OPERATOR
    # By another operator, and after a rotation, it is still known.
    found["preflight"]["operator"] = {"app_id": APP}
    assert compose(found, previous=json.dumps(first))["made_by"] == OPERATOR
    assert compose(found)["made_by"] is None
    assert compose(removal(), kind="decommission", previous=json.dumps(first))["made_by"] is None
