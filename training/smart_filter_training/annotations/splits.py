"""Read the annotation files of a folder, and split its pictures into training and validation."""

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

from smart_filter_shared.errors import FolderUnreadable
from smart_filter_training.annotations import coco, dataturks, pictures
from smart_filter_training.annotations.marks import (
    AnnotatedPicture,
    AnnotationFile,
    escape,
    refuse,
)
from smart_filter_training.evaluation import dataset_files
from smart_filter_training.examples import hold_out
from smart_filter_training.preflight import Finding, compute_digest

SUFFIXES: Final = (".json", ".jsonl")
# Parts of the names of annotation files.
_TRAINING, _VALIDATION = "train", "val"
# A Dataturks line begins within these bytes.
_FIRST_BYTES: Final = 65_536
_MAX_LABELS_SHOWN: Final = 12


@dataclass(frozen=True, slots=True)
class SplitOptions:
    """The annotations of a folder to read.

    annotations, validation: files in the folder, "" to search for them.
    labels: to learn, in lower case; validation_share: 0..1, for a folder with one file.
    most_faults: the number of faulty entries that may be left out.
    """

    labels: tuple[str, ...]
    annotations: str = ""
    validation: str = ""
    validation_share: float = 0.2
    most_faults: int = 0

    @classmethod
    def read(cls, configuration: Any, label: str) -> Self:  # noqa: ANN401 - of any model
        """Return the options among the settings of a run; label: the model's own.

        They have the same names, and `label`, "" for the model's own.
        """
        names = ("annotations", "validation", "validation_share", "most_faults")
        options = {name: getattr(configuration, name) for name in names}
        return cls(labels=((configuration.label or label).casefold(),), **options)


@dataclass(frozen=True, slots=True)
class Splits:
    """Pictures to train on, and pictures to validate on.

    labels: in the order of a network's classes.
    digest: SHA-256 of both splits' names, marks and pictures.
    """

    labels: tuple[str, ...]
    train: tuple[AnnotatedPicture, ...]
    validation: tuple[AnnotatedPicture, ...]
    digest: str


@dataclass(frozen=True, slots=True)
class AnnotationFiles:
    """The annotation files of a folder; validation is None when training is to be split."""

    train: AnnotationFile
    validation: AnnotationFile | None

    @property
    def findings(self) -> list[Finding]:
        """The problems of both files."""
        return [*self.train.findings, *(self.validation.findings if self.validation else ())]


def read_splits(folder: Path, options: SplitOptions) -> Splits:
    """Read a folder's annotations; pictures are decoded later, one by one.

    Raises FolderUnreadable when more entries are faulty than may be left out.
    """
    files = _read_files(folder, options)
    refuse(files.findings, most=options.most_faults)
    train, validation = _split(files, folder, options)
    for name, part in (("training", train), ("validation", validation)):
        refuse(list(_check_labels(name, part, files, options.labels)))
    return Splits(options.labels, train, validation, compute_digest(_contents(train, validation)))


def check_data(folder: Path, options: SplitOptions) -> Iterator[Finding]:
    """Decode every picture of a folder; yield the problems.

    Raises FolderUnreadable when there are no annotations.
    """
    files = _read_files(folder, options)
    is_fatal = len(files.findings) > options.most_faults
    yield from (replace(finding, fatal=is_fatal) for finding in files.findings)
    train, validation = _split(files, folder, options)
    yield from _check_labels("training", train, files, options.labels)
    yield from _check_labels("validation", validation, files, options.labels)
    yield from pictures.check_pictures(train, validation)


def find_files(
    folder: Path, *, train: str = "", validation: str = "", labels: Collection[str] = ()
) -> AnnotationFiles:
    """Find and read a folder's annotation files.

    train, validation: paths in the folder; "" for the only file in it or in its folder
    `annotations`, or those with `train` and `val` in their names.
    labels: which marks are read, in lower case, () for all.
    Raises FolderUnreadable when there is none, or the choice is ambiguous.
    """
    if not folder.is_dir():
        raise FolderUnreadable(f"{folder} is not a folder")
    if train:
        other = folder / validation if validation else None
        return _read_pair(folder / train, other, folder, labels)
    if validation:
        raise FolderUnreadable("a file for validation needs one for training: set `annotations`")
    paths = _list_candidates(folder)
    names = ", ".join(path.name for path in paths)
    if not paths:
        raise FolderUnreadable(
            f"{folder} holds no annotations: put COCO JSON or Dataturks JSON lines there"
        )
    if len(paths) == 1:
        return _read_pair(paths[0], None, folder, labels)
    training = [path for path in paths if _TRAINING in path.stem]
    validating = [path for path in paths if _VALIDATION in path.stem]
    if len(paths) != 2 or len(training) != 1 or len(validating) != 1:  # noqa: PLR2004 - two splits
        raise FolderUnreadable(f"{folder} holds {names}: choose with `--set annotations=FILE`")
    return _read_pair(training[0], validating[0], folder, labels)


