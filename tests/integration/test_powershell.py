# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The script in a real PowerShell: it does what the quick stand-in does, and the whole chain runs through it."""

from __future__ import annotations

import copy
import json
import os
import pathlib
import re
import socket
import subprocess
import typing as t

import pytest
import yaml

from ansible_collections.mail2fax.m365.plugins.module_utils._exchange import host, host_answers, host_script
from ansible_collections.mail2fax.m365.plugins.module_utils._patience import Clock
from tests.emulator import powershell_process, testing
from tests.emulator.testing import DEMO_TENANT, Emulator
from tests.integration import fleet
from tests.integration.exchange_admin import ALIAS, NAME
from tests.integration.harness import DOMAIN, EXCHANGE, OPERATOR, TENANT_ID, run
from tests.integration.transports import PASSWORD, USER, reached, start_emulator
from tests.sample import sample
from tests.tools import windows_powershell

Json = dict[str, t.Any]
Answers = list[tuple[str, dict[str, t.Any]]]
FAX, ADELE = f"fax@{DOMAIN}", f"AdeleV@{DOMAIN}"
USERS = [{"name": USER, "password": PASSWORD}]
HOSTS = [{"name": "quick", "users": USERS}, {"name": "real", "users": USERS, "process": "powershell"}]
READER = {
    "client_id": "11111111-0000-4000-8000-000000000077",
    "client_secret": "another secret",
    "app_roles": ["Exchange.ManageAsApp"],
    "directory_roles": ["Global Reader"],
}
APP, OBJECT = "44444444-0000-4000-8000-000000000001", "44444444-0000-4000-8000-000000000002"
ROLE = "Application Mail.Read"


def needs_powershell() -> None:
    """Without PowerShell there is nothing to see; where one was named, that is a failure."""
    if powershell_process.executable() is None:
        assert not os.environ.get("PWSH"), f"PWSH names {os.environ['PWSH']!r}, which does not run"
        pytest.skip("no PowerShell here: install PowerShell 7 and have pwsh on the PATH, or name it in PWSH")


def call(name: str, limit: int | None = None, **parameters: t.Any) -> Json:
    return {"name": name, "parameters": parameters, "limit": limit}


