"""Find where a photo's content ends: within bars of one color, a region, or transparency."""

from typing import Final

import numpy as np

from smart_filter_shared.recipe import Length
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import HALF_LEVEL, Matte8, Srgb8
from smart_filter_workers.stages.composite.framing import Box

# Levels within which a line of pixels has one color, JPEG's noise included; and from which on the
# next line has another, in at least this share of its pixels: a wall goes on beside a head.
_ONE_COLOR: Final = 14
_OTHER_COLOR: Final = 24
_STEP_SHARE: Final = 0.4
# A bar within a bar, and one around the corner.
_ROUNDS: Final = 3
_SPECKS: Final = 0.01


def find_content(
    photo_srgb: Srgb8,
    proxy_srgb: Srgb8,
    alpha: Matte8 | None,
    roi: tuple[Length, Length, Length, Length] | None,
) -> Box:
    """Return the photo without bars at its borders, what is transparent, and beyond the region.

    photo_srgb: (H, W, 3) uint8; proxy_srgb: (h, w, 3) uint8, the same, no larger.
    alpha: (H, W) uint8.
    """
    height, width = photo_srgb.shape[:2]
    scale_x, scale_y = width / proxy_srgb.shape[1], height / proxy_srgb.shape[0]
    left, top, right, bottom = _trim_bars(proxy_srgb)
    box = (left * scale_x, top * scale_y, right * scale_x, bottom * scale_y)
    limits = [box]
    if alpha is not None:
        x, y, across, down = cv2.boundingRect((alpha >= HALF_LEVEL).view(np.uint8))
        limits.append((x, y, x + across, y + down))
    if roi is not None:
        sides = (width, height) * 2
        limits.append(tuple(each.to_px(side) for each, side in zip(roi, sides, strict=True)))  # type: ignore[arg-type]  # four
    starts, ends = (np.array(limits)[:, columns] for columns in ((0, 1), (2, 3)))
    return Box(*map(float, starts.max(axis=0)), *map(float, ends.min(axis=0)))


def _trim_bars(srgb: Srgb8) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of a picture without bars."""
    box = [0, 0, srgb.shape[1], srgb.shape[0]]
    for _ in range(_ROUNDS):
        inner = srgb[box[1] : box[3], box[0] : box[2]]
        if min(inner.shape[:2]) <= 1:
            break
        across = inner.transpose(1, 0, 2)
        starts = [_count_bar(lines) for lines in (across, inner)]
        ends = [_count_bar(lines[::-1]) for lines in (across, inner)]
        box = [*np.add(box[:2], starts), *np.subtract(box[2:], ends)]
    left, top, right, bottom = map(int, box)
    return left, top, right, bottom


def _count_bar(lines: Srgb8) -> int:
    """Return how many of the first lines are a bar."""
    color = np.median(lines[0], axis=0)
    away = np.abs(lines[: len(lines) // 2].astype(np.int16) - color.astype(np.int16)).max(axis=2)
    is_other = (away > _ONE_COLOR).mean(axis=1) > _SPECKS
    count = int(is_other.argmax()) if is_other.any() else 0
    # The first line after a bar may be a mixture of both.
    after = away[count : count + 3]
    return count if count and (after > _OTHER_COLOR).mean(axis=1).max() > _STEP_SHARE else 0
