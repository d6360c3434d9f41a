"""Parts of the whole picture's matte that belong to no person: kept, or left out by boxes."""

from dataclasses import dataclass, field
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from smart_filter_workers.networks.boxes import Box
from smart_filter_workers.networks.selfie import SelfieNetworks
from smart_filter_workers.results import Srgb8
from smart_filter_workers.stages.segmentation.fusion import CloserLook, add_unexplained
from smart_filter_workers.stages.segmentation.persons import PersonFinder

Floats = NDArray[np.float32]
PERSON, HORSE = np.s_[20:100, 10:40], np.s_[20:100, 60:90]
AROUND_PERSON: Box = (8, 18, 42, 102)
AROUND_BOTH: Box = (8, 18, 92, 102)
PICTURE: Srgb8 = np.zeros((120, 120, 3), np.uint8)


@dataclass
class Finder:
    """A detector of whole persons that answers as told, and counts its calls."""

    boxes: list[Box]
    calls: int = field(default=0)

    def find_boxes(self, picture: Srgb8) -> list[Box]:
        del picture
        self.calls += 1
        return self.boxes


def closer_look(finder: Finder) -> CloserLook:
    # Large and sure parts need no closer look by the selfie networks.
    return CloserLook(cast("SelfieNetworks", None), cast("PersonFinder", finder))


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
    finder, matte = Finder(boxes), a_matte(PERSON)

    add_unexplained(closer_look(finder), PICTURE, a_matte(PERSON, HORSE), matte)

    assert bool(matte[HORSE].all()) is is_kept
    assert bool(matte[HORSE].any()) is is_kept
    assert matte[PERSON].all()
    assert finder.calls == 1


def test_boxes_are_looked_for_only_when_a_part_depends_on_them() -> None:
    finder, matte = Finder([AROUND_PERSON]), a_matte(PERSON)

    add_unexplained(closer_look(finder), PICTURE, a_matte(PERSON), matte)

    assert finder.calls == 0
