"""Thumbnails of the generated backgrounds, shipped because the API cannot draw them.

`make thumbnails` draws them again.

Called by api, workers.
Calls nothing.
"""

from importlib.resources import files
from typing import Final

from smart_filter_shared.presets import Preset

# Size of every background's thumbnail, also a picture's.
WIDTH_PX: Final = 240
HEIGHT_PX: Final = 160
MEDIA_TYPE: Final = "image/webp"


def read_thumbnail(preset: Preset) -> bytes:
    """Return the thumbnail of a generated background, a file of MEDIA_TYPE."""
    return files(__name__).joinpath(file_name(preset)).read_bytes()


def file_name(preset: Preset) -> str:
    """Return the name of the thumbnail's file in this folder."""
    return f"{preset.name}.webp"
