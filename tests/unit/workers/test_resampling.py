"""Resizing for networks: sizes are exact, and pictures differ little from means by area."""

import cv2
import numpy as np
import pytest

from smart_filter_workers import resampling

SMOOTH = cv2.GaussianBlur(
    np.random.default_rng(7).integers(0, 256, (700, 1000, 3), np.uint8), (0, 0), 6
)


@pytest.mark.parametrize(
    ("width", "height"),
    [(512, 358), (640, 448), (256, 179), (256, 144), (32, 32), (1, 1), (1000, 1), (1500, 900)],
)
def test_resized_picture_is_near_the_mean_by_area(width: int, height: int) -> None:
    by_area = cv2.resize(SMOOTH, (width, height), interpolation=cv2.INTER_AREA)

    resized = resampling.resize(SMOOTH, width=width, height=height)

    assert resized.shape == (height, width, 3)
    assert resized.dtype == np.uint8
    # A row or column that is left out moves the rest by less than half a pixel.
    assert np.abs(resized.astype(np.int16) - by_area).mean() < 2


@pytest.mark.parametrize("longest_side", [1000, 4000])
def test_small_enough_picture_is_the_same_array(longest_side: int) -> None:
    assert resampling.shrink(SMOOTH, longest_side=longest_side) is SMOOTH
