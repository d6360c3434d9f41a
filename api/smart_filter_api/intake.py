"""Uploads: spooled while they are hashed, then judged by their header; nothing is decoded."""

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import IO

import anyio.to_thread
from fastapi import Request
from python_multipart.multipart import parse_options_header

from smart_filter_api import multipart, photo_header
from smart_filter_api.photo_header import PhotoHeader
from smart_filter_shared.errors import FieldError, NotAvailable

# What one upload holds of memory; the rest of it goes to a temporary file.
_MEMORY_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Upload:
    """A photo that may enter, and the fields that came with it.

    file: the photo's bytes, at position 0; it is gone when `received` ends.
    digest: lower-case hex SHA-256 of them.  fields: for each name its values in order.
    """

    file: IO[bytes]
    length: int
    digest: str
    header: PhotoHeader
    fields: Mapping[str, Sequence[str]]


@asynccontextmanager
async def received(request: Request) -> AsyncIterator[Upload]:
    """Take the body of a request; whatever ends the block, nothing of it is left behind.

    Raises MalformedRequest, PhotoTooLarge, UnsupportedMedia; NotAvailable for a JSON body;
    ClientDisconnect when the body ends early.
    """
    content_type = request.headers.get("content-type")
    if parse_options_header(content_type)[0] == b"application/json":
        detail = "a JSON body is not available yet; send multipart/form-data"
        raise NotAvailable([FieldError("", detail)])
    form = multipart.Form(content_type)
    announced = request.headers.get("content-length", "")
    most = multipart.MAX_PHOTO_BYTES + multipart.MAX_OTHER_BYTES
    if announced.isdecimal() and int(announced) > most:
        raise multipart.too_large()
    with SpooledTemporaryFile(max_size=_MEMORY_BYTES) as file:
        digest = hashlib.sha256()
        length = 0
        async with aclosing(form.photo_pieces(request.stream())) as pieces:
            async for piece in pieces:
                digest.update(piece)
                length += len(piece)
                if length <= _MEMORY_BYTES:
                    file.write(piece)
                else:  # it is on a disk by now, and that may block
                    await anyio.to_thread.run_sync(file.write, piece)
        header = await anyio.to_thread.run_sync(photo_header.read, file)
        file.seek(0)
        yield Upload(file, length, digest.hexdigest(), header, form.fields)
