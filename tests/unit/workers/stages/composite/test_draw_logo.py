"""The logo: where it is, how large, and that its transparency shows the picture."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from smart_filter_shared.recipe import (
    Background,
    BackgroundKind,
    Crop,
    Format,
    Framing,
    Logo,
    LogoPlace,
)
from smart_filter_shared.recipe.framing import read_margin, read_size
from smart_filter_tests.composite_jobs import JPEG_LEVELS, a_job, composite, decode_pixels
from smart_filter_workers.stages.composite.draw_logo import LogoBox, place_logo
from smart_filter_workers.stages.composite.stage import Inputs

NO_MARGIN = read_margin("0px")
RED, HALF_BLUE, CLEAR = (255, 0, 0, 255), (0, 0, 128, 128), (0, 0, 0, 0)


def a_logo(*pixels: tuple[int, int, int, int], side: int = 8) -> NDArray[np.uint8]:
    """Make premultiplied squares next to each other."""
    return np.repeat(np.repeat(np.array([pixels], np.uint8), side, axis=0), side, axis=1)


def with_logo(job: Inputs, logo: NDArray[np.uint8], **asked: object) -> Inputs:
    wanted = Logo("tenant/acme", margin=NO_MARGIN, **asked)  # type: ignore[arg-type]  # its fields
    return replace(job, logo=logo, recipe=replace(job.recipe, logo=wanted))


@pytest.mark.parametrize(
    ("place", "left", "top"),
    [
        ("top-left", 10, 20),
        ("top", 45, 20),
        ("top-right", 80, 20),
        ("left", 10, 95),
        ("center", 45, 95),
        ("right", 80, 95),
        ("bottom-left", 10, 170),
        ("bottom", 45, 170),
        ("bottom-right", 80, 170),
    ],
)
def test_logo_is_at_its_place_inside_the_margin(place: str, left: int, top: int) -> None:
    logo = Logo("x", LogoPlace(place), width=0.1, margin=read_margin("20px 10px"))

    assert place_logo(logo, (30, 30), width=100, height=200) == LogoBox(left, top, 10, 10)


@pytest.mark.parametrize(
    ("shape", "margin", "box"),
    [
        # As wide as asked for; its height follows.
        ((50, 100), "0px", LogoBox(40, 80, 60, 30)),
        # A banner is made smaller to stay inside the margin, and a tower to stay inside the height.
        ((10, 100), "25%", LogoBox(25, 77, 50, 5)),
        ((400, 10), "0px", LogoBox(97, 0, 3, 110)),
        # A line keeps a pixel.
        ((1, 2048), "0px", LogoBox(40, 109, 60, 1)),
    ],
)
def test_logo_keeps_its_shape_and_its_room(
    shape: tuple[int, int], margin: str, box: LogoBox
) -> None:
    logo = Logo("x", width=0.6, margin=read_margin(margin))

    assert place_logo(logo, shape, width=100, height=110) == box


@pytest.mark.parametrize("margin", ["50%", "500px", "0px 50%"])
def test_margins_without_room_leave_the_logo_out(margin: str) -> None:
    logo = Logo("x", margin=read_margin(margin))

    assert place_logo(logo, (10, 10), width=100, height=100) is None


def test_transparent_parts_of_a_logo_show_the_picture() -> None:
    job = a_job("color:white", format=Format.PNG)
    job = with_logo(
        job, a_logo(RED, HALF_BLUE, CLEAR), place=LogoPlace.TOP_LEFT, width=0.1
    )  # 24 × 8 pixels

    pixels = decode_pixels(composite(job).image)

    red, mixed, clear = (pixels[2:6, left : left + 4].reshape(-1, 3) for left in (2, 10, 18))
    assert (red == (255, 0, 0)).all()
    assert np.abs(mixed - (127, 127, 255)).max() <= 1  # the rounding of whole levels
    assert (clear == 255).all()


def test_photo_is_not_drawn_on() -> None:
    job = with_logo(a_job("keep"), a_logo(RED), place=LogoPlace.TOP_LEFT, width=0.2)
    before = job.photo.srgb.copy()

    pixels = decode_pixels(composite(job).image)

    assert (job.photo.srgb == before).all()
    assert np.abs(pixels[8:40, 8:40] - (255, 0, 0)).max() <= JPEG_LEVELS
    assert np.abs(pixels[60:, 60:] - before[60:, 60:]).max() <= 60  # the photo's own edges


def test_logo_is_placed_in_the_framed_image() -> None:
    framing = Framing(crop=Crop.SUBJECT, size=read_size("100x100"))
    job = replace(a_job("color:white", format=Format.PNG), seed=1)
    job = replace(job, recipe=replace(job.recipe, framing=framing))

    image = composite(with_logo(job, a_logo(RED), place=LogoPlace.BOTTOM_RIGHT, width=0.2)).image

    pixels = decode_pixels(image, sized=False)
    assert (pixels[80:, 80:] == (255, 0, 0)).all()
    assert not (pixels[:, :79] == (255, 0, 0)).all(axis=2).any()


def test_job_without_a_logo_is_unchanged() -> None:
    job = a_job("color:white", format=Format.PNG)

    plain = decode_pixels(composite(job).image)
    named = Logo("tenant/acme")  # its picture was not loaded, as for outputs without an image
    other = decode_pixels(composite(replace(job, recipe=replace(job.recipe, logo=named))).image)

    assert (plain == other).all()
    assert job.recipe.background == Background(BackgroundKind.COLOR, "white")
