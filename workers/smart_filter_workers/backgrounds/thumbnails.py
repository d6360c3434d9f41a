"""Thumbnails: what is shown of a background to whoever chooses one.

Those of pictures are made when they are taken in, those of designs are shipped
(`smart_filter_shared.presets.thumbnails`): to draw all takes seconds, and the API draws nothing.
"""

from pathlib import Path
from typing import Final

from smart_filter_shared.presets import PRESETS, Preset, thumbnails
from smart_filter_shared.presets.thumbnails import HEIGHT_PX, WIDTH_PX
from smart_filter_workers import images
from smart_filter_workers.backgrounds import library, uploaded
from smart_filter_workers.images import Manner
from smart_filter_workers.results import Encoded, Srgb8

# Shrunk from so many times the size: grain, which is drawn finer than a pixel of a thumbnail
# shows, would take more bytes than the design.
_DRAWN_LARGER: Final = 3
_SEED: Final = 0
_MANNER: Final = Manner("webp", quality=80, small=True)


def of_picture(srgb: Srgb8) -> Encoded:
    """Return the thumbnail of a background, (H, W, 3) uint8 sRGB: its middle, small."""
    return images.encode(uploaded.cover(srgb, width=WIDTH_PX, height=HEIGHT_PX), _MANNER)


def of_design(preset: Preset) -> Encoded:
    """Draw the thumbnail of a generated background."""
    width, height = _DRAWN_LARGER * WIDTH_PX, _DRAWN_LARGER * HEIGHT_PX
    return of_picture(library.draw_anew(preset.name, seed=_SEED, width=width, height=height))


if __name__ == "__main__":
    folder = Path(thumbnails.__file__).parent
    for old in folder.glob("*.webp"):
        old.unlink()
    for preset in PRESETS:
        (folder / thumbnails.file_name(preset)).write_bytes(of_design(preset).content)
