"""Bytes to upright sRGB pixels, and pixels to finished files; nothing else decodes or encodes."""

from smart_filter_workers.images.archives import archive
from smart_filter_workers.images.decoding import MAX_PIXELS, decode
from smart_filter_workers.images.encoding import (
    FULL_CHROMA_QUALITY,
    MAX_AVIF_SIDE_PX,
    MAX_JPEG_SIDE_PX,
    MAX_WEBP_SIDE_PX,
    Manner,
    encode,
    encode_avif,
    encode_jpeg,
    encode_png,
    encode_webp,
)
from smart_filter_workers.images.fitting import fitted
from smart_filter_workers.images.masks import decode_mask
from smart_filter_workers.images.sizes import by_area, over_white, shrink, smaller, turned

__all__ = [
    "FULL_CHROMA_QUALITY",
    "MAX_AVIF_SIDE_PX",
    "MAX_JPEG_SIDE_PX",
    "MAX_PIXELS",
    "MAX_WEBP_SIDE_PX",
    "Manner",
    "archive",
    "by_area",
    "decode",
    "decode_mask",
    "encode",
    "encode_avif",
    "encode_jpeg",
    "encode_png",
    "encode_webp",
    "fitted",
    "over_white",
    "shrink",
    "smaller",
    "turned",
]
