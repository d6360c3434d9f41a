"""Woven cloth seen from near: threads over and under each other, no two alike.

palette: between the threads, and on them.  twill: 1 when threads pass over two, so that the
weave runs aslant.  coarse: 1 for sackcloth.
"""

import numpy as np

from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import colours
from smart_filter_workers.backgrounds.shapes import step
from smart_filter_workers.backgrounds.sheet import Field, Sheet
from smart_filter_workers.results import Srgb8

SMALL = 860
PITCH_PX = 5.0  # of the threads, on the small sheet
COARSE_PITCH_PX = 8.2
DEPTH = 0.16  # how much darker it is between threads, for a texture on something else


def draw(preset: Preset, sheet: Sheet) -> Srgb8:
    """Draw the preset; (height, width, 3) uint8 sRGB."""
    palette = colours.read(preset.palette)
    woven = _woven(preset, sheet)
    # Cloth hangs in slow folds.
    folds = sheet.clouds(SMALL, cells=2, octaves=2)
    return sheet.finish(
        colours.ramp(palette, np.asarray(0.62 * woven + 0.2 + 0.12 * folds, np.float32))
    )


def texture(preset: Preset, sheet: Sheet) -> Field:
    """Return the light that the cloth's weave leaves on what is printed on it, about 1."""
    return np.asarray(1 + DEPTH * (_woven(preset, sheet) - 0.62), np.float32)


def _woven(preset: Preset, sheet: Sheet) -> Field:
    """Return how high the cloth is, 0..1."""
    pitch = COARSE_PITCH_PX if preset.parameters.get("coarse") else PITCH_PX
    width, height = sheet.small(SMALL)
    across, warp = _threads(sheet, width, height, pitch)
    down, weft = _threads(sheet, height, width, pitch)
    # In the order of memory: numpy is slow at arrays that lie the other way.
    down, weft = (np.ascontiguousarray(field.T) for field in (down, weft))
    over = np.floor(across).astype(np.int32) + np.floor(down).astype(np.int32)
    warp_is_up = (over % 4 < 2) if preset.parameters.get("twill") else (over % 2 == 0)  # noqa: PLR2004 - over two, under two
    # The thread below shows at the edges of the one above.
    high = np.where(warp_is_up, np.maximum(warp, weft - 0.45), np.maximum(weft, warp - 0.45))
    return np.asarray(np.clip(high, 0, 1), np.float32)


def _threads(sheet: Sheet, width: int, height: int, pitch: float) -> tuple[Field, Field]:
    """Return for each pixel the thread it lies on (its number and how far across), and its height.

    Threads run downwards, bend a little, and are here thick and there thin.
    """
    count = int(width / pitch) + 6
    bends = _stretched(sheet, height, count, every=90)
    knots = _stretched(sheet, height, count, every=26)
    at = np.broadcast_to(
        np.arange(width, dtype=np.float32) / np.float32(pitch) + 2, (height, width)
    )
    columns = np.clip(at[0].astype(np.int32), 0, count - 1)
    at = at + 0.22 * np.take(bends, columns, axis=1)
    round_ = 1 - (2 * (at - np.floor(at)) - 1) ** 2
    thickness = 0.8 + 0.28 * np.take(knots, columns, axis=1)
    return at, np.asarray(step(round_ * 1.15) * thickness, np.float32)


def _stretched(sheet: Sheet, length: int, count: int, *, every: int) -> Field:
    """Return noise, -1..1, of so many threads along their length; (length, count)."""
    knots = sheet.random.uniform(-1, 1, (int(length / every) + 3, count)).astype(np.float32)
    at = np.arange(length, dtype=np.float32) / every
    below = at.astype(np.int32)
    share = step(np.asarray(at - below, np.float32))[:, None]
    return np.asarray(knots[below] * (1 - share) + knots[below + 1] * share, np.float32)
