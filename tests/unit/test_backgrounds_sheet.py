"""The sheet that backgrounds are drawn on: its clouds, and shapes drawn finer than it is."""

import numpy as np
import pytest

from smart_filter_workers.backgrounds import library, shapes
from smart_filter_workers.backgrounds.sheet import Field


def slow_clouds(seed: int) -> Field:
    empty = library.sheet("clouds", seed=seed, width=900, height=600)
    return empty.clouds(520, cells=1.6, octaves=1)


@pytest.mark.parametrize("seed", range(4))
def test_slow_clouds_have_no_ripples_along_their_slopes(seed: int) -> None:
    """Silk folds by them twice a unit: a ripple that nobody sees becomes a woven pattern."""
    bends = np.diff(slow_clouds(seed), n=2, axis=1)

    # A row passes two bumps or three, and bends the other way about twice for each. Cubic
    # enlargement made it do so 45 times.
    turns = (np.diff(np.sign(bends[:, 20:-20]), axis=1) != 0).sum(axis=1)
    assert np.median(turns) <= 12


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (240, 160), (7, 3000), (4000, 3000)])
def test_a_finer_sheet_is_some_whole_times_as_large_and_bounded(size: tuple[int, int]) -> None:
    width, height = size
    coarse = library.sheet("dots", seed=1, width=width, height=height)

    fine = shapes.finer(coarse)

    assert fine.width % width == fine.height % height == 0
    assert fine.width // width == fine.height // height
    assert fine.width * fine.height <= max(shapes.FINE_PIXELS, width * height)


def test_a_shape_smaller_than_a_pixel_leaves_its_share_of_colour() -> None:
    coarse = library.sheet("dots", seed=1, width=60, height=60)
    fine = shapes.finer(coarse)
    picture = shapes.flat(fine, np.zeros(3, np.float32))
    half_a_pixel = 0.5 * 2 / 60
    square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half_a_pixel / 2

    shapes.fill(picture, fine, square, np.full(3, 255, np.float32), apart=True)

    light = float(shapes.shrunk(picture, coarse).astype(int)[..., 0].sum())
    assert light == pytest.approx(255 / 4, rel=0.25)
