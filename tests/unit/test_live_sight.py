"""Faces of a frame that are examined, and regions that are searched for missed people."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from smart_filter_shared.rating import SmileLevel
from smart_filter_tests.pictures import prepared
from smart_filter_tests.portraits import a_face
from smart_filter_workers.live import missing
from smart_filter_workers.live.missing import Floats
from smart_filter_workers.live.sight import MOST_FACES, Sight
from smart_filter_workers.results import Eyes, Face, Smile, Srgb8


def sight_of(faces: Sequence[Face]) -> Sight:
    """Return a sight that sees these faces in every frame, and reads all of them alike."""
    nothing: Any = None

    def detector(pictures: Sequence[Srgb8]) -> list[tuple[Face, ...]]:
        return [tuple(faces) for _ in pictures]

    return Sight(
        people=nothing,
        faces={"face": detector},
        smiles={
            "smile": lambda views: [Smile(SmileLevel.NONE, 0.0) for _ in views],
            "eyes": lambda views: [Eyes(None, None) for _ in views],
        },
        compositor=nothing,
    )


def test_widest_faces_of_a_crowd_are_examined_from_left_to_right() -> None:
    crowd = [a_face(x=40 * number, width=20 + number) for number in range(12)]
    frame = prepared(np.zeros((360, 640, 3), np.uint8))

    crowded, empty = sight_of(crowd[::-1]).look(frame), sight_of([]).look(frame)

    assert crowded.faces.faces == tuple(crowd[-MOST_FACES:])
    assert len(crowded.smiles.smiles) == MOST_FACES
    assert (empty.faces.faces, empty.smiles.smiles) == ((), ())


def seen(*boxes: tuple[int, int, int, int]) -> Floats:
    """Return a coverage of 180 × 320 with people in some boxes."""
    coverage = np.zeros((180, 320), np.float32)
    for left, top, right, bottom in boxes:
        coverage[top:bottom, left:right] = 1
    return coverage


def test_missed_person_is_searched_for_around_the_face() -> None:
    face = a_face(x=200, y=100, width=60)

    assert list(missing.regions(seen((80, 30, 150, 180)), [face], scale=2)) == []
    (around,) = missing.regions(seen(), [face], scale=2)

    rows, columns = around.small
    left, top, width, height = (round(side / 2) for side in face.box)
    assert columns.start < left < left + width < columns.stop
    assert rows.start < top < top + 3 * height < rows.stop
    assert (around.large[0].start, around.large[1].stop) == (2 * rows.start, 2 * columns.stop)


def test_only_the_most_missed_persons_are_searched_for() -> None:
    faces = [a_face(x=x, y=100, width=40) for x in (40, 200, 360, 520)]
    coverage = seen((0, 0, 80, 180))
    coverage[:, 80:150] = 0.5

    around = list(missing.regions(coverage, faces, scale=2))

    assert len(around) == missing.MOST
    assert min(one.small[1].start for one in around) > 130
