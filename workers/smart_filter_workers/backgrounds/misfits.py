"""Designs that do not go with a photo whatever their score, so that others come first.

People stand before a background: a frame is crossed by heads and shoes. In the light of day
nobody stands under stars. A photo in black and white has no colours to be put beside strong ones.
"""

from typing import Final

import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import colours, impressions
from smart_filter_workers.backgrounds.sitters import Sitters

# The family that has a border.
FRAMED: Final = "framed"
# What shows the night out of doors, not only something dark: such of these tags both.
_NIGHT: Final = "night"
_OUT_OF_DOORS: Final = frozenset({"stars", "lights"})
# OKLCH: mean chroma over a design, and that of a colour in it, from which it is a coloured one.
_MUTED_BELOW: Final = 0.038
_STRONG_FROM: Final = 0.075


def suits(preset: Preset, sitters: Sitters) -> bool:
    """Whether a design can be put behind these people at all."""
    if preset.family == FRAMED:
        return False
    if not sitters.in_the_dark and shows_night(preset):
        return False
    return not sitters.monochrome or is_muted(preset)


def shows_night(preset: Preset) -> bool:
    """Whether a design is a night out of doors."""
    return _NIGHT in preset.tags and not _OUT_OF_DOORS.isdisjoint(preset.tags)


def is_muted(preset: Preset) -> bool:
    """Whether a design has hardly any colour, neither all over nor in what is strewn on it."""
    seen = impressions.of(preset).lab
    drawn = colours.oklab(colours.read(preset.palette))
    strongest = float(np.hypot(drawn[:, 1], drawn[:, 2]).max())
    whole = float(np.hypot(seen[..., 1], seen[..., 2]).mean())
    return whole < _MUTED_BELOW and strongest < _STRONG_FROM
