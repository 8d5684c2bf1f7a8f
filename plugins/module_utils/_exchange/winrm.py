# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The WinRM transport: Exchange's own PowerShell module, on a Windows management host.

One shell, one process and one connection to Exchange serve all cmdlets of a task. What the module says is made into
the same outputs and the same errors as those of the REST transport.
"""

from __future__ import annotations

import json
import re
import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils import _names, _texts
from ansible_collections.mail2fax.m365.plugins.module_utils._auth import SignIn, Token
from ansible_collections.mail2fax.m365.plugins.module_utils._clouds import Cloud
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import (
    AnswerLost,
    Forbidden,
    M365Error,
    ServiceError,
    SignInError,
    Unreachable,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import (
    Cmdlet,
    Json,
    Output,
    error,
    explained,
    transient,
    unexplained,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.host import (
    Peer,
    Process,
    Settings,
    not_ready,
    pywinrm,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._patience import Patience, Watch
from ansible_collections.mail2fax.m365.plugins.module_utils._retry import RetryPolicy

CONNECT = Cmdlet("Connect-ExchangeOnline", {}, "connect to Exchange Online from the management host")
OLDEST_MODULE = {"access_token": (3, 1, 0), "certificate_thumbprint": (3, 0, 0), "managed_identity": (3, 0, 0)}
OLDEST_FRAMEWORK = 461808  # what .NET Framework 4.7.2 calls itself in the registry
POWERSHELL_FOR = (((3, 10), (7, 6)), ((3, 5), (7, 4)), ((3, 0), (7, 2)))
"""From which version of the module on which PowerShell 7 is needed, the newest first; 5.1 is enough for all."""

_WRAPPERS = frozenset(
    {
        *("Exception", "SystemException", "RuntimeException", "RemoteException", "CmdletInvocationException"),
        *("ActionPreferenceStopException", "AggregateException", "TargetInvocationException"),
    }
)
"""Exception types that say nothing of their own."""

_NO_REASON = "no reason given"


class WinRmTransport:
    """Cmdlets by way of a management host. ``sign_in`` is asked only where the host needs our token."""

    def __init__(
        self,
        settings: Settings,
        sign_in: t.Callable[[], SignIn],
        cloud: Cloud,
        patience: Patience,
        factory: t.Callable[[Settings], Peer] = pywinrm,
    ) -> None:
        self.host: Json | None = None
        """What the host tells about itself; None as long as it was not asked."""
        self._settings = settings
        self._sign_in = sign_in
        self._cloud = cloud
        self._patience = patience
        self._clock = patience.clock
        self._factory = factory
        self._process: Process | None = None
        self._held: Token | None = None
        self._watch: Watch | None = None

    @property
    def takes_our_token(self) -> bool:
        """Whether the host acts as our operator; if not, as whoever its certificate or identity is."""
        return self._settings.connect == "access_token"

    def run(self, cmdlets: t.Sequence[Cmdlet]) -> list[Output]:
        if all(cmdlet.reads for cmdlet in cmdlets):
            return self._patiently(cmdlets)
        # One after another: what follows a write may build on it, and must not run while it is to be tried again.
        return [output for cmdlet in cmdlets for output in self._patiently([cmdlet])]

    def close(self) -> None:
        """Disconnect, end the process, delete the shell. Raises nothing; a later ``run`` begins anew."""
        process, self._process = self._process, None
        if process is not None:
            process.close()

    def _patiently(self, cmdlets: t.Sequence[Cmdlet]) -> list[Output]:
        outputs: list[Output | None] = [None] * len(cmdlets)
        waiting = list(range(len(cmdlets)))
        purpose = _purpose(cmdlets)
        waits = self._patience.begin(f"{self._settings.host}, to {purpose}", purpose=purpose)
        attempt = 0
        while True:
            attempt += 1
            problem: M365Error | None = None
            asked = [cmdlets[index] for index in waiting]
            if attempt > 1 or not all(cmdlet.reads for cmdlet in asked):
                self._patience.wanted(purpose)
            started = self._clock.monotonic()
            try:
                answers = self._ask(asked)
            except Unreachable as exc:
                waits.lost(self._clock.monotonic() - started)
                problem = exc
            except AnswerLost as exc:
                waits.lost(self._clock.monotonic() - started)
                if not all(cmdlet.reads for cmdlet in asked):
                    raise _about(exc, asked) from None
                problem = Unreachable(exc.message, cure=exc.cure)
            except M365Error as exc:
                raise _about(exc, asked) from None
            else:
                again = []
                for index, (output, stumbled) in zip(waiting, answers, strict=True):
                    outputs[index] = output
                    if stumbled:
                        again.append(index)
                waiting = again
                if not waiting:
                    break
            if not waits.pause(RetryPolicy().delay(attempt)):
                if problem is not None:
                    raise _about(problem, asked) from None
                break
        return [output for output in outputs if output is not None]

    def _tick(self) -> None:
        if self._watch is not None:
            self._watch.look()

    def _ask(self, cmdlets: t.Sequence[Cmdlet]) -> list[tuple[Output, bool]]:
        """Each cmdlet's output, and whether Exchange only stumbled."""
        self._watch = Watch(self._patience, f"{self._settings.host}, to {_purpose(cmdlets)}")
        request: Json = {
            "do": "run",
            "cmdlets": [
                {"name": cmdlet.name, "parameters": dict(cmdlet.parameters), "limit": cmdlet.limit}
                for cmdlet in cmdlets
            ],
        }
        try:
            if self._process is None or self._outlived():
                answer = self._connected(request)
            else:
                answer = self._process.ask([request])[0]
            if answer.get("error") is not None:
                raise AnswerLost(
                    f"{self._settings.host} did not run the cmdlets: {self._explained(answer['error'])[1]}"
                )
            found = answer["outputs"]
            if len(found) != len(cmdlets):
                raise AnswerLost(f"{self._settings.host} answered {len(found)} of {len(cmdlets)} cmdlets")
        except BaseException:
            self.close()
            raise
        return [self._output(cmdlet, item) for cmdlet, item in zip(cmdlets, found, strict=True)]

    # connecting

    def _outlived(self) -> bool:
        """Whether the token that the connection was made with has ended; the module does not renew it."""
        return self._held is not None and self._held.lasts(self._clock, 60.0) is False

    def _connected(self, request: Json, *, fresh: bool = False) -> Json:
        """Begin anew, with ``request`` as the first one: script, connecting and the first cmdlets go in one go."""
        self.close()
        connect = self._connect_request(fresh)
        self._process = Process(self._settings, self._clock, self._factory)
        self._process.tick = self._tick
        if self._held is not None:
            self._process.secrets.append(self._held.value)
        self._process.open()
        greeting, answer = self._process.ask([connect, request])
        self.host = greeting.get("host") or self.host
        problem = greeting.get("error")
        if problem is None:
            self._check_tenant(greeting.get("connection") or {})
            return answer
        refusal = self._connect_problem(problem)
        if isinstance(refusal, Forbidden) and self._held is not None and self._held.shared and not fresh:
            # An earlier task's token may have been fetched before the roles were given.
            return self._connected(request, fresh=True)
        raise refusal

    def _connect_request(self, fresh: bool) -> Json:
        settings = self._settings
        settings.check_connect()
        request: Json = {
            "do": "connect",
            "method": settings.connect,
            "environment": self._cloud.environment,
            "organization": settings.organization,
        }
        self._held = None
        if settings.connect == "access_token":
            self._held = self._sign_in().token(self._cloud.exchange_audience, fresh=fresh)
            request["access_token"] = self._held.value
        elif settings.connect == "certificate_thumbprint":
            request |= {"app_id": settings.app_id, "certificate_thumbprint": settings.thumbprint}
        else:
            request["managed_identity_id"] = settings.managed_identity_id
        return request

    def _check_tenant(self, connection: Json) -> None:
        theirs = str(connection.get("TenantID") or "").lower()
        ours = self._held.tenant_id.lower() if self._held is not None else ""
        if ours and _names.is_guid(theirs) and theirs != ours:
            raise not_ready("other_tenant", f"{theirs} instead of {ours}", self._settings.host)

    def _connect_problem(self, problem: Json) -> M365Error:
        kind, message = self._explained(problem)
        said = " ".join([message, *(str(link.get("message") or "") for link in problem.get("chain") or [])])
        said = self._clean(said)
        code = _texts.aadsts_code(said)
        if code is not None:
            known = _texts.SIGN_IN.get(code)
            return SignInError(
                message.splitlines()[0][:300],
                attempted=CONNECT.purpose,
                code=code,
                cure=known.cure if known else "see the code at https://login.microsoftonline.com/error",
                who=known.who if known else "",
            )
        refused = error(CONNECT, kind, message)
        if isinstance(refused, Forbidden):
            return refused
        if _is_refusal(message):
            return Forbidden(
                "Exchange refused the operator's token"
                if self._held is not None
                else "Exchange refused the host's identity",
                attempted=CONNECT.purpose,
                cure="grant the application Exchange.ManageAsApp on Office 365 Exchange Online, and its service "
                "principal the Entra role Exchange Administrator; then sign in anew",
                who="a Privileged Role Administrator",
                code=kind or None,
            )
        unfitness = unfit(self.host or {}, self._settings.connect)
        if unfitness:
            return not_ready(*unfitness[0], self._settings.host)
        found = _texts.host_problem(f"{kind} {problem.get('id') or ''} {said}")
        if found is not None:
            return not_ready(found, self._clean(message), self._settings.host)
        if transient(kind, message) or kind in _texts.HOST_CONNECTION or _broken(kind, message):
            return Unreachable(
                f"{self._settings.host} did not reach Exchange Online: {self._clean(message)[:300]}",
                attempted=CONNECT.purpose,
                cure=_texts.HOST["no_route"].cure,
            )
        return not_ready("connect", f"{kind}: {self._clean(message)}".strip(": "), self._settings.host)

    # answers

    def _output(self, cmdlet: Cmdlet, found: Json) -> tuple[Output, bool]:
        warnings = [str(text) for text in found.get("warnings") or []]
        problem = found.get("error")
        if problem is None:
            rows = [_plain(row) for row in found.get("value") or []]
            return Output(rows[: cmdlet.limit], warnings), False
        kind, message = self._explained(problem)
        if kind in _texts.HOST_CONNECTION or _broken(kind, message):
            if not cmdlet.reads:
                self.close()
                raise AnswerLost(
                    f"the management host lost Exchange's answer to {cmdlet.name} ({kind})", attempted=cmdlet.purpose
                )
            refusal: ServiceError = error(cmdlet, kind, message.strip()[:300])
            return Output([], warnings, refusal), True
        match = re.search(r"RequestId=([0-9A-Fa-f-]{36})", str(problem.get("id") or ""))
        request_id = match[1] if match else None
        if kind == "CommandNotFoundException" or _is_refusal(message):
            # The module loads the cmdlets that the caller's roles hold, and no others.
            refusal = Forbidden(
                f"Exchange does not let the operator run {cmdlet.name}",
                cure="give the operator's service principal the Entra role Exchange Administrator and sign in anew",
                who="a Privileged Role Administrator",
                attempted=cmdlet.purpose,
                code=kind or None,
                request_id=request_id,
            )
            return Output([], warnings, refusal), False
        refusal = error(cmdlet, kind, message, request_id=request_id)
        return Output([], warnings, refusal), transient(kind, message)

    def _explained(self, problem: Json) -> tuple[str, str]:
        """(short exception type, text) of an error record: Exchange's own where the module passes them on."""
        chain = [link for link in problem.get("chain") or [] if isinstance(link, dict)]
        texts = [str(problem.get("details") or ""), *(str(link.get("message") or "") for link in chain)]
        for text in texts:
            kind, message = _exchange_s(text)
            if kind:
                return kind, self._clean(message)
        kinds = [_short(str(link.get("type") or "")) for link in chain] + [_short(str(problem.get("reason") or ""))]
        telling = [kind for kind in kinds if kind and kind not in _WRAPPERS]
        message = next((text for text in texts if text.strip()), _NO_REASON)
        return (telling or kinds or [""])[0], self._clean(message.strip())

    def _clean(self, text: str) -> str:
        """Without what must not be shown, whoever quotes it."""
        for secret in (self._settings.password, self._held.value if self._held is not None else None):
            if secret:
                text = text.replace(secret, "********")
        return text


