# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Argument specifications that keep their constraints when they are put together."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass, field

from ansible.module_utils.errors import AnsibleFallbackNotFound

Spec = dict[str, dict[str, t.Any]]


@dataclass(frozen=True)
class ArgumentSpec:
    """Options with the constraints between them; ``merge`` joins two, ``kwargs`` is what AnsibleModule takes."""

    options: Spec = field(default_factory=dict)
    mutually_exclusive: t.Sequence[t.Sequence[str]] = ()
    required_together: t.Sequence[t.Sequence[str]] = ()
    required_one_of: t.Sequence[t.Sequence[str]] = ()
    required_if: t.Sequence[t.Any] = ()
    required_by: t.Mapping[str, t.Any] = field(default_factory=dict)

    def merge(self, other: ArgumentSpec) -> ArgumentSpec:
        return ArgumentSpec(
            {**self.options, **other.options},
            [*self.mutually_exclusive, *other.mutually_exclusive],
            [*self.required_together, *other.required_together],
            [*self.required_one_of, *other.required_one_of],
            [*self.required_if, *other.required_if],
            {**self.required_by, **other.required_by},
        )

    def kwargs(self) -> dict[str, t.Any]:
        return {
            "argument_spec": _copied(self.options),
            "mutually_exclusive": [list(group) for group in self.mutually_exclusive],
            "required_together": [list(group) for group in self.required_together],
            "required_one_of": [list(group) for group in self.required_one_of],
            "required_if": [list(rule) for rule in self.required_if],
            "required_by": dict(self.required_by),
        }


def _copied(value: t.Any) -> t.Any:
    """A copy of what a specification is made of, for Ansible to write into; a tenth of what copy.deepcopy takes."""
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copied(item) for item in value]
    return value


UNTOUCHED = "False"
"""What AWX makes of a box of a credential that nobody has ticked: it says no more than a field left empty."""

IN_A_FILE = "_FILE"
"""Ends the name of a variable that names a file with the value, so that a runner may show its environment."""

LONGEST_SECRET = 64 * 1024


def _from(variable: str, *, by_file: bool = False, **rest: t.Any) -> dict[str, t.Any]:
    if by_file or rest.get("no_log"):
        return {"fallback": (said, [variable, variable + IN_A_FILE]), **rest}
    return {"fallback": (said_path if rest["type"] == "path" else said, [variable]), **rest}


def said(*variables: str) -> str:
    """Ansible's ``env_fallback`` for the first of the variables that says something."""
    return _first(variables, path=False)


def said_path(*variables: str) -> str:
    """The same for the path of a file, which says nothing where there is nothing in the file."""
    return _first(variables, path=True)


def _first(variables: t.Sequence[str], *, path: bool) -> str:
    for variable in variables:
        found = outer(variable, os.environ, path=path)
        if found is not None:
            return found
    raise AnsibleFallbackNotFound


def outer(variable: str, environment: t.Mapping[str, str], *, path: bool = False) -> str | None:
    """What a variable of the environment says; None for nothing, as an untouched field of a credential leaves it.

    AWX makes a variable of every field: a blank one, ``False`` for a box, a file without anything in it for a file.
    ``path``: it names a file. The value of a variable that ends in ``_FILE`` is what the file holds.
    """
    value = environment.get(variable)
    if value is None or not value.strip() or value.strip() == UNTOUCHED:
        return None
    if variable.endswith(IN_A_FILE):
        return _content(value)
    return None if path and _is_empty(value) else value


def surroundings(environment: t.Mapping[str, str]) -> dict[str, str]:
    """What the environment says of the connection: by the name of the variable that stands for each option."""
    found: dict[str, str] = {}
    for option in CONNECTION.options.values():
        fallback, variables = option.get("fallback", (None, ()))
        for variable in variables:
            value = outer(variable, environment, path=fallback is said_path)
            if value is not None:
                found.setdefault(variables[0], value)
    return found


def _content(path: str) -> str | None:
    try:
        with open(os.path.expanduser(path), encoding="utf-8") as file:
            text = file.read(LONGEST_SECRET)
    except (OSError, ValueError):
        return None
    # The line break that ends a file belongs to the file.
    text = text.removesuffix("\n").removesuffix("\r")
    return text if text.strip() else None


