# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with an inventory is told by the variable's name, before anything is asked of a tenant."""

from __future__ import annotations

import datetime as dt
import pathlib
import re
import typing as t

import pytest
import yaml

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _clash, _held, _inventory, _records, _stopped
from ansible_collections.mail2fax.m365.plugins.plugin_utils._lane import begun_wrongly
from ansible_collections.mail2fax.m365.plugins.plugin_utils._variables import PLAYBOOKS, variables
from tests.tools import layout

Json = dict[str, t.Any]
FINE: Json = {
    "mail2fax_mailboxes": ["fax@contoso.com"],
    "mail2fax_secret_store": {"backend": "vault_file", "path": "secrets/contoso.yml"},
}
SECRET = "hunter2~hunter2"


def told(said: Json | None = None, *, playbook: str = "provision", **more: t.Any) -> list[str]:
    values = {**FINE, **(said or {})}
    given = {name: value for name, value in values.items() if value is not None}
    more.setdefault("names", {*given, "inventory_hostname"})
    return _inventory.complaints(_inventory.Host("contoso", playbook, given, **more))


def one(said: Json | None = None, **more: t.Any) -> str:
    (complaint,) = told(said, **more)
    assert "What to do: " in complaint
    return complaint


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_a_good_inventory_is_left_alone(playbook: str) -> None:
    assert told(playbook=playbook) == []
    every = {
        "mail2fax_tenant": "contoso.com",
        "mail2fax_mailboxes": "fax@contoso.com, o'neil@contoso.com\nother@contoso.com",
        "mail2fax_contacts": {"fax": "+39 0584 000000"},
        "mail2fax_ticket": "0012345",
        "mail2fax_secret_lifetime_days": "180",
        "mail2fax_ews_opt_in": "yes",
        "mail2fax_audit_thresholds": {"pending": [60, 30], "blocked": 7},
        "mail2fax_rotate_made_before": dt.datetime(2026, 11, 21, tzinfo=dt.UTC),
    }
    assert told(every, playbook=playbook, count=3) == []


