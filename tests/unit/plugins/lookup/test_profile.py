# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import copy
import pathlib
import typing as t

import pytest
import yaml
from ansible.errors import AnsibleLookupError
from ansible.parsing.dataloader import DataLoader

from ansible_collections.mail2fax.m365.plugins.lookup.profile import LookupModule
from ansible_collections.mail2fax.m365.plugins.module_utils._clouds import CLOUDS
from ansible_collections.mail2fax.m365.plugins.module_utils._permissions import parse
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _profile

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
