"""Which persons are kept, where all are, and whose each pixel is, if a model tells them apart."""

from collections.abc import Collection, Mapping
from typing import Final

import cv2
import numpy as np

from smart_filter_shared.recipe import Whom
from smart_filter_workers.networks.coordinates import photo_per_proxy
from smart_filter_workers.results import Matte8, Owners, PersonFound, Prepared
from smart_filter_workers.stages.segmentation.models.base import People

_MOST_PERSONS: Final = 255
# What is less of somebody than of the background is no part of a box.
_SEEN_FROM, _WHOLE = 128, 255


def kept(people: People, wanted: Whom | tuple[int, ...]) -> dict[int, Matte8]:
    """Return the matte of each person that is wanted, by its number, 1 the leftmost.

    Whom a model that tells persons apart sees but cannot tell apart here counts as one.
    A number that nobody has keeps nobody.
    """
    mattes = (people.matte,) if people.persons is None else people.persons
    numbered = dict(enumerate(mattes, start=1))
    if wanted == Whom.ALL or not numbered:
        return numbered
    if wanted == Whom.LARGEST:
        sizes = {number: int(matte.sum(dtype=np.int64)) for number, matte in numbered.items()}
        # Of two alike the one on the right.
        largest = max(reversed(sizes), key=sizes.__getitem__)
        return {largest: numbered[largest]}
    return {number: matte for number, matte in numbered.items() if number in wanted}


def found(
    people: People, wanted: Collection[int], prepared: Prepared
) -> tuple[PersonFound, ...] | None:
    """Return where everybody is whom the model tells apart; None when it does not.

    wanted: the numbers of those that are kept.
    """
    if people.persons is None:
        return None
    per_x, per_y = photo_per_proxy(prepared)
    boxes = (cv2.boundingRect(cv2.inRange(matte, _SEEN_FROM, _WHOLE)) for matte in people.persons)
    return tuple(
        PersonFound(number, (per_x * x, per_y * y, per_x * width, per_y * height), number in wanted)
        for number, (x, y, width, height) in enumerate(boxes, start=1)
        if width
    )


def owners(mattes: Mapping[int, Matte8], *, like: Matte8) -> Owners:
    """Return whose each pixel is: the number of whom it shows most of, the left one of two alike.

    mattes: (h, w) uint8 each, as `like` is, by their numbers; those above 255 own nothing.
    """
    found = np.zeros(like.shape, np.uint8)
    strongest = np.zeros(like.shape, np.uint8)
    for number, matte in mattes.items():
        if number <= _MOST_PERSONS:
            stronger = matte > strongest
            found[stronger] = number
            strongest[stronger] = matte[stronger]
    return found
