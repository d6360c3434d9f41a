"""Which files the composite stage makes, and in which formats."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from smart_filter_shared.recipe import Files, Format, Framing, Output
from smart_filter_shared.recipe.framing import read_size
from smart_filter_tests.compositing import (
    HEIGHT,
    INSIDE,
    OUTSIDE,
    WIDTH,
    a_job,
    made,
    pixels,
)


@pytest.mark.parametrize("background", ["auto", "keep", "preset:sky", "transparent", "blur:0"])
def test_cutout_is_the_people_on_nothing_whatever_the_background(background: str) -> None:
    inputs = a_job(background, outputs=(Output.IMAGE, Output.CUTOUT))

    seen = pixels(made(inputs).cutout)

    assert np.array_equal(seen, pixels(made(a_job("transparent")).image))
    assert (seen[INSIDE][..., 3] == 255).all()
    assert np.array_equal(seen[INSIDE][..., :3], inputs.photo.srgb[INSIDE])
    assert not seen[OUTSIDE].any()


@pytest.mark.parametrize(
    ("asked", "comes_as"),
    [
        (Format.AUTO, "png"),
        (Format.JPG, "png"),
        (Format.PNG, "png"),
        (Format.WEBP, "webp"),
        (Format.AVIF, "avif"),
    ],
)
def test_cutout_comes_in_the_format_unless_that_holds_no_alpha(
    asked: Format, comes_as: str
) -> None:
    result = made(a_job("preset:sky", outputs=(Output.CUTOUT,), format=asked))

    assert result.image is None
    assert result.cutout.format == comes_as
    assert not pixels(result.cutout)[OUTSIDE][..., 3].any()


def test_only_requested_outputs_are_made() -> None:
    result = made(a_job("auto", outputs=(Output.MATTE,)))

    assert (result.image, result.background) == (None, None)
    matte = pixels(result.matte)
    assert matte.shape == (HEIGHT, WIDTH)
    assert (matte[INSIDE].min(), matte[OUTSIDE].max()) == (255, 0)


@pytest.mark.parametrize(("size", "dots_per_inch"), [("print:9x13", 300), ("200x150", None)])
def test_only_prints_have_their_dots_per_inch(size: str, dots_per_inch: int | None) -> None:
    framing = Framing(size=read_size(size))

    image = made(a_job("color:red", format=Format.PNG, framing=framing)).image

    density = Image.open(io.BytesIO(image.content)).info.get("dpi", (None,))[0]
    assert density == (None if dots_per_inch is None else pytest.approx(dots_per_inch, abs=0.01))


@pytest.mark.parametrize("format_", [Format.JPG, Format.PNG, Format.WEBP, Format.AVIF])
def test_image_and_cutout_take_no_more_bytes_than_allowed(format_: Format) -> None:
    asked = {"outputs": (Output.IMAGE, Output.CUTOUT), "files": Files(max_bytes=10_000)}

    result = made(a_job("preset:paper", format=format_, **asked))

    assert max(len(file.content) for file in (result.image, result.cutout)) <= 10_000


def test_matte_in_sixteen_bits_covers_the_same() -> None:
    coarse = pixels(made(a_job("keep", outputs=(Output.MATTE,))).matte)

    matte = made(a_job("keep", outputs=(Output.MATTE,), files=Files(matte_bits=16))).matte

    fine = np.asarray(Image.open(io.BytesIO(matte.content))).astype(np.int32)
    assert fine.max() == 65_535
    assert np.array_equal(fine, coarse.astype(np.int32) * 257)


@pytest.mark.parametrize("keep", [False, True])
def test_metadata_is_kept_only_on_request(*, keep: bool) -> None:
    tags = Image.Exif()
    tags[0x013B] = "Ada"
    inputs = a_job("preset:sky", files=Files(keep_metadata=keep))
    inputs = replace(inputs, photo=replace(inputs.photo, exif=tags.tobytes()))

    image = made(inputs).image

    seen = Image.open(io.BytesIO(image.content)).getexif()
    assert seen.get(0x013B) == ("Ada" if keep else None)
