"""Split one matte of several persons into a matte of each."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import HALF_LEVEL, Matte8


def split_by_person(matte: Matte8, outlines: Sequence[NDArray[np.bool_]]) -> tuple[Matte8, ...]:
    """Return the matte split by person: every pixel goes to the nearest one.

    matte: (H, W) uint8.  outlines: (h, w) bool each, all of one size: where each person is. A pixel
    in several outlines belongs to the last.  Returns an (H, W) uint8 matte of each person that is
    visible, from left to right by the middle of their boxes; their sum is the matte, except for
    what belongs to a hidden person.
    """
    ordered = sorted(outlines, key=_middle)
    if not ordered:
        return ()
    if len(ordered) == 1:
        return (matte,)
    owners = _owners(ordered)
    if owners.shape != matte.shape:
        size = (matte.shape[1], matte.shape[0])
        owners = np.asarray(cv2.resize(owners, size, interpolation=cv2.INTER_NEAREST))
    persons = (
        np.where(owners == number, matte, np.uint8(0)) for number in range(1, len(ordered) + 1)
    )
    return tuple(person for person in persons if (person > HALF_LEVEL).any())


def _owners(outlines: Sequence[NDArray[np.bool_]]) -> NDArray[np.uint8]:
    """Return (h, w) uint8: the number, from 1, of the person nearest to each pixel."""
    seeds = np.zeros(outlines[0].shape, np.uint8)
    for number, outline in enumerate(outlines, start=1):
        seeds[outline] = number
    if not seeds.any():
        return np.ones_like(seeds)
    _, nearest = cv2.distanceTransformWithLabels(
        (seeds == 0).astype(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    # Each labeled seed pixel has a number of its own: map it to its person.
    owner_of = np.zeros(int(nearest.max()) + 1, np.uint8)
    owner_of[nearest[seeds > 0]] = seeds[seeds > 0]
    return owner_of[nearest]


def _middle(outline: NDArray[np.bool_]) -> float:
    columns = np.flatnonzero(outline.any(axis=0))
    return float(columns[0] + columns[-1]) / 2 if columns.size else 0.0
