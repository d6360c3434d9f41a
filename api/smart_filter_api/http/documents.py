"""Answer with a JSON document, or with content from memory that is compressed once; entity tags.

Content that the client already has is answered with 304.  Source: RFC 9110, 8.8.3 (ETag), 13.1.1
(If-Match, compared strongly) and 13.1.2 (If-None-Match, compared weakly).
"""

import dataclasses
import functools
import gzip
import hashlib
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, TypeVar, cast

from fastapi import Request, Response, status
from pydantic import BaseModel

from smart_filter_shared.errors import PreconditionFailed
from smart_filter_shared.typed_json import adapter

_NOT_MODIFIED = 304
# Only the client itself may cache it, and it revalidates each time.
_CACHE_CONTROL = "private, no-cache"

# By the ending of a file's name.
MEDIA_TYPES: Final[Mapping[str, str]] = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
    "woff2": "font/woff2",
}


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


def encode(shown: object, **options: Any) -> bytes:  # noqa: ANN401 - of TypeAdapter.dump_json
    """Return an answer, a dataclass or a model, as JSON."""
    return adapter(type(shown)).dump_json(shown, **options)


def to_json(shown: object) -> dict[str, Any]:
    """Return an answer as JSON that can be changed before it is encoded."""
    document: dict[str, Any] = adapter(type(shown)).dump_python(shown, mode="json")
    return document


def json_response(shown: object, code: int = status.HTTP_200_OK) -> Response:
    """Return a response with an answer as JSON and this status code."""
    return Response(encode(shown), status_code=code, media_type="application/json")


def revalidated_response(
    content: bytes, if_none_match: str | None, *, tag: str | None = None
) -> Response:
    """Return a JSON document, or 304 when the client already has it.

    tag: the tag to use in place of the one of its bytes.
    """
    tag = tag or etag(content)
    if is_known(tag, if_none_match):
        return not_modified(tag)
    return Response(content, media_type="application/json", headers=caching_headers(tag))


Answer = TypeVar("Answer")

_MISSING: Final = object()


def render_as(
    kind: type[Answer],
    source: object,
    /,
    **more: Any,  # noqa: ANN401 - any field's
) -> Answer:
    """Return an answer: each field from `more`, else from the attribute of its name."""
    values = dict(more)
    for name in _names_of(cast("Hashable", kind)):
        if name not in more and (value := getattr(source, name, _MISSING)) is not _MISSING:
            values[name] = value
    # The answers that only operators see are models, which render their parts as well.
    if issubclass(kind, BaseModel):
        return kind.model_validate(values, from_attributes=True)
    return kind(**values)


@functools.cache
def _names_of(kind: Any) -> tuple[str, ...]:  # noqa: ANN401 - a dataclass or a model
    if issubclass(kind, BaseModel):
        return tuple(kind.model_fields)
    return tuple(field.name for field in dataclasses.fields(kind))


@dataclass(frozen=True, slots=True)
class StaticFile:
    """Content ready to serve; gzipped: the compressed form, None where its format is compressed."""

    content: bytes
    gzipped: bytes | None
    media_type: str
    tag: str


def prepare_file(name: str, content: bytes) -> StaticFile:
    """Return a file's content ready to serve, by its name, which ends as in `MEDIA_TYPES`."""
    media_type = MEDIA_TYPES[name.rpartition(".")[2]]
    gzipped = None if name.endswith(".woff2") else gzip.compress(content, mtime=0)
    return StaticFile(content, gzipped, media_type, etag(content))


def serve_file(
    request: Request, file: StaticFile, headers: Mapping[str, str] = MappingProxyType({})
) -> Response:
    """Return content, compressed if the client accepts gzip, or 304 if the client has it.

    headers: additional headers for either answer.
    """
    if is_known(file.tag, request.headers.get("If-None-Match")):
        # A cached page is shown under the security policy of this answer, so send the policy.
        response = not_modified(file.tag)
        response.headers.update(headers)
        return response
    sent = {**caching_headers(file.tag), "Vary": "Accept-Encoding", **headers}
    accepted = request.headers.get("Accept-Encoding", "")
    if file.gzipped is not None and "gzip" in accepted:
        sent["Content-Encoding"] = "gzip"
        return Response(file.gzipped, media_type=file.media_type, headers=sent)
    return Response(file.content, media_type=file.media_type, headers=sent)
