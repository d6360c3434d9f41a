"""Measure what one click with the brush takes, of a leftover and of the people next to it.

SMART_FILTER_EVAL_DATA=FOLDER PYTHONPATH=tests python -m benchmarks.clicks [PHOTOS]

The folder is that of benchmarks.edges_of_photos; PHOTOS is the most of it. A simulated user clicks
the middle of each leftover of a matte, then misses it and hits a person next to it, and clicks more
of it until the part is taken. Whole leftovers count from 0.2 % of the photo on, half-transparent
ones from 0.08 %.
"""

import os
import random
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from benchmarks.edges_of_photos import VARIABLE
from benchmarks.stages import open_stages
from smart_filter_shared.config.paths import data_folder
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import Recipe
from smart_filter_workers import images
from smart_filter_workers.connected_parts import label_parts
from smart_filter_workers.results import (
    HALF_LEVEL,
    SEEN_LEVEL,
    Bools,
    Matte8,
    MatteDrawing,
    PreparedPhoto,
    Segmentation,
    Stroke,
)
from smart_filter_workers.stages.composite.apply_corrections import draw_over_matte
from smart_filter_workers.stages.composite.stage import Inputs

# Shares of the people that a click for a leftover should not take.
SOME, MUCH = 0.05, 0.2


# The studio's brush at first, as a share of the photo's longer side, and its growth by a click.
BRUSH_SHARE, GROWTH = 0.043, 2.5
CLICKS: Final = 4
# Masks are polygons: what is this near to one, as a share of the longer side, is no leftover.
NEAR_SHARE: Final = 0.012
# Greatest distance of a miss from the leftover, as a share of the longer side.
MISS_SHARE: Final = 0.02


def find_leftovers(matte: Matte8, truth: Matte8) -> Iterator[tuple[str, Bools]]:
    """Yield the leftovers of a matte, (h, w), each with its kind, `whole` or `half`."""
    side = 2 * round(NEAR_SHARE * max(matte.shape)) + 1
    near = cv2.dilate(truth, np.ones((side, side), np.uint8)) > HALF_LEVEL // 2
    is_half = ((matte > SEEN_LEVEL) & (matte <= HALF_LEVEL)).astype(np.uint8)
    wide = cv2.morphologyEx(is_half, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0
    for kind, mask, least in (("whole", matte > HALF_LEVEL, 0.002), ("half", wide, 0.0008)):
        labels, count = label_parts(mask & ~near)
        for label in range(1, count):
            if np.count_nonzero(labels == label) >= least * matte.size:
                yield kind, labels == label


def click_at(leftover: Bools, people: Bools, *, misses: bool) -> tuple[float, float] | None:
    """Return the middle of a leftover, x and y; with a miss, a place on the people next to it."""
    depth = cv2.distanceTransform(leftover.view(np.uint8), cv2.DIST_L2, 3)
    y, x = np.unravel_index(depth.argmax(), depth.shape)
    if not misses:
        return x + 0.5, y + 0.5
    away = cv2.distanceTransform((~leftover).view(np.uint8), cv2.DIST_L2, 3)
    places = np.argwhere(people & (away <= MISS_SHARE * max(people.shape)) & ~leftover)
    if not len(places):
        return None
    row, column = random.Random(5).choice(places.tolist())
    return column + 0.5, row + 0.5


def measure_photo(
    prepared: PreparedPhoto, segmented: Segmentation, truth: Matte8
) -> Iterator[tuple[str, float, float]]:
    """Yield, per click, its name and the shares of the leftover and of the people that it took."""
    matte = segmented.matte
    people = (truth > HALF_LEVEL) & (matte > HALF_LEVEL)
    for kind, leftover in find_leftovers(matte, truth):
        for misses in (False, True):
            point = click_at(leftover, people, misses=misses)
            if point is None or not people.any():
                continue
            scale = prepared.width / matte.shape[1]
            width = BRUSH_SHARE * max(prepared.width, prepared.height)
            for click in range(CLICKS):
                stroke = Stroke(
                    ((point[0] * scale, point[1] * scale),),
                    keep=False,
                    width=width * GROWTH**click if click < CLICKS - 1 else 0,
                    snap="part",
                )
                drawing = MatteDrawing(strokes=(stroke,))
                after = draw_over_matte(segmented, [drawing], prepared, matte).segmented.matte
                gone = 1 - after[leftover].sum() / matte[leftover].sum()
                lost = 1 - np.count_nonzero(people & (after > HALF_LEVEL)) / people.sum()
                yield f"{kind}{', missed' if misses else ''}, click {click + 1}", gone, lost


def main(folder: Path, most: int) -> None:
    """Print what clicks take, by kind of leftover and by the number of the click."""
    stages = open_stages(data_folder() / "weights")
    taken: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for mask in sorted(folder.glob("*/masks/*.png"))[:most]:
        photo = next((mask.parent.parent / "images").glob(f"{mask.stem}.*"))
        inputs = stages.make_inputs(
            images.decode(photo.read_bytes()), StageName.COMPOSITE, Recipe()
        )
        assert isinstance(inputs, Inputs)
        assert inputs.segmented is not None
        size = inputs.segmented.matte.shape[::-1]
        truth = cv2.resize(
            images.decode_mask(mask.read_bytes()), size, interpolation=cv2.INTER_AREA
        )
        for name, *shares in measure_photo(
            inputs.prepared, inputs.segmented, np.asarray(truth, np.uint8)
        ):
            taken[name].append((shares[0], shares[1]))
    for name, rows in sorted(taken.items()):
        gone, lost = np.array(rows).T
        some, much = (np.count_nonzero(lost > share) for share in (SOME, MUCH))
        print(
            f"{name:<24} {len(rows):>4} leftovers, {np.median(gone):.0%} gone in the median;"
            f" more than {SOME:.0%} of the people: {some}, {MUCH:.0%}: {much}"
        )


if __name__ == "__main__":
    main(Path(os.environ[VARIABLE]), int(sys.argv[1]) if len(sys.argv) > 1 else sys.maxsize)
