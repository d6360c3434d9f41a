"""Restrict the people of a photo to its region of interest."""

from dataclasses import replace
from typing import Final, TypeAlias

import numpy as np

from smart_filter_shared.recipe import Length
from smart_filter_workers.results import HALF_LEVEL, Matte8, PreparedPhoto
from smart_filter_workers.stages.segmentation.models.base import People

# Left, top, right and bottom, in pixels of the photo or percent of its sides.
Roi: TypeAlias = tuple[Length, Length, Length, Length]

# A person with less than this share inside the region is left out: only a sleeve, for example.
MIN_SHARE: Final = 0.02


def crop_people(people: People, roi: Roi, prepared: PreparedPhoto) -> People:
    """Return the people inside a region, cut at its border; it may extend beyond the photo."""
    height, width = people.matte.shape
    left, top, right, bottom = (
        round(length.to_px(side) * pixels / side)
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
        persons = tuple(
            _crop_matte(person, inside) for person in persons if _is_inside(person, inside)
        )
    return replace(
        people,
        matte=_crop_matte(people.matte, inside),
        persons=persons,
        possible=tuple(
            _crop_matte(person, inside) for person in people.possible if _is_inside(person, inside)
        ),
        attached=None if people.attached is None else _crop_matte(people.attached, inside),
        evidence=None if people.evidence is None else _crop_matte(people.evidence, inside),
    )


def _crop_matte(matte: Matte8, inside: tuple[slice, slice]) -> Matte8:
    cut = np.zeros_like(matte)
    cut[inside] = matte[inside]
    return cut


def _is_inside(person: Matte8, inside: tuple[slice, slice]) -> bool:
    whole = np.count_nonzero(person > HALF_LEVEL)
    return bool(np.count_nonzero(person[inside] > HALF_LEVEL) > MIN_SHARE * whole)
