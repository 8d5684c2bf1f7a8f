# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The proof: sign in as the application itself and really open each mailbox, those it may and those it must not.

A token that is issued proves nothing: it also comes without any consent. So it carries the role that the protocol
needs, where it needs one; it is always a new one (a role granted or revoked shows only in tokens made after that), and
every attempt to sign in is a new client, because MSAL replays refusals. The operator is asked one thing at most:
whether a key that Entra refuses is still on the application.
"""

from __future__ import annotations

import datetime as dt
import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils import _accesses, _names, _texts
from ansible_collections.mail2fax.m365.plugins.module_utils._accesses import Access
from ansible_collections.mail2fax.m365.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.mail2fax.m365.plugins.module_utils._auth import (
    CertificateSignIn,
    SecretSignIn,
    SignIn,
    Token,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._clients import CLIENTS
from ansible_collections.mail2fax.m365.plugins.module_utils._door import Door, Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import (
    Blocked,
    InvalidInput,
    M365Error,
    NoLongerWanted,
    SignInError,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Plan, ReadOnly
from ansible_collections.mail2fax.m365.plugins.module_utils._proofs import PROOFS
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import mailbox_probe_client
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.mailbox_probe_options import (
    asked_of,
    ews_in_force_by,
    in_force_by,
    latest,
    mailboxes,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.mailbox_probe_plan import plan
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.mailbox_probe_rounds import Rounds, Tokens
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.mailbox_probe_state import Desired, State
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.model import MODELS
from ansible_collections.mail2fax.m365.plugins.module_utils._store import STORE_OPTIONS, Store, StoredSecret
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant
from ansible_collections.mail2fax.m365.plugins.module_utils._time import instant

NEWBORN_FOR = dt.timedelta(minutes=10)
"""How long Entra may refuse a key that was made a moment ago, or still not show it."""

Secret = t.Callable[[], str]
"""Gives the application's secret when it is needed, and not before."""


