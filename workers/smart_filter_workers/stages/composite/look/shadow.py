"""The shadow that people cast onto the background: behind them, or under their feet.

A shadow takes a share of the light. Multiplying gamma-coded levels by f multiplies light by f to
the power of 2.2, whatever the level. So shadows are applied to gamma-coded levels, and `opacity` is
that of black laid over, as in every drawing program.

A person cut off by the lower border of the picture or the photo stands outside of it and casts no
contact shadow.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from smart_filter_shared.recipe import Shadow, ShadowKind
from smart_filter_shared.recipe.framing import TOUCHES_WITHIN
from smart_filter_workers.connected_parts import label_parts, measure_areas
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import WHOLE_LEVEL, Bools, Floats, Srgb8, Srgba8
from smart_filter_workers.stages.composite.look import coarse_grid

# Chosen by looking. All lengths are shares of the subject's size: the root of the area of the box
# around the largest person, or group of persons who touch.
DROP_SOFTNESS: Final = 0.03
# Larger than the softness; otherwise the shadow shows on all sides, as a dark halo.
DROP_DOWN: Final = 0.05
DROP_ASIDE: Final = 0.04  # with the light fully from one side
AUTO_SOFTNESS: Final = 0.06
AUTO_DROP: Final = 0.16
AUTO_CONTACT: Final = 0.85
# Weaker shadows are invisible, less than one level of most colors.
_SEEN_FROM: Final = 0.004

# Chosen by looking. All lengths are shares of the size of one person or touching group. Soles are
# searched up to this height above the lowest one: one foot may be ahead of the other.
SOLE_DEPTH: Final = 0.13
# A part this far above a sole within SIDEWAYS_SHARE, such as a hem, does not touch the ground.
LIFTED_FROM: Final = 0.02
SIDEWAYS_SHARE: Final = 0.035
SOLE_THICKNESS: Final = 0.008
# Parts smaller than this share of the largest are hands and bags.
MIN_GROUP_SHARE: Final = 0.15
HALF: Final = 0.5
# A Gaussian is cut off after this many standard deviations.
_TAIL: Final = 3.0


def compute_shadow(
    people: Floats, shadow: Shadow, *, light: float, photo_ends: float = 1.0
) -> Floats | None:
    """Return the share of light that people take from the background; None without a shadow.

    people: (h, w) float32 coverage, 0..1, a small map.  light: its direction, -1 left to 1 right.
    photo_ends: lower end of the photo, as a share of the height.
    Returns (h', w') float32, 0..1, a small map that may be smaller.
    """
    parts = split_groups(people, photo_ends=photo_ends) if shadow.kind != ShadowKind.NONE else ()
    if not parts:
        return None
    size_px = parts[0].size_px
    match shadow.kind:
        case ShadowKind.DROP:
            drop = _drop(people, size_px, softness=DROP_SOFTNESS, light=light)
            return drop * np.float32(shadow.opacity)
        case ShadowKind.CONTACT:
            return compute_shade(parts, opacity=shadow.opacity, light=light)
        case _:
            under = compute_shade(parts, opacity=AUTO_CONTACT, light=light)
            if under is not None:
                return under
            drop = _drop(people, size_px, softness=AUTO_SOFTNESS, light=light)
            return drop * np.float32(AUTO_DROP)


def darken(ground: Srgb8 | Srgba8, share: Floats, people: Floats) -> None:
    """Take a share of the light from a ground, in place, except behind people.

    ground: (H, W, 3), or (H, W, 4) with straight alpha, which the shadow increases. share: a small
    map of any size, 0..1; people: a map of the ground's grid.
    """
    grid = coarse_grid.make_grid(*ground.shape[:2])
    taken = grid.fit_map(share)
    # Whole levels take half the time of fractions, and change a pixel by two levels at most.
    left = np.rint(WHOLE_LEVEL * (1 - taken)).astype(np.uint8)
    for block in grid.blocks((taken[1:-1, 1:-1] > _SEEN_FROM) & (people < 1)):
        part = ground[block]
        if part.shape[2] > 3:  # noqa: PLR2004 - red, green, blue
            _darken_transparent(part, grid.enlarge_block(taken, block))
        else:
            levels = cv2.cvtColor(grid.enlarge_block(left, block), cv2.COLOR_GRAY2RGB)
            cv2.multiply(part, levels, dst=part, scale=1 / WHOLE_LEVEL)


def _darken_transparent(part: Srgba8, taken: Floats) -> None:
    """Lay black over a transparent ground.  Source: Porter & Duff 1984, over."""
    alpha = part[..., 3].astype(np.float32) / np.float32(WHOLE_LEVEL)
    through = alpha * (1 - taken)
    covered = through + taken
    share = through / np.maximum(covered, 1e-6)
    part[..., :3] = part[..., :3] * share[..., np.newaxis] + 0.5
    part[..., 3] = covered * WHOLE_LEVEL + 0.5


def _drop(people: Floats, size_px: float, *, softness: float, light: float) -> Floats:
    """Return the shadow on a wall behind people, 0..1: their coverage, moved and blurred."""
    soft = coarse_grid.blur_map(people, sigma_px=softness * size_px)
    scale_x, scale_y = soft.shape[1] / people.shape[1], soft.shape[0] / people.shape[0]
    aside, down = -light * DROP_ASIDE * size_px * scale_x, DROP_DOWN * size_px * scale_y
    moved = cv2.warpAffine(
        soft,
        np.array([[1, 0, aside], [0, 1, down]]),
        soft.shape[::-1],
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return moved.astype(np.float32, copy=False)


@dataclass(frozen=True, slots=True)
class ShadowLayer:
    """One layer of the shade: its softness across and down, and the most light that it takes.

    breadth: width of soles from which the layer is strongest.  aside: its shift when the light
    comes fully from one side.
    """

    across: float
    down: float
    most: float
    breadth: float
    aside: float


# The dark line along the soles, the shade of the feet, and the wide pool of the whole body: never
# black together, and dark along the line alone.
LINE_LAYER: Final = ShadowLayer(across=0.012, down=0.008, most=0.6, breadth=0.02, aside=0.0)
SHADE_LAYER: Final = ShadowLayer(across=0.05, down=0.025, most=0.36, breadth=0.08, aside=0.02)
POOL_LAYER: Final = ShadowLayer(across=0.16, down=0.05, most=0.26, breadth=0.2, aside=0.08)


@dataclass(frozen=True, slots=True)
class PersonGroup:
    """One person, or a group of persons who touch.

    inside: (h, w) bool over the whole map.  size_px: the root of the area of its box, or of a
    square as high, which is smaller for a row of persons.  stands: whether it ends above the lower
    borders of picture and photo.
    """

    inside: Bools
    size_px: float
    stands: bool


def split_groups(people: Floats, *, photo_ends: float) -> tuple[PersonGroup, ...]:
    """Return the separate groups of people, the largest first, without tiny ones.

    people: (h, w) float32 coverage, 0..1.  photo_ends: lower end of the photo in the picture, as a
    share of its height.
    """
    labels, count = label_parts(people > HALF)
    areas = measure_areas(labels, count)[1:]
    if not len(areas):
        return ()
    height = people.shape[0]
    lowest = min(photo_ends, 1.0) * height - (TOUCHES_WITHIN * height + 1)
    groups = []
    for number in np.argsort(-areas, kind="stable").tolist():
        if areas[number] < MIN_GROUP_SHARE * areas.max():
            break
        inside = labels == 1 + number
        _, top, across, down = cv2.boundingRect(inside.view(np.uint8))
        size_px = float((min(across, down) * down) ** 0.5)
        groups.append(PersonGroup(inside, size_px, stands=top + down <= lowest))
    return tuple(groups)


def compute_shade(people: Sequence[PersonGroup], *, opacity: float, light: float) -> Floats | None:
    """Return the share of light missing under people's feet; None where no feet are visible.

    light: its direction, -1 left to 1 right.  Returns (h, w) float32, 0..1.
    """
    standing = [part for part in people if part.stands]
    if not standing:
        return None
    left: Floats = np.ones(standing[0].inside.shape, np.float32)
    for part in standing:
        _take(left, part, opacity=opacity, light=light)
    return np.asarray(1 - left, np.float32)


def _take(left: Floats, part: PersonGroup, *, opacity: float, light: float) -> None:
    """Multiply the remaining light by the shade of one group's feet, in place."""
    bottom = _bottom(part)
    size = part.size_px
    # Only the strip around the soles changes.
    margin = round(_TAIL * POOL_LAYER.down * size + SOLE_THICKNESS * size) + 1
    first = max(0, int(bottom.max() - SOLE_DEPTH * size) - margin)
    rows = slice(first, int(bottom.max()) + margin + 1)
    soles = _soles(bottom, size, np.arange(*rows.indices(len(left)), dtype=np.float32))
    for layer in (LINE_LAYER, SHADE_LAYER, POOL_LAYER):
        soft = _soften(soles, size, layer)
        if light and layer.aside:
            shift = np.array([[1.0, 0, -light * layer.aside * size], [0, 1, 0]])
            soft = cv2.warpAffine(soft, shift, soft.shape[::-1]).astype(np.float32, copy=False)
        left[rows] *= 1 - np.float32(opacity * layer.most) * soft


