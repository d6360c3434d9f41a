"""Find, read and check pairs of photos and mattes, one at a time, and split them.

Two layouts are known: `images/X.jpg` with `masks/X.png`, as evaluations have them, and that of
AISegment's matting set, `clip_img/GROUP/clip_N/X.jpg` with `matting/GROUP/matting_N/X.png`, whose
matte is the alpha channel. A folder has one of them, or holds folders that have.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from smart_filter_shared.errors import FolderUnreadable
from smart_filter_shared.security.photo_header import MAX_PIXELS
from smart_filter_training import examples, preflight
from smart_filter_training.evaluation import dataset_files
from smart_filter_training.preflight import Finding
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Matte8, Srgb8
from smart_filter_workers.stages.prepare.stage import compute_perceptual_hash

IMAGES, MASKS = "images", "masks"
CLIPS, MATTING = "clip_img", "matting"
LAYOUTS: Final = ((IMAGES, MASKS), (CLIPS, MATTING))
# Networks see at most 320 pixels here; the rest leaves room for cropping and turning.
LONGEST_SIDE_PX: Final = 416
# Photos of one scene differ in few of 64 bits; chosen by looking at the pairs of 2,000 portraits.
ALIKE_BITS: Final = 10
_WITH_ALPHA: Final = (4, 3)  # channels, axes


@dataclass(frozen=True, slots=True)
class Pair:
    """The files of a photo and its matte.

    name: unique in the folder; the text before its first _ is the source.
    """

    name: str
    photo: Path
    mask: Path

    @property
    def source(self) -> str:
        """The source of the picture by its name, or ""."""
        return dataset_files.group_prefix(self.name)


@dataclass(frozen=True, slots=True)
class Example:
    """A photo and its matte, shrunk.

    srgb: (h, w, 3) uint8; matte: (h, w) uint8, 255 person; counted: (h, w) bool, the pixels
    whose matte is known.
    """

    srgb: Srgb8
    matte: Matte8
    counted: NDArray[np.bool_]


def find_pairs(folder: Path) -> list[Pair]:
    """Return the pairs of a folder by name; their masks may be missing.

    Raises FolderUnreadable when it has neither layout.
    """
    roots = [folder, *(place for place in _list_folders(folder) if _has_layout(place))]
    pairs = [pair for root in roots for pair in _find_pairs_in(root)]
    if not pairs:
        raise FolderUnreadable(
            f"{folder} holds neither {IMAGES}/ and {MASKS}/ nor {CLIPS}/ and {MATTING}/,"
            " nor folders that do"
        )
    return sorted(pairs, key=lambda pair: (pair.name, str(pair.photo)))


def read_pair(pair: Pair, *, longest_side_px: int = LONGEST_SIDE_PX) -> Example:
    """Read a pair and shrink it to a longest side.

    Raises FolderUnreadable naming the file that cannot be used.
    """
    srgb = dataset_files.read_photo(pair.photo).srgb
    matte = _read_matte(pair.mask, srgb)
    example = Example(srgb, matte, dataset_files.counted_pixels(matte))
    return _shrink(example, longest_side_px)


def hash_photo(pair: Pair) -> int:
    """Return the perceptual hash of a pair's photo.  Raises FolderUnreadable."""
    return compute_perceptual_hash(dataset_files.read_photo(pair.photo).srgb)


def split_pairs(
    pairs: Sequence[Pair], hashes: Sequence[int], *, validation_share: float
) -> tuple[list[Pair], list[Pair]]:
    """Return the pairs to train on and to validate on; pairs of one scene are on one side."""
    names = [pairs[first].name for first in _find_scenes(hashes)]
    validates = examples.hold_out(names, share=validation_share)
    sides: tuple[list[Pair], list[Pair]] = ([], [])
    for pair, is_out in zip(pairs, validates, strict=True):
        sides[int(is_out)].append(pair)
    return sides


def describe_too_few(pairs: Sequence[Pair]) -> str:
    """Return the problem of a folder whose split has an empty side."""
    return f"holds {len(pairs)} pairs of photos and masks, too few to train and to validate on"


def check_data(folder: Path, *, validation_share: float) -> Iterator[Finding]:
    """Find the problems of a folder: each file is read."""
    try:
        pairs = find_pairs(folder)
    except FolderUnreadable as error:
        remedy = "docs/training.md shows both layouts"
        yield preflight.describe_unreadable(str(folder), folder, error, remedy)
        return
    photos: dict[str, Path] = {}
    hashes: list[int] = []
    usable: list[Pair] = []
    empty = 0
    for pair in pairs:
        if pair.name in photos:
            yield Finding(str(pair.photo), f"has the name of {photos[pair.name]}", "rename it")
        photos[pair.name] = pair.photo
        try:
            example = read_pair(pair)
        except FolderUnreadable as error:
            what, _, remedy = str(error).removeprefix(f"{pair.photo}: ").partition(": ")
            yield Finding(str(pair.photo), what, remedy or "replace it, or remove it")
            continue
        empty += not (example.matte[example.counted] > dataset_files.NOT_COUNTED).any()
        hashes.append(compute_perceptual_hash(example.srgb))
        usable.append(pair)
    yield from _check_look_alikes(usable, hashes)
    if usable and not all(split_pairs(usable, hashes, validation_share=validation_share)):
        yield Finding(str(folder), describe_too_few(usable), "add pairs of other scenes")
    if usable and empty == len(usable):
        yield Finding(str(folder), "has no person in any mask", "255 is a person, 0 is background")
    elif empty:
        yield Finding(
            str(folder),
            f"has {empty} photos without a person",
            "keep them if that is intended: they teach the network what is no person",
            fatal=False,
        )


