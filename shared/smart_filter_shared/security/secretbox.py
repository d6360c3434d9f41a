"""Encrypt secrets that must be readable later, so that a copy of the database reveals none.

AES-256 in Galois/Counter Mode detects a change of the ciphertext and a move to another row. The
stored form is version, nonce, tag, ciphertext.
Source: NIST SP 800-38D; nonces of 96 random bits, at most 2³² secrets per key (8.3).
"""

import hmac
import secrets
from collections.abc import Sequence
from typing import Final

from Crypto.Cipher import AES

from smart_filter_shared.errors import SetupFailed

_VERSION: Final = b"\x01"
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_PURPOSE: Final = b"smart-filter: sealing"


class SecretBox:
    """Encrypts with the first of several keys, and decrypts with the one that fits."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Derive the encryption keys.  keys: at least one unguessable text."""
        self._keys = [hmac.digest(_PURPOSE, key.encode(), "sha256") for key in keys]

    def close(self, secret: bytes, *, about: str) -> bytes:
        """Return the encrypted secret.  about: its owner, which `open` must name too."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        cipher = AES.new(self._keys[0], AES.MODE_GCM, nonce=nonce, mac_len=_TAG_BYTES)
        cipher.update(about.encode())
        sealed, tag = cipher.encrypt_and_digest(secret)
        return _VERSION + nonce + tag + sealed

    def open(self, sealed: bytes, *, about: str) -> bytes:
        """Return the decrypted secret.

        Raises SetupFailed when no key fits, or `about` is not the owner given to `close`.
        """
        nonce, rest = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        for key in self._keys:
            cipher = AES.new(key, AES.MODE_GCM, nonce=nonce, mac_len=_TAG_BYTES)
            cipher.update(about.encode())
            try:
                return cipher.decrypt_and_verify(rest[_TAG_BYTES:], rest[:_TAG_BYTES])
            except ValueError:
                continue
        raise SetupFailed(
            f"a secret of {about} was encrypted with another key: append the former key, "
            "after a comma, to SMART_FILTER_SECRETS_KEY"
        )