def _bottom(part: PersonGroup) -> Floats:
    """Return the row of the lowest pixel of each column; -1 where there is none."""
    upward = part.inside[::-1]
    lowest = len(upward) - 1 - np.argmax(upward, axis=0)
    return np.where(upward.any(axis=0), lowest, -1).astype(np.float32)


def _soles(bottom: Floats, size: float, rows: Floats) -> Floats:
    """Return a thin line where a group touches the ground: 0..1, in these rows."""
    reach = 2 * round(SIDEWAYS_SHARE * size) + 1
    nearby = cv2.dilate(bottom[None], np.ones((1, reach), np.uint8))[0]
    touches = np.clip(1 - (nearby - bottom) / max(1.0, LIFTED_FROM * size), 0, 1)
    touches *= np.clip(2 - 2 * (bottom.max() - bottom) / max(1.0, SOLE_DEPTH * size), 0, 1)
    touches[bottom < 0] = 0
    half = _thick(size) / 2
    below = rows[:, np.newaxis] - bottom
    return np.asarray(np.where((below <= half) & (below > -half), touches, 0), np.float32)


def _soften(soles: Floats, size: float, layer: ShadowLayer) -> Floats:
    """Return a blurred line of soles, scaled so that the middle of a broad one stays 1."""
    sigma_x, sigma_y = max(0.5, layer.across * size), max(0.5, layer.down * size)
    soft = cv2.GaussianBlur(soles, (0, 0), sigma_x, sigmaY=sigma_y, borderType=cv2.BORDER_CONSTANT)
    # Source: the Gaussian's integral over a thin line of this breadth, at its middle.
    peak = min(1.0, _thick(size) / ((2 * np.pi) ** 0.5 * sigma_y))
    peak *= math.erf(layer.breadth * size / (2 * 2**0.5 * sigma_x))
    return np.asarray(np.minimum(soft / np.float32(peak), 1), np.float32)


def _thick(size: float) -> float:
    return max(1.0, SOLE_THICKNESS * size)
