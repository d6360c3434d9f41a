"""Which photos go in and where their pictures go, decided before anything starts."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

_MARK = "smart-filter"
_CHECKOUT = Path(__file__).parents[3]
# What a file's name asks for when no format is named.
_FORMATS = {".png": "png", ".jpg": "jpg", ".jpeg": "jpg", ".webp": "webp", ".avif": "avif"}
# What a media type calls otherwise than a file's name does.
_ENDINGS = {"jpeg": "jpg"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where what is made of one photo goes.

    folder: exists by now.  stem: no other photo of this run has it.
    exact: the picture's own path, when the user named one.
    """

    photo: Path
    folder: Path
    stem: str
    exact: Path | None

    def image(self, image_format: str) -> Path:
        """Return where the picture goes when it has that format."""
        return self.exact or self.folder / f"{self.stem}.{_MARK}.{_ending(image_format)}"

    def beside(self, output: str, media_type: str) -> Path:
        """Return where an output beside the picture goes, such as its matte.

        media_type: the output's, such as `image/png`.
        """
        _, _, kind = media_type.partition("/")
        ending = _ending(_ENDINGS.get(kind, kind))
        name = ending if output == ending else f"{output}.{ending}"
        return self.folder / f"{self.stem}.{_MARK}.{name}"


def places(photos: Sequence[Path], destination: str | None) -> list[Place]:
    """Return a place for each photo, in order; photos of the same stem are numbered.

    destination: a file, or a folder (one that exists, or a name that ends with a slash);
        None: the working directory.
    Raises click.UsageError when a picture could not be written there.
    """
    if destination is None:
        return _inside(Path(), photos)
    path = Path(destination)
    if path.is_dir() or destination.endswith("/"):
        _make(path)
        return _inside(path, photos)
    if len(photos) > 1:
        raise click.BadParameter(
            f"{destination} is a file, and there are {len(photos)} photos; name a folder"
            f" that exists, or {destination}/ to have it made",
            param_hint="-o",
        )
    if not path.parent.is_dir():
        raise click.BadParameter(f"there is no folder {path.parent}", param_hint="-o")
    if path.exists() and path.samefile(photos[0]):
        raise click.BadParameter("the photo itself would be overwritten", param_hint="-o")
    _refuse_closed(path.parent)
    return [Place(photos[0], path.parent, photos[0].stem, path)]


def format_of(destination: str | None) -> str | None:
    """Return the format that a file's name asks for, or None."""
    return None if destination is None else _FORMATS.get(Path(destination).suffix.lower())


def sample() -> Path:
    """Return the photo that is used when none is named.

    Raises click.UsageError where there is no checkout of the project.
    """
    photo = _CHECKOUT / "tests" / "data" / "astronaut.png"
    if not photo.is_file():
        raise click.UsageError("name a photo; the sample is in the project's checkout only")
    return photo


def _ending(told: str) -> str:
    """Return what a server tells of a format as the ending of a file's name."""
    # It is no path of ours to follow: what is no ending is kept, and opened by no program.
    return told if re.fullmatch(r"[a-z0-9]{1,8}", told) else "bin"


def _inside(folder: Path, photos: Sequence[Path]) -> list[Place]:
    _refuse_closed(folder)
    taken: set[str] = set()
    found = []
    for photo in photos:
        stem, number = photo.stem, 1
        while stem in taken:
            number += 1
            stem = f"{photo.stem}-{number}"
        taken.add(stem)
        found.append(Place(photo, folder, stem, None))
    return found


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.BadParameter(
            f"cannot make {folder} ({error.strerror})", param_hint="-o"
        ) from error


def _refuse_closed(folder: Path) -> None:
    if not os.access(folder, os.W_OK | os.X_OK):
        raise click.UsageError(
            f"nothing can be written into {folder.absolute()}; choose another place with -o"
        )
