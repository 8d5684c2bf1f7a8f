# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The operator's certificate with its key, read and judged before anything is sent; each trouble has its own words."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import pathlib
import re
import traceback
import typing as t
from dataclasses import dataclass, field

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import InvalidInput
from ansible_collections.mail2fax.m365.plugins.module_utils._http import missing_library
from ansible_collections.mail2fax.m365.plugins.module_utils._time import iso

try:
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import pkcs12
except ImportError:
    HAS_CRYPTOGRAPHY = False
    CRYPTOGRAPHY_IMPORT_ERROR: str | None = traceback.format_exc()
else:
    HAS_CRYPTOGRAPHY = True
    CRYPTOGRAPHY_IMPORT_ERROR = None

BITS = 2048
"""The shortest RSA key that Entra takes."""
CLOCKS_DIFFER = dt.timedelta(minutes=5)
WANTED = "name a PEM file with the private key and the certificate, or a PFX file"
_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\s.*?-----END \1-----", re.DOTALL)
_OPTION = re.compile(r"\bcertificate_(?:path|passphrase)\b")
_BASE64 = re.compile(rb"[A-Za-z0-9+/=\s]{64,}")


@dataclass(frozen=True)
class Pair:
    """A private key (RSA) and the certificate that is its own."""

    key: t.Any = field(repr=False)
    certificate: t.Any

    @property
    def thumbprint(self) -> str:
        """SHA-256, hexadecimal."""
        return str(self.certificate.fingerprint(hashes.SHA256()).hex())

    @property
    def der(self) -> str:
        """The certificate in base64, as the header ``x5c`` has it."""
        return base64.b64encode(self.certificate.public_bytes(serialization.Encoding.DER)).decode()


def load(path: pathlib.Path, passphrase: str | None, now: dt.datetime, prefix: str = "") -> Pair:
    """The pair in a PEM or PFX file that is good ``now``. Raises InvalidInput, and MissingLibrary.

    ``prefix`` stands before the names of the options, ``app_`` for those of the fax server's application.
    """
    if not HAS_CRYPTOGRAPHY:
        raise missing_library("cryptography", CRYPTOGRAPHY_IMPORT_ERROR)
    try:
        return _load(path, passphrase, now)
    except InvalidInput as exc:
        if prefix:
            exc.message, exc.cure = (_OPTION.sub(prefix + r"\g<0>", text) for text in (exc.message, exc.cure))
            exc.cure = exc.cure.replace(" (or M365_CERTIFICATE_PASSPHRASE)", "")
            exc.options = tuple(prefix + option for option in exc.options)
        raise


