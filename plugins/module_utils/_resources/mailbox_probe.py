# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The proof: sign in as the application itself and really open each mailbox, those it may and those it must not.

A token that is issued proves nothing: it also comes without any consent. So the token has to carry the role, it is
always a new one (a role granted or revoked shows only in tokens made after that), and every attempt to sign in is a
new client, because MSAL replays refusals. The operator's credentials are not used here.
"""

from __future__ import annotations

import datetime as dt
import typing as t
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils import _ews, _names, _texts
from ansible_collections.mail2fax.m365.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.mail2fax.m365.plugins.module_utils._auth import (
    CertificateSignIn,
    SecretSignIn,
    SignIn,
    Token,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._door import Door, Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import (
    Blocked,
    InvalidInput,
    ServiceError,
    SignInError,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json, Plan
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import NamedStep as Step
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.ews_access import IN_FORCE_AFTER
from ansible_collections.mail2fax.m365.plugins.module_utils._store import STORE_OPTIONS, Store, instant, iso
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant

POLICY_IN_FORCE_AFTER = dt.timedelta(minutes=60)
"""How long Exchange may go on obeying the policies of before; Microsoft says more than 30 minutes."""

TOKEN_GOOD_FOR_S = 300.0
OPENED = "opened"
REFUSED = "refused"
_REFUSALS = frozenset({_ews.DENIED_BY_POLICY, _ews.IMPERSONATION_REFUSED})

Secret = t.Callable[[], str]
"""Gives the application's secret when it is needed, and not before."""


@dataclass(frozen=True)
class Desired:
    """``allowed`` have to open, ``refused`` must not. ``ews_in_force_by``: when an EWS change is in force at last."""

    app_id: str
    tenant: str
    role: str
    allowed: tuple[str, ...]
    refused: tuple[str, ...]
    wait_s: float = 0.0
    configuration_agrees: bool = True
    ews_in_force_by: dt.datetime | None = None

    def expectations(self) -> list[tuple[str, str]]:
        return [(mailbox, OPENED) for mailbox in self.allowed] + [(mailbox, REFUSED) for mailbox in self.refused]


@dataclass(frozen=True)
class Probe:
    """One mailbox as it was met at ``at``."""

    mailbox: str
    expected: str
    opening: _ews.Opening
    at: dt.datetime

    @property
    def as_expected(self) -> bool:
        verdict = self.opening.verdict
        return verdict == _ews.OPENED if self.expected == OPENED else verdict in _REFUSALS

    def as_dict(self) -> Json:
        return {
            "mailbox": self.mailbox,
            "expected": self.expected,
            "verdict": self.opening.verdict,
            "as_expected": self.as_expected,
            "reason": self.opening.reason,
            "request_id": self.opening.request_id,
            "at": iso(self.at),
        }


@dataclass(frozen=True)
class State:
    """``why_not`` says why nothing was probed (check mode only); else ``probes`` has every mailbox once."""

    probes: tuple[Probe, ...] = ()
    roles: tuple[str, ...] = ()
    tenant_id: str | None = None
    why_not: str | None = None


def worth_waiting(probe: Probe, desired: Desired, now: dt.datetime) -> bool:
    """Whether another look may bring another verdict, because something is known to be on its way."""
    if probe.as_expected:
        return False
    verdict = probe.opening.verdict
    if verdict == _ews.EWS_BLOCKED:
        return desired.ews_in_force_by is not None and now < desired.ews_in_force_by
    if verdict in (_ews.NO_ROLE, _ews.OTHER):
        return True
    return verdict != _ews.NO_MAILBOX and desired.configuration_agrees


