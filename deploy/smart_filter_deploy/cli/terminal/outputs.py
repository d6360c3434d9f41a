"""The output paths of each photo, planned before any work starts, and its outcome."""

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from typing import Final, TypeAlias

import click

from smart_filter_client import Format, OutputName, Recipe
from smart_filter_client.models import Job
from smart_filter_deploy.cli.terminal.photo_files import DASH
from smart_filter_wire.batches import BatchItemError
from smart_filter_wire.formats import free_name
from smart_filter_wire.jobs import JobError

OUTPUT_MARK = "smart-filter"
# File systems take 255 bytes for a name; a number, the mark, an output's name, and the ending of a
# file that is being written follow the stem.
_MAX_STEM_BYTES: Final = 180
_CHECKOUT = Path(__file__).parents[4]
# Format by the output file's extension, when no format is given.
_FORMAT_OF_SUFFIX: Final[Mapping[str, Format]] = {
    ".png": "png",
    ".jpg": "jpg",
    ".jpeg": "jpg",
    ".webp": "webp",
    ".avif": "avif",
}
# Of photos that are read, and of no picture that is written.
_READ_ONLY_SUFFIXES: Final = frozenset({".bmp", ".gif", ".heic", ".heif", ".tif", ".tiff"})
# Outputs that are separate files.
SEPARATE_FILES: frozenset[OutputName] = frozenset(
    {"cutout", "matte", "persons", "zip", "regions", "thumbnail", "sheet", "debug"}
)
# Media subtypes whose file extension differs.
_SUFFIX_OF_SUBTYPE = {"jpeg": "jpg"}


@dataclass(frozen=True, slots=True)
class OutputPaths:
    """Paths for the outputs of one photo.

    folder: exists.  stem: unique among the photos of this run.
    exact: the picture's own path, when the user named one.
    filename: how the server is asked to name them.  claim: returns a free path, by an output's name
    and its file of that name.
    is_marked: whether the names tell the files from photos, which can be in the same folder.
    """

    photo: Path
    folder: Path
    stem: str
    exact: Path | None
    filename: str = ""
    claim: Callable[[str, Path], Path] | None = None
    is_marked: bool = True

    def picture(self, image_format: str, _media_type: str, file_name: str) -> Path:
        """Return the picture's path for a format."""
        if self.claim is not None and file_name:
            return self.claim("image", self.folder / file_name)
        return self.image(image_format)

    def image(self, image_format: str) -> Path:
        """Return the picture's path for a format."""
        mark = f".{OUTPUT_MARK}" if self.is_marked else ""
        return self.exact or self.folder / f"{self.stem}{mark}.{_safe_suffix(image_format)}"

    def other(
        self, output: str, media_type: str, file_name: str = "", *, alone: bool = False
    ) -> Path:
        """Return the path of an output other than the picture, such as its matte.

        media_type: the output's, such as `image/png`.  alone: whether there is no other file.
        """
        if self.exact is not None:
            ending = suffix_of_media_type(media_type)
            return self.exact if alone else self.exact.with_suffix(f".{output}.{ending}")
        if self.claim is not None and file_name:
            return self.claim(output, self.folder / file_name)
        ending = suffix_of_media_type(media_type)
        if not self.is_marked:
            return self.folder / f"{self.stem}-{output}.{ending}"
        name = ending if output == ending else f"{output}.{ending}"
        return self.folder / f"{self.stem}.{OUTPUT_MARK}.{name}"


# Why a photo has no result: the error of its job, of its submission, or of this command.
Failure: TypeAlias = JobError | BatchItemError


