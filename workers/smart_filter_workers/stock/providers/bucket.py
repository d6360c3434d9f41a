"""A provider: a bucket of pictures, or a prefix of it, on the service's own object store."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from smart_filter_shared.config.settings import StorageSettings
from smart_filter_shared.errors import (
    BucketMissing,
    ObjectMissing,
    ObjectTooLarge,
    PictureRefused,
)
from smart_filter_shared.stock import MAX_BYTES
from smart_filter_shared.stock.descriptions import GivenDescription
from smart_filter_shared.storage.objects import ObjectStore
from smart_filter_shared.storage.opening import open_store
from smart_filter_workers.stock.providers.base import (
    MAX_NOTES_BYTES,
    NOTES_FILE,
    FoundPicture,
    is_picture,
    notes_too_large_error,
    parse_notes,
)


def opens(address: str) -> bool:
    """Return whether an address is of the kind `s3://bucket/prefix`."""
    return address.startswith("s3://")


def open_at(address: str, storage: StorageSettings) -> "Bucket":
    """Return the bucket of an address, on the same server and with the same credentials.

    Raises PictureRefused when it names none.
    """
    parts = urlsplit(address)
    if not parts.netloc.strip("."):
        raise PictureRefused(f"{address} names no bucket; write s3://bucket/prefix")
    prefix = parts.path.strip("/")
    store = open_store(storage.model_copy(update={"bucket": parts.netloc}), connections=1)
    return Bucket(store, parts.netloc, f"{prefix}/" if prefix else "")


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket; a `Provider`.  prefix: of its keys, empty or ending with a slash."""

    store: ObjectStore
    name: str
    prefix: str

    @property
    def origin(self) -> str:
        """Its address."""
        return f"s3://{self.name}/{self.prefix}"

    def pictures(self) -> Iterator[FoundPicture]:
        """Yield its pictures; see `Provider.pictures`."""
        try:
            notes = parse_notes(self._notes())
            for stored in self.store.stored(self.prefix):
                path = stored.key.removeprefix(self.prefix)
                if is_picture(path):
                    yield FoundPicture(
                        path=path,
                        length=stored.length,
                        stamp=stored.etag,
                        given=notes.get(path, GivenDescription()),
                        read=partial(self._read_object, stored.key),
                    )
        except BucketMissing as error:
            raise PictureRefused(f"there is no bucket {self.name}") from error

    def _notes(self) -> str:
        try:
            key = f"{self.prefix}{NOTES_FILE}"
            return self.store.get(key, most=MAX_NOTES_BYTES).decode()
        except ObjectTooLarge as error:
            raise notes_too_large_error() from error
        except ObjectMissing:
            return ""
        except UnicodeDecodeError as error:
            raise PictureRefused(f"{NOTES_FILE} is not UTF-8 text") from error

    def _read_object(self, key: str) -> bytes:
        try:
            return self.store.get(key, most=MAX_BYTES)
        except ObjectTooLarge as error:
            raise PictureRefused(f"it has more than {MAX_BYTES} bytes") from error
        except ObjectMissing as error:
            raise PictureRefused("it has just been removed") from error
