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


def own() -> dict[str, t.Any]:
    """The file of the collection's own profile, to be altered."""
    document = yaml.safe_load((_profile.FOLDER / "imagicle_ews.yml").read_text(encoding="utf-8"))
    return t.cast("dict[str, t.Any]", document)


def lookup(*terms: str) -> list[dict[str, t.Any]]:
    plugin = LookupModule(loader=DataLoader())
    plugin._load_name = "mail2fax.m365.profile"  # as Ansible's plugin loader sets it
    return plugin.run(list(terms), variables={})


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
    assert profile["scoping"] == "application_access_policy"
    assert profile["proof"] == {"protocol": "ews", "role": "full_access_as_app"}
    assert profile["vendor"]["document"]["date"] == "2023-07-11"
    assert profile["sunset"]["date"] == "2027-04-01"
    assert profile["status"] == "legacy"
    # What it declares is what the modules take, and every cloud has its host.
    assert parse(profile["permissions"])
    assert profile["connection"]["hosts"] == {name: cloud.exchange for name, cloud in CLOUDS.items()}


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
