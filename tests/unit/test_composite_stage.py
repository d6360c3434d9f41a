"""Pictures of the composite stage for each background and output, judged by their pixels."""

from dataclasses import replace

import numpy as np
import pytest

from smart_filter_shared.presets import PRESETS
from smart_filter_shared.rating import SmileLevel
from smart_filter_shared.recipe import Format, Output
from smart_filter_tests.compositing import (
    HEIGHT,
    INSIDE,
    JPEG_LEVELS,
    OUTSIDE,
    SCALE,
    WIDTH,
    a_job,
    made,
    pixels,
)
from smart_filter_workers import images
from smart_filter_workers.results import (
    Eyes,
    Photo,
    Prepared,
    Segmented,
    Smile,
    Smiles,
)
from smart_filter_workers.stages.composite import stage
from smart_filter_workers.stages.composite.look import NOTHING


def test_colour_stands_behind_unchanged_people_within_what_jpeg_loses() -> None:
    inputs = a_job("color:rgb(200 10 10)")

    result = made(inputs)

    seen = pixels(result.image)
    assert result.image.format == "jpg"
    assert np.abs(seen[OUTSIDE] - [200, 10, 10]).max() <= JPEG_LEVELS
    assert np.abs(seen[INSIDE] - inputs.photo.srgb[INSIDE]).max() <= JPEG_LEVELS


def test_inside_and_outside_of_a_png_are_exact() -> None:
    inputs = a_job("color:#c80a0a", format=Format.PNG)

    result = made(inputs)

    assert result.image.media_type == "image/png"
    assert np.array_equal(pixels(result.image)[INSIDE], inputs.photo.srgb[INSIDE])
    assert (pixels(result.image)[OUTSIDE] == [200, 10, 10]).all()


def test_transparent_has_the_matte_as_alpha_and_no_colour_under_none() -> None:
    inputs = a_job("transparent", outputs=(Output.IMAGE, Output.MATTE))

    result = made(inputs)

    seen, matte = pixels(result.image), pixels(result.matte)
    assert result.image.format == "png"
    assert np.array_equal(seen[..., 3], matte)
    assert np.array_equal(seen[INSIDE][..., :3], inputs.photo.srgb[INSIDE])
    assert not seen[matte == 0].any()


def test_half_transparent_colour_is_half_alpha_behind_opaque_people() -> None:
    seen = pixels(made(a_job("color:rgb(0 0 255 / 50%)")).image)

    assert (seen[OUTSIDE] == [0, 0, 255, 128]).all()
    assert (seen[INSIDE][..., 3] == 255).all()


@pytest.mark.parametrize("written", ["white", "#fff", "hsl(0 0% 100%)", "oklch(1 0 0)"])
def test_every_css_notation_names_the_same_colour(written: str) -> None:
    seen = pixels(made(a_job(f"color:{written}", format=Format.PNG)).image)

    assert (seen[OUTSIDE] == 255).all()


def test_colour_outside_srgb_becomes_the_nearest_inside() -> None:
    seen = pixels(made(a_job("color:color(display-p3 0 1 0)", format=Format.PNG)).image)

    assert seen[OUTSIDE].reshape(-1, 3)[0][1] > 240


@pytest.mark.parametrize(("background", "segmented"), [("keep", False), ("blur:0", True)])
def test_background_that_changes_nothing_is_the_photo_itself(
    background: str, *, segmented: bool
) -> None:
    inputs = a_job(background, format=Format.PNG)

    result = made(inputs if segmented else replace(inputs, segmented=None))

    assert np.array_equal(pixels(result.image), inputs.photo.srgb)
    assert result.background.kind == background.partition(":")[0]


@pytest.mark.parametrize(
    "preset", [*{preset.family: preset.name for preset in PRESETS}.values(), "rainbow+linen"]
)
def test_each_family_stands_behind_the_people(preset: str) -> None:
    inputs = a_job(f"preset:{preset}", format=Format.PNG, look=NOTHING)

    result = made(inputs)

    seen = pixels(result.image)
    assert np.array_equal(seen[INSIDE], inputs.photo.srgb[INSIDE])
    assert np.abs(seen[OUTSIDE] - inputs.photo.srgb[OUTSIDE]).mean() > 5
    assert (result.background.kind, result.background.name) == ("preset", preset)


