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


def a_gray_profile() -> bytes:
    """Make a profile for gray pictures with a linear tone curve. Source: ICC.1:2022, 8.3.3."""
    curve = b"curv" + bytes(8)
    return _profile(b"mntr", b"GRAY", b"XYZ ", {b"wtpt": _D50, b"kTRC": curve})


def a_cmyk_profile() -> bytes:
    """Make a profile for CMYK whose ink is gray: lightness 100 without ink, 0 with any full ink.

    Source: ICC.1:2022, 8.4.2 (output profiles) and 10.10 (lut8Type).
    """
    inks, outputs, points = 4, 3, 2
    identity = bytes(range(256))
    corners = b"".join(
        bytes((0 if ink else 255, 128, 128)) for ink in range(points**inks)
    )  # the lightness of each corner; the first has no ink
    unit = b"".join(struct.pack(">i", 65536 * (at % 4 == 0)) for at in range(9))
    table = b"mft1" + bytes(4) + bytes((inks, outputs, points, 0)) + unit
    table += identity * inks + corners + identity * outputs
    return _profile(b"prtr", b"CMYK", b"Lab ", {b"wtpt": _D50, b"A2B0": table})


# The white of the profile connection space (7.2.16), as XYZType.
_D50 = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)


def _profile(kind: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    """Return a profile of version 2.4. Source: ICC.1:2022, 7.2 (header) and 7.3 (tag table)."""
    tags = {b"desc": b"desc" + bytes(4) + struct.pack(">I", 2) + b"x" + bytes(79), **tags}
    at, table, bodies = 128 + 4 + 12 * len(tags), b"", b""
    for name, body in tags.items():
        table += struct.pack(">4sII", name, at + len(bodies), len(body))
        bodies += body + bytes(-len(body) % 4)
    header = bytes(4) + bytes((2, 0x40, 0, 0)) + kind + space + connection + bytes(12) + b"acsp"
    header += bytes(28) + _D50[8:]
    body = header.ljust(124, b"\0") + struct.pack(">I", len(tags)) + table + bodies
    return struct.pack(">I", 4 + len(body)) + body


def with_tag(icc: bytes, name: bytes, body: bytes) -> bytes:
    """Return a profile with one tag more, at its end."""
    (count,) = struct.unpack_from(">I", icc, 128)
    table = bytearray(icc[132 : 132 + 12 * count])
    for at in range(4, len(table), 12):
        struct.pack_into(">I", table, at, struct.unpack_from(">I", table, at)[0] + 12)
    bodies = icc[132 + 12 * count :]
    start = 132 + 12 * (count + 1) + len(bodies)
    table += struct.pack(">4sII", name, start, len(body))
    whole = icc[4:128] + struct.pack(">I", count + 1) + bytes(table) + bodies + body
    return struct.pack(">I", 4 + len(whole)) + whole
