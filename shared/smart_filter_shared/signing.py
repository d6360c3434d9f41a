"""Signatures of webhooks, as Standard Webhooks 1.0.0 has them: `v1`, HMAC-SHA256.

Source: github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md.
"""

import base64
import hmac
import secrets
from collections.abc import Sequence
from typing import Final

ID_HEADER: Final = "webhook-id"
TIMESTAMP_HEADER: Final = "webhook-timestamp"
SIGNATURE_HEADER: Final = "webhook-signature"

_PREFIX: Final = "whsec_"
_SECRET_BYTES: Final = 32  # the specification wants 24 to 64


def new_key() -> bytes:
    """Return a fresh key to sign with."""
    return secrets.token_bytes(_SECRET_BYTES)


def written(key: bytes) -> str:
    """Return a key as its owner is shown it: `whsec_` and base64."""
    return _PREFIX + base64.b64encode(key).decode()


def headers(keys: Sequence[bytes], *, id_: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers that a delivery carries, signed with each of the keys.

    timestamp: Unix seconds of this attempt, which receivers hold against their own clock.
    """
    signed = f"{id_}.{timestamp}.".encode() + body
    return {
        ID_HEADER: id_,
        TIMESTAMP_HEADER: str(timestamp),
        SIGNATURE_HEADER: " ".join(f"v1,{_digest(key, signed)}" for key in keys),
    }


def _digest(key: bytes, signed: bytes) -> str:
    return base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
