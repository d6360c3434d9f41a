"""Which persons are kept, and whose each pixel is, where a model tells them apart."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from smart_filter_shared.recipe import Whom
from smart_filter_workers.results import Matte8, Owners
from smart_filter_workers.stages.segmentation.models.base import People

_MOST_PERSONS: Final = 255


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