def read_file(path: Path, folder: Path, *, labels: Collection[str] = ()) -> AnnotationFile:
    """Read one annotation file of either format.  Raises FolderUnreadable."""
    if _is_dataturks(path):
        return dataturks.read_annotations(path, folder, labels=labels)
    return coco.read_annotations(path, folder, labels=labels)


def _read_files(folder: Path, options: SplitOptions) -> AnnotationFiles:
    return find_files(
        folder, train=options.annotations, validation=options.validation, labels=options.labels
    )


def _read_pair(
    train: Path, validation: Path | None, folder: Path, labels: Collection[str]
) -> AnnotationFiles:
    return AnnotationFiles(
        read_file(train, folder, labels=labels),
        None if validation is None else read_file(validation, folder, labels=labels),
    )


def _list_candidates(folder: Path) -> list[Path]:
    paths: list[Path] = []
    for place in (folder, folder / "annotations"):
        if place.is_dir():
            paths += (path for path in place.iterdir() if path.suffix.lower() in SUFFIXES)
    dataset_files.refuse_unprintable(paths)
    return sorted(paths)


def _is_dataturks(path: Path) -> bool:
    """Return whether the first line is an object of its own with a picture's name."""
    if path.exists() and not path.is_file():
        raise FolderUnreadable(f"{path} is not a file")
    try:
        with path.open("rb") as file:
            first = file.readline(_FIRST_BYTES)
    except OSError as error:
        raise FolderUnreadable(f"{path} cannot be read: {error.strerror}") from error
    try:
        document = json.loads(first)
    except (ValueError, RecursionError):
        # The beginning of a longer line, or the first of several lines of a JSON file.
        return path.suffix.lower() == ".jsonl" or first.lstrip().startswith(b'{"content"')
    return isinstance(document, dict) and "images" not in document and "content" in document


def _split(
    files: AnnotationFiles, folder: Path, options: SplitOptions
) -> tuple[tuple[AnnotatedPicture, ...], tuple[AnnotatedPicture, ...]]:
    """Return the pictures of both files, or the pictures of one split by their names."""
    every = files.train.pictures
    if files.validation is not None:
        return every, files.validation.pictures
    share = options.validation_share
    if not 0 < share < 1:
        raise FolderUnreadable(f"validation_share is {share}: set a share between 0 and 1")
    validates = hold_out((_relative_path(picture, folder) for picture in every), share=share)
    train = tuple(picture for picture, is_out in zip(every, validates, strict=True) if not is_out)
    return train, tuple(picture for picture, is_out in zip(every, validates, strict=True) if is_out)


def _relative_path(picture: AnnotatedPicture, folder: Path) -> str:
    path = picture.path
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path.name)


def _check_labels(
    name: str,
    part: Sequence[AnnotatedPicture],
    files: AnnotationFiles,
    labels: Collection[str],
) -> Iterator[Finding]:
    """Yield the labels without a mark, which could not be learned or measured."""
    file = files.train.path.name
    if files.validation is not None and name == "validation":
        file = files.validation.path.name
    marked = {mark.label for picture in part for mark in picture.marks if not mark.is_crowd}
    shown = ", ".join(map(escape, files.train.labels[:_MAX_LABELS_SHOWN])) or "none"
    for label in labels:
        if label not in marked:
            yield Finding(
                file,
                f"has no {label} marked in its {len(part)} pictures for {name}",
                f"mark some, or name another label; the file has {shown}",
            )


def _contents(
    train: Sequence[AnnotatedPicture], validation: Sequence[AnnotatedPicture]
) -> Iterator[bytes]:
    for split, part in (("train", train), ("validation", validation)):
        for picture in part:
            with picture.path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            yield repr((split, picture.path.name, content, picture.marks)).encode()
