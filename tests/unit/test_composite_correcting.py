import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from smart_filter_shared.errors import ImageUnreadable
from smart_filter_shared.recipe import Format, Output
from smart_filter_tests.compositing import HEIGHT, INSIDE, OUTSIDE, WIDTH, a_job, made, pixels
from smart_filter_workers import images
from smart_filter_workers.results import Drawn, Stroke

RED = (255, 0, 0)
# Well within what a stroke of 20 pixels covers: its rim is soft and the edge step looks at it.
DRAWN_OUTSIDE = (slice(18, 24), slice(12, 36))
KEEP_OUTSIDE = Stroke(((10, 20), (38, 20)), width=20, keep=True)
DRAWN_INSIDE = (slice(108, 114), slice(100, 140))
REMOVE_INSIDE = Stroke(((96, 111), (144, 111)), width=20, keep=False)


def shown(*drawn: Drawn) -> tuple[NDArray[np.int16], NDArray[np.int16], NDArray[np.int16]]:
    """Return the picture on red, its matte, and the photo."""
    inputs = a_job("color:#f00", format=Format.PNG, outputs=(Output.IMAGE, Output.MATTE))
    result = made(dataclasses.replace(inputs, drawn=drawn))
    return pixels(result.image), pixels(result.matte), inputs.photo.srgb.astype(np.int16)


def is_photo(
    picture: NDArray[np.int16], photo: NDArray[np.int16], where: tuple[slice, slice]
) -> bool:
    return bool(np.abs(picture[where] - photo[where]).max() <= 2)


def test_stroke_that_keeps_shows_the_photo() -> None:
    picture, matte, photo = shown(Drawn(strokes=(KEEP_OUTSIDE,)))

    assert matte[DRAWN_OUTSIDE].min() >= 250
    assert is_photo(picture, photo, DRAWN_OUTSIDE)
    assert np.all(picture[38:60, 5:60] == RED)
    assert is_photo(picture, photo, INSIDE)


def test_stroke_that_removes_shows_the_background_within_a_soft_rim() -> None:
    picture, matte, photo = shown(Drawn(strokes=(REMOVE_INSIDE,)))

    assert matte[DRAWN_INSIDE].max() <= 5
    assert np.abs(picture[DRAWN_INSIDE] - RED).max() <= 5
    assert is_photo(picture, photo, (slice(60, 90), slice(90, 150)))
    profile = matte[80:112, 120]
    assert (profile[0], profile[-1] <= 5) == (255, True)
    assert np.any((profile > 20) & (profile < 235))


def test_mask_takes_the_place_of_the_matte() -> None:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[OUTSIDE] = 255

    picture, matte, photo = shown(Drawn(mask=mask))

    assert is_photo(picture, photo, (slice(12, 33), slice(12, 33)))
    assert np.all(picture[INSIDE] == RED)
    assert matte[INSIDE].max() == 0


def test_truncated_mask_is_unreadable() -> None:
    with pytest.raises(ImageUnreadable, match="mask"):
        images.decode_mask(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR")
