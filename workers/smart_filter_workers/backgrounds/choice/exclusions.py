"""Designs that do not suit a photo whatever their score, so that others are preferred.

People are in front of a background, so heads and shoes would cross a frame. In daylight people do
not stand under stars, and their feet stand on a floor. People who are cut off below the hips are
before a plain wall. Nothing is lighter than the people's own whites, and in dim light it is not day
behind them. Strong colors do not suit a photo in black and white.
"""

from typing import Final

import numpy as np

from smart_filter_shared.presets import FRAMED_FAMILY, OUT_OF_FOCUS_FAMILIES, Preset
from smart_filter_workers.backgrounds import colors
from smart_filter_workers.backgrounds.choice import color_layout
from smart_filter_workers.backgrounds.choice.subject_stats import SubjectStats

# A design with this tag and one of the outdoor tags shows a night outdoors, not just something
# dark.
_NIGHT_TAG: Final = "night"
_OUTDOOR_TAGS: Final = frozenset({"stars", "lights"})
# Families that show a day outdoors, and the brightness of whites from which people may stand in it:
# in the shade of a street it is 0.6 (by looking at 32 training photos in dim light).
_DAYLIGHT_FAMILIES: Final = frozenset({"garden", "horizon"})
_DAYLIGHT_FROM: Final = 0.6
# In OKLCH: mean chroma of a design, and chroma of any of its colors, from which it counts as
# colored.
_MUTED_BELOW: Final = 0.038
_STRONG_FROM: Final = 0.075


def is_suitable(preset: Preset, sitters: SubjectStats) -> bool:
    """Return whether a design suits these people at all."""
    if preset.family == FRAMED_FAMILY:
        return False
    if not sitters.in_the_dark and shows_night(preset):
        return False
    if preset.brightness > sitters.lightest:
        return False
    if sitters.lightest < _DAYLIGHT_FROM and preset.family in _DAYLIGHT_FAMILIES:
        return False
    if (sitters.full_length or sitters.cut_off) and preset.family in OUT_OF_FOCUS_FAMILIES:
        return False
    return not sitters.monochrome or is_muted(preset)


def shows_night(preset: Preset) -> bool:
    """Return whether a design shows a night outdoors."""
    return _NIGHT_TAG in preset.tags and not _OUTDOOR_TAGS.isdisjoint(preset.tags)


def is_muted(preset: Preset) -> bool:
    """Return whether a design has little color, both on average and in its details."""
    seen = color_layout.for_preset(preset).lab
    drawn = colors.linear_to_oklab(colors.parse_hex(preset.palette))
    strongest = float(np.hypot(drawn[:, 1], drawn[:, 2]).max())
    whole = float(np.hypot(seen[..., 1], seen[..., 2]).mean())
    return whole < _MUTED_BELOW and strongest < _STRONG_FROM