# --- names -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("mail2fax_tennant", "mail2fax_tenant"),
        ("Mail2Fax_tenant", "mail2fax_tenant"),
        ("mail2fax-tenant", "mail2fax_tenant"),
        ("mail2fax_mailbox", "mail2fax_mailboxes"),
        ("mail2fax_clientid", "mail2fax_client_id"),
        ("mail2faxexpected_domain", "mail2fax_expected_domain"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(name: str, near: str) -> None:
    for where in ("names", "outside", "extra"):
        assert f"{name} is not a variable" in one(**{where: {name}})
        assert f"call it {near} " in one(**{where: {name}})


def test_what_jobs_hand_on_is_left_alone() -> None:
    assert told(names={"mail2fax_run_4711", "mail2fax_run_local", "fax_run", "my_mail2fax"}) == []


def test_every_name_that_a_task_registers_is_held() -> None:
    """From the YAML as it is, read another way than by the code under test."""
    text = "\n".join(
        path.read_text(encoding="utf-8")
        for folder in ("playbooks", "roles/*/tasks")
        for path in layout.ROOT.glob(f"{folder}/**/*.yml")
    )
    registered = set(re.findall(r"^ *register: (\w+)$", text, re.MULTILINE))
    assert len(registered) > 20
    assert registered <= _held.names()
    plays = [yaml.safe_load(path.read_text("utf-8")) for path in (layout.ROOT / "playbooks").glob("*.yml")]
    own = {name for play in plays for part in play for name in part.get("vars", {})} - set(variables())
    assert own - _held.documented() <= _held.names()
    assert {"mail2fax_is_meant", "handover_result", "mail2fax_inventory", "ansible_failed_result"} <= _held.names()
    # What a role documents as an option is no state.
    assert not _held.names() & _held.documented()
    assert "client_secret_rotate" in _held.documented()


def test_the_names_of_a_new_task_are_found(tmp_path: pathlib.Path) -> None:
    (tmp_path / "roles/new/tasks").mkdir(parents=True)
    (tmp_path / "roles/new/tasks/main.yml").write_text(
        "- block:\n  - block: [{debug: , register: one}]\n    rescue: [{set_fact: {two: 1, cacheable: true}}]\n"
        "    always: [{debug: , vars: {three: 1}}]\n",
        encoding="utf-8",
    )
    assert {"one", "two", "three"} <= _held.names(tmp_path)
    assert "cacheable" not in _held.names(tmp_path)


@pytest.mark.parametrize("name", ["application_result", "handover_result", "mail2fax_is_meant", "mail2fax_begun"])
def test_state_is_refused_from_outside(name: str) -> None:
    assert one(extra={name}).startswith(f"{name} is an extra variable")
    assert one(outside={name}).startswith(f"{name} is a variable of the inventory")
    # What an earlier play of the same run registered is not outside.
    assert told(names={name}) == []


# --- values ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("mail2fax_secret_store", "vault_file", "is text, not a mapping. What to do: write it as {backend: vault_file"),
        ("mail2fax_mailboxes", '["a@x.com"]', "looks like a list in JSON"),
        ("mail2fax_mailboxes", "a@x.com;b@x.com", "'a@x.com;b@x.com', which is not an address"),
        ("mail2fax_mailboxes", {"a": 1}, "is a mapping, not a list"),
        ("mail2fax_mailboxes", [["a@x.com"]], "has a list among its items"),
        ("mail2fax_secret_lifetime_days", "soon", "is 'soon', not a whole number. What to do: write it as 365."),
        ("mail2fax_secret_lifetime_days", True, "is 'true', not a whole number"),
        ("mail2fax_secret_lifetime_days", 1.5, "is '1.5', not a whole number"),
        ("mail2fax_secret_lifetime_days", 0, "is 0, less than 1"),
        ("mail2fax_ews_opt_in", "perhaps", "is 'perhaps', not true or false"),
        ("mail2fax_on_deleted", "purg", "choose fail, restore or purge"),
        ("mail2fax_on_deleted", False, "choose fail, restore or purge"),
        ("mail2fax_tenant", ["a"], "is a list, not text"),
        ("mail2fax_rotate_made_before", "yesterday", "is 'yesterday', not an instant"),
        ("mail2fax_contacts", "it@contoso.com", "is text, not a mapping"),
    ],
)
def test_a_wrong_value_is_told_with_what_was_wanted(name: str, value: t.Any, words: str) -> None:
    complaint = one({name: value})
    assert complaint.startswith(f"{name} ")
    assert words in complaint


TEXTS = [row.name for row in variables().values() if row.type in ("str", "path") and not row.choices]


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("value", [5349, 390551234567, False, dt.date(2027, 11, 27), 1.5], ids=str)
def test_digits_that_were_lost_are_refused(name: str, value: t.Any) -> None:
    complaint = next(text for text in told({name: value}) if text.startswith(name))
    assert "has to be text" in complaint
    assert '"4711" in a YAML file' in complaint
    assert str(value) not in complaint.removeprefix(name), "it may be a secret"


def test_the_form_is_that_of_the_source() -> None:
    ticket = {"mail2fax_ticket": 12345}
    assert "'\"4711\"' in an inventory in INI form" in one(ticket, ini=True)
    assert "a blank before it in a survey" in one(ticket, extra={"mail2fax_ticket"})
    assert "INI" not in one(ticket)


@pytest.mark.parametrize(
    ("name", "value", "path"),
    [
        ("mail2fax_contacts", {"fax": 390551234567}, "mail2fax_contacts.fax"),
        ("mail2fax_secret_store", {"backend": "vault_file", "path": 4711}, "mail2fax_secret_store.path"),
        ("mail2fax_mailboxes", ["a@x.com", 4711], "mail2fax_mailboxes[1]"),
        ("mail2fax_accept_credentials", [750], "mail2fax_accept_credentials[0]"),
    ],
)
def test_so_are_those_within(name: str, value: t.Any, path: str) -> None:
    assert one({name: value}).startswith(f"{path} is a number")


@pytest.mark.parametrize("name", [row.name for row in variables().values() if row.group in ("connection", "windows")])
def test_no_complaint_quotes_what_may_be_a_secret(name: str) -> None:
    for value in (SECRET, [SECRET], {"a": SECRET}, {"a": [SECRET]}):
        assert SECRET not in " ".join(told({name: value}))