def plan(current: State, desired: Desired, now: dt.datetime) -> Plan:
    """The outcome. Raises ServiceError (failed) for a mailbox that is not there or an answer nobody expects."""
    result: Json = {
        "app_id": desired.app_id,
        "tenant_id": current.tenant_id,
        "roles": sorted(current.roles),
        "probes": [probe.as_dict() for probe in current.probes],
    }
    if current.why_not is not None:
        return Plan(result=result, summary=current.why_not)
    wrong = [probe for probe in current.probes if not probe.as_expected]
    if not wrong:
        counts = {
            expected: sum(probe.expected == expected for probe in current.probes) for expected in (OPENED, REFUSED)
        }
        told = " and ".join(f"{count} {expected}" for expected, count in counts.items() if count)
        return Plan(result=result, summary=f"{told}, as expected")
    broken = _met(wrong, _ews.NO_MAILBOX) or _met(wrong, _ews.OTHER)
    if broken:
        raise _broken(broken, result)
    blocked = _no_role(wrong, desired, result) or _ews_blocked(wrong, desired, now) or _contradiction(wrong, desired)
    if blocked is not None:
        return Plan(result=result, summary=blocked.message, blocked=blocked)
    until = now + POLICY_IN_FORCE_AFTER
    if _met(wrong, _ews.EWS_BLOCKED) and desired.ews_in_force_by is not None:
        # What is wrong besides can be judged only once EWS is open.
        until = max(desired.ews_in_force_by, until if len(_met(wrong, _ews.EWS_BLOCKED)) < len(wrong) else now)
    told = "; ".join(_told(probe) for probe in wrong)
    return Plan(
        result=result,
        summary=f"not in force yet: {told}",
        pending=f"configured, but not in force yet: {told}",
        pending_until=iso(until),
    )


def _met(probes: t.Iterable[Probe], verdict: str) -> list[Probe]:
    return [probe for probe in probes if probe.opening.verdict == verdict]


def _told(probe: Probe) -> str:
    words = {
        _ews.OPENED: "still opens",
        _ews.EWS_BLOCKED: f"EWS is blocked ({probe.opening.reason})",
        _ews.DENIED_BY_POLICY: "is still denied",
        _ews.IMPERSONATION_REFUSED: "is still denied",
        _ews.NO_MAILBOX: "is not a mailbox",
        _ews.NO_ROLE: "the token is refused for want of the role",
        _ews.OTHER: probe.opening.reason or "the answer is not understood",
    }
    return f"{probe.mailbox}: {words[probe.opening.verdict]}"


def _names_of(probes: t.Iterable[Probe]) -> str:
    return ", ".join(probe.mailbox for probe in probes)


def _broken(broken: list[Probe], result: Json) -> ServiceError:
    about: Json = {
        "attempted": f"open {_names_of(broken)}",
        "code": broken[0].opening.code,
        "request_id": broken[0].opening.request_id,
        "details": {"probes": result["probes"]},
    }
    if broken[0].opening.verdict == _ews.NO_MAILBOX:
        return ServiceError(
            f"Exchange has no mailbox behind {_names_of(broken)}",
            cure="check the address, and that the account has a mailbox in the cloud",
            **about,
        )
    return ServiceError(
        "; ".join(_told(probe) for probe in broken),
        cure="run again later; if it stays, give Microsoft's support the request id",
        **about,
    )


def _no_role(wrong: list[Probe], desired: Desired, result: Json) -> Blocked | None:
    if not _met(wrong, _ews.NO_ROLE):
        return None
    held = ", ".join(result["roles"]) or "none at all"
    lacks = f"the application's token does not carry {desired.role} (it carries {held})"
    if desired.role in result["roles"]:
        lacks = f"the application's token carries {desired.role}, and Exchange still says that it is not enough"
    return Blocked(
        lacks,
        attempted="open the mailboxes as the application",
        cure=f"grant admin consent to {desired.role} (entra_admin_consent); a grant made a moment ago may need some "
        "minutes, so run again or raise patience",
        who="a Cloud Application Administrator or Privileged Role Administrator",
    )


