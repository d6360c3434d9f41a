"""Thumbnails of backgrounds, for choosing one.

Thumbnails of pictures are made on upload; thumbnails of designs are shipped
(`smart_filter_shared.presets.thumbnails`): drawing all takes seconds, and the API does not draw.
"""

from pathlib import Path
from typing import Final

from smart_filter_shared.presets import PRESETS, Preset, thumbnails
from smart_filter_shared.presets.thumbnails import HEIGHT_PX, WIDTH_PX
from smart_filter_workers import images
from smart_filter_workers.backgrounds import library
from smart_filter_workers.images import EncodingOptions
from smart_filter_workers.results import EncodedFile, Srgb8

# Oversampling factor: grain, which is finer than a thumbnail's pixels, would otherwise take more
# bytes than the design.
_OVERSAMPLING: Final = 3
_SEED: Final = 0
_ENCODING: Final = EncodingOptions("webp", quality=80, small=True)


def from_picture(srgb: Srgb8) -> EncodedFile:
    """Return the thumbnail of a background, (H, W, 3) uint8 sRGB: its middle, shrunk."""
    return images.encode(library.crop_to_cover(srgb, width=WIDTH_PX, height=HEIGHT_PX), _ENCODING)


def from_design(preset: Preset) -> EncodedFile:
    """Return the thumbnail of a generated background."""
    width, height = _OVERSAMPLING * WIDTH_PX, _OVERSAMPLING * HEIGHT_PX
    return from_picture(library.draw_uncached(preset.name, seed=_SEED, width=width, height=height))


if __name__ == "__main__":
    folder = Path(thumbnails.__file__).parent
    for old in folder.glob("*.webp"):
        old.unlink()
    for preset in PRESETS:
        (folder / thumbnails.file_name(preset)).write_bytes(from_design(preset).content)