SAMPLES: dict[str, list[Json]] = {
    "New-DistributionGroup": [
        call("New-DistributionGroup", Name="Fax scope", Alias="fax.scope", Type="Security", IgnoreNamingPolicy=True),
        call("New-DistributionGroup", Name="Fax scope", Alias="fax.scope", Type="Security"),
    ],
    "Set-DistributionGroup": [
        call(
            "Set-DistributionGroup",
            Identity="fax.scope",
            HiddenFromAddressListsEnabled=True,
            BypassSecurityGroupManagerCheck=True,
            Confirm=False,
        ),
        call("Set-DistributionGroup", Identity="fax.scope", BypassSecurityGroupManagerCheck=True),
    ],
    "Add-DistributionGroupMember": [
        call("Add-DistributionGroupMember", Identity="fax.scope", Member=FAX, BypassSecurityGroupManagerCheck=True),
        call("Add-DistributionGroupMember", Identity="fax.scope", Member=FAX, BypassSecurityGroupManagerCheck=True),
        call("Add-DistributionGroupMember", Identity="fax.scope", Member="nobody"),
    ],
    "Enable-OrganizationCustomization": [
        call("New-ManagementScope", Name="fax", RecipientRestrictionFilter=f"PrimarySmtpAddress -eq '{FAX}'"),
        call("Enable-OrganizationCustomization"),
        call("Enable-OrganizationCustomization"),
    ],
    "New-ServicePrincipal": [
        call("New-ServicePrincipal", AppId=APP, ObjectId=OBJECT, DisplayName="Fax"),
        call("New-ServicePrincipal", AppId=APP, ObjectId=OBJECT),
    ],
    "New-ManagementScope": [
        call("New-ManagementScope", Name="fax", RecipientRestrictionFilter=f"PrimarySmtpAddress -eq '{FAX}'"),
        call("New-ManagementScope", Name="fax", RecipientRestrictionFilter="nonsense"),
    ],
    "Set-ManagementScope": [
        call("Set-ManagementScope", Identity="fax", RecipientRestrictionFilter=f"PrimarySmtpAddress -eq '{ADELE}'"),
    ],
    "Get-ManagementScope": [call("Get-ManagementScope")],
    "New-ManagementRoleAssignment": [
        call("New-ManagementRoleAssignment", Name="fax", Role=ROLE, App=OBJECT, CustomResourceScope="fax"),
        call("New-ManagementRoleAssignment", Name="fax", Role=ROLE, App="nobody", CustomResourceScope="fax"),
    ],
    "Set-ManagementRoleAssignment": [
        call("Set-ManagementRoleAssignment", Identity="fax", CustomResourceScope="fax", Enabled=True),
    ],
    "Get-ManagementRoleAssignment": [
        call("Get-ManagementRoleAssignment", RoleAssignee=APP),
        call("Get-ManagementRoleAssignment", Delegating=True),
    ],
    "Test-ServicePrincipalAuthorization": [
        call("Test-ServicePrincipalAuthorization", Identity=APP, Resource=FAX),
        call("Test-ServicePrincipalAuthorization", Identity="nobody", Resource=FAX),
    ],
    "Remove-ManagementRoleAssignment": [
        call("Remove-ManagementScope", Identity="fax", Confirm=False),
        call("Remove-ManagementRoleAssignment", Identity="fax", Confirm=False),
    ],
    "Remove-ManagementScope": [call("Remove-ManagementScope", Identity="fax", Confirm=False)],
    "Add-MailboxPermission": [
        call(
            "Add-MailboxPermission",
            Identity=FAX,
            User=OBJECT,
            AccessRights=["FullAccess"],
            AutoMapping=False,
            InheritanceType="All",
            Confirm=False,
        ),
        call("Add-MailboxPermission", Identity=FAX, User="nobody", AccessRights=["FullAccess"]),
    ],
    "Get-MailboxPermission": [
        call("Get-MailboxPermission", Identity=FAX, IncludeUnresolvedPermissions=True, ResultSize="Unlimited"),
    ],
    "Remove-MailboxPermission": [
        call("Remove-MailboxPermission", Identity=FAX, User=OBJECT, AccessRights=["FullAccess"], Confirm=False),
        call("Remove-MailboxPermission", Identity=FAX, User=OBJECT, AccessRights=["FullAccess"], Confirm=False),
    ],
    "Add-RecipientPermission": [
        call("Add-RecipientPermission", Identity=FAX, Trustee=OBJECT, AccessRights=["SendAs"], Confirm=False),
    ],
    "Get-RecipientPermission": [call("Get-RecipientPermission", Trustee=OBJECT, ResultSize="Unlimited")],
    "Remove-RecipientPermission": [
        call("Remove-RecipientPermission", Identity=FAX, Trustee=OBJECT, AccessRights=["SendAs"], Confirm=False),
    ],
    "Get-TransportConfig": [call("Get-TransportConfig")],
    "Set-CASMailbox": [call("Set-CASMailbox", Identity=FAX, ImapEnabled=False, Confirm=False)],
    "Remove-ServicePrincipal": [call("Remove-ServicePrincipal", Identity=OBJECT, Confirm=False)],
    "Get-DistributionGroup": [call("Get-DistributionGroup", Identity="fax.scope"), call("Get-DistributionGroup")],
    "Get-DistributionGroupMember": [
        call("Get-DistributionGroupMember", Identity="fax.scope", ResultSize="Unlimited"),
        call("Get-DistributionGroupMember", Identity="none.such"),
    ],
    "New-ApplicationAccessPolicy": [
        call(
            "New-ApplicationAccessPolicy",
            AppId=[APP],
            PolicyScopeGroupId="fax.scope",
            AccessRight="RestrictAccess",
            Description="O'Brien \u201e\u00c4\u201c \u0441\u202e",
        ),
        call("New-ApplicationAccessPolicy", AppId=[APP], PolicyScopeGroupId=FAX, AccessRight="Sometimes"),
    ],
    "Get-ApplicationAccessPolicy": [call("Get-ApplicationAccessPolicy")],
    "Test-ApplicationAccessPolicy": [
        call("Test-ApplicationAccessPolicy", Identity=FAX, AppId=APP),
        call("Test-ApplicationAccessPolicy", Identity=ADELE, AppId=APP),
    ],
    "Set-ApplicationAccessPolicy": [
        call("Set-ApplicationAccessPolicy", Identity="{policy}", Description="Other words"),
    ],
    "Get-AcceptedDomain": [call("Get-AcceptedDomain")],
    "Get-CASMailbox": [call("Get-CASMailbox", Identity=FAX)],
    "Get-Mailbox": [call("Get-Mailbox"), call("Get-Mailbox", 2), call("Get-Mailbox", ResultSize=1)],
    "Get-Recipient": [call("Get-Recipient", Filter=f"EmailAddresses -eq '{FAX}'"), call("Get-Recipient", 0)],
    "Get-User": [call("Get-User", Identity=FAX)],
    "Get-RoleGroupMember": [call("Get-RoleGroupMember", Identity="Organization Management")],
    "Get-OrganizationConfig": [call("Get-OrganizationConfig")],
    "Set-OrganizationConfig": [
        call("Set-OrganizationConfig", EwsEnabled=True, EwsAllowedAppIDs=APP),
        call("Set-OrganizationConfig", EwsEnabled=True, EwsAllowedAppIDs=APP),
    ],
    "Remove-ApplicationAccessPolicy": [call("Remove-ApplicationAccessPolicy", Identity="{policy}", Confirm=False)],
    "Remove-DistributionGroupMember": [
        call(
            "Remove-DistributionGroupMember",
            Identity="fax.scope",
            Member=FAX,
            BypassSecurityGroupManagerCheck=True,
            Confirm=False,
        ),
    ],
    "Remove-DistributionGroup": [
        call("Remove-DistributionGroup", Identity="fax.scope", BypassSecurityGroupManagerCheck=True, Confirm=False),
        call("Remove-DistributionGroup", Identity="fax.scope", BypassSecurityGroupManagerCheck=True, Confirm=False),
    ],
}
"""What is asked of each cmdlet that writes or wants something special, in an order in which one builds on the other."""
ALIKE = {*sample(sorted(SAMPLES), 10, of="cmdlets")}


