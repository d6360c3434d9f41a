"""Locate the persons, and map each pixel to its person."""

from collections.abc import Collection, Mapping
from typing import Final

import numpy as np

from smart_filter_wire.findings import Person, PersonRole
from smart_filter_workers.networks.coordinates import photo_per_proxy
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import InstanceMap, Matte8, PreparedPhoto
from smart_filter_workers.stages.segmentation.models.base import People

_MAX_PERSONS: Final = 255
# Pixels below this level are more background than person and do not extend a box.
_SEEN_FROM, _WHOLE = 128, 255


def locate_persons(
    people: People,
    wanted: Collection[int],
    prepared: PreparedPhoto,
    *,
    bystanders: Collection[int] = (),
) -> tuple[Person, ...] | None:
    """Return the place of each person that the model separates; None when it separates none.

    wanted: the numbers of the persons that are kept; bystanders: those of the bystanders.
    """
    if people.persons is None:
        return None
    per_x, per_y = photo_per_proxy(prepared)
    mattes = people.persons + people.possible
    boxes = (cv2.boundingRect(cv2.inRange(matte, _SEEN_FROM, _WHOLE)) for matte in mattes)
    roles = [PersonRole.SUBJECT] * len(people.persons)
    roles += [PersonRole.POSSIBLE] * len(people.possible)
    for number in bystanders:
        roles[number - 1] = PersonRole.BYSTANDER
    return tuple(
        Person(
            number,
            (per_x * x, per_y * y, per_x * width, per_y * height),
            kept=number in wanted,
            role=roles[number - 1],
        )
        for number, (x, y, width, height) in enumerate(boxes, start=1)
    )


def build_instance_map(mattes: Mapping[int, Matte8], *, like: Matte8) -> InstanceMap:
    """Return the owner of each pixel: the person with the highest coverage, the left of two equal.

    mattes: (h, w) uint8 each, like `like`, by person number; numbers above 255 own nothing.
    """
    numbers = np.zeros(like.shape, np.uint8)
    strongest = np.zeros(like.shape, np.uint8)
    for number, matte in mattes.items():
        if number <= _MAX_PERSONS:
            stronger = matte > strongest
            numbers[stronger] = number
            strongest[stronger] = matte[stronger]
    return numbers