def test_what_is_needed_is_asked_for() -> None:
    assert one({"mail2fax_mailboxes": None}).startswith("mail2fax_mailboxes names no mailbox")
    assert one({"mail2fax_mailboxes": []}).startswith("mail2fax_mailboxes names no mailbox")
    assert one({"mail2fax_mailboxes": ["", " "]}).startswith("mail2fax_mailboxes names no mailbox")
    assert told({"mail2fax_mailboxes": None}, playbook="decommission") == []
    for playbook in variables()["mail2fax_secret_store"].needed_by:
        assert one({"mail2fax_secret_store": None}, playbook=playbook).startswith("mail2fax_secret_store says nothing")
    assert told({"mail2fax_secret_store": None}, playbook="reach") == []
    assert told({"mail2fax_secret_store": None}, broken={"mail2fax_secret_store"}) == [
        "mail2fax_secret_store cannot be worked out: its template fails. What to do: look up what it refers to."
    ]


# --- whose it is -----------------------------------------------------------------------------------------------


def test_the_tenant_of_several_hosts_is_their_own() -> None:
    environment = {"M365_TENANT": "other.com"}
    assert "M365_TENANT is not used" in one(count=2, environment=environment)
    assert "M365_TENANT is not used" in one({"mail2fax_expected_domain": "contoso.com"}, count=2)
    assert told({"mail2fax_tenant": "contoso.com"}, count=2, environment=environment) == []
    assert told(count=1, environment=environment) == []


@pytest.mark.parametrize(
    "name", ["mail2fax_mailboxes", "mail2fax_application_id", "mail2fax_client_secret", "mail2fax_secret_store"]
)
def test_what_is_a_tenants_own_is_not_given_to_several(name: str) -> None:
    given = {"mail2fax_tenant": "contoso.com", "mail2fax_client_id": "a", name: FINE.get(name, "x")}
    assert f"{name} is given as extra variables to 2 hosts" in one(given, extra={name}, count=2)
    assert told(given, extra={name}, count=1) == []


def test_a_job_of_awx_takes_no_tenant_from_outside() -> None:
    job = {"names": {"awx_job_id"}}
    assert "takes no tenant from the environment" in one(**job)
    assert told(own={"mail2fax_expected_domain": "contoso.com"}, **job) == []
    asked = {"mail2fax_tenant": "Contoso.com", "mail2fax_mailboxes": ["a@x.com"]}
    extra = {"mail2fax_tenant", "mail2fax_mailboxes"}
    assert "does not say which tenant contoso is" in one(asked, extra=extra, **job)
    assert told(asked, extra=extra, own={"mail2fax_tenant": "contoso.com"}, **job) == []
    assert "another one as an extra variable" in one(asked, extra=extra, own={"mail2fax_tenant": "b.com"}, **job)


def test_a_tenant_that_the_inventory_borrows_from_the_command_line_is_not_its_own() -> None:
    said = {"mail2fax_tenant": "contoso.com"}
    job = {"names": {"awx_job_id"}}
    told_of = "mail2fax_tenant refers to an extra variable"
    assert told_of in one(said, borrowed={"mail2fax_tenant"}, count=2)
    assert told_of in one(said, borrowed={"mail2fax_tenant"}, **job)
    assert told(said, borrowed={"mail2fax_tenant"}) == []
    assert told(said, borrowed={"mail2fax_tenant"}, own={"mail2fax_expected_domain": "contoso.com"}, **job) == []


def test_a_sign_in_comes_whole_from_one_place() -> None:
    environment = {"M365_CLIENT_ID": "AAA", "M365_CLIENT_SECRET": SECRET}
    for way in ("client_secret", "certificate_path", "federated_token_path"):
        said = {f"mail2fax_{way}": SECRET}
        complaint = one(said, environment=environment)
        assert f"mail2fax_{way} comes from the inventory" in complaint
        assert told({**said, "mail2fax_client_id": "b"}, environment=environment) == []
    assert "another one than the environment's" in one({"mail2fax_client_id": "b"}, environment=environment)
    assert told({"mail2fax_client_id": "aaa"}, environment=environment) == []
    assert told({"mail2fax_client_id": "b"}, environment={**environment, "M365_CLIENT_ID": " "}) == []
    two = {"mail2fax_client_secret": SECRET, "mail2fax_client_id": "a", "mail2fax_managed_identity": "system"}
    assert "are ways to sign in, and one is needed" in one(two)