def fault(times: int, **effect: t.Any) -> Json:
    return {"match": {"host": EXCHANGE, "cmdlet": "Get-OrganizationConfig"}, "times": times, "effect": effect}


TROUBLE: dict[str, list[Json]] = {
    "busy for a while": [fault(2, status=429, headers={"Retry-After": "1"})],
    "busy for good": [fault(9, status=503)],
    "an empty answer": [fault(9, status=500, body="")],
    "a page": [fault(9, status=502, body="<html>Bad gateway</html>")],
    "refused": [fault(9, status=403, body="")],
    "signed out": [fault(9, status=401, body="")],
    "an error of another form": [fault(9, status=400, body={"error": {"code": "X", "message": "Something else."}})],
    "cut off": [fault(9, drop_before=True)],
    "cut off afterwards": [fault(9, drop_after=True)],
}
ODD: dict[str, Json] = {
    "a request that is none": {"do": "dance"},
    "a cmdlet that is not on the list": {"do": "run", "cmdlets": [call("Remove-Mailbox", Identity=FAX)]},
    "no cmdlet at all": {"do": "run", "cmdlets": []},
}


class Spoken:
    """One process on one host: what it is asked, and what it answered, in order."""

    def __init__(self, emulator: Emulator, name: str, operator: Json | None = None) -> None:
        operator = operator or OPERATOR
        self.emulator = emulator
        self.answers: Answers = []
        emulator.reset()
        connection = reached(emulator, name)
        settings = host.Settings.of({**connection, **OPERATOR}, emulator.env())
        self._process = host.Process(settings, Clock())
        self._process.open()
        self._connect: Json = {
            "do": "connect",
            "method": "access_token",
            "environment": "O365Default",
            "organization": DOMAIN,
            "access_token": emulator.token(
                TENANT_ID, operator["client_id"], operator["client_secret"], f"https://{EXCHANGE}"
            ),
        }

    def ask(self, about: str, request: Json) -> Json:
        (answer,) = self._process.ask([request])
        self.answers.append((about, answer))
        return answer

    def run(self, about: str, *calls: Json) -> None:
        policies = self.emulator.state(TENANT_ID)["applicationAccessPolicies"]
        named = {"{policy}": policies[0]["Identity"] if policies else "none"}
        asked = [
            {**one, "parameters": {key: named.get(str(value), value) for key, value in one["parameters"].items()}}
            for one in calls
        ]
        self.ask(about, {"do": "run", "cmdlets": asked})

    def whole(self) -> Answers:
        """Everything that the comparison asks."""
        self.ask("before it is connected", {"do": "run", "cmdlets": [call("Get-Mailbox")]})
        for method in ("no such way", "access_token"):
            self.ask(f"connect by {method}", {**self._connect, "method": method})
        for about, request in ODD.items():
            self.ask(about, request)
        for name in [*SAMPLES, *sorted(host_script.CMDLETS - set(SAMPLES))]:
            for number, one in enumerate(SAMPLES.get(name, [])):
                self.run(f"{name} {number}", one)
            # What holds for every cmdlet, those of tomorrow included: some by the commit, and whatever has no samples.
            if name in SAMPLES and name not in ALIKE:
                continue
            self.run(f"{name} with an unknown parameter", call(name, NoSuchParameter="x"))
            if name.startswith(("Get-", "Test-")):
                self.run(f"{name} alone", call(name))
                self.run(f"{name} of nobody", call(name, Identity="nobody.such"))
        self.run("several at once", call("Get-OrganizationConfig"), call("Get-Mailbox", Identity="none"), call("Nope"))
        for about, rules in TROUBLE.items():
            self.emulator.faults(rules)
            self.run(about, call("Get-OrganizationConfig"))
        self.emulator.faults([])
        self._process.close()
        return self.answers

    def little(self) -> Answers:
        """What somebody with fewer rights gets: the cmdlets that go beyond them are not there at all."""
        self.ask("connect as somebody else", self._connect)
        self.run("what somebody else may run", call("Get-OrganizationConfig"), call("Set-OrganizationConfig"))
        self._process.close()
        return self.answers