def _ews_blocked(wrong: list[Probe], desired: Desired, now: dt.datetime) -> Blocked | None:
    met = _met(wrong, _ews.EWS_BLOCKED)
    if not met or (desired.ews_in_force_by is not None and now < desired.ews_in_force_by):
        return None
    reasons = "; ".join(dict.fromkeys(str(probe.opening.reason) for probe in met))
    return Blocked(
        f"EWS is blocked for {_names_of(met)}: {reasons}",
        attempted="open the mailboxes as the application",
        cure="open EWS for this application (exchange_ews_access), and on the mailbox itself where its own EwsEnabled "
        "is False; such a change takes up to 24 hours",
        who="an Exchange Administrator",
    )


def _contradiction(wrong: list[Probe], desired: Desired) -> Blocked | None:
    met = [probe for probe in wrong if probe.opening.verdict in _REFUSALS | {_ews.OPENED}]
    if not met or desired.configuration_agrees:
        return None
    return Blocked(
        "the application's reach is not what it should be: "
        + "; ".join(
            f"{probe.mailbox} {'opens' if probe.opening.verdict == _ews.OPENED else 'is denied'}" for probe in met
        ),
        attempted="prove the application's reach",
        cure="look at the application access policy and at the members of its group "
        "(exchange_application_access_policy, exchange_security_group)",
        who="an Exchange Administrator",
    )


class MailboxProbe:
    """The resource behind ``mailbox_probe_info``.

    The secret comes from ``secret``, else from the task's service ``store``, else from the options.
    """

    def __init__(self, tenant: Tenant, task: Task, secret: Secret | None = None) -> None:
        params = task.params
        self._tenant = tenant
        self._check_mode = task.check_mode
        app_id = _names.guid(params["app_id"], "app_id")
        if app_id == _names.ZERO_GUID and not task.check_mode:
            raise InvalidInput("app_id is all zeros", cure="give the Application (client) ID")
        if not tenant.options.get("tenant"):
            raise InvalidInput("tenant is not set", cure="set tenant, or its environment variable M365_TENANT")
        if params["wait"] < 0:
            raise InvalidInput("wait is negative", cure="give a number of seconds")
        self._certificate: str | None = params.get("app_certificate_path")
        self._passphrase: str | None = params.get("app_certificate_passphrase")
        self._store: Store | None = task.services.get("store")
        self._secret = secret or self._secret_of(params)
        self._desired = Desired(
            app_id=app_id,
            tenant=tenant.options["tenant"],
            role=_names.name(params["role"], "role", 250),
            **_mailboxes(params),
            wait_s=float(params["wait"]),
            configuration_agrees=params["configuration_agrees"],
            ews_in_force_by=_ews_in_force_by(params),
        )

    def read(self) -> State:
        desired = self._desired
        if desired.app_id == _names.ZERO_GUID:
            return State(why_not="nothing to probe before the application exists")
        sign_in = self._sign_in()
        if sign_in is None:
            return State(why_not="nothing to probe before there is a secret")
        token = self._token(sign_in)
        taken = self._tenant.clock.monotonic()
        probes: dict[str, Probe] = {}
        service = _ews.Ews(self._tenant.http, self._tenant.cloud)

        def look() -> bool:
            nonlocal token, taken
            waiting = [
                (mailbox, expected)
                for mailbox, expected in desired.expectations()
                if mailbox not in probes or worth_waiting(probes[mailbox], desired, self._tenant.clock.now())
            ]
            if probes and (
                any(probe.opening.verdict == _ews.NO_ROLE for probe in probes.values())
                or self._tenant.clock.monotonic() - taken > TOKEN_GOOD_FOR_S
            ):
                try:
                    token, taken = sign_in.token(self._audience, fresh=True), self._tenant.clock.monotonic()
                except SignInError as exc:
                    raise in_words(exc) from None
            for mailbox, expected in waiting:
                # Without the role every mailbox refuses, and that would look like a policy at work.
                opening = service.open(token, mailbox) if desired.role in token.roles else _ews.Opening(_ews.NO_ROLE)
                probes[mailbox] = Probe(mailbox, expected, opening, self._tenant.clock.now())
            now = self._tenant.clock.now()
            return not any(worth_waiting(probe, desired, now) for probe in probes.values())

        self._tenant.patiently(look, budget_s=desired.wait_s)
        return State(
            tuple(probes[mailbox] for mailbox, _expected in desired.expectations()),
            tuple(token.roles),
            token.tenant_id or None,
        )

    def plan(self, current: State) -> Plan:
        return plan(current, self._desired, self._tenant.clock.now())

    def perform(self, step: Step) -> None:
        raise AssertionError(f"a probe changes nothing, so there is no step {step.name!r}")

    def settle(self, plan: Plan) -> Json:
        return {}

    @property
    def _audience(self) -> str:
        return self._tenant.cloud.exchange_audience

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
            )
        if self._check_mode and self._store is not None and self._store.read() is None:
            return None
        return SecretSignIn(tenant.http, tenant.cloud, desired.tenant, desired.app_id, self._secret())

    def _token(self, sign_in: SignIn) -> Token:
        """A new token, patiently: one that carries the role if there is one, else the last without it."""
        tokens: list[Token] = []
        refusals: list[SignInError] = []

        def works() -> bool:
            refusals.clear()
            try:
                tokens.append(sign_in.token(self._audience, fresh=True))
            except SignInError as exc:
                if exc.code not in _texts.NEWBORN_CREDENTIAL:
                    raise in_words(exc) from None
                refusals.append(exc)
                return False
            return self._desired.role in tokens[-1].roles

        if not self._tenant.patiently(works) and refusals:
            raise in_words(refusals[0])
        return tokens[-1]

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


