# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import copy
import datetime as dt
import pathlib
import typing as t

import pytest
import yaml
from ansible.errors import AnsibleLookupError
from ansible.parsing.dataloader import DataLoader

from ansible_collections.mail2fax.m365.plugins.lookup.profile import LookupModule
from ansible_collections.mail2fax.m365.plugins.module_utils._clouds import CLOUDS, Endpoint
from ansible_collections.mail2fax.m365.plugins.module_utils._permissions import parse
from ansible_collections.mail2fax.m365.plugins.module_utils._proofs import PROOFS
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.model import MODELS
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _profile
from tests import profiles

Change = t.Callable[[dict[str, t.Any]], t.Any]


FORMAT_1 = pathlib.Path(__file__).parents[3] / "data" / "profiles" / "format_1.yml"
A = "application_access_policy"


def own() -> dict[str, t.Any]:
    """A file of format 1, to be altered."""
    return t.cast("dict[str, t.Any]", yaml.safe_load(FORMAT_1.read_text(encoding="utf-8")))


def listed() -> dict[str, t.Any]:
    """A file of format 2 that needs the models and protocols of the collection alone, to be altered."""
    document = {key: value for key, value in own().items() if key not in OF_FORMAT_1}
    document["names"]["scope"] = "imagicle-digital-fax"
    access = {"id": "ews", "protocol": "ews", "permissions": ["full_access_as_app"], "scoping": A}
    return {**document, "format": 2, "delegated": ["User.Read"], "accesses": [access]}


OF_FORMAT_1 = ("permissions", "scoping", "proof", "connection")


def lookup(*terms: str, **options: t.Any) -> list[t.Any]:
    plugin = LookupModule(loader=DataLoader())
    plugin._load_name = "mail2fax.m365.profile"  # as Ansible's plugin loader sets it
    return plugin.run(list(terms), variables={}, **options)


def test_the_vendors_profile_says_what_the_article_says() -> None:
    (profile,) = lookup("imagicle_ews")
    assert [field["name"] for field in profile["handover"]["fields"]] == [
        "Application ID",
        "Directory ID",
        "Client Secret",
    ]
    assert profile["permissions"] == [
        {"resource": "exchange_online", "application": ["full_access_as_app"], "delegated": []},
        {"resource": "microsoft_graph", "application": [], "delegated": ["User.Read"]},
    ]
    (access,) = profile["accesses"]
    assert (access["protocol"], access["permissions"], access["scoping"]) == ("ews", ["full_access_as_app"], A)
    assert profile["steps"] == [
        *("preflight", "application", "scope_group", "access_policy", "ews_access", "client_secret"),
        *("admin_consent", "access_verdict", "mailbox_probe"),
    ]
    assert not set(OF_FORMAT_1[1:3]) & set(profile)
    assert profile["vendor"]["document"]["date"] == "2023-07-11"
    assert profile["sunset"]["date"] == "2027-04-01"
    assert profile["status"] == "legacy"
    # What it declares is what the modules take, and every cloud has its host.
    assert parse(profile["permissions"])
    (connection,) = profile["connection"]
    assert connection["hosts"] == {name: cloud.exchange for name, cloud in CLOUDS.items()}
    assert (connection["port"], connection["path"]) == (443, "/EWS/Exchange.asmx")


def test_nobody_alters_what_the_next_one_gets() -> None:
    lookup("imagicle_ews")[0]["names"]["application"] = "altered"
    assert lookup("imagicle_ews")[0]["names"]["application"] == "Mail2DigitalFax"


def test_a_name_that_is_not_there_is_told_with_the_nearest_one() -> None:
    with pytest.raises(AnsibleLookupError, match="did you mean 'imagicle_ews'"):
        lookup("imagicle_ewa")


