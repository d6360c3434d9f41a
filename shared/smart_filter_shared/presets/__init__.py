"""The generated backgrounds: what they are called, mean and look like.

Pure data: the API checks names against it, the workers choose by moods and by the impression
that each makes, and draw by family and palette. Backgrounds that are pictures stand in a table
instead (stock.py). Another look of a family is one entry here; a new family is one file among
the workers' backgrounds as well.
"""

from collections.abc import Iterable

from smart_filter_shared.presets.patterns import PATTERNS
from smart_filter_shared.presets.preset import PICTURE, Mood, Preset, Source
from smart_filter_shared.presets.scenes import SCENES
from smart_filter_shared.presets.soft import SOFT
from smart_filter_shared.presets.surfaces import SURFACES

__all__ = ["PICTURE", "PRESETS", "SURFACE_FAMILIES", "Mood", "Preset", "Source", "named"]

PRESETS: tuple[Preset, ...] = (*SOFT, *SCENES, *SURFACES, *PATTERNS)

# Families that others can be printed on.
SURFACE_FAMILIES = frozenset({"fabric", "paper", "plaster"})


def named(name: str, among: Iterable[Preset] = PRESETS) -> tuple[Preset, Preset | None]:
    """Return the preset of a name, and the one it is printed on in `rainbow+linen`.

    Raises KeyError when there is no such preset, or the second is no surface.
    """
    known = {preset.name: preset for preset in among}
    first, plus, second = name.partition("+")
    surface = known[second] if plus else None
    if surface is not None and surface.family not in SURFACE_FAMILIES:
        raise KeyError(name)
    return known[first], surface
