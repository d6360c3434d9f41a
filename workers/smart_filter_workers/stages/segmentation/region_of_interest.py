"""The region of a photo in which people are looked for; elsewhere there are none."""

from dataclasses import replace
from typing import Final, TypeAlias

import numpy as np

from smart_filter_shared.recipe import Length
from smart_filter_workers.results import Matte8, Prepared
from smart_filter_workers.stages.segmentation.models.base import People

# Left, top, right and bottom, in pixels of the photo or percents of its sides.
Roi: TypeAlias = tuple[Length, Length, Length, Length]

HALF: Final = 127
# With less than this share of a person inside, it is a neighbour's sleeve, and nobody.
LEAST_SHARE: Final = 0.02


def within(people: People, roi: Roi, prepared: Prepared) -> People:
    """Return the people inside of a region, cut at its border; it may lie beyond the photo."""
    height, width = people.matte.shape
    left, top, right, bottom = (
        round(length.of(side) * pixels / side)
        for length, side, pixels in zip(
            roi,
            (prepared.width, prepared.height) * 2,
            (width, height) * 2,
            strict=True,
        )
    )
    inside = (slice(max(0, top), max(0, bottom)), slice(max(0, left), max(0, right)))
    persons = people.persons
    if persons is not None:
        persons = tuple(_cut(person, inside) for person in persons if _is_there(person, inside))
    return replace(people, matte=_cut(people.matte, inside), persons=persons)


def _cut(matte: Matte8, inside: tuple[slice, slice]) -> Matte8:
    cut = np.zeros_like(matte)
    cut[inside] = matte[inside]
    return cut


def _is_there(person: Matte8, inside: tuple[slice, slice]) -> bool:
    whole = np.count_nonzero(person > HALF)
    return bool(np.count_nonzero(person[inside] > HALF) > LEAST_SHARE * whole)
