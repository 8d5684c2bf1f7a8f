# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Exchange admin REST: who may call, ``InvokeCommand``, its ``$batch``, pages, shapes of answers and errors."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hashlib
import importlib
import json
import re
import typing as t
import urllib.parse
import uuid
import zlib

from .exchange_cmdlets import CMDLETS, ORGANIZATION, RECIPIENTS, ROLE_MANAGEMENT, VIEW, Cmdlet, CmdletError, invoke
from .exchange_directory import TEXTS, ews_gate, member_addresses, new_group, new_mailbox, new_policy, policy_verdict
from .model import Answer, Document, Principal, Tenant, World

importlib.import_module(".exchange_rbac_cmdlets", __package__)  # registers its cmdlets
importlib.import_module(".exchange_role_groups", __package__)

__all__ = [
    "cmdlet_of",
    "ews_gate",
    "handle",
    "is_exchange_audience",
    "member_addresses",
    "new_group",
    "new_mailbox",
    "new_policy",
    "policy_verdict",
    "refusal_text",
]

API: t.Final = TEXTS["adminapi"]
# Directory role -> what Exchange's own roles it brings: (role, reads only)
_EVERYTHING: t.Final = {RECIPIENTS: False, ORGANIZATION: False, VIEW: False, ROLE_MANAGEMENT: False}
DIRECTORY_ROLES: t.Final[dict[str, dict[str, bool]]] = {
    "62e90394-69f5-4237-9190-012177145e10": _EVERYTHING,  # Global Administrator
    "29232cdf-9323-42fd-ade2-1d097af3e4de": _EVERYTHING,  # Exchange Administrator
    "31392ffb-586c-42d1-9346-e59415a2cc4e": {RECIPIENTS: False},  # Exchange Recipient Administrator
    "f2ef992c-3afb-46b9-b7cf-a126ee74c451": dict.fromkeys(_EVERYTHING, True),  # Global Reader
}
# What the Mail Recipients role may read of the organization, because recipients cannot be made without it.
_ALSO_FOR_RECIPIENTS: t.Final = frozenset({"Get-AcceptedDomain", "Get-OrganizationConfig"})
AUDIENCES: t.Final = frozenset(
    {
        *("outlook.office365.com", "outlook.office.com", "outlook.office365.us", "outlook-dod.office365.us"),
        *("webmail.apps.mil", "partner.outlook.cn", "outlook.office365.cn", "outlook.office.de"),
        "00000002-0000-0ff1-ce00-000000000000",
    }
)

_PATH = re.compile(r"/adminapi/(?P<version>[^/]+)/(?P<tenant>[^/]+)/(?P<verb>[^/(]+)(?P<argument>\([^/]*\))?/?", re.I)

OnPart = t.Callable[[str, int, str], None]  # cmdlet, status, id of the part
PartFault = t.Callable[[str], "Answer | None"]  # cmdlet -> what is answered in its stead
PartWorld = t.Callable[[str], "World | None"]  # cmdlet -> what it sees instead of the world as it is


def handle(
    world: World,
    principal: Principal | None,
    refusal: str | None,
    method: str,
    path: str,
    query: dict[str, str],
    headers: dict[str, str],
    body: Document | None,
    *,
    on_part: OnPart = lambda cmdlet, status, part_id: None,
    part_fault: PartFault = lambda cmdlet: None,
    part_world: PartWorld = lambda cmdlet: None,
) -> Answer:
    """Answer a request under ``/adminapi/``.

    ``principal`` is None when no token was shown or it was refused, with ``refusal`` one of ``model.REFUSALS``. Header
    names are in lower case. ``on_part`` is told of every part of a batch; ``part_fault`` may answer in its stead, and
    after that ``part_world`` may give it an older world to look at.
    """
    match = _PATH.fullmatch(urllib.parse.unquote(path))
    if match is None:
        return Answer(API["not_found"]["status"])
    version, verb = match["version"].lower(), match["verb"].lower()
    if (verb == "invokecommand" or verb == "$batch") and version != "beta":
        return Answer(API["wrong_version"]["status"], headers={"Allow": "GET"})
    if verb not in ("invokecommand", "$batch", "exomodulefile", "exobanner"):
        return Answer(API["not_found"]["status"])
    wanted_method = "GET" if verb.startswith("exo") else "POST"
    if method.upper() != wanted_method:
        return Answer(API["wrong_method"]["status"], headers={"Allow": wanted_method})
    tenant = world.tenant(match["tenant"])
    if tenant is None:
        return Answer(API["tenant_unknown"]["status"])
    refused = _refused(tenant, principal, refusal)
    if refused is not None or principal is None:
        return refused or Answer(API["token_refused"]["status"])
    if world.dice.random() < world.profile.throttle_probability:
        throttled = world.dice.choice(API["throttled"])
        return Answer(throttled["status"], throttled["text"].encode(), dict(throttled["headers"]))
    if verb == "exomodulefile":
        return _module_file(tenant, principal)
    if verb == "exobanner":
        return Answer(200, {"@odata.context": _context(tenant), "value": []}, _headers(world))
    if not isinstance(body, dict):
        return _plain_error(world, "body_unreadable")
    if verb == "$batch":
        return _batch(world, tenant, principal, headers, body, on_part, part_fault, part_world)
    url = f"https://{headers.get('host', 'outlook.office365.com')}{path}"
    return _invoke(world, tenant, principal, url, query, headers, body)


