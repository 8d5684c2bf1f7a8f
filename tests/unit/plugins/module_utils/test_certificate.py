# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operator's certificate: every file that people name, and what is said of the ones that cannot do."""

from __future__ import annotations

import base64
import datetime as dt
import typing as t

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import NameOID

from ansible_collections.mail2fax.m365.plugins.module_utils import _certificate
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import InvalidInput
from tests.unit.script import NOW

DAY = dt.timedelta(days=1)
Made = t.Any


def certificate(key: t.Any, name: str = "operator", begins: int = -10, ends: int = 100, signer: t.Any = None) -> Made:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    built = x509.CertificateBuilder(
        subject, subject, key.public_key(), x509.random_serial_number(), NOW + begins * DAY, NOW + ends * DAY
    )
    return built.sign(signer or key, hashes.SHA256())


@pytest.fixture(scope="module")
def keys() -> dict[str, t.Any]:
    return {
        "rsa": rsa.generate_private_key(65537, 2048),
        "root": rsa.generate_private_key(65537, 2048),
        "short": rsa.generate_private_key(65537, 1024),
        "ec": ec.generate_private_key(ec.SECP256R1()),
    }


def pem(one: Made) -> bytes:
    return bytes(one.public_bytes(Encoding.PEM))


def private(key: Made, passphrase: str | None = None, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    cover = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    return bytes(key.private_bytes(Encoding.PEM, form, cover))


def pfx(key: Made, own: Made, passphrase: str | None, others: list[Made] | None = None) -> bytes:
    cover = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    return pkcs12.serialize_key_and_certificates(b"operator", key, own, others, cover)


def load(tmp_path, content: bytes, passphrase: str | None = None) -> _certificate.Pair:
    path = tmp_path / "operator"
    path.write_bytes(content)
    return _certificate.load(path, passphrase, NOW)


def refused(tmp_path, content: bytes, passphrase: str | None = None) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        load(tmp_path, content, passphrase)
    assert caught.value.cure
    assert caught.value.options
    assert "canary" not in str(caught.value)
    return caught.value


def test_the_certificate_is_the_key_s_wherever_it_stands(tmp_path, keys):
    own, root = certificate(keys["rsa"]), certificate(keys["root"], "root")
    key = private(keys["rsa"])
    for content in (
        pem(root) + pem(own) + key,
        key + pem(root) + pem(own),
        pem(own) + key + pem(root),
        b"\xef\xbb\xbf" + key + pem(own),
        (key + pem(own)).replace(b"\n", b"\r\n"),
        b"Bag Attributes\n    friendlyName: x\n" + key + b"subject=CN = x\n" + pem(own),
        private(keys["rsa"], form=PrivateFormat.TraditionalOpenSSL) + pem(own),
        b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n" + key + pem(own),
    ):
        assert load(tmp_path, content).certificate == own
    for others in ([root], None):
        assert load(tmp_path, pfx(keys["rsa"], own, "open", others), "open").certificate == own
    assert load(tmp_path, pfx(keys["rsa"], own, None)).certificate == own
    assert load(tmp_path, private(keys["rsa"], "open") + pem(own), "open").certificate == own
    traditional = private(keys["rsa"], "open", PrivateFormat.TraditionalOpenSSL)
    assert load(tmp_path, traditional + pem(own), "open").certificate == own


def test_of_two_certificates_of_one_key_the_one_that_lasts_is_taken(tmp_path, keys):
    old, new = certificate(keys["rsa"], ends=-1), certificate(keys["rsa"], ends=400)
    assert load(tmp_path, pem(old) + private(keys["rsa"]) + pem(new)).certificate == new


def test_a_file_that_is_not_there_is_told(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(InvalidInput, match="cannot be read"):
            _certificate.load(path, None, NOW)


CASES: dict[str, tuple[t.Callable[[dict[str, t.Any]], bytes], str | None, str]] = {
    "empty": (lambda k: b" \n", None, "is empty"),
    "a PEM with a certificate alone": (lambda k: pem(certificate(k["rsa"])), None, "no private key"),
    "a PEM with a key alone": (lambda k: private(k["rsa"]), None, "no certificate"),
    "a PEM whose key is cut off": (lambda k: pem(certificate(k["rsa"])) + private(k["rsa"])[:200], None, "cut off"),
    "a PEM whose key is damaged": (
        lambda k: pem(certificate(k["rsa"])) + b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        None,
        "cannot be read",
    ),
    "a PEM whose certificate is damaged": (
        lambda k: private(k["rsa"]) + b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        None,
        "certificate that cannot be read",
    ),
    "a PEM in UTF-16": (
        lambda k: (private(k["rsa"]) + pem(certificate(k["rsa"]))).decode().encode("utf-16"),
        None,
        "UTF-16",
    ),
    "a PEM in UTF-16 without its mark": (
        lambda k: (private(k["rsa"]) + pem(certificate(k["rsa"]))).decode().encode("utf-16-le"),
        None,
        "UTF-16",
    ),
    "an encrypted PEM without a passphrase": (
        lambda k: private(k["rsa"], "open") + pem(certificate(k["rsa"])),
        None,
        "certificate_passphrase is not set",
    ),
    "an encrypted PEM with a wrong one": (
        lambda k: private(k["rsa"], "open") + pem(certificate(k["rsa"])),
        "canary",
        "does not open",
    ),
    "an old encrypted PEM without one": (
        lambda k: private(k["rsa"], "open", PrivateFormat.TraditionalOpenSSL) + pem(certificate(k["rsa"])),
        None,
        "certificate_passphrase is not set",
    ),
    "a plain PEM with a passphrase": (
        lambda k: private(k["rsa"]) + pem(certificate(k["rsa"])),
        "canary",
        "is not encrypted",
    ),
    "a passphrase with a line break": (
        lambda k: private(k["rsa"], "open") + pem(certificate(k["rsa"])),
        "open\n",
        "ends with a line break",
    ),
    "a PFX with a wrong passphrase": (
        lambda k: pfx(k["rsa"], certificate(k["rsa"]), "open"),
        "canary",
        "does not open",
    ),
    "a PFX without its passphrase": (
        lambda k: pfx(k["rsa"], certificate(k["rsa"]), "open"),
        None,
        "certificate_passphrase is not set",
    ),
    "a PFX as base64 text": (
        lambda k: base64.encodebytes(pfx(k["rsa"], certificate(k["rsa"]), "open")),
        "open",
        "base64 text",
    ),
    "a PFX without a key": (
        lambda k: pkcs12.serialize_key_and_certificates(None, None, None, [certificate(k["rsa"])], NoEncryption()),
        None,
        "no private key",
    ),
    "a certificate in DER": (
        lambda k: certificate(k["rsa"]).public_bytes(Encoding.DER),
        None,
        "a certificate without its private key",
    ),
    "a key in DER": (
        lambda k: k["rsa"].private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
        None,
        "a private key without its certificate",
    ),
    "a page": (lambda k: b"<html>not found</html>", None, "neither PEM nor a PFX"),
    "an elliptic key": (lambda k: private(k["ec"]) + pem(certificate(k["ec"])), None, "elliptic-curve"),
    "an elliptic key with its parameters": (
        lambda k: (
            b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
            + private(k["ec"], form=PrivateFormat.TraditionalOpenSSL)
            + pem(certificate(k["ec"]))
        ),
        None,
        "elliptic-curve",
    ),
    "an elliptic PFX": (lambda k: pfx(k["ec"], certificate(k["ec"]), "open"), "open", "elliptic-curve"),
    "a short key": (lambda k: private(k["short"]) + pem(certificate(k["short"])), None, "1024 bits"),
    "somebody else's certificate": (lambda k: private(k["rsa"]) + pem(certificate(k["root"])), None, "none belongs"),
    "a certificate that has ended": (
        lambda k: private(k["rsa"]) + pem(certificate(k["rsa"], ends=-1)),
        None,
        "ended on 2026-11-20T12:00:00Z",
    ),
    "a certificate of tomorrow": (
        lambda k: private(k["rsa"]) + pem(certificate(k["rsa"], begins=1)),
        None,
        "begins on 2026-11-22T12:00:00Z",
    ),
    "OpenSSH's own": (
        lambda k: (
            k["rsa"].private_bytes(Encoding.PEM, serialization.PrivateFormat.OpenSSH, NoEncryption())
            + pem(certificate(k["rsa"]))
        ),
        None,
        "OpenSSH",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_each_trouble_has_its_own_words(tmp_path, keys, name):
    content, passphrase, words = CASES[name]
    assert words in str(refused(tmp_path, content(keys), passphrase))