def test_a_file_of_ones_own(tmp_path: pathlib.Path) -> None:
    document = own()
    document["name"] = "ours"
    # An unquoted date is a date to YAML, and a text to everybody else.
    text = yaml.safe_dump(document).replace("'2027-04-01'", "2027-04-01")
    path = tmp_path / "ours.yml"
    path.write_text(text, encoding="utf-8")
    (profile,) = lookup(str(path))
    assert profile["name"] == "ours"
    assert profile["sunset"]["date"] == "2027-04-01"
    with pytest.raises(AnsibleLookupError, match=r"there is no profile file .*other\.yml"):
        lookup(str(tmp_path / "other.yml"))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda d: d.pop("vendor"), "missing required arguments: vendor"),
        (lambda d: d["vendor"].pop("document"), "missing required arguments: document found in vendor"),
        (lambda d: d.update(version=None), "missing required arguments: version"),
        (lambda d: d.update(colour="red"), "unknown key colour"),
        (lambda d: d["permissions"][0].update(aplication=["x"]), r"permissions\.aplication \(did you mean application"),
        (lambda d: d.update(status="new"), "value of status must be one of: supported, legacy, unverified"),
        (lambda d: d.update(checked="yesterday"), "checked is 'yesterday'"),
        (lambda d: d["sunset"].update(date="2027-13-01"), r"sunset\.date is '2027-13-01'"),
        (lambda d: d["proof"].update(role="Mail.Read"), "'Mail.Read' is not among the application permissions"),
        (lambda d: d["permissions"].pop(0), "declares no application permission"),
        (lambda d: d["permissions"].append({"resource": "x"}), "permissions of x name neither"),
        (lambda d: d["handover"]["fields"].pop(), r"handover\.fields must hold"),
        (lambda d: d["connection"].update(port=70000), r"connection\.port is 70000"),
        (lambda d: d["vendor"]["document"].update(url="http://vendor.example/x"), "not an https address"),
        (lambda d: d["vendor"]["document"].update(url="https://a@vendor.example/x"), "not an https address"),
        (lambda d: d["connection"]["hosts"].update(china="outlook.evil.example"), r"hosts\.china is"),
        (lambda d: d["connection"]["hosts"].pop("global"), "missing required arguments: global"),
        (lambda d: d["errors"][0].update(call="nobody"), "value of call must be one of: fax, entra, exchange"),
    ],
)
def test_what_is_wrong_is_named(change: Change, complaint: str) -> None:
    document = copy.deepcopy(own())
    change(document)
    with pytest.raises(_profile.ProfileError, match=complaint):
        _profile.check(document, "ours")


def test_what_is_no_profile_at_all(tmp_path: pathlib.Path) -> None:
    for text, complaint in (("- a\n- b\n", "not a mapping"), ("a: [", "is not YAML"), ("\xff\xfe", "not a mapping")):
        path = tmp_path / "bad.yml"
        path.write_text(text, encoding="utf-8")
        _profile.parse.cache_clear()
        with pytest.raises(_profile.ProfileError, match=complaint):
            _profile.load(str(path))
    with pytest.raises(_profile.ProfileError, match="cannot be read"):
        _profile.load(f"{tmp_path}/")


# ---- format 2 -------------------------------------------------------------------------------------------------------


def test_format_1_is_read_on_without_a_difference() -> None:
    """What a run declares, makes and shows is what version 0.1.0 did, whatever format says it."""
    old, new = (_profile.resolve(_profile.check(document, "ours")) for document in (own(), listed()))
    assert old["permissions"] == [
        {"resource": "exchange_online", "application": ["full_access_as_app"], "delegated": []},
        {"resource": "microsoft_graph", "application": [], "delegated": ["User.Read"]},
    ]
    assert {**old, "names": {**old["names"], "scope": listed()["names"]["scope"]}} == new