def _mailboxes(params: t.Mapping[str, t.Any]) -> dict[str, tuple[str, ...]]:
    lists: dict[str, tuple[str, ...]] = {}
    for option in ("allowed", "refused"):
        by_fold: dict[str, str] = {}
        for value in params[option]:
            checked = _names.address(value, option)
            by_fold.setdefault(checked.casefold(), checked)
        lists[option] = tuple(by_fold.values())
    both = {item.casefold() for item in lists["allowed"]} & {item.casefold() for item in lists["refused"]}
    if both:
        raise InvalidInput(
            f"{', '.join(sorted(both))} is in allowed and in refused", cure="a mailbox is either to open or not"
        )
    if not lists["allowed"] and not lists["refused"]:
        raise InvalidInput("no mailbox is named", cure="list mailboxes in allowed, and at least one in refused")
    return lists


def _ews_in_force_by(params: t.Mapping[str, t.Any]) -> dt.datetime | None:
    for option, later in (("ews_in_force_by", dt.timedelta(0)), ("ews_changed_at", IN_FORCE_AFTER)):
        if params.get(option):
            try:
                return instant(params[option]) + later
            except ValueError:
                raise InvalidInput(
                    f"{option} is {params[option]!r}, which is not an instant", cure="write it as 2026-11-30T12:00:00Z"
                ) from None
    return None


SPEC = ArgumentSpec(
    {
        "app_id": {"type": "str", "required": True},
        "app_secret": {"type": "str", "no_log": True},
        "app_certificate_path": {"type": "path"},
        "app_certificate_passphrase": {"type": "str", "no_log": True},
        "store": {"type": "dict", "options": STORE_OPTIONS},
        "protocol": {"type": "str", "default": "ews", "choices": ["ews"]},
        "role": {"type": "str", "default": "full_access_as_app"},
        "allowed": {"type": "list", "elements": "str", "default": []},
        "refused": {"type": "list", "elements": "str", "default": []},
        "wait": {"type": "int", "default": 0},
        "configuration_agrees": {"type": "bool", "default": True},
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
