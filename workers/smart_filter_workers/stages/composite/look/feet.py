"""Where people stand: their lowest parts that end inside the picture, and the shade below.

Somebody whom a lower border cuts off, the picture's or the photo's, stands outside of it and
shades nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.stages.composite.framing import TOUCHES_WITHIN
from smart_filter_workers.stages.composite.matting.blocks import Floats

# Chosen by looking. All lengths are shares of one person's or touching group's size.
# Soles are looked for this far up from the lowest one: one foot stands before the other.
DEEP: Final = 0.13
# What hangs so far above the sole beside it, such as a hem, touches no ground.
LIFTED: Final = 0.02
BESIDE: Final = 0.035
THICK: Final = 0.008
# Smaller parts than this share of the largest are hands and bags.
LEAST_PART: Final = 0.15
HALF: Final = 0.5
# Beyond so many standard deviations a Gaussian is nothing.
_TAIL: Final = 3.0


@dataclass(frozen=True, slots=True)
class Softness:
    """A part of the shade: how soft it is across and down, and how much light it takes at most.

    breadth: soles so wide are wide enough for the most.  aside: how far it moves when the light
    comes wholly from one side.
    """

    across: float
    down: float
    most: float
    breadth: float
    aside: float


# The dark line along the soles, the shade of the feet, and the wide pool of the whole body.
LINE: Final = Softness(across=0.012, down=0.006, most=0.9, breadth=0.02, aside=0.0)
SHADE: Final = Softness(across=0.045, down=0.015, most=0.7, breadth=0.08, aside=0.02)
POOL: Final = Softness(across=0.13, down=0.028, most=0.45, breadth=0.2, aside=0.06)


@dataclass(frozen=True, slots=True)
class Part:
    """One person, or group that touches.

    inside: (h, w) bool of the whole map, true where it is.  size_px: the root of the area of
    its box.  stands: whether it ends above the lower border of picture and photo.
    """

    inside: NDArray[np.bool_]
    size_px: float
    stands: bool


def parts(people: Floats, *, photo_ends: float) -> tuple[Part, ...]:
    """Return who is apart from whom, the largest first, without what is tiny beside it.

    people: (h, w) float32 coverage, 0..1.  photo_ends: how far down the picture, of its height,
    the photo shows anything.
    """
    inside = (people > HALF).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(inside, connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    if not len(areas):
        return ()
    height = people.shape[0]
    lowest = min(photo_ends, 1.0) * height - (TOUCHES_WITHIN * height + 1)
    found = []
    for number in np.argsort(-areas, kind="stable").tolist():
        if areas[number] < LEAST_PART * areas.max():
            break
        _, top, across, down, _ = stats[1 + number].tolist()
        size_px = float((across * down) ** 0.5)
        found.append(Part(labels == 1 + number, size_px, stands=top + down <= lowest))
    return tuple(found)


def shade(people: Sequence[Part], *, opacity: float, light: float) -> Floats | None:
    """Return how much light is missing under people's feet; None where no feet are seen.

    light: where it comes from, -1 left to 1 right.  Returns (h, w) float32, 0..1.
    """
    standing = [part for part in people if part.stands]
    if not standing:
        return None
    left: Floats = np.ones(standing[0].inside.shape, np.float32)
    for part in standing:
        _take(left, part, opacity=opacity, light=light)
    return np.asarray(1 - left, np.float32)


def _take(left: Floats, part: Part, *, opacity: float, light: float) -> None:
    """Take from the light that is left what one person's feet keep away."""
    bottom = _bottom(part)
    size = part.size_px
    # Only the strip around the soles is worked on.
    margin = round(_TAIL * POOL.down * size + THICK * size) + 1
    first = max(0, int(bottom.max() - DEEP * size) - margin)
    rows = slice(first, int(bottom.max()) + margin + 1)
    soles = _soles(bottom, size, np.arange(*rows.indices(len(left)), dtype=np.float32))
    for softness in (LINE, SHADE, POOL):
        soft = _softened(soles, size, softness)
        if light and softness.aside:
            shift = np.array([[1.0, 0, -light * softness.aside * size], [0, 1, 0]])
            soft = cv2.warpAffine(soft, shift, soft.shape[::-1]).astype(np.float32, copy=False)
        left[rows] *= 1 - np.float32(opacity * softness.most) * soft


def _bottom(part: Part) -> NDArray[np.float32]:
    """Return the row of the lowest pixel of each column; -1 where there is none."""
    upward = part.inside[::-1]
    lowest = len(upward) - 1 - np.argmax(upward, axis=0)
    return np.where(upward.any(axis=0), lowest, -1).astype(np.float32)


def _soles(bottom: NDArray[np.float32], size: float, rows: NDArray[np.float32]) -> Floats:
    """Return a thin line where somebody touches the ground: 0..1, in these rows."""
    reach = 2 * round(BESIDE * size) + 1
    beside = cv2.dilate(bottom[None], np.ones((1, reach), np.uint8))[0]
    touches = np.clip(1 - (beside - bottom) / max(1.0, LIFTED * size), 0, 1)
    touches *= np.clip(2 - 2 * (bottom.max() - bottom) / max(1.0, DEEP * size), 0, 1)
    touches[bottom < 0] = 0
    half = _thick(size) / 2
    below = rows[:, np.newaxis] - bottom
    return np.asarray(np.where((below <= half) & (below > -half), touches, 0), np.float32)


def _softened(soles: Floats, size: float, softness: Softness) -> Floats:
    """Blur a line of soles; in the middle of a broad one 1 stays 1."""
    sigma_x, sigma_y = max(0.5, softness.across * size), max(0.5, softness.down * size)
    soft = cv2.GaussianBlur(soles, (0, 0), sigma_x, sigmaY=sigma_y, borderType=cv2.BORDER_CONSTANT)
    # Source: the Gaussian's integral over a thin line of that breadth, at its middle.
    peak = min(1.0, _thick(size) / ((2 * np.pi) ** 0.5 * sigma_y))
    peak *= math.erf(softness.breadth * size / (2 * 2**0.5 * sigma_x))
    return np.asarray(np.minimum(soft / np.float32(peak), 1), np.float32)


def _thick(size: float) -> float:
    return max(1.0, THICK * size)
