"""Places from which pictures come: a folder, or a bucket on the service's own object store."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Final, Protocol
from urllib.parse import urlsplit

from smart_filter_shared import documents
from smart_filter_shared.config.settings import StorageSettings
from smart_filter_shared.errors import (
    BucketMissing,
    ObjectMissing,
    ObjectTooLarge,
    PictureRefused,
)
from smart_filter_shared.stock import MAX_BYTES, descriptions
from smart_filter_shared.stock.descriptions import GivenDescription
from smart_filter_shared.storage.objects import ObjectStore
from smart_filter_shared.storage.opening import open_store
from smart_filter_workers.stock import ingest

# A file of this name next to the pictures gives titles, tags and moods, by path.
NOTES_FILE: Final = "backgrounds.toml"
# Of that file: 2000 entries of 500 bytes.
MAX_NOTES_BYTES: Final = documents.MAX_BYTES
_PICTURE_SUFFIXES: Final = frozenset({".avif", ".heic", ".heif", ".jpeg", ".jpg", ".png", ".webp"})


@dataclass(frozen=True, slots=True)
class FoundPicture:
    """A picture in its place.

    path: relative to the place, with slashes; it yields name and tags.
    length: in bytes.  stamp: changes with the content; "" when only the content itself can tell.
    given: the description given in the place's notes.
    read: returns its bytes; raises PictureRefused or StorageUnavailable.
    """

    path: str
    length: int
    stamp: str
    given: GivenDescription
    read: Callable[[], bytes]


class Provider(Protocol):
    """A place with pictures."""

    @property
    def origin(self) -> str:
        """The place's name, the same each time: its pictures are kept in step with it."""
        ...

    def pictures(self) -> Iterator[FoundPicture]:
        """Yield the pictures of the place, by path.

        Raises PictureRefused when the place or its notes cannot be read, and StorageUnavailable.
        """
        ...


def find_provider(address: str, storage: StorageSettings) -> Provider:
    """Return the provider for an address: a folder, or `s3://bucket/prefix`.

    storage: the service's own server, with its credentials.  Raises PictureRefused for another
    address, and one that names no bucket.
    """
    if "://" not in address:
        return Folder(Path(address).expanduser().resolve())
    parts = urlsplit(address)
    if parts.scheme != "s3":
        raise PictureRefused(f"{address} is neither a folder nor s3://bucket/prefix")
    if not parts.netloc.strip("."):
        raise PictureRefused(f"{address} names no bucket; write s3://bucket/prefix")
    prefix = parts.path.strip("/")
    store = open_store(storage.model_copy(update={"bucket": parts.netloc}), connections=1)
    return Bucket(store, parts.netloc, f"{prefix}/" if prefix else "")


def is_picture(path: str) -> bool:
    """Return whether a file may be a picture, by its name alone; hidden files never are."""
    place = PurePosixPath(path)
    return place.suffix.lower() in _PICTURE_SUFFIXES and not any(
        part.startswith(".") for part in place.parts
    )


def notes_too_large_error() -> PictureRefused:
    """Return the error for a file of notes that is too long."""
    return PictureRefused(f"{NOTES_FILE} has more than {MAX_NOTES_BYTES} bytes")


def parse_notes(text: str) -> Mapping[str, GivenDescription]:
    """Return the descriptions of a `backgrounds.toml`, by path.  Raises PictureRefused."""
    if len(text) > MAX_NOTES_BYTES:
        raise notes_too_large_error()
    try:
        document = documents.parse_toml(text)
    except ValueError as error:
        raise PictureRefused(f"{NOTES_FILE}: {error}") from error
    notes = {}
    for path, entry in document.items():
        if not isinstance(entry, dict):
            raise PictureRefused(
                f'{NOTES_FILE}: {path}: write ["{path}"], and below it title = "…"'
            )
        try:
            notes[path] = descriptions.parse_entry(entry)
        except PictureRefused as error:
            raise PictureRefused(f"{NOTES_FILE}: {path}: {error}") from error
    return notes


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


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder; a `Provider`."""

    path: Path

    @property
    def origin(self) -> str:
        """Its absolute path on this machine."""
        return str(self.path)

    def pictures(self) -> Iterator[FoundPicture]:
        """Yield its pictures; see `Provider.pictures`.  Links to folders are not followed."""
        if not self.path.is_dir():
            raise PictureRefused(f"{self.path} is not a folder")
        notes_file = self.path / NOTES_FILE
        notes = parse_notes(_read_text(notes_file)) if notes_file.exists() else {}
        for path in sorted(self.path.rglob("*")):
            name = path.relative_to(self.path).as_posix()
            if is_picture(name) and path.is_file():
                yield FoundPicture(
                    path=name,
                    length=path.stat().st_size,
                    stamp="",
                    given=notes.get(name, GivenDescription()),
                    read=partial(ingest.read_file, path),
                )


def _read_text(path: Path) -> str:
    try:
        return ingest.read_file(path).decode()
    except UnicodeDecodeError as error:
        raise PictureRefused(f"{path.name} is not UTF-8 text") from error
