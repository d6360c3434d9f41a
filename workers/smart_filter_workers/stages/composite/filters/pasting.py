"""Pasting a small drawing onto a picture: turned, scaled, its edges mixed in."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.results import Point, Srgb8
from smart_filter_workers.stages.composite.models.base import Srgba8

_RGBA: Final = 4
_WHOLE: Final = 255
# Points a side of a tile that tell where it lies, and the share of them that nobody misses.
_SAMPLED: Final = 32
_MISSED_FROM: Final = 0.02


@dataclass(frozen=True, slots=True)
class Tile:
    """What is drawn on a square sheet of `size` pixels and twice `reach` units a side.

    rgba: (h, w, 4) uint8 sRGB, premultiplied with alpha: the part that is drawn on, its upper
    left corner at left, top.
    """

    rgba: NDArray[np.uint8]
    reach: float
    size: int
    left: int = 0
    top: int = 0


def cropped(rgba: NDArray[np.uint8], reach: float) -> Tile:
    """Return the part of a square sheet that is drawn on: empty pixels cost as much as others."""
    left, top, width, height = cv2.boundingRect(rgba[..., 3])
    part = np.ascontiguousarray(rgba[top : top + max(1, height), left : left + max(1, width)])
    return Tile(part, reach, rgba.shape[0], left, top)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a drawing lies: its middle, and what a unit to its right and one downward is.

    All in pixels of the canvas.
    """

    middle: Point
    right: Point
    down: Point

    @property
    def scale(self) -> float:
        """The longer of both units, in pixels."""
        return float(max(np.hypot(*self.right), np.hypot(*self.down)))


def paste(picture: Srgb8 | Srgba8, tile: Tile, place: Place, *, light: float = 1.0) -> bool:
    """Lay a tile on a picture, in place; return whether any of it lies inside.

    picture: (H, W, 3), or (H, W, 4) with straight alpha.  light: what the tile's colours are
    multiplied by, at most 1.
    Source: Porter & Duff 1984, "Compositing digital images", over.
    """
    matrix = _matrix(tile, place)
    rows, columns = tile.rgba.shape[:2]
    corners = matrix[:, :2] @ np.array([[-1, columns, -1, columns], [-1, -1, rows, rows]])
    corners += matrix[:, 2:]
    if not np.isfinite(corners).all():
        return False
    height, width = picture.shape[:2]
    left, top = (int(max(0, np.floor(axis.min()))) for axis in corners)
    right = int(min(width, np.ceil(corners[0].max()) + 1))
    bottom = int(min(height, np.ceil(corners[1].max()) + 1))
    if right <= left or bottom <= top:
        return False
    matrix[:, 2] -= (left, top)
    laid = np.empty((bottom - top, right - left, _RGBA), np.uint8)
    cv2.warpAffine(
        tile.rgba,
        matrix,
        (right - left, bottom - top),
        dst=laid,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
    )
    over(picture[top:bottom, left:right], laid, light=light)
    return True


def borders_crossed(tile: Tile, place: Place, *, width: int, height: int) -> tuple[str, ...]:
    """Return the borders of a picture that cut off some of a tile: left, right, upper, lower."""
    # A fringe of shadow is not missed, nor is a sample of some hundreds of points too few.
    step = max(1, max(tile.rgba.shape[:2]) // _SAMPLED)
    rows, columns = np.nonzero(tile.rgba[::step, ::step, 3] > _WHOLE // 2)
    if not rows.size:
        return ()
    matrix = _matrix(tile, place)
    x, y = matrix[:, :2] @ np.stack([step * columns, step * rows]) + matrix[:, 2:]
    outside = {"left": x < 0, "right": x >= width, "upper": y < 0, "lower": y >= height}
    return tuple(name for name, is_out in outside.items() if is_out.mean() > _MISSED_FROM)


def _matrix(tile: Tile, place: Place) -> NDArray[np.float64]:
    """Return the (2, 3) matrix from pixels of a tile to those of the canvas."""
    unit = 2 * tile.reach / tile.size  # of a pixel of the tile
    # Pixel centres: the sheet's middle lies between the two in its middle.
    matrix = np.array(
        [
            [place.right[0] * unit, place.down[0] * unit, place.middle[0] - 0.5],
            [place.right[1] * unit, place.down[1] * unit, place.middle[1] - 0.5],
        ]
    )
    middle = (tile.size - 1) / 2
    matrix[:, 2] += matrix[:, :2] @ np.array([tile.left - middle, tile.top - middle])
    return matrix


def over(ground: Srgb8 | Srgba8, laid: Srgba8, *, light: float = 1.0) -> None:
    """Lay premultiplied pixels on a part of a picture of their size, in place.

    ground: (h, w, 3), or (h, w, 4) with straight alpha; laid: (h, w, 4), premultiplied.
    """
    if ground.shape[2] == _RGBA:
        _over_some(ground, laid, light)
        return
    alpha = laid[..., 3]
    through = cv2.merge([cv2.bitwise_not(alpha)] * 3)
    colours = _lit(laid, light)
    ground[...] = cv2.add(colours, cv2.multiply(ground, through, scale=1 / _WHOLE))


def _over_some(ground: Srgba8, laid: Srgba8, light: float) -> None:
    # Whole levels all the way: ten times as fast as floats. Colours are off by a level where
    # something shows, and by more only where next to nothing does.
    alpha = laid[..., 3]
    through = cv2.bitwise_not(alpha)
    below = cv2.multiply(ground[..., 3], through, scale=1 / _WHOLE)
    covered = cv2.add(alpha, below)
    colours = cv2.multiply(
        cv2.cvtColor(ground, cv2.COLOR_RGBA2RGB), cv2.merge([below] * 3), scale=1 / _WHOLE
    )
    colours = cv2.add(_lit(laid, light), colours)
    straight = cv2.divide(colours, cv2.merge([covered] * 3), scale=_WHOLE)
    mixed = cv2.merge([*cv2.split(straight), covered])
    cv2.copyTo(mixed, alpha, ground)


def _lit(laid: Srgba8, light: float) -> Srgb8:
    """Return premultiplied colours in so much light."""
    colours = cv2.cvtColor(laid, cv2.COLOR_RGBA2RGB)
    if light < 1:
        colours = cv2.convertScaleAbs(colours, alpha=light)
    return np.asarray(colours, np.uint8)