# --- hosts beside each other -------------------------------------------------------------------------------------


def claim(host: str, store: Json | None = None, **said: t.Any) -> Json:
    return _clash.claim(
        {f"mail2fax_{name}": value for name, value in said.items()}, file=f"/h/{host}.json", store=store or {}
    )


@pytest.mark.parametrize(
    ("one_store", "other"),
    [
        ({"backend": "vault_file", "path": "/s/a.yml"}, {"backend": "vault_file", "path": "/s/x/../a.yml"}),
        ({"backend": "hashi_vault", "path": "fax/a"}, {"backend": "hashi_vault", "path": "fax//a", "mount": "secret/"}),
        ({"backend": "hashi_vault", "path": "a/b"}, {"backend": "hashi_vault", "path": "a/x/../b/"}),
        (
            {"backend": "azure_key_vault", "vault": "V", "name": "n"},
            {"backend": "azure_key_vault", "vault": "v", "name": "N"},
        ),
    ],
)
def test_one_place_for_two_secrets_is_refused_for_both(one_store: Json, other: Json) -> None:
    found = _clash.clashes({"a": claim("a", one_store), "b": claim("b", other), "c": claim("c")})
    assert set(found) == {"a", "b"}
    assert "a and b have one place for their secrets" in found["a"][0]


def test_other_places_are_no_clash() -> None:
    stores = [
        {"backend": "vault_file", "path": "/s/a.yml"},
        {"backend": "vault_file", "path": "/s/b.yml"},
        {"backend": "hashi_vault", "path": "a"},
        {"backend": "hashi_vault", "path": "a", "namespace": "n"},
        {"backend": "hashi_vault", "path": "a", "mount": "m"},
        {"backend": "none"},
        {"backend": "none"},
    ]
    assert _clash.clashes({str(number): claim(str(number), store) for number, store in enumerate(stores)}) == {}


def test_one_file_for_two_hosts_is_refused() -> None:
    found = _clash.clashes({"a": claim("x"), "b": claim("X"), "c": claim("y")})
    assert set(found) == {"a", "b"}


@pytest.mark.parametrize(
    ("one_said", "other", "clash"),
    [
        ({"tenant": "contoso.com"}, {"tenant": "Contoso.com"}, True),
        ({"tenant": "contoso.com"}, {"tenant": "b.onmicrosoft.com", "expected_domain": "contoso.com"}, True),
        ({"tenant": "contoso.com", "application_unique_name": "x"}, {"tenant": "contoso.com"}, False),
        ({"tenant": "c.com", "application_unique_name": "mail2fax-imagicle-ews"}, {"tenant": "c.com"}, True),
        ({"tenant": "c.com", "application_id": "A"}, {"tenant": "c.com", "application_id": "a"}, True),
        ({"tenant": "contoso.com"}, {"tenant": "fabrikam.com"}, False),
    ],
)
def test_one_application_of_one_tenant_for_two_hosts(one_said: Json, other: Json, clash: bool) -> None:
    found = _clash.clashes({"a": claim("a", **one_said), "b": claim("b", **other)})
    assert bool(found) is clash
    assert all("one application of one tenant" in texts[0] for texts in found.values())


def test_one_secret_for_several_ids_is_refused() -> None:
    borrowing = {**claim("a", client_id="a"), "borrows_a_secret": True}
    other = {**claim("b", client_id="b"), "borrows_a_secret": True}
    whole = claim("c", client_id="c")
    assert set(_clash.clashes({"a": borrowing, "b": other, "c": whole})) == {"a", "b"}
    assert _clash.clashes({"a": borrowing, "b": {**other, "client_id": "a"}, "c": whole}) == {}


# --- a run that began in the middle, and what stopped one ---------------------------------------------------------