_VOLATILE = (
    (r"RequestId=[0-9a-f-]{36},TimeStamp=[^\]]*\]", "RequestId=<id>,TimeStamp=<moment>]"),
    (r"\d{4}-\d\d-\d\dT[0-9:.]+(Z|\+00:00)", "<moment>"),
    (r"S-1-5-21[-0-9]+", "<sid>"),
    (r'"SamAccountName": "[^"]*"', '"SamAccountName": "<name>"'),
)


def plain(answers: Answers) -> Answers:
    """Without what differs between two runs of one thing: ids (numbered within an answer), moments, and the host."""

    def one(answer: Json) -> Json:
        numbers: dict[str, str] = {}
        text = json.dumps({key: value for key, value in answer.items() if key != "host"}, ensure_ascii=False)
        for pattern, word in _VOLATILE:
            text = re.sub(pattern, word, text)
        return t.cast(
            "Json",
            json.loads(
                re.sub(
                    r"\b[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b|\b[0-9a-f]{32}\b",
                    lambda found: numbers.setdefault(found[0].lower(), f"<id {len(numbers)}>"),
                    text,
                )
            ),
        )

    return [(about, one(answer)) for about, answer in answers]


def differences(one: Answers, other: Answers) -> list[str]:
    """Where two lists of answers differ, in values, types, order, warnings or errors; types are JSON's."""
    pairs = zip(one, other, strict=True)
    return [f"{about}: {_told(a)} and {_told(b)}" for (about, a), (_same, b) in pairs if _told(a) != _told(b)]


