"""The two splits of a folder of annotated pictures, with what they were read from."""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from smart_filter_shared.errors import FolderUnreadable
from smart_filter_training.annotations import pictures, reading
from smart_filter_training.annotations.marks import Marked, refuse, shown
from smart_filter_training.annotations.reading import Sheets
from smart_filter_training.checks import Finding, digest

_LABELS_TOLD: Final = 12


@dataclass(frozen=True, slots=True)
class Where:
    """Which of a folder's annotations are meant.

    annotations, validation: files below the folder, "" to look for them.
    labels: what is learnt, in lower case; validation_share: 0..1, where there is one file.
    most_faults: so many entries may be left out because something is wrong with them.
    """

    labels: tuple[str, ...]
    annotations: str = ""
    validation: str = ""
    validation_share: float = 0.2
    most_faults: int = 0


@dataclass(frozen=True, slots=True)
class Splits:
    """Pictures to train on, and pictures to judge by.

    labels: what is learnt, in the order of a network's classes.
    digest: SHA-256 of both splits' names, marks and pictures.
    """

    labels: tuple[str, ...]
    train: tuple[Marked, ...]
    validation: tuple[Marked, ...]
    digest: str


def read(folder: Path, where: Where) -> Splits:
    """Read a folder's annotations; the pictures themselves are decoded when they are needed.

    Raises FolderUnreadable when something is wrong with more entries than may be left out.
    """
    sheets = _sheets(folder, where)
    refuse([one for sheet in sheets.all for one in sheet.findings], most=where.most_faults)
    train, validation = _parts(sheets, folder, where)
    for name, part in (("training", train), ("validation", validation)):
        refuse(list(_lacking(name, part, sheets, where.labels)))
    return Splits(where.labels, train, validation, digest(_contents(train, validation)))


def findings(folder: Path, where: Where) -> Iterator[Finding]:
    """Yield everything that is wrong with a folder; each of its pictures is decoded.

    Raises FolderUnreadable when there are no annotations to look at.
    """
    sheets = _sheets(folder, where)
    found = [one for sheet in sheets.all for one in sheet.findings]
    yield from (replace(one, fatal=len(found) > where.most_faults) for one in found)
    train, validation = _parts(sheets, folder, where)
    yield from _lacking("training", train, sheets, where.labels)
    yield from _lacking("validation", validation, sheets, where.labels)
    yield from pictures.findings(train, validation)


def _sheets(folder: Path, where: Where) -> Sheets:
    return reading.sheets(
        folder, train=where.annotations, validation=where.validation, labels=where.labels
    )


def _parts(
    sheets: Sheets, folder: Path, where: Where
) -> tuple[tuple[Marked, ...], tuple[Marked, ...]]:
    if sheets.validation is not None:
        return sheets.train.pictures, sheets.validation.pictures
    share = where.validation_share
    if not 0 < share < 1:
        raise FolderUnreadable(f"validation_share is {share}: say a share between 0 and 1")
    return reading.parted(sheets.train.pictures, folder, validation_share=share)


def _lacking(
    name: str, part: Sequence[Marked], sheets: Sheets, labels: Collection[str]
) -> Iterator[Finding]:
    """Yield which labels nothing is marked with, so that they could not be learnt or judged."""
    file = sheets.train.path.name
    if sheets.validation is not None and name == "validation":
        file = sheets.validation.path.name
    there = {mark.label for picture in part for mark in picture.marks if not mark.is_crowd}
    known = ", ".join(map(shown, sheets.train.labels[:_LABELS_TOLD])) or "none"
    for label in labels:
        if label not in there:
            yield Finding(
                file,
                f"has no {label} marked in its {len(part)} pictures for {name}",
                f"mark some, or name another label; it knows {known}",
            )


def _contents(train: Sequence[Marked], validation: Sequence[Marked]) -> Iterator[bytes]:
    for split, part in (("train", train), ("validation", validation)):
        for picture in part:
            with picture.path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            yield repr((split, picture.path.name, content, picture.marks)).encode()
