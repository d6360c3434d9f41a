"""How long a picture may be decoded, by its pixels and bytes."""

import io
import struct
from typing import Final

from smart_filter_shared.errors import InvalidInput
from smart_filter_shared.security import heif_items, photo_header
from smart_filter_shared.security.photo_header import PhotoFormat

# The slowest whole pictures measured, noise in HEIC and AVIF, take 0.09 s of a core for a megapixel
# (docs/measurements.md): a tenth of the rate, which leaves room for slow and busy machines. Bytes
# without pixels, such as metadata, take a few milliseconds for a megabyte. The base is for what a
# busy machine does before the child gets a core: a picture of a megapixel takes 0.02 s.
_BASE_SECONDS: Final = 10.0
_SECONDS_PER_MEGAPIXEL: Final = 0.9
_SECONDS_PER_MEGABYTE: Final = 0.25
# Less than SMART_FILTER_STAGE_SECONDS, at which the worker would end itself.
_MOST_SECONDS: Final = 60.0


def get_limit_seconds(content: bytes) -> float:
    """Return the time limit of a picture; its header is read, and no pixel."""
    file = io.BytesIO(content)
    megapixels = 0.0
    try:
        header = photo_header.read_header(file)
        megapixels = header.width * header.height / 1e6
        if header.format in {PhotoFormat.AVIF, PhotoFormat.HEIC}:
            megapixels = max(megapixels, heif_items.measure_expansion(file).pixels / 1e6)
    except (InvalidInput, heif_items.ItemsRefused, struct.error):
        pass  # the child refuses it at once, and says why
    return min(
        _MOST_SECONDS,
        _BASE_SECONDS
        + _SECONDS_PER_MEGAPIXEL * megapixels
        + _SECONDS_PER_MEGABYTE * len(content) / 1e6,
    )
