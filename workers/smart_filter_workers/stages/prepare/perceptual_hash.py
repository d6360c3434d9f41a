"""Perceptual hash of a photo: 64 bits that barely change by re-encoding, shrinking or cropping."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.opencv import cv2
from smart_filter_workers.resampling import resize
from smart_filter_workers.results import Srgb8

SIDE_PX: Final = 32
BITS: Final = 64


def compute_perceptual_hash(proxy_srgb: Srgb8) -> int:
    """Return the signs of the photo's 64 longest DCT waves as 64 bits.

    proxy_srgb: (h, w, 3) uint8 sRGB, upright.  Photos of one scene differ in few bits, others in
    half of them: see `smart_filter_shared.albums`.  A sign does not change with brightness.
    Source: Zauner 2010, "Implementation and benchmarking of perceptual image hash functions",
    3.2.1, the DCT hash. Here the bits are signs, which need no median, and the waves are chosen by
    length, because the longest survive cropping best.
    """
    small = resize(proxy_srgb, width=SIDE_PX, height=SIDE_PX)
    waves = cv2.dct(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32))
    bits = waves[_longest_waves()] > 0
    return int.from_bytes(np.packbits(bits).tobytes())


def _longest_waves() -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return rows and columns of the BITS longest waves, without the mean, in a fixed order."""
    rows, columns = np.indices((SIDE_PX, SIDE_PX)).reshape(2, -1)
    order = np.lexsort((rows, rows + columns))[1 : 1 + BITS]
    return rows[order], columns[order]
