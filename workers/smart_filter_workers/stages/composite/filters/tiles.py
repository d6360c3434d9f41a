"""Paste a small drawing onto a picture: turned, scaled and blended."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.results import Point
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Srgb8, Srgba8

_RGBA: Final = 4
_WHOLE: Final = 255
# Points sampled along a side of a tile to find its borders, and the share of them that may be cut
# off unreported.
_SAMPLES_PER_SIDE: Final = 32
_MISSED_FROM: Final = 0.02


@dataclass(frozen=True, slots=True)
class Tile:
    """A drawing on a square sheet of `size` pixels and twice `reach` units a side.

    rgba: (h, w, 4) uint8 sRGB, premultiplied with alpha: the drawn part of the sheet, with its
    upper left corner at left, top.
    """

    rgba: NDArray[np.uint8]
    reach: float
    size: int
    left: int = 0
    top: int = 0


def crop_tile(rgba: NDArray[np.uint8], reach: float) -> Tile:
    """Return the drawn part of a square sheet: empty pixels cost as much to paste as others."""
    left, top, width, height = cv2.boundingRect(rgba[..., 3])
    part = np.ascontiguousarray(rgba[top : top + max(1, height), left : left + max(1, width)])
    return Tile(part, reach, rgba.shape[0], left, top)


@dataclass(frozen=True, slots=True)
class TilePlacement:
    """Position of a drawing: its middle, and the vectors of one unit right and one unit down.

    All in pixels of the canvas.
    """

    middle: Point
    right: Point
    down: Point

    @property
    def scale(self) -> float:
        """The length of the longer unit vector, in pixels."""
        return float(max(np.hypot(*self.right), np.hypot(*self.down)))


def paste(picture: Srgb8 | Srgba8, tile: Tile, place: TilePlacement, *, light: float = 1.0) -> bool:
    """Paste a tile on a picture, in place; return whether any of it is inside.

    picture: (H, W, 3), or (H, W, 4) with straight alpha.  light: factor of the tile's colors, at
    most 1.
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
    composite_over(picture[top:bottom, left:right], laid, light=light)
    return True


def borders_crossed(
    tile: Tile, place: TilePlacement, *, width: int, height: int
) -> tuple[str, ...]:
    """Return the borders of a picture that cut off part of a tile: left, right, upper, lower."""
    # A cut fringe of shadow does not count, and a few hundred sampled points are enough.
    step = max(1, max(tile.rgba.shape[:2]) // _SAMPLES_PER_SIDE)
    rows, columns = np.nonzero(tile.rgba[::step, ::step, 3] > _WHOLE // 2)
    if not rows.size:
        return ()
    matrix = _matrix(tile, place)
    x, y = matrix[:, :2] @ np.stack([step * columns, step * rows]) + matrix[:, 2:]
    outside = {"left": x < 0, "right": x >= width, "upper": y < 0, "lower": y >= height}
    return tuple(name for name, is_out in outside.items() if is_out.mean() > _MISSED_FROM)


def _matrix(tile: Tile, place: TilePlacement) -> NDArray[np.float64]:
    """Return the (2, 3) matrix from pixels of a tile to those of the canvas."""
    unit = 2 * tile.reach / tile.size  # units per pixel of the tile
    # Pixel centers: the sheet's middle is between its two middle pixels.
    matrix = np.array(
        [
            [place.right[0] * unit, place.down[0] * unit, place.middle[0] - 0.5],
            [place.right[1] * unit, place.down[1] * unit, place.middle[1] - 0.5],
        ]
    )
    middle = (tile.size - 1) / 2
    matrix[:, 2] += matrix[:, :2] @ np.array([tile.left - middle, tile.top - middle])
    return matrix


def composite_over(ground: Srgb8 | Srgba8, laid: Srgba8, *, light: float = 1.0) -> None:
    """Composite premultiplied pixels over a part of a picture of the same size, in place.

    ground: (h, w, 3), or (h, w, 4) with straight alpha; laid: (h, w, 4), premultiplied.
    """
    if ground.shape[2] == _RGBA:
        _composite_over_transparent(ground, laid, light)
        return
    alpha = laid[..., 3]
    through = cv2.merge([cv2.bitwise_not(alpha)] * 3)
    colors = _apply_light(laid, light)
    ground[...] = cv2.add(colors, cv2.multiply(ground, through, scale=1 / _WHOLE))


def _composite_over_transparent(ground: Srgba8, laid: Srgba8, light: float) -> None:
    # Whole levels throughout: ten times as fast as floats. Colors are off by one level where pixels
    # are visible, and by more only where they are almost transparent.
    alpha = laid[..., 3]
    through = cv2.bitwise_not(alpha)
    below = cv2.multiply(ground[..., 3], through, scale=1 / _WHOLE)
    covered = cv2.add(alpha, below)
    colors = cv2.multiply(
        cv2.cvtColor(ground, cv2.COLOR_RGBA2RGB), cv2.merge([below] * 3), scale=1 / _WHOLE
    )
    colors = cv2.add(_apply_light(laid, light), colors)
    straight = cv2.divide(colors, cv2.merge([covered] * 3), scale=_WHOLE)
    mixed = cv2.merge([*cv2.split(straight), covered])
    cv2.copyTo(mixed, alpha, ground)


def _apply_light(laid: Srgba8, light: float) -> Srgb8:
    """Return premultiplied colors multiplied by a light level."""
    colors = cv2.cvtColor(laid, cv2.COLOR_RGBA2RGB)
    if light < 1:
        colors = cv2.convertScaleAbs(colors, alpha=light)
    return np.asarray(colors, np.uint8)
