# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""One tenant as a task sees it: its clients, made when they are first used, from the connection options."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import os
import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils import _auth, _names, _redact
from ansible_collections.mail2fax.m365.plugins.module_utils._clouds import CLOUDS
from ansible_collections.mail2fax.m365.plugins.module_utils._dial import Dialer
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import InvalidInput
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Exchange
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.rest import RestTransport
from ansible_collections.mail2fax.m365.plugins.module_utils._graph import Graph
from ansible_collections.mail2fax.m365.plugins.module_utils._http import Dials, Http, ServiceClock, Transport
from ansible_collections.mail2fax.m365.plugins.module_utils._patience import Clock, Patience
from ansible_collections.mail2fax.m365.plugins.module_utils._reads import Reads
from ansible_collections.mail2fax.m365.plugins.module_utils._transport import RequestsTransport

if t.TYPE_CHECKING:
    from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.host import Settings
    from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.winrm import WinRmTransport


CLOCK_OFF_S = 300.0
"""How far this machine's clock may be off before it is told."""


class Tenant:
    """The connection options of one task, and what they open.

    ``options`` has the names of the connection options (design: names), already typed. ``environment`` stands
    for the process's own: proxy and CA come from it where the options are silent. ``share`` may wrap the
    operator's sign-in, so that the tasks of one run share their tokens; ``reached`` tells whether one of them has
    had an answer already. ``still_wanted`` tells whether the run that the task belongs to still goes on; ``told``
    hears, after fifteen seconds, what is being waited for and how long. ``reads``: what is handed on between tasks.
    """

    def __init__(
        self,
        options: t.Mapping[str, t.Any],
        *,
        environment: t.Mapping[str, str] | None = None,
        transport: Transport | None = None,
        dialer: Dials | None = None,
        clock: Clock | None = None,
        share: t.Callable[[_auth.SignIn], _auth.SignIn] = lambda sign_in: sign_in,
        reached: t.Callable[[], bool] = lambda: False,
        still_wanted: t.Callable[[], bool] = lambda: True,
        told: t.Callable[[float, str], None] = lambda seconds, what: None,
        reads: Reads | None = None,
    ) -> None:
        self.options = dict(options)
        self.cloud = CLOUDS[self.options.get("cloud") or "global"]
        self.clock = clock or Clock()
        self.service_clock = ServiceClock(self.clock)
        self.reads = reads or Reads()
        self.reads.by(self.clock, self.service_clock)
        self.secrets = _redact.current()
        """What was issued, minted or read during this task, and must not be shown."""
        self._environment = os.environ if environment is None else environment
        self._transport = transport
        self._dialer = dialer
        self._share = share
        self._reached = reached
        for option, check in (("tenant", _names.tenant), ("client_id", _names.guid)):
            if self.options.get(option):
                self.options[option] = check(self.options[option], option)
        for option in ("client_secret", "certificate_passphrase", "winrm_password"):
            _names.decrypted(self.options.get(option), option)
        for audience, token in (self.options.get("access_token") or {}).items():
            _names.decrypted(token, "access_token", f"access_token.{audience}")
        if _names.is_guid(str(self.options.get("client_secret") or "")):
            raise InvalidInput(
                "client_secret has the shape of a GUID, so it is the secret's id and not its value",
                cure="give the secret's value, which was shown once when the secret was made",
                options=("client_secret",),
            )
        secret = str(self.options.get("client_secret") or "")
        if secret != secret.strip():
            raise InvalidInput(
                "client_secret begins or ends with white space, such as a file's last line break",
                cure="take it out: lookup('file', ...) does, a YAML block that is begun with | does not",
                options=("client_secret",),
            )
        for option in ("timeout", "patience"):
            if (self.options.get(option) or 0) < 0:
                raise InvalidInput(f"{option} is negative", cure="give a number of seconds")
        self.patience = Patience(self.clock, self.patience_s, still_wanted=still_wanted, told=told)
        self.windows_host: WinRmTransport | None = None
        """The management host that carries Exchange's cmdlets, where one does."""
        if self.options.get("exchange_transport") == "winrm":
            self.windows_host = self.by_host()

    @property
    def patience_s(self) -> float:
        """How long the task may wait and try again, in all; 0 means: one look."""
        value = self.options.get("patience")
        return 180.0 if value is None else float(value)

    @functools.cached_property
    def http(self) -> Http:
        network = {"ca_path": self.options.get("ca_path"), "proxy": self.options.get("proxy")}
        transport = self._transport or RequestsTransport(self._environment, **network)
        return Http(
            transport,
            self.patience,
            timeout_s=float(self.options.get("timeout") or 30.0),
            reached=self._reached,
            secrets=self.secrets,
            cloud=self.cloud,
            dialer=self._dialer or Dialer(self._environment, **network),
            service_clock=self.service_clock,
        )

    @functools.cached_property
    def sign_in(self) -> _auth.SignIn:
        """The operator."""
        return self._share(_auth.choose(self.options, self.http, self.cloud))

    @functools.cached_property
    def graph(self) -> Graph:
        return Graph(self.http, self.sign_in, self.cloud, self.reads)

    @functools.cached_property
    def exchange(self) -> Exchange:
        if self.windows_host is not None:
            return Exchange(self.windows_host, self.reads)
        rest = RestTransport(self.http, self.sign_in, self.cloud)
        return Exchange(rest, self.reads, lambda: self.sign_in.token(self.cloud.exchange_audience).tenant_id)

    def host_settings(self) -> Settings:
        """How the management host is reached. Raises InvalidInput."""
        # pywinrm takes a quarter of a second to import: only who wants it pays.
        from ansible_collections.mail2fax.m365.plugins.module_utils._exchange import host

        return host.Settings.of(self.options, self._environment)

    def by_host(self) -> WinRmTransport:
        """A way to Exchange through the management host; nothing is opened yet. Raises InvalidInput."""
        from ansible_collections.mail2fax.m365.plugins.module_utils._exchange import winrm

        settings = self.host_settings()
        if settings.organization:
            settings.check_connect()
        return winrm.WinRmTransport(settings, lambda: self.sign_in, self.cloud, self.patience)

    def now(self) -> dt.datetime:
        """The service's time: every wait and every expiry goes by it. The clock here before the first answer."""
        return self.service_clock.now()

    def remarks(self) -> list[str]:
        """What is worth a word about this machine, and stands in nothing's way."""
        off = self.service_clock.off_s()
        if off is None or abs(off) <= CLOCK_OFF_S:
            return []
        minutes = round(abs(off) / 60)
        return [
            f"The clock of this machine is {minutes} minutes {'ahead of' if off > 0 else 'behind'} the services'. "
            "Times and waits go by theirs; set it right all the same, because certificates are judged by it."
        ]

    def wanted(self, purpose: str = "") -> None:
        """Raises NoLongerWanted when the run that started the task has ended. Asked before what is not a request."""
        self.patience.wanted(purpose)

    def hand_on(self) -> None:
        """What was read goes to the next tasks, where it is known in which tenant it was read."""
        with contextlib.suppress(InvalidInput):  # a ready token for Exchange alone
            self.reads.hand_on(lambda: self.sign_in.token(self.cloud.graph_audience).tenant_id)

    def close(self) -> None:
        """End the connections, if any were made: a shell on a management host would outlive the task."""
        if self.windows_host is not None:
            self.windows_host.close()
        if "http" in self.__dict__ and isinstance(self.http.transport, RequestsTransport):
            self.http.transport.close()

    def patiently(
        self,
        look: t.Callable[[], bool],
        *,
        budget_s: float | None = None,
        what: str = "what was changed to show in the service's answers",
    ) -> bool:
        """Look until ``look`` says yes or the patience ends: at once, then after 0.5, 1, 2 … 10 seconds.

        ``budget_s`` bounds this wait; above the task's own patience it counts apart from it. ``what`` completes
        "waiting for …".
        """
        waiting = self.patience.begin(what, budget_s)
        delay = 0.5
        while not look():
            if not waiting.pause(delay):
                return False
            delay = min(delay * 2, 10.0)
        return True
