"""Pictures in files of at most so many bytes."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from smart_filter_workers import images
from smart_filter_workers.images import Manner
from smart_filter_workers.images.fitting import LEAST_QUALITY
from smart_filter_workers.results import Encoded, Srgb8


def a_picture(width: int = 480, height: int = 360) -> Srgb8:
    """Shapes and some grain, as a photo has."""
    random = np.random.default_rng(11)
    coarse = random.integers(0, 256, (height // 40 + 1, width // 40 + 1, 3), dtype=np.uint8)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    grain = random.normal(0, 6, (height, width, 1))
    return np.clip(smooth + grain, 0, 255).astype(np.uint8)


def read(encoded: Encoded) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(encoded.content)))


def test_picture_that_fits_is_left_as_it_is() -> None:
    plain = images.encode(a_picture(), Manner("jpg", quality=90))

    fitted = images.fitted(a_picture(), Manner("jpg", quality=90), most_bytes=len(plain.content))

    assert fitted == plain


@pytest.mark.parametrize("format_", ["jpg", "webp", "avif"])
@pytest.mark.parametrize("share", [0.8, 0.5])
def test_quality_goes_down_until_it_fits_and_no_further(format_: str, share: float) -> None:
    manner = Manner(format_, quality=85)
    finest, coarsest = (
        len(images.encode(a_picture(), Manner(format_, quality=quality)).content)
        for quality in (85, LEAST_QUALITY)
    )
    most = round(coarsest + share * (finest - coarsest))

    fitted = images.fitted(a_picture(), manner, most_bytes=most)

    assert 0.85 * most <= len(fitted.content) <= most
    assert fitted.quality is not None
    assert LEAST_QUALITY <= fitted.quality < 85
    assert (fitted.width, fitted.height) == (480, 360)


@pytest.mark.parametrize("format_", ["jpg", "webp", "avif", "png"])
def test_picture_shrinks_evenly_when_quality_is_not_enough(format_: str) -> None:
    fitted = images.fitted(a_picture(), Manner(format_), most_bytes=3_000)

    assert 0.85 * 3_000 <= len(fitted.content) <= 3_000
    assert fitted.width < 480
    assert abs(fitted.width / fitted.height - 4 / 3) < 0.05
    assert fitted.quality is None or fitted.quality >= LEAST_QUALITY
    mean = read(fitted).mean(axis=(0, 1)) - a_picture().mean(axis=(0, 1))
    assert np.abs(mean).max() < 6


@pytest.mark.parametrize(
    ("format_", "most"), [("jpg", 400_000), ("webp", 60_000), ("png", 900_000)]
)
def test_pieces_of_a_large_picture_tell_how_it_fits(format_: str, most: int) -> None:
    fitted = images.fitted(a_picture(2500, 1800), Manner(format_), most_bytes=most)

    assert 0.8 * most <= len(fitted.content) <= most
    assert fitted.quality is None or LEAST_QUALITY <= fitted.quality < 90


def test_edges_of_a_cutout_keep_their_colour_when_it_shrinks() -> None:
    cutout = np.zeros((200, 200, 4), np.uint8)
    cutout[50:151, 50:151] = (220, 40, 40, 255)

    small = images.smaller(cutout, width=64, height=64)

    seen = small[..., 3] > 0
    edge = seen & (small[..., 3] < 255)
    assert edge.any()
    # 8 bits of weighed colour leave a few levels where little shows.
    assert np.abs(small[seen][..., :3].astype(int) - (220, 40, 40)).max() <= 8


def test_print_that_shrinks_stays_as_large_on_paper() -> None:
    manner = Manner("png", dots_per_inch=300)
    whole = images.encode(a_picture(), manner)

    fitted = images.fitted(a_picture(), manner, most_bytes=len(whole.content) // 2)

    shown = Image.open(io.BytesIO(fitted.content)).info["dpi"][0]
    assert shown / 300 == pytest.approx(fitted.width / whole.width, abs=0.02)
