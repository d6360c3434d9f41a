"""A sheet of photos: what people drew, what a network sees, and where the two differ."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from smart_filter_training.models.unet import evaluate
from smart_filter_training.models.unet.shelves import Shelf
from smart_filter_workers import images
from smart_filter_workers.evaluation import drawing, metrics
from smart_filter_workers.results import Srgb8

Floats = NDArray[np.float32]

SHOWN: Final = 24
_CELL_PX: Final = (180, 240)  # width, height
_ACROSS: Final = 2


def write(file: Path, shelf: Shelf, seen: Sequence[Floats]) -> None:
    """Write a PNG of at most SHOWN photos: the worst half of them, and others spread evenly.

    seen: (S, S) float32, 0..1, of each photo of the shelf.  Each photo is four cells: the photo,
    the truth, the answer, and over the faint photo what is too much and what is missing.
    """
    mattes = [evaluate.matte_of(one, shelf.example(n)) for n, one in enumerate(seen)]
    overlaps = [
        metrics.overlap(matte, shelf.example(n).matte, shelf.example(n).counted)
        for n, matte in enumerate(mattes)
    ]
    worst = [int(number) for number in np.argsort(overlaps)[: SHOWN // 2]]
    others = [number for number in range(len(seen)) if number not in worst]
    chosen = worst + others[:: max(1, len(others) // (SHOWN - len(worst)))]
    rows: list[Srgb8] = []
    for number in chosen[:SHOWN]:
        example = shelf.example(number)
        cells = (
            example.srgb,
            drawing.grey(example.matte),
            drawing.grey(mattes[number]),
            drawing.differing(example.srgb, mattes[number], example.matte, example.counted),
        )
        rows.append(np.hstack([_cell(cell) for cell in cells]))
    rows += [np.zeros_like(rows[0])] * (-len(rows) % _ACROSS)
    lines = [np.hstack(rows[start : start + _ACROSS]) for start in range(0, len(rows), _ACROSS)]
    file.write_bytes(images.encode_png(np.ascontiguousarray(np.vstack(lines))).content)


def _cell(srgb: Srgb8) -> Srgb8:
    width, height = _CELL_PX
    scale = min(width / srgb.shape[1], height / srgb.shape[0])
    size = (max(1, round(srgb.shape[1] * scale)), max(1, round(srgb.shape[0] * scale)))
    cell = np.zeros((height, width, 3), np.uint8)
    cell[: size[1], : size[0]] = cv2.resize(srgb, size, interpolation=cv2.INTER_AREA)
    return cell