def test_format_1_keeps_what_it_says_of_permissions_and_connection() -> None:
    document = own()
    document["permissions"].append({"resource": "microsoft_graph", "application": ["Mail.Read"]})
    document["connection"].update(protocol="EWS, by our own words", port=8443, path="/other")
    profile = _profile.resolve(_profile.check(document, "ours"))
    assert [entry["application"] for entry in profile["permissions"]] == [["full_access_as_app"], [], ["Mail.Read"]]
    assert profile["accesses"][0]["permissions"] == ["full_access_as_app"]
    (connection,) = profile["connection"]
    assert (connection["service"], connection["port"], connection["path"]) == ("EWS, by our own words", 8443, "/other")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda d: d.update(format=3), "format is 3, which is not one of 1, 2"),
        (lambda d: d.update(format=True), "format is True, which is not one of 1, 2"),
        (lambda d: d.pop("format"), "it has accesses, so it has to say format: 2"),
        (lambda d: d.update(status="suported"), r"supported, legacy, unverified.*did you mean supported"),
        (lambda d: d.update(acesses=[]), r"unknown key acesses \(did you mean accesses"),
        (lambda d: d["accesses"][0].update(scopping="x"), r"unknown key accesses\.scopping \(did you mean scoping"),
        (lambda d: d["accesses"][0].pop("id"), "missing required arguments: id found in accesses"),
        (lambda d: d["accesses"].clear(), "accesses is empty"),
        (lambda d: d["accesses"][0].update(protocol="ewz"), r"\[0\]\.protocol is 'ewz', not one of .*did you mean ews"),
        (lambda d: d["accesses"][0].update(permissions=[]), r"names no permission, such as full_access_as_app"),
        (
            lambda d: d["accesses"][0].update(permissions=["full_access_as_ap"]),
            r"'full_access_as_ap', which is not a permission for ews: .*did you mean full_access_as_app",
        ),
        (
            lambda d: d["accesses"][0].update(scoping="application_acces_policy"),
            r"scoping is 'application_acces_policy', not one of application_access_policy.*did you mean",
        ),
        (lambda d: d["accesses"][0].update(scoping_allowed=["acces_policy"]), r"scoping_allowed is 'acces_policy'"),
        (lambda d: d["accesses"].append(dict(d["accesses"][0])), r"accesses\[1\]\.id is 'ews', which is another one's"),
        (lambda d: d["accesses"][0].update(id="E W S"), "is not made of small letters"),
        (lambda d: d["names"].pop("group"), f"names.group is missing, which {A} of the access ews needs"),
        (lambda d: d["names"].update(group_alias=" "), "names.group_alias is missing"),
        (lambda d: d["handover"]["fields"].pop(), r"handover\.fields must hold"),
    ],
)
def test_what_is_wrong_with_a_list_of_accesses_is_named_with_the_nearest(change: Change, complaint: str) -> None:
    document = listed()
    change(document)
    with pytest.raises(_profile.ProfileError, match=complaint):
        _profile.check(document, "ours")