def _load(path: pathlib.Path, passphrase: str | None, now: dt.datetime) -> Pair:
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise _wrong(path, f"cannot be read ({exc.strerror or type(exc).__name__})", WANTED) from None
    if passphrase and passphrase[-1:] in "\r\n":
        raise InvalidInput(
            "certificate_passphrase ends with a line break",
            cure="take it out: a file's last line has one, and so has a YAML block that is begun with |",
            options=("certificate_passphrase",),
        )
    content = content.removeprefix(b"\xef\xbb\xbf")
    if not content.strip():
        raise _wrong(path, "is empty", WANTED)
    if content[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0-\0-\0" in content[:4096]:
        raise _wrong(path, "is text in UTF-16", "save it as plain ASCII (PowerShell: Out-File -Encoding ascii)")
    if b"-----BEGIN" in content:
        keys, certificates = _pem(path, content, passphrase)
    else:
        keys, certificates = _binary(path, content, passphrase)
    return _fitting(path, keys, certificates, now)


def _pem(path: pathlib.Path, content: bytes, passphrase: str | None) -> tuple[list[t.Any], list[t.Any]]:
    keys, certificates = [], []
    for found in _BLOCK.finditer(content):
        label, block = found[1].decode(), found[0] + b"\n"
        if label in ("CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"):
            block = block.replace(label.encode(), b"CERTIFICATE")
            try:
                certificates.append(x509.load_pem_x509_certificate(block))
            except ValueError:
                raise _wrong(path, "holds a certificate that cannot be read", "export it anew") from None
        elif label == "OPENSSH PRIVATE KEY":
            raise _wrong(path, "holds a key of OpenSSH's own kind", "convert it: ssh-keygen -p -m PEM -f FILE")
        elif label.endswith("PRIVATE KEY"):
            keys.append(_pem_key(path, label, block, passphrase))
    if not keys:
        more = ": a line of it may be cut off" if b"PRIVATE KEY-----" in content else ""
        raise _wrong(
            path,
            f"must hold both the private key and the certificate, and has no private key{more}",
            "put both PEM blocks into one file, or give a PFX file",
        )
    if not certificates:
        raise _wrong(
            path,
            "must hold both the private key and the certificate, and has no certificate",
            "put both PEM blocks into one file, or give a PFX file",
        )
    return keys, certificates


def _pem_key(path: pathlib.Path, label: str, block: bytes, passphrase: str | None) -> t.Any:
    encrypted = label == "ENCRYPTED PRIVATE KEY" or b"Proc-Type: 4,ENCRYPTED" in block
    if encrypted and not passphrase:
        raise _needs_passphrase(path)
    if passphrase and not encrypted:
        raise InvalidInput(
            f"certificate_passphrase is set, and the private key in {str(path)!r} is not encrypted",
            cure="leave the passphrase out (M365_CERTIFICATE_PASSPHRASE may still be set), or name the encrypted key",
            options=("certificate_passphrase",),
        )
    try:
        return serialization.load_pem_private_key(block, passphrase.encode() if passphrase else None)
    except UnsupportedAlgorithm:
        raise _old(path) from None
    except (ValueError, TypeError):
        if encrypted:
            raise _wrong_passphrase(path) from None
        raise _wrong(path, "holds a private key that cannot be read", "export it anew") from None


def _binary(path: pathlib.Path, content: bytes, passphrase: str | None) -> tuple[list[t.Any], list[t.Any]]:
    first = _inside(content)
    if first is None:
        if _BASE64.fullmatch(content) and _inside(_unpacked(content)) is not None:
            raise _wrong(path, "is base64 text and not the file itself", "unpack it: base64 -d FILE > FILE.pfx")
        raise _wrong(path, "is neither PEM nor a PFX file", WANTED)
    if first[:3] != b"\x02\x01\x03":
        what = (
            "a certificate without its private key" if first[:1] == b"\x30" else "a private key without its certificate"
        )
        raise _wrong(
            path,
            f"is in DER and holds {what}",
            "name a PFX file, or convert key and certificate to PEM (openssl pkey, openssl x509 with -inform der) "
            "and put both blocks into one file",
        )
    tried = [passphrase.encode()] if passphrase else [None, b""]
    for password in tried:
        try:
            key, certificate, others = pkcs12.load_key_and_certificates(content, password)
        except UnsupportedAlgorithm:
            raise _old(path) from None
        except (ValueError, TypeError):
            continue
        if key is None:
            raise _wrong(path, "holds no private key", "export it anew, with the private key")
        found = [one for one in (certificate, *others) if one is not None]
        if not found:
            raise _wrong(path, "holds no certificate", "export it anew, with the certificate")
        return [key], found
    raise _wrong_passphrase(path) if passphrase else _needs_passphrase(path)


def _fitting(path: pathlib.Path, keys: list[t.Any], certificates: list[t.Any], now: dt.datetime) -> Pair:
    """The certificate is the key's, wherever it stands among the chain's."""
    rsa_keys = [key for key in keys if isinstance(key, rsa.RSAPrivateKey)]
    if not rsa_keys:
        kind = type(keys[0]).__name__.lower()
        named = "an elliptic-curve key" if "elliptic" in kind or kind.startswith("ec") else "not an RSA key"
        raise _wrong(
            path,
            f"holds {named}, and Entra takes RSA keys alone",
            f"make a certificate with an RSA key of {BITS} bits or more, and upload its public part",
        )
    pairs = [
        Pair(key, one)
        for key in rsa_keys
        for one in certificates
        if isinstance(one.public_key(), type(key.public_key())) and one.public_key() == key.public_key()
    ]
    if not pairs:
        count = len(certificates)
        raise _wrong(
            path,
            f"holds {count} certificate{'' if count == 1 else 's'}, and none belongs to the private key",
            "put the key's own certificate beside it",
        )
    pair = max(pairs, key=lambda one: one.certificate.not_valid_after_utc)
    begins, ends = pair.certificate.not_valid_before_utc, pair.certificate.not_valid_after_utc
    if pair.key.key_size < BITS:
        raise _wrong(
            path,
            f"holds an RSA key of {pair.key.key_size} bits, and Entra takes {BITS} or more",
            "make a new key and certificate, and upload its public part",
        )
    if ends <= now:
        raise _wrong(
            path,
            f"holds a certificate that ended on {iso(ends)}",
            "make a new certificate, upload its public part to the operator's application, and name its file; check "
            "this machine's clock if that date lies ahead",
        )
    if begins > now + CLOCKS_DIFFER:
        raise _wrong(
            path,
            f"holds a certificate that begins on {iso(begins)} only",
            "wait until then, or set this machine's clock right",
        )
    return pair


def _inside(content: bytes) -> bytes | None:
    """What stands in a file that is one DER sequence; None when it is none."""
    if len(content) < 8 or content[0] != 0x30:
        return None
    length = content[1]
    return content[2 + (length & 0x7F if length & 0x80 else 0) :]


def _unpacked(content: bytes) -> bytes:
    try:
        return base64.b64decode(b"".join(content.split()), validate=True)
    except binascii.Error:
        return b""


def _wrong(path: pathlib.Path, what: str, cure: str) -> InvalidInput:
    return InvalidInput(f"certificate_path {str(path)!r} {what}", cure=cure, options=("certificate_path",))


def _needs_passphrase(path: pathlib.Path) -> InvalidInput:
    return InvalidInput(
        f"the private key in {str(path)!r} is encrypted, and certificate_passphrase is not set",
        cure="set certificate_passphrase (or M365_CERTIFICATE_PASSPHRASE)",
        options=("certificate_passphrase",),
    )


def _wrong_passphrase(path: pathlib.Path) -> InvalidInput:
    return InvalidInput(
        f"certificate_passphrase does not open the private key in {str(path)!r}, or the file is damaged",
        cure="check the passphrase, and how it is quoted; openssl pkey or openssl pkcs12 tells whether it fits",
        options=("certificate_passphrase",),
    )


def _old(path: pathlib.Path) -> InvalidInput:
    return _wrong(
        path,
        "is encrypted in a way that is not supported any more",
        "export it anew with AES-256 (Windows: Export-PfxCertificate -CryptoAlgorithmOption AES256_SHA256)",
    )
