"""Why a background goes with the people in a photo, in words that people like to read."""

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


def beside(preset: Preset, sitters: Sitters) -> str:
    """Return how a design looks beside the people, as the end of a sentence; "" for nothing.

    Such as ", lighter than the black hair and blue clothes, its yellow opposite the blue".
    """
    look = impressions.of(preset).lab
    worn = [("hair", sitters.hair)] if sitters.hair is not None else []
    worn += [("clothes", one) for one in sitters.clothes[:1]]
    parts = [_lightness(float(look[..., 0].mean()), worn)]
    if sitters.clothes:
        parts.append(_hue(tones.tone(look.reshape(-1, 3).mean(axis=0), 1.0), sitters.clothes[0]))
    parts.append(_light(preset, sitters.light))
    return "".join(f", {part}" for part in parts if part)


def _lightness(own: float, worn: list[tuple[str, Tone]]) -> str:
    for word, sign in (("lighter", 1), ("darker", -1)):
        said = [
            f"{one.name} {what}" for what, one in worn if sign * (own - one.lightness) > _LIGHTER
        ]
        if said:
            return f"{word} than the {' and '.join(said)}"
    return ""


def _hue(own: Tone, clothes: Tone) -> str:
    if min(own.chroma, clothes.chroma) < _COLOURED:
        return ""
    apart = float(np.abs((own.hue - clothes.hue + 180) % 360 - 180))
    if apart <= _SAME:
        return f"in the clothes' own {clothes.name}" if own.name == clothes.name else ""
    return f"its {own.name} opposite their {clothes.name}" if apart >= _OPPOSITE else ""


def _light(preset: Preset, light: float) -> str:
    if preset.family not in side_light.SIDE_LIT or not side_light.is_certain(light):
        return ""
    return f"with light from the {'right' if light > 0 else 'left'} as on them"
