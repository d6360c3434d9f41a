"""Thumbnails of the generated backgrounds: shipped, because whoever shows them cannot draw.

`make thumbnails` draws them again.
"""

from importlib.resources import files
from typing import Final

from smart_filter_shared.presets.preset import Preset

# Of every background's thumbnail, a picture's too.
WIDTH_PX: Final = 240
HEIGHT_PX: Final = 160
MEDIA_TYPE: Final = "image/webp"


def of(preset: Preset) -> bytes:
    """Return the thumbnail of a generated background, a file of MEDIA_TYPE."""
    return files(__name__).joinpath(file_name(preset)).read_bytes()


def file_name(preset: Preset) -> str:
    """Return what the file beside this one is called."""
    return f"{preset.name}.webp"
