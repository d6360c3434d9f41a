"""Signatures of webhook deliveries by Standard Webhooks 1.0.0: `v1`, HMAC-SHA256.

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
_SECRET_BYTES: Final = 32  # the specification allows 24 to 64


def new_key() -> bytes:
    """Return a new random signing key."""
    return secrets.token_bytes(_SECRET_BYTES)


def format_key(key: bytes) -> str:
    """Return a key in the form that its owner sees: `whsec_` and base64."""
    return _PREFIX + base64.b64encode(key).decode()


def headers(keys: Sequence[bytes], *, id_: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers of a delivery, with one signature for each key.

    timestamp: Unix seconds of this attempt, which receivers compare with their own clock.
    """
    signed = f"{id_}.{timestamp}.".encode() + body
    return {
        ID_HEADER: id_,
        TIMESTAMP_HEADER: str(timestamp),
        SIGNATURE_HEADER: " ".join(f"v1,{_digest(key, signed)}" for key in keys),
    }


def _digest(key: bytes, signed: bytes) -> str:
    return base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
