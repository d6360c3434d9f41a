"""The impression that designs make: mean colours by place, known without drawing them.

To draw all of them takes seconds. So `impressions.txt` holds, for each design, its mean colour and
how far colours spread about it in the cells of a grid over the picture: over several seeds,
lying and standing. `python -m smart_filter_workers.backgrounds.impressions` makes it again.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files as resources
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.presets import PRESETS, Preset
from smart_filter_workers.backgrounds import colours, library
from smart_filter_workers.backgrounds.colours import Colours
from smart_filter_workers.results import Srgb8

# Cells of the grid: fine enough to tell what is behind heads from what is behind shoulders.
ROWS: Final = 8
COLUMNS: Final = 6

# What the file is made from: enough seeds that another one moves a cell by 0.02 in OKLab on
# average (by 0.1 for the three designs of arcs, which may open to either side).
_SEEDS: Final = range(100, 106)
_SIZES: Final = ((240, 160), (144, 192))
_FILE: Final = "impressions.txt"
# A cell is four bytes: its colour in sRGB, and 255 for a spread of one half of OKLab.
_CELL_BYTES: Final = 4
_SPREAD_STEPS: Final = 510


@dataclass(frozen=True, slots=True)
class Impression:
    """One or several designs by place.

    lab: (..., ROWS, COLUMNS, 3) float32 OKLab, the mean colour.  spread: (..., ROWS, COLUMNS)
    float32, the root mean square distance from it, in OKLab.
    """

    lab: Colours
    spread: NDArray[np.float32]


def of(preset: Preset) -> Impression:
    """Return a background's impression: its own, else the file's, else by its palette alone."""
    if preset.impression:
        return _read(preset.impression)
    return _known().get(preset.name) or _by_palette(preset)


@functools.lru_cache(maxsize=8)
def of_all(presets: tuple[Preset, ...]) -> Impression:
    """Return the impressions of designs, one after the other along the first axis."""
    found = [of(preset) for preset in presets]
    return Impression(np.stack([one.lab for one in found]), np.stack([one.spread for one in found]))


def seen_in(drawings: Sequence[Srgb8]) -> Impression:
    """Return the impression of drawings, each (H, W, 3) uint8 of any size, taken together."""
    mean = np.zeros((ROWS, COLUMNS, 3), np.float32)
    square = np.zeros((ROWS, COLUMNS, 3), np.float32)
    for srgb in drawings:
        lab = colours.oklab(colours.light_of(srgb))
        mean += _by_cell(lab) / len(drawings)
        square += _by_cell(lab**2) / len(drawings)
    spread = np.sqrt(np.maximum(square - mean**2, 0).sum(axis=-1))
    return Impression(mean, spread.astype(np.float32))


def written(impression: Impression) -> str:
    """Return an impression as hexadecimal digits, as the file and a preset hold it."""
    srgb = colours.coded(colours.from_oklab(impression.lab))
    cells = np.dstack([srgb, np.minimum(impression.spread * _SPREAD_STEPS, 255)])
    return np.round(cells).astype(np.uint8).tobytes().hex()


def _by_cell(field: Colours) -> Colours:
    """Return the mean of a picture over each cell of the grid."""
    mean = cv2.resize(field, (COLUMNS, ROWS), interpolation=cv2.INTER_AREA)
    return mean.astype(np.float32, copy=False)


@functools.cache
def _known() -> dict[str, Impression]:
    """Return the impressions in the file, by the designs' names."""
    text = resources("smart_filter_workers.backgrounds").joinpath(_FILE).read_text("ascii")
    found = {}
    for line in text.splitlines():
        name, text_of_it = line.split()
        found[name] = _read(text_of_it)
    return found


def _read(text: str) -> Impression:
    levels = np.frombuffer(bytes.fromhex(text), np.uint8).astype(np.float32)
    cells: Colours = levels.reshape(ROWS, COLUMNS, _CELL_BYTES)
    lab = colours.oklab(colours.linear(cells[..., :3]))
    return Impression(lab, np.asarray(cells[..., 3] / _SPREAD_STEPS, np.float32))


def _by_palette(preset: Preset) -> Impression:
    """Return an impression that is the same everywhere: as light as the preset says it is."""
    lab = colours.oklab(colours.read(preset.palette))
    mean = lab.mean(axis=0)
    spread = float(np.sqrt(((lab - mean) ** 2).sum(axis=-1).mean()))
    grey = np.full((1, 3), 255 * preset.brightness, np.float32)
    mean[0] = colours.oklab(colours.linear(grey))[0, 0]
    shape = (ROWS, COLUMNS)
    return Impression(
        np.broadcast_to(mean, (*shape, 3)).astype(np.float32), np.full(shape, spread, np.float32)
    )


def _line_of(preset: Preset) -> str:
    """Draw a design with several seeds and return its line of the file."""
    impression = seen_in(
        [
            library.draw_anew(preset.name, seed=seed, width=width, height=height)
            for seed in _SEEDS
            for width, height in _SIZES
        ]
    )
    return f"{preset.name} {written(impression)}\n"


if __name__ == "__main__":
    Path(__file__).with_name(_FILE).write_text("".join(map(_line_of, PRESETS)), "ascii")
