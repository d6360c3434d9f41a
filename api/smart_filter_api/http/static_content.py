"""Serve content from memory, with an entity tag from its digest and compressed once."""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from fastapi import Request, Response

from smart_filter_api.http import documents

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
    return StaticFile(content, gzipped, media_type, documents.etag(content))


def serve_file(
    request: Request, file: StaticFile, headers: Mapping[str, str] = MappingProxyType({})
) -> Response:
    """Return content, compressed if the client accepts gzip, or 304 if the client has it.

    headers: additional headers for either answer.
    """
    if documents.is_known(file.tag, request.headers.get("If-None-Match")):
        # A cached page is shown under the security policy of this answer, so send the policy.
        response = documents.not_modified(file.tag)
        response.headers.update(headers)
        return response
    sent = {**documents.caching_headers(file.tag), "Vary": "Accept-Encoding", **headers}
    accepted = request.headers.get("Accept-Encoding", "")
    if file.gzipped is not None and "gzip" in accepted:
        sent["Content-Encoding"] = "gzip"
        return Response(file.gzipped, media_type=file.media_type, headers=sent)
    return Response(file.content, media_type=file.media_type, headers=sent)