class MailboxProbe(ReadOnly):
    """The resource behind ``mailbox_probe_info``.

    The secret comes from ``secret``, else from the task's service ``store``, else from the options.
    """

    def __init__(self, tenant: Tenant, task: Task, secret: Secret | None = None) -> None:
        params = task.params
        self._tenant = tenant
        self._check_mode = task.check_mode
        app_id = task.app_id()
        if not tenant.options.get("tenant"):
            raise InvalidInput("tenant is not set", cure="set tenant, or its environment variable M365_TENANT")
        if params["wait"] < 0:
            raise InvalidInput("wait is negative", cure="give a number of seconds")
        self._certificate: str | None = params.get("app_certificate_path")
        self._passphrase: str | None = params.get("app_certificate_passphrase")
        self._store: Store | None = task.services.get("store")
        self._secret = secret or self._secret_of(params)
        self._ways: dict[str, Access] = {}
        self._desired = self._wanted(params, app_id)

    def _wanted(self, params: t.Mapping[str, t.Any], app_id: str) -> Desired:
        accesses = _accesses.parse(params.get("accesses"), "accesses", models=MODELS, protocols=PROOFS)
        common: dict[str, t.Any] = {
            "app_id": app_id,
            "tenant": self._tenant.options["tenant"],
            **mailboxes(params),
            "wait_s": float(params["wait"]),
            "configuration_agrees": params["configuration_agrees"],
            "object_id": _names.guid(params["object_id"], "object_id") if params.get("object_id") else None,
            "client": params.get("client"),
        }
        if accesses is None:
            protocol, role = params["protocol"], params.get("role")
            kind = PROOFS[protocol]
            role = _names.name(role, "role", 250) if role else kind.needs_role
            permissions = (role,) if role else ()
            self._ways[protocol] = Access(protocol, protocol, _accesses.POLICY, permissions or ("Mail.Read",))
            return Desired(
                role=role,
                protocol=protocol,
                switched_off=kind.switched_off,
                service=kind.service,
                opened_by=kind.opened_by,
                ews_in_force_by=latest([ews_in_force_by(params), in_force_by(params)]),
                **common,
            )
        if not accesses:
            raise InvalidInput("accesses is empty", cure="list one access at least", options=("accesses",))
        for access in accesses:
            self._ways[access.id] = access
        send = bool(params.get("send")) and not self._check_mode
        asked = asked_of(accesses, in_force_by(params), ews_in_force_by(params), send=send)
        return Desired(role=None, accesses=asked, **common)

    def read(self) -> State:
        desired = self._desired
        if desired.app_id == _names.ZERO_GUID:
            return State(why_not="nothing to probe before the application exists")
        sign_in = self._sign_in()
        if sign_in is None:
            return State(why_not="nothing to probe before there is a secret")
        tokens = Tokens(
            lambda audience, roles: self._first_token(sign_in, audience, roles),
            lambda audience: self._another_token(sign_in, audience),
            self._tenant.clock,
        )
        return Rounds(self._tenant, desired, self._ways, tokens).look()

    def plan(self, current: State) -> Plan:
        planned = plan(current, self._desired, self._tenant.now())
        planned.result["tokens"] = [
            {"resource": resource, "minutes": minutes} for resource, minutes in sorted(current.lives.items())
        ]
        planned.result["token_length"] = mailbox_probe_client.longest(current)
        planned.warnings.extend(mailbox_probe_client.warnings(current, self._desired))
        return planned

    def _sign_in(self) -> SignIn | None:
        """How the application signs in; None in check mode when its secret is still to be made."""
        tenant, desired = self._tenant, self._desired
        if self._certificate:
            return CertificateSignIn(
                tenant.http,
                tenant.cloud,
                desired.tenant,
                desired.app_id,
                self._certificate,
                self._passphrase,
                prefix="app_",
            )
        if self._check_mode and self._store is not None and self._store.read() is None:
            return None
        return SecretSignIn(tenant.http, tenant.cloud, desired.tenant, desired.app_id, self._secret())

    def _first_token(self, sign_in: SignIn, audience: str, roles: t.Collection[str]) -> Token:
        """A new token, patiently: one that carries the roles if there is one, else the last without them."""
        tokens: list[Token] = []
        refusals: list[SignInError] = []
        refusals_told: list[SignInError] = []

        def works() -> bool:
            refusals.clear()
            try:
                tokens.append(sign_in.token(audience, fresh=True))
            except SignInError as exc:
                if exc.code not in _texts.NEWBORN_CREDENTIAL:
                    raise in_words(exc) from None
                if not refusals_told:
                    refusals_told.append(exc)
                    self._look_for_the_key(exc)
                refusals.append(exc)
                return False
            return tokens[-1].roles.issuperset(roles)

        if not self._tenant.patiently(works) and refusals:
            raise in_words(refusals[0])
        return tokens[-1]

    @staticmethod
    def _another_token(sign_in: SignIn, audience: str) -> Token:
        try:
            return sign_in.token(audience, fresh=True)
        except SignInError as exc:
            raise in_words(exc) from None

    def _look_for_the_key(self, refusal: SignInError) -> None:
        """Raises Blocked where the key in the store is not on the application any more: waiting brings it not back."""
        held = self._held()
        if held is None or refusal.code not in _texts.REFUSED_SECRET:
            return
        made = instant(held.start_date_time)
        if made is not None and self._tenant.now() - made < NEWBORN_FOR:
            return
        path = f"/applications(appId={_names.odata(self._desired.app_id)})?$select=passwordCredentials"
        try:
            document = self._tenant.graph.get(path, "look for the key on the application")
        except NoLongerWanted:
            raise
        except M365Error:
            return  # nobody knows; the refusal itself is told
        keys = {str(key.get("keyId") or "").lower() for key in document.get("passwordCredentials") or []}
        if held.key_id.lower() in keys:
            return
        raise Blocked(
            f"the secret in {self._store.describe() if self._store else 'the store'} was removed from the application "
            f"(key id {held.key_id})",
            attempted="sign in as the application",
            cure="make a new secret (the playbook rotate, or entra_application_secret with the same store)",
            code=refusal.code,
            details={"key_id": held.key_id, "removed": True},
        )

    def _held(self) -> StoredSecret | None:
        entry = self._store.read() if self._store is not None else None
        return entry.current if entry is not None else None

    def _secret_of(self, params: t.Mapping[str, t.Any]) -> Secret:
        if self._store is not None:
            store, app_id = self._store, _names.guid(params["app_id"], "app_id")
            return lambda: stored_secret(store, app_id)
        if params.get("store"):
            raise InvalidInput(
                "a secret store can be opened only where Ansible itself runs",
                cure="set ansible_connection: local for the tenant (or delegate_to: localhost), without async",
            )
        value = params.get("app_secret") or ""
        if not value and not self._certificate:
            raise InvalidInput(
                "it is not said how the application signs in",
                cure="give one of store, app_secret and app_certificate_path",
            )
        if _names.is_guid(value):
            raise InvalidInput(
                "app_secret has the shape of a GUID, so it is the secret's id and not its value",
                cure="give the secret's value, which was shown once when the secret was made",
            )
        return lambda: value


