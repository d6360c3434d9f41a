"""The sheet that a background is drawn on: small for smooth parts, then full size.

Soft parts are computed on a small sheet of fixed length and enlarged, so that a design looks the
same at every size and costs a few milliseconds a megapixel. Sharp shapes are drawn on the full
sheet. Both get fine grain at the end, without which gradients show bands.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from smart_filter_workers.backgrounds.colors import Colors
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Floats, Srgb8

# Rows finished at a time: keeps the float copies small and in the cache.
STRIP_ROWS = 64
# Levels. Triangular noise of ±1 is the least that hides 8-bit steps (Lipshitz et al. 1992,
# "Quantization and dither"); a little more survives JPEG at quality 90.
GRAIN_LEVELS = 1.6
_GRAIN_TILE = 256
_MAX_ENLARGEMENT = 8.0


@dataclass(frozen=True, slots=True)
class Camera:
    """The photo's camera, which a place behind the people must share.

    horizon: row of eye level.  floor: row where a wall some steps behind the people meets the
    floor.  Both are shares of the height, beyond 0..1 outside of the picture.
    grain_levels: the photo's noise, in levels.
    """

    horizon: float = 0.42
    floor: float = 0.8
    grain_levels: float = GRAIN_LEVELS


DEFAULT_CAMERA = Camera()


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet to draw on: its size in pixels, its random generators, and the photo's camera.

    random: for the drawing.  grain: only for the grain, which draws more numbers on a larger sheet;
    the drawing must be the same at every size.
    """

    width: int
    height: int
    random: np.random.Generator
    grain: np.random.Generator
    camera: Camera = DEFAULT_CAMERA

    @property
    def reach(self) -> tuple[float, float]:
        """The greatest x and y of `places`: 1 for the shorter side, more for the longer."""
        shorter = min(self.width, self.height)
        return self.width / shorter, self.height / shorter

    def small(self, longest_side: int) -> tuple[int, int]:
        """Return width and height of this sheet's shape at `longest_side`."""
        scale = longest_side / max(self.width, self.height)
        return max(1, round(self.width * scale)), max(1, round(self.height * scale))

    def places(self, longest_side: int) -> tuple[Floats, Floats]:
        """Return x and y of a small sheet's pixels: the shorter side runs from -1 to 1."""
        width, height = self.small(longest_side)
        reach_x, reach_y = self.reach
        x = reach_x * ((2 * np.arange(width, dtype=np.float32) + 1) / np.float32(width) - 1)
        y = reach_y * ((2 * np.arange(height, dtype=np.float32) + 1) / np.float32(height) - 1)
        return np.broadcast_to(x, (height, width)), np.broadcast_to(y[:, None], (height, width))

    def clouds(self, longest_side: int, *, cells: float, octaves: int = 4) -> Floats:
        """Return fractal noise on a small sheet, about -1..1.

        cells: number of bumps along the longer side in the coarsest octave; each further octave has
        twice as many at half the height.
        Source: Perlin 1985, as sums of smoothly interpolated random grids.
        """
        width, height = self.small(longest_side)
        pitch = max(width, height) / cells
        rows, columns = int(height / pitch) + 4, int(width / pitch) + 4
        total = self._random_field(rows, columns)
        for octave in range(1, octaves):
            rows, columns, pitch = 2 * rows, 2 * columns, pitch / 2
            finer = cv2.resize(total, (columns, rows), interpolation=cv2.INTER_CUBIC)
            total = finer + np.float32(0.5**octave) * self._random_field(rows, columns)
        # Shift from the grid's edge by a random share, so that two clouds never line up.
        shift = 2 ** (octaves - 1) * self.random.uniform(1, 2, 2)
        # warpAffine samples at 32nds of a cell: its steps would show if enlarged further.
        drawn = min(_MAX_ENLARGEMENT / pitch, 1)
        size = max(1, round(width * drawn)), max(1, round(height * drawn))
        per_x, per_y = width / size[0] / pitch, height / size[1] / pitch
        matrix = np.array([[per_x, 0, shift[0]], [0, per_y, shift[1]]])
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        enlarged = cv2.warpAffine(total, matrix, size, flags=flags)
        if drawn < 1:
            # Linear interpolation, then the mean over a cell's width, gives a quadratic B-spline.
            # cv2's cubic with its parameter -0.75 ripples along slopes, which silk and marble would
            # show.
            enlarged = cv2.resize(enlarged, (width, height), interpolation=cv2.INTER_LINEAR)
            enlarged = cv2.blur(enlarged, (max(1, round(1 / drawn)),) * 2)
        return enlarged.astype(np.float32, copy=False)

    def _random_field(self, rows: int, columns: int) -> Floats:
        return self.random.random((rows, columns), np.float32) * 2 - 1

    def finish(self, small: Colors) -> Srgb8:
        """Return a small drawing enlarged to the sheet's size, with grain.

        small: (h, w, 3) float32, gamma-coded 0..255.  Returns (height, width, 3) uint8.
        """
        out = np.empty((self.height, self.width, 3), np.uint8)
        for top, strip, grain in self._strips(small):
            cv2.add(strip, grain, dst=out[top : top + len(strip)], dtype=cv2.CV_8U)
        return out

    def shade(self, drawing: Srgb8, light: Floats) -> Srgb8:
        """Return a full-size drawing multiplied by a small light field, with grain; works in place.

        light: (h, w) float32, 1 leaves a color unchanged.
        """
        for top, strip, grain in self._strips(light):
            part = drawing[top : top + len(strip)]
            lit = cv2.cvtColor(strip, cv2.COLOR_GRAY2RGB)
            cv2.multiply(part, lit, dst=lit, dtype=cv2.CV_32F)
            cv2.add(lit, grain, dst=part, dtype=cv2.CV_8U)
        return drawing

    def _strips(self, small: Colors) -> Iterator[tuple[int, Colors, Colors]]:
        """Yield the top row, the enlarged drawing, and grain, strip by strip."""
        # Cubic to about twice the size, then linear by a whole number: at 12 megapixels a mean of
        # 0 to 0.3 levels differs from cubic, which the grain hides. Strips of whole cells join
        # without seams.
        step = round(max(self.width, self.height) / (2 * max(small.shape[:2])))
        step = min(max(1, step), STRIP_ROWS)
        cells = resize_field(small, (-(-self.width // step), -(-self.height // step)))
        tile = self._grain()
        for top in range(0, self.height, STRIP_ROWS // step * step):
            first, end = top // step, min(self.height, top + STRIP_ROWS // step * step)
            above = max(0, first - 1)
            strip = _repeat(cells[above : -(-end // step) + 1], step)
            strip = strip[(first - above) * step :][: end - top, : self.width]
            x, y = self.grain.integers(0, _GRAIN_TILE, 2)
            noise = tile[y : y + end - top, x : x + self.width]
            yield top, strip, np.asarray(cv2.cvtColor(noise, cv2.COLOR_GRAY2RGB), np.float32)

    def _grain(self) -> Floats:
        """Return triangular noise, large enough to be shifted."""
        side = (_GRAIN_TILE, _GRAIN_TILE)
        tile = self.grain.random(side, np.float32) - self.grain.random(side, np.float32)
        tile *= np.float32(self.camera.grain_levels)
        noise = cv2.copyMakeBorder(tile, 0, STRIP_ROWS, 0, self.width, cv2.BORDER_WRAP)
        return noise.astype(np.float32, copy=False)


def resize_field(field: Colors, size: tuple[int, int]) -> Colors:
    """Return a small drawing at another size: cubic if larger, otherwise by area."""
    smaller = size[0] <= field.shape[1] and size[1] <= field.shape[0]
    method = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    out = cv2.resize(field, size, interpolation=method)
    return out.astype(np.float32, copy=False).reshape(size[1], size[0], *field.shape[2:])


def _repeat(cells: Colors, step: int) -> Colors:
    """Return part of a smooth drawing enlarged `step` times, by linear interpolation."""
    if step == 1:
        return cells
    size = step * cells.shape[1], step * cells.shape[0]
    return cv2.resize(cells, size, interpolation=cv2.INTER_LINEAR).astype(np.float32, copy=False)
