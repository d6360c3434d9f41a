import numpy as np
import pytest
from numpy.typing import NDArray

from smart_filter_workers.stages.segmentation.bystanders import belonging, parted
from smart_filter_workers.stages.segmentation.closer import at_region
from smart_filter_workers.stages.segmentation.fusion import (
    Eyes,
    add_faces,
    add_unexplained,
    without,
)
from smart_filter_workers.stages.segmentation.persons import Person
from smart_filter_workers.stages.segmentation.regions import holding, tiles

HEIGHT, WIDTH = 120, 160
BLACK = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
A_FACE = (70.0, 30.0, 90.0, 50.0)


def a_person(left: int, top: int, width: int, height: int) -> Person:
    """Return someone who fills a box of a picture of 160 × 120 pixels."""
    coverage = np.zeros((HEIGHT, WIDTH), np.float32)
    coverage[top : top + height, left : left + width] = 1
    region = (slice(top, top + height), slice(left, left + width))
    return Person(coverage, coverage > 0.5, region, width * height)


def _halves(srgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """See somebody on the left four fifths of any picture."""
    seen = np.zeros(srgb.shape[:2], np.float32)
    seen[:, : srgb.shape[1] * 4 // 5] = 1
    return seen


def test_region_holds_the_people_with_a_margin() -> None:
    matte = np.zeros((100, 200), np.float32)
    matte[40:60, 50:90] = 1

    region = holding(matte, above=0.5, margin=0.1, margin_px=5)

    assert region is not None
    rows, columns = region
    assert (rows.start, rows.stop) == (pytest.approx(33, abs=1), pytest.approx(67, abs=1))
    assert (columns.start, columns.stop) == (pytest.approx(41, abs=1), pytest.approx(99, abs=1))


def test_empty_matte_has_no_region() -> None:
    assert holding(np.zeros((50, 50), np.float32), above=0.5, margin=0.1, margin_px=5) is None


@pytest.mark.parametrize("size", [(480, 640), (640, 480), (3000, 10), (1, 1)], ids=str)
def test_tiles_cover_the_picture(size: tuple[int, int]) -> None:
    covered = np.zeros(size, np.bool_)

    for tile in tiles(*size, share=0.6):
        covered[tile] = True

    assert covered.all()


MAIN, FAR, CHILD = a_person(50, 10, 50, 100), a_person(5, 40, 10, 30), a_person(5, 40, 20, 30)
CROWD = [a_person(left, 50, 10, 30) for left in (0, 40, 80, 120)]
FACES_ALIKE = [(65.0, 12.0, 85.0, 32.0), (8.0, 42.0, 22.0, 56.0)]


@pytest.mark.parametrize(
    ("persons", "faces", "staying", "bystanders"),
    [
        ([MAIN, FAR], [], [MAIN], [FAR]),
        # The small face is as large as the other.
        ([MAIN, CHILD], FACES_ALIKE, [MAIN, CHILD], []),
        (CROWD, [], CROWD, []),
    ],
    ids=["small behind large", "child", "crowd"],
)
def test_small_person_behind_a_large_one_is_a_bystander(
    persons: list[Person],
    faces: list[tuple[float, float, float, float]],
    staying: list[Person],
    bystanders: list[Person],
) -> None:
    assert parted(persons, belonging(faces)) == (staying, bystanders)


def test_small_face_belongs_to_a_group_and_not_behind_one_person() -> None:
    near = [(left, 20.0, left + 40.0, 60.0) for left in (0.0, 40.0, 80.0)]
    far = (120.0, 30.0, 130.0, 45.0)

    assert belonging([near[1], far]) == [near[1]]
    assert belonging([*near, far]) == [*near, far]


def test_face_outside_of_the_matte_is_added_with_its_body() -> None:
    matte = np.zeros((HEIGHT, WIDTH), np.float32)

    (outline,) = add_faces(_halves, BLACK, [A_FACE], matte)

    assert outline[40, 80]
    assert matte[40, 80] == 1
    assert matte[:, 130:].max() == 0


class Blind:
    """Networks that see nobody, however close they look."""

    def __call__(self, srgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.zeros(srgb.shape[:2], np.float32)

    def look(self, srgb: NDArray[np.uint8], _: object) -> NDArray[np.float32]:
        return self(srgb)


BLIND = Eyes(Blind(), Blind())  # type: ignore[arg-type]  # of the networks only these calls matter


def test_small_part_that_stands_alone_and_vanishes_closer_is_left_out() -> None:
    matte = a_person(20, 20, 40, 80).coverage.copy()
    whole = matte.copy()
    whole[50:60, 110:120] = 1

    add_unexplained(BLIND, BLACK, whole, matte)

    assert matte[55, 115] == 0


def test_bystanders_vanish_from_the_matte_except_in_front_of_a_person() -> None:
    far = a_person(90, 40, 40, 30)

    rest = without(np.ones((HEIGHT, WIDTH), np.float32), MAIN.coverage, [far])

    assert rest[50, 95] == 1, "of the person in front"
    assert rest[50, 115] == 0, "of the bystander"
    assert rest[5, 5] == 1, "of neither"


def test_standing_person_is_looked_at_whole_and_in_halves() -> None:
    sizes: list[tuple[int, int]] = []

    def seeing(srgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        sizes.append((srgb.shape[0], srgb.shape[1]))
        return np.ones(srgb.shape[:2], np.float32)

    seen = at_region(seeing, np.zeros((300, 200, 3), np.uint8), (slice(0, 200), slice(0, 100)))

    assert sizes == [(200, 100), (120, 100), (120, 100)]
    assert np.all(seen == 1)
