import numpy as np
import pytest

from smart_filter_workers.networks.eye_patches import MARGIN, SIZE_PX, Cuts, patch_of
from smart_filter_workers.networks.face_mesh import LEFT_EYE, RIGHT_EYE, square_around_eye
from smart_filter_workers.networks.squares import Square
from smart_filter_workers.stages.smile.models.lids import OPEN_IN_THE_DARK_ABOVE, verdict

CUTS = Cuts(shut_below=0.2, open_above=0.6)


@pytest.mark.parametrize(
    ("openness", "said"), [(0.1, False), (0.2, None), (0.4, None), (0.6, None), (0.61, True)]
)
def test_openness_between_the_cuts_is_unknown(*, openness: float, said: bool | None) -> None:
    assert verdict(openness, CUTS, in_the_dark=False) is said


def test_behind_dark_glasses_an_eye_is_never_shut() -> None:
    assert verdict(0.01, CUTS, in_the_dark=True) is None


def test_in_a_shadow_that_looks_like_glasses_a_very_open_eye_is_open() -> None:
    assert verdict(OPEN_IN_THE_DARK_ABOVE + 0.01, CUTS, in_the_dark=True) is True


def test_patch_weighs_colours_by_luma() -> None:
    picture = np.zeros((40, 40, 3), np.uint8)
    picture[..., 1] = 255

    patch = patch_of(picture, Square(centre=(20, 20), side=40, angle=0))

    assert patch.shape == (SIZE_PX, SIZE_PX)
    assert patch == pytest.approx(0.587, abs=2e-3)


@pytest.mark.parametrize("centre", [(150, 130), (4, 290), (299, 2)], ids=str)
@pytest.mark.parametrize("side", [20, 150])
def test_patch_equals_that_part_of_the_shrunk_picture(
    centre: tuple[float, float], side: float
) -> None:
    rows, columns = np.mgrid[0:300, 0:300]
    wave = 128 + 100 * np.sin(rows / 25) * np.cos(columns / 31)
    picture = np.repeat(wave[..., np.newaxis], 3, axis=2).astype(np.uint8)
    square = Square(centre=centre, side=side, angle=0.4)

    patch = patch_of(picture, square)

    # Shrunk by itself, pixels fall otherwise by less than one.
    assert np.abs(patch - square.cut(picture, SIZE_PX)[..., 0]).max() < 0.03


@pytest.mark.parametrize("eye", [RIGHT_EYE, LEFT_EYE], ids=["right", "left"])
def test_square_around_a_tilted_eye_is_as_tilted_and_never_upside_down(
    eye: tuple[int, int],
) -> None:
    points = np.zeros((468, 2), np.float32)
    # On the picture the right eye's outer corner and the left eye's inner one are left.
    start, end = eye if eye == RIGHT_EYE else eye[::-1]
    points[start], points[end] = (100, 50), (140, 80)

    square = square_around_eye(points, eye, side=MARGIN)

    assert square.centre == pytest.approx((120, 65))
    assert square.side == pytest.approx(50 * MARGIN)
    assert square.angle == pytest.approx(np.arctan2(30, 40))
