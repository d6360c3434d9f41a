"""What becomes of HEIC photos, and of files that would take more than a photo does."""

import contextlib
import struct
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smart_filter_shared.errors import ImageTooLarge, ImageUnreadable, Unusable
from smart_filter_tests.heic import (
    BLACK,
    QUARTERS,
    SIZE,
    TEN_BITS,
    Coded,
    Item,
    a_heic,
    alpha_of,
    clipped,
    coded,
    exif_of,
    grid,
    overlay,
    profile,
    quarters,
    turned,
)
from smart_filter_tests.profiles import a_linear_profile
from smart_filter_workers import images
from smart_filter_workers.images import heic
from smart_filter_workers.results import Photo

MOST_PIXELS = 50_000_000
RED, GREEN, BLUE, WHITE = (200, 30, 30), (30, 160, 40), (30, 40, 190), (255, 255, 255)
# Quality 80 on flat patches.
LEVELS = 4


def near(photo: Photo, *expected: tuple[int, int, int]) -> bool:
    """Whether the colors near the four corners, clockwise from the top left, are the expected."""
    srgb = photo.srgb
    corners = np.array([srgb[y, x] for y, x in ((4, 4), (4, -5), (-5, -5), (-5, 4))], int)
    return bool(np.abs(corners - np.array(expected)).max() <= LEVELS)


def with_exp_golomb(width: int, height: int) -> Coded:
    """A picture whose set-up holds a sequence header of that size, and no pixels."""

    def number(value: int) -> str:
        text = f"{value + 1:b}"
        return "0" * (len(text) - 1) + text

    bits = "0" * 4 + "000" + "1" + "0" * 96 + number(0) + number(1)
    bits += number(width) + number(height)
    bits += "0" * (-len(bits) % 8)
    payload = bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))
    unit = b"\x42\x01" + payload.replace(b"\0\0", b"\0\0\3")
    setup = bytes(21) + b"\x03\x01" + struct.pack(">BHH", 33, 1, len(unit)) + unit
    return Coded(setup, b"")


def test_heic_keeps_size_and_colors() -> None:
    photo = images.decode(quarters())

    assert (photo.format, photo.srgb.shape, photo.srgb.dtype) == ("heic", (48, 64, 3), np.uint8)
    assert near(photo, RED, GREEN, BLUE, WHITE)
    # libheif frees its pixels with its picture; a read of them later ended the process.
    assert photo.srgb.flags.owndata


def test_worker_without_the_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pi_heif", None)

    with pytest.raises(ImageUnreadable, match=r"pip install 'smart-filter\[heic\]'"):
        images.decode(quarters())


@pytest.mark.parametrize("orientation", [1, 6])
def test_heic_is_turned_once_and_not_again_by_its_exif(orientation: int) -> None:
    picture = coded(QUARTERS, clipped(*SIZE), turned(1))

    photo = images.decode(a_heic(picture, exif_of(1, orientation)))

    assert photo.srgb.shape == (64, 48, 3)
    assert near(photo, GREEN, BLUE, WHITE, RED)


def test_ten_bits_with_a_profile_become_srgb_and_alpha_is_laid_over_white() -> None:
    gray = a_heic(coded(TEN_BITS, clipped(*SIZE), profile(a_linear_profile())))
    half = a_heic(coded(BLACK, clipped(*SIZE)), alpha_of(1))

    # IEC 61966-2-1: linear 64/255 is 1.055 (64/255)^(1/2.4) − 0.055, level 137.
    assert near(images.decode(gray), *[(137, 137, 137)] * 4)
    assert near(images.decode(half), *[(127, 127, 127)] * 4)


def test_tiles_are_put_together() -> None:
    tiles = [coded(QUARTERS) for _ in range(6)]

    photo = images.decode(a_heic(grid(3, 2, range(2, 8), (180, 120)), *tiles))

    assert photo.srgb.shape == (120, 180, 3)
    assert near(Photo(photo.srgb[64:112, 64:128], "heic"), RED, GREEN, BLUE, WHITE)


def test_other_pictures_and_descriptions_are_not_for_the_decoder() -> None:
    thumbnail = coded(BLACK, references=((b"thmb", (1,)),))
    words = Item(b"mime", b"words", (), ((b"cdsc", (1,)),))

    content, exif = heic.checked(
        a_heic(coded(QUARTERS), thumbnail, words, exif_of(1, 6)), most_pixels=MOST_PIXELS
    )

    assert content.count(b"none") == 3
    assert exif.startswith((b"II*", b"MM\0*"))
    assert images.decode(content).srgb.shape == (64, 64, 3)


LARGE, SMALL = with_exp_golomb(10_000, 5_001), coded(with_exp_golomb(512, 512))
LARGE_HEADER = LARGE.setup[28:]
HIDDEN = struct.pack(">I", len(LARGE_HEADER)) + LARGE_HEADER + QUARTERS.content
TOO_LARGE = {
    "coded": ("50010000 pixels", a_heic(coded(LARGE))),
    "among the pixels": ("50010000 pixels", a_heic(coded(replace(QUARTERS, content=HIDDEN)))),
    "canvas": ("400000000 pixels", a_heic(overlay([2], (20_000, 20_000)), coded(QUARTERS))),
    "tiles": ("made of", a_heic(grid(40, 40, [2] * 1600, (2560, 2560)), SMALL)),
    "overlay": ("made of", a_heic(overlay([2] * 9000, (64, 64)), SMALL)),
    "overlays": (
        "made of",
        a_heic(
            *(overlay([item] * 900, (64, 64)) for item in (2, 3)), coded(with_exp_golomb(64, 64))
        ),
    ),
}


@pytest.mark.parametrize("kind", TOO_LARGE)
def test_heic_that_would_take_too_many_pixels_is_refused(kind: str) -> None:
    words, content = TOO_LARGE[kind]

    with pytest.raises(ImageTooLarge, match=words):
        images.decode(content)


BROKEN = {
    "made of itself": a_heic(overlay([1], (64, 64))),
    "each of the other": a_heic(overlay([2], (64, 64)), overlay([1], (64, 64))),
    "made of a missing item": a_heic(overlay([7], (64, 64))),
    "made of nothing": a_heic(overlay([], (64, 64))),
    "too many": a_heic(overlay([2] * 10_001, SIZE), coded(QUARTERS)),
    "another coding": a_heic(Item(b"unci", bytes(100))),
    "no set-up": a_heic(Item(b"hvc1", QUARTERS.content)),
    "no size": a_heic(coded(replace(QUARTERS, setup=bytes(23)))),
    "pixels cut": quarters()[:-100],
    "header cut": quarters()[:300],
    "ends at once": quarters()[:24],
    "two descriptions": quarters() + quarters()[24:],
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_heic_is_unreadable(kind: str) -> None:
    with pytest.raises(ImageUnreadable):
        images.decode(BROKEN[kind])


@settings(deadline=None, max_examples=150)  # a busy machine is no fault
@given(place=st.integers(0, 900), replacement=st.binary(min_size=1, max_size=8))
def test_changed_heic_is_decoded_or_refused(place: int, replacement: bytes) -> None:
    whole = quarters(turned(1))
    broken = whole[:place] + replacement + whole[place + len(replacement) :]

    with contextlib.suppress(Unusable):
        assert images.decode(broken).srgb.ndim == 3
