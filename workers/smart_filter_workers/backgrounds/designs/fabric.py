"""Woven cloth from nearby: threads over and under each other, no two alike.

palette: between the threads, and on them.  twill: 1 for threads that pass over two, so that the
weave is diagonal.  coarse: 1 for sackcloth.
"""

import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import colors
from smart_filter_workers.backgrounds.shapes import smoothstep
from smart_filter_workers.backgrounds.sheet import Field, Sheet
from smart_filter_workers.results import Srgb8

SMALL_SIDE_PX = 860
PITCH_PX = 5.0  # of the threads, on the small sheet
COARSE_PITCH_PX = 8.2
DEPTH = 0.16  # darkening between threads when used as the texture of another design


def draw(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw the preset; (height, width, 3) uint8 sRGB."""
    palette = colors.parse_hex(preset.palette)
    woven = _weave_height(preset, sheet)
    # Cloth hangs in slow folds.
    folds = sheet.clouds(SMALL_SIDE_PX, cells=2, octaves=2)
    return sheet.finish(
        colors.ramp(palette, np.asarray(0.62 * woven + 0.2 + 0.12 * folds, np.float32))
    )


def texture(preset: Preset, sheet: Sheet) -> Field:
    """Return the factor, about 1, of the weave's relief on the light of a print."""
    return np.asarray(1 + DEPTH * (_weave_height(preset, sheet) - 0.62), np.float32)


def _weave_height(preset: Preset, sheet: Sheet) -> Field:
    """Return the height of the cloth, 0..1."""
    pitch = COARSE_PITCH_PX if preset.parameters.get("coarse") else PITCH_PX
    width, height = sheet.small(SMALL_SIDE_PX)
    across, warp = _threads(sheet, width, height, pitch)
    down, weft = _threads(sheet, height, width, pitch)
    # Copy to row order: numpy is slow on transposed arrays.
    down, weft = (np.ascontiguousarray(field.T) for field in (down, weft))
    over = np.floor(across).astype(np.int32) + np.floor(down).astype(np.int32)
    warp_is_up = (over % 4 < 2) if preset.parameters.get("twill") else (over % 2 == 0)  # noqa: PLR2004 - over two, under two
    # The lower thread shows at the edges of the upper one.
    high = np.where(warp_is_up, np.maximum(warp, weft - 0.45), np.maximum(weft, warp - 0.45))
    return np.asarray(np.clip(high, 0, 1), np.float32)


def _threads(sheet: Sheet, width: int, height: int, pitch: float) -> tuple[Field, Field]:
    """Return for each pixel its position across the threads, in threads, and the thread's height.

    Threads run downward, bend a little, and vary in thickness.
    """
    count = int(width / pitch) + 6
    bends = _stretched_noise(sheet, height, count, every=90)
    knots = _stretched_noise(sheet, height, count, every=26)
    at = np.broadcast_to(
        np.arange(width, dtype=np.float32) / np.float32(pitch) + 2, (height, width)
    )
    columns = np.clip(at[0].astype(np.int32), 0, count - 1)
    at = at + 0.22 * np.take(bends, columns, axis=1)
    round_ = 1 - (2 * (at - np.floor(at)) - 1) ** 2
    thickness = 0.8 + 0.28 * np.take(knots, columns, axis=1)
    return at, np.asarray(smoothstep(round_ * 1.15) * thickness, np.float32)


def _stretched_noise(sheet: Sheet, length: int, count: int, *, every: int) -> Field:
    """Return noise, -1..1, along each of `count` threads; (length, count)."""
    knots = sheet.random.uniform(-1, 1, (int(length / every) + 3, count)).astype(np.float32)
    at = np.arange(length, dtype=np.float32) / every
    below = at.astype(np.int32)
    share = smoothstep(np.asarray(at - below, np.float32))[:, None]
    return np.asarray(knots[below] * (1 - share) + knots[below + 1] * share, np.float32)
