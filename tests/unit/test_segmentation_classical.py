import numpy as np
import pytest

from smart_filter_shared.parameters import Scalar
from smart_filter_tests.pictures import a_figure, prepared
from smart_filter_workers.results import Srgb8
from smart_filter_workers.stages.segmentation.models.base import People
from smart_filter_workers.stages.segmentation.models.classical import CARD, Classical

WALL = (214, 210, 202)


def cut_out(srgb: Srgb8, **given: Scalar) -> People:
    (people,) = Classical()([prepared(srgb)], parameters=CARD.completed(given))
    return people


def a_wall_with(*boxes: tuple[int, int, int, int]) -> Srgb8:
    """Return a wall of 400 × 400 pixels with dark boxes: x, y, width, height."""
    picture = np.full((400, 400, 3), WALL, np.uint8)
    for x, y, width, height in boxes:
        picture[y : y + height, x : x + width] = 20
    return picture


def test_figure_before_a_plain_wall_is_filled() -> None:
    matte = cut_out(a_figure()).matte

    assert matte[160, 180] == 255, "the face, which has no edges inside"
    assert matte[470, 180] == 255, "the jacket, which the picture cuts off"
    assert matte[100, 40] == 0, "the wall"


@pytest.mark.parametrize(("bound", "small", "large"), [("min_area", 0, 255), ("max_area", 255, 0)])
def test_shape_outside_of_the_bounds_of_area_is_left_out(
    bound: str, small: int, large: int
) -> None:
    matte = cut_out(a_wall_with((50, 50, 40, 40), (200, 200, 120, 120)), **{bound: 0.05}).matte

    assert (matte[70, 70], matte[260, 260]) == (small, large)


@pytest.mark.parametrize(
    ("given", "same_as"),
    [
        ({"use_default": True, "min_area": 0.9, "blur": 1, "erode": 60}, {}),
        # An even kernel counts as the next odd one.
        ({"blur": 20, "smooth": 10}, {"blur": 21, "smooth": 11}),
    ],
    ids=["use_default", "even kernels"],
)
def test_parameters_that_mean_the_same_give_the_same_matte(
    given: dict[str, Scalar], same_as: dict[str, Scalar]
) -> None:
    one, other = cut_out(a_figure(), **given), cut_out(a_figure(), **same_as)

    assert np.array_equal(one.matte, other.matte)
