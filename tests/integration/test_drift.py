# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drift, one at a time and both ways: found in check mode, mended by one run, gone in the next."""

from __future__ import annotations

import pathlib
import typing as t

import pytest

from tests.emulator.testing import DEMO_TENANT, Emulator, start_emulator
from tests.integration.chain import CONTROL, FAX, Chain, changed, counted, red
from tests.integration.exchange_admin import admin
from tests.integration.harness import DOMAIN, TENANT_ID, graph_as_a_person
from tests.sample import sample

EXCHANGE_ONLINE = "00000002-0000-0ff1-ce00-000000000000"
OTHERS = "aaaaaaaa-1111-4000-8000-000000000001, BBBBBBBB-2222-4000-8000-000000000002"


@pytest.fixture(scope="module")
def world() -> t.Iterator[Emulator]:
    with start_emulator(DEMO_TENANT) as emulator:
        yield emulator


@pytest.fixture
def emulator(world: Emulator) -> Emulator:
    world.reset()
    world.clear_journal()
    return world


@pytest.fixture
def chain(emulator: Emulator, tmp_path: pathlib.Path) -> Chain:
    """A provisioned tenant."""
    made = Chain(emulator, tmp_path)
    assert red(made.run()) == {}
    return made


def tenant(emulator: Emulator) -> dict[str, t.Any]:
    return emulator.state(TENANT_ID)


def ours(emulator: Emulator, kind: str = "applications") -> dict[str, t.Any]:
    found = [item for item in tenant(emulator)[kind] if item["displayName"] == "Mail2DigitalFax"]
    assert len(found) == 1
    return t.cast("dict[str, t.Any]", found[0])


def as_a_person(chain: Chain, method: str, path: str, body: t.Any = None) -> dict[str, t.Any]:
    return graph_as_a_person(chain.emulator, method, path, body)


# --- what somebody does behind our back -----------------------------------------------------------------------


def rename(chain: Chain) -> None:
    as_a_person(chain, "PATCH", f"/applications/{ours(chain.emulator)['id']}", {"displayName": "Fax (old)"})


def open_to_every_tenant(chain: Chain) -> None:
    body = {"signInAudience": "AzureADMultipleOrgs"}
    as_a_person(chain, "PATCH", f"/applications/{ours(chain.emulator)['id']}", body)


def drop_a_declared_permission(chain: Chain) -> None:
    application = ours(chain.emulator)
    kept = [item for item in application["requiredResourceAccess"] if item["resourceAppId"] == EXCHANGE_ONLINE]
    as_a_person(chain, "PATCH", f"/applications/{application['id']}", {"requiredResourceAccess": kept})


def add_a_permission(chain: Chain) -> None:
    application = ours(chain.emulator)
    extra = {"id": "b633e1c5-b582-4048-a93e-9f11b44c7e96", "type": "Role"}  # Mail.Send of Microsoft Graph
    access = application["requiredResourceAccess"]
    for item in access:
        if item["resourceAppId"] != EXCHANGE_ONLINE:
            item["resourceAccess"].append(extra)
    as_a_person(chain, "PATCH", f"/applications/{application['id']}", {"requiredResourceAccess": access})


def delete_the_service_principal(chain: Chain) -> None:
    as_a_person(chain, "DELETE", f"/servicePrincipals/{ours(chain.emulator, 'servicePrincipals')['id']}")


def revoke_the_grant(chain: Chain) -> None:
    principal = ours(chain.emulator, "servicePrincipals")["id"]
    for item in tenant(chain.emulator)["appRoleAssignments"]:
        if item["principalId"] == principal:
            as_a_person(chain, "DELETE", f"/servicePrincipals/{principal}/appRoleAssignments/{item['id']}")


def revoke_the_delegated_grant(chain: Chain) -> None:
    for item in tenant(chain.emulator)["oauth2PermissionGrants"]:
        as_a_person(chain, "DELETE", f"/oauth2PermissionGrants/{item['id']}")


def remove_the_secret(chain: Chain) -> None:
    application = ours(chain.emulator)
    for item in application["passwordCredentials"]:
        as_a_person(chain, "POST", f"/applications/{application['id']}/removePassword", {"keyId": item["keyId"]})


def take_the_member_out(chain: Chain) -> None:
    admin(chain.emulator, "Remove-DistributionGroupMember", Identity="imagicle.digital.fax", Member=FAX)


def rename_the_group(chain: Chain) -> None:
    admin(chain.emulator, "Set-DistributionGroup", Identity="imagicle.digital.fax", DisplayName="Fax")


def show_the_group(chain: Chain) -> None:
    admin(chain.emulator, "Set-DistributionGroup", Identity="imagicle.digital.fax", HiddenFromAddressListsEnabled=False)


def policy_identity(chain: Chain) -> str:
    return str(tenant(chain.emulator)["applicationAccessPolicies"][0]["Identity"])


def remove_the_policy(chain: Chain) -> None:
    admin(chain.emulator, "Remove-ApplicationAccessPolicy", Identity=policy_identity(chain))


