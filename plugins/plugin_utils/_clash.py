# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Whether two hosts of a run would meet: in one file, one place of a store, one application, one borrowed sign-in.

``claim`` is made for each host where its variables are rendered, ``clashes`` once for all of them. Pure, but for links
of the file system that are followed.
"""

from __future__ import annotations

import os
import posixpath
import typing as t
from collections import defaultdict

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _profile

Json = dict[str, t.Any]


def claim(said: t.Mapping[str, t.Any], *, file: str, store: t.Mapping[str, t.Any], recorded_tenant: str = "") -> Json:
    """What a host claims for itself, in plain types and without a secret.

    ``file`` is the path of its record, ``store`` the secret store with absolute paths, ``recorded_tenant`` the
    tenant's id if the record tells it.
    """
    application_id = said.get("mail2fax_application_id")
    unique_name = said.get("mail2fax_application_unique_name")
    return {
        "file": os.path.realpath(file).casefold(),
        "store": _place(store),
        # A domain is of one tenant only.
        "tenant": sorted(
            {
                str(said[name]).strip().lower()
                for name in ("mail2fax_tenant", "mail2fax_expected_domain")
                if said.get(name) is not None
            }
            | ({recorded_tenant.lower()} if recorded_tenant else set())
        ),
        "application": [f"id {str(application_id).strip().lower()}"]
        if application_id is not None
        else [f"name {str(unique_name).strip()}"]
        if unique_name is not None
        else [f"profile {str(said.get('mail2fax_profile') or 'imagicle_ews').strip()}"],
        "client_id": str(said.get("mail2fax_client_id") or "").strip().lower(),
        "borrows_a_secret": False,
    }


def _place(store: t.Mapping[str, t.Any]) -> list[str]:
    """Where the secret lies, so that two ways of writing one place are equal; empty where nothing is kept."""
    backend = str(store.get("backend") or "")

    def text(name: str, otherwise: str = "") -> str:
        return str(store.get(name) or otherwise).strip()

    if backend == "vault_file" and text("path"):
        return [backend, os.path.realpath(text("path"))]
    if backend == "hashi_vault" and text("path"):
        # The server drops doubled slashes and resolves dots.
        path = posixpath.normpath(f"/{text('path')}").strip("/")
        url, namespace = text("url").rstrip("/").lower(), text("namespace").strip("/")
        return [backend, url, namespace, text("mount", "secret").strip("/"), path]
    if backend == "azure_key_vault" and text("name"):
        return [backend, text("vault").lower(), text("name").lower()]
    return []


def clashes(claims: t.Mapping[str, t.Mapping[str, t.Any]]) -> dict[str, list[str]]:
    """Complaints by host, for those alone that have any."""
    found: dict[str, list[str]] = defaultdict(list)
    for kind, what, cure in (
        ("file", "one file for their results", "give each a handover_name or a mail2fax_handover_dir of its own"),
        ("store", "one place for their secrets", "give each a place of its own in mail2fax_secret_store"),
    ):
        shared: dict[str, list[str]] = defaultdict(list)
        for host, one in claims.items():
            if one[kind]:
                shared[repr(one[kind])].append(host)
        for hosts in shared.values():
            _tell(found, hosts, f"have {what}. What to do: {cure}.")
    _tell_applications(found, claims)
    ids = {one["client_id"] for one in claims.values() if one["borrows_a_secret"]}
    if len(ids) > 1:
        for host, one in claims.items():
            if one["borrows_a_secret"]:
                found[host].append(
                    "the hosts of this run name several mail2fax_client_id, and there is one secret or certificate "
                    "for all of them in the environment. What to do: set the secret or the certificate beside each id."
                )
    return dict(found)


def _tell_applications(found: dict[str, list[str]], claims: t.Mapping[str, t.Mapping[str, t.Any]]) -> None:
    by_tenant: dict[str, list[str]] = defaultdict(list)
    for host, one in claims.items():
        for tenant in one["tenant"]:
            by_tenant[tenant].append(host)
    told: set[frozenset[str]] = set()
    for hosts in by_tenant.values():
        by_application: dict[str, list[str]] = defaultdict(list)
        for host in hosts if len(hosts) > 1 else ():
            by_application[_application(claims[host]["application"][0])].append(host)
        for same in by_application.values():
            if len(same) > 1 and frozenset(same) not in told:
                told.add(frozenset(same))
                _tell(
                    found,
                    same,
                    "mean one application of one tenant. What to do: leave one of them, or give each a "
                    "mail2fax_application_unique_name of its own.",
                )


def _application(name: str) -> str:
    """A profile of the collection stands for the unique name that it knows."""
    kind, _blank, profile = name.partition(" ")
    if kind != "profile":
        return name
    try:
        return f"name {_profile.load(profile)['names']['unique_name']}"
    except (_profile.ProfileError, KeyError, TypeError):
        return name


def _tell(found: dict[str, list[str]], hosts: t.Sequence[str], what: str) -> None:
    if len(hosts) < 2:
        return
    for host in hosts:
        others = [other for other in hosts if other != host]
        named = ", ".join(others[:5]) + (f" and {len(others) - 5} more" if len(others) > 5 else "")
        found[host].append(f"{host} and {named} {what}")
