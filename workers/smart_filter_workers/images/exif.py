"""What a photo's EXIF says, read without trusting any of it.

Source: CIPA DC-008 (EXIF), TIFF 6.0 section 2.
"""

import struct
from typing import Final

PREFIX: Final = b"Exif\x00\x00"

_ORIENTATION_TAG: Final = 0x0112  # CIPA DC-008 4.6.4; its values are 1..8, of kind SHORT
_SHORT: Final = 3
_UPRIGHT: Final = 1


def orientation(exif: bytes) -> int:
    """Return the EXIF orientation, 1..8; 1, upright, when absent or not to be made out."""
    tiff = exif.removeprefix(PREFIX)
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(tiff[:4])
    if order is None:
        return _UPRIGHT
    try:
        (first,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, first)
        for index in range(count):
            tag, kind, _, value = struct.unpack_from(order + "HHIH", tiff, first + 2 + 12 * index)
            if tag == _ORIENTATION_TAG and kind == _SHORT:
                return int(value)
    except struct.error:
        pass  # broken EXIF is no reason to refuse a photo
    return _UPRIGHT
