"""How many faces of a frame are looked at."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from smart_filter_shared.rating import SmileLevel
from smart_filter_tests.pictures import prepared
from smart_filter_tests.portraits import a_face
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


def test_widest_faces_of_a_crowd_are_looked_at_from_left_to_right() -> None:
    crowd = [a_face(x=40 * number, width=20 + number) for number in range(12)]
    frame = prepared(np.zeros((360, 640, 3), np.uint8))

    seen = sight_of(crowd[::-1]).look(frame)

    assert seen.faces.faces == tuple(crowd[-MOST_FACES:])
    assert len(seen.smiles.smiles) == MOST_FACES


def test_nobody_in_a_frame_is_no_face() -> None:
    seen = sight_of([]).look(prepared(np.zeros((360, 640, 3), np.uint8)))

    assert (seen.faces.faces, seen.smiles.smiles) == ((), ())