def make_failure(code: str, title: str, detail: str = "", remedy: str = "") -> Failure:
    """Return a failure that no job has."""
    return BatchItemError(code, title, detail, remedy, stage=None)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome of one photo.

    job: None when the server refused the photo.  image: path of the picture.
    others: paths of the other outputs, by name.
    failure: why there is no result, including the job's own error.
    seconds: from submitting the photo to the written result.
    """

    place: OutputPaths
    job: Job | None
    image: Path | None
    others: Mapping[str, Path]
    failure: Failure | None
    seconds: float


@contextmanager
def open_outputs(photos: Sequence[Path], destination: str | None) -> Iterator[list[OutputPaths]]:
    """Yield a place for each photo, in order; photos of the same stem are numbered.

    destination: as for `plan_outputs`, or `-`: the picture of the one photo is written to standard
        output when the block ends.
    Raises click.UsageError when a picture could not be written.
    """
    if destination != DASH:
        yield plan_outputs(photos, destination)
        return
    if len(photos) != 1:
        raise click.BadParameter(
            f"standard output takes one picture, and there are {len(photos)} photos: name a folder",
            param_hint="-o",
        )
    if sys.stdout is None:
        raise click.BadParameter("standard output is closed", param_hint="-o")
    if sys.stdout.isatty():
        raise click.BadParameter(
            "the picture would be written to the terminal: redirect it, as in `-o - > me.png`",
            param_hint="-o",
        )
    with TemporaryDirectory(prefix="smart-filter-") as folder:
        picture = Path(folder) / "picture"
        yield [OutputPaths(photos[0], Path(folder), output_stem(photos[0]), picture)]
        if picture.exists():
            sys.stdout.buffer.write(picture.read_bytes())


def plan_outputs(photos: Sequence[Path], destination: str | None) -> list[OutputPaths]:
    """Return a place for each photo, in order; photos of the same stem are numbered.

    destination: a file, or a folder (an existing one, or a name that ends with a slash);
        None: the working directory.
    Raises click.UsageError when a picture could not be written.
    """
    if destination is None:
        return _plan_in_folder(Path(), photos, is_marked=True)
    path = Path(destination)
    if path.is_dir() or destination.endswith("/"):
        _make_folder(path)
        here = path.resolve()
        is_marked = any(photo.parent.resolve() == here for photo in photos)
        return _plan_in_folder(path, photos, is_marked=is_marked)
    if len(photos) > 1:
        raise click.BadParameter(
            f"{destination} would be one file of {len(photos)} photos; name a folder"
            f" that exists, or {destination}/ to create one",
            param_hint="-o",
        )
    if not path.parent.is_dir():
        raise click.BadParameter(f"there is no folder {path.parent}", param_hint="-o")
    if path.exists() and path.samefile(photos[0]):
        raise click.BadParameter("the input photo would be overwritten", param_hint="-o")
    _refuse_unwritable(path.parent)
    return [OutputPaths(photos[0], path.parent, output_stem(photos[0]), path)]


def output_stem(photo: PurePath) -> str:
    """Return the start of the names of a photo's outputs: its stem, cut to fit a file system."""
    stem = photo.stem
    while len(os.fsencode(stem)) > _MAX_STEM_BYTES:
        stem = stem[:-1]
    return stem


def format_from_name(destination: str | None, recipe: Recipe) -> Format | None:
    """Return the format of a file name's extension, or None.

    recipe: may name the format.  Raises click.UsageError when it names another one, for a format
        that is not written, and for two outputs to standard output.
    """
    wanted = ",".join(recipe.get("outputs") or ()).split(",")
    if destination == DASH and len({"image", *SEPARATE_FILES}.intersection(wanted)) > 1:
        raise click.BadParameter(
            "standard output takes one output: leave the others out, or name a folder",
            param_hint="-o",
        )
    suffix = "" if destination is None else Path(destination).suffix.lower()
    if suffix in _READ_ONLY_SUFFIXES:
        formats = ", ".join(_FORMAT_OF_SUFFIX)
        raise click.BadParameter(
            f"{destination}: {suffix} is not written: name one of {formats}", param_hint="-o"
        )
    suffix_format = _FORMAT_OF_SUFFIX.get(suffix)
    asked = "".join(recipe.get("format") or "")
    if suffix_format and asked not in {"", suffix_format, "auto"}:
        raise click.BadParameter(
            f"{destination} names {suffix_format}, and the format is {asked}: leave one out",
            param_hint="-o",
        )
    return suffix_format


def suffix_of_media_type(media_type: str) -> str:
    """Return the file extension of a media type, such as `jpg` of `image/jpeg`."""
    _, _, kind = media_type.partition("/")
    return _safe_suffix(_SUFFIX_OF_SUBTYPE.get(kind, kind))


def sample_photo() -> Path:
    """Return the sample photo, used when no photo is given.

    Raises click.UsageError outside a checkout of the project.
    """
    photo = _CHECKOUT / "tests" / "data" / "astronaut.png"
    if not photo.is_file():
        raise click.UsageError("give a photo; the sample exists only in a checkout of the project")
    return photo


def _safe_suffix(suffix: str) -> str:
    """Return a server's format as a file extension."""
    # Not trusted as part of a path: anything else becomes an extension that no program opens.
    return suffix if re.fullmatch(r"[a-z0-9]{1,8}", suffix) else "bin"


def _plan_in_folder(folder: Path, photos: Sequence[Path], *, is_marked: bool) -> list[OutputPaths]:
    _refuse_unwritable(folder)
    stems = {output_stem(photo) for photo in photos}
    taken: set[str] = set()
    planned = []
    for photo in photos:
        stem = output_stem(photo)
        if stem in taken:  # the names of other photos are left to them
            stem = free_name(stem, "", (taken | stems).__contains__)
        taken.add(stem)
        planned.append(OutputPaths(photo, folder, stem, None, is_marked=is_marked))
    return planned


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.BadParameter(
            f"cannot create {folder} ({error.strerror})", param_hint="-o"
        ) from error


def _refuse_unwritable(folder: Path) -> None:
    if not os.access(folder, os.W_OK | os.X_OK):
        raise click.UsageError(
            f"cannot write into {folder.absolute()}; choose another folder with -o"
        )
