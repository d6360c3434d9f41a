"""Tokens that open one connection of live video: signed by the API, read by a live worker.

A token says all that a worker must know, so that it needs neither database nor storage:
whose connection it is, until when it may begin, and a number that no other token has, by which
the worker knows it again. JSON and its HMAC-SHA256 (RFC 2104), both in base64url.
"""

import base64
import datetime as dt
import hmac
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from smart_filter_shared.errors import Unauthorized
from smart_filter_shared.ids import Tenant

LIFETIME_SECONDS: Final = 60
# What is longer is none of ours, and is not looked at.  The longest of ours has a background of
# 1000 characters, 4 bytes each: 5800 with what else it says, in base64url.
MOST_CHARACTERS: Final = 8192

_PURPOSE: Final = b"smart-filter: live video"
_NONCE_BYTES: Final = 16
_REMEDY: Final = "get a new one by POST /v1/live"


@dataclass(frozen=True, slots=True)
class Admission:
    """What a token says.

    nonce: of this token alone.  background: what stands behind people at first, as
    `backgrounds.read` takes it; None: what the worker's default is.
    """

    tenant: Tenant
    nonce: str
    expires_at: dt.datetime
    background: str | None


class Tokens:
    """Issues tokens with the first of some keys, and reads those of all."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Take keys: texts that nobody can guess, at least one."""
        self._keys = [hmac.digest(_PURPOSE, key.encode(), "sha256") for key in keys]

    def issue(
        self, tenant: Tenant, *, background: str | None, now: dt.datetime
    ) -> tuple[str, Admission]:
        """Return a token, and what it says."""
        admission = Admission(
            tenant=tenant,
            nonce=secrets.token_urlsafe(_NONCE_BYTES),
            expires_at=now + dt.timedelta(seconds=LIFETIME_SECONDS),
            background=background,
        )
        said = {
            "tenant": admission.tenant,
            "nonce": admission.nonce,
            "expires": admission.expires_at.timestamp(),
            "background": admission.background,
        }
        content = json.dumps(said, separators=(",", ":"), ensure_ascii=False).encode()
        return f"{_written(content)}.{_written(_digest(self._keys[0], content))}", admission

    def read(self, token: str, *, now: dt.datetime) -> Admission:
        """Return what a token says.  Raises Unauthorized when it is wrong, or too old."""
        content, digest = _parted(token)
        # All of them, so that it takes as long whichever fits.
        fits = [hmac.compare_digest(_digest(key, content), digest) for key in self._keys]
        if not any(fits):
            raise Unauthorized(f"the token is not one of this service; {_REMEDY}", pointer="/token")
        said = json.loads(content)
        admission = Admission(
            tenant=Tenant(said["tenant"]),
            nonce=said["nonce"],
            expires_at=dt.datetime.fromtimestamp(said["expires"], dt.UTC),
            background=said["background"],
        )
        if admission.expires_at <= now:
            raise Unauthorized(f"the token has expired; {_REMEDY}", pointer="/token")
        return admission


def _parted(token: str) -> tuple[bytes, bytes]:
    content, _, digest = token.partition(".")
    if len(token) <= MOST_CHARACTERS and token.isascii():
        try:
            return _read(content), _read(digest)
        except ValueError:
            pass
    raise Unauthorized(f"this is no token; {_REMEDY}", pointer="/token")


def _digest(key: bytes, content: bytes) -> bytes:
    return hmac.digest(key, content, "sha256")


def _written(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _read(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
