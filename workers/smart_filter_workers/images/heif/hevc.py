"""Read the coded size of an HEVC picture in HEIC, without decoding.

Source: ITU-T H.265, 7.3 (syntax) and 7.4.1 (emulation prevention); ISO/IEC 14496-15, 8.3.3
(the decoder's configuration, hvcC).
"""

import struct
from collections.abc import Iterator
from typing import Final

from smart_filter_workers.images.heif.heif_items import BitReader

_SEQUENCE_PARAMETERS: Final = 33  # kind of unit (7.4.2.2)
# A large picture in small slices has a few hundred units.
_MAX_UNITS: Final = 10_000
# The fields before width and height are far shorter.
_HEADER_BYTES: Final = 200
_UNIT_HEAD_BYTES: Final = 2
_SETUP: Final = struct.Struct(">21xBB")  # bytes of a unit's length minus 1; number of arrays
_ARRAY: Final = struct.Struct(">BH")
_CHROMA_444: Final = 3


def largest_size(setup: bytes, coded: bytes) -> tuple[int, int]:
    """Return the largest width and height in any sequence header.

    setup: the content of the box hvcC; coded: the picture's own bytes, which may contain headers.
    Raises IndexError or struct.error when there is none, or one is truncated.
    """
    sizes = [_size(unit) for unit in (*_units_in_setup(setup), *_units_in_picture(setup, coded))]
    if not sizes:
        raise IndexError("it has no sequence header with its coded size")
    return max(sizes, key=lambda size: size[0] * size[1])


def _units_in_setup(setup: bytes) -> Iterator[bytes]:
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


def _units_in_picture(setup: bytes, coded: bytes) -> Iterator[bytes]:
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
    raise IndexError("it has more units than a picture needs")


def _is_header(unit: bytes) -> bool:
    return bool(unit) and unit[0] >> 1 & 63 == _SEQUENCE_PARAMETERS


def _size(unit: bytes) -> tuple[int, int]:
    """Return width and height in pixels. Source: 7.3.2.2.1 and 7.3.3."""
    payload = unit[_UNIT_HEAD_BYTES:_HEADER_BYTES].replace(b"\0\0\3", b"\0\0")
    bits = BitReader(payload)
    bits.take(4)
    layers = bits.take(3)
    bits.take(1)
    bits.take(88 + 8)  # profile and level
    present = [(bits.take(1), bits.take(1)) for _ in range(layers)]
    if layers:
        bits.take(2 * (8 - layers))
    for profile, level in present:
        bits.take(88 * profile + 8 * level)
    bits.take_exp_golomb()  # the parameter set's number
    if bits.take_exp_golomb() == _CHROMA_444:
        bits.take(1)
    return bits.take_exp_golomb(), bits.take_exp_golomb()
