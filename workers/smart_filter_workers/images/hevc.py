"""How large a picture is coded in HEVC, as HEIC holds it; nothing is decoded.

Source: ITU-T H.265, 7.3 (syntax) and 7.4.1 (emulation prevention); ISO/IEC 14496-15, 8.3.3
(the decoder's set-up, hvcC).
"""

import struct
from collections.abc import Iterator
from typing import Final

from smart_filter_workers.images.items import Bits

_SEQUENCE_PARAMETERS: Final = 33  # of a unit's kinds (7.4.2.2)
# A large picture in small slices has some hundred units.
_MAX_UNITS: Final = 10_000
# What stands before width and height is shorter, by far.
_HEADER_BYTES: Final = 200
_UNIT_HEAD_BYTES: Final = 2
_SETUP: Final = struct.Struct(">21xBB")  # bytes of a unit's length less one; number of arrays
_ARRAY: Final = struct.Struct(">BH")
_WHOLE_CHROMA: Final = 3


def largest_size(setup: bytes, coded: bytes) -> tuple[int, int]:
    """Return the largest width and height that any sequence header says.

    setup: the content of the box hvcC; coded: the picture's own bytes, which may have headers.
    Raises IndexError or struct.error when there is none, or one that is cut.
    """
    sizes = [_size(unit) for unit in (*_in_setup(setup), *_in_picture(setup, coded))]
    if not sizes:
        raise IndexError("nothing tells how large the picture is coded")
    return max(sizes, key=lambda size: size[0] * size[1])


def _in_setup(setup: bytes) -> Iterator[bytes]:
    _, arrays = _SETUP.unpack_from(setup)
    at = _SETUP.size
    for _ in range(arrays):
        _, count = _ARRAY.unpack_from(setup, at)
        at += _ARRAY.size
        for _ in range(min(count, _MAX_UNITS)):
            (length,) = struct.unpack_from(">H", setup, at)
            at += 2
            unit = setup[at : at + length]
            at += length
            if _is_header(unit):
                yield unit


def _in_picture(setup: bytes, coded: bytes) -> Iterator[bytes]:
    length_bytes = (_SETUP.unpack_from(setup)[0] & 3) + 1
    at = 0
    for _ in range(_MAX_UNITS):
        if at >= len(coded):
            return
        length = int.from_bytes(coded[at : at + length_bytes])
        at += length_bytes
        unit = coded[at : min(at + length, at + _HEADER_BYTES)]
        at += length
        if _is_header(unit):
            yield unit
    raise IndexError("more pieces than a picture has")


def _is_header(unit: bytes) -> bool:
    return bool(unit) and unit[0] >> 1 & 63 == _SEQUENCE_PARAMETERS


def _size(unit: bytes) -> tuple[int, int]:
    """Return width and height in pixels. Source: 7.3.2.2.1 and 7.3.3."""
    payload = unit[_UNIT_HEAD_BYTES:_HEADER_BYTES].replace(b"\0\0\3", b"\0\0")
    bits = Bits(payload)
    bits.take(4)
    layers = bits.take(3)
    bits.take(1)
    bits.take(88 + 8)  # the profile, and its level
    present = [(bits.take(1), bits.take(1)) for _ in range(layers)]
    if layers:
        bits.take(2 * (8 - layers))
    for profile, level in present:
        bits.take(88 * profile + 8 * level)
    bits.take_exp_golomb()  # its number
    if bits.take_exp_golomb() == _WHOLE_CHROMA:
        bits.take(1)
    return bits.take_exp_golomb(), bits.take_exp_golomb()