def a_job_before(width: int, height: int) -> stage.Inputs:
    """Return people to be put before a background of this size.

    It is red on the left, green in the middle half, blue on the right; a white frame of 1 px.
    """
    srgb = np.zeros((height, width, 3), np.uint8)
    srgb[:, : width // 4] = (200, 0, 0)
    srgb[:, width // 4 : width - width // 4] = (0, 200, 0)
    srgb[:, width - width // 4 :] = (0, 0, 200)
    srgb[0] = srgb[-1] = srgb[:, 0] = srgb[:, -1] = 255
    srgb.setflags(write=False)
    return replace(a_job("file", format=Format.PNG), background=Photo(srgb, "png"))


def test_uploaded_background_of_the_same_size_stands_behind_the_people_as_it_is() -> None:
    inputs = a_job_before(WIDTH, HEIGHT)

    result = made(inputs)

    seen, background = pixels(result.image), result.background
    assert np.array_equal(seen[INSIDE], inputs.photo.srgb[INSIDE])
    assert np.array_equal(seen[:20], inputs.background.srgb[:20])
    assert (background.kind, background.name) == ("file", None)
    assert background.reason == "asked for: the uploaded background"


@pytest.mark.parametrize("scale", [0.05, 0.5, 3, 7.3])
def test_uploaded_background_is_scaled_until_it_fills_the_picture(scale: float) -> None:
    inputs = a_job_before(round(WIDTH * scale), round(HEIGHT * scale))

    row = pixels(made(inputs).image)[38]  # below the frame, above the people

    for place, colour in ((0.12, (200, 0, 0)), (0.5, (0, 200, 0)), (0.88, (0, 0, 200))):
        assert np.abs(row[round(WIDTH * place)] - colour).max() < 40


def test_wider_background_loses_its_sides_and_a_taller_one_top_and_bottom() -> None:
    wide = pixels(made(a_job_before(4 * WIDTH, HEIGHT)).image)
    tall = pixels(made(a_job_before(WIDTH, 4 * HEIGHT)).image)

    # The middle quarter of its width is green alone.
    assert (wide[5:-5, [2, -3]] == [0, 200, 0]).all()
    assert (tall[5][[2, -3]] == [[200, 0, 0], [0, 0, 200]]).all()
    assert (tall[5][0] == 255).all()


def test_fine_detail_of_a_large_background_is_averaged() -> None:
    """Every other pixel black and white is grey from afar, never stripes."""
    checks = np.indices((1500, 2000)).sum(axis=0) % 2 * 255
    background = Photo(np.dstack([checks.astype(np.uint8)] * 3), "png")

    seen = pixels(made(replace(a_job("file", format=Format.PNG), background=background)).image)

    assert np.abs(seen[OUTSIDE] - 127.5).max() < 30


def test_missing_background_is_an_error() -> None:
    with pytest.raises(ValueError, match="needs a background"):
        made(a_job("file"))


def test_blur_leaves_people_sharp_and_less_detail_the_stronger_it_is() -> None:
    inputs = a_job(format=Format.PNG)

    results = [made(a_job(f"blur:{one}", format=Format.PNG)) for one in ("0.1", "0.4", "1")]

    pictures = [inputs.photo.srgb.astype(np.int16), *(pixels(one.image) for one in results)]
    detail = [float(picture[OUTSIDE].std(axis=(0, 1)).mean()) for picture in pictures]
    assert all(np.array_equal(one[INSIDE], inputs.photo.srgb[INSIDE]) for one in pictures)
    assert detail == sorted(detail, reverse=True)
    assert detail[-1] < 0.9 * detail[0]
    background = results[-1].background
    assert (background.kind, background.name) == ("blur", None)
    assert background.reason.endswith("the photo's own background, blurred by 1 of 1")


def test_blurred_background_keeps_its_brightness() -> None:
    inputs = a_job("blur:0.3", format=Format.PNG)
    flat = np.full_like(inputs.photo.srgb, (30, 90, 160))
    flat[INSIDE] = 255
    proxy = images.shrink(flat, longest_side=WIDTH // SCALE)
    prepared = replace(inputs.prepared, proxy_srgb=proxy)

    seen = pixels(made(replace(inputs, photo=Photo(flat, "png"), prepared=prepared)).image)

    # Grain is ±1.6 levels.
    assert np.abs(seen[OUTSIDE] - [30, 90, 160]).max() <= 3


@pytest.mark.parametrize("strength", ["0.05", "0.3", "1"])
def test_people_cast_no_halo_on_the_blurred_background(strength: str) -> None:
    """A person of pure red before blue: blurred with the person, blue would turn violet."""
    inputs = a_job(f"blur:{strength}", format=Format.PNG)
    matte = np.zeros((HEIGHT, WIDTH), np.uint8)
    matte[50:, 70:170] = 255
    photo = np.where(matte[..., np.newaxis] > 0, [255, 0, 0], [0, 60, 200]).astype(np.uint8)
    inputs = replace(
        inputs,
        photo=Photo(photo, "png"),
        prepared=replace(inputs.prepared, proxy_srgb=photo),
        segmented=Segmented(matte, float((matte > 0).mean()), None),
    )

    seen = pixels(made(inputs).image)

    assert np.abs(seen[matte == 0] - [0, 60, 200]).max() <= 4


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (7, 900), (900, 7), (333, 501)])
@pytest.mark.parametrize("background", ["blur:0.01", "blur:1", "file"])
def test_photos_of_any_size_get_their_background(size: tuple[int, int], background: str) -> None:
    width, height = size
    srgb = np.random.default_rng(8).integers(0, 256, (height, width, 3), dtype=np.uint8)
    matte = np.full((height, width), 255, np.uint8)
    matte[: height // 2] = 0
    inputs = replace(
        a_job(background, format=Format.PNG),
        photo=Photo(srgb, "png"),
        background=Photo(srgb[:1, :1], "png"),
        prepared=Prepared(width, height, "png", srgb, ()),
        segmented=Segmented(matte, 0.5, None),
    )

    result = made(inputs)

    assert (result.image.width, result.image.height) == size


def test_auto_follows_the_smiles() -> None:
    smiles = Smiles((Smile(SmileLevel.HUGE, 0.97),), (Eyes(left_open=True, right_open=True),))

    background = made(replace(a_job("auto"), smiles=smiles)).background

    assert background.kind == "preset"
    assert background.reason.startswith("1 person, smiling broadly (1.00 of 1)")


def test_words_choose_the_background_and_are_named() -> None:
    background = made(a_job("keywords:hearts,xyzzy")).background

    assert (background.name, background.keywords) == ("hearts", ("hearts",))
    assert background.reason == 'asked for hearts: Hearts; unknown: "xyzzy"'


@pytest.mark.parametrize(
    "background",
    ["auto", "keywords:sea", "transparent", "color:red", "preset:sky", "blur:0.5", "file"],
)
def test_photo_without_people_is_kept_with_the_reason(background: str) -> None:
    inputs = a_job(background, format=Format.PNG)
    nobody = Segmented(np.zeros((HEIGHT // SCALE, WIDTH // SCALE), np.uint8), 0.001, None)

    result = made(replace(inputs, segmented=nobody))

    assert np.array_equal(pixels(result.image), inputs.photo.srgb)
    assert result.background.kind == "keep"
    assert "nobody was found (0.1% of the photo)" in result.background.reason


def test_same_job_gives_the_same_bytes() -> None:
    assert made(a_job("preset:confetti")) == made(a_job("preset:confetti"))


def test_the_decoded_photo_is_not_written_to() -> None:
    """The runner keeps decoded photos for other jobs."""
    inputs = a_job("color:red", outputs=(Output.IMAGE, Output.MATTE))
    inputs.photo.srgb.setflags(write=False)
    before = inputs.photo.srgb.copy()

    made(inputs)

    assert np.array_equal(inputs.photo.srgb, before)
