"""The face stage applies users' changes to the faces that its model finds."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest

from smart_filter_shared.feedback.face_changes import FaceChanges
from smart_filter_shared.recipe import Recipe
from smart_filter_shared.results import Face
from smart_filter_tests import portrait
from smart_filter_workers.results import PreparedPhoto, Srgb8
from smart_filter_workers.stages.composite.stage import detect_faces, faces_of_people
from smart_filter_workers.stages.face import stage

_POINTS = ((0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.3, 0.7), (0.7, 0.7))


def a_face(x: float, y: float, side: float) -> Face:
    right, left, nose, one, other = ((x + side * px, y + side * py) for px, py in _POINTS)
    return Face((x, y, side, side), 0.9, (right, left, nose, one, other))


def a_photo() -> PreparedPhoto:
    """A photo of 800 × 600 whose proxy is half as large."""
    return PreparedPhoto(
        width=800, height=600, format="jpg", proxy_srgb=np.zeros((300, 400, 3), np.uint8)
    )


def detect(
    pictures: Sequence[Srgb8], proposals: Sequence[tuple[Face, ...]] = (), /
) -> list[tuple[Face, ...]]:
    """Find two faces in the proxy, and one in the middle of a square that is looked at closer."""
    del proposals
    return [
        (a_face(80, 80, 160),)
        if picture.shape[0] == 320
        else (a_face(200, 50, 40), a_face(20, 50, 40))
        for picture in pictures
    ]


def detect_once(
    pictures: Sequence[Srgb8], proposals: Sequence[tuple[Face, ...]] = (), /
) -> list[tuple[Face, ...]]:
    """Find faces in the proxy alone."""
    detected = detect(pictures, proposals)
    return [
        () if picture.shape[0] == 320 else faces
        for picture, faces in zip(pictures, detected, strict=True)
    ]


def boxes_after(changes: FaceChanges) -> list[tuple[float, ...]]:
    (faces,) = stage.run({"face": detect}, [stage.Inputs(a_photo(), changes)])
    return [face.box for face in faces.faces]


def test_found_faces_count_unless_a_user_removed_them() -> None:
    assert boxes_after(FaceChanges()) == [(40, 100, 80, 80), (400, 100, 80, 80)]
    assert boxes_after(FaceChanges(removed=((42, 101, 80, 80),))) == [(400, 100, 80, 80)]


def test_added_face_stands_among_the_others_with_the_landmarks_of_a_closer_look() -> None:
    changes = FaceChanges(added=((200.0, 300.0, 100.0, 100.0),))

    (faces,) = stage.run({"face": detect}, [stage.Inputs(a_photo(), changes)])

    assert [face.added for face in faces.faces] == [False, True, False]
    added = faces.faces[1]
    assert added.box == (200, 300, 100, 100)
    assert np.allclose(added.landmarks, a_face(200, 300, 100).landmarks, atol=0.5)


def test_landmarks_are_estimated_where_a_closer_look_finds_no_face() -> None:
    changes = FaceChanges(added=((200.0, 300.0, 100.0, 100.0),))

    (faces,) = stage.run({"face": detect_once}, [stage.Inputs(a_photo(), changes)])

    right_eye, left_eye, *_ = faces.faces[1].landmarks
    assert right_eye == pytest.approx((228, 338.5))
    assert left_eye == pytest.approx((272, 338.5))


def test_picture_without_the_face_stage_heeds_changes_of_proposed_faces() -> None:
    kept, removed = a_face(40, 100, 80), a_face(400, 100, 80)
    inputs = dataclasses.replace(
        portrait.as_job(Recipe()),
        faces=None,
        prepared=dataclasses.replace(a_photo(), proposals=(kept, removed)),
        changes=FaceChanges((removed.box,), ((200.0, 300.0, 50.0, 50.0),)),
    )

    assert [face.box for face in detect_faces(inputs)] == [kept.box, (200, 300, 50, 50)]
    # A face that does not count is still a part of the people.
    assert [face.box for face in faces_of_people(inputs)][2:] == [removed.box]