def open_with_secret(tenant: Tenant, task: Task, secret: Secret) -> MailboxProbe:
    """The resource with a secret from outside the options; ``secret`` is called when it is needed."""
    return MailboxProbe(tenant, task, secret)


def stored_secret(store: Store, app_id: str) -> str:
    """The value that the fax server reads. Raises Blocked when the store has none of this application."""
    entry = store.read()
    current = entry.current if entry is not None else None
    if current is None or not current.value:
        raise Blocked(
            f"{store.describe()} holds no secret",
            attempted="sign in as the application",
            cure="make the secret first (entra_application_secret with the same store)",
        )
    if current.client_id.lower() != app_id:
        raise Blocked(
            f"{store.describe()} holds the secret of another application ({current.client_id})",
            attempted="sign in as the application",
            cure="give every application a store path of its own",
        )
    return current.value


def in_words(refusal: SignInError) -> SignInError:
    """The same refusal, beginning with what it means."""
    meaning = (refusal.details or {}).get("meaning") if isinstance(refusal.details, dict) else None
    if meaning:
        refusal.message = f"{meaning} ({refusal.message})"
    return refusal


SPEC = ArgumentSpec(
    {
        "app_id": {"type": "str", "required": True},
        "app_secret": {"type": "str", "no_log": True},
        "app_certificate_path": {"type": "path"},
        "app_certificate_passphrase": {"type": "str", "no_log": True},
        "store": {"type": "dict", "options": STORE_OPTIONS},
        "protocol": {"type": "str", "default": "ews", "choices": sorted(PROOFS)},
        "role": {"type": "str"},
        "accesses": _accesses.OPTION,
        "object_id": {"type": "str"},
        "client": {"type": "str", "choices": sorted(CLIENTS)},
        "send": {"type": "bool", "default": False},
        "allowed": {"type": "list", "elements": "str", "default": []},
        "refused": {"type": "list", "elements": "str", "default": []},
        "wait": {"type": "int", "default": 0},
        "configuration_agrees": {"type": "bool", "default": True},
        "in_force_by": {"type": "list", "elements": "str", "default": []},
        "ews_in_force_by": {"type": "str"},
        "ews_changed_at": {"type": "str"},
    },
    mutually_exclusive=[
        ("app_secret", "app_certificate_path", "store"),
        ("ews_in_force_by", "ews_changed_at"),
    ],
    required_by={"app_certificate_passphrase": ("app_certificate_path",)},
)
# The operator's options are taken, because module_defaults of the action group sets them, and left alone.
DOOR = Door(MailboxProbe, SPEC)
