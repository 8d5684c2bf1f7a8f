# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""A Windows management host: how it is reached, and one PowerShell process on it that answers requests.

Everything here knows WS-Man and standard streams, and nothing of Exchange.
"""

from __future__ import annotations

import contextlib
import html
import os
import re
import ssl
import traceback
import typing as t
from dataclasses import dataclass, field

from ansible_collections.mail2fax.m365.plugins.module_utils import _gate, _names, _proxy, _texts, _tls
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import (
    AnswerLost,
    HostNotReady,
    InvalidInput,
    M365Error,
    MissingLibrary,
    Unreachable,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange import host_answers, host_script
from ansible_collections.mail2fax.m365.plugins.module_utils._http import missing_library
from ansible_collections.mail2fax.m365.plugins.module_utils._patience import Clock

try:
    import requests
    import winrm.exceptions
    import winrm.protocol
    import winrm.transport
except ImportError:
    HAS_WINRM = False
    WINRM_IMPORT_ERROR: str | None = traceback.format_exc()
else:
    HAS_WINRM = True
    WINRM_IMPORT_ERROR = None

Json = dict[str, t.Any]

PIECE = 96 * 1024
"""Bytes of one Send; as base64 in its envelope it stays below WS-Man's 150 KB."""

IDLE_S = 180
"""After how many idle seconds the host may remove a shell that nobody could delete."""

GOODBYE_S = 20.0
"""How long a process may take to disconnect and end."""

UTF8 = 65001
BUSY = 170
SCHEMA = 2150858817
NO_SUCH_SHELL = 2150858843


