# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tenant with one application, whose client secret is managed in this process through the real HTTP stack.

Time is the tenant's: it passes by ``World.pass_days``, and waiting costs none of ours.
"""

from __future__ import annotations

import datetime as dt
import json
import pathlib
import time
import typing as t

import requests
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.parsing.vault import VaultSecret

from ansible_collections.mail2fax.m365.plugins.module_utils import _module
from ansible_collections.mail2fax.m365.plugins.module_utils._door import Task
from ansible_collections.mail2fax.m365.plugins.module_utils._http import (
    Request,
    Response,
    Transport,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._patience import Clock
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.secret import DOOR
from ansible_collections.mail2fax.m365.plugins.module_utils._store import Entry, Place, Store, StoredSecret
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant
from ansible_collections.mail2fax.m365.plugins.module_utils._transport import RequestsTransport
from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores.vault_file import VaultFile
from tests.emulator.testing import Emulator
from tests.integration.harness import DOMAIN, OPERATOR, TENANT_ID

Json = dict[str, t.Any]

APP_ID = "aaaaaaaa-0000-4000-8000-000000000001"
NAME = "DigitalFaxMailServiceSecret"
FOREIGN = "somebody else's"
FOREIGN_KEY = "ffffffff-0000-4000-8000-000000000001"


def tenant(tenant_id: str, domain: str, app_id: str, *roles: str, **keys: t.Any) -> Json:
    """A tenant with the operator, the application, and somebody else's secret on it."""
    foreign = {
        "keyId": FOREIGN_KEY,
        "displayName": FOREIGN,
        "secretText": "foreign~value.of-somebody_else",
        "endDateTime": "2099-01-01T00:00:00Z",
    }
    operator = {
        "client_id": OPERATOR["client_id"],
        "client_secret": OPERATOR["client_secret"],
        "app_roles": ["Application.ReadWrite.All", *roles],
    }
    app = {"appId": app_id, "displayName": "Mail2DigitalFax", "passwordCredentials": [foreign]}
    return {"id": tenant_id, "domains": [domain], "operators": [operator], "applications": [app], **keys}


TENANTS: Json = {"tenants": [tenant(TENANT_ID, DOMAIN, APP_ID)]}


class TenantClock(Clock):
    """The tenant's time. Whoever sleeps has the tenant's time pass at once, and none of ours."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self.ahead = dt.timedelta(0)

    def now(self) -> dt.datetime:
        return super().now() + self.ahead

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead.total_seconds()

    def sleep(self, seconds: float) -> None:
        self.ahead += dt.timedelta(seconds=seconds)
        self._emulator.clock(seconds=seconds)


class World:
    """One emulator, one application, one store. ``begin`` starts anew."""

    def __init__(
        self,
        emulator: Emulator,
        folder: pathlib.Path,
        *,
        tenant_id: str = TENANT_ID,
        domain: str = DOMAIN,
        app_id: str = APP_ID,
    ) -> None:
        self.emulator = emulator
        self.folder = folder
        self.tenant_id = tenant_id
        self.domain = domain
        self.app_id = app_id
        self.clock = TenantClock(emulator)
        self.store: t.Callable[[], Store] = self.vault_file
        self._fax = requests.Session()
        self._fax.trust_env = False
        self._fax.proxies = {"https": emulator.proxy}

    def begin(self) -> None:
        self.emulator.reset()
        self.emulator.faults([])
        self.clock = TenantClock(self.emulator)
        for path in self.folder.glob("**/*"):
            if path.is_file():
                path.unlink()

    def pass_days(self, days: float) -> None:
        self.emulator.clock(days)
        self.clock.ahead += dt.timedelta(days=days)

    def vault_file(self) -> VaultFile:
        return VaultFile(self.folder / "secret.yml", [("default", VaultSecret(b"correct horse"))])

    def run(
        self,
        *,
        store: Store | None = None,
        transport: t.Callable[[Transport], Transport] = lambda inner: inner,
        check_mode: bool = False,
        services: Json | None = None,
        store_option: Json | None = None,
        **params: t.Any,
    ) -> Json:
        """The result of one task, as the lane's worker would have it; ``services`` instead of the usual store."""
        spec = DOOR.argument_spec.kwargs()
        given = {
            **OPERATOR,
            "tenant": self.domain,
            "patience": 30,
            "app_id": self.app_id,
            "display_name": NAME,
            **({"store": store_option} if store_option else {}),
            **params,
        }
        checked = ArgumentSpecValidator(**spec).validate(given)
        assert not checked.error_messages, checked.error_messages
        options = checked.validated_parameters
        task = Task(options, check_mode, services if services is not None else {"store": store or self.store()})
        network = transport(RequestsTransport(self.emulator.env()))
        return _module.execute(DOOR, task, lambda: Tenant(options, transport=network, clock=self.clock))

    # --- what people and the fax server see ------------------------------------------------------------------

    def entry(self) -> Entry:
        return self.store().read() or Entry()

    def alive(self) -> list[Json]:
        """The application's living password credentials."""
        app = next(app for app in self.emulator.state(self.tenant_id)["applications"] if app["appId"] == self.app_id)
        now = self.clock.now().strftime("%Y-%m-%dT%H:%M:%S")
        return [item for item in app["passwordCredentials"] if item["endDateTime"] > now]

    def ours(self) -> list[str]:
        return [item["keyId"].lower() for item in self.alive() if item["displayName"] == NAME]

    def foreign(self) -> list[str]:
        return [item["keyId"].lower() for item in self.alive() if item["displayName"] != NAME]

    def signs_in(self, secret: StoredSecret | None) -> bool:
        """Whether a client of its own, the fax server, is let in with this."""
        if secret is None or not secret.value:
            return False
        return self.token(secret.client_id, secret.value, "https://outlook.office365.com", secret.tenant_id) is not None

    def token(self, client_id: str, client_secret: str, resource: str, tenant: str = "") -> str | None:
        """An access token over a kept connection, without any code of the product; None when it is refused."""
        answer = self._fax.post(
            f"https://login.microsoftonline.com/{tenant or self.domain}/oauth2/v2.0/token",
            data={
                "grant_type": "client_credentials",
                "client_id": client_id,
                "client_secret": client_secret,
                "scope": f"{resource}/.default",
            },
            timeout=30,
            verify=self.emulator.ca,
        )
        return str(answer.json()["access_token"]) if answer.status_code == 200 else None

    def by_hand(self, action: str, body: Json) -> Json:
        """What somebody does to the application: ``addPassword`` or ``removePassword``."""
        token = self.emulator.token(self.domain, OPERATOR["client_id"], OPERATOR["client_secret"])
        with self.emulator.session() as session:
            answer = session.post(
                f"https://graph.microsoft.com/v1.0/applications(appId='{self.app_id}')/{action}",
                json=body,
                headers={"Authorization": f"Bearer {token}"},
                timeout=30,
            )
        assert answer.status_code < 300, answer.text
        return t.cast("Json", answer.json()) if answer.content else {}


