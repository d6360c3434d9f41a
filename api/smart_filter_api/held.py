"""Content that is held in memory as it is served: named by its digest and compressed once."""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from fastapi import Request, Response

from smart_filter_api import tags


@dataclass(frozen=True, slots=True)
class File:
    """Content as it is served; gzipped: the same compressed, None where that would not pay."""

    content: bytes
    gzipped: bytes | None
    media_type: str
    tag: str


def file(content: bytes, media_type: str, *, is_compressed: bool = False) -> File:
    """Return content to be served; is_compressed: it is already, by its own format."""
    gzipped = None if is_compressed else gzip.compress(content, mtime=0)
    return File(content, gzipped, media_type, tags.etag(content))


def answer(
    request: Request, file: File, headers: Mapping[str, str] = MappingProxyType({})
) -> Response:
    """Return content, compressed for whoever takes that; 304 to whom it is known.

    headers: more of them, in either case.
    """
    if tags.is_known(file.tag, request.headers.get("If-None-Match")):
        # A page that is kept is shown under the policy of this answer, so it comes along.
        known = tags.not_modified(file.tag)
        known.headers.update(headers)
        return known
    told = {**tags.headers(file.tag), "Vary": "Accept-Encoding", **headers}
    accepted = request.headers.get("Accept-Encoding", "")
    if file.gzipped is not None and "gzip" in accepted:
        told["Content-Encoding"] = "gzip"
        return Response(file.gzipped, media_type=file.media_type, headers=told)
    return Response(file.content, media_type=file.media_type, headers=told)
