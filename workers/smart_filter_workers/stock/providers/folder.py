"""A folder of pictures and its sub-folders."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from smart_filter_shared.errors import PictureRefused
from smart_filter_shared.settings import StorageSettings
from smart_filter_workers.stock import files
from smart_filter_workers.stock.providers.base import NOTES, Found, is_picture, notes_of
from smart_filter_workers.stock.words import Words


def opens(address: str) -> bool:
    """Whether an address is a folder's: whatever names no other kind of place."""
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
        """Where it lies on this machine."""
        return str(self.path)

    def pictures(self) -> Iterator[Found]:
        """Yield its pictures, as `Provider.pictures` says; links to folders are not followed."""
        if not self.path.is_dir():
            raise PictureRefused(f"{self.path} is not a folder")
        notes_file = self.path / NOTES
        notes = notes_of(_text(notes_file)) if notes_file.exists() else {}
        for path in sorted(self.path.rglob("*")):
            name = path.relative_to(self.path).as_posix()
            if is_picture(name) and path.is_file():
                yield Found(
                    path=name,
                    length=path.stat().st_size,
                    stamp="",
                    told=notes.get(name, Words()),
                    read=partial(files.read, path),
                )


def _text(path: Path) -> str:
    try:
        return files.read(path).decode()
    except UnicodeDecodeError as error:
        raise PictureRefused(f"{path.name} is no UTF-8 text") from error
