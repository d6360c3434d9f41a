"""Annotated pictures, decoded as the product does, and what is wrong with them."""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from smart_filter_shared.errors import FolderUnreadable, ImageTooLarge, ImageUnreadable
from smart_filter_training.annotations.marks import Marked
from smart_filter_training.checks import Finding, across_splits, picture_hash
from smart_filter_workers import images
from smart_filter_workers.results import Srgb8


def load(picture: Marked) -> Srgb8:
    """Return a picture, (H, W, 3) uint8 sRGB, upright.

    Raises FolderUnreadable when it cannot be decoded or is not of the size that was annotated.
    """
    found = _loaded(picture)
    if isinstance(found, Finding):
        raise FolderUnreadable(f"{found.where} {found.what}: {found.remedy}")
    return found


def findings(train: Sequence[Marked], validation: Sequence[Marked]) -> Iterator[Finding]:
    """Yield what is wrong with pictures, each of which is decoded, and which are on both sides."""
    hashes, names, held_out = [], [], []
    for picture, is_held in (
        *((one, False) for one in train),
        *((one, True) for one in validation),
    ):
        found = _loaded(picture)
        if isinstance(found, Finding):
            yield found
            continue
        hashes.append(picture_hash(np.asarray(cv2.cvtColor(found, cv2.COLOR_RGB2GRAY), np.uint8)))
        names.append(picture.path.name)
        held_out.append(is_held)
    yield from across_splits(hashes, names, np.array(held_out, np.bool_))


def _loaded(picture: Marked) -> Srgb8 | Finding:
    name = picture.path.name
    try:
        srgb = images.decode(picture.path.read_bytes()).srgb
    except (OSError, ImageUnreadable, ImageTooLarge) as error:
        return Finding(name, f"cannot be decoded ({error})", "replace it or take it out")
    height, width = srgb.shape[:2]
    if (width, height) != (picture.width, picture.height):
        return Finding(
            name,
            f"is {width}×{height} pixels upright, and annotated as"
            f" {picture.width}×{picture.height}",
            "use the picture that was annotated",
        )
    return srgb