@dataclass(frozen=True)
class Settings:
    """How to reach the host, and how it connects to Exchange. Made by ``of``, which checks everything."""

    host: str
    port: int
    scheme: str
    auth: str
    user: str | None
    password: str | None = field(repr=False)
    certificate_path: str | None
    certificate_key_path: str | None
    ca_path: str | None
    validate: bool
    proxy: str | None
    operation_timeout_s: int
    read_timeout_s: int
    deadline_s: float
    powershell: str
    connect: str
    thumbprint: str | None
    app_id: str | None
    managed_identity_id: str | None
    organization: str | None

    @property
    def endpoint(self) -> str:
        name = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{name}:{self.port}/wsman"

    @property
    def authorities(self) -> _tls.Authorities:
        return _tls.Authorities(self.ca_path, "winrm_ca_path, ca_path or the environment" if self.ca_path else "")

    @property
    def encrypts(self) -> str:
        """Over plain HTTP every message is encrypted, or none is sent."""
        return "always" if self.scheme == "http" else "auto"

    @classmethod
    def of(cls, options: t.Mapping[str, t.Any], environment: t.Mapping[str, str]) -> Settings:
        """From the connection options. Raises InvalidInput; no request has gone out by then."""
        host = str(options.get("winrm_host") or "").strip().strip("[]")
        if not host:
            raise InvalidInput(
                "exchange_transport is winrm, and no management host is named",
                cure="set winrm_host (or M365_WINRM_HOST) to the Windows host with the module ExchangeOnlineManagement",
            )
        if not re.fullmatch(r"[A-Za-z0-9._:-]+", host) or host.count(":") == 1:
            raise InvalidInput(
                f"winrm_host is {host!r}",
                cure="give the bare name or address; scheme and port are winrm_scheme and winrm_port",
            )
        scheme = options.get("winrm_scheme") or "https"
        port = int(options.get("winrm_port") or (5985 if scheme == "http" else 5986))
        settings = cls(
            host=host,
            port=port,
            scheme=scheme,
            auth=options.get("winrm_auth") or "ntlm",
            user=options.get("winrm_user") or None,
            password=options.get("winrm_password"),
            certificate_path=options.get("winrm_certificate_path"),
            certificate_key_path=options.get("winrm_certificate_key_path"),
            ca_path=options.get("winrm_ca_path")
            or options.get("ca_path")
            or next(
                (environment[name] for name in _CA_VARIABLES if environment.get(name)),
                None,
            ),
            validate=options.get("winrm_validate_certs") is not False,
            proxy=_proxy_of(options.get("winrm_proxy"), host, port, environment),
            operation_timeout_s=int(options.get("winrm_operation_timeout") or 20),
            read_timeout_s=int(options.get("winrm_read_timeout") or 30),
            deadline_s=float(options.get("winrm_deadline") or 900),
            powershell=options.get("winrm_powershell") or "powershell",
            connect=options.get("winrm_connect") or "access_token",
            thumbprint=options.get("winrm_certificate_thumbprint"),
            app_id=options.get("winrm_app_id") or options.get("client_id"),
            managed_identity_id=options.get("winrm_managed_identity_id"),
            organization=options.get("winrm_organization") or options.get("tenant"),
        )
        settings._check_transport()
        return settings

    def _check_transport(self) -> None:
        if self.scheme == "http" and self.auth in ("basic", "certificate"):
            cure = "use https, or winrm_auth ntlm or kerberos, which encrypt every message"
            if self.auth == "basic":
                raise InvalidInput("Basic over plain HTTP would send the password readable", cure=cure)
            raise InvalidInput("a client certificate needs https", cure=cure)
        if self.auth in ("ntlm", "credssp", "basic") and not (self.user and self.password):
            raise InvalidInput(
                f"winrm_auth {self.auth} needs winrm_user and winrm_password",
                cure="set them (or M365_WINRM_USER and M365_WINRM_PASSWORD), or choose kerberos or certificate",
            )
        if self.auth == "basic" and any(ord(character) > 255 for character in f"{self.user}{self.password}"):
            raise InvalidInput(
                "Basic carries no characters beyond Latin-1, and the user or the password has some",
                cure="use winrm_auth ntlm or kerberos",
            )
        if self.auth == "certificate":
            for option, path in (
                ("winrm_certificate_path", self.certificate_path),
                ("winrm_certificate_key_path", self.certificate_key_path),
            ):
                if not path or not os.access(os.path.expanduser(path), os.R_OK):
                    raise InvalidInput(
                        f"{option} {path!r} cannot be read" if path else f"winrm_auth certificate needs {option}",
                        cure="name PEM files with the client certificate and with its key",
                    )
        if self.scheme == "https" and self.validate and self.ca_path and not os.access(self.ca_path, os.R_OK):
            raise InvalidInput(
                f"the CA file {self.ca_path!r} cannot be read",
                cure="name a readable PEM file in winrm_ca_path",
                options=("winrm_ca_path",),
            )
        if not 1 <= self.operation_timeout_s < self.read_timeout_s:
            raise InvalidInput(
                f"winrm_operation_timeout is {self.operation_timeout_s}, winrm_read_timeout {self.read_timeout_s}",
                cure="give at least one second to an operation, and more than that to a read",
            )

    def check_connect(self) -> None:
        """Whether Exchange can be connected to from the host. Raises InvalidInput."""
        if self.connect == "certificate_thumbprint":
            if not re.fullmatch(r"[0-9A-Fa-f]{40}", self.thumbprint or ""):
                raise InvalidInput(
                    "winrm_connect is certificate_thumbprint, and winrm_certificate_thumbprint is not a thumbprint",
                    cure="give the 40 hexadecimal digits of a certificate in the host's LocalMachine\\My",
                )
            _names.guid(str(self.app_id or ""), "winrm_app_id")
        organization = self.organization or ""
        if _names.is_guid(organization) or not re.fullmatch(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", organization):
            raise InvalidInput(
                f"Exchange's module wants the tenant's .onmicrosoft.com domain, and has {organization or 'none'!r}",
                cure="set winrm_organization (or tenant) to it",
            )


def _proxy_of(named: str | None, host: str, port: int, environment: t.Mapping[str, str]) -> str | None:
    """winrm_proxy, unless NO_PROXY names the host. HTTPS_PROXY leads to Microsoft; a management host is inside."""
    without = next((value for name, value in environment.items() if name.lower() == "no_proxy"), "")
    if not named or not named.strip() or _gate.is_machine(host) or _proxy.bypasses(host, without, port):
        return None
    _proxy.parse(named.strip(), "winrm_proxy")
    return named.strip()


_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


class Peer(t.Protocol):
    """What is used of pywinrm's Protocol."""

    def open_shell(self, *, codepage: int, idle_timeout: str | None) -> str:
        """Return the shell's id."""

    def run_command(self, shell_id: str, command: str, arguments: t.Iterable[str], console_mode_stdin: bool) -> str:
        """Return the command's id."""

    def send_command_input(self, shell_id: str, command_id: str, stdin_input: bytes, end: bool = False) -> None:
        """Write to the command's standard input, and close it if that is the end."""

    def get_command_output_raw(self, shell_id: str, command_id: str) -> tuple[bytes, bytes, int, bool]:
        """Return both outputs, the exit code, and whether the command has ended."""

    def cleanup_command(self, shell_id: str, command_id: str) -> None:
        """End the command."""

    def close_shell(self, shell_id: str) -> None:
        """Delete the shell."""


def pywinrm(settings: Settings) -> Peer:
    """A Protocol of pywinrm's. Raises MissingLibrary and InvalidInput; nothing is sent yet."""
    if not HAS_WINRM:
        raise missing_library("pywinrm", WINRM_IMPORT_ERROR)
    if settings.scheme == "https" and settings.validate:
        try:
            settings.authorities.check()
        except Unreachable as exc:
            raise InvalidInput(exc.message, cure=exc.cure, options=("winrm_ca_path",)) from None
    extras = {"kerberos": winrm.transport.HAVE_KERBEROS, "credssp": winrm.transport.HAVE_CREDSSP}
    if not extras.get(settings.auth, True):
        raise _missing_extra(settings.auth)

    def expanded(path: str | None) -> str | None:
        return os.path.expanduser(path) if path else None

    protocol: t.Any = winrm.protocol.Protocol
    return t.cast(
        "Peer",
        protocol(
            endpoint=settings.endpoint,
            transport=settings.auth,
            username=settings.user,
            password=settings.password,
            # None stands for the public CAs; the environment's were looked at already.
            ca_trust_path=settings.ca_path,
            cert_pem=expanded(settings.certificate_path),
            cert_key_pem=expanded(settings.certificate_key_path),
            server_cert_validation="validate" if settings.validate else "ignore",
            read_timeout_sec=settings.read_timeout_s,
            operation_timeout_sec=settings.operation_timeout_s,
            message_encryption=settings.encrypts,
            proxy=settings.proxy,
        ),
    )


def _missing_extra(auth: str) -> MissingLibrary:
    found = missing_library(f"pywinrm[{auth}]", None)
    if auth == "kerberos":
        found.cure += (
            ". It is built against the Kerberos headers and library of this machine (krb5-devel or libkrb5-dev)"
        )
    return found


class Process:
    """One shell on the host and one PowerShell in it that runs the collection's script: requests in, answers out.

    Raises Unreachable when a request has certainly not been carried out, AnswerLost when it may have been, and
    HostNotReady when a person has to prepare the host. After any of them the process is of no use; ``close`` it.
    """

    def __init__(self, settings: Settings, clock: Clock, factory: t.Callable[[Settings], Peer] = pywinrm) -> None:
        self._settings = settings
        self._clock = clock
        self._factory = factory
        self._peer = factory(settings)
        self._shell: str | None = None
        self._command: str | None = None
        self._nonce = host_script.nonce()
        self._answers = host_answers.Answers(self._nonce)
        self._complaints = b""
        self.tick: t.Callable[[], None] = lambda: None  # called now and then while an answer is waited for
        self._sequence = 0
        self.secrets = [settings.password] if settings.password else []
        """What must not appear in a message, whoever quotes it."""
        self._waiting = bytearray()
        self._healthy = False
        self._heard = False
        self._ended = False

    def open(self) -> None:
        """Make the shell and start the process; it waits for the script then."""
        try:
            with self._told(doubt="never"):
                self._shell = self._open_shell()
                self._command = self._peer.run_command(
                    self._shell,
                    host_script.EXECUTABLES[self._settings.powershell],
                    host_script.ARGUMENTS,
                    # a pipe, so that bytes stay bytes
                    console_mode_stdin=False,
                )
        except _Slow:
            raise Unreachable(
                f"{self._settings.host} opens no shell within {self._settings.operation_timeout_s} seconds",
                cure="look at the host's load, or raise winrm_operation_timeout and winrm_read_timeout",
            ) from None
        except _Busy as exc:
            raise exc.problem from None
        self._waiting += host_script.SCRIPT_BYTES + self._nonce.encode("ascii")
        self._healthy = True

    def _open_shell(self) -> str:
        try:
            return self._peer.open_shell(codepage=UTF8, idle_timeout=f"PT{IDLE_S}S")
        except Exception as exc:
            if fault_code(exc) != SCHEMA:
                raise
            # A host that does not take the time-out there keeps its own.
            return self._peer.open_shell(codepage=UTF8, idle_timeout=None)

    def ask(self, requests: t.Sequence[Json], *, raw: bytes = b"") -> list[Json]:
        """The answers to requests (without ``sequence``) that are sent in one go; ``raw`` follows the last one."""
        numbered = []
        for request in requests:
            self._sequence += 1
            numbered.append(self._sequence)
            self._waiting += host_script.frame({**request, "sequence": self._sequence})
        self._waiting += raw
        until = self._clock.monotonic() + self._settings.deadline_s
        try:
            self._send(until)
            return [self._receive(number, until) for number in numbered]
        except BaseException:
            self._healthy = False
            raise

    def _send(self, until: float) -> None:
        """A request is carried out once its last byte is there, so only the last piece is in doubt."""
        while self._waiting:
            piece = bytes(self._waiting[:PIECE])
            del self._waiting[:PIECE]
            attempt = 0
            while True:
                attempt += 1
                try:
                    with self._told(doubt="never" if self._waiting else "arrived"):
                        self._peer.send_command_input(self._shell_id, self._command_id, piece)
                except _Busy as exc:
                    if attempt == 3 or self._clock.monotonic() > until:
                        raise exc.problem from None
                    self._clock.sleep(5.0)
                    continue
                except _Slow:
                    # The host took the bytes and is only late in saying so; sent again they would be there twice.
                    pass
                break

    def _receive(self, number: int, until: float) -> Json:
        while True:
            try:
                found = self._answers.take(number)
                if found is not None:
                    self._heard = True
                    return t.cast("Json", found)
                if self._ended:
                    raise self._ended_early()
                if self._clock.monotonic() > until:
                    raise AnswerLost(
                        f"{self._settings.host} gave no answer within {self._settings.deadline_s:.0f} seconds",
                        cure="look at the host's load, or raise winrm_deadline",
                    )
                self.tick()
                with contextlib.suppress(_Slow), self._told(doubt="always"):
                    self._listen()
            except _Busy as exc:
                raise AnswerLost(exc.problem.message, cure=exc.problem.cure) from None
            except ValueError as exc:
                raise AnswerLost(f"{self._settings.host} answered in no known form ({exc})") from None

    def _listen(self) -> None:
        output, complaints, _code, self._ended = self._peer.get_command_output_raw(self._shell_id, self._command_id)
        self._answers.feed(output)
        self._complaints = (self._complaints + complaints)[:20000]

    def close(self) -> bool:
        """End the process and delete the shell, whatever has happened; whether it is gone. Raises nothing."""
        shell, command = self._shell, self._command
        self._shell = None
        if shell is None:
            return True
        peer = self._peer
        if self._healthy and command is not None:
            self._say_goodbye(peer, shell, command)
        # A broken connection, and an encryption that belonged to it, are of no use for tidying up: begin anew.
        until = self._clock.monotonic() + GOODBYE_S
        for attempt in range(3):
            if attempt and self._clock.monotonic() > until:
                break
            try:
                if attempt or not self._healthy:
                    peer = self._factory(self._settings)
                if command is not None:
                    with contextlib.suppress(*_FAULTS):
                        peer.cleanup_command(shell, command)
                peer.close_shell(shell)
                return True
            except Exception as exc:
                if fault_code(exc) == NO_SUCH_SHELL:
                    return True
        return False  # the host removes it after IDLE_S

    def _say_goodbye(self, peer: Peer, shell: str, command: str) -> None:
        """The end of standard input makes the script disconnect from Exchange; that may take seconds."""
        until = self._clock.monotonic() + GOODBYE_S
        try:
            if not self._ended:
                peer.send_command_input(shell, command, b"", end=True)
            while not self._ended and self._clock.monotonic() < until:
                try:
                    *_streams, self._ended = peer.get_command_output_raw(shell, command)
                except Exception as exc:
                    if not is_timeout(exc):
                        raise
        except Exception:
            self._healthy = False

    @property
    def _shell_id(self) -> str:
        if self._shell is None:
            raise AssertionError("the process is not open")
        return self._shell

    @property
    def _command_id(self) -> str:
        if self._command is None:
            raise AssertionError("the process is not started")
        return self._command

    def _ended_early(self) -> M365Error:
        """PowerShell ended without an answer; what it said on standard error may tell why."""
        said = complaint(self._complaints)
        for secret in self.secrets:
            said = said.replace(secret, "********")
        found = None if self._heard else _texts.host_problem(said)
        if found is not None:
            return not_ready(found, said, self._settings.host)
        return AnswerLost(
            f"PowerShell on {self._settings.host} ended before it answered"
            + (f": {said[:300]}" if said else ", without a word"),
            cure="run again; if it stays so, run windows_host_info to check the host",
        )

    @contextlib.contextmanager
    def _told(self, *, doubt: t.Literal["never", "arrived", "always"]) -> t.Iterator[None]:
        """Errors of the transport as ours. ``doubt``: when a request may have been carried out in spite of one."""
        try:
            yield
        except M365Error:
            raise
        except Exception as exc:
            if is_timeout(exc):
                raise _Slow from None
            problem, arrived = explain(exc, self._settings)
            if problem is None:
                raise
            if fault_code(exc) == BUSY:
                raise _Busy(problem) from None
            if doubt == "always" or (doubt == "arrived" and arrived):
                problem = AnswerLost(problem.message, cure=problem.cure)
            raise problem from None


class _Slow(Exception):
    """The operation time-out of WS-Man: nothing to tell yet."""


class _Busy(Exception):
    def __init__(self, problem: M365Error) -> None:
        super().__init__()
        self.problem = problem


_FAULTS: tuple[type[Exception], ...] = (
    (winrm.exceptions.WSManFaultError, winrm.exceptions.WinRMOperationTimeoutError) if HAS_WINRM else ()
)


def is_timeout(exc: BaseException) -> bool:
    return HAS_WINRM and isinstance(exc, winrm.exceptions.WinRMOperationTimeoutError)


def fault_code(exc: BaseException) -> int | None:
    """The number of a WS-Man fault; None for anything else."""
    code = getattr(exc, "wsman_fault_code", None)
    return int(code) if code is not None else None


def explain(exc: Exception, settings: Settings) -> tuple[M365Error | None, bool]:
    """What an error of pywinrm or requests means, and whether the request may have arrived; None: not one of theirs.

    No text of theirs is passed on that could quote a request.
    """
    where = f"{settings.host}:{settings.port}"
    if not HAS_WINRM:
        return None, False
    if isinstance(exc, winrm.exceptions.AuthenticationError):
        return not_ready("unauthorized", "", where), False
    if isinstance(exc, winrm.exceptions.WSManFaultError):
        return _of_fault(exc, where), False
    if isinstance(exc, winrm.exceptions.WinRMTransportError):
        if exc.code == 400:
            # An encrypted message on a connection that was made anew: the host could not read it.
            return Unreachable(f"the session with {where} was lost", cure=_AGAIN), False
        if exc.code in (403, 404, 405):
            return not_ready("no_wsman", f"HTTP {exc.code}", where), False
        return Unreachable(f"{where} answered HTTP {exc.code} instead of WS-Man", cure=_AGAIN), True
    if isinstance(exc, winrm.exceptions.WinRMError):
        return not_ready("no_encryption" if "encryption" in str(exc) else "protocol", "", where), False
    if isinstance(exc, PermissionError) and "NTLM" in str(exc):
        return not_ready("no_ntlm", "", where), False
    if isinstance(exc, requests.exceptions.SSLError):
        return _of_tls(exc, where, settings), False
    if isinstance(exc, requests.exceptions.ProxyError):
        return Unreachable(f"the proxy did not connect to {where}", cure="check winrm_proxy"), False
    if isinstance(exc, requests.exceptions.ConnectTimeout):
        return Unreachable(f"{where} did not accept a connection in time", cure=_ROUTE.format(where)), False
    if isinstance(exc, requests.exceptions.ConnectionError) and _never_connected(exc):
        return Unreachable(f"no connection to {where}", cure=_ROUTE.format(where)), False
    if isinstance(exc, requests.exceptions.RequestException):
        cure = f"{_AGAIN}. {_CERTIFICATE}" if settings.auth == "certificate" else _AGAIN
        return Unreachable(f"the connection to {where} broke ({type(exc).__name__})", cure=cure), True
    if isinstance(exc, (OSError, AssertionError, SyntaxError, StopIteration)):
        # pywinrm lets these out for an answer that is not what it expects; a StopIteration for a missing element.
        return Unreachable(f"{where} answered with something that is not WS-Man", cure=_AGAIN), True
    if type(exc).__module__.partition(".")[0] in ("spnego", "kerberos", "winkerberos", "gssapi", "krb5", "winrm"):
        return not_ready("negotiation", type(exc).__name__, where), False
    return None, False


_AGAIN = "run again; if it stays so, look at the host's WinRM service and at what stands between"
_CERTIFICATE = "A host that does not accept the client certificate breaks the connection, too"
_ROUTE = "check that {} is reachable from here, that a listener answers there and that the host's firewall lets it in"


def _never_connected(exc: BaseException) -> bool:
    seen = str(exc)
    return any(word in seen for word in ("NewConnectionError", "NameResolutionError", "Failed to establish"))


def _of_tls(exc: Exception, where: str, settings: Settings) -> M365Error:
    seen, auth = str(exc), settings.auth
    verified = _tls.find(exc, ssl.SSLCertVerificationError)
    if isinstance(verified, ssl.SSLCertVerificationError):
        kind = {9: "certificate_early", 10: "certificate_ended", 62: "certificate_name", 64: "certificate_name"}
        said = f"{verified.verify_message}; trusted: {settings.authorities.words}"
        return not_ready(kind.get(verified.verify_code, "certificate_untrusted"), said, where)
    if (
        "CERTIFICATE_VERIFY_FAILED" not in seen
        and "WRONG_VERSION" not in seen
        and (auth == "certificate" or "alert certificate" in seen)
    ):
        return not_ready("client_certificate", "", where)
    if "doesn't match" in seen or "Hostname mismatch" in seen or "not valid for" in seen:
        return not_ready("certificate_name", "", where)
    return not_ready("certificate_untrusted" if "CERTIFICATE_VERIFY_FAILED" in seen else "tls", "", where)


def _of_fault(exc: t.Any, where: str) -> M365Error:
    code = fault_code(exc)
    reason = " ".join(str(exc.reason or "").split())
    if code == NO_SUCH_SHELL:
        return Unreachable(f"{where} has removed the shell", cure=_AGAIN)
    if code == BUSY:
        return Unreachable(f"{where} is busy with what it was sent before", cure=_AGAIN)
    found = _texts.HOST_FAULTS.get(code or 0) or _texts.host_problem(reason)
    problem = not_ready(found or "fault", reason, where)
    problem.code = str(code) if code is not None else problem.code
    return problem


def not_ready(problem: str, said: str, where: str) -> HostNotReady:
    """From the table of what can be wrong with a host; ``said`` are the host's own words."""
    known = _texts.HOST[problem]
    return HostNotReady(
        f"{where}: {known.meaning}" + (f" ({said[:300]})" if said else ""),
        cure=known.cure,
        who=known.who or "the host's administrator",
        code=problem,
    )


def complaint(raw: bytes) -> str:
    """What a process said on standard error, in one line: without progress, warnings and CLIXML around it."""
    text = raw.decode("utf-8", "replace").replace("\x00", "")
    if "#< CLIXML" in text:
        pieces = re.findall(r'<S S="Error">(.*?)</S>', text, re.DOTALL)
        text = "".join(pieces)
        text = re.sub(r"_x([0-9A-Fa-f]{4})_", lambda match: chr(int(match[1], 16)), text)
        text = html.unescape(text)
    return " ".join(text.split())
