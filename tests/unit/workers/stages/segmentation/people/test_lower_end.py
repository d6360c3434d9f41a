"""Where people end below, by the points of their bodies and their matte."""

import numpy as np
import pytest

from smart_filter_shared.results import LowerEnd
from smart_filter_workers.networks.pose import BodyPoints
from smart_filter_workers.stages.segmentation.people.persons import (
    Person,
    find_lower_end,
    has_wide_shoulders,
)

SIDE = 400
SHOULDERS, HIPS, KNEES, ANKLES = 11, 23, 25, 27
# Rows of the joints of a person who stands upright, and x of the middle.
STANDING = {SHOULDERS: (200, 100), HIPS: (200, 200), KNEES: (200, 280), ANKLES: (200, 360)}
SEATED = STANDING | {KNEES: (290, 220), ANKLES: (300, 300)}
LYING = {SHOULDERS: (100, 300), HIPS: (200, 320), KNEES: (280, 330), ANKLES: (360, 330)}
JUMPING = STANDING | {ANKLES: (290, 300)}


def a_person(
    joints: dict[int, tuple[int, int]],
    *,
    rows: slice = slice(60, 380),
    columns: slice = slice(150, 250),
    down: int = 0,
    visible: float = 0.9,
) -> Person:
    """Make a person by the middles of the joints, shifted down; rows, columns: of the outline."""
    outline = np.zeros((SIDE, SIDE), np.bool_)
    outline[rows, columns] = True
    at = np.zeros((33, 2), np.float32)
    for joint, (x, y) in joints.items():
        at[joint], at[joint + 1] = (x + 15, y + down), (x - 15, y + down)
    points = BodyPoints(at, np.full(33, visible, np.float32))
    area_px = int(outline.sum())
    return Person(
        outline.astype(np.float32),
        outline,
        (rows, columns),
        area_px,
        presence=1.0,
        certain=True,
        boxed=False,
        points=points,
    )


WHOLE, BEHIND_TABLE = slice(60, 400), slice(60, 300)


@pytest.mark.parametrize(
    ("persons", "end"),
    [
        ([a_person(STANDING)], LowerEnd.FEET),
        # The border cuts at the bust, the thighs, the knees.
        ([a_person(STANDING, down=210, rows=WHOLE)], LowerEnd.BORDER),
        ([a_person(STANDING, down=150, rows=WHOLE)], LowerEnd.THIGHS),
        ([a_person(STANDING, down=80, rows=WHOLE)], LowerEnd.OTHER),
        ([a_person(SEATED)], LowerEnd.OTHER),
        ([a_person(LYING)], LowerEnd.OTHER),
        ([a_person(JUMPING)], LowerEnd.OTHER),
        # Feet behind a thing, or not in the matte; hips, then knees behind a table.
        ([a_person(STANDING, visible=0.1)], LowerEnd.OTHER),
        ([a_person(STANDING, rows=BEHIND_TABLE)], LowerEnd.OTHER),
        ([a_person(STANDING, down=210, rows=BEHIND_TABLE)], LowerEnd.OTHER),
        ([a_person(STANDING, down=150, rows=BEHIND_TABLE)], LowerEnd.OTHER),
        # The hardest of the main persons decides, and small ones do not.
        ([a_person(STANDING), a_person(SEATED, columns=slice(250, 330))], LowerEnd.OTHER),
        ([a_person(STANDING), a_person(SEATED, rows=slice(10, 40))], LowerEnd.FEET),
        ([], None),
    ],
)
def test_lower_end_follows_the_joints_and_the_matte(
    persons: list[Person], end: LowerEnd | None
) -> None:
    outlines = [np.zeros((SIDE, SIDE), np.bool_), *(person.outline for person in persons)]

    assert find_lower_end(persons, np.logical_or.reduce(outlines)) == end


def test_shoulders_wider_than_two_torsos_are_no_persons() -> None:
    bodies = [a_person(STANDING | {SHOULDERS: (200, row)}).points for row in (180, 190)]

    assert [body and has_wide_shoulders(body) for body in bodies] == [False, True]
