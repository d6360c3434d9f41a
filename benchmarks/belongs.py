"""Measure whether the default cut-out keeps who and what belongs, and nothing else.

SMART_FILTER_EVAL_DATA=FOLDER PYTHONPATH=tests python -m benchmarks.belongs [regions]

`belongs.jsonl` labels regions of 60 photos of the folder, one a line: polygons in thousandths of
width and height, drawn by hand. Persons and held things belong, the rest does not (docs/recipes.md,
"Who and what belongs"). A pixel in several polygons belongs to the last. The polygons are coarse
and hold some of their surroundings, so no row reaches 100 %: compare rows and runs. `regions`
prints a line for each region that is wrong.
"""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.blind_sheets import wilson_interval
from benchmarks.edges_of_photos import VARIABLE, load_segmenter
from smart_filter_shared.config.paths import data_folder
from smart_filter_shared.recipe import Edge, PersonSelection, Recipe
from smart_filter_training.evaluation import dataset_files, prepare_stage
from smart_filter_training.evaluation.base import PreparePhoto
from smart_filter_workers.results import HALF_LEVEL, Bools, Matte8
from smart_filter_workers.stages.composite.cleanup import clean_matte
from smart_filter_workers.stages.composite.edges.edge_learning import EFFORTS, EdgeCache
from smart_filter_workers.stages.composite.models import layers
from smart_filter_workers.stages.segmentation import stage
from smart_filter_workers.stages.segmentation.models.base import Segmenter
from smart_filter_workers.system import resources

REGIONS: Final = Path(__file__).with_name("belongs.jsonl")
SELECTIONS: Final = (PersonSelection.ALL, PersonSelection.MAIN)
BELONGING: Final = ("person", "held")
LABELS: Final = (*BELONGING, "bystander", "furniture", "shadow", "background")
# A region that belongs is right if this share of it is kept, another one if no more than the second
# share is: a smaller scrap shows, too, but coarse polygons overlap people by as much.
MIN_KEPT, MAX_LEFT = 0.5, 0.2
UNITS: Final = 1000


@dataclass(frozen=True, slots=True)
class Region:
    """One labeled region of a photo; the polygon has x and y in thousandths of the sides."""

    photo: str
    label: str
    what: str
    polygon: Sequence[tuple[int, int]]

    def is_right(self, kept: float) -> bool:
        """Return whether a cut-out that keeps this share of the region is right."""
        return kept >= MIN_KEPT if self.label in BELONGING else kept <= MAX_LEFT


def main() -> None:
    """Print the share of each label's regions that is kept, for each selection of persons."""
    resources.limit_native_threads()
    folder, weights = Path(os.environ[VARIABLE]), data_folder() / "weights"
    segmenter = load_segmenter(weights)
    regions = [Region(**json.loads(line)) for line in REGIONS.read_text().splitlines()]
    kept: dict[tuple[str, PersonSelection], list[tuple[Region, float]]] = {}
    with prepare_stage.open_prepare_stage(weights, turning=False) as prepare:
        for photo, group in groupby(regions, key=lambda region: region.photo):
            labeled = list(group)
            for persons, matte in _cut_out(folder / photo, segmenter, prepare):
                masks = draw_regions(labeled, *matte.shape)
                for region, mask in zip(labeled, masks, strict=True):
                    share = float((matte[mask] > HALF_LEVEL).mean())
                    kept.setdefault((region.label, persons), []).append((region, share))
    console = Console(highlight=False, width=110)
    console.print(_make_table(kept))
    if "regions" in sys.argv[1:]:
        for (label, persons), shares in kept.items():
            for region, share in shares:
                if not region.is_right(share):
                    console.print(f"{persons} {label} {region.photo} {region.what}: {share:.0%}")


def draw_regions(regions: Sequence[Region], height: int, width: int) -> list[Bools]:
    """Return an (height, width) bool mask of each region of a photo, without overlap."""
    owners = np.zeros((height, width), np.uint8)
    for number, region in enumerate(regions, start=1):
        corners = np.array(region.polygon) * (width, height) / UNITS
        cv2.fillPoly(owners, [np.rint(corners).astype(np.int32)], number)
    return [owners == number for number in range(1, len(regions) + 1)]


def _cut_out(
    path: Path, segmenter: Segmenter, prepare: PreparePhoto
) -> Iterator[tuple[PersonSelection, Matte8]]:
    """Yield the alpha of a photo's cutout, (H, W) uint8, for each selection of persons."""
    photo = dataset_files.read_photo(path)
    prepared = prepare(photo)
    for persons in SELECTIONS:
        inputs = stage.Inputs(prepared, Recipe(persons=persons))
        (segmented,) = stage.run({"segmentation": segmenter}, [inputs])
        cut = layers.cut_out(
            photo.srgb,
            proxy_srgb=prepared.proxy_srgb,
            matte=clean_matte(segmented, prepared, prepared.proposals).matte,
            faces=prepared.proposals,
            effort=EFFORTS[Edge.BALANCED],
            edges=EdgeCache(),
        )
        yield persons, cut.matte


def _make_table(kept: dict[tuple[str, PersonSelection], list[tuple[Region, float]]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("label", "regions", "persons", "kept, mean", "removed, mean", "right (95 %)"):
        table.add_column(column, no_wrap=True)
    for label in LABELS:
        for persons in SELECTIONS:
            shares = kept[label, persons]
            mean = float(np.mean([share for _, share in shares]))
            right = sum(region.is_right(share) for region, share in shares)
            low, high = wilson_interval(right, len(shares))
            table.add_row(
                label,
                str(len(shares)),
                str(persons),
                f"{mean:.1%}",
                f"{1 - mean:.1%}",
                f"{right} = {right / len(shares):.0%} ({low:.0%} to {high:.0%})",
            )
    return table


if __name__ == "__main__":
    main()
