# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""No store: the value leaves the task sealed, for the holder of a private key."""

from __future__ import annotations

import base64
import hashlib
import pathlib
import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import InvalidInput, MissingLibrary
from ansible_collections.mail2fax.m365.plugins.module_utils._store import Place

if t.TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

SMALLEST_KEY_BITS = 2048


class Sealed:
    """RSA-OAEP with SHA-256 (also as its mask's hash), in base64; ``openssl pkeyutl`` opens it."""

    def __init__(self, key: RSAPublicKey, name: str) -> None:
        self._key = key
        self._name = name

    @classmethod
    def from_options(cls, options: t.Mapping[str, t.Any]) -> Sealed:
        """From ``seal_to``: a public key in PEM, or the path of one. Raises InvalidInput, MissingLibrary."""
        try:
            from cryptography.exceptions import UnsupportedAlgorithm
            from cryptography.hazmat.primitives import serialization
            from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
        except ImportError:
            raise MissingLibrary(
                "the Python library cryptography is not installed where Ansible runs",
                cure="pip install cryptography, into the environment of ansible-playbook",
            ) from None
        given = str(options.get("seal_to") or "").strip()
        if not given:
            raise InvalidInput(
                "store.seal_to is missing", cure="give the public key (PEM) of the person who will open the secret"
            )
        text = given if "-----BEGIN" in given else _content(given)
        if "PRIVATE KEY" in text:
            raise InvalidInput(
                "store.seal_to is a private key", cure="give its public half: openssl pkey -in KEY -pubout"
            )
        try:
            key = serialization.load_pem_public_key(text.encode())
        except (ValueError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, RSAPublicKey) or key.key_size < SMALLEST_KEY_BITS:
            raise InvalidInput(
                f"store.seal_to is not an RSA public key of {SMALLEST_KEY_BITS} bits or more in PEM",
                cure="make one: openssl genrsa -out KEY 3072; openssl pkey -in KEY -pubout -out KEY.pub",
            )
        der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return cls(key, f"nowhere; sealed for the RSA key SHA256:{hashlib.sha256(der).hexdigest()[:16]}")

    @property
    def place(self) -> Place:
        return Place("none", self._name)

    def describe(self) -> str:
        return self.place.words

    def seal(self, value: str) -> str:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding

        oaep = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
        return base64.b64encode(self._key.encrypt(value.encode(), oaep)).decode("ascii")


def _content(path: str) -> str:
    try:
        return pathlib.Path(path).expanduser().read_text(encoding="ascii")
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not text"
        raise InvalidInput(
            f"store.seal_to cannot be read ({reason})", cure="give a public key in PEM, or the path of one"
        ) from None