def _check_look_alikes(pairs: Sequence[Pair], hashes: Sequence[int]) -> Iterator[Finding]:
    """Find photos that look alike: they stay on one side of the split, and count twice."""
    for number, first in enumerate(_find_scenes(hashes)):
        if first != number:
            yield Finding(
                str(pairs[number].photo),
                f"looks like {pairs[first].photo}",
                "remove one of them, or keep both: they stay on one side of the split",
                fatal=False,
            )


def _find_scenes(hashes: Sequence[int]) -> list[int]:
    """Return the scene of each photo: the number of the first one in its chain of look-alikes."""
    bits = np.array([list(code.to_bytes(8)) for code in hashes], np.uint8).reshape(-1, 8)
    first = list(range(len(hashes)))
    for number in range(len(hashes)):
        distance = np.bitwise_count(bits[:number] ^ bits[number]).sum(axis=1)
        for other in np.flatnonzero(distance <= ALIKE_BITS):
            low, high = sorted((_find_root(first, int(other)), _find_root(first, number)))
            first[high] = low
    return [_find_root(first, number) for number in range(len(hashes))]


def _find_root(first: Sequence[int], number: int) -> int:
    while first[number] != number:
        number = first[number]
    return number


def _read_matte(path: Path, like: Srgb8) -> Matte8:
    """Read a matte of a photo, (H, W) uint8: its alpha where it has one, else its brightness.

    Raises FolderUnreadable when it is missing, corrupt, or of another size than `like`.
    """
    if not path.is_file():
        raise FolderUnreadable(f"{path} is missing: add the mask, or remove its photo")
    values = _decode(path)
    if values is None or values.dtype != np.uint8:
        raise FolderUnreadable(f"{path} is not a picture of 8 bits a channel: save it again as PNG")
    if (values.shape[-1], values.ndim) == _WITH_ALPHA:
        matte = values[..., 3]
    else:
        matte = values if values.ndim == 2 else values[..., 1]  # noqa: PLR2004 - gray
    if matte.shape != like.shape[:2]:
        height, width = matte.shape
        raise FolderUnreadable(
            f"{path} is {width}×{height} pixels, its photo {like.shape[1]}×{like.shape[0]}:"
            " save both at one size"
        )
    return np.ascontiguousarray(matte)


def _decode(path: Path) -> NDArray[np.generic] | None:
    """Decode a matte with all its channels and bits; None when it is not a picture."""
    packed = dataset_files.read_content(path)
    try:
        # The header has the size: check it before a pixel is decoded.
        with Image.open(io.BytesIO(packed)) as header:
            width, height = header.size
        is_large = width * height > MAX_PIXELS
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        is_large = True
    except (OSError, SyntaxError, ValueError):
        return None
    if is_large:
        raise FolderUnreadable(
            f"{path} has more than {MAX_PIXELS} pixels: save it at its photo's size"
        )
    try:
        return cv2.imdecode(np.frombuffer(packed, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None


def _shrink(example: Example, longest_side_px: int) -> Example:
    """Return an example whose longer side is at most that long.

    A small pixel does not count when one of the pixels that it covers does not count.
    """
    height, width = example.matte.shape
    scale = longest_side_px / max(height, width)
    if scale >= 1:
        return example
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    matte = np.where(example.counted, example.matte, np.uint8(0))
    missing = (~example.counted).astype(np.uint8) * 255
    return Example(
        srgb=_resize(example.srgb, size),
        matte=_resize(matte, size),
        counted=_resize(missing, size) == 0,
    )


def _resize(values: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _find_pairs_in(root: Path) -> Iterator[Pair]:
    """Yield the pairs of a folder, without its inner folders."""
    for photo in _list_pictures(root / IMAGES):
        # A name without a source gets the source of its folder.
        has_source = dataset_files.group_prefix(photo.stem)
        name = photo.stem if has_source else f"{root.name}_{photo.stem}"
        yield Pair(name, photo, root / MASKS / f"{photo.stem}.png")
    for photo in _list_pictures(root / CLIPS):
        below = photo.relative_to(root / CLIPS).parent
        parts = [part.replace("clip_", "matting_", 1) for part in below.parts]
        mask = root.joinpath(MATTING, *parts, f"{photo.stem}.png")
        yield Pair(f"aisegment_{photo.stem}", photo, mask)


def _list_pictures(folder: Path) -> list[Path]:
    files = folder.rglob("*") if folder.is_dir() else ()
    pictures = sorted(
        path for path in files if path.suffix.lower() in dataset_files.PICTURE_SUFFIXES
    )
    dataset_files.refuse_unprintable(pictures)
    return pictures


def _list_folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise FolderUnreadable(f"{folder} is not a folder")
    return sorted(entry for entry in folder.iterdir() if entry.is_dir())


def _has_layout(folder: Path) -> bool:
    """Return whether a folder holds photos and masks; photos alone are no data."""
    return any((folder / a).is_dir() and (folder / b).is_dir() for a, b in LAYOUTS)
