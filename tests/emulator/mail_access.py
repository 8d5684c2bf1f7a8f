# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who gets in over IMAP, POP and SMTP, and how far: by token, pointer, claim, role, right and switch.

IMAP and POP want the permission in the token and FullAccess for the pointer. SMTP looks at roles (RBAC for
Applications) where the token has no permission, and at FullAccess and SendAs, and at nothing else, where it has one.
"""

from __future__ import annotations

import base64
import binascii
import typing as t
from dataclasses import dataclass

from . import exchange_rbac, mailstore
from .entra import Entra
from .exchange_rbac import switch
from .hosts import mail_audience_fits
from .model import Document, Principal, Tenant, World

CLAIMS: t.Final = {"imap": "IMAP.AccessAsApp", "pop": "POP.AccessAsApp", "smtp": "SMTP.SendAsApp"}
_SWITCHES: t.Final = {"imap": "ImapEnabled", "pop": "PopEnabled"}


class Refused(Exception):
    """``key`` is the name of a reply among the protocol's texts."""

    def __init__(self, key: str = "failed") -> None:
        super().__init__(key)
        self.key = key


class Malformed(Exception):
    """What was sent is no XOAUTH2 string."""


@dataclass(frozen=True)
class Session:
    """Somebody who has signed in. ``connected``: whether the mailbox opens (SMTP: whether mail leaves it)."""

    world: World
    tenant: Tenant
    principal: Principal
    mailbox: Document
    pointer: Document
    connected: bool

    @property
    def claimed(self) -> bool:
        """SMTP: whether the permission is in the token, so that rights on mailboxes decide and roles do not."""
        return CLAIMS["smtp"] in self.principal.roles

    def sends_as(self, address: str) -> bool:
        """SMTP: whether a message from this address may leave."""
        own = {str(self.mailbox["PrimarySmtpAddress"]).lower(), str(self.mailbox.get("UserPrincipalName", "")).lower()}
        other = mailstore.mailbox_named(self.tenant, address, aliases=True)
        if address.lower() in own or (other is not None and other["Guid"] == self.mailbox["Guid"]):
            return True
        if other is None:
            return False
        if self.claimed:
            return "SendAs" in exchange_rbac.rights_of(
                self.tenant, other["Guid"], self.pointer["Sid"], world=self.world
            )
        return _in_role(self.world, self.tenant, self.principal, other)


def credentials(encoded: bytes) -> tuple[str, str]:
    """(user, token) of an XOAUTH2 string in base64. Raises Malformed."""
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        raise Malformed from None
    parts = dict(part.partition("=")[::2] for part in text.split("\1") if part)
    scheme, _space, token = parts.get("auth", "").partition(" ")
    if not parts.get("user") or scheme.lower() != "bearer" or not text.endswith("\1\1"):
        raise Malformed
    return parts["user"], token


def tenant_of(world: World, user: str) -> Tenant | None:
    """Whose domain the user's name has."""
    return world.tenant(user.rpartition("@")[2])


def sign_in(world: World, entra: Entra, protocol: str, host: str | None, user: str, token: str) -> Session:
    """Raises Refused. ``host`` None: the client came to a listener of this machine, which is every cloud's."""
    principal, _refusal = entra.bearer(token)
    if principal is None or not mail_audience_fits(principal.audience, host):
        raise Refused
    tenant = world.tenant(principal.tenant_id)
    if tenant is None or principal.object_id not in tenant.service_principals:
        raise Refused
    mailbox = mailstore.mailbox_named(tenant, user, aliases=bool(switch(tenant, "sign_in_by_alias")))
    if mailbox is None:
        raise Refused
    _switched_on(tenant, protocol, mailbox)
    pointer = exchange_rbac.pointer_by_object(tenant, principal.app_id, principal.object_id)
    if pointer is None:
        raise Refused
    claimed = CLAIMS[protocol] in principal.roles
    if not claimed and not (protocol == "smtp" and _in_role(world, tenant, principal, mailbox)):
        raise Refused
    # An application that signs in for SMTP by its role alone needs no right.
    opens = "FullAccess" in exchange_rbac.rights_of(tenant, mailbox["Guid"], pointer["Sid"], world=world) or not claimed
    connected = opens and mailstore.alive(mailbox)
    if not connected and (protocol == "pop" or (protocol == "imap" and switch(tenant, "imap_without_right") == "NO")):
        raise Refused("not_connected" if protocol == "pop" else "failed")
    return Session(world, tenant, principal, mailbox, pointer, connected)


def _switched_on(tenant: Tenant, protocol: str, mailbox: Document) -> None:
    if protocol == "smtp":
        off = mailbox.get("SmtpClientAuthenticationDisabled")
        if off or (off is None and _off_for_all(tenant)):
            raise Refused("off_mailbox" if off else "off_tenant")
    elif protocol == "imap" and str(mailbox.get("MailboxPlan") or "").startswith("ExchangeOnlineDeskless"):
        raise Refused  # licences of this kind have no IMAP
    elif mailbox.get(_SWITCHES[protocol]) is False:
        words = protocol == "imap" and switch(tenant, "imap_off") == "not_connected"
        raise Refused("not_connected_no" if words else "failed")


def _off_for_all(tenant: Tenant) -> bool:
    return bool((tenant.settings.get("transport_config") or {}).get("SmtpClientAuthenticationDisabled", True))


def _in_role(world: World, tenant: Tenant, principal: Principal, mailbox: Document) -> bool:
    return exchange_rbac.role_grants(world, tenant, principal.app_id, mailbox, CLAIMS["smtp"], in_force=True)