def cmdlet_of(body: t.Any) -> str | None:
    """The cmdlet that an InvokeCommand body names, None for anything else."""
    given = body.get("CmdletInput") if isinstance(body, dict) else None
    name = given.get("CmdletName") if isinstance(given, dict) else None
    return name if isinstance(name, str) else None


def is_exchange_audience(audience: str) -> bool:
    """Whether a token for ``audience`` (resource address with or without slash, host, or GUID) is one for Exchange."""
    host = audience.lower().removeprefix("https://").rstrip("/")
    return host.partition(":")[0] in AUDIENCES


# ---- who may call ---------------------------------------------------------------------------------------------------


def _refused(tenant: Tenant, principal: Principal | None, refusal: str | None) -> Answer | None:
    if principal is not None and not is_exchange_audience(principal.audience):
        refusal = "audience"
    elif principal is not None and principal.tenant_id.lower() != tenant.id.lower():
        return _foreign_tenant()
    elif principal is not None:
        return _without_role(principal)
    challenge = API["token_refused"]["challenge"].format(reason=refusal_text(refusal))
    return Answer(API["token_refused"]["status"], headers={"WWW-Authenticate": challenge})


def refusal_text(refusal: str | None) -> str:
    """Why a token was refused (one of ``model.REFUSALS``, None for no token), in the service's words."""
    return str(API["refusals"][refusal or "empty"])


def _foreign_tenant() -> Answer:
    refusal = API["foreign_tenant"]
    return Answer(refusal["status"], {"error": {"code": refusal["code"], "message": refusal["text"]}})


def _without_role(principal: Principal) -> Answer | None:
    if "Exchange.ManageAsApp" not in principal.roles:
        missing = API["app_role_missing"]
        return Answer(missing["status"], headers={"WWW-Authenticate": missing["challenge"]})
    if not any(role in DIRECTORY_ROLES for role in principal.wids):
        missing = API["directory_role_missing"]
        message = missing["text"].format(app_id=principal.app_id)
        return Answer(missing["status"], {"error": {"code": missing["code"], "message": message}})
    return None


def _may(principal: Principal, cmdlet: Cmdlet) -> bool:
    for directory_role in principal.wids:
        for role, reads_only in DIRECTORY_ROLES.get(directory_role, {}).items():
            named = role == cmdlet.role or (role == RECIPIENTS and cmdlet.name in _ALSO_FOR_RECIPIENTS)
            if named and not (reads_only and cmdlet.writes):
                return True
    return False


# ---- one cmdlet -----------------------------------------------------------------------------------------------------


