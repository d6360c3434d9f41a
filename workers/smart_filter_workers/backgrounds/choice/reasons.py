"""Explain to users why a background suits the people in a photo.

A color is named only if it is certain. Hair is never named: it may be a hat or a scarf.
"""

from typing import Final

import numpy as np

from smart_filter_shared.presets import SIDE_LIT_FAMILIES, Preset
from smart_filter_workers.backgrounds import color_names
from smart_filter_workers.backgrounds.choice import color_layout, side_light
from smart_filter_workers.backgrounds.choice.subject_stats import SubjectStats
from smart_filter_workers.backgrounds.color_names import NamedColor

# Difference of OKLab lightness from which something is called lighter.
_LIGHTER_BY: Final = 0.12
# Chroma from which a color is named; greatest angle of hues that count as the same color, and least
# angle of opposite ones.
_COLORED_FROM: Final = 0.06
_SAME_HUE_DEGREES: Final = 30
_OPPOSITE_HUE_DEGREES: Final = 140
_NOT_COLORS: Final = frozenset({"", "dark", "light"})


def describe_match(preset: Preset, sitters: SubjectStats) -> str:
    """Return how a design looks with the people, as the end of a sentence; "" for nothing.

    For example ", lighter than the blue clothes, its yellow opposite their blue".
    """
    look = color_layout.for_preset(preset).lab
    parts = [_light(preset, sitters.light)]
    if sitters.clothes:
        clothes = sitters.clothes[0]
        color = color_names.to_named_color(look.reshape(-1, 3).mean(axis=0), 1.0)
        parts = [_lightness(color, clothes), _hue(color, clothes), *parts]
    return "".join(f", {part}" for part in parts if part)


def _lightness(color: NamedColor, clothes: NamedColor) -> str:
    lighter = color.lightness - clothes.lightness
    name = clothes.certain_name
    # "Darker than the dark clothes" is true but useless.
    if abs(lighter) <= _LIGHTER_BY or name in {"", "dark" if lighter < 0 else "light"}:
        return ""
    return f"{'lighter' if lighter > 0 else 'darker'} than the {name} clothes"


def _hue(color: NamedColor, clothes: NamedColor) -> str:
    if min(color.chroma, clothes.chroma) < _COLORED_FROM:
        return ""
    if not _NOT_COLORS.isdisjoint((color.certain_name, clothes.certain_name)):
        return ""
    apart = float(np.abs((color.hue - clothes.hue + 180) % 360 - 180))
    if apart <= _SAME_HUE_DEGREES:
        return f"in the clothes' own {clothes.name}" if color.name == clothes.name else ""
    return (
        f"its {color.name} opposite their {clothes.name}" if apart >= _OPPOSITE_HUE_DEGREES else ""
    )


def _light(preset: Preset, light: float) -> str:
    if preset.family not in SIDE_LIT_FAMILIES or not side_light.is_certain(light):
        return ""
    return f"with light from the {'right' if light > 0 else 'left'} as on them"
