"""Color profiles with a visible effect."""

import struct

from PIL import ImageCms


def a_linear_profile() -> bytes:
    """Make a profile with sRGB's primaries and a linear tone curve: colors become brighter."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    (count,) = struct.unpack_from(">I", profile, 128)
    for index in range(count):
        name, at, _ = struct.unpack_from(">4sII", profile, 132 + 12 * index)
        if name in {b"rTRC", b"gTRC", b"bTRC"}:
            profile[at : at + 16] = b"curv" + bytes(4) + struct.pack(">I", 0) + bytes(4)
    return bytes(profile)
