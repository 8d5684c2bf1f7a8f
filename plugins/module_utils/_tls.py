# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""TLS that does not come about, explained: the verifier's own reason, the file used, what it holds, and a cure."""

from __future__ import annotations

import os
import re
import ssl
import typing as t
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Unreachable

CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
"""What names a CA file where no option does, in this order."""

_PEM = re.compile(rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----")
_UNKNOWN_ISSUER = frozenset({2, 7, 18, 19, 20, 21, 27})
_NOT_YET, _EXPIRED, _OTHER_NAME, _OTHER_ADDRESS = 9, 10, 62, 64
_REVOKED = 23
_WEAK = frozenset({66, 67, 68})
_STRICT = frozenset(range(76, 95))
"""What VERIFY_X509_STRICT adds, which Python switches on from 3.13 on: how a CA's certificate has to be made."""


@dataclass(frozen=True)
class Authorities:
    """Which certificate authorities are trusted. ``path`` is None for the public ones; ``named_by`` is the option or
    the variable that names the file."""

    path: str | None = None
    named_by: str = ""

    @classmethod
    def of(cls, option: str | None, environment: t.Mapping[str, str], name: str = "ca_path") -> Authorities:
        """The option wins over the environment."""
        if option:
            return cls(os.path.expanduser(option), name)
        found = next((variable for variable in CA_VARIABLES if environment.get(variable)), None)
        return cls(environment[found], found) if found else cls()

    @property
    def is_directory(self) -> bool:
        """Whether it is one of OpenSSL's folders."""
        return self.path is not None and os.path.isdir(self.path)

    @property
    def words(self) -> str:
        """With how many certificates it holds."""
        if self.path is None:
            return "the public authorities that come with the Python library certifi"
        count = _count(self.path)
        return f"{self.path!r} (from {self.named_by}, with {count} certificate{'' if count == 1 else 's'})"

    def check(self, *, whole: bool = False) -> None:
        """Raises Unreachable for a file that no certificate can be read from; a folder is OpenSSL's to judge.

        ``whole`` also reads each certificate, which takes a tenth of a second for a system's bundle.
        """
        if self.path is None or os.path.isdir(self.path):
            return
        try:
            with open(self.path, "rb") as stream:
                content = stream.read()
        except OSError as exc:
            raise self._unusable(
                f"cannot be read ({exc.strerror or type(exc).__name__})", "name a readable PEM file"
            ) from None
        if not content.strip():
            raise self._unusable("is empty", "put the certificates of the authorities into it, in PEM")
        if content[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0-\0-\0" in content[:4096]:
            raise self._unusable("is text in UTF-16", "save it as plain ASCII (PowerShell: Out-File -Encoding ascii)")
        if _PEM.search(content):
            if not whole:
                return
            try:
                ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=self.path)
            except (ssl.SSLError, OSError):
                raise self._unusable(
                    "holds a certificate that cannot be read",
                    "look for a damaged or cut block in it (openssl storeutl -certs -noout FILE names it)",
                ) from None
            return
        if content[:1] == b"\x30":
            raise self._unusable("is in DER", "convert it to PEM: openssl x509 -inform der -in FILE -out FILE.pem")
        if b"PRIVATE KEY-----" in content:
            raise self._unusable("holds a key and no certificate", "name the authority's certificate, in PEM")
        if b"BEGIN PKCS7" in content:
            raise self._unusable(
                "is in PKCS #7", "convert it to PEM: openssl pkcs7 -print_certs -in FILE -out FILE.pem"
            )
        raise self._unusable("holds no certificate", "name a PEM file, with lines that say BEGIN CERTIFICATE")

    def _unusable(self, what: str, cure: str) -> Unreachable:
        return Unreachable(
            f"the CA file {self.path!r} (from {self.named_by}) {what}",
            cure=cure,
            lasting=True,
            options=(self.named_by,) if self.named_by.islower() else (),
        )


def explain(
    exc: BaseException, host: str, authorities: Authorities, *, proxy: str | None = None, port: int = 443
) -> Unreachable:
    """What a failed handshake means. ``proxy`` is the proxy's place where the TLS to the proxy itself failed."""
    whose = f"the proxy {proxy}" if proxy else host
    verification = find(exc, ssl.SSLCertVerificationError)
    if verification is None and proxy is None:
        try:
            authorities.check(whole=True)
        except Unreachable as unusable:
            return unusable
    if isinstance(verification, ssl.SSLCertVerificationError):
        return _untrusted(verification, whose, authorities)
    said = " ".join(str(one) for one in chain(exc)).upper().replace(" ", "_")
    if any(
        sign in said for sign in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "UNKNOWN_PROTOCOL")
    ):
        if proxy:
            return Unreachable(
                f"the proxy {proxy} does not speak TLS itself",
                cure="write http:// in front of the proxy's name: what is sent through it is encrypted all the same",
                lasting=True,
            )
        return Unreachable(
            f"what answers in the place of {host} on port {port} does not speak TLS",
            cure="look for a firewall, a portal or a name server that leads elsewhere, between this machine and "
            f"{host}",
            who="the administrator of the network here",
            lasting=True,
        )
    if any(sign in said for sign in ("ALERT", "UNSUPPORTED_PROTOCOL", "NO_CIPHERS", "NO_SHARED_CIPHER", "DH_KEY")):
        reason = getattr(find(exc, ssl.SSLError), "reason", None) or "no reason given"
        return Unreachable(
            f"{whose} and this machine agree on no way to encrypt ({str(reason).lower().replace('_', ' ')})",
            cure="let this machine's OpenSSL and what inspects TLS on the way speak TLS 1.2 or newer",
            who="the administrator of the network here",
            lasting=True,
        )
    return Unreachable(
        f"the TLS connection to {whose} broke off before it had come about",
        cure="look for a firewall or proxy on the way that cuts TLS, and run again",
    )


