"""Where the pictures are that a file of annotations names: in its folder, and nowhere else."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final
from urllib.parse import unquote, urlsplit

# Folders of pictures beside a file of annotations, as COCO's archives and most tools have them.
USUAL: Final = ("images", "JPEGImages")
# What COCO's files are called before the name of their folder: `instances_train2017.json`.
_OF_COCO: Final = "instances_"


class NoSuchPicture(Exception):
    """A picture is not where it must be; the message says why, after its name."""


def find(name: str, sheet: Path, folder: Path) -> Path:
    """Return the picture that a file of annotations calls by a path or an address.

    sheet: that file; folder: what pictures must lie in.  Of an address only the last part
    counts: nothing is fetched.
    Raises NoSuchPicture when it is outside of the folder, or missing.
    """
    if "://" in name:
        name = _last_part(name)
    path = PurePosixPath(name)
    leaves = path.is_absolute() or ".." in path.parts or bool(PureWindowsPath(name).drive)
    if leaves or "\\" in name or "\0" in name or not path.parts:
        raise NoSuchPicture("is no path below the folder")
    try:
        for place in _places(sheet, folder):
            if (place / path).is_file():
                return place / path
    except OSError as error:
        raise NoSuchPicture(f"is no name of a file: {error.strerror}") from error
    raise NoSuchPicture("is not in the folder")


def _last_part(address: str) -> str:
    try:
        return PurePosixPath(unquote(urlsplit(address).path)).name
    except ValueError as error:
        raise NoSuchPicture(f"is no address: {error}") from error


def _places(sheet: Path, folder: Path) -> Iterator[Path]:
    yield folder
    yield from (folder / name for name in USUAL)
    yield folder / sheet.stem.removeprefix(_OF_COCO)
    if sheet.parent != folder:
        yield sheet.parent
