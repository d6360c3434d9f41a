"""What every background keeps to, whichever family draws it."""

import numpy as np
import pytest

from smart_filter_shared.presets import PRESETS, Preset
from smart_filter_workers.backgrounds import library

LUMA = np.array([0.2126, 0.7152, 0.0722])  # ITU-R BT.709

each_preset = pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)


@each_preset
@pytest.mark.parametrize(
    "size", [(1, 1), (1, 40), (7, 3000), (3000, 7), (320, 200), (1920, 1080), (333, 501)]
)
def test_any_size_is_filled_with_opaque_srgb(preset: Preset, size: tuple[int, int]) -> None:
    width, height = size

    drawn = library.draw(preset.name, seed=1, width=width, height=height)

    assert drawn.shape == (height, width, 3)
    assert drawn.dtype == np.uint8
    assert drawn.flags.c_contiguous


@each_preset
def test_the_same_seed_draws_the_same_pixels(preset: Preset) -> None:
    once = library.draw(preset.name, seed=2**53 - 1, width=200, height=150)
    again = library.draw(preset.name, seed=2**53 - 1, width=200, height=150)

    assert np.array_equal(once, again)


@each_preset
def test_another_seed_draws_something_else(preset: Preset) -> None:
    one = library.draw(preset.name, seed=1, width=200, height=150).astype(int)
    other = library.draw(preset.name, seed=2, width=200, height=150).astype(int)

    # Grain alone differs by two levels at most.
    assert (np.abs(one - other).max(axis=-1) > 6).mean() > 0.01


@each_preset
def test_a_design_looks_the_same_at_twice_the_size(preset: Preset) -> None:
    small = library.draw(preset.name, seed=5, width=300, height=200).astype(float)
    large = library.draw(preset.name, seed=5, width=600, height=400).astype(float)

    halved = large.reshape(200, 2, 300, 2, 3).mean(axis=(1, 3))

    # Grain averages out to under a level; sharp edges may fall on other sides of a pixel.
    assert np.abs(halved - small).mean() < 2.5


@each_preset
def test_brightness_is_as_the_preset_says(preset: Preset) -> None:
    seen = [
        float((library.draw(preset.name, seed=seed, width=160, height=120) @ LUMA).mean()) / 255
        for seed in range(6)
    ]

    assert np.mean(seen) == pytest.approx(preset.brightness, abs=0.03)
    assert max(abs(one - preset.brightness) for one in seen) < 0.1


@each_preset
def test_every_colour_of_the_palette_can_be_seen(preset: Preset) -> None:
    """A colour that the drawing ignores would mislead whoever chooses by palette."""
    drawn = [
        library.draw(preset.name, seed=seed, width=160, height=120).reshape(-1, 3).astype(int)
        for seed in range(4)
    ]
    pixels = np.concatenate(drawn)

    for text in preset.palette:
        colour = [int(text[at : at + 2], 16) for at in (1, 3, 5)]
        nearest = np.abs(pixels - colour).max(axis=-1).min()
        # Shading, mixing and light falling off may keep a colour from being met exactly.
        assert nearest <= 60, f"{text} is {nearest} levels away from everything"


@each_preset
def test_smooth_parts_have_no_bands(preset: Preset) -> None:
    """Along a row of a smooth background neighbours often differ by a level: grain is there."""
    drawn = library.draw(preset.name, seed=3, width=900, height=600).astype(int)

    steps = np.abs(np.diff(drawn[300:400, 200:700, 1], axis=1))

    assert float((steps > 0).mean()) > 0.2


def test_every_family_has_a_preset_and_every_preset_a_family() -> None:
    assert {preset.family for preset in PRESETS} == library.families()


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(KeyError):
        library.draw("no such background", seed=0, width=8, height=8)