def describe_the_policy_anew(chain: Chain) -> None:
    admin(chain.emulator, "Set-ApplicationAccessPolicy", Identity=policy_identity(chain), Description="?")


MENDED = [
    (rename, {"application"}),
    (open_to_every_tenant, {"application"}),
    (drop_a_declared_permission, {"application"}),
    (add_a_permission, {"application"}),
    (delete_the_service_principal, {"application", "consent"}),
    (revoke_the_grant, {"consent"}),
    (revoke_the_delegated_grant, {"consent"}),
    (remove_the_secret, {"secret"}),
    (take_the_member_out, {"group"}),
    (rename_the_group, {"group"}),
    (show_the_group, {"group"}),
    (remove_the_policy, {"policy"}),
    (describe_the_policy_anew, {"policy"}),
]


@pytest.mark.parametrize(
    ("drift", "steps"), [pytest.param(*one, id=one[0].__name__) for one in sample(MENDED, 6, of="drifts")]
)
def test_drift_is_found_mended_and_gone(chain: Chain, drift: t.Callable[[Chain], None], steps: set[str]) -> None:
    drift(chain)
    drifted = tenant(chain.emulator)
    predicted = chain.run(check_mode=True)
    assert red(predicted) == {}
    assert changed(predicted) == steps
    assert tenant(chain.emulator)["applications"] == drifted["applications"]
    assert tenant(chain.emulator)["groups"] == drifted["groups"]
    mended = chain.run()
    assert red(mended) == {}
    assert changed(mended) == steps
    for name in steps:
        assert predicted[name]["diff"]["before"] == mended[name]["diff"]["before"]
    again = chain.run()
    assert (changed(again), red(again)) == (set(), {})
    assert ours(chain.emulator)["signInAudience"] == "AzureADMyOrg"
    if drift is not remove_the_policy:  # there a person opened the tenant, and the next run closed it first
        assert chain.emulator.exposures() == []


def foreign_grant(chain: Chain) -> None:
    exchange = next(item for item in tenant(chain.emulator)["servicePrincipals"] if item["appId"] == EXCHANGE_ONLINE)
    principal = ours(chain.emulator, "servicePrincipals")["id"]
    role = next(item for item in exchange["appRoles"] if item["value"] == "IMAP.AccessAsApp")
    body = {"principalId": principal, "resourceId": exchange["id"], "appRoleId": role["id"]}
    as_a_person(chain, "POST", f"/servicePrincipals/{exchange['id']}/appRoleAssignedTo", body)


def test_a_foreign_grant_is_kept_and_named_or_revoked(chain: Chain) -> None:
    foreign_grant(chain)
    kept = chain.run()
    assert changed(kept) == set()
    assert "IMAP.AccessAsApp" in str(kept["consent"]["foreign"])
    chain.options["consent"] = {"exclusive": True}
    assert changed(chain.run(check_mode=True)) == {"consent"}
    assert changed(chain.run()) == {"consent"}
    assert changed(chain.run()) == set()
    principal = ours(chain.emulator, "servicePrincipals")["id"]
    left = [item for item in tenant(chain.emulator)["appRoleAssignments"] if item["principalId"] == principal]
    assert len(left) == 1


def test_somebody_else_s_member_stops_the_run_before_anything_changes_or_is_removed(chain: Chain) -> None:
    admin(chain.emulator, "Add-DistributionGroupMember", Identity="imagicle.digital.fax", Member=CONTROL)
    rename(chain)
    before = tenant(chain.emulator)
    stopped = chain.run(stop=False)
    assert stopped["group"]["outcome"] == "blocked"
    assert CONTROL in stopped["group"]["msg"]
    assert tenant(chain.emulator)["groups"] == before["groups"]
    chain.options["group"] = {"on_foreign_members": "remove"}
    assert changed(chain.run()) == {"group"}
    assert changed(chain.run()) == set()


def test_somebody_else_s_owner_stops_the_run_or_is_removed(chain: Chain) -> None:
    admin(chain.emulator, "Set-DistributionGroup", Identity="imagicle.digital.fax", ManagedBy=[CONTROL])
    stopped = chain.run()
    assert stopped["group"]["outcome"] == "blocked"
    assert "AdeleV" in stopped["group"]["msg"] or "Adele Vance" in stopped["group"]["msg"]
    chain.options["group"] = {"on_foreign_owners": "remove", "owners": [f"LeeG@{DOMAIN}"]}
    assert changed(chain.run()) == {"group"}
    assert changed(chain.run()) == set()


def test_a_second_contradicting_policy_stops_the_run_or_is_removed(chain: Chain) -> None:
    app_id = ours(chain.emulator)["appId"]
    admin(chain.emulator, "New-DistributionGroup", Name="Others", Alias="others", Type="Security", Members=[CONTROL])
    for right in ("RestrictAccess", "DenyAccess"):
        chain.options.pop("policy", None)
        admin(
            chain.emulator,
            "New-ApplicationAccessPolicy",
            AppId=app_id,
            PolicyScopeGroupId="others",
            AccessRight=right,
        )
        stopped = chain.run()
        assert stopped["policy"]["outcome"] == "blocked"
        assert "Others" in stopped["policy"]["msg"]
        chain.options["policy"] = {"on_other_policies": "remove"}
        assert changed(chain.run()) == {"policy"}
        assert changed(chain.run()) == set()
    assert chain.emulator.exposures() == []


