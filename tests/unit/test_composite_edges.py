"""Mattes at full size: islands removed, edges led by the photo."""

import numpy as np
import pytest

from smart_filter_workers.results import Face, Matte8, Srgb8
from smart_filter_workers.stages.composite import colours, edges


def a_face(x: float, y: float, side: float) -> Face:
    point = (x + side / 2, y + side / 2)
    return Face(box=(x, y, side, side), score=0.9, landmarks=(point, point, point, point, point))


def a_crowd() -> Matte8:
    """One large person and two small patches, on a matte of 100 × 200."""
    matte = np.zeros((100, 200), np.uint8)
    matte[10:100, 20:90] = 255
    matte[10:15, 120:125] = 200
    matte[50:56, 160:166] = 255
    return matte


def test_small_parts_without_a_face_are_removed() -> None:
    tidy = edges.without_islands(a_crowd(), (), scale=1)

    assert tidy[10:100, 20:90].min() == 255
    assert not tidy[:, 100:].any()


def test_a_small_part_with_a_face_stays() -> None:
    tidy = edges.without_islands(a_crowd(), (a_face(480, 150, 15),), scale=3)

    assert tidy[50:56, 160:166].min() == 255
    assert not tidy[10:15, 120:125].any()


def test_parts_of_some_size_stay() -> None:
    matte = a_crowd()
    matte[20:50, 140:170] = 255

    assert np.array_equal(
        edges.without_islands(matte, (), scale=1)[20:50, 140:170], matte[20:50, 140:170]
    )


@pytest.mark.parametrize("level", [0, 255])
def test_an_empty_or_full_matte_stays_as_it_is(level: int) -> None:
    matte = np.full((20, 30), level, np.uint8)

    assert np.array_equal(edges.without_islands(matte, (), scale=2), matte)


def test_every_pixel_of_the_band_lies_in_exactly_one_block() -> None:
    matte = np.random.default_rng(4).choice(
        np.array([0, 7, 254, 255], np.uint8), (333, 517), p=[0.97, 0.0005, 0.0005, 0.029]
    )
    seen = np.zeros(matte.shape, int)

    for block in edges.band(matte):
        seen[block] += 1

    assert seen.max() == 1
    assert seen[(matte > 0) & (matte < 255)].min() == 1


def test_an_enlarged_part_is_what_the_whole_would_hold_there() -> None:
    small = np.random.default_rng(5).random((20, 30), np.float32) * 255
    whole = edges.enlarged_part(small, (slice(0, 100), slice(0, 150)), (100, 150))

    part = edges.enlarged_part(small, (slice(37, 80), slice(64, 128)), (100, 150))

    # cv2 places samples on a grid of 1/32 pixel.
    assert np.abs(part - whole[37:80, 64:128]).max() < 255 / 16
    assert np.abs(part - whole[37:80, 64:128]).mean() < 2


def test_a_matte_of_the_photos_size_is_not_touched() -> None:
    matte = a_crowd()
    photo = np.zeros((100, 200, 3), np.uint8)

    assert edges.enlarge(matte, proxy_srgb=photo, photo_srgb=photo) is matte


def test_an_enlarged_edge_lies_where_the_photos_edge_lies() -> None:
    """The edge of the small matte cannot lie inside a pixel; the photo's says where it belongs."""
    photo = np.full((400, 400, 3), 220, np.uint8)
    photo[:, 202:] = 30
    proxy: Srgb8 = photo.reshape(100, 4, 100, 4, 3).mean(axis=(1, 3)).astype(np.uint8)
    matte = np.zeros((100, 100), np.uint8)
    matte[:, :50] = 255
    matte[:, 50] = 128

    large = edges.enlarge(matte, proxy_srgb=proxy, photo_srgb=photo)

    assert large.shape == (400, 400)
    assert large[200, 150] == 255
    assert large[200, 250] == 0
    assert large[200, 199] > 200
    assert large[200, 204] < 60


def test_the_old_background_is_taken_out_of_mixed_colours() -> None:
    red, white = np.array([180.0, 20, 20]), np.array([250.0, 250, 250])
    alpha = np.clip((np.arange(200) - 90) / 20, 0, 1)[None, :, None].repeat(60, axis=0)
    photo = (red * alpha + white * (1 - alpha)).round().astype(np.uint8)
    matte = (alpha[..., 0] * 255).round().astype(np.uint8)

    people, backdrop = colours.estimate(photo, matte)
    seen = colours.unmixed(photo.astype(np.float32), alpha.astype(np.float32), people, backdrop)

    halfway = slice(98, 103)
    assert np.abs(photo[30, halfway] - red).max() > 90  # as photographed: mostly pink
    # Over so soft an edge a third of the white is left; over a usual one a tenth.
    assert np.abs(seen[30, halfway] - red).max() < 40
    assert np.array_equal(seen[:, 150:].round(), photo[:, 150:])