def _told(answer: Json) -> str:
    # The text keeps apart what Python takes for equal: true and 1, 1 and 1.0, and the order of keys.
    return json.dumps(answer, ensure_ascii=False)


@pytest.fixture(scope="module")
def both() -> t.Iterator[dict[str, Answers]]:
    needs_powershell()
    tenants = t.cast("Json", yaml.safe_load(DEMO_TENANT.read_text(encoding="utf-8")))
    tenants["tenants"][0]["operators"].append(READER)
    tenants["tenants"][0]["dehydrated"] = True
    with testing.start_emulator({"windows_hosts": HOSTS, **tenants}) as emulator:
        yield {
            name: plain([*Spoken(emulator, name).whole(), *Spoken(emulator, name, READER).little()])
            for name in ("quick", "real")
        }


def test_both_processes_give_the_same_answers(both: dict[str, Answers]) -> None:
    assert differences(both["quick"], both["real"]) == []


def test_everything_on_the_list_is_asked_and_every_kind_of_outcome_seen(both: dict[str, Answers]) -> None:
    outputs = [(about, output) for about, answer in both["real"] for output in answer.get("outputs") or []]
    answered = {about.split()[0] for about, output in outputs if output["error"] is None}
    assert answered >= host_script.CMDLETS
    kinds = {output["error"]["chain"][0]["type"].rpartition(".")[2] for _about, output in outputs if output["error"]}
    assert kinds >= {"Exception", "ParameterBindingException", "CommandNotFoundException", "HttpRequestException"}
    assert any(output["warnings"] for _about, output in outputs)
    assert any(len(output["value"]) == 2 for about, output in outputs if about == "Get-Mailbox 1")


