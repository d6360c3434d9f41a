"""What decoding a picture may take, by its pixels and bytes."""

import io
import struct
from dataclasses import dataclass
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


# Megapixels of a photo that is not large: of most phones (docs/measurements.md).
ORDINARY_MEGAPIXELS: Final = 13.0
# Pixels of a phone's HEIC with all that is decoded for it, for each of its own: a grid counts its
# canvas and its tiles, and a gain map adds a quarter of both.
_ORDINARY_EXPANSION: Final = 3.0


@dataclass(frozen=True, slots=True)
class DecodingCost:
    """What decoding a picture may take.

    limit_seconds: its time limit.  is_large: whether it has more pixels than an ordinary photo,
    or refers to more than one's.
    """

    limit_seconds: float
    is_large: bool


def estimate_cost(content: bytes) -> DecodingCost:
    """Return what a picture may take; its header is read, and no pixel."""
    file = io.BytesIO(content)
    megapixels = expansion = 0.0
    try:
        header = photo_header.read_header(file)
        megapixels = header.width * header.height / 1e6
        if header.format in {PhotoFormat.AVIF, PhotoFormat.HEIC}:
            expansion = heif_items.measure_expansion(file).pixels / 1e6
    except (InvalidInput, heif_items.ItemsRefused, struct.error):
        pass  # the child refuses it at once, and says why
    seconds = _SECONDS_PER_MEGAPIXEL * max(megapixels, expansion)
    seconds += _SECONDS_PER_MEGABYTE * len(content) / 1e6
    return DecodingCost(
        min(_MOST_SECONDS, _BASE_SECONDS + seconds),
        max(megapixels, expansion / _ORDINARY_EXPANSION) > ORDINARY_MEGAPIXELS,
    )