def unfit(host: t.Mapping[str, t.Any], connect: str) -> list[tuple[str, str]]:
    """What speaks against a host, by what it tells of itself: (key of ``_texts.HOST``, what was found), worst first."""
    found: list[tuple[str, str]] = []
    powershell = _version(host.get("powershell"))
    modules = [_version(text) for text in host.get("modules") or []]
    mode = str(host.get("language_mode") or "FullLanguage")
    policy = str(host.get("execution_policy") or "")
    release = host.get("framework_release")
    if mode != "FullLanguage":
        found.append(("language_mode", mode))
    if powershell and powershell < (5, 1):
        found.append(("powershell_old", f"{host['powershell']} instead of 5.1"))
    if powershell and powershell < (6,) and isinstance(release, int) and release < OLDEST_FRAMEWORK:
        found.append(("framework_old", f"release {release}"))
    if host and not modules:
        found.append(("module_missing", f"user {host.get('user') or 'unknown'}, PowerShell {host.get('powershell')}"))
    newest = max(modules, default=())
    if modules and newest < OLDEST_MODULE[connect]:
        found.append(("module_old", ".".join(map(str, newest))))
    elif modules and powershell >= (6,):
        needed = [need for start, need in POWERSHELL_FOR for module in modules if module >= start]
        usable = [
            module
            for module in modules
            if next((need for start, need in POWERSHELL_FOR if module >= start), (0,)) <= powershell
        ]
        if not usable and needed:
            need = ".".join(map(str, min(needed)))
            found.append(("powershell_old", f"{host['powershell']}; the module that is installed needs {need}"))
    if policy in ("Restricted", "AllSigned"):
        found.append(("execution_policy", policy))
    if "$" in str(host.get("temporary_folder") or ""):
        found.append(("temporary_folder", str(host["temporary_folder"])))
    return found


