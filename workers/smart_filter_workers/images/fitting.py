"""A picture in a file of at most so many bytes: first coarser, then smaller.

How many bytes a quality takes is not known before; but the logarithm of it is nearly straight,
so that a few files are enough to come close. Of a large picture pieces tell: a whole file of it
takes seconds, and is written twice as a rule at most.
"""

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from smart_filter_workers.images.encoding import Manner, encode
from smart_filter_workers.images.sizes import smaller
from smart_filter_workers.results import Encoded, Srgb8

# Below it blocks and smears show in faces: from there on a smaller picture looks better.
LEAST_QUALITY: Final = 40
# Of the bytes allowed: not worth another file to come nearer.
_NEAR: Final = 0.93
_AIM: Final = 0.97
# The same of a large picture, whose pieces tell within a few per cent.
_NEAR_ENOUGH: Final = 0.8
_MOST_TRIALS: Final = 5
_MOST_FILES: Final = 2
# How a step of quality changes the logarithm of the bytes, before it is known better.
_USUAL_SLOPE: Final = 0.03
# Above so many pixels pieces are tried in place of the whole: as many squares each way, of so
# many pixels, a multiple of the formats' blocks.
_WHOLE_PX: Final = 4_000_000
_PIECES, _PIECE_PX = 6, 224


@dataclass(frozen=True, slots=True)
class _Plan:
    """A picture at the size and in the manner that should fit; its file, if that is known."""

    pixels: Srgb8
    manner: Manner
    file: Encoded | None


def fitted(pixels: Srgb8, manner: Manner, *, most_bytes: int) -> Encoded:
    """Encode a picture, (H, W, 3) or (H, W, 4) uint8, in at most so many bytes.

    The quality goes down from the manner's to LEAST_QUALITY; if that is not enough, or there
    is none, as in PNG, the picture shrinks evenly, and its dots are fewer an inch. A file of
    10,000 bytes always holds one.
    Raises ImageTooLarge when a side is above what the format can hold.
    """
    best: Encoded | None = None
    room, files = float(most_bytes), 0
    while True:
        plan = _planned(pixels, manner, room)
        file = plan.file or encode(plan.pixels, plan.manner)
        size, files = len(file.content), files + 1
        if size <= most_bytes:
            if best is None or size > len(best.content):
                best = file
            is_whole = plan.pixels is pixels and file.quality in {None, manner.quality}
            if is_whole or plan.file is not None or size >= _NEAR_ENOUGH * most_bytes:
                return best
        if (best is not None and files >= _MOST_FILES) or max(plan.pixels.shape[:2]) == 1:
            return best or file  # there is nothing less
        # Pieces told so much too little, or too much.
        room *= _AIM * most_bytes / size


def _planned(pixels: Srgb8, manner: Manner, room: float) -> _Plan:
    """Return how the picture should take no more bytes than there is room for.

    The search is for fast encoders, also for slower ones, whose files are smaller.
    """
    sample, share = _sampled(pixels)
    fast = replace(manner, small=False)
    whole = encode(sample, fast)
    if len(whole.content) <= share * room:
        return _plan(pixels, manner, whole, share)
    found = _coarser(sample, fast, whole, share * room)
    if found is not None:
        return _plan(pixels, manner, found, share)
    least = min(manner.quality, LEAST_QUALITY)
    return _shrunk(pixels, replace(manner, quality=least), room, len(whole.content) / share)


def _coarser(pixels: Srgb8, manner: Manner, whole: Encoded, most_bytes: float) -> Encoded | None:
    """Return the finest file that fits; None if none does."""
    if whole.quality is None or whole.quality <= LEAST_QUALITY:
        return None
    fits: Encoded | None = None
    high, high_log = whole.quality, math.log(len(whole.content))
    low, low_log = LEAST_QUALITY - 1, high_log - _USUAL_SLOPE * (high - LEAST_QUALITY + 1)
    aim = math.log(_AIM * most_bytes)
    for _ in range(_MOST_TRIALS):
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
        return fits
    coarsest = encode(pixels, replace(manner, quality=LEAST_QUALITY))
    return coarsest if len(coarsest.content) <= most_bytes else None


def _shrunk(pixels: Srgb8, manner: Manner, room: float, size: float) -> _Plan:
    """Return the picture at about the largest size that fits.

    size: of a file of it as it is, or of a finer one.
    """
    height, width = pixels.shape[:2]
    fits: _Plan | None = None
    scale, fitting, failing = 1.0, 0.0, 1.0
    for trial in range(2 * _MOST_TRIALS):
        # Bytes go with the area, a little slower.
        scale *= math.sqrt(_AIM * room / size)
        if not fitting < scale < failing:
            scale = (fitting + failing) / 2
        scale = max(scale, 1 / max(height, width))
        sized = smaller(
            pixels, width=max(1, round(scale * width)), height=max(1, round(scale * height))
        )
        sample, share = _sampled(sized)
        scaled = manner
        if manner.dots_per_inch is not None:
            scaled = replace(manner, dots_per_inch=max(1, round(scale * manner.dots_per_inch)))
        file = encode(sample, replace(scaled, small=False))
        size = len(file.content) / share
        if size <= room:
            fits, fitting = _plan(sized, scaled, file, share), scale
        else:
            failing = scale
        is_near = fits is not None and (size >= _NEAR * room or trial >= _MOST_TRIALS)
        if is_near or max(sized.shape[:2]) == 1:
            break
    return fits or _plan(sized, scaled, file, share)


def _plan(pixels: Srgb8, manner: Manner, tried: Encoded, share: float) -> _Plan:
    quality = manner.quality if tried.quality is None else tried.quality
    is_whole = share == 1 and not manner.small
    return _Plan(pixels, replace(manner, quality=quality), tried if is_whole else None)


def _sampled(pixels: Srgb8) -> tuple[Srgb8, float]:
    """Return a picture of pieces of a large one, and which share of it they are.

    Pieces keep the grain, which takes most of the bytes; a shrunk one would not.
    """
    height, width = pixels.shape[:2]
    across, down = (min(_PIECES, side // _PIECE_PX) for side in (width, height))
    if height * width <= _WHOLE_PX or not across or not down:
        return pixels, 1.0
    tops, lefts = (
        np.linspace(0, side - _PIECE_PX, pieces).astype(int)
        for side, pieces in ((height, down), (width, across))
    )
    sample = np.vstack(
        [np.hstack([pixels[y : y + _PIECE_PX, x : x + _PIECE_PX] for x in lefts]) for y in tops]
    )
    return sample, sample.shape[0] * sample.shape[1] / (height * width)
