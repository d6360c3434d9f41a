"""The ways in which a photo is given, and uploads straight to the server's storage."""

import datetime as dt
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from smart_filter_client import exchange
from smart_filter_client.fields import Fields
from smart_filter_client.flows import Do, Flow, Server
from smart_filter_client.requests import Request, path

# A form is held in memory while it is sent; an upload is not, and passes the API by.
LARGE_BYTES = 8_000_000
_HEAD_BYTES = 32
_OCTETS = "application/octet-stream"
# Brands of ISO media files.  Source: ISO/IEC 23008-12, 10; AV1 Image File Format 1.1, 6.
_BRANDS: Mapping[bytes, str] = {
    **dict.fromkeys((b"avif", b"avis"), "image/avif"),
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"mif1", b"msf1"), "image/heic"),
}


@dataclass(frozen=True, slots=True)
class Upload:
    """A photo in the server's storage, which jobs may name until it expires."""

    upload_id: str
    expires_at: dt.datetime | None


# A file, its bytes, something open to be read from, an address (http:// or https://), or what
# was uploaded before. An address, not a path, because a text may come from somewhere else.
Picture = Path | bytes | IO[bytes]
Photo = Picture | str | Upload


def upload(server: Server, photo: Picture) -> Flow[Upload]:
    """Put a photo into the server's storage, past the API; jobs name it afterwards.

    photo: a file, read while it is sent; bytes, or something open to be read from.
    Raises OSError when a file cannot be read.
    """
    return (yield from uploaded(server, (yield from held(photo))))


def uploaded(server: Server, photo: Path | bytes) -> Flow[Upload]:
    """Put a photo into the server's storage.  Raises OSError."""
    size, head = yield from measured(photo)
    wish = {"content_type": media_type(head), "bytes": size}
    fields = Fields(
        (yield from exchange.post(server, Request(method="POST", path=path("uploads"), json=wish))),
        "a place for an upload",
    )
    yield from exchange.ask(
        server,
        Request(
            method="PUT",
            path=fields.text("put_url"),
            headers=fields.texts_by_name("headers"),
            file=photo if isinstance(photo, Path) else None,
            content=photo if isinstance(photo, bytes) else None,
        ),
    )
    return Upload(fields.text("upload_id"), fields.time_or_none("expires_at"))


def named(photo: str | Upload) -> dict[str, str]:
    """Return how JSON names a photo that is somewhere else.  Raises ValueError for other texts."""
    if isinstance(photo, Upload):
        return {"upload_id": photo.upload_id}
    if photo.startswith(("http://", "https://")):
        return {"photo_url": photo}
    raise ValueError("a text is a photo's address, http:// or https://; name a file by a Path")


def held(photo: Picture) -> Flow[Path | bytes]:
    """Return a photo as what can be sent more than once."""
    if isinstance(photo, Path | bytes):
        return photo
    content: bytes = yield Do(photo.read)
    return content


def contents(photo: Path | bytes) -> Flow[bytes]:
    """Return a photo's bytes.  Raises OSError."""
    if isinstance(photo, bytes):
        return photo
    content: bytes = yield Do(photo.read_bytes)
    return content


def measured(photo: Path | bytes) -> Flow[tuple[int, bytes]]:
    """Return how many bytes a photo has, and the first of them.  Raises OSError."""
    if isinstance(photo, bytes):
        return len(photo), photo[:_HEAD_BYTES]
    found: tuple[int, bytes] = yield Do(functools.partial(_look, photo))
    return found


def media_type(head: bytes) -> str:
    """Return what a picture is by its first bytes."""
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], _OCTETS)
    return _OCTETS


def _look(photo: Path) -> tuple[int, bytes]:
    with photo.open("rb") as file:
        return photo.stat().st_size, file.read(_HEAD_BYTES)
