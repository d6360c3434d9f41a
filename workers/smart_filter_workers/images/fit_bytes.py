"""Encode a picture in at most a given number of bytes: at lower quality first, then smaller.

The size at a given quality is not known in advance, but its logarithm is nearly linear in quality,
so a few trial files come close. For a large picture the trials use sampled pieces: a whole file
takes seconds, and is normally written at most twice.
"""

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from smart_filter_workers.images.encoding import EncodingOptions, encode
from smart_filter_workers.resampling import downscale
from smart_filter_workers.results import EncodedFile, Srgb8

# Below this quality blocks and smears show in faces, and a smaller picture looks better.
MIN_QUALITY: Final = 40
# Share of the allowed bytes from which another trial is not worthwhile.
_CLOSE_SHARE: Final = 0.93
_TARGET_SHARE: Final = 0.97
# The same for a large picture, whose pieces predict the size within a few percent.
_SAMPLED_CLOSE_SHARE: Final = 0.8
_MAX_TRIALS: Final = 5
_MAX_FILES: Final = 2
# Assumed change of the logarithm of bytes per step of quality, before it is measured.
_USUAL_SLOPE: Final = 0.03
# Above this many pixels, trials use a grid of pieces instead of the whole picture: _PIECES along
# each side, _PIECE_PX square, a multiple of the formats' blocks.
_MAX_WHOLE_PX: Final = 4_000_000
_PIECES, _PIECE_PX = 6, 224


@dataclass(frozen=True, slots=True)
class _Plan:
    """A picture with the size and options that should fit, and its file if already encoded."""

    pixels: Srgb8
    manner: EncodingOptions
    file: EncodedFile | None


def encode_to_fit(pixels: Srgb8, manner: EncodingOptions, *, most_bytes: int) -> EncodedFile:
    """Return a file of a picture, (H, W, 3) or (H, W, 4) uint8, within a number of bytes.

    The quality is reduced from the given one to MIN_QUALITY. If that is not enough, or the format
    has no quality, like PNG, the picture is scaled down and its dots per inch are reduced. Any
    picture fits into 10,000 bytes.
    Raises ImageTooLarge when a side is above what the format can hold.
    """
    best: EncodedFile | None = None
    budget_bytes, files = float(most_bytes), 0
    while True:
        plan = _plan_encoding(pixels, manner, budget_bytes)
        file = plan.file or encode(plan.pixels, plan.manner)
        size, files = len(file.content), files + 1
        if size <= most_bytes:
            if best is None or size > len(best.content):
                best = file
            is_whole = plan.pixels is pixels and file.quality in {None, manner.quality}
            if is_whole or plan.file is not None or size >= _SAMPLED_CLOSE_SHARE * most_bytes:
                return best
        if (best is not None and files >= _MAX_FILES) or max(plan.pixels.shape[:2]) == 1:
            return best or file  # it cannot get smaller
        # Correct the target by the error of the pieces' prediction.
        budget_bytes *= _TARGET_SHARE * most_bytes / size


def _plan_encoding(pixels: Srgb8, manner: EncodingOptions, budget_bytes: float) -> _Plan:
    """Return the size and options at which the picture should fit into `budget_bytes` bytes.

    The search uses fast encoders, even if the final one is slower and makes smaller files.
    """
    sample, share = _sample_tiles(pixels)
    fast = replace(manner, small=False)
    whole = encode(sample, fast)
    if len(whole.content) <= share * budget_bytes:
        return _plan(pixels, manner, whole, share)
    quality = _lower_quality(sample, fast, whole, share * budget_bytes)
    if quality is not None:
        return _plan(pixels, manner, quality, share)
    least = min(manner.quality, MIN_QUALITY)
    return _shrink_to_fit(
        pixels, replace(manner, quality=least), budget_bytes, len(whole.content) / share
    )


