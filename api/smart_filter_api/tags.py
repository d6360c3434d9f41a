"""Entity tags: an answer is sent again only to whom it is new.

Source: RFC 9110, 8.8.3 (ETag) and 13.1.2 (If-None-Match, compared weakly).
"""

import hashlib

from fastapi import Response

_NOT_MODIFIED = 304
# Only its owner may keep it, and asks each time whether it still stands.
_CACHING = "private, no-cache"


def etag(named_by: bytes) -> str:
    """Return the tag of content that these bytes are, or name."""
    return f'"{hashlib.sha256(named_by).hexdigest()[:32]}"'


def weak_etag(named_by: bytes) -> str:
    """Return the tag of content that says the same as other content with that tag."""
    return f"W/{etag(named_by)}"


def headers(tag: str, *, fresh_seconds: int = 0) -> dict[str, str]:
    """Return the headers of an answer that has a tag.

    fresh_seconds: for how long nobody need ask whether it still stands.
    """
    caching = f"private, max-age={fresh_seconds}" if fresh_seconds else _CACHING
    return {"ETag": tag, "Cache-Control": caching}


def is_known(tag: str, if_none_match: str | None) -> bool:
    """Whether the header names this tag."""
    tag = tag.removeprefix("W/")
    tags = [known.strip().removeprefix("W/") for known in (if_none_match or "").split(",")]
    return "*" in tags or tag in tags


def not_modified(tag: str, *, fresh_seconds: int = 0) -> Response:
    """Return that what the client has still stands."""
    return Response(status_code=_NOT_MODIFIED, headers=headers(tag, fresh_seconds=fresh_seconds))


def json(content: bytes, if_none_match: str | None, *, tag: str | None = None) -> Response:
    """Return a JSON document; 304 to whom it is known.

    tag: another one than that of its bytes.
    """
    tag = tag or etag(content)
    if is_known(tag, if_none_match):
        return not_modified(tag)
    return Response(content, media_type="application/json", headers=headers(tag))
