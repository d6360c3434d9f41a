"""Photos and their mattes as folders hold them, found by name and read one at a time.

Two layouts are known: `images/X.jpg` with `masks/X.png`, as evaluations have them, and the one
of AISegment's matting set, `clip_img/GROUP/clip_N/X.jpg` with `matting/GROUP/matting_N/X.png`,
whose matte is the alpha channel. A folder is either, or holds folders that are.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from smart_filter_shared.errors import FolderUnreadable
from smart_filter_workers import images
from smart_filter_workers.evaluation import folders
from smart_filter_workers.results import Matte8, Srgb8

IMAGES, MASKS = "images", "masks"
CLIPS, MATTING = "clip_img", "matting"
LAYOUTS: Final = ((IMAGES, MASKS), (CLIPS, MATTING))
# Networks here see at most 320 pixels; a half more is kept for what is cut and turned.
LONGEST_SIDE_PX: Final = 416
_WITH_ALPHA: Final = (4, 3)  # channels, axes


@dataclass(frozen=True, slots=True)
class Pair:
    """Where a photo and its matte lie.

    name: tells the pair from all others of the folder, and its source before the first _.
    """

    name: str
    photo: Path
    mask: Path

    @property
    def source(self) -> str:
        """Where pictures like this one come from; "" when the name does not tell."""
        return folders.prefix(self.name)


@dataclass(frozen=True, slots=True)
class Example:
    """A photo and who is in it, shrunk to at most LONGEST_SIDE_PX.

    srgb: (h, w, 3) uint8; matte: (h, w) uint8, 255 person; counted: (h, w) bool, which pixels
    of the matte say anything.
    """

    srgb: Srgb8
    matte: Matte8
    counted: NDArray[np.bool_]


def found(folder: Path) -> list[Pair]:
    """Return the pairs of a folder by name; their masks may be missing.

    Raises FolderUnreadable when it has neither layout.
    """
    roots = [folder, *(one for one in _folders(folder) if _is_layout(one))]
    pairs = [pair for root in roots for pair in _of(root)]
    if not pairs:
        raise FolderUnreadable(
            f"{folder} holds neither {IMAGES}/ and {MASKS}/ nor {CLIPS}/ and {MATTING}/,"
            " nor folders that do"
        )
    return sorted(pairs, key=lambda pair: (pair.name, str(pair.photo)))


def read(pair: Pair) -> Example:
    """Read and shrink a pair.  Raises FolderUnreadable naming the file that cannot be used."""
    srgb = folders.photo(pair.photo).srgb
    matte = level(pair.mask, srgb)
    return shrunk(Example(srgb, matte, folders.counted(matte)))


def level(path: Path, like: Srgb8) -> Matte8:
    """Read a matte of a photo, (H, W) uint8: its alpha where it has one, else its brightness.

    Raises FolderUnreadable when it is missing, corrupt, or of another size than `like`.
    """
    if not path.is_file():
        raise FolderUnreadable(f"{path} is missing: add the mask, or remove its photo")
    values = _decoded(path)
    if values is None or values.dtype != np.uint8:
        raise FolderUnreadable(f"{path} is no picture of 8 bits a channel: save it again as PNG")
    if (values.shape[-1], values.ndim) == _WITH_ALPHA:
        matte = values[..., 3]
    else:
        matte = values if values.ndim == 2 else values[..., 1]  # noqa: PLR2004 - grey
    if matte.shape != like.shape[:2]:
        height, width = matte.shape
        raise FolderUnreadable(
            f"{path} is {width}×{height} pixels, its photo {like.shape[1]}×{like.shape[0]}:"
            " save both at one size"
        )
    return np.ascontiguousarray(matte)


def shrunk(example: Example) -> Example:
    """Return an example whose longer side is at most LONGEST_SIDE_PX.

    A small pixel that holds one that does not count does not count either.
    """
    height, width = example.matte.shape
    scale = LONGEST_SIDE_PX / max(height, width)
    if scale >= 1:
        return example
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    known = np.where(example.counted, example.matte, np.uint8(0))
    missing = (~example.counted).astype(np.uint8) * 255
    return Example(
        srgb=_smaller(example.srgb, size),
        matte=_smaller(known, size),
        counted=_smaller(missing, size) == 0,
    )


def _decoded(path: Path) -> NDArray[np.generic] | None:
    """Decode a matte with all its channels and bits; None when it is no picture."""
    packed = folders.content(path)
    try:
        # Its size is told by the header before a pixel is read.
        with Image.open(io.BytesIO(packed)) as header:
            width, height = header.size
        is_large = width * height > images.MAX_PIXELS
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        is_large = True
    except (OSError, SyntaxError, ValueError):
        return None
    if is_large:
        raise FolderUnreadable(
            f"{path} has more than {images.MAX_PIXELS} pixels: save it at its photo's size"
        )
    try:
        return cv2.imdecode(np.frombuffer(packed, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None


def _smaller(values: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _of(root: Path) -> Iterator[Pair]:
    """Yield the pairs that lie in a folder itself."""
    # What a folder's own name tells of the source, where files' names tell nothing.
    for photo in _pictures(root / IMAGES):
        own = photo.stem if folders.prefix(photo.stem) else f"{root.name}_{photo.stem}"
        yield Pair(own, photo, root / MASKS / f"{photo.stem}.png")
    for photo in _pictures(root / CLIPS):
        below = photo.relative_to(root / CLIPS).parent
        parts = [part.replace("clip_", "matting_", 1) for part in below.parts]
        mask = root.joinpath(MATTING, *parts, f"{photo.stem}.png")
        yield Pair(f"aisegment_{photo.stem}", photo, mask)


def _pictures(folder: Path) -> list[Path]:
    files = folder.rglob("*") if folder.is_dir() else ()
    pictures = sorted(path for path in files if path.suffix.lower() in folders.PICTURES)
    folders.refuse_unprintable(pictures)
    return pictures


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise FolderUnreadable(f"{folder} is no folder")
    return sorted(one for one in folder.iterdir() if one.is_dir())


def _is_layout(folder: Path) -> bool:
    """Say whether a folder holds photos and masks; one with photos alone is something else."""
    return any((folder / a).is_dir() and (folder / b).is_dir() for a, b in LAYOUTS)
