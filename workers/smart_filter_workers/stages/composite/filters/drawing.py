"""Draw stickers: filled outlines with relief, lines and shadows on a small square sheet.

Units count from the sheet's middle, 0, 0, with y downward; colors are sRGB levels 0..255.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.opencv import cv2
from smart_filter_workers.stages.composite.filters.tiles import Tile, crop_tile

# (N, 2) float64: points x, y.
Outline: TypeAlias = NDArray[np.float64]
Field: TypeAlias = NDArray[np.float32]
Rgb: TypeAlias = tuple[float, float, float]

# cv2 takes fixed-point coordinates: sixteenths of a pixel, for smooth edges.
_FIXED_POINT_BITS: Final = 4
# Sheets are drawn at least this large, in pixels.
_MIN_SHEET_PX: Final = 512
# Directions of the light, from the upper left toward the viewer, and halfway to the viewer.
_LAMP: Final = np.array([-0.45, -0.6, 0.66], np.float32)
_GLINT: Final = np.array([-0.25, -0.33, 0.91], np.float32)


@dataclass(frozen=True, slots=True)
class Relief:
    """How a filled outline rises from the sheet.

    depth: width of the slope inside its edge, in units; 0 for flat.  gloss: 0 dull to 1 wet.
    """

    depth: float = 0.0
    gloss: float = 0.0


FLAT: Final = Relief()


class StickerSheet:
    """A transparent square sheet; later drawings cover earlier ones."""

    def __init__(self, size: int, reach: float) -> None:
        # Draw small sheets larger and shrink them: shading on a rim of two pixels would be ragged.
        self._shown = size
        size *= max(1, _MIN_SHEET_PX // size)
        self._size = size
        self._reach = reach
        self._scale = size / (2 * reach)
        self._colors = np.zeros((size, size, 3), np.float32)  # premultiplied
        self._alpha = np.zeros((size, size), np.float32)

    def tile(self) -> Tile:
        """Return the drawing as a tile."""
        rgba = np.empty((self._size, self._size, 4), np.uint8)
        rgba[..., :3] = np.clip(self._colors + 0.5, 0, 255)
        rgba[..., 3] = np.clip(255 * self._alpha + 0.5, 0, 255)
        if self._size > self._shown:
            rgba = np.asarray(
                cv2.resize(rgba, (self._shown, self._shown), interpolation=cv2.INTER_AREA), np.uint8
            )
        return crop_tile(rgba, self._reach)

    def fill(
        self,
        outline: Outline,
        color: Rgb | Callable[[Field, Field], Field],
        *,
        relief: Relief = FLAT,
        opacity: float = 1.0,
        within: Outline | None = None,
        soft: float = 0.0,
    ) -> None:
        """Fill an outline.

        color: one color, or a function of x and y, both (h, w) in units, that returns (h, w, 3).
        within: an outline that clips the drawing.  soft: blur of its edge, in units.
        """
        box = self._box(outline, soft)
        if box is None:
            return
        mask = self._mask(outline, box)
        if within is not None:
            mask = mask * self._mask(within, box)
        if soft > 0:
            mask = _blur(mask, soft * self._scale)
        if callable(color):
            painted = color(*self._places(box))
        else:
            painted = np.broadcast_to(np.array(color, np.float32), (*mask.shape, 3))
        if relief.depth > 0:
            painted = _shade_relief(painted, mask, relief, pixels=relief.depth * self._scale)
        painted = np.clip(painted, 0, 255)
        self._lay(painted, mask * np.float32(opacity), box)

    def line(self, places: Outline, width: float, color: Rgb, *, opacity: float = 1.0) -> None:
        """Draw a line of a given width with round ends."""
        for start, end in itertools.pairwise(places):
            length = max(1e-6, float(np.hypot(*(end - start))))
            normal = np.array([start[1] - end[1], end[0] - start[0]]) * (width / 2 / length)
            quad = np.array([start + normal, end + normal, end - normal, start - normal])
            self.fill(quad, color, opacity=opacity)
        for place in places:
            self.fill(ellipse(place[0], place[1], width / 2), color, opacity=opacity)

    def erase(self, outline: Outline) -> None:
        """Erase the drawing inside an outline."""
        box = self._box(outline, 0)
        if box is not None:
            left = 1 - self._mask(outline, box)
            self._colors[box] *= left[..., None]
            self._alpha[box] *= left

    def _box(self, outline: Outline, soft: float) -> tuple[slice, slice] | None:
        """Return the rows and columns that an outline touches, with a margin."""
        pixels = (outline + self._reach) * self._scale
        margin = 2 + 3 * soft * self._scale
        low = np.clip(np.floor(pixels.min(axis=0) - margin), 0, self._size).astype(int)
        high = np.clip(np.ceil(pixels.max(axis=0) + margin), 0, self._size).astype(int)
        if (high <= low).any():
            return None
        return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))

    def _mask(self, outline: Outline, box: tuple[slice, slice]) -> Field:
        rows, columns = box
        mask = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.uint8)
        pixels = (outline + self._reach) * self._scale - 0.5 - (columns.start, rows.start)
        fixed = np.round(pixels * 2**_FIXED_POINT_BITS).astype(np.int32)
        cv2.fillPoly(mask, [fixed], 255, lineType=cv2.LINE_AA, shift=_FIXED_POINT_BITS)
        return np.divide(mask, 255, dtype=np.float32)

    def _places(self, box: tuple[slice, slice]) -> tuple[Field, Field]:
        rows, columns = (
            (np.arange(side.start, side.stop, dtype=np.float32) + 0.5) / self._scale - self._reach
            for side in box
        )
        x, y = np.meshgrid(columns, rows)
        return x.astype(np.float32), y.astype(np.float32)

    def _lay(self, painted: Field, alpha: Field, box: tuple[slice, slice]) -> None:
        through = 1 - alpha
        self._colors[box] = self._colors[box] * through[..., None] + painted * alpha[..., None]
        self._alpha[box] = self._alpha[box] * through + alpha


def ellipse(x: float, y: float, across: float, down: float | None = None) -> Outline:
    """Return an ellipse around x, y with these half axes."""
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    places = np.stack([across * np.cos(angle), (down or across) * np.sin(angle)], axis=1)
    return translate(places, x, y)


def translate(places: Outline, x: float, y: float) -> Outline:
    """Return points moved by x, y."""
    return np.asarray(places + np.array([x, y]))


def rotate(places: Outline, angle: float) -> Outline:
    """Return points turned clockwise about 0, 0 by an angle in radians."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.asarray(places @ np.array([[cos, sin], [-sin, cos]]))


