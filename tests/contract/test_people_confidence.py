"""How sure `people` is of its matte, and what it tells besides."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from smart_filter_shared.recipe import Edge
from smart_filter_shared.results import Face
from smart_filter_tests.pictures import prepared_photo
from smart_filter_workers import images
from smart_filter_workers.resampling import shrink
from smart_filter_workers.results import HALF_LEVEL, Srgb8
from smart_filter_workers.stages.segmentation.models import people
from smart_filter_workers.stages.segmentation.models.base import Segmenter

HOPPER = images.decode((Path(__file__).parents[1] / "data" / "grace_hopper.jpg").read_bytes()).srgb


@pytest.fixture(scope="module")
def segment(weights_folder: Path) -> Segmenter:
    return people.load(weights_folder)


def test_portrait_needs_no_review(segment: Segmenter, astronaut: Srgb8) -> None:
    (people_seen,) = segment([prepared_photo(astronaut)])

    assert people_seen.confidence is not None
    assert people.REVIEWED_BELOW <= people_seen.confidence <= 1
    assert not people_seen.needs_review


def test_person_in_a_very_blurred_photo_needs_a_review(
    segment: Segmenter, astronaut: Srgb8
) -> None:
    blurred = cv2.GaussianBlur(astronaut, (0, 0), 5).astype(np.uint8)

    (people_seen,) = segment([prepared_photo(blurred)])

    assert people_seen.confidence is not None
    assert 0 <= people_seen.confidence < people.REVIEWED_BELOW
    assert people_seen.needs_review


def test_weak_face_and_a_silhouette_are_a_person_without_a_box(
    segment: Segmenter, astronaut: Srgb8
) -> None:
    blurred = prepared_photo(cv2.GaussianBlur(astronaut, (0, 0), 8).astype(np.uint8))
    face = Face((175.0, 65.0, 100.0, 130.0), 0.72, ((0.0, 0.0),) * 5)

    (people_seen,) = segment([replace(blurred, proposals=(face,))])

    assert len(people_seen.persons or ()) == 1


@pytest.mark.parametrize(("width", "is_too_long"), [(700, False), (780, True)])
def test_photo_whose_windows_are_too_long_needs_a_review(
    segment: Segmenter, width: int, *, is_too_long: bool
) -> None:
    (people_seen,) = segment([prepared_photo(np.zeros((50, width, 3), np.uint8))])

    assert people_seen.needs_review is is_too_long


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 14])
def test_everyone_in_a_row_is_found(segment: Segmenter, astronaut: Srgb8, count: int) -> None:
    """A row of 14 people is six times as wide as high: none was found."""
    row = np.full((175, 1024, 3), (150, 160, 170), np.uint8)
    side = min(160, 1024 // count)
    person = shrink(astronaut, longest_side=side)
    for number in range(count):
        left = (2 * number + 1) * 1024 // (2 * count) - side // 2
        row[-side:, left : left + side] = person

    (people_seen,) = segment([prepared_photo(row)])

    assert len(people_seen.persons or ()) == count


def test_person_below_the_shoulders_is_possible(segment: Segmenter) -> None:
    body = np.ascontiguousarray(HOPPER[330:])

    (seen,) = segment([prepared_photo(body)])

    assert seen.persons == ()
    assert not seen.matte.any()
    (possible,) = seen.possible
    assert possible[150, 256] == 255


def test_cap_before_a_flag_is_whole(segment: people.PeopleSegmenter) -> None:
    """Its white side was lost: the refiner took it for one of the stars next to it."""
    photo = prepared_photo(HOPPER)
    (seen,) = segment([photo])

    refined = segment.refine_outlines(seen, photo, Edge.BALANCED)

    assert refined.matte[58:66, 188:198].min() > HALF_LEVEL
    assert refined.matte[8:20, 205:215].max() <= HALF_LEVEL


def test_drawn_figure_is_no_person(segment: Segmenter) -> None:
    drawing = np.full((540, 720, 3), 230, np.uint8)
    ink = (60, 40, 20)
    cv2.circle(drawing, (360, 130), 50, ink, -1)
    for start, end, width in (
        ((360, 180), (360, 340), 90),
        ((360, 210), (270, 300), 34),
        ((360, 210), (450, 300), 34),
        ((345, 340), (310, 500), 40),
        ((375, 340), (410, 500), 40),
    ):
        cv2.line(drawing, start, end, ink, width)

    (people_seen,) = segment([prepared_photo(drawing)])

    assert people_seen.persons == ()
    assert people_seen.possible == ()
    assert not people_seen.matte.any()


def test_passer_by_who_is_left_out_is_still_evidence(segment: Segmenter, astronaut: Srgb8) -> None:
    small = shrink(astronaut, longest_side=150)
    photo = np.full((512, 800, 3), 200, np.uint8)
    photo[:, :512] = astronaut
    photo[-150:, -200:-50] = small

    landmarks = ((20.0, 20.0),) * 5
    faces = (
        Face((180.0, 70.0, 90.0, 120.0), 0.99, landmarks),
        Face((653.0, 382.0, 26.0, 35.0), 0.9, landmarks),
    )

    (people_seen,) = segment([replace(prepared_photo(photo), proposals=faces)])

    head = (slice(-130, -60), slice(-150, -120))
    assert people_seen.evidence is not None
    assert people_seen.matte[head].mean() < HALF_LEVEL
    assert people_seen.evidence[head].min() >= HALF_LEVEL
    assert (people_seen.evidence[people_seen.matte > HALF_LEVEL] > HALF_LEVEL).mean() > 0.95
