"""The sheet that a background is drawn on: a small one for what is smooth, then full size.

Whatever is soft is computed on a small sheet of fixed length and enlarged, so that a design
looks the same at every size and costs a few milliseconds a megapixel; sharp shapes are drawn
on the full sheet. Both end in fine grain, without which gradients show bands.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.backgrounds.colours import Colours
from smart_filter_workers.results import Srgb8

Field = NDArray[np.float32]  # (h, w), any range

# Rows that are finished at a time: keeps the float copies small and in the cache.
STRIP_ROWS = 64
# Levels. Triangular noise of ±1 is the least that hides 8-bit steps (Lipshitz et al. 1992,
# "Quantization and dither"); a little more survives JPEG at quality 90.
GRAIN_LEVELS = 1.6
_GRAIN_TILE = 256
_MOST_ENLARGED = 8.0


@dataclass(frozen=True, slots=True)
class Sheet:
    """What to draw on: size in pixels, and where accidents come from.

    random: for the drawing.  grain: for the grain alone, which takes more of it the larger
    the sheet is: the drawing must be the same at every size.
    """

    width: int
    height: int
    random: np.random.Generator
    grain: np.random.Generator

    @property
    def reach(self) -> tuple[float, float]:
        """The greatest x and y of `places`: 1 for the shorter side, more for the longer."""
        shorter = min(self.width, self.height)
        return self.width / shorter, self.height / shorter

    def small(self, longest_side: int) -> tuple[int, int]:
        """Return width and height of this sheet's shape at `longest_side`."""
        scale = longest_side / max(self.width, self.height)
        return max(1, round(self.width * scale)), max(1, round(self.height * scale))

    def places(self, longest_side: int) -> tuple[Field, Field]:
        """Return x and y of a small sheet's pixels: the shorter side runs from -1 to 1."""
        width, height = self.small(longest_side)
        reach_x, reach_y = self.reach
        x = reach_x * ((2 * np.arange(width, dtype=np.float32) + 1) / np.float32(width) - 1)
        y = reach_y * ((2 * np.arange(height, dtype=np.float32) + 1) / np.float32(height) - 1)
        return np.broadcast_to(x, (height, width)), np.broadcast_to(y[:, None], (height, width))

    def clouds(self, longest_side: int, *, cells: float, octaves: int = 4) -> Field:
        """Return fractal noise on a small sheet, about -1..1.

        cells: how many bumps the longer side has in the coarsest octave; each further octave
        doubles them at half the height.
        Source: Perlin 1985, as sums of smoothly interpolated random grids.
        """
        width, height = self.small(longest_side)
        pitch = max(width, height) / cells
        rows, columns = int(height / pitch) + 4, int(width / pitch) + 4
        total = self._dice(rows, columns)
        for octave in range(1, octaves):
            rows, columns, pitch = 2 * rows, 2 * columns, pitch / 2
            finer = cv2.resize(total, (columns, rows), interpolation=cv2.INTER_CUBIC)
            total = finer + np.float32(0.5**octave) * self._dice(rows, columns)
        # Off the grid's edge by a random share, so that two clouds never line up.
        shift = 2 ** (octaves - 1) * self.random.uniform(1, 2, 2)
        # warpAffine looks up at 32nds of a cell: enlarged more than that, its steps would show.
        drawn = min(_MOST_ENLARGED / pitch, 1)
        size = max(1, round(width * drawn)), max(1, round(height * drawn))
        per_x, per_y = width / size[0] / pitch, height / size[1] / pitch
        matrix = np.array([[per_x, 0, shift[0]], [0, per_y, shift[1]]])
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        enlarged = cv2.warpAffine(total, matrix, size, flags=flags)
        if drawn < 1:
            # Straight lines, then their mean over a cell's width: a quadratic B-spline. cv2's
            # cubic, of parameter -0.75, ripples along slopes, which silk and marble would show.
            enlarged = cv2.resize(enlarged, (width, height), interpolation=cv2.INTER_LINEAR)
            enlarged = cv2.blur(enlarged, (max(1, round(1 / drawn)),) * 2)
        return enlarged.astype(np.float32, copy=False)

    def _dice(self, rows: int, columns: int) -> Field:
        return self.random.random((rows, columns), np.float32) * 2 - 1

    def finish(self, small: Colours) -> Srgb8:
        """Enlarge a small drawing to the sheet's size, with grain.

        small: (h, w, 3) float32, gamma-coded 0..255.  Returns (height, width, 3) uint8.
        """
        out = np.empty((self.height, self.width, 3), np.uint8)
        for top, strip, grain in self._strips(small):
            out[top : top + len(strip)] = cv2.add(strip, grain, dtype=cv2.CV_8U)
        return out

    def shade(self, drawing: Srgb8, light: Field) -> Srgb8:
        """Multiply a full-size drawing by a small field of light, with grain; changes it in place.

        light: (h, w) float32, 1 leaves a colour as it is.
        """
        for top, strip, grain in self._strips(np.dstack([light] * 3)):
            part = drawing[top : top + len(strip)]
            lit = cv2.multiply(part, strip, dtype=cv2.CV_32F)
            cv2.add(lit, grain, dst=part, dtype=cv2.CV_8U)
        return drawing

    def _strips(self, small: Colours) -> Iterator[tuple[int, Colours, Colours]]:
        """Yield the top row, the enlarged drawing, and grain, strip by strip."""
        wide = resized(small, (self.width, len(small)))
        if len(small) >= self.height:  # nothing to enlarge
            wide = resized(wide, (self.width, self.height))
        tile = self._grain()
        ratio = len(wide) / self.height
        for top in range(0, self.height, STRIP_ROWS):
            rows = min(STRIP_ROWS, self.height - top)
            middles = np.arange(top, top + rows, dtype=np.float64) + 0.5
            strip = wide[top : top + rows] if ratio == 1 else _rows_between(wide, ratio * middles)
            left, above = self.grain.integers(0, _GRAIN_TILE, 2)
            yield top, strip, tile[above : above + rows, left : left + self.width]

    def _grain(self) -> Colours:
        """Return triangular noise, the same in all channels, wide enough to be shifted about."""
        side = (_GRAIN_TILE, _GRAIN_TILE)
        tile = self.grain.random(side, np.float32) - self.grain.random(side, np.float32)
        across = -(-self.width // _GRAIN_TILE) + 1
        noise = np.tile(tile * np.float32(GRAIN_LEVELS), (2, across))
        return cv2.merge([noise] * 3).astype(np.float32, copy=False)


def resized(field: Colours, size: tuple[int, int]) -> Colours:
    """Return a small drawing at another width and height: cubic when larger, else by area."""
    smaller = size[0] <= field.shape[1] and size[1] <= field.shape[0]
    method = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    out = cv2.resize(field, size, interpolation=method)
    return out.astype(np.float32, copy=False).reshape(size[1], size[0], *field.shape[2:])


def _rows_between(rows: Colours, at: NDArray[np.float64]) -> Colours:
    """Return rows at fractional places, by Catmull-Rom (straight lines would show creases).

    at: how far below the top edge, in rows; 0.5 is the middle of the first.
    """
    at = at - 0.5
    first = np.floor(at).astype(np.int64)
    t = (at - first).astype(np.float32)
    weights = (
        ((-t + 2) * t - 1) * t / 2,
        ((3 * t - 5) * t * t + 2) / 2,
        ((-3 * t + 4) * t + 1) * t / 2,
        (t - 1) * t * t / 2,
    )
    # Only a few source rows serve a strip: a small matrix product, which BLAS does best.
    low, high = int(first[0]) - 1, int(first[-1]) + 2
    blend = np.zeros((len(at), high - low + 1), np.float32)
    for tap, weight in enumerate(weights):
        blend[np.arange(len(at)), first - 1 - low + tap] += weight
    source = rows[np.clip(np.arange(low, high + 1), 0, len(rows) - 1)]
    mixed = blend @ source.reshape(len(source), -1)
    return mixed.reshape(len(at), *rows.shape[1:])
