"""A picture in a file of at most so many bytes: first coarser, then smaller.

How many bytes a quality takes is not known before; but the logarithm of it is nearly straight,
so that a few files are enough to come close.
"""

import math
from dataclasses import replace
from typing import Final

from smart_filter_workers.images.encoding import Manner, encode
from smart_filter_workers.images.sizes import smaller
from smart_filter_workers.results import Encoded, Srgb8

# Below it blocks and smears show in faces: from there on a smaller picture looks better.
LEAST_QUALITY: Final = 40
# Of the bytes allowed: not worth another file to come nearer.
_NEAR: Final = 0.93
_AIM: Final = 0.97
_MOST_FILES: Final = 5
# How a step of quality changes the logarithm of the bytes, before it is known better.
_USUAL_SLOPE: Final = 0.03


def fitted(pixels: Srgb8, manner: Manner, *, most_bytes: int) -> Encoded:
    """Encode a picture, (H, W, 3) or (H, W, 4) uint8, in at most so many bytes.

    The quality goes down from the manner's to LEAST_QUALITY; if that is not enough, or there
    is none, as in PNG, the picture shrinks evenly, and its dots are fewer an inch. A file of
    10,000 bytes always holds one.
    Raises ImageTooLarge when a side is above what the format can hold.
    """
    height, width = pixels.shape[:2]
    density, scale = manner.dots_per_inch, 1.0
    while True:
        if density is not None:
            manner = replace(manner, dots_per_inch=max(1, round(scale * density)))
        fast = replace(manner, small=False)
        sized = smaller(
            pixels, width=max(1, round(scale * width)), height=max(1, round(scale * height))
        )
        whole = encode(sized, fast)
        if len(whole.content) <= most_bytes:
            return _slower(sized, manner, whole, most_bytes)
        found, least = _coarser(sized, fast, whole, most_bytes)
        if found is not None:
            return _slower(sized, manner, found, most_bytes)
        if max(sized.shape[:2]) == 1:
            return whole  # there is nothing less
        # Bytes go with the area, a little slower.
        scale *= min(0.9, 0.95 * math.sqrt(most_bytes / least))


def _slower(pixels: Srgb8, manner: Manner, fast: Encoded, most_bytes: int) -> Encoded:
    """Return what the manner's slower encoder makes at the quality that was found, if it fits.

    The search is for the fast ones: a slow one would take minutes for a large picture.
    """
    if not manner.small:
        return fast
    quality = manner.quality if fast.quality is None else fast.quality
    slow = encode(pixels, replace(manner, quality=quality))
    return slow if len(slow.content) <= most_bytes else fast


def _coarser(
    pixels: Srgb8, manner: Manner, whole: Encoded, most_bytes: int
) -> tuple[Encoded | None, int]:
    """Return the finest file that fits; None, and how many bytes the coarsest takes, if none."""
    if whole.quality is None or manner.quality <= LEAST_QUALITY:
        return None, len(whole.content)
    fits: Encoded | None = None
    high, high_log = manner.quality, math.log(len(whole.content))
    low, low_log = LEAST_QUALITY - 1, high_log - _USUAL_SLOPE * (high - LEAST_QUALITY + 1)
    aim = math.log(_AIM * most_bytes)
    for _ in range(_MOST_FILES):
        if high - low <= 1:
            break
        guess = low + (high - low) * (aim - low_log) / max(1e-6, high_log - low_log)
        quality = min(high - 1, max(low + 1, math.floor(guess)))
        file = encode(pixels, replace(manner, quality=quality))
        size = len(file.content)
        if size <= most_bytes:
            fits, low, low_log = file, quality, math.log(size)
            if size >= _NEAR * most_bytes:
                break
        else:
            high, high_log = quality, math.log(size)
            if fits is None:
                low_log = high_log - _USUAL_SLOPE * (high - low)
    if fits is not None or high <= LEAST_QUALITY:
        return fits, round(math.exp(high_log))
    coarsest = encode(pixels, replace(manner, quality=LEAST_QUALITY))
    size = len(coarsest.content)
    return (coarsest if size <= most_bytes else None), size