def _is_empty(path: str) -> bool:
    """Whether a file is there, and has not as much as a letter and the end of a line in it."""
    # What is no plain file, such as a pipe, can be read once.
    place = os.path.expanduser(path)
    if not os.path.isfile(place):
        return False
    try:
        with open(place, "rb") as file:
            head = file.read(1024)
    except OSError:
        return False
    return len(head) < 2 or not head.strip()


NETWORK = ArgumentSpec(
    {
        "cloud": _from("M365_CLOUD", type="str", default="global", choices=["global", "gcc_high", "dod", "china"]),
        "timeout": _from("M365_TIMEOUT", type="int", default=30),
        "patience": _from("M365_PATIENCE", type="int", default=180),
        # Its address may hold a password.
        "proxy": _from("M365_PROXY", by_file=True, type="str"),
        "ca_path": _from("M365_CA_PATH", type="path"),
    }
)
"""How to reach the services; enough for a module that signs in as somebody else than the operator."""

WINDOWS_HOST = ArgumentSpec(
    {
        "winrm_host": _from("M365_WINRM_HOST", type="str"),
        "winrm_port": _from("M365_WINRM_PORT", type="int"),
        "winrm_scheme": _from("M365_WINRM_SCHEME", type="str", default="https", choices=["https", "http"]),
        "winrm_auth": _from(
            "M365_WINRM_AUTH",
            type="str",
            default="ntlm",
            choices=["ntlm", "kerberos", "credssp", "certificate", "basic"],
        ),
        "winrm_user": _from("M365_WINRM_USER", type="str"),
        "winrm_password": _from("M365_WINRM_PASSWORD", type="str", no_log=True),
        "winrm_certificate_path": _from("M365_WINRM_CERTIFICATE_PATH", type="path"),
        # a path, not a key
        "winrm_certificate_key_path": _from("M365_WINRM_CERTIFICATE_KEY_PATH", type="path", no_log=False),
        "winrm_ca_path": _from("M365_WINRM_CA_PATH", type="path"),
        "winrm_validate_certs": _from("M365_WINRM_VALIDATE_CERTS", type="bool", default=True),
        "winrm_proxy": _from("M365_WINRM_PROXY", by_file=True, type="str"),
        "winrm_operation_timeout": _from("M365_WINRM_OPERATION_TIMEOUT", type="int", default=20),
        "winrm_read_timeout": _from("M365_WINRM_READ_TIMEOUT", type="int", default=30),
        "winrm_deadline": _from("M365_WINRM_DEADLINE", type="int", default=900),
        "winrm_powershell": _from(
            "M365_WINRM_POWERSHELL", type="str", default="powershell", choices=["powershell", "pwsh"]
        ),
        "winrm_connect": _from(
            "M365_WINRM_CONNECT",
            type="str",
            default="access_token",
            choices=["access_token", "certificate_thumbprint", "managed_identity"],
        ),
        "winrm_certificate_thumbprint": _from("M365_WINRM_CERTIFICATE_THUMBPRINT", type="str"),
        "winrm_app_id": _from("M365_WINRM_APP_ID", type="str"),
        "winrm_managed_identity_id": _from("M365_WINRM_MANAGED_IDENTITY_ID", type="str"),
        "winrm_organization": _from("M365_WINRM_ORGANIZATION", type="str"),
    }
)
"""How to reach a Windows management host, and how that connects to Exchange."""

CONNECTION = NETWORK.merge(WINDOWS_HOST).merge(
    ArgumentSpec(
        {
            "tenant": _from("M365_TENANT", type="str"),
            "client_id": _from("M365_CLIENT_ID", type="str"),
            "client_secret": _from("M365_CLIENT_SECRET", type="str", no_log=True),
            "certificate_path": _from("M365_CERTIFICATE_PATH", type="path"),
            "certificate_passphrase": _from("M365_CERTIFICATE_PASSPHRASE", type="str", no_log=True),
            # a path, not a token
            "federated_token_path": _from("M365_FEDERATED_TOKEN_PATH", type="path", no_log=False),
            "managed_identity": _from("M365_MANAGED_IDENTITY", type="str"),
            "access_token": {
                "type": "dict",
                "no_log": True,
                "options": {
                    "graph": {"type": "str", "no_log": True},
                    "exchange": {"type": "str", "no_log": True},
                },
            },
            "exchange_transport": _from(
                "M365_EXCHANGE_TRANSPORT", type="str", default="rest", choices=["rest", "winrm"]
            ),
        }
    )
)
"""Who the operator is, in which tenant, over which network."""