CHANGES: dict[str, t.Callable[[Json], object]] = {
    "a value": lambda output: output["value"][0].update(Alias="other"),
    "a type": lambda output: output["value"][0].update(IsDirSynced="False"),
    "a number for a truth": lambda output: output["value"][0].update(IsDirSynced=0),
    "a list of one for the one": lambda output: output["value"][0].update(Alias=[output["value"][0]["Alias"]]),
    "the order of properties": lambda output: output["value"].insert(0, dict(reversed(output["value"].pop(0).items()))),
    "the order of objects": lambda output: output["value"].reverse(),
    "an object less": lambda output: output["value"].pop(),
    "a warning": lambda output: output["warnings"].append("Another one."),
    "an error": lambda output: output.update(error={"chain": []}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_difference_made_on_purpose_is_found(both: dict[str, Answers], change: str) -> None:
    changed = copy.deepcopy(both["real"])
    (output,) = next(answer["outputs"] for about, answer in changed if about == "Get-Mailbox 0")
    CHANGES[change](output)
    assert [text.partition(":")[0] for text in differences(both["quick"], changed)] == ["Get-Mailbox 0"]


# --- what a cmdlet may give, and what else may be printed ---------------------------------------------------------

ODD_MODULE = r"""
function Connect-ExchangeOnline { param($AccessToken, $Organization, $ExchangeEnvironmentName, $CommandName,
    $ShowBanner, [switch] $SkipLoadingFormatData) }
function Get-ConnectionInformation { [pscustomobject] @{ TenantID = 'x' } }
function Disconnect-ExchangeOnline { [CmdletBinding(SupportsShouldProcess)] param() }
function Get-Mailbox { [CmdletBinding()] param($Identity) %s }
Export-ModuleMember -Function *
"""


def odd(tmp_path: pathlib.Path, body: str) -> tuple[Json, bytes]:
    """What the script answers, and everything it prints, when Get-Mailbox does ``body``."""
    needs_powershell()
    folder = tmp_path / "modules" / "ExchangeOnlineManagement"
    folder.mkdir(parents=True)
    (folder / "ExchangeOnlineManagement.psm1").write_text(ODD_MODULE % body, encoding="utf-8")
    nonce = host_script.nonce()
    asked = [
        {"sequence": 1, "do": "connect", "method": "access_token", "environment": "x", "organization": "y"},
        {"sequence": 2, "do": "run", "cmdlets": [call("Get-Mailbox"), call("Get-Mailbox", 2)]},
    ]
    stream = host_script.SCRIPT_BYTES + nonce.encode() + b"".join(map(host_script.frame, asked))
    surroundings = {
        "PATH": os.defpath,
        "HOME": str(tmp_path),
        "PSModulePath": str(tmp_path / "modules"),
        "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1",
        "POWERSHELL_TELEMETRY_OPTOUT": "1",
    }
    command = [str(powershell_process.executable()), *host_script.ARGUMENTS]
    ran = subprocess.run(command, input=stream, capture_output=True, env=surroundings, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    answers = host_answers.Answers(nonce)
    answers.feed(ran.stdout)
    assert answers.take(1)["error"] is None
    return t.cast("Json", answers.take(2)), ran.stdout


def test_nothing_among_the_objects_is_left_out(tmp_path: pathlib.Path) -> None:
    body = "$null; [pscustomobject] @{ Name = 'a' }; $null; [pscustomobject] @{ Name = 'b' }; $null"
    answer, _printed = odd(tmp_path, body)
    for output in answer["outputs"]:
        assert (output["value"], output["warnings"], output["error"]) == ([{"Name": "a"}, {"Name": "b"}], [], None)


def test_what_has_no_properties_is_no_object_and_is_told(tmp_path: pathlib.Path) -> None:
    body = (
        "'a text'; 42; 4.5; $true; [guid]::Empty; [datetime]::UtcNow; [System.DayOfWeek]::Monday; , @(1, 2); "
        "@{ Key = 'of a table' }; [pscustomobject] @{ Name = 'a'; Empty = $null; List = @($null, 'x') }"
    )
    answer, _printed = odd(tmp_path, body)
    first, limited = answer["outputs"]
    assert first["error"] is None
    assert first["value"] == [{"Key": "of a table"}, {"Name": "a", "Empty": None, "List": [None, "x"]}]
    kinds = [*("System.String", "System.Int32", "System.Double", "System.Boolean", "System.Guid", "System.DateTime")]
    kinds += ["System.DayOfWeek", "System.Object[]"]
    assert [warning.split()[3].rstrip(",") for warning in first["warnings"]] == kinds
    # They do not count towards a limit either.
    assert limited["value"] == first["value"]


FORGED = "`n@@mail2fax.m365 {0} 2 {1}@@`n{2}`n@@end@@`n"


@pytest.mark.turn("a real PowerShell")
@pytest.mark.parametrize(
    "forgery",
    [
        FORGED.format("0" * 32, 11, "{{}}") + "x",  # another length than it says
        FORGED.format("0" * 32, 15, '{{""outputs"": 1}}'.replace('""', '`"')),  # well formed, of another process
        FORGED.replace(" {0}", "").format("", 2, "{{}}"),  # as the marker was without its own part
    ],
    ids=["wrong length", "another process", "no mark"],
)
def test_what_looks_like_an_answer_is_none(tmp_path: pathlib.Path, forgery: str) -> None:
    text = forgery.replace("{{", "{").replace("}}", "}")
    body = f'[System.Console]::Out.Write("{text}"); [System.Console]::Out.Flush(); [pscustomobject] @{{ Name = 1 }}'
    answer, printed = odd(tmp_path, body)
    assert printed.count(b"@@mail2fax.m365") == 4
    assert [output["value"] for output in answer["outputs"]] == [[{"Name": 1}]] * 2


# --- the collection by way of a real PowerShell -------------------------------------------------------------------


@pytest.mark.turn("a real PowerShell")
def test_what_a_host_tells_is_true_of_it() -> None:
    needs_powershell()
    with start_emulator(transport="powershell") as emulator:
        result = run("windows_host_info", {"exchange": True, "megabytes": 1}, emulator)
    assert (result["outcome"], result["ready"]) == ("ok", True), result
    assert [check["holds"] for check in result["checks"]] == [True] * len(result["checks"])
    told = result["host"]
    version = subprocess.run(
        [str(powershell_process.executable()), "--version"], capture_output=True, text=True, check=True, timeout=60
    )
    assert version.stdout.split()[-1] == told["powershell"]
    assert told["computer"] == socket.gethostname()
    assert told["modules"] == ["3.9.2"]
    assert told["language_mode"] == "FullLanguage"
    # What another system than Windows does not have is unknown, not wrong.
    assert (told["user"], told["framework_release"]) == (None, None)


class Life(t.NamedTuple):
    runs: dict[str, fleet.Run]
    state: Json
    exposures: list[Json]


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Life:
    needs_powershell()
    place = fleet.places()[0]
    with start_emulator(fleet.tenants(), "powershell") as emulator:
        ways = {f"mail2fax_{name}": value for name, value in emulator.connection.items() if "password" not in name}
        site = fleet.Fleet(tmp_path_factory.mktemp("powershell"), emulator, variables=ways)
        environment = {"M365_WINRM_PASSWORD": PASSWORD}
        runs = {
            "first": site.play("mail2fax.m365.provision", env=environment),
            "second": site.play("mail2fax.m365.provision", env=environment),
            "audit": site.play("mail2fax.m365.audit", env=environment),
        }
        confirm = ("-e", '{"mail2fax_confirm": true}')
        runs["decommission"] = site.play("mail2fax.m365.decommission", *confirm, env=environment)
        emulator.clock(days=2)
        runs["after the tokens' life"] = site.play("mail2fax.m365.decommission", *confirm, env=environment)
        return Life(runs, emulator.state(place.id), emulator.exposures(declared=[place.fax]))


@pytest.mark.turn("whole playbooks")
def test_a_tenants_life_goes_through_a_real_powershell(life: Life) -> None:
    host = fleet.places()[0].host
    assert {name: ran.code for name, ran in life.runs.items()} == dict.fromkeys(life.runs, 0), "\n".join(
        ran.output for ran in life.runs.values() if ran.code
    )
    assert life.runs["first"].recap(host)["changed"] > 4
    assert life.runs["second"].recap(host)["changed"] == 0
    assert life.exposures == []
    assert life.state["applicationAccessPolicies"] == []
    assert [group["Name"] for group in life.state["groups"]] == []


WRITES = {
    "New-DistributionGroup": (
        "exchange_security_group",
        {"name": NAME, "alias": ALIAS, "members": [FAX], "owners": []},
    ),
    "Add-DistributionGroupMember": (
        "exchange_security_group",
        {"name": NAME, "alias": ALIAS, "members": [FAX, ADELE], "owners": []},
    ),
    "Set-DistributionGroup": (
        "exchange_security_group",
        {"name": "Another name", "alias": ALIAS, "members": [FAX, ADELE], "owners": []},
    ),
    "New-ApplicationAccessPolicy": (
        "exchange_application_access_policy",
        {"app_id": APP, "group": ALIAS, "description": "Only these"},
    ),
    "Set-OrganizationConfig": ("exchange_ews_access", {"app_id": APP, "on_unset": "enable"}),
}
"""Each cmdlet by which provisioning writes, with the task that gets there, in their order."""


@pytest.mark.turn("a real PowerShell")
@pytest.mark.parametrize("moment", sample(["drop_before", "drop_after"], 1, of="killed hosts"))
def test_a_process_killed_at_a_write_heals_with_one_more_run(moment: str) -> None:
    needs_powershell()
    chosen = sample(list(WRITES), 2, of="killed writes")
    with start_emulator(transport="powershell") as emulator:
        for cmdlet, (module, options) in WRITES.items():
            if cmdlet not in chosen:
                assert run(module, options, emulator)["outcome"] in ("ok", "changed", "pending")
                continue
            rule = {"match": {"host": EXCHANGE, "cmdlet": cmdlet}, "nth": 1, "effect": {moment: True, "kills": True}}
            emulator.faults([rule])
            killed = run(module, options, emulator)
            (seen,) = emulator.fault_rules()
            assert seen["seen"] >= 1, f"{module} does not run {cmdlet}"
            emulator.faults([])
            healed = run(module, options, emulator)
            assert not healed.get("failed"), (killed, healed)
            again = run(module, options, emulator)
            assert (again["changed"], again.get("failed")) == (False, None), again


# --- Windows PowerShell 5.1, which cannot run here ------------------------------------------------------------------


@pytest.fixture(scope="module")
def parsed() -> dict[str, list[str]]:
    """What 5.1 would not have, of the script, of the bootstrap and of each text that is to be refused."""
    needs_powershell()
    own = set(re.findall(r"^function ([A-Za-z-]+) \{$", host_script.SCRIPT, re.MULTILINE))
    sources = {"script": host_script.SCRIPT, "bootstrap": host_script.BOOTSTRAP, **{text: text for text in LATER}}
    found = windows_powershell.facts(str(powershell_process.executable()), list(sources.values()))
    return {name: windows_powershell.refusals(one, own) for name, one in zip(sources, found, strict=True)}


LATER = {
    "$a ? 1 : 2": "syntax",
    "Get-Module && Get-Module": "syntax",
    "Get-Module || Get-Module": "syntax",
    "$a ?? 1": "syntax",
    "$a ??= 1": "syntax",
    "${a}?.Name": "syntax",
    "${a}?[0]": "syntax",
    "Get-Module &": "syntax",
    "function f { clean { 1 } }": "syntax",
    '"`e[0m"': "escape",
    '"`u{1F4E0}"': "escape",
    "0b101": "number",
    "1uy": "number",
    "if ($IsWindows) { 1 }": "variable",
    "$PSStyle": "variable",
    "ConvertFrom-Json -AsHashtable -InputObject $x": "parameter",
    "ForEach-Object -Parallel { 1 }": "parameter",
    "Import-Module -SkipEditionCheck -Name x": "parameter",
    "Get-Error": "command",
    "Test-Json -Json $x": "command",
    "[System.Net.Http.SocketsHttpHandler] $x": "type",
    "New-Object -TypeName System.Text.Json.JsonDocument": "type",
    "[System.Convert]::ToHexString($b)": "member",
    "[System.Security.Cryptography.SHA256]::HashData($b)": "type",
    "$b.AsSpan()": "member",
    "function {": "it does not parse",
}
"""What came after 5.1 and .NET Framework 4.7.2, with the kind under which it is refused."""


@pytest.mark.parametrize("source", ["script", "bootstrap"])
def test_windows_powershell_has_all_that_is_sent(parsed: dict[str, list[str]], source: str) -> None:
    assert parsed[source] == []


@pytest.mark.parametrize("text", LATER)
def test_what_windows_powershell_does_not_have_is_refused(parsed: dict[str, list[str]], text: str) -> None:
    assert LATER[text] in {told.partition(":")[0] for told in parsed[text]}, parsed[text]
