"""What the composite stage makes of each background and output, judged by its pixels."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from smart_filter_shared.presets import PRESETS
from smart_filter_shared.rating import SmileLevel
from smart_filter_shared.recipe import Background, BackgroundKind, Format, Output, Recipe
from smart_filter_workers import images
from smart_filter_workers.results import (
    Composited,
    Encoded,
    Eyes,
    Photo,
    Prepared,
    Segmented,
    Smile,
    Smiles,
)
from smart_filter_workers.stages.composite import stage
from smart_filter_workers.stages.composite.models import layers

WIDTH, HEIGHT, SCALE = 240, 180, 2
# Rows and columns that are certainly people, and certainly not.
INSIDE, OUTSIDE = (slice(80, 150), slice(90, 150)), (slice(5, 40), slice(5, 40))
# JPEG at quality 90 with full chroma, away from edges.
JPEG_LEVELS = 8


def a_job(background: str = "keep", **recipe: object) -> stage.Inputs:
    """A textured person in the middle of a textured photo, the matte half the photo's size."""
    kind, _, value = background.partition(":")
    random = np.random.default_rng(6)
    coarse = random.integers(60, 200, (HEIGHT // 20, WIDTH // 20, 3), dtype=np.uint8)
    srgb = np.asarray(Image.fromarray(coarse).resize((WIDTH, HEIGHT)))
    matte = np.zeros((HEIGHT // SCALE, WIDTH // SCALE), np.uint8)
    matte[25:, 35:85] = 255
    matte[24, 35:85] = matte[24:, 34] = matte[24:, 85] = 128
    proxy = images.shrink(srgb, longest_side=WIDTH // SCALE)
    return stage.Inputs(
        photo=Photo(srgb, "jpg"),
        prepared=Prepared(WIDTH, HEIGHT, "jpg", proxy, ()),
        segmented=Segmented(matte, float((matte > 127).mean()), None),
        faces=None,
        smiles=None,
        recipe=Recipe(
            background=Background(BackgroundKind(kind), value or None),
            **recipe,  # type: ignore[arg-type]  # each test passes what Recipe takes
        ),
        seed=11,
    )


def made(inputs: stage.Inputs) -> Composited:
    models: stage.Models = {"composite": layers.load(Path("unused"))}
    (result,) = stage.run(models, [inputs])
    return result


def pixels(encoded: Encoded | None) -> NDArray[np.int16]:
    assert encoded is not None
    picture = Image.open(io.BytesIO(encoded.content))
    assert picture.size == (encoded.width, encoded.height) == (WIDTH, HEIGHT)
    return np.asarray(picture).astype(np.int16)


def test_a_red_background_is_red_outside_and_the_subject_unchanged_inside() -> None:
    inputs = a_job("color:rgb(200 10 10)")

    result = made(inputs)

    assert result.image is not None
    assert result.image.format == "jpg"
    seen = pixels(result.image)
    assert np.abs(seen[OUTSIDE] - [200, 10, 10]).max() <= JPEG_LEVELS
    assert np.abs(seen[INSIDE] - inputs.photo.srgb[INSIDE]).max() <= JPEG_LEVELS


def test_as_png_inside_and_outside_are_exact() -> None:
    inputs = a_job("color:#c80a0a", format=Format.PNG)

    result = made(inputs)

    assert result.image is not None
    assert result.image.media_type == "image/png"
    assert np.array_equal(pixels(result.image)[INSIDE], inputs.photo.srgb[INSIDE])
    assert (pixels(result.image)[OUTSIDE] == [200, 10, 10]).all()


def test_transparent_has_the_matte_as_alpha_and_nothing_under_none() -> None:
    inputs = a_job("transparent", outputs=(Output.IMAGE, Output.MATTE))

    result = made(inputs)

    assert result.image is not None
    assert result.image.format == "png"
    seen, matte = pixels(result.image), pixels(result.matte)
    assert np.array_equal(seen[..., 3], matte)
    assert np.array_equal(seen[INSIDE][..., :3], inputs.photo.srgb[INSIDE])
    assert not seen[matte == 0].any()


def test_a_half_transparent_colour_shows_half_under_nothing_and_all_of_the_people() -> None:
    seen = pixels(made(a_job("color:rgb(0 0 255 / 50%)")).image)

    assert (seen[OUTSIDE] == [0, 0, 255, 128]).all()
    assert (seen[INSIDE][..., 3] == 255).all()


@pytest.mark.parametrize("written", ["white", "#fff", "hsl(0 0% 100%)", "oklch(1 0 0)"])
def test_every_css_notation_names_the_same_colour(written: str) -> None:
    seen = pixels(made(a_job(f"color:{written}", format=Format.PNG)).image)

    assert (seen[OUTSIDE] == 255).all()


def test_a_colour_outside_srgb_becomes_the_nearest_inside() -> None:
    seen = pixels(made(a_job("color:color(display-p3 0 1 0)", format=Format.PNG)).image)

    assert seen[OUTSIDE].reshape(-1, 3)[0][1] > 240


def test_keep_is_the_photo_itself() -> None:
    inputs = a_job("keep", format=Format.PNG)

    result = made(replace(inputs, segmented=None))

    assert np.array_equal(pixels(result.image), inputs.photo.srgb)
    assert result.background is not None
    assert result.background.kind == "keep"


@pytest.mark.parametrize("preset", [preset.name for preset in PRESETS])
def test_each_preset_stands_behind_the_people(preset: str) -> None:
    inputs = a_job(f"preset:{preset}", format=Format.PNG)

    result = made(inputs)

    seen = pixels(result.image)
    assert np.array_equal(seen[INSIDE], inputs.photo.srgb[INSIDE])
    assert np.abs(seen[OUTSIDE] - inputs.photo.srgb[OUTSIDE]).mean() > 5
    assert result.background is not None
    assert (result.background.kind, result.background.name) == ("preset", preset)


def test_auto_follows_the_smiles() -> None:
    inputs = a_job("auto")
    smiles = Smiles((Smile(SmileLevel.HUGE, 0.97),), (Eyes(left_open=True, right_open=True),))

    result = made(replace(inputs, smiles=smiles))

    assert result.background is not None
    assert result.background.kind == "preset"
    assert result.background.reason.startswith("1 person, smiling broadly (1.00 of 1)")


@pytest.mark.parametrize("background", ["auto", "transparent", "color:red", "preset:sky"])
def test_without_anybody_the_photo_is_kept_and_told(background: str) -> None:
    inputs = a_job(background, format=Format.PNG)
    nobody = Segmented(np.zeros((HEIGHT // SCALE, WIDTH // SCALE), np.uint8), 0.001, None)

    result = made(replace(inputs, segmented=nobody))

    assert np.array_equal(pixels(result.image), inputs.photo.srgb)
    assert result.background is not None
    assert result.background.kind == "keep"
    assert "nobody was found (0.1% of the photo)" in result.background.reason


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


def test_the_same_job_gives_the_same_bytes() -> None:
    assert made(a_job("preset:confetti")) == made(a_job("preset:confetti"))


def test_the_decoded_photo_is_not_written_to() -> None:
    """The runner keeps decoded photos for other jobs."""
    inputs = a_job("color:red", outputs=(Output.IMAGE, Output.MATTE))
    inputs.photo.srgb.setflags(write=False)
    before = inputs.photo.srgb.copy()

    made(inputs)

    assert np.array_equal(inputs.photo.srgb, before)


def test_quality_decides_the_size_of_a_jpeg() -> None:
    fine, coarse = (made(a_job("preset:paper", quality=quality)).image for quality in (95, 30))

    assert fine is not None
    assert coarse is not None
    assert len(coarse.content) < len(fine.content) / 2
