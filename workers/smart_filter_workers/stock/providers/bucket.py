"""A bucket of pictures, or what of it lies under a prefix, on the service's own object store."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from smart_filter_shared.errors import BucketMissing, ObjectMissing, PictureRefused
from smart_filter_shared.settings import StorageSettings
from smart_filter_shared.storage.objects import ObjectStore
from smart_filter_workers.stock.providers.base import NOTES, Found, is_picture, notes_of
from smart_filter_workers.stock.words import Words


def opens(address: str) -> bool:
    """Whether an address is of the kind `s3://bucket/prefix`."""
    return address.startswith("s3://")


def open_at(address: str, storage: StorageSettings) -> "Bucket":
    """Return the bucket of an address, on the same server and with the same credentials.

    Raises PictureRefused when it names none.
    """
    parts = urlsplit(address)
    if not parts.netloc:
        raise PictureRefused(f"{address} names no bucket; write s3://bucket/prefix")
    prefix = parts.path.strip("/")
    store = ObjectStore(storage.model_copy(update={"bucket": parts.netloc}), connections=1)
    return Bucket(store, parts.netloc, f"{prefix}/" if prefix else "")


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket; a `Provider`.  prefix: what keys begin with, empty or ending with a slash."""

    store: ObjectStore
    name: str
    prefix: str

    @property
    def origin(self) -> str:
        """Its address."""
        return f"s3://{self.name}/{self.prefix}"

    def pictures(self) -> Iterator[Found]:
        """Yield its pictures, as `Provider.pictures` says."""
        try:
            notes = notes_of(self._notes())
            for stored in self.store.stored(self.prefix):
                path = stored.key.removeprefix(self.prefix)
                if is_picture(path):
                    yield Found(
                        path=path,
                        length=stored.length,
                        stamp=stored.etag,
                        told=notes.get(path, Words()),
                        read=partial(self._read, stored.key),
                    )
        except BucketMissing as error:
            raise PictureRefused(f"there is no bucket {self.name}") from error

    def _notes(self) -> str:
        try:
            return self.store.get(f"{self.prefix}{NOTES}").decode()
        except ObjectMissing:
            return ""
        except UnicodeDecodeError as error:
            raise PictureRefused(f"{NOTES} is no UTF-8 text") from error

    def _read(self, key: str) -> bytes:
        try:
            return self.store.get(key)
        except ObjectMissing as error:
            raise PictureRefused("it has just been removed") from error
