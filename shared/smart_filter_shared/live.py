"""Live video between API and workers: tokens that open one connection each, and backgrounds.

A token contains all that a worker must know, so the worker needs neither database nor storage:
the tenant, the expiry, the origin of the page that asked for it, and a unique nonce, by which the
worker detects a second use. A connection
ends when the last token that it got expires, so it outlives a revoked key by a minute at most. The
format is JSON and its HMAC-SHA256 (RFC 2104), both in base64url.
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
from smart_filter_shared.recipe import Background, BackgroundKind
from smart_filter_shared.recipe import background as words
from smart_filter_shared.recipe.declaration import has_alpha

LIFETIME_SECONDS: Final = 60
# How often a connection should get a new token: one can be missed.
RENEWAL_SECONDS: Final = 20
# Longer texts are rejected unread. The longest valid token has a background of 1000 characters of
# 4 bytes each, and an origin: 6200 characters in base64url with its other fields.
MAX_CHARACTERS: Final = 8192
# Limit of an origin: a scheme, a host of 253 characters and a port are shorter.
MAX_ORIGIN_CHARACTERS: Final = 300

_PURPOSE: Final = b"smart-filter: live video"
_NONCE_BYTES: Final = 16
_REMEDY: Final = "get a new one by POST /v1/live"

_SEND_IT: Final = 'send the picture to the connection: {"background_file": true}, then its bytes'
_REFUSED: Final = {
    BackgroundKind.TRANSPARENT: "frames are JPEG, which has no transparency; use an opaque color,"
    " such as color:white",
    BackgroundKind.FILE: _SEND_IT,
    BackgroundKind.URL: f"live video does not fetch URLs; {_SEND_IT}",
}


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """The content of a token.

    nonce: unique for each token.  background: the initial background, in the form that
    `backgrounds.read` parses; None: the worker's default.  origin: of the page that asked for the
    token, whose connections alone it opens; None: no page did, and any client may use it.
    """

    tenant: Tenant
    nonce: str
    expires_at: dt.datetime
    background: str | None
    origin: str | None


class Tokens:
    """Signs tokens with the first of several keys, and verifies them with all."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Derive the signing keys.  keys: at least one unguessable text."""
        self._keys = [hmac.digest(_PURPOSE, key.encode(), "sha256") for key in keys]

    def issue(
        self,
        tenant: Tenant,
        *,
        background: str | None,
        now: dt.datetime,
        origin: str | None = None,
    ) -> tuple[str, TokenClaims]:
        """Return a token and its content."""
        claims = TokenClaims(
            tenant=tenant,
            nonce=secrets.token_urlsafe(_NONCE_BYTES),
            expires_at=now + dt.timedelta(seconds=LIFETIME_SECONDS),
            background=background,
            origin=origin,
        )
        fields = {
            "tenant": claims.tenant,
            "nonce": claims.nonce,
            "expires": claims.expires_at.timestamp(),
            "background": claims.background,
            "origin": claims.origin,
        }
        content = json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()
        return f"{_encode(content)}.{_encode(_digest(self._keys[0], content))}", claims

    def read(self, token: str, *, now: dt.datetime) -> TokenClaims:
        """Return a token's content.  Raises Unauthorized when the token is invalid or expired."""
        content, digest = _split_token(token)
        # Compare with all keys, so that the time does not depend on the key that fits.
        fits = [hmac.compare_digest(_digest(key, content), digest) for key in self._keys]
        if not any(fits):
            raise Unauthorized(f"the token is not one of this service; {_REMEDY}", pointer="/token")
        fields = json.loads(content)
        claims = TokenClaims(
            tenant=Tenant(fields["tenant"]),
            nonce=fields["nonce"],
            expires_at=dt.datetime.fromtimestamp(fields["expires"], dt.UTC),
            background=fields["background"],
            origin=fields["origin"],
        )
        if claims.expires_at <= now:
            raise Unauthorized(f"the token has expired; {_REMEDY}", pointer="/token")
        return claims


def _split_token(token: str) -> tuple[bytes, bytes]:
    content, _, digest = token.partition(".")
    if len(token) <= MAX_CHARACTERS and token.isascii():
        try:
            return _decode(content), _decode(digest)
        except ValueError:
            pass
    raise Unauthorized(f"this is not a token; {_REMEDY}", pointer="/token")


def _digest(key: bytes, content: bytes) -> bytes:
    return hmac.digest(key, content, "sha256")


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def parse_background(text: str) -> Background:
    """Parse a background of live video.  Raises ValueError, which says what to do."""
    kind, _, value = text.partition(":")
    if kind == BackgroundKind.PRESET and "/" in value:
        raise ValueError(f"live video has only the generated designs; {_SEND_IT}")
    asked = words.parse_background(text)
    if asked.kind in _REFUSED:
        raise ValueError(_REFUSED[asked.kind])
    if asked.kind == BackgroundKind.COLOR and has_alpha(asked.value or ""):
        raise ValueError("frames are JPEG, which has no transparency; use an opaque color")
    return asked
