"""The interface of every provider of pictures, and code that providers share."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final, Protocol

from smart_filter_shared import documents
from smart_filter_shared.config.settings import StorageSettings
from smart_filter_shared.errors import PictureRefused
from smart_filter_shared.stock import descriptions
from smart_filter_shared.stock.descriptions import GivenDescription

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


class ProviderFile(Protocol):
    """The interface of a module of this package."""

    def opens(self, address: str) -> bool:
        """Return whether an address is of this kind."""
        ...

    def open_at(self, address: str, storage: StorageSettings) -> Provider:
        """Return the provider of an address; storage: the service's own, with its credentials."""
        ...


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
