"""Masks and strokes of the photos of a folder, which have the photos' names in another folder."""

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from smart_filter_client.errors import Refused
from smart_filter_deploy.cli.server.submit_and_fetch import PhotoRequest, read_strokes
from smart_filter_deploy.cli.terminal.exit_codes import CommandError

MASK, STROKES = ".png", ".json"
_FIELDS = ("/mask_file", "/strokes")


def count_drawings(folder: Path, photos: Sequence[str]) -> str:
    """Return a sentence with the number of photos that have a drawing in a folder.

    photos: their names.  Raises CommandError when there is none for any of these photos.
    """
    drawn = sum(bool(_find_drawings(folder, photo)) for photo in photos)
    if photos and not drawn:
        name = PurePosixPath(photos[0])
        raise CommandError(
            f"{folder} has no mask and no strokes for any photo: those of {name} are"
            f" {name.with_suffix(MASK)} or {name.with_suffix(STROKES)} there"
        )
    return f"{drawn} of {len(photos)} photos have a mask or strokes in {folder}"


def add_drawings(wanted: PhotoRequest, photo: str, recipe: str) -> tuple[PhotoRequest, str]:
    """Return the request of a photo with its mask or its strokes, and the digest of both.

    photo: its name below the folder.  recipe: digest of the request alone.
    Raises OSError, and ValueError for wrong strokes.
    """
    files = _find_drawings(wanted.drawings, photo)
    mask, strokes = files.get(MASK), files.get(STROKES)
    drawn = () if strokes is None else read_strokes(strokes)
    for suffix, path in files.items():
        text = f"{recipe} {suffix} {digest_file(path)}"
        recipe = hashlib.sha256(text.encode()).hexdigest()
    return dataclasses.replace(wanted, mask_file=mask, strokes=drawn), recipe


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal.  Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_about_drawing(error: Refused) -> bool:
    """Return whether a photo is refused for its mask or strokes, and others need not be."""
    return bool(error.errors) and all(wrong.pointer.startswith(_FIELDS) for wrong in error.errors)


def _find_drawings(folder: Path | None, photo: str) -> dict[str, Path]:
    if folder is None:
        return {}
    path = folder / photo
    files = {suffix: path.with_suffix(suffix) for suffix in (MASK, STROKES)}
    return {suffix: file for suffix, file in files.items() if file.is_file()}
