"""What every provider of pictures keeps to, and what two of them share."""

import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final, Protocol

from smart_filter_shared.errors import PictureRefused
from smart_filter_shared.settings import StorageSettings
from smart_filter_workers.stock import words
from smart_filter_workers.stock.words import Words

# A file of this name beside the pictures tells their titles, tags and moods, by their paths.
NOTES: Final = "backgrounds.toml"
_ENDINGS: Final = frozenset({".avif", ".heic", ".heif", ".jpeg", ".jpg", ".png", ".webp"})


@dataclass(frozen=True, slots=True)
class Found:
    """A picture where it was found.

    path: within its place, parts parted by slashes; it gives name and tags.
    length: in bytes.  stamp: changes with the content; "" when only reading tells.
    told: what is told of it there.
    read: returns its bytes; raises PictureRefused or StorageUnavailable.
    """

    path: str
    length: int
    stamp: str
    told: Words
    read: Callable[[], bytes]


class Provider(Protocol):
    """A place with pictures."""

    @property
    def origin(self) -> str:
        """What the place is called, the same each time: pictures are kept in step with it."""
        ...

    def pictures(self) -> Iterator[Found]:
        """Yield the pictures that are there, by their paths.

        Raises PictureRefused when the place or its notes cannot be read, and StorageUnavailable.
        """
        ...


class ProviderFile(Protocol):
    """What a module of this package exposes."""

    def opens(self, address: str) -> bool:
        """Whether an address is of this kind."""
        ...

    def open_at(self, address: str, storage: StorageSettings) -> Provider:
        """Return the provider of an address; storage: the service's own, with its credentials."""
        ...


def is_picture(path: str) -> bool:
    """Whether a file may be a picture, by its name alone; hidden ones are none."""
    place = PurePosixPath(path)
    return place.suffix.lower() in _ENDINGS and not any(
        part.startswith(".") for part in place.parts
    )


def notes_of(text: str) -> Mapping[str, Words]:
    """Return what a `backgrounds.toml` tells, by path.  Raises PictureRefused."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PictureRefused(f"{NOTES}: {error}") from error
    told = {}
    for path, entry in document.items():
        if not isinstance(entry, dict):
            raise PictureRefused(f'{NOTES}: {path}: write ["{path}"], and below it title = "…"')
        try:
            told[path] = words.told_by(entry)
        except PictureRefused as error:
            raise PictureRefused(f"{NOTES}: {path}: {error}") from error
    return told
