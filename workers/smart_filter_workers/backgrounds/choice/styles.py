"""Styles: the designs that `auto` may choose; keywords and names reach all of them."""

from collections.abc import Sequence

from smart_filter_shared.presets import BackgroundSource, Preset, Style


def filter_by_style(presets: Sequence[Preset], style: Style) -> tuple[Preset, ...]:
    """Return the designs of a style, and all pictures, which operators and tenants have chosen.

    `brand` has pictures alone; if they are gone, the designs of `clean`.
    """
    pictures = tuple(preset for preset in presets if preset.source != BackgroundSource.GENERATED)
    if style == Style.BRAND:
        if pictures:
            return pictures
        style = Style.CLEAN
    return (*(preset for preset in presets if preset.style == style), *pictures)
