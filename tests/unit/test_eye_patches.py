import numpy as np
import pytest

from smart_filter_workers.networks.boxes import overlaps
from smart_filter_workers.networks.eye_patches import SIZE_PX, Cuts, patch_of
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


def test_overlap_is_shared_area_over_common_area() -> None:
    others = np.array([[0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 6, 6]], np.float32)

    found = overlaps((0, 0, 2, 2), others)

    assert found == pytest.approx([1, 1 / 3, 0])


def test_empty_boxes_overlap_nothing() -> None:
    others = np.array([[1, 1, 1, 1], [2, 2, 1, 1]], np.float32)

    assert overlaps((1, 1, 1, 1), others) == pytest.approx([0, 0])
