# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The hand-over sheet: one page of HTML for whoever sets the fax server up.

The page's template lies beside this file. It is compiled when this file is imported, so once for a run: a template task
would compile it anew for every tenant.
"""

from __future__ import annotations

import shlex
import typing as t
import zoneinfo
from pathlib import Path

import jinja2

from ansible_collections.mail2fax.m365.plugins.module_utils import _steps
from ansible_collections.mail2fax.m365.plugins.module_utils._clouds import CLOUDS
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _both, _client_words
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import ways
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.times import readable_time

Json = dict[str, t.Any]

OF_A_SHEET = frozenset({"errors", "handover"})
"""What of a profile nothing but a sheet needs."""

_MAIL = ("imap", "pop", "smtp")
"""Protocols whose client is told host, port, encryption, method and user name, each by itself."""

_environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent),
    undefined=jinja2.StrictUndefined,
    autoescape=True,
    trim_blocks=True,
)
_environment.filters["quote"] = shlex.quote
_environment.filters["readable_time"] = readable_time
_environment.filters["proofs_of"] = ways.proofs
_PAGE = _environment.get_template("sheet.html.j2")


def page(document: Json, profile: Json, **about: t.Any) -> str:
    """The page for whatever people said of ``about`` (see render). Raises ValueError with a sentence."""
    contacts = about.get("contacts")
    about = {
        **about,
        "client": str(about.get("client") or ""),
        "contacts": contacts if isinstance(contacts, dict) else {},
    }
    try:
        return render(document, profile, **about)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as exc:
        if document.get("stopped") and about["zone"] != "UTC":
            # What stopped a run is told, whatever else is wrong; it may be this.
            return page(document, profile, **{**about, "zone": "UTC"})
        raise ValueError(f"there is no time zone {about['zone']!r}; write it as Europe/Rome, or use UTC") from exc


def render(document: t.Mapping[str, t.Any], profile: t.Mapping[str, t.Any], **about: t.Any) -> str:
    """The page. ``document`` is a run's result (see _document), ``profile`` the vendor's, resolved (see _profile).

    ``about`` has ``host`` (the inventory's name of the tenant), ``cloud``, ``zone`` (IANA name of the time zone),
    ``contacts`` (whom to call, by ``fax``, ``entra`` and ``exchange``), ``prepared_by``, ``ticket`` and ``client``
    (the name of a mail client; may be empty, as the two before it).
    Raises ValueError or ZoneInfoNotFoundError for an unknown time zone.
    """
    profile, document, moving = _both.told(dict(profile), document)
    labels = {step.key: step.label for step in _steps.STEPS.values()}
    accesses = profile["accesses"]
    fax = [row["mailbox"] for row in document["mailboxes"] if row["expected"] == "granted"]
    return _PAGE.render(
        doc=document,
        moving=moving,
        worked=[_connection(row, about["cloud"], fax) for row in moving["before"]] if moving else [],
        profile=profile,
        steps_in_words=labels,
        fax_mailboxes=fax,
        values=_values(document, profile, about["cloud"]),
        connections=[_connection(row, about["cloud"], fax) for row in profile["connection"]],
        errors=[error for error in profile["errors"] if _in_use(error, profile)],
        called=ways.labels(accesses),
        # What one policy limits for one access is told by the verdicts below it, as ever.
        limits=[] if _is_first(accesses) else ways.limits(profile, document["group"], document.get("tenant_wide")),
        unrefused=ways.unrefused(document, accesses),
        hints=_hints(str(about.get("client") or ""), profile, fax),
        seen=ways.seen,
        # What somebody has accepted is told with what limits the application.
        unsafe=document["unprotected"] != "none" and not document.get("tenant_wide"),
        by_role=[access for access in accesses if access["scoping"] == "application_role"],
        switched=[ways.called(protocol) for protocol in profile["switches"]],
        has_group=not {"application_access_policy", "application_role"}.isdisjoint(profile["models"]),
        **about,
    )


def _is_first(accesses: t.Sequence[t.Mapping[str, t.Any]]) -> bool:
    return len(accesses) == 1 and accesses[0]["scoping"] == "application_access_policy"


def _in_use(error: t.Mapping[str, t.Any], profile: t.Mapping[str, t.Any]) -> bool:
    """Whether an error can be seen with the models that are in use."""
    those = [access for access in profile["accesses"] if error.get("access") in ("", None, access["id"])]
    return not error.get("scoping") or any(access["scoping"] in error["scoping"] for access in those)


def _hints(client: str, profile: t.Mapping[str, t.Any], fax: t.Sequence[str]) -> Json | None:
    """What is known of the program that speaks for the fax server; None where nobody named one that is known."""
    if not client or client not in _client_words.words():
        return None
    said = _client_words.hints(client, profile["accesses"], fax)
    return {"title": _client_words.words()[client].title, "said": said} if said else None


def _connection(row: t.Mapping[str, t.Any], cloud: str, fax: t.Sequence[str]) -> Json:
    """One way in as it is typed: a client of mail is told the user's name, which is the mailbox."""
    mail = row["protocol"] in _MAIL
    return {
        **row,
        "host": row["hosts"].get(cloud, ""),
        "mail": mail,
        "user": (fax[0] if len(fax) == 1 else "the mailbox's address") if mail else "",
    }


def _values(
    document: t.Mapping[str, t.Any], profile: t.Mapping[str, t.Any], cloud: str
) -> dict[tuple[str, str], t.Any]:
    """(value of a field, access that it is about) -> what is typed into it; None where it is not known yet."""
    tenant = document["tenant"]["id"]
    found: dict[tuple[str, str], t.Any] = {
        ("application_id", ""): document["ids"]["application_id"],
        ("tenant_id", ""): tenant,
    }
    for row in profile["connection"]:
        access, host = row["access"], row["hosts"].get(cloud, "")
        audience = CLOUDS[cloud].graph_audience if row["protocol"] == "graph" else CLOUDS[cloud].exchange_audience
        found |= {
            ("token_endpoint", access): tenant and f"https://{CLOUDS[cloud].login}/{tenant}/oauth2/v2.0/token",
            ("token_scope", access): f"{audience}/.default",
            ("endpoint", access): host and f"https://{host}{row['path']}",
        }
    return found