def test_another_model_than_the_profile_allows_is_refused_with_access_and_choices(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "ours.yml"
    path.write_text(yaml.safe_dump(listed()), encoding="utf-8")
    for said in (None, "", A, {"ews": A}, {"ews": None}, {}):
        (profile,) = lookup(str(path), scoping=said)
        assert profile["models"] == [A]
    for said, complaint in (
        ("application_acces_policy", rf"for the access ews, .* it allows {A} \(did you mean {A}\?\)"),
        ({"ews": "none"}, "'none' for the access ews"),
        ({"esw": A}, r"the access 'esw', which .* does not have: it has ews \(did you mean ews\?\)"),
        (["ews"], "neither a scoping model nor a mapping"),
    ):
        with pytest.raises(AnsibleLookupError, match=complaint):
            lookup(str(path), scoping=said)
        (told,) = lookup(str(path), scoping=said, complaint=True)
        assert "mail2fax_scoping" in told


# ---- what follows from the models -----------------------------------------------------------------------------------


def resolved(*accesses: dict[str, t.Any], scoping: t.Any = None) -> dict[str, t.Any]:
    return _profile.resolve(_profile.check(profiles.profile(*accesses), "ours"), scoping)


def test_rights_need_no_group_and_a_consent() -> None:
    found = resolved(profiles.access("imap", profiles.RIGHT), profiles.access("smtp", profiles.RIGHT))
    assert found["steps"] == [
        *("preflight", "application", "service_principal", "mailbox_permission", "mailbox_protocols"),
        *("client_secret", "admin_consent", "access_verdict", "mailbox_probe"),
    ]
    assert found["permissions"] == [
        {"resource": "exchange_online", "application": ["IMAP.AccessAsApp", "SMTP.SendAsApp"], "delegated": []},
        {"resource": "microsoft_graph", "application": [], "delegated": ["User.Read"]},
    ]
    assert (found["full_access"], found["send_as"], found["switches"]) == (True, True, ["imap", "smtp"])
    assert [(row["access"], row["port"], row["encryption"], row["method"]) for row in found["connection"]] == [
        ("imap", 993, "TLS", "OAuth 2.0 (XOAUTH2)"),
        ("smtp", 587, "STARTTLS", "OAuth 2.0 (XOAUTH2)"),
    ]
    assert found["connection"][1]["hosts"] == {name: cloud.smtp for name, cloud in CLOUDS.items()}
    assert not resolved(profiles.access("imap", profiles.RIGHT))["send_as"]


def test_what_nothing_limits_makes_nothing() -> None:
    found = resolved(profiles.access("graph", profiles.WIDE, "Mail.ReadWrite", "Mail.Send"))
    assert found["steps"] == [
        *("preflight", "application", "client_secret", "admin_consent", "access_verdict", "mailbox_probe")
    ]
    assert found["permissions"] == [
        {"resource": "microsoft_graph", "application": ["Mail.ReadWrite", "Mail.Send"], "delegated": ["User.Read"]}
    ]


@pytest.mark.parametrize(
    ("access", "complaint"),
    [
        (profiles.access("imap", profiles.POLICY), "an access policy does not limit IMAP.AccessAsApp"),
        (profiles.access("graph", profiles.RIGHT), "Mail.ReadWrite opens every mailbox by its consent alone"),
        (profiles.access("imap", profiles.RIGHT, "SMTP.SendAsApp"), "which is not a permission for imap"),
        (
            profiles.access("smtp", profiles.RIGHT, scoping_allowed=[profiles.RIGHT, profiles.POLICY]),
            "an access policy does not limit SMTP.SendAsApp",
        ),
        (
            profiles.access("smtp", profiles.RIGHT, scoping_allowed=[profiles.WIDE]),
            "scoping is mailbox_permission, which is not among its scoping_allowed tenant_wide",
        ),
    ],
)
def test_a_model_that_cannot_limit_a_permission_is_refused(access: dict[str, t.Any], complaint: str) -> None:
    with pytest.raises(_profile.ProfileError, match=complaint):
        _profile.check(profiles.profile(access), "ours")


def test_another_model_for_one_access_or_for_all() -> None:
    either = {"scoping_allowed": [profiles.POLICY, profiles.WIDE]}
    accesses = profiles.access("ews", profiles.POLICY, **either), profiles.access("graph", profiles.POLICY, **either)
    assert resolved(*accesses)["models"] == [profiles.POLICY]
    assert resolved(*accesses, scoping=profiles.WIDE)["models"] == [profiles.WIDE]
    mixed = resolved(*accesses, scoping={"graph": profiles.WIDE})
    assert [one["scoping"] for one in mixed["accesses"]] == [profiles.POLICY, profiles.WIDE]
    assert mixed["models"] == [profiles.POLICY, profiles.WIDE]


# ---- adding one: one file, and for a protocol or a model one line ---------------------------------------------------


class ToyModel:
    """A model as somebody adds it."""

    name = "toy_model"
    needs_consent = False
    before = ("scope_group",)
    makes = ("scope_group",)
    in_force_after = dt.timedelta(hours=1)
    look_every = dt.timedelta(minutes=1)

    def cmdlets(self, app_id: str) -> list[t.Any]:
        return []

    def grants(self, app_id: str, held: t.Any, outputs: t.Any, inside: t.Any) -> list[t.Any]:
        return []


class ToyProof:
    """A protocol as somebody adds it."""

    needs_role = None
    switched_off = None
    service = "Toys"
    opened_by = "open it"
    endpoint = Endpoint("Toys over TLS", "exchange", 1234, "TLS", "by hand")

    @staticmethod
    def audience(cloud: t.Any) -> str:
        return str(cloud.exchange_audience)


def test_a_seventh_profile_is_one_file(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "seventh.yml"
    accesses = profiles.access("imap", profiles.RIGHT), profiles.access("pop", profiles.RIGHT)
    path.write_text(yaml.safe_dump(profiles.profile(*accesses)), encoding="utf-8")
    (profile,) = lookup(str(path))
    assert profile["protocols"] == ["imap", "pop"]


def test_a_protocol_and_a_model_are_one_file_and_one_line_each(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(t.cast("dict[str, t.Any]", PROOFS), "toy", ToyProof)
    monkeypatch.setitem(t.cast("dict[str, t.Any]", MODELS), ToyModel.name, ToyModel())
    toy = {"id": "toy", "protocol": "toy", "permissions": ["Toy.All"], "scoping": ToyModel.name}
    path = tmp_path / "toy.yml"
    path.write_text(yaml.safe_dump(profiles.profile(toy)), encoding="utf-8")
    (profile,) = lookup(str(path))
    assert (profile["models"], profile["protocols"]) == ([ToyModel.name], ["toy"])
    assert profile["steps"] == [
        *("preflight", "application", "scope_group", "client_secret", "access_verdict", "mailbox_probe")
    ]
    (connection,) = profile["connection"]
    assert (connection["service"], connection["port"]) == ("Toys over TLS", 1234)
    assert profile["accesses"][0]["resource"] == "exchange_online"
    # A slip of the pen finds them.
    with pytest.raises(_profile.ProfileError, match=r"did you mean toy_model\?"):
        _profile.check(profiles.profile({**toy, "scoping": "toy_modell"}), "ours")