@pytest.mark.parametrize("way", ["fail", "restore", "purge"])
def test_an_application_in_the_recycle_bin(chain: Chain, way: str) -> None:
    before = ours(chain.emulator)["appId"]
    as_a_person(chain, "DELETE", f"/applications/{ours(chain.emulator)['id']}")
    chain.options["application"] = {"on_deleted": way}
    predicted = chain.run(check_mode=True)
    results = chain.run()
    if way == "fail":
        for found in (predicted, results):
            assert found["application"]["outcome"] == "blocked"
            assert "days left" in found["application"]["msg"]
        return
    if way == "purge":
        # the old application's policy still limits nobody; ours is a new one
        assert red(results) == {}
    assert red(results) == {}
    assert "application" in changed(predicted)
    assert (ours(chain.emulator)["appId"] == before) is (way == "restore")
    assert chain.emulator.exposures() == []
    assert changed(chain.run()) == set()


@pytest.mark.parametrize(
    ("enabled", "listed", "after"),
    [
        (False, None, "{app}"),
        (False, OTHERS, OTHERS + ",{app}"),
        (True, OTHERS, OTHERS + ",{app}"),
        (True, None, "{app}"),
    ],
)
def test_ews_is_opened_and_others_survive_byte_for_byte(
    chain: Chain, enabled: bool, listed: str | None, after: str
) -> None:
    admin(chain.emulator, "Set-OrganizationConfig", EwsEnabled=enabled, EwsAllowedAppIDs=listed)
    chain.ews_opt_in = True
    assert changed(chain.run(check_mode=True)) == {"ews"}
    assert changed(chain.run()) == {"ews"}
    wanted = {"EwsEnabled": True, "EwsAllowedAppIDs": after.format(app=ours(chain.emulator)["appId"])}
    assert {name: tenant(chain.emulator)["organizationConfig"][name] for name in wanted} == wanted
    assert changed(chain.run()) == set()


def test_an_id_dropped_from_the_ews_list_comes_back(chain: Chain) -> None:
    admin(chain.emulator, "Set-OrganizationConfig", EwsEnabled=True, EwsAllowedAppIDs=OTHERS)
    chain.ews_opt_in = True
    assert changed(chain.run()) == {"ews"}
    admin(chain.emulator, "Set-OrganizationConfig", EwsAllowedAppIDs=OTHERS)
    assert changed(chain.run()) == {"ews"}
    assert tenant(chain.emulator)["organizationConfig"]["EwsAllowedAppIDs"].startswith(OTHERS + ",")


def test_check_mode_walks_an_empty_tenant_and_writes_nothing(emulator: Emulator, tmp_path: pathlib.Path) -> None:
    before = tenant(emulator)
    results = Chain(emulator, tmp_path).run(check_mode=True)
    assert red(results) == {}
    assert changed(results) == {"application", "group", "policy", "secret", "consent"}
    after = tenant(emulator)
    assert {kind: after[kind] for kind in after if kind != "signIns"} == {
        kind: before[kind] for kind in before if kind != "signIns"
    }
    assert list(tmp_path.iterdir()) == []


HOSTILE = ["O'Brien's \"fax\" & co; $(id) `id`", "\u202eفاكس\u202c 50 % $HOME", "<b>{{ 7*7 }}</b> a/b?c#d", "x" * 64]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_arrive_as_literals(emulator: Emulator, tmp_path: pathlib.Path, name: str) -> None:
    made = Chain(emulator, tmp_path, name=name, group=name[:64], description=name, secret=name)
    assert red(made.run()) == {}
    state = tenant(emulator)
    assert name in [item["displayName"] for item in state["applications"]]
    assert name in [item["uniqueName"] for item in state["applications"]]
    assert [item["Description"] for item in state["applicationAccessPolicies"]] == [name]
    assert name[:64] in [item["DisplayName"] for item in state["groups"]]
    assert changed(made.run()) == set()


@pytest.mark.parametrize("fillers", [450, 5000])
def test_requests_are_counted_and_do_not_grow_with_the_tenant(tmp_path: pathlib.Path, fillers: int) -> None:
    import yaml

    tenants = yaml.safe_load(DEMO_TENANT.read_text(encoding="utf-8"))
    tenants["tenants"][0]["service_principals"] = fillers
    with start_emulator(tenants) as emulator:
        chain = Chain(emulator, tmp_path)
        emulator.clear_journal()
        assert red(chain.run()) == {}
        greenfield = counted(emulator)
        emulator.clear_journal()
        assert changed(chain.run()) == set()
        again = counted(emulator)
    assert greenfield["graph"] <= 8  # preflight makes one more: nine at most
    assert again["graph"] <= 4
    assert again["exchange"] <= 5
    assert again["ews"] == 2