def _untrusted(exc: ssl.SSLCertVerificationError, whose: str, authorities: Authorities) -> Unreachable:
    code, reason = exc.verify_code, exc.verify_message.rstrip(".") or "no reason given"
    message = f"the TLS certificate of {whose} is not accepted: {reason} (error {code}); trusted: {authorities.words}"
    network = "the administrator of the network here"
    about: dict[str, t.Any] = {"lasting": True, "code": f"X509_{code}", "options": ("ca_path",)}
    if code in (_OTHER_NAME, _OTHER_ADDRESS):
        return Unreachable(
            message,
            cure="find out what answers in its place: a name server, a proxy, or an entry in /etc/hosts",
            who=network,
            **{**about, "options": ()},
        )
    if code == _EXPIRED:
        return Unreachable(
            message,
            cure="have the certificate that has run out renewed (mostly that of a proxy that inspects TLS, or of its "
            "CA), and check this machine's clock",
            who=network,
            **{**about, "options": ()},
        )
    if code == _NOT_YET:
        return Unreachable(message, cure="set this machine's clock right", **{**about, "options": ()})
    if code == _REVOKED:
        return Unreachable(message, cure="have it replaced", who=network, **{**about, "options": ()})
    if code in _WEAK:
        return Unreachable(
            message,
            cure="have the proxy's certificates made anew with RSA 2048 or more and SHA-256",
            who=network,
            **{**about, "options": ()},
        )
    if code in _UNKNOWN_ISSUER:
        held = (
            "put the CA of the proxy that inspects TLS into a PEM file and name it in ca_path (or REQUESTS_CA_BUNDLE)"
            if authorities.path is None
            else "add the CA that issued the certificate, and each CA between, to that file"
        )
        return Unreachable(message, cure=held, who=network, **about)
    if code in _STRICT:
        return Unreachable(
            message,
            cure="have the CA's certificate made anew as RFC 5280 wants it (key identifiers, basic constraints that "
            "are critical), or run with Python 3.12, whose rules are looser",
            who=network,
            **about,
        )
    return Unreachable(
        message, cure="have the certificate replaced, or name the right CA in ca_path", who=network, **about
    )


def chain(exc: BaseException | None) -> t.Iterator[BaseException]:
    """The exception with what it wraps, however the libraries do that."""
    seen: set[int] = set()
    waiting = [exc]
    while waiting:
        one = waiting.pop(0)
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]


def find(exc: BaseException, *kinds: type[BaseException]) -> BaseException | None:
    """The first exception of these kinds in the chain."""
    return next((one for one in chain(exc) if isinstance(one, kinds)), None)


def _find(exc: BaseException, kind: type[BaseException]) -> BaseException | None:
    return find(exc, kind)


def _count(path: str) -> int:
    """How many certificates a file, or OpenSSL's folder, holds; 0 where it cannot be read."""
    try:
        names = [os.path.join(path, name) for name in os.listdir(path)] if os.path.isdir(path) else [path]
        count = 0
        for name in names:
            with open(name, "rb") as stream:
                count += len(_PEM.findall(stream.read()))
        return count
    except OSError:
        return 0
