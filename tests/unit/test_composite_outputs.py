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
    SCALE,
    WIDTH,
    a_job,
    made,
    pixels,
)
from smart_filter_workers.results import Segmented


@pytest.mark.parametrize("background", ["keep", "transparent", "preset:sky", "blur:0.5"])
def test_every_background_comes_as_webp(background: str) -> None:
    result = made(a_job(background, format=Format.WEBP))

    assert result.image is not None
    assert (result.image.format, result.image.media_type) == ("webp", "image/webp")
    assert pixels(result.image).shape[2] == (4 if background == "transparent" else 3)


@pytest.mark.parametrize("background", ["keep", "transparent", "preset:sky", "color:#ff000080"])
def test_every_background_comes_as_avif(background: str) -> None:
    result = made(a_job(background, format=Format.AVIF))

    assert result.image is not None
    assert (result.image.format, result.image.media_type) == ("avif", "image/avif")
    alpha = background in {"transparent", "color:#ff000080"}
    assert pixels(result.image).shape[2] == (4 if alpha else 3)


@pytest.mark.parametrize("background", ["auto", "keep", "preset:sky", "transparent", "blur:0"])
def test_cutout_is_the_people_on_nothing_whatever_the_background(background: str) -> None:
    inputs = a_job(background, outputs=(Output.IMAGE, Output.CUTOUT))

    result = made(inputs)

    seen = pixels(result.cutout)
    alone = pixels(made(a_job("transparent")).image)
    assert np.array_equal(seen, alone)
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
    assert result.cutout is not None
    assert result.cutout.format == comes_as
    assert not pixels(result.cutout)[OUTSIDE][..., 3].any()


@pytest.mark.parametrize("noise", [0, 255])
def test_cutout_of_nobody_is_wholly_transparent(noise: int) -> None:
    matte = np.zeros((HEIGHT // SCALE, WIDTH // SCALE), np.uint8)
    matte[40:44, 40:45] = noise
    nobody = Segmented(matte, 0.003, None)

    result = made(replace(a_job("keep", outputs=(Output.CUTOUT,)), segmented=nobody))

    assert not pixels(result.cutout).any()


def test_only_what_was_asked_for_is_made() -> None:
    result = made(a_job("auto", outputs=(Output.MATTE,)))

    assert result.image is None
    assert result.background is None
    assert pixels(result.matte).shape == (HEIGHT, WIDTH)


def test_keep_with_a_matte_gives_both() -> None:
    result = made(a_job("keep", outputs=(Output.IMAGE, Output.MATTE)))

    assert result.image is not None
    assert pixels(result.matte)[INSIDE].min() == 255
    assert pixels(result.matte)[OUTSIDE].max() == 0


def test_quality_decides_the_size_of_a_jpeg() -> None:
    fine, coarse = (made(a_job("preset:paper", quality=quality)).image for quality in (95, 30))

    assert fine is not None
    assert coarse is not None
    assert len(coarse.content) < len(fine.content) / 2


@pytest.mark.parametrize(("size", "told"), [("print:9x13", 300), ("200x150", None)])
def test_prints_alone_say_how_many_dots_an_inch_has(size: str, told: int | None) -> None:
    framing = Framing(size=read_size(size))

    image = made(a_job("color:red", format=Format.PNG, framing=framing)).image

    assert image is not None
    density = Image.open(io.BytesIO(image.content)).info.get("dpi", (None,))[0]
    assert density == (None if told is None else pytest.approx(told, abs=0.01))


@pytest.mark.parametrize("format_", [Format.JPG, Format.PNG, Format.WEBP, Format.AVIF])
def test_image_and_cutout_take_no_more_bytes_than_allowed(format_: Format) -> None:
    files = Files(max_bytes=10_000)
    inputs = a_job(
        "preset:paper", outputs=(Output.IMAGE, Output.CUTOUT), format=format_, files=files
    )

    result = made(inputs)

    for file in (result.image, result.cutout):
        assert file is not None
        assert len(file.content) <= 10_000


def test_matte_in_sixteen_bits_covers_the_same() -> None:
    coarse = pixels(made(a_job("keep", outputs=(Output.MATTE,))).matte)

    result = made(a_job("keep", outputs=(Output.MATTE,), files=Files(matte_bits=16)))

    assert result.matte is not None
    fine = np.asarray(Image.open(io.BytesIO(result.matte.content))).astype(np.int32)
    assert fine.max() == 65_535
    assert np.array_equal(fine, coarse.astype(np.int32) * 257)


@pytest.mark.parametrize("keep", [False, True])
def test_metadata_goes_along_only_when_it_is_asked_for(*, keep: bool) -> None:
    tags = Image.Exif()
    tags[0x013B] = "Ada"
    inputs = a_job("preset:sky", files=Files(keep_metadata=keep))
    inputs = replace(inputs, photo=replace(inputs.photo, exif=tags.tobytes()))

    result = made(inputs)

    assert result.image is not None
    seen = Image.open(io.BytesIO(result.image.content)).getexif()
    assert seen.get(0x013B) == ("Ada" if keep else None)
