"""Draw the steps of a model to its matte on one sheet."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Srgb8
from smart_filter_workers.stages.segmentation.models.base import Step

CELL_PX: Final = 360
TITLE_PX: Final = 28
GAP_PX: Final = 12
PAPER, INK = (246, 246, 243), (40, 40, 44)


def draw_step_sheet(steps: Sequence[Step]) -> Srgb8:
    """Return (H, W, 3) uint8 sRGB with every step below its title, in reading order."""
    columns = math.ceil(math.sqrt(len(steps)))
    rows = math.ceil(len(steps) / columns)
    width = columns * (CELL_PX + GAP_PX) + GAP_PX
    height = rows * (CELL_PX + TITLE_PX + GAP_PX) + GAP_PX
    paper = np.empty((height, width, 3), np.uint8)
    paper[:] = PAPER
    for number, step in enumerate(steps):
        row, column = divmod(number, columns)
        left = GAP_PX + column * (CELL_PX + GAP_PX)
        top = GAP_PX + row * (CELL_PX + TITLE_PX + GAP_PX)
        title = (left, top + TITLE_PX - 10)
        cv2.putText(paper, step.title, title, cv2.FONT_HERSHEY_SIMPLEX, 0.55, INK, 1, cv2.LINE_AA)
        _draw_step(paper, step, left=left, top=top + TITLE_PX)
    return paper


def _draw_step(paper: Srgb8, step: Step, *, left: int, top: int) -> None:
    """Draw a picture into its cell, shrunk or enlarged to fill it."""
    shown = step.picture
    if shown.ndim == 2:  # noqa: PLR2004 - no color channels
        shown = np.asarray(cv2.cvtColor(shown, cv2.COLOR_GRAY2RGB), dtype=np.uint8)
    height, width = shown.shape[:2]
    scale = CELL_PX / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    small = cv2.resize(shown, size, interpolation=interpolation)
    paper[top : top + size[1], left : left + size[0]] = small
