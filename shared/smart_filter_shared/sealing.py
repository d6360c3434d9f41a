"""Seals secrets that must be read again, so that a copy of the database tells none of them.

AES-256 in Galois/Counter Mode: whoever changes what is sealed, or moves it to another row, is
found out. Stored are a version, the nonce, the tag and the ciphertext.
Source: NIST SP 800-38D; nonces of 96 random bits, 2³² secrets a key at most (8.3).
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


class Seal:
    """Seals with the first of some keys, and opens with whichever fits."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Take keys: texts that nobody can guess, at least one."""
        self._keys = [hmac.digest(_PURPOSE, key.encode(), "sha256") for key in keys]

    def close(self, secret: bytes, *, about: str) -> bytes:
        """Return a secret sealed; about: what it belongs to, which opening it has to name."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        cipher = AES.new(self._keys[0], AES.MODE_GCM, nonce=nonce, mac_len=_TAG_BYTES)
        cipher.update(about.encode())
        sealed, tag = cipher.encrypt_and_digest(secret)
        return _VERSION + nonce + tag + sealed

    def open(self, sealed: bytes, *, about: str) -> bytes:
        """Return what was sealed.

        Raises SetupFailed when no key fits, or it belongs to something else.
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
            f"a secret of {about} was sealed with another key: name the former one too, "
            "behind a comma, in SMART_FILTER_SECRETS_KEY"
        )
