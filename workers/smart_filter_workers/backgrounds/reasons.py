"""Why a background goes with the people in a photo, in words that people like to read.

A colour is named only when it is sure; hair never is: above a face may be a hat or a cloth.
"""

from typing import Final

import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import impressions, side_light, tones
from smart_filter_workers.backgrounds.sitters import Sitters
from smart_filter_workers.backgrounds.tones import Tone

# OKLab lightness by which one calls a thing lighter than another.
_LIGHTER: Final = 0.12
# Chroma from which one names a colour at all, and the angles between hues up to which they are
# one colour and from which they are opposites.
_COLOURED: Final = 0.06
_SAME: Final = 30
_OPPOSITE: Final = 140
_NO_COLOURS: Final = frozenset({"", "dark", "light"})


def beside(preset: Preset, sitters: Sitters) -> str:
    """Return how a design looks beside the people, as the end of a sentence; "" for nothing.

    Such as ", lighter than the blue clothes, its yellow opposite their blue".
    """
    look = impressions.of(preset).lab
    parts = [_light(preset, sitters.light)]
    if sitters.clothes:
        clothes = sitters.clothes[0]
        own = tones.tone(look.reshape(-1, 3).mean(axis=0), 1.0)
        parts = [_lightness(own, clothes), _hue(own, clothes), *parts]
    return "".join(f", {part}" for part in parts if part)


def _lightness(own: Tone, clothes: Tone) -> str:
    lighter = own.lightness - clothes.lightness
    name = clothes.sure_name
    # "Darker than the dark clothes" is true and helps nobody.
    if abs(lighter) <= _LIGHTER or name in {"", "dark" if lighter < 0 else "light"}:
        return ""
    return f"{'lighter' if lighter > 0 else 'darker'} than the {name} clothes"


def _hue(own: Tone, clothes: Tone) -> str:
    names = own.sure_name, clothes.sure_name
    if min(own.chroma, clothes.chroma) < _COLOURED or not _NO_COLOURS.isdisjoint(names):
        return ""
    apart = float(np.abs((own.hue - clothes.hue + 180) % 360 - 180))
    if apart <= _SAME:
        return f"in the clothes' own {clothes.name}" if own.name == clothes.name else ""
    return f"its {own.name} opposite their {clothes.name}" if apart >= _OPPOSITE else ""


def _light(preset: Preset, light: float) -> str:
    if preset.family not in side_light.SIDE_LIT or not side_light.is_certain(light):
        return ""
    return f"with light from the {'right' if light > 0 else 'left'} as on them"
