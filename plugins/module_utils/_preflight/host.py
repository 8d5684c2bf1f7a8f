# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The Windows management host that carries Exchange's cmdlets, where one does."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import HostNotReady
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.desired import Desired
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.finding import Finding, notes, stops
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant


@dataclass(frozen=True)
class Facts:
    """``about`` is what the host told about itself, ``unchecked`` whether its certificate is not looked at."""

    about: Json | None = None
    problem: HostNotReady | None = None
    name: str = ""
    unchecked: bool = False
    sends_password: bool = False


def take(tenant: Tenant, problem: HostNotReady | None) -> Facts:
    host = tenant.windows_host
    if host is None:
        return Facts(problem=problem)
    settings = tenant.host_settings()
    return Facts(
        about=host.host,
        problem=problem,
        name=settings.host,
        unchecked=settings.scheme == "https" and not settings.validate,
        sends_password=settings.auth == "basic",
    )


def judge(facts: Facts, desired: Desired) -> list[Finding]:
    findings = []
    what = "the Windows management host"
    if facts.problem is not None:
        told = stops if desired.wants_exchange else notes
        findings.append(told("host", what, facts.problem.message, facts.problem.cure, facts.problem.who))
    if facts.unchecked:
        found = f"the certificate of {facts.name} is not checked (winrm_validate_certs is false), so"
        found += (
            " another machine that answers in its place gets the user's password and the operator's token"
            if facts.sends_password
            else " another machine can answer in its place and get the operator's token"
        )
        findings.append(
            notes(
                "host",
                what,
                found,
                "name the CA that issued the certificate in winrm_ca_path and set winrm_validate_certs to true",
                option="winrm_validate_certs",
            )
        )
    return findings
