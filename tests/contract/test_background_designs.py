"""Rules for every background, of any family."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from smart_filter_shared.presets import PRESETS, SIDE_LIT_FAMILIES, Preset, thumbnails
from smart_filter_workers import images
from smart_filter_workers.backgrounds import library
from smart_filter_workers.backgrounds.choice import color_layout
from smart_filter_workers.results import Doubles, Srgb8

LUMA = np.array([0.2126, 0.7152, 0.0722])  # ITU-R BT.709
SIZE = {"width": 240, "height": 160}
SEEDS = range(4)

each_preset = pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
first_of_each_family = pytest.mark.parametrize(
    "preset",
    {preset.family: preset for preset in reversed(PRESETS)}.values(),
    ids=lambda preset: preset.family,
)


@cache
def drawn(name: str, seed: int = 0, scale: int = 1) -> Srgb8:
    """Return a small drawing; most tests share the same ones."""
    width, height = scale * SIZE["width"], scale * SIZE["height"]
    return library.draw(name, seed=seed, width=width, height=height)


def blocks(picture: Srgb8, *, side: int) -> Doubles:
    """Return the mean of each square of `side` pixels."""
    rows, columns = picture.shape[0] // side, picture.shape[1] // side
    squares = picture.astype(float).reshape(rows, side, columns, side, 3)
    return np.asarray(squares.mean(axis=(1, 3)))


@first_of_each_family
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (7, 3000), (3000, 7), (900, 1200)])
def test_any_size_is_filled_with_opaque_srgb(preset: Preset, size: tuple[int, int]) -> None:
    width, height = size

    picture = library.draw(preset.name, seed=1, width=width, height=height)

    assert picture.shape == (height, width, 3)
    assert picture.dtype == np.uint8
    assert picture.flags.c_contiguous


@each_preset
def test_seed_decides_the_pixels(preset: Preset) -> None:
    first, other = (drawn(preset.name, seed).astype(int) for seed in (1, 2))

    assert np.array_equal(first, library.draw_uncached(preset.name, seed=1, **SIZE))
    # Grain alone differs by 2 × 1.6 levels at most, so by 4 after rounding.
    assert (np.abs(first - other).max(axis=-1) > 4).mean() > 0.01


@each_preset
def test_design_looks_the_same_at_twice_the_size(preset: Preset) -> None:
    halved = blocks(drawn(preset.name, scale=2), side=2)

    # Grain averages out to under a level; sharp edges may fall on other sides of a pixel.
    assert np.abs(halved - drawn(preset.name)).mean() < 2.5


@each_preset
def test_brightness_is_as_the_preset_says(preset: Preset) -> None:
    seen = [float((drawn(preset.name, seed) @ LUMA).mean()) / 255 for seed in SEEDS]

    assert np.mean(seen) == pytest.approx(preset.brightness, abs=0.03)
    assert max(abs(level - preset.brightness) for level in seen) < 0.1


@each_preset
def test_stored_impression_equals_the_drawings(preset: Preset) -> None:
    """Renewed by `python -m smart_filter_workers.backgrounds.choice.color_layout`."""
    shipped = color_layout.for_preset(preset)

    seen = color_layout.measure([drawn(preset.name, seed) for seed in SEEDS])

    away = np.sqrt(((seen.lab - shipped.lab) ** 2).sum(axis=-1))
    # Four seeds against six others: arcs, which open to either side, differ by 0.1, and light from
    # either side by 0.06.
    side_lit = preset.family in SIDE_LIT_FAMILIES
    most = 0.12 if preset.family == "stripes" else 0.075 if side_lit else 0.045
    assert away.mean() < most
    assert np.abs(seen.spread - shipped.spread).mean() < most


@each_preset
def test_stored_thumbnail_equals_the_drawing(preset: Preset) -> None:
    """Users choose by it; `make thumbnails` renews it."""
    shipped = images.decode(thumbnails.read_thumbnail(preset)).srgb

    assert shipped.shape == (thumbnails.HEIGHT_PX, thumbnails.WIDTH_PX, 3)
    # WebP loses fine detail, smaller than a block except for golden rain and the like.
    assert np.abs(blocks(shipped, side=5) - blocks(drawn(preset.name), side=5)).mean() < 4


@pytest.mark.parametrize(
    "preset", [preset for preset in PRESETS if preset.parameters], ids=lambda preset: preset.name
)
def test_family_accepts_the_parameters_of_its_presets(preset: Preset) -> None:
    def drawing(one: Preset) -> Srgb8:
        return library.load_design(one.family)(one, library.new_sheet(one.name, seed=0, **SIZE))

    for name in preset.parameters:
        others = {key: value for key, value in preset.parameters.items() if key != name}
        plain = replace(preset, parameters=others)

        assert not np.array_equal(drawing(preset), drawing(plain)), name


@each_preset
def test_smooth_parts_have_no_bands(preset: Preset) -> None:
    """Grain makes neighbors along a row of a smooth background often differ by a level."""
    picture = drawn(preset.name, scale=2).astype(int)

    steps = np.abs(np.diff(picture[160:213, 107:373, 1], axis=1))

    assert float((steps > 0).mean()) > 0.2


def test_each_preset_has_a_name_an_impression_and_a_family() -> None:
    assert len({preset.name for preset in PRESETS}) == len(PRESETS)
    assert len({color_layout.for_preset(preset).lab.tobytes() for preset in PRESETS}) == len(
        PRESETS
    )
    assert {preset.family for preset in PRESETS} == library.list_families()


def test_cached_drawing_is_returned_as_a_copy() -> None:
    first = library.draw("sunrise", seed=3, width=30, height=20)
    kept = first.copy()
    first[:] = 0

    assert np.array_equal(library.draw("sunrise", seed=3, width=30, height=20), kept)
