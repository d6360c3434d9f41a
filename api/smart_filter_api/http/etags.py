"""Entity tags: content that the client already has is answered with 304.

Source: RFC 9110, 8.8.3 (ETag), 13.1.1 (If-Match, compared strongly) and 13.1.2 (If-None-Match,
compared weakly).
"""

import hashlib

from fastapi import Response

from smart_filter_shared.errors import PreconditionFailed

_NOT_MODIFIED = 304
# Only the client itself may cache it, and it revalidates each time.
_CACHE_CONTROL = "private, no-cache"


def etag(named_by: bytes) -> str:
    """Return the strong tag of content; named_by: the content itself, or bytes that identify it."""
    return f'"{hashlib.sha256(named_by).hexdigest()[:32]}"'


def weak_etag(named_by: bytes) -> str:
    """Return the weak tag of content: equal tags mean equivalent content."""
    return f"W/{etag(named_by)}"


def caching_headers(tag: str, *, fresh_seconds: int = 0) -> dict[str, str]:
    """Return the caching headers of an answer with a tag.

    fresh_seconds: how long a client may use it without revalidation.
    """
    caching = f"private, max-age={fresh_seconds}" if fresh_seconds else _CACHE_CONTROL
    return {"ETag": tag, "Cache-Control": caching}


def is_known(tag: str, if_none_match: str | None) -> bool:
    """Whether the header If-None-Match names this tag."""
    tag = tag.removeprefix("W/")
    tags = [shown.strip().removeprefix("W/") for shown in (if_none_match or "").split(",")]
    return "*" in tags or tag in tags


def require_match(tag: str, if_match: str) -> None:
    """Raise PreconditionFailed when the header If-Match names other tags than this strong one."""
    tags = [shown.strip() for shown in if_match.split(",")]
    if "*" not in tags and tag not in tags:
        raise PreconditionFailed(f"the output has the ETag {tag}")


def not_modified(tag: str, *, fresh_seconds: int = 0) -> Response:
    """Return a 304 response."""
    return Response(
        status_code=_NOT_MODIFIED, headers=caching_headers(tag, fresh_seconds=fresh_seconds)
    )
