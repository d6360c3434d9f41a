"""Color layout: mean colors of designs by place, known without drawing them.

Drawing all designs takes seconds. So `color_layout.txt` holds, for each design, the mean color and
the spread of colors around it in the cells of a grid over the picture, over several seeds, in
landscape and portrait format. `python -m smart_filter_workers.backgrounds.choice.color_layout`
regenerates it.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files as resources
from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_shared.presets import PRESETS, Preset
from smart_filter_workers.backgrounds import colors, library
from smart_filter_workers.backgrounds.colors import Colors
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Floats, Srgb8

# Cells of the grid: fine enough to distinguish the area behind heads from that behind shoulders.
ROWS: Final = 8
COLUMNS: Final = 6

# Seeds and sizes that the file is made from: with another seed a cell moves by 0.02 in OKLab on
# average (by 0.1 for the three designs of arcs, which may open to either side).
_SEEDS: Final = range(100, 106)
_SIZES: Final = ((240, 160), (144, 192))
_FILE: Final = "color_layout.txt"
# A cell is four bytes: its color in sRGB, and its spread, 255 for one half in OKLab.
_CELL_BYTES: Final = 4
_SPREAD_STEPS: Final = 510


@dataclass(frozen=True, slots=True)
class ColorLayout:
    """The colors of one or several designs by place.

    lab: (..., ROWS, COLUMNS, 3) float32 OKLab, the mean color.  spread: (..., ROWS, COLUMNS)
    float32, the root mean square distance from it, in OKLab.
    """

    lab: Colors
    spread: Floats


def for_preset(preset: Preset) -> ColorLayout:
    """Return a background's layout: its own, or the file's, or one by its palette alone."""
    if preset.impression:
        return _from_hex(preset.impression)
    return _load_file().get(preset.name) or _from_palette(preset)


@functools.lru_cache(maxsize=8)
def for_presets(presets: tuple[Preset, ...]) -> ColorLayout:
    """Return the layouts of designs, stacked along the first axis."""
    layouts = [for_preset(preset) for preset in presets]
    return ColorLayout(
        np.stack([layout.lab for layout in layouts]),
        np.stack([layout.spread for layout in layouts]),
    )


def measure(drawings: Sequence[Srgb8]) -> ColorLayout:
    """Return the common layout of drawings, each (H, W, 3) uint8 of any size."""
    mean = np.zeros((ROWS, COLUMNS, 3), np.float32)
    square = np.zeros((ROWS, COLUMNS, 3), np.float32)
    for srgb in drawings:
        lab = colors.linear_to_oklab(colors.picture_to_linear(srgb))
        mean += _mean_per_cell(lab) / len(drawings)
        square += _mean_per_cell(lab**2) / len(drawings)
    spread = np.sqrt(np.maximum(square - mean**2, 0).sum(axis=-1))
    return ColorLayout(mean, spread.astype(np.float32))


def to_hex(impression: ColorLayout) -> str:
    """Return a layout as hexadecimal digits, the format of the file and of presets."""
    srgb = colors.linear_to_srgb(colors.oklab_to_linear(impression.lab))
    cells = np.dstack([srgb, np.minimum(impression.spread * _SPREAD_STEPS, 255)])
    return np.round(cells).astype(np.uint8).tobytes().hex()


def _mean_per_cell(field: Colors) -> Colors:
    """Return the mean of a picture in each cell of the grid."""
    mean = cv2.resize(field, (COLUMNS, ROWS), interpolation=cv2.INTER_AREA)
    return mean.astype(np.float32, copy=False)


@functools.cache
def _load_file() -> dict[str, ColorLayout]:
    """Return the layouts in the file, by the designs' names."""
    text = resources("smart_filter_workers.backgrounds.choice").joinpath(_FILE).read_text("ascii")
    colors = {}
    for line in text.splitlines():
        name, hex_digits = line.split()
        colors[name] = _from_hex(hex_digits)
    return colors


def _from_hex(text: str) -> ColorLayout:
    levels = np.frombuffer(bytes.fromhex(text), np.uint8).astype(np.float32)
    cells: Colors = levels.reshape(ROWS, COLUMNS, _CELL_BYTES)
    lab = colors.linear_to_oklab(colors.srgb_to_linear(cells[..., :3]))
    return ColorLayout(lab, np.asarray(cells[..., 3] / _SPREAD_STEPS, np.float32))


def _from_palette(preset: Preset) -> ColorLayout:
    """Return a uniform layout with the preset's brightness and its palette's mean color."""
    lab = colors.linear_to_oklab(colors.parse_hex(preset.palette))
    mean = lab.mean(axis=0)
    spread = float(np.sqrt(((lab - mean) ** 2).sum(axis=-1).mean()))
    gray = np.full((1, 3), 255 * preset.brightness, np.float32)
    mean[0] = colors.linear_to_oklab(colors.srgb_to_linear(gray))[0, 0]
    shape = (ROWS, COLUMNS)
    return ColorLayout(
        np.broadcast_to(mean, (*shape, 3)).astype(np.float32), np.full(shape, spread, np.float32)
    )


def _line_of(preset: Preset) -> str:
    """Return a design's line of the file, from drawings with several seeds."""
    impression = measure(
        [
            library.draw_uncached(preset.name, seed=seed, width=width, height=height)
            for seed in _SEEDS
            for width, height in _SIZES
        ]
    )
    return f"{preset.name} {to_hex(impression)}\n"


if __name__ == "__main__":
    Path(__file__).with_name(_FILE).write_text("".join(map(_line_of, PRESETS)), "ascii")
