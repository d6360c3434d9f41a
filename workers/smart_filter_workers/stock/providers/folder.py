"""A provider: a folder of pictures and its sub-folders."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from smart_filter_shared.config.settings import StorageSettings
from smart_filter_shared.errors import PictureRefused
from smart_filter_shared.stock.descriptions import GivenDescription
from smart_filter_workers.stock import ingest
from smart_filter_workers.stock.providers.base import (
    NOTES_FILE,
    FoundPicture,
    is_picture,
    parse_notes,
)


def opens(address: str) -> bool:
    """Return whether an address is a folder: one without `://`."""
    return "://" not in address


def open_at(address: str, storage: StorageSettings) -> "Folder":
    """Return the folder of an address."""
    del storage
    return Folder(Path(address).expanduser().resolve())


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
        notes = parse_notes(_text(notes_file)) if notes_file.exists() else {}
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


def _text(path: Path) -> str:
    try:
        return ingest.read_file(path).decode()
    except UnicodeDecodeError as error:
        raise PictureRefused(f"{path.name} is not UTF-8 text") from error