class Intercepted:
    """A transport whose requests pass ``answer`` first: a Response is the answer, None lets the request through."""

    def __init__(self, inner: Transport, answer: t.Callable[[Request], Response | None]) -> None:
        self._inner = inner
        self._answer = answer

    def send(self, request: Request, timeout_s: float) -> Response:
        answer = self._answer(request)
        return answer if answer is not None else self._inner.send(request, timeout_s)


def refusing_sign_in(app_id: str, times: int, code: int = 7000215) -> t.Callable[[Transport], Transport]:
    """A transport whose token service refuses this application's first ``times`` sign-ins."""
    left = [times]

    def answer(request: Request) -> Response | None:
        asked = request.url.endswith("/token") and f"client_id={app_id}" in (request.body or b"").decode()
        if not asked or not left[0]:
            return None
        left[0] -= 1
        body = {
            "error": "invalid_client",
            "error_description": f"AADSTS{code}: refused.\r\nTrace ID: x",
            "error_codes": [code],
        }
        return Response(401, {"content-type": "application/json"}, json.dumps(body).encode())

    return lambda inner: Intercepted(inner, answer)


class Watched:
    """A transport that tells ``gate`` of every request, before and after."""

    def __init__(self, inner: Transport, gate: t.Callable[[str, str], None]) -> None:
        self._inner = inner
        self._gate = gate

    def send(self, request: Request, timeout_s: float) -> Response:
        step = f"{request.method} {request.host} {request.url.partition(request.host)[2].partition('?')[0]}"
        self._gate("before", step)
        answer = self._inner.send(request, timeout_s)
        self._gate("after", step)
        return answer


class WatchedStore:
    """A store that tells ``gate`` of every step, before and after."""

    def __init__(self, inner: Store, gate: t.Callable[[str, str], None]) -> None:
        self._inner = inner
        self._gate = gate

    @property
    def place(self) -> Place:
        return self._inner.place

    def describe(self) -> str:
        return self._inner.describe()

    def probe(self) -> None:
        self._step("probe", self._inner.probe)

    def read(self) -> Entry | None:
        return t.cast("Entry | None", self._step("read", self._inner.read))

    def write(self, entry: Entry) -> None:
        self._step("write", lambda: self._inner.write(entry))

    def remove(self) -> None:
        self._step("remove", self._inner.remove)

    def _step(self, name: str, work: t.Callable[[], t.Any]) -> t.Any:
        self._gate("before", f"store {name}")
        result = work()
        self._gate("after", f"store {name}")
        return result
