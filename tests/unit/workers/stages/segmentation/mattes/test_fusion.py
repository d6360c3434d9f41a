"""Parts of the whole picture's matte that belong to no person: kept, or left out by boxes."""

from typing import cast

import numpy as np
import pytest

from smart_filter_workers.networks.coordinates import Box
from smart_filter_workers.networks.pose import PersonBox
from smart_filter_workers.results import Floats, Srgb8
from smart_filter_workers.stages.segmentation.mattes.fusion import CloserLook, add_unexplained
from smart_filter_workers.stages.segmentation.people.person_boxes import PersonBoxes

PERSON, HORSE = np.s_[20:100, 10:40], np.s_[20:100, 60:90]
AROUND_PERSON: Box = (12, 18, 38, 102)
AROUND_BOTH: Box = (12, 18, 88, 102)
PICTURE: Srgb8 = np.zeros((120, 120, 3), np.uint8)
# Large and sure parts need no closer look by networks.
NO_NETWORKS = cast("CloserLook", None)


def a_matte(*regions: tuple[slice, slice]) -> Floats:
    matte = np.zeros((120, 120), np.float32)
    for region in regions:
        matte[region] = 1
    return matte


@pytest.mark.parametrize(
    ("boxes", "is_kept"),
    [([AROUND_PERSON], False), ([AROUND_BOTH], True), ([], True)],
    ids=("outside all boxes", "in a box", "no boxes"),
)
def test_large_part_is_kept_unless_boxes_show_only_others(
    boxes: list[Box],
    is_kept: bool,  # noqa: FBT001 - a parameter of the table
) -> None:
    matte = a_matte(PERSON)
    person_boxes = PersonBoxes(lambda _: [PersonBox(0.9, box) for box in boxes], PICTURE)
    person_boxes.propose_bodies([])

    add_unexplained(NO_NETWORKS, PICTURE, a_matte(PERSON, HORSE), matte, person_boxes)

    assert bool(matte[HORSE].all()) is is_kept
    assert bool(matte[HORSE].any()) is is_kept
    assert matte[PERSON].all()