def _invoke(
    world: World,
    tenant: Tenant,
    principal: Principal,
    url: str,
    query: dict[str, str],
    headers: dict[str, str],
    body: Document,
) -> Answer:
    name = cmdlet_of(body)
    parameters = body["CmdletInput"].get("Parameters") or {} if name else {}
    if name is None or not isinstance(parameters, dict):
        return _plain_error(world, "body_unreadable")
    cmdlet = CMDLETS.get(name.lower())
    if cmdlet is None or not _may(principal, cmdlet):
        unknown = API["cmdlet_unknown"]
        return Answer(unknown["status"], b"\0" * unknown["nul_bytes"], dict(unknown["headers"]))
    if world.dice.random() < world.profile.exchange_transient_probability:
        hiccup = world.dice.choice(TEXTS["transient"])
        return _error(world, 400, "BadRequest", "Context", hiccup["type"], hiccup["text"], [])
    try:
        output, warnings, confirmation = invoke(world, tenant, cmdlet, parameters)
    except CmdletError as error:
        return _error(world, error.status, error.code, error.details, error.type, error.text, [])
    try:
        page, following = _page(output, body, query, headers)
    except ValueError:
        return _plain_error(world, "page_refused")
    answer: Document = {
        "@odata.context": _context(tenant),
        "adminapi.warnings@odata.type": "#Collection(String)",
        "@adminapi.warnings": warnings,
    }
    if confirmation:
        answer["@adminapi.confirmationmessage"] = confirmation
    selected = {key.strip().lower() for key in query.get("$select", "").split(",") if key.strip()}
    answer["value"] = [_annotated(document, selected) for document in page]
    if following:
        # The query of the first request stays in the link; the body has to be sent again.
        parts = {**query, "$skiptoken": following}
        answer["@odata.nextLink"] = f"{url.partition('?')[0]}?{urllib.parse.urlencode(parts, safe='$,')}"
    return Answer(200, answer, _headers(world, headers))


def _annotated(document: Document, selected: set[str]) -> Document:
    """A row with the type annotations that the service puts before its values."""
    types, row = TEXTS["properties"], {}
    for key, value in document.items():
        if selected and key.lower() not in selected:
            continue
        if isinstance(value, list):
            row[f"{key}@odata.type"] = "#Collection(String)"
        elif key in types["guids"] and value:
            row[f"{key}@data.type"] = "System.Guid"
            row[f"{key}@odata.type"] = "#Guid"
        elif key in types["dates"] and value:
            row[f"{key}@data.type"] = "System.DateTime"
        row[key] = value
    return row


def _page(
    output: list[Document], body: Document, query: dict[str, str], headers: dict[str, str]
) -> tuple[list[Document], str | None]:
    """This page's rows and the token of the next page. Raises ValueError on a token that is not this request's."""
    size = int(API["page_size"])
    asked = re.search(r"odata\.maxpagesize=(\d+)", f"{headers.get('prefer', '')};{headers.get('x-prefer', '')}", re.I)
    if asked and int(asked[1]) > 0:
        size = min(size, int(asked[1]))
    request = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]
    start = 0
    if "$skiptoken" in query:
        try:
            same, number = base64.urlsafe_b64decode(query["$skiptoken"]).decode("ascii").split(":")
            start = int(number)
        except (binascii.Error, UnicodeError, ValueError):
            raise ValueError("not a token") from None
        if same != request:
            raise ValueError("another request's token")
    end = start + size
    token = base64.urlsafe_b64encode(f"{request}:{end}".encode()).decode() if end < len(output) else None
    return output[start:end], token


# ---- a batch --------------------------------------------------------------------------------------------------------


def _batch(
    world: World,
    tenant: Tenant,
    principal: Principal,
    headers: dict[str, str],
    body: Document,
    on_part: OnPart,
    part_fault: PartFault,
    part_world: PartWorld,
) -> Answer:
    """200 whatever its parts say. Parts run in the order given; in a storm their answers come in any order."""
    parts = body.get("requests")
    if not isinstance(parts, list) or not all(isinstance(part, dict) and "id" in part for part in parts):
        return _plain_error(world, "body_unreadable")
    if len(parts) > API["batch_limit"]:
        return _plain_error(world, "batch_too_large", count=len(parts), limit=API["batch_limit"])
    responses = []
    for part in parts:
        cmdlet = cmdlet_of(part.get("body")) or ""
        answer = part_fault(cmdlet)
        if answer is None:
            seen = part_world(cmdlet) or world
            answer = _part(seen, seen.tenant(tenant.id) or tenant, principal, headers, part)
        on_part(cmdlet, answer.status, str(part["id"]))
        content = answer.body
        if isinstance(content, bytes):
            content = content.decode("latin-1")
        response = {"id": part["id"], "status": answer.status, "headers": answer.headers}
        responses.append(response if content is None else {**response, "body": content})
    if world.profile.name == "storm":
        world.dice.shuffle(responses)
    return Answer(200, {"responses": responses}, _headers(world, headers))


