"""Serve content from memory, with an entity tag from its digest and compressed once."""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from fastapi import Request, Response

from smart_filter_api.http import etags


@dataclass(frozen=True, slots=True)
class StaticFile:
    """Content ready to serve; gzipped: the compressed form, None where its format is compressed."""

    content: bytes
    gzipped: bytes | None
    media_type: str
    tag: str


def prepare_file(content: bytes, media_type: str, *, is_compressed: bool = False) -> StaticFile:
    """Return content ready to serve; is_compressed: its own format is already compressed."""
    gzipped = None if is_compressed else gzip.compress(content, mtime=0)
    return StaticFile(content, gzipped, media_type, etags.etag(content))


def serve_file(
    request: Request, file: StaticFile, headers: Mapping[str, str] = MappingProxyType({})
) -> Response:
    """Return content, compressed if the client accepts gzip, or 304 if the client has it.

    headers: additional headers for either answer.
    """
    if etags.is_known(file.tag, request.headers.get("If-None-Match")):
        # A cached page is shown under the security policy of this answer, so send the policy.
        response = etags.not_modified(file.tag)
        response.headers.update(headers)
        return response
    sent = {**etags.caching_headers(file.tag), "Vary": "Accept-Encoding", **headers}
    accepted = request.headers.get("Accept-Encoding", "")
    if file.gzipped is not None and "gzip" in accepted:
        sent["Content-Encoding"] = "gzip"
        return Response(file.gzipped, media_type=file.media_type, headers=sent)
    return Response(file.content, media_type=file.media_type, headers=sent)
