# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What an auditor gets of one tenant: a fixed set of files, made of the results of one audit and of nothing else.

Each document names what it takes over, entry by entry, so that nothing a task should not have returned gets into it.
The same tenant gives the same files, but for times and request ids. Pure.
"""

from __future__ import annotations

import hashlib
import json
import typing as t
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import (
    evidence_answers,
    evidence_page,
    reach,
)
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.ours import known_id

Json = dict[str, t.Any]
Like = t.Mapping[str, t.Any]

SCHEMA = 1
SUMS = "MANIFEST.sha256"
FILES: t.Mapping[str, str] = {
    "index.html": "what is proven and what is not, in plain words",
    "application.json": "the application, whose it is, and what it may do",
    "audit.json": "the audit's own result, step by step",
    "credentials.json": "by which secrets and certificates it signs in, and until when; no value of any",
    "declared.json": "what the inventory declares",
    "people.json": "who could change it",
    "proofs.json": "each mailbox that was opened or refused: how, when, and by which request",
    "reach.csv": "which mailboxes can be opened by what, as a table",
    "reach.html": "the same as a page to search",
    "reach.json": "the same for machines",
    "record.json": "what the last run that changed something left on record",
    "versions.json": "which software this was made by",
}
"""Every pack has these, whatever could be read: a file that an earlier audit left is never taken for one of this."""

_TIMES = frozenset(
    {
        *("at", "since", "until", "seen_since", "compared_with", "changes", "days_left", "within_days", "minutes"),
        *("request_id", "verdict_request_ids", "reason", "summary", "warnings", "last_good_at", "sha256", "bytes"),
    }
)
_TIME_ENDINGS = ("_at", "_until", "_days_left")


@dataclass(frozen=True)
class File:
    """``content``: the text. ``lasting``: the same without times and request ids, None where it is no document."""

    name: str
    content: str
    lasting: str | None = None

    @property
    def data(self) -> bytes:
        return self.content.encode("utf-8", "surrogateescape")

    @classmethod
    def of(cls, name: str, text: str, lasting: str | None = None) -> File:
        """With one line break at its end, as whoever writes it makes one."""
        return cls(name, text.rstrip("\n") + "\n", lasting)


def pack(found: Like, about: Like) -> list[File]:
    """The files of a pack, in the order in which they are to be written: the sums that vouch for all others last.

    ``found`` has the registered results of the audit's steps by step, and ``credentials``. ``about`` has ``document``
    (the audit's), ``record`` (the last run's), ``report`` (of reach; empty where it could not be made), ``declared``
    (variables of the inventory by name), ``profile`` (resolved), ``versions``, ``zone``, ``prepared_by``, ``ticket``.
    """
    document: Json = dict(about["document"])
    results = {str(step): dict(result) for step, result in found.items() if isinstance(result, t.Mapping)}
    facts: Json = {
        "application.json": _application(results, document, about),
        "audit.json": {
            **document,
            "mailboxes": [
                {**row, "proofs": _ordered(row.get("proofs") or [], "access")}
                for row in _ordered(document["mailboxes"], "mailbox")
            ],
        },
        "credentials.json": _credentials(results, document),
        "declared.json": _declared(about, document),
        "people.json": _people(results, document, about.get("report") or {}),
        "proofs.json": _proofs(results, document),
        "reach.json": dict(about.get("report") or {}) or _no_report(document, about),
        "record.json": dict(about.get("record") or {}),
        "versions.json": dict(about.get("versions") or {}),
    }
    zone = str(about.get("zone") or "UTC")
    answers = evidence_answers.answers(facts, about)
    files = [_json(name, content) for name, content in facts.items()]
    report: Json = facts["reach.json"]
    files += [
        File.of("reach.csv", reach.table(report)),
        File.of("reach.html", reach.page(report, zone=zone)),
        File.of("index.html", evidence_page.page(facts, answers, FILES, about)),
    ]
    files.sort(key=lambda file: file.name)
    files.append(_manifest(files, document, about))
    sums = "".join(f"{hashlib.sha256(file.data).hexdigest()}  {file.name}\n" for file in files)
    return [*files, File(SUMS, sums)]


def _json(name: str, content: Json) -> File:
    return File(name, _text(content), _text(lasting(content)))


def _text(content: t.Any) -> str:
    return json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def lasting(value: t.Any) -> t.Any:
    """Without what differs from audit to audit although nothing happened, the order of lists among it."""
    if isinstance(value, t.Mapping):
        return {
            str(key): lasting(item)
            for key, item in value.items()
            if key not in _TIMES and not str(key).endswith(_TIME_ENDINGS)
        }
    return sorted(map(lasting, value), key=_text) if isinstance(value, list) else value


def _manifest(files: t.Iterable[File], document: Json, about: Like) -> File:
    listed = [
        {
            "name": file.name,
            "what": FILES[file.name],
            "bytes": len(file.data),
            "sha256": hashlib.sha256(file.data).hexdigest(),
            # By this two packs of one tenant are compared.
            "sha256_without_times": None
            if file.lasting is None
            else hashlib.sha256(file.lasting.encode("utf-8", "surrogateescape")).hexdigest(),
        }
        for file in files
    ]
    made = (about.get("versions") or {}).get("collection")
    content: Json = {
        "schema": SCHEMA,
        "host": document["host"],
        "tenant": document["tenant"],
        "application_id": document["ids"]["application_id"],
        "at": document["at"],
        "outcome": document["outcome"],
        "made_by": f"mail2fax.m365 {made}" if made else "mail2fax.m365",
        "prepared_by": about.get("prepared_by") or None,
        "ticket": about.get("ticket") or None,
        "files": listed,
    }
    return File("manifest.json", _text(content), None)


def _some(source: t.Any, *names: str) -> Json:
    """The named entries, null where there is none."""
    known: Like = source if isinstance(source, t.Mapping) else {}
    return {name: known.get(name) for name in names}


def _ordered(rows: t.Iterable[Json], *names: str) -> list[Json]:
    return sorted(rows, key=lambda row: tuple(str(row.get(name) or "").casefold() for name in names))


def _looked(results: Json) -> Json:
    """The application as the audit read it, with its service principal, credentials and grants; empty: not read."""
    listed = results.get("credentials", {}).get("applications") or []
    return dict(listed[0]) if len(listed) == 1 else {}


def _made(scope: Json) -> Json:
    """What is told of the group, unless it would only be made."""
    guid = known_id((scope.get("group") or {}).get("guid"))
    return scope if guid else {}


# --- the documents ---------------------------------------------------------------------------------------------


def _application(results: Json, document: Json, about: Like) -> Json:
    looked = _looked(results)
    principal = looked.get("service_principal") or {}
    consent = results.get("admin_consent", {})
    role = results.get("application_role", {})
    return {
        "tenant": document["tenant"],
        "looked_for": results.get("credentials", {}).get("applications") is not None,
        "found": bool(looked),
        "application": {
            **_some(looked, "app_id", "object_id", "display_name", "unique_name", "sign_in_audience"),
            **_some(looked, "created_date_time", "created_by_app_id", "notes", "tags", "redirect_uris"),
        },
        "service_principal": _some(principal, "id", "display_name", "enabled", "created_date_time", "tags"),
        "in_exchange": _some(results.get("service_principal", {}).get("service_principal"), "object_id", "sid"),
        "asks_for": _permissions(looked.get("permissions")),
        "granted": _permissions(looked.get("grants")),
        "declared": _permissions(about["profile"].get("permissions")),
        "beyond": _permissions(consent.get("foreign")) if consent else None,
        "roles": _ordered((_some(one, "name", "role", "scope") for one in role.get("assignments") or []), "name"),
        "roles_beyond": _ordered(
            (_some(one, "name", "role", "scope", "enabled") for one in role.get("other_assignments") or []), "name"
        ),
        "roles_in_token": sorted(results.get("mailbox_probe", {}).get("roles") or []),
        "ews": document.get("ews"),
        "calendar": document.get("calendar"),
        "mail_protocols": _some(results.get("mailbox_protocols"), "mailboxes", "organization"),
    }


def _permissions(listed: t.Any) -> list[Json] | None:
    if listed is None:
        return None
    rows = [
        {
            "resource": one.get("resource"),
            "application": sorted(one.get("application") or []),
            "delegated": sorted(one.get("delegated") or []),
            **({"users": len(one["users"])} if one.get("users") else {}),
        }
        for one in listed
    ]
    return _ordered((row for row in rows if any(row[key] for key in row if key != "resource")), "resource")


def _credentials(results: Json, document: Json) -> Json:
    names = ("kind", "of", "display_name", "key_id", "start_date_time", "end_date_time", "whose", "thumbprint")
    rows = [
        {**_some(row, *names), "days_left": row.get("days_left"), "outcome": row.get("outcome")}
        for row in document.get("credentials") or []
    ]
    looked = _looked(results)
    return {
        "credentials": _ordered(rows, "of", "kind", "start_date_time", "key_id"),
        "federated": _ordered(
            (
                _some(one, "id", "name", "issuer", "subject", "audiences")
                for one in looked.get("federated_credentials") or []
            ),
            "id",
        ),
        "in_use": _some(document.get("secret"), "key_id", "display_name", "end_date_time", "renew_from", "stored_in"),
        "policy": _some(
            results.get("preflight", {}).get("app_management_policy"),
            *("readable", "secrets_allowed", "max_lifetime_days"),
        ),
    }


def _declared(about: Like, document: Json) -> Json:
    profile = about["profile"]
    return {
        "host": document["host"],
        "tenant": document["tenant"],
        "profile": {
            **_some(profile, "name", "version", "status", "title", "checked"),
            "accesses": [
                {**_some(one, "id", "protocol", "scoping"), "permissions": sorted(one.get("permissions") or [])}
                for one in profile.get("accesses") or []
            ],
        },
        "permissions": _permissions(profile.get("permissions")) or [],
        "roles": sorted(profile.get("roles") or []),
        "mailboxes": {
            "open": sorted((row["mailbox"] for row in document["mailboxes"] if row["expected"] == "granted"), key=str),
            "shut": sorted((row["mailbox"] for row in document["mailboxes"] if row["expected"] != "granted"), key=str),
        },
        "variables": dict(sorted((about.get("declared") or {}).items())),
    }


def _people(results: Json, document: Json, report: Json) -> Json:
    looked, scope = _looked(results), _made(results.get("scope_group", {}))
    group = scope.get("group") or {}
    principal = looked.get("service_principal") or {}
    owner = ("id", "type", "display_name", "user_principal_name")
    ours: Like = next(
        (one for one in report.get("applications") or [] if one.get("app_id") == document["ids"]["application_id"]), {}
    )
    return {
        "owners_of_the_application": _ordered((_some(one, *owner) for one in looked.get("owners") or []), "id"),
        "owners_of_the_service_principal": _ordered(
            (_some(one, *owner) for one in principal.get("owners") or []), "id"
        ),
        "owners_of_the_group": sorted(map(str, group.get("owners") or [])),
        "members_of_the_group": sorted(map(str, scope.get("members") or [])),
        "others_on_the_group": scope.get("policies_of_others") or [],
        "could_widen_it": _ordered(
            (_some(one, "id", "name", "what") for one in ours.get("people") or []), "id", "what"
        ),
        "powers_of_its_own": _ordered(
            (_some(one, "permission", "what", "opens") for one in ours.get("powers") or []), "permission"
        ),
        "operator": {
            key: sorted(value) if isinstance(value, list) else value
            for key, value in _some(
                results.get("preflight", {}).get("operator"), "app_id", "roles", "exchange_roles", "directory_roles"
            ).items()
        },
        "made_by": document.get("made_by"),
        "accepted_to_sign_in": document.get("accepted"),
    }


def _proofs(results: Json, document: Json) -> Json:
    probed, asked = results.get("mailbox_probe", {}), results.get("access_verdict", {})
    names = ("mailbox", "access", "protocol", "expected", "verdict", "as_expected", "reason", "request_id", "at")
    rows = _ordered((_some(one, *names) for one in probed.get("probes") or []), "mailbox", "access")
    policy = results.get("access_policy", {}).get("policy")
    # One that would be made is no limit yet.
    policy = policy if policy and policy.get("identity") else None
    limits: Json = {
        "policy": _some(policy, "identity", "group", "group_name", "access_right", "description", "is_valid")
        if policy
        else None,
        "other_policies": results.get("access_policy", {}).get("other_policies") or [],
        "group": _some(
            _made(results.get("scope_group", {})).get("group"),
            "name",
            "alias",
            "address",
            "guid",
            "owners",
            "made_here",
        ),
        "scope": results.get("application_role", {}).get("scope"),
        "rights": _ordered(
            (
                _some(one, "mailbox", "guid", "full_access", "send_as")
                for one in results.get("mailbox_permission", {}).get("rights") or []
            ),
            "mailbox",
        ),
        "rights_elsewhere": results.get("mailbox_permission", {}).get("elsewhere") or [],
    }
    return {
        "opened": [row for row in rows if row["expected"] == "opened"],
        "refused": [row for row in rows if row["expected"] != "opened"],
        "by_access": _ordered(
            (
                _some(one, "access", "protocol", "opened", "refused", "signed_in", "remark")
                for one in probed.get("accesses") or []
            ),
            "access",
        ),
        "verdicts": _ordered(
            (
                _some(one, "mailbox", "expected", "verdict", "as_expected", "reason", "by", "at")
                for one in asked.get("verdicts") or []
            ),
            "mailbox",
        ),
        "verdict_request_ids": sorted(asked.get("request_ids") or []),
        "tokens": probed.get("tokens") or [],
        "limits": limits,
        "unprotected": document.get("unprotected"),
        "not_tried": None if rows else (probed.get("msg") or probed.get("summary") or "the proof was not reached"),
    }


def _no_report(document: Json, about: Like) -> Json:
    """Where reach could not be read, that is what the report says."""
    why = str(about.get("no_report") or "") or "reach was not read in this audit"
    return {
        "schema": reach.SCHEMA,
        "host": document["host"],
        "tenant": document["tenant"],
        "at": document["at"],
        "application_id": document["ids"]["application_id"],
        "display_name": document["application"]["display_name"],
        "declared": [row["mailbox"] for row in document["mailboxes"] if row["expected"] == "granted"],
        "tenant_wide": document.get("tenant_wide"),
        "all_applications": False,
        "missing": [why],
        "applications": [],
        "wider": {"mailboxes": [], "everything": False, "powers": []},
        "outcome": "failed",
        "changes": [],
        "compared_with": None,
    }