def _version(text: t.Any) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", str(text or "").partition("-")[0])[:4])


def _exchange_s(text: str) -> tuple[str, str]:
    """Exchange's exception type (short) and text, from the module's message or from a JSON body that it quotes."""
    match = re.match(r"\s*(?:Write-ErrorMessage ?: ?)?Ex[0-9A-Fa-f]{6}\|([^|]+)\|(.*)", text, re.DOTALL)
    if match is not None:
        return _short(match[1].strip()), match[2].strip()
    if text.lstrip().startswith("{"):
        try:
            return explained(json.loads(text))
        except ValueError:
            pass
    return "", ""


def _short(type_name: str) -> str:
    return type_name.rsplit(".", 1)[-1]


def _broken(kind: str, message: str) -> bool:
    """Whether the module passes on an answer that is none: a page, a bare status, or nothing."""
    silent = not kind or kind in _WRAPPERS or kind == "HttpResponseException"
    return silent and (message == _NO_REASON or unexplained(message))


def _is_refusal(message: str) -> bool:
    return message.strip().rstrip(".").casefold() in _texts.HOST_UNAUTHORIZED


def _plain(row: t.Any) -> Json:
    return {key: value for key, value in row.items() if "@" not in key} if isinstance(row, dict) else {}


def _about(exc: M365Error, cmdlets: t.Sequence[Cmdlet]) -> M365Error:
    exc.attempted = exc.attempted or _purpose(cmdlets)
    return exc


def _purpose(cmdlets: t.Sequence[Cmdlet]) -> str:
    return "; ".join(dict.fromkeys(cmdlet.purpose for cmdlet in cmdlets))