def smooth_curve(corners: Sequence[tuple[float, float]], *, closed: bool = True) -> Outline:
    """Return a smooth curve through points.

    Source: Catmull & Rom 1974, uniform spline.
    """
    points = np.array(corners, float)
    if closed:
        points = np.concatenate([points[-1:], points, points[:2]])
    else:
        points = np.concatenate([points[:1], points, points[-1:]])
    share = np.linspace(0, 1, 12, endpoint=False)[:, None]
    pieces = []
    for before, start, end, after in zip(points, points[1:], points[2:], points[3:], strict=False):
        pieces.append(
            0.5
            * (
                2 * start
                + (end - before) * share
                + (2 * before - 5 * start + 4 * end - after) * share**2
                + (3 * start - before - 3 * end + after) * share**3
            )
        )
    if not closed:
        pieces.append(points[-1:])
    return np.concatenate(pieces)


def star(x: float, y: float, radius: float, *, points: int = 5, inner: float = 0.5) -> Outline:
    """Return a star with one point upward; inner: radius of its notches, as a share of `radius`."""
    angle = np.arange(2 * points) * np.pi / points - np.pi / 2
    length = radius * np.where(np.arange(2 * points) % 2, inner, 1)
    return np.stack([x + length * np.cos(angle), y + length * np.sin(angle)], axis=1)


def heart(x: float, y: float, radius: float) -> Outline:
    """Return a heart about as wide as two radii."""
    turn = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    across = np.sin(turn) ** 3
    down = (
        -(13 * np.cos(turn) - 5 * np.cos(2 * turn) - 2 * np.cos(3 * turn) - np.cos(4 * turn)) / 16
    )
    return np.stack([x + radius * across, y + radius * (down + 0.1)], axis=1)


def value_noise(x: Field | Outline, y: Field | Outline) -> Field:
    """Return smooth noise, about -1 to 1, with one random value per unit of x and y."""
    lattice = np.random.default_rng(8).uniform(-1, 1, (128, 128)).astype(np.float32)
    return np.asarray(
        cv2.remap(
            lattice,
            np.mod(x + 64, 127).astype(np.float32),
            np.mod(y + 64, 127).astype(np.float32),
            cv2.INTER_LINEAR,
        ),
        np.float32,
    )


def _shade_relief(painted: Field, mask: Field, relief: Relief, *, pixels: float) -> Field:
    """Return colors shaded as a shape that is thickest in its middle."""
    height = _blur(mask, pixels / 2) + 0.5 * _blur(mask, pixels)
    slant = np.float32(1.6 * pixels)
    x = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3) / 8 * slant
    y = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3) / 8 * slant
    size = np.sqrt(x * x + y * y + 1)
    facing = (_LAMP[2] - _LAMP[0] * x - _LAMP[1] * y) / size
    lit = painted * (0.62 + 0.58 * np.clip(facing, 0, None))[..., None]
    if relief.gloss > 0:
        mirrored = np.clip((_GLINT[2] - _GLINT[0] * x - _GLINT[1] * y) / size, 0, 1) ** 40
        # A flat area faces the viewer and would shine everywhere.
        mirrored = np.where(size > 1.05, mirrored, 0)  # noqa: PLR2004 - some slant
        lit = lit + 150 * relief.gloss * mirrored[..., None]
    return np.asarray(np.clip(lit, 0, 255), np.float32)


def _blur(field: Field, pixels: float) -> Field:
    """Return a field blurred by a Gaussian of this radius in pixels."""
    if pixels < 0.3:  # noqa: PLR2004 - less is invisible
        return field
    return np.asarray(
        cv2.GaussianBlur(field, (0, 0), pixels, borderType=cv2.BORDER_CONSTANT), np.float32
    )
