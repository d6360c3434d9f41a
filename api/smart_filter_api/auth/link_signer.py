"""Sign URLs that work without a key, and verify them.

A signature is the HMAC-SHA256 (RFC 2104) of everything that the link grants, in base64url. Its keys
are derived from the service's secrets, one for each kind of link (RFC 5869, 2.2: extraction with a
salt), so a signature of another kind is never valid.
"""

import base64
import hmac
import json
import re
import time
from collections.abc import Sequence
from typing import Final, Protocol, TypeVar

from smart_filter_shared.errors import LinkExpired, LinkInvalid

_UNIX_TIME: Final = re.compile("[0-9]{1,12}")
# 32 bytes in base64url, without padding.
_SIGNATURE: Final = re.compile("[A-Za-z0-9_-]{43}")


class LinkGrant(Protocol):
    """The access that a link grants."""

    @property
    def purpose(self) -> bytes:
        """The purpose of all links of this kind."""
        ...

    @property
    def expires(self) -> int:
        """When the link ends, in seconds of Unix time."""
        ...

    @property
    def granted(self) -> Sequence[str | int | None]:
        """The parts of the grant, as JSON knows them."""
        ...


Grant = TypeVar("Grant", bound=LinkGrant)


class LinkSigner:
    """Signs links with the first of several keys, and verifies them with all."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Keep the keys.  keys: at least one unguessable text."""
        self._keys = [key.encode() for key in keys]

    def sign(self, grant: LinkGrant) -> str:
        """Return the signature of a grant."""
        return _signature(self._keys[0], grant)

    def is_valid(self, grant: LinkGrant, signature: str) -> bool:
        """Whether one of the keys has signed this grant; its expiry is not judged."""
        # Compare with all keys, so that the time does not depend on the key that fits.
        fits = [
            hmac.compare_digest(_signature(key, grant).encode(), signature.encode())
            for key in self._keys
        ]
        return any(fits)


def parse_expiry(expires: str | None, signature: str | None) -> int:
    """Return when a link ends, in Unix time.

    Raises LinkInvalid for one that cannot be valid, which then costs no query.
    """
    if not _UNIX_TIME.fullmatch(expires or "") or not _SIGNATURE.fullmatch(signature or ""):
        raise _invalid_link()
    return int(expires or "")


def verify(signer: LinkSigner | None, grant: Grant | None, signature: str | None) -> Grant:
    """Return the grant of a link.

    signer: None when this service signs no links.  grant: None when the link names nothing that
    exists.
    Raises LinkInvalid unless the grant is signed, and LinkExpired when it has ended.
    """
    if signer is None or grant is None or not signer.is_valid(grant, signature or ""):
        raise _invalid_link()
    if grant.expires - time.time() < 1:
        raise LinkExpired("the link has expired")
    return grant


def _invalid_link() -> LinkInvalid:
    return LinkInvalid("the link is not valid")


def _signature(secret: bytes, grant: LinkGrant) -> str:
    key = hmac.digest(grant.purpose, secret, "sha256")
    # JSON separates the parts unambiguously.
    digest = hmac.digest(key, json.dumps(list(grant.granted)).encode(), "sha256")
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
