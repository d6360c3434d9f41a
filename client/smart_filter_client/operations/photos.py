"""Photos as files, bytes or addresses, and uploads straight to the server's storage."""

import datetime as dt
import errno
import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from smart_filter_client.http import exchange
from smart_filter_client.http.connection import Connection, Request, path
from smart_filter_client.reading import read_answer
from smart_filter_wire import catalog

# A form is held in memory while it is sent; an upload is not, and bypasses the API.
LARGE_BYTES = 8_000_000
_HEAD_BYTES = 32
_BINARY_TYPE = "application/octet-stream"
# Brands of ISO media files.  Source: ISO/IEC 23008-12, 10; AV1 Image File Format 1.1, 6.
_BRANDS: Mapping[bytes, str] = {
    **dict.fromkeys((b"avif", b"avis"), "image/avif"),
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"mif1", b"msf1"), "image/heic"),
}
# A photo has at most 40 MB, a form 81 MB.
_MOST_BYTES: Final = 81_000_000
_STARTS: Mapping[bytes, str] = {
    b"GIF8": "image/gif",
    b"BM": "image/bmp",
    b"II*\0": "image/tiff",
    b"MM\0*": "image/tiff",
}


@dataclass(frozen=True, slots=True)
class Upload:
    """A photo in the server's storage, which jobs can name until it expires."""

    upload_id: str
    expires_at: dt.datetime | None


# A file, its bytes, an open binary file, an address (http:// or https://), or an upload. A text is
# an address and never a path, because texts can come from untrusted sources.
Picture = Path | bytes | IO[bytes]
Photo = Picture | str | Upload


async def upload(client: Connection, photo: Picture) -> Upload:
    """Upload a photo straight to the server's storage; jobs can then name it.

    photo: a file, read while it is sent; bytes, or an open binary file.
    Raises OSError when a file cannot be read.
    """
    return await upload_photo(client, await make_resendable(client, photo))


async def upload_photo(client: Connection, photo: Path | bytes) -> Upload:
    """Upload a photo to the server's storage.  Raises OSError."""
    size, head = await measure_photo(client, photo)
    payload = {"content_type": media_type(head), "bytes": size}
    request = Request(method="POST", path=path("uploads"), json=payload)
    place = read_answer(catalog.Upload, await exchange.post(client, request))
    await exchange.ask(
        client,
        Request(
            method="PUT",
            path=place.put_url,
            headers=place.headers,
            file=photo if isinstance(photo, Path) else None,
            content=photo if isinstance(photo, bytes) else None,
        ),
    )
    return Upload(place.upload_id, place.expires_at)


def photo_reference(photo: str | Upload) -> dict[str, str]:
    """Return the JSON fields that name a remote photo.  Raises ValueError for other texts."""
    if isinstance(photo, Upload):
        return {"upload_id": photo.upload_id}
    if photo.startswith(("http://", "https://")):
        return {"photo_url": photo}
    raise ValueError("a text is a photo's address, http:// or https://; name a file by a Path")


def name_field(photo: Photo, name: str | None) -> dict[str, str]:
    """Return the field with a photo's name: the given one, else a file's own; empty without."""
    if name is None and isinstance(photo, Path):
        name = photo.name
    # Names of files that are not UTF-8 hold surrogates, which no request can.
    return {} if name is None else {"photo_name": os.fsencode(name).decode(errors="replace")}


async def make_resendable(client: Connection, photo: Picture) -> Path | bytes:
    """Return a photo in a form that can be sent more than once.

    Raises OSError when an open file cannot be read, or has more than any picture; TypeError when
    it is open as text.
    """
    if isinstance(photo, Path | bytes):
        return photo
    return await client.backend.call(functools.partial(_read_open, photo, "an open file"))


async def read_photo(client: Connection, photo: Path | bytes) -> bytes:
    """Return a photo's bytes.  Raises OSError."""
    if isinstance(photo, bytes):
        return photo
    return await client.backend.call(functools.partial(_read_bounded, photo))


def _read_bounded(file: Path) -> bytes:
    """Return what a file has.  Raises OSError."""
    with file.open("rb") as source:
        return _read_open(source, str(file))


def _read_open(source: IO[bytes], name: str) -> bytes:
    """Return what an open file has, up to as much as a picture may have: devices never end."""
    if isinstance(source.read(0), str):
        raise TypeError(f'{name} is open as text, which a picture is not: open it with "rb"')
    content = bytearray()
    while piece := source.read(_MOST_BYTES + 1 - len(content)):  # a pipe gives less at a time
        content += piece
        if len(content) > _MOST_BYTES:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), name)
    return bytes(content)


async def measure_photo(client: Connection, photo: Path | bytes) -> tuple[int, bytes]:
    """Return the size of a photo and its first bytes.  Raises OSError."""
    if isinstance(photo, bytes):
        return len(photo), photo[:_HEAD_BYTES]
    return await client.backend.call(functools.partial(_stat_and_head, photo))


def media_type(head: bytes) -> str:
    """Return the media type of a picture by its first bytes."""
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    for start, kind in _STARTS.items():
        if head.startswith(start):
            return kind
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], _BINARY_TYPE)
    return _BINARY_TYPE


def _stat_and_head(photo: Path) -> tuple[int, bytes]:
    with photo.open("rb") as file:
        return photo.stat().st_size, file.read(_HEAD_BYTES)
