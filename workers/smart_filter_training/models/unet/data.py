"""Reads folders of photos and masks, and says what is wrong with them."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.errors import FolderUnreadable
from smart_filter_shared.places import data_folder
from smart_filter_training import checks
from smart_filter_training.checks import Finding
from smart_filter_training.models.unet import pairs, teaching
from smart_filter_training.models.unet.configuration import Configuration
from smart_filter_training.models.unet.pairs import Pair
from smart_filter_training.models.unet.shelves import Shelf
from smart_filter_training.splits import held_out
from smart_filter_workers.evaluation import folders
from smart_filter_workers.stages.prepare.fingerprint import fingerprint_of

# Photos of one scene differ in few of 64 bits; chosen by looking at the pairs of 2,000 portraits.
ALIKE_BITS: Final = 10
_FINGERPRINT_PX: Final = 256


@dataclass(frozen=True, slots=True)
class Data:
    """What a run reads: pairs to train on, and others to validate on.

    digest: SHA-256 of names, photos and masks, in lower-case hex.  joined: folders of finished
    runs whose mattes are averaged with the new network's, for figures.
    """

    train: Shelf
    validation: Shelf
    digest: str
    joined: tuple[Path, ...] = ()


def read(folder: Path, configuration: Configuration) -> Data:
    """Find the pairs of a folder and split them; photos that look alike stay on one side.

    Raises FolderUnreadable in one line.
    """
    found = pairs.found(folder)
    missing = [pair.mask for pair in found if not pair.mask.is_file()]
    if missing:
        raise FolderUnreadable(
            f"{len(missing)} masks are missing, the first is {missing[0]}: see --check"
        )
    taught = _taught(configuration)
    out = _validate(found, [_fingerprint(pair) for pair in found], configuration)
    learning = [pair for pair, validates in zip(found, out, strict=True) if not validates]
    checking = [pair for pair, validates in zip(found, out, strict=True) if validates]
    if not learning or not checking:
        raise FolderUnreadable(f"{folder} {_too_few(found)}")
    return Data(
        train=Shelf([*learning, *taught]),
        validation=Shelf(checking),
        digest=_digest([*found, *taught]),
        joined=tuple(Path(run) for run in configuration.join.split(",") if run),
    )


def findings(folder: Path, configuration: Configuration) -> Iterator[Finding]:
    """Find everything that is wrong with a folder: each file is read."""
    try:
        found = pairs.found(folder)
    except FolderUnreadable as error:
        yield checks.unreadable(str(folder), folder, error, "docs/training.md shows both layouts")
        return
    known: dict[str, Path] = {}
    prints: list[int] = []
    whole: list[Pair] = []
    empty = 0
    for pair in found:
        if pair.name in known:
            yield Finding(str(pair.photo), f"is called like {known[pair.name]}", "rename it")
        known[pair.name] = pair.photo
        try:
            example = pairs.read(pair)
        except FolderUnreadable as error:
            what, _, remedy = str(error).removeprefix(f"{pair.photo}: ").partition(": ")
            yield Finding(str(pair.photo), what, remedy or "replace it, or remove it")
            continue
        empty += not (example.matte[example.counted] > folders.NOT_COUNTED).any()
        prints.append(fingerprint_of(example.srgb))
        whole.append(pair)
    yield from _twins(whole, prints)
    out = _validate(whole, prints, configuration)
    if whole and (out.all() or not out.any()):
        yield Finding(str(folder), _too_few(whole), "add pairs of other scenes")
    if whole and empty == len(whole):
        yield Finding(str(folder), "has nobody in any mask", "255 is a person, 0 is background")
    elif empty:
        yield Finding(
            str(folder),
            f"has {empty} photos without anybody",
            "leave them if that is meant: they teach what no person is",
            fatal=False,
        )


def _taught(configuration: Configuration) -> list[Pair]:
    """Return the pairs that a teacher has made, or makes now."""
    if not configuration.taught:
        return []
    into = Path(configuration.taught)
    if configuration.teacher:
        teaching.teach(
            Path(configuration.unlabelled),
            into,
            teacher=configuration.teacher,
            weights=Path(configuration.weights or data_folder() / "weights"),
        )
    return pairs.found(into)


def _validate(
    found: Sequence[Pair], prints: Sequence[int], configuration: Configuration
) -> NDArray[np.bool_]:
    """Return which pairs validate, (N,) bool; those of one scene are on one side."""
    names = [found[first].name for first in _scenes(prints)]
    return held_out(names, share=configuration.validation_share)


def _too_few(found: Sequence[Pair]) -> str:
    return f"holds {len(found)} pairs of photos and masks, too few to train and to validate on"


def _twins(whole: Sequence[Pair], prints: Sequence[int]) -> Iterator[Finding]:
    """Find photos that look alike: they stay on one side of the split, and count twice."""
    for number, first in enumerate(_scenes(prints)):
        if first != number:
            yield Finding(
                str(whole[number].photo),
                f"looks like {whole[first].photo}",
                "remove one of them, or leave both: they stay on one side of the split",
                fatal=False,
            )


def _scenes(prints: Sequence[int]) -> list[int]:
    """Return for each photo the number of the first one that it is, or leads to, alike."""
    bits = np.array([list(code.to_bytes(8)) for code in prints], np.uint8).reshape(-1, 8)
    first = list(range(len(prints)))

    def of(number: int) -> int:
        while first[number] != number:
            number = first[number]
        return number

    for number in range(len(prints)):
        apart = np.bitwise_count(bits[:number] ^ bits[number]).sum(axis=1)
        for other in np.flatnonzero(apart <= ALIKE_BITS):
            one, two = sorted((of(int(other)), of(number)))
            first[two] = one
    return [of(number) for number in range(len(prints))]


def _fingerprint(pair: Pair) -> int:
    return fingerprint_of(folders.photo(pair.photo).srgb)


def _digest(found: Iterable[Pair]) -> str:
    whole = hashlib.sha256()
    for pair in found:
        whole.update(pair.name.encode())
        whole.update(pair.photo.read_bytes())
        whole.update(pair.mask.read_bytes())
    return whole.hexdigest()
