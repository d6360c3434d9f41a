"""The shadow that people cast onto the background: behind them, or under their feet.

A shadow takes a share of the light. Multiplying gamma-coded levels by f multiplies light by f to
the power of 2.2, whatever the level. So shadows are applied to gamma-coded levels, and `opacity` is
that of black laid over, as in every drawing program.
"""

from typing import Final

import numpy as np

from smart_filter_shared.recipe import Shadow, ShadowKind
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Floats, Srgb8, Srgba8
from smart_filter_workers.stages.composite.look import coarse_grid, contact_shadow

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
_WHOLE: Final = 255


def compute_shadow(
    people: Floats, shadow: Shadow, *, light: float, photo_ends: float = 1.0
) -> Floats | None:
    """Return the share of light that people take from the background; None without a shadow.

    people: (h, w) float32 coverage, 0..1, a small map.  light: its direction, -1 left to 1 right.
    photo_ends: lower end of the photo, as a share of the height.
    Returns (h', w') float32, 0..1, a small map that may be smaller.
    """
    parts = (
        contact_shadow.split_groups(people, photo_ends=photo_ends)
        if shadow.kind != ShadowKind.NONE
        else ()
    )
    if not parts:
        return None
    size_px = parts[0].size_px
    match shadow.kind:
        case ShadowKind.DROP:
            drop = _drop(people, size_px, softness=DROP_SOFTNESS, light=light)
            return drop * np.float32(shadow.opacity)
        case ShadowKind.CONTACT:
            return contact_shadow.compute_shade(parts, opacity=shadow.opacity, light=light)
        case _:
            under = contact_shadow.compute_shade(parts, opacity=AUTO_CONTACT, light=light)
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
    left = np.rint(_WHOLE * (1 - taken)).astype(np.uint8)
    for block in grid.blocks((taken[1:-1, 1:-1] > _SEEN_FROM) & (people < 1)):
        part = ground[block]
        if part.shape[2] > 3:  # noqa: PLR2004 - red, green, blue
            _darken_transparent(part, grid.enlarge_block(taken, block))
        else:
            levels = cv2.cvtColor(grid.enlarge_block(left, block), cv2.COLOR_GRAY2RGB)
            cv2.multiply(part, levels, dst=part, scale=1 / _WHOLE)


def _darken_transparent(part: Srgba8, taken: Floats) -> None:
    """Lay black over a transparent ground.  Source: Porter & Duff 1984, over."""
    alpha = part[..., 3].astype(np.float32) / np.float32(_WHOLE)
    through = alpha * (1 - taken)
    covered = through + taken
    share = through / np.maximum(covered, 1e-6)
    part[..., :3] = part[..., :3] * share[..., np.newaxis] + 0.5
    part[..., 3] = covered * _WHOLE + 0.5


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