def _part(world: World, tenant: Tenant, principal: Principal, outer: dict[str, str], part: dict[str, t.Any]) -> Answer:
    address = urllib.parse.urlsplit(str(part.get("url", "")))
    match = _PATH.fullmatch(urllib.parse.unquote(address.path if address.path.startswith("/") else f"/{address.path}"))
    fits = match is not None and match["verb"].lower() == "invokecommand" and match["version"].lower() == "beta"
    if match is None or not fits or str(part.get("method", "")).upper() != "POST":
        return _plain_error(world, "batch_url", url=part.get("url", ""))
    if world.tenant(match["tenant"]) is not tenant:
        return _foreign_tenant()
    body = part.get("body")
    if not isinstance(body, dict):
        return _plain_error(world, "body_unreadable")
    own = {str(key).lower(): str(value) for key, value in (part.get("headers") or {}).items()}
    headers = {"host": outer.get("host", "outlook.office365.com"), "prefer": outer.get("prefer", ""), **own}
    query = dict(urllib.parse.parse_qsl(address.query))
    url = f"https://{address.netloc or headers['host']}{address.path}"
    return _invoke(world, tenant, principal, url, query, headers, body)


# ---- shapes ---------------------------------------------------------------------------------------------------------


def _context(tenant: Tenant) -> str:
    return str(API["context"].format(tenant=tenant.id))


def _headers(world: World, request: dict[str, str] | None = None) -> dict[str, str]:
    reset = world.clock.now() + dt.timedelta(minutes=5)
    headers = {**API["headers"], "request-id": str(uuid.uuid4()), "Rate-Limit-Reset": reset.isoformat()}
    asked = (request or {}).get("prefer")
    return {**headers, "Preference-Applied": asked} if asked else headers


def _error(
    world: World, status: int, code: str, details: str, exception: str, text: str, warnings: list[str]
) -> Answer:
    service, inner = API["service_exception"], API["invoke_exception"]["type"]
    number = f"Ex{zlib.crc32(exception.encode()) & 0xFFFFFF:06X}"
    body = {
        "error": {
            "code": code,
            "message": service["message"],
            "details": [{"code": details, "target": "", "message": f"{number}|{exception}|{text}"}],
            "innererror": {
                "message": service["message"],
                "type": service["type"],
                "stacktrace": API["stacktrace"],
                "internalexception": {
                    "message": API["invoke_message"].format(type=inner),
                    "type": inner,
                    "stacktrace": API["stacktrace"],
                },
            },
        },
        "adminapi.warnings@odata.type": "#Collection(String)",
        "@adminapi.warnings": warnings,
    }
    return Answer(status, body, _headers(world))


def _plain_error(world: World, key: str, **values: t.Any) -> Answer:
    entry = API[key]
    return Answer(
        entry["status"], {"error": {"code": entry["code"], "message": entry["text"].format(**values)}}, _headers(world)
    )


_MODULE_HEAD = "param($Run)"


def _function(cmdlet: Cmdlet) -> str:
    """A cmdlet as the function that PowerShell's module makes of it, with the parameters that it takes there."""
    shown = [
        f"{'[Parameter(Mandatory = $true)] ' * parameter.required}{'[switch] ' * parameter.switch}${name}"
        for name, parameter in cmdlet.parameters.items()
    ]
    binding = "SupportsShouldProcess = $true, ConfirmImpact = 'None'" if cmdlet.writes else ""
    call = f"& $Run -CmdletName '{cmdlet.name}' -BoundParameters $PSBoundParameters"
    return f"function {cmdlet.name} {{ [CmdletBinding({binding})] param({', '.join(shown)}) {call} }}"


def _module_file(tenant: Tenant, principal: Principal) -> Answer:
    """What the PowerShell module asks first: the cmdlets that this caller may run."""
    allowed = sorted(cmdlet.name for cmdlet in CMDLETS.values() if _may(principal, cmdlet))
    module = API["module_files"]
    text = "\n".join([_MODULE_HEAD, *(_function(CMDLETS[name.lower()]) for name in allowed), ""])
    row = {
        "name": module["name"],
        "version": module["version"],
        "exportedCmdlets": ",".join(allowed),
        "tenantId": tenant.id,
        "content": base64.b64encode(text.encode()).decode(),
    }
    return Answer(200, {"@odata.context": _context(tenant), "value": [row]})