def test_a_task_of_ours_wants_the_first_one_to_have_been_there() -> None:
    begun = {"host": "a", "playbook": "provision", "refused": []}
    good = {
        "mail2fax_playbook": "provision",
        "inventory_hostname": "a",
        "mail2fax_inventory": begun,
        "mail2fax_begun": {"refused": {"b": ["no"]}},
    }
    assert begun_wrongly(good) is None
    # Elsewhere, nothing is asked: the modules are used alone.
    assert begun_wrongly({"inventory_hostname": "a"}) is None
    for wrong in (None, {}, {**begun, "host": "b"}, {**begun, "playbook": "audit"}):
        refused = begun_wrongly({**good, "mail2fax_inventory": wrong}, writes_results=True)
        assert refused is not None
        assert "began in the middle" in str(refused)
    for bad in (
        {"mail2fax_inventory": {**begun, "refused": ["no"]}},
        {"mail2fax_begun": {"refused": {"a": ["no"]}}},
        {"mail2fax_begun": None},
        {"mail2fax_begun": {}},
    ):
        assert begun_wrongly({**good, **bad}) is not None
        assert begun_wrongly({**good, **bad}, writes_results=True) is None


@pytest.mark.parametrize(
    ("result", "task", "msg", "outcome"),
    [
        (
            {"msg": "ours", "outcome": "blocked", "error": {"who": "x"}},
            "mail2fax.m365.entra_application",
            "ours",
            "blocked",
        ),
        ({"msg": f"refused {SECRET}"}, "ansible.builtin.fail", None, "failed"),
        ({"msg": "refused", "assertion": "a"}, "ansible.builtin.assert", "refused", "blocked"),
        ({"msg": f"x: mail2fax.m365.profile: {'no such'}"}, "ansible.builtin.set_fact", "no such", "failed"),
        ({"msg": f"template: {SECRET}"}, "mail2fax.m365.entra_application", None, "failed"),
        ({"msg": f"template: {SECRET}", "exception": "x"}, "ansible.builtin.fail", None, "failed"),
        ({"msg": f"template: {SECRET}"}, "ansible.builtin.set_fact", None, "failed"),
        ({}, None, "the run ended before its last task, as another tenant's did", "failed"),
    ],
)
def test_what_stopped_a_block_is_told_in_our_words(
    result: Json, task: str | None, msg: str | None, outcome: str
) -> None:
    found = _stopped.what_stopped(result, "A task" if task else "", task or "")
    assert found["outcome"] == outcome
    assert SECRET not in str(found)
    assert found["msg"] == msg if msg else "'A task' could not be run" in found["msg"]


def test_what_the_roles_document_is_read_once_for_all_workers() -> None:
    _held.names.cache_clear()
    _held._documented.cache_clear()
    _held.names()
    assert _held.documented() >= {"preflight_profile", "handover_dir"}
    assert _held._documented.cache_info().misses == 1


def test_what_the_steps_ask_of_a_record() -> None:
    document: Json = {
        "state": "ready",
        "ids": {"application_id": "1"},
        "made_by": "2",
        "tenant": {"id": "3"},
        "secret": {"key_id": "4", "stored_in": {"backend": "vault_file", "place": "a"}},
        "accepted": {"credentials": [{"id": "5", "kind": "password"}]},
    }
    assert _records.known(document) == {
        "app_id": "1",
        "made_by": "2",
        "tenant_id": "3",
        "key_id": "4",
        "key_ids": ["4"],
        "stored_in": {"backend": "vault_file", "place": "a"},
        "adopted": True,
        "accepted_credentials": ["5"],
        "mailboxes": [],
        "sids": [],
        "ews_in_force_by": "",
        "tokens_until": "",
        "proof_by": "",
        "removing": False,
    }
    assert _records.known({**document, "state": "removed"})["app_id"] == ""
    nothing = _records.known({})
    assert not any(nothing.values()), nothing


def test_a_mailbox_with_rights_is_not_forgotten_by_a_run_that_was_refused() -> None:
    """What was refused tells the mailboxes of its own declaration, without the one that was dropped."""
    rights = [{"mailbox": "a@x.example", "guid": "g-a"}, {"mailbox": "dropped@x.example", "guid": "g-d"}]
    ours = [{"kind": "right", "of": guid, "id": "FullAccess", "sid": "S-1"} for guid in ("g-a", "g-d", "g-gone")]
    document = {"ours": ours, "exchange": {"rights": rights}, "mailboxes": [{"mailbox": "a@x.example"}]}
    assert _records.known(document)["mailboxes"] == ["a@x.example", "dropped@x.example", "g-gone"]
