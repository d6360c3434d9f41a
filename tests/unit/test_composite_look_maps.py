"""Small maps, enlarged block by block, are what they would be enlarged at once."""

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from smart_filter_workers.stages.composite.look import maps

SIZES = ((1, 1), (7, 40), (600, 1030), (2050, 33))


def enlarged(grid: maps.Grid, small: NDArray[np.float32], size: tuple[int, int]) -> NDArray[Any]:
    """Return a small map, enlarged block by block."""
    large = np.zeros(size, np.float32)
    fitted = grid.fitted(small)
    for block in grid.blocks(np.ones(grid.shape, np.bool_)):
        large[block] = grid.part(fitted, block)
    return large


@pytest.mark.parametrize("size", SIZES)
def test_parts_join_without_a_seam(size: tuple[int, int]) -> None:
    grid = maps.grid(*size)
    some = np.random.default_rng(3).random(grid.shape, dtype=np.float32)

    joined = enlarged(grid, some, size)

    whole = (grid.shape[1] * grid.step, grid.shape[0] * grid.step)
    at_once = np.asarray(cv2.resize(some, whole, interpolation=cv2.INTER_LINEAR))
    assert np.abs(joined - at_once[: size[0], : size[1]]).max() < 1e-5


def test_blocks_hold_every_pixel_that_an_active_cell_reaches() -> None:
    grid = maps.grid(1500, 2000)
    active = np.zeros(grid.shape, np.bool_)
    active[16, 31] = active[-1, -1] = True
    reached = np.zeros((1500, 2000), np.bool_)

    for block in grid.blocks(active):
        reached[block] = True

    assert not enlarged(grid, active.astype(np.float32), reached.shape)[~reached].any()
    assert reached.mean() < 0.02


@pytest.mark.parametrize("size", SIZES)
def test_coverage_lies_where_the_matte_does(size: tuple[int, int]) -> None:
    grid = maps.grid(*size)
    matte = np.zeros(size, np.uint8)
    matte[size[0] // 3 :, size[1] // 3 :] = 255

    back = enlarged(grid, grid.coverage(matte), size)

    # Off by no more than the softness of a cell.
    wrong = np.abs(back - matte / np.float32(255)) > 0.51
    assert not cv2.erode(wrong.astype(np.uint8), np.ones((grid.step + 1,) * 2, np.uint8)).any()


def test_wide_blur_keeps_the_sum_and_the_level_beyond_the_border() -> None:
    some = np.zeros((200, 300), np.float32)
    some[:, 150:] = 1

    soft = maps.blurred(some, sigma_px=20)

    assert soft.mean() == pytest.approx(0.5, abs=0.01)
    assert soft[:, 0].max() < 0.01
    assert soft[:, -1].min() > 0.99