def _lower_quality(
    pixels: Srgb8, manner: EncodingOptions, whole: EncodedFile, most_bytes: float
) -> EncodedFile | None:
    """Return the file of highest quality that fits; None if none does."""
    if whole.quality is None or whole.quality <= MIN_QUALITY:
        return None
    fits: EncodedFile | None = None
    high, high_log = whole.quality, math.log(len(whole.content))
    low, low_log = MIN_QUALITY - 1, high_log - _USUAL_SLOPE * (high - MIN_QUALITY + 1)
    aim = math.log(_TARGET_SHARE * most_bytes)
    for _ in range(_MAX_TRIALS):
        if high - low <= 1:
            break
        guess = low + (high - low) * (aim - low_log) / max(1e-6, high_log - low_log)
        quality = min(high - 1, max(low + 1, math.floor(guess)))
        file = encode(pixels, replace(manner, quality=quality))
        size = len(file.content)
        if size <= most_bytes:
            fits, low, low_log = file, quality, math.log(size)
            if size >= _CLOSE_SHARE * most_bytes:
                break
        else:
            high, high_log = quality, math.log(size)
            if fits is None:
                low_log = high_log - _USUAL_SLOPE * (high - low)
    if fits is not None or high <= MIN_QUALITY:
        return fits
    coarsest = encode(pixels, replace(manner, quality=MIN_QUALITY))
    return coarsest if len(coarsest.content) <= most_bytes else None


def _shrink_to_fit(
    pixels: Srgb8, manner: EncodingOptions, budget_bytes: float, size: float
) -> _Plan:
    """Return the plan with about the largest size that fits.

    size: bytes of its file unscaled, or at a higher quality.
    """
    height, width = pixels.shape[:2]
    fits: _Plan | None = None
    scale, fitting, failing = 1.0, 0.0, 1.0
    for trial in range(2 * _MAX_TRIALS):
        # Bytes grow with the area, a little more slowly.
        scale *= math.sqrt(_TARGET_SHARE * budget_bytes / size)
        if not fitting < scale < failing:
            scale = (fitting + failing) / 2
        scale = max(scale, 1 / max(height, width))
        sized = downscale(
            pixels, width=max(1, round(scale * width)), height=max(1, round(scale * height))
        )
        sample, share = _sample_tiles(sized)
        scaled = manner
        if manner.dots_per_inch is not None:
            scaled = replace(manner, dots_per_inch=max(1, round(scale * manner.dots_per_inch)))
        file = encode(sample, replace(scaled, small=False))
        size = len(file.content) / share
        if size <= budget_bytes:
            fits, fitting = _plan(sized, scaled, file, share), scale
        else:
            failing = scale
        is_near = fits is not None and (size >= _CLOSE_SHARE * budget_bytes or trial >= _MAX_TRIALS)
        if is_near or max(sized.shape[:2]) == 1:
            break
    return fits or _plan(sized, scaled, file, share)


def _plan(pixels: Srgb8, manner: EncodingOptions, tried: EncodedFile, share: float) -> _Plan:
    quality = manner.quality if tried.quality is None else tried.quality
    is_whole = share == 1 and not manner.small
    return _Plan(pixels, replace(manner, quality=quality), tried if is_whole else None)


def _sample_tiles(pixels: Srgb8) -> tuple[Srgb8, float]:
    """Return a picture of sampled pieces of a large one, and their share of its pixels.

    Pieces keep the grain, which takes most of the bytes; a shrunk picture would lose it.
    """
    height, width = pixels.shape[:2]
    across, down = (min(_PIECES, side // _PIECE_PX) for side in (width, height))
    if height * width <= _MAX_WHOLE_PX or not across or not down:
        return pixels, 1.0
    tops, lefts = (
        np.linspace(0, side - _PIECE_PX, pieces).astype(int)
        for side, pieces in ((height, down), (width, across))
    )
    sample = np.vstack(
        [np.hstack([pixels[y : y + _PIECE_PX, x : x + _PIECE_PX] for x in lefts]) for y in tops]
    )
    return sample, sample.shape[0] * sample.shape[1] / (height * width)
