"""The object store that API and workers share: put, get, list, remove and sign links."""

import datetime as dt
from collections.abc import Collection, Generator, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO, Final, Protocol

from smart_filter_shared.errors import ObjectMissing, ObjectTooLarge
from smart_filter_shared.security.photo_header import MAX_PIXELS

# Size of a piece of a stream. Each piece passes through a thread and all layers of the API, so
# small ones cost time. A slow client holds one piece in memory, so large ones cost memory.
PIECE_BYTES: Final = 256 * 1024
# Part size of multipart uploads, the minimum of S3; an upload holds at most two parts in memory.
PART_BYTES: Final = 5 * 1024 * 1024
# Bytes of the largest object of the service whose length no row holds: a photo, or an array as PNG.
# The largest picture has four channels of 8 bits, and a PNG is hardly longer than its pixels.
MAX_OBJECT_BYTES: Final = 4 * MAX_PIXELS + 10_000_000


@dataclass(frozen=True, slots=True)
class StoredObject:
    """Metadata of a stored object.

    written_at: last modification.  length: in bytes.  etag: changes with the content; "" when the
    store has none. Only ETags of one method are comparable.
    """

    key: str
    written_at: dt.datetime
    length: int = 0
    etag: str = ""


class ObjectStore(Protocol):
    """One bucket; thread-safe.

    Every method raises StorageUnavailable when the store cannot serve it. Methods that read a key
    raise ObjectMissing when there is no object under it. A key is written completely or not at all.

    Each read names the most bytes that it takes: `look` and lists tell a length that may be wrong
    by the time of the read, and the server itself may lie.
    """

    @property
    def bucket(self) -> str:
        """The name of the bucket."""
        ...

    def ensure_bucket(self) -> None:
        """Create the bucket unless it exists."""
        ...

    def check(self) -> None:
        """Raise StorageUnavailable unless the store serves the bucket.

        Raises StorageMisconfigured when the store rejects the access keys, and BucketMissing when
        it has no such bucket.
        """
        ...

    def put(self, key: str, content: BinaryIO | bytes, *, length: int, media_type: str) -> None:
        """Store `length` bytes under a key."""
        ...

    def get(
        self, key: str, *, most: int, length: int | None = None, etag: str | None = None
    ) -> bytes:
        """Return the bytes under a key.

        most: in bytes; a longer object raises ObjectTooLarge, and at most one byte more is read.
        length: in bytes, if it is known; an object of another length is damaged, and counts as
            missing.
        etag: as `look` returned it; an object with another one raises ObjectReplaced.
        """
        ...

    def has(self, key: str) -> bool:
        """Return whether there is an object under a key."""
        ...

    def part(self, key: str, *, start: int, length: int) -> bytes:
        """Return at most `length` bytes of an object, from offset `start` on.

        start: less than the object's length.  length: above 0.
        """
        ...

    def look(self, key: str) -> StoredObject:
        """Return the metadata of the object under a key."""
        ...

    def stream(
        self, key: str, *, most: int, length: int | None = None
    ) -> Generator[bytes, None, None]:
        """Return an iterator over the bytes under a key, in pieces of at most PIECE_BYTES.

        most, length: as in `get`.
        The call itself opens the object, so ObjectMissing is raised before a response starts.
        A store that tells no length ends the stream with ObjectTooLarge after `most` bytes.
        """
        ...

    def remove(self, key: str) -> None:
        """Remove the object under a key, if there is one."""
        ...

    def remove_many(self, keys: Collection[str]) -> dict[str, str]:
        """Remove the objects under keys; return the keys that were refused, with an error code.

        A key without an object counts as removed.
        """
        ...

    def folders(self) -> list[str]:
        """Return the top-level folders of the bucket, such as `2026-11-20/`."""
        ...

    def stored(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield every object whose key starts with a prefix.

        The list is read while it is used, a page at a time.
        """
        ...

    def presigned_get(self, key: str, *, seconds: int, disposition: str) -> str | None:
        """Return a URL at which the store itself serves a key for `seconds`.

        Only the client may cache the answer.  None: clients cannot reach the store.
        disposition: the header Content-Disposition that the store sends.
        """
        ...

    def presigned_put(self, key: str, *, headers: Mapping[str, str], seconds: int) -> str | None:
        """Return a URL at which the store itself accepts an object for `seconds`.

        None: clients cannot reach the store.
        headers: the headers that the upload must send, by lower-case name.
        """
        ...


def check_length(key: str, told: int, *, most: int, length: int | None) -> None:
    """Check the length that a store tells of an object, in bytes; `most`, `length`: as in `get`.

    Raises ObjectTooLarge, and ObjectMissing for an object of another length.
    """
    if told > most:
        raise ObjectTooLarge(f"{key} has more than {most} bytes")
    if length not in {None, told}:
        raise ObjectMissing(key)


def list_written_before(
    store: ObjectStore, prefix: str, moment: dt.datetime, *, most: int
) -> Iterator[list[str]]:
    """Yield the keys of objects that were written before a moment, at most `most` at a time."""
    old = (stored.key for stored in store.stored(prefix) if stored.written_at < moment)
    while page := list(islice(old, most)):
        yield page
