"""Decode bytes to upright sRGB pixels, and encode pixels to files; no other package does either.

Called by artifacts, backgrounds, decoder, deploy, learning, live, stages, stock, training.
Calls shared.
"""

from smart_filter_workers.images.decoding import decode, decode_mask
from smart_filter_workers.images.encoding import (
    FULL_CHROMA_QUALITY,
    MAX_AVIF_SIDE_PX,
    MAX_JPEG_SIDE_PX,
    MAX_WEBP_SIDE_PX,
    EncodingOptions,
    encode,
    encode_avif,
    encode_jpeg,
    encode_png,
    encode_webp,
    make_zip,
)
from smart_filter_workers.images.fit_bytes import encode_to_fit
from smart_filter_workers.resampling import (
    downscale,
    downscale_by_area,
    flatten_on_white,
    rotate_quarter_turns,
)

__all__ = [
    "FULL_CHROMA_QUALITY",
    "MAX_AVIF_SIDE_PX",
    "MAX_JPEG_SIDE_PX",
    "MAX_WEBP_SIDE_PX",
    "EncodingOptions",
    "decode",
    "decode_mask",
    "downscale",
    "downscale_by_area",
    "encode",
    "encode_avif",
    "encode_jpeg",
    "encode_png",
    "encode_to_fit",
    "encode_webp",
    "flatten_on_white",
    "make_zip",
    "rotate_quarter_turns",
]
