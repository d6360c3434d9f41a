"""Encrypt secrets that must be readable later, so that a copy of the database reveals none.

AES-256 in Galois/Counter Mode detects a change of the ciphertext and a move to another row. The
stored form is version, nonce, tag, ciphertext.
Source: NIST SP 800-38D; nonces of 96 random bits, at most 2³² secrets per key (8.3).
"""

import contextlib
import hmac
import secrets
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from smart_filter_shared.errors import SetupFailed

_VERSION: Final = b"\x01"
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_PURPOSE: Final = b"smart-filter: sealing"


class SecretBox:
    """Encrypts with the first of several keys, and decrypts with the one that fits."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Derive the encryption keys.  keys: at least one unguessable text."""
        self._ciphers = [AESGCM(hmac.digest(_PURPOSE, key.encode(), "sha256")) for key in keys]

    def close(self, secret: bytes, *, about: str) -> bytes:
        """Return the encrypted secret.  about: its owner, which `open` must name too."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._ciphers[0].encrypt(nonce, secret, about.encode())
        return _VERSION + nonce + sealed[-_TAG_BYTES:] + sealed[:-_TAG_BYTES]

    def open(self, sealed: bytes, *, about: str) -> bytes:
        """Return the decrypted secret.

        Raises SetupFailed when no key fits, or `about` is not the owner given to `close`.
        """
        nonce, rest = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        tag, encrypted = rest[:_TAG_BYTES], rest[_TAG_BYTES:]
        for cipher in self._ciphers:
            # A nonce that was cut off is a ValueError.
            with contextlib.suppress(InvalidTag, ValueError):
                return cipher.decrypt(nonce, encrypted + tag, about.encode())
        raise SetupFailed(
            f"a secret of {about} was encrypted with another key: append the former key, "
            "after a comma, to SMART_FILTER_SECRETS_KEY"
        )
