"""Measure how many of the things that people hold and wear are whole, absent or half in the matte.

SMART_FILTER_EVAL_DATA=TRAIN PYTHONPATH=tests python -m benchmarks.attached [balanced|best]

TRAIN holds photos, seg/images and portrait/images with masks of people. `attached_things.json`
names 87 of them, each with its digest, a crop, and polygons of things: those that a person holds or
wears, and others such as tables, screens and horses. The polygons were drawn by hand on enlarged
crops; outside the crop nothing is labeled. Bags of seg/masks have the level 128; they count as
things, and are left out of IoU. Other masks count attached things in some photos and not in others,
so that IoU falls where a cat in a person's arms is added.
"""

import hashlib
import json
import math
import os
import statistics
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from smart_filter_shared.config.paths import data_folder
from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.recipe import Edge
from smart_filter_training.evaluation import dataset_files, metrics, prepare_stage
from smart_filter_training.evaluation.base import PreparePhoto
from smart_filter_training.evaluation.confidence_intervals import compute_figures
from smart_filter_training.evaluation.tasks import segmentation
from smart_filter_workers.connected_parts import label_parts, measure_areas
from smart_filter_workers.models import catalog
from smart_filter_workers.models.cache import ModelCache
from smart_filter_workers.resampling import resize
from smart_filter_workers.results import Bools, Matte8, Srgb8
from smart_filter_workers.stages.segmentation.models.people import PeopleSegmenter
from smart_filter_workers.system import resources

VARIABLE: Final = "SMART_FILTER_EVAL_DATA"
LABELS: Final = Path(__file__).with_name("attached_things.json")
# Photos of a group at most.
GROUP_SIZE: Final = 60
# A thing is absent below the first share of its pixels, and whole above the second.
ABSENT_BELOW, WHOLE_ABOVE = 0.1, 0.9
# Polygons and masks are coarse: a border of this share of a thing's size does not count.
BORDER: Final = 0.06
# Smaller parts of a mask's bags, as shares of the people, are straps.
MIN_BAG: Final = 0.012
# Parts of things that are ridden or worn; their polygons hold more surroundings than thing.
NOT_COUNTED: Final = frozenset(
    {"cart", "frame", "handlebar", "number plate", "ribbon", "saddle", "strap", "tire", "wheel"}
)
HALF: Final = 127
# Smaller differences of IoU are rounding.
SAME_IOU: Final = 1e-4


@dataclass(frozen=True, slots=True)
class Thing:
    """What a person holds, or another thing: (H, W) bool, without its border."""

    what: str
    pixels: Bools
    is_attached: bool


@dataclass(frozen=True, slots=True)
class Mattes:
    """Computes the mattes of a photo without and with attached things, (H, W) uint8 each."""

    people: PeopleSegmenter
    edge: Edge
    prepare: PreparePhoto

    def __call__(self, path: Path) -> tuple[Srgb8, tuple[Matte8, Matte8]]:
        """Return the photo, and its two mattes at its size."""
        photo = dataset_files.read_photo(path)
        prepared = self.prepare(photo)
        (people,) = self.people([prepared])
        refined = self.people.refine_outlines(people, prepared, self.edge)
        added = np.uint8(0) if refined.attached is None else refined.attached
        without, whole = (
            resize(matte, width=prepared.width, height=prepared.height)
            for matte in (refined.matte - added, refined.matte)
        )
        return photo.srgb, (without, whole)


def main() -> None:
    """Print how many things are whole, absent and half, and the differences of IoU."""
    resources.limit_native_threads()
    folder, weights = Path(os.environ[VARIABLE]), data_folder() / "weights"
    edge = Edge(*(sys.argv[1:] or [Edge.BALANCED]))
    console = Console(highlight=False, width=110)
    cache = ModelCache(catalog.discover_models(), weights, memory_limit=resources.get_limit(None))
    task = TaskName.SEGMENTATION
    people = cache.for_stage({task: "people"}, {})[task]
    with prepare_stage.open_prepare_stage(weights, turning=False) as prepare:
        find_mattes = Mattes(cast("PeopleSegmenter", people), edge, prepare)
        console.print(measure_things(folder, find_mattes))
        console.print(measure_masks(folder, find_mattes))


def measure_things(folder: Path, find_mattes: Mattes) -> Table:
    """Return how many attached things are whole, absent and half; how much of others is kept."""
    shares: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    table = _table("things", "number", "matte", "whole", "absent", "half", "kept, mean")
    for path, things in read_things(folder):
        _, mattes = find_mattes(path)
        for thing in things:
            without, whole = (float((matte[thing.pixels] > HALF).mean()) for matte in mattes)
            shares[thing.is_attached].append((without, whole))
            is_half = thing.is_attached and ABSENT_BELOW <= whole <= WHOLE_ABOVE
            if is_half or without != whole:
                table.add_row(path.stem[-14:], "", thing.what, f"{without:.2f} to {whole:.2f}")
    for is_attached, name in ((True, "attached"), (False, "others")):
        for index, matte in enumerate(("without", "with things")):
            kept = np.array([pair[index] for pair in shares[is_attached]])
            is_whole, is_absent = kept > WHOLE_ABOVE, kept < ABSENT_BELOW
            figures = [each.mean() for each in (is_whole, is_absent, ~is_whole & ~is_absent, kept)]
            table.add_row(name, str(len(kept)), matte, *(f"{figure:.1%}" for figure in figures))
    return table


def measure_masks(folder: Path, find_mattes: Mattes) -> Table:
    """Return the paired difference of IoU that attached things make, by group of photos."""
    groups: dict[str, list[tuple[float, float]]] = {}
    for example in _examples(folder):
        photo, mattes = find_mattes(example.photo)
        truth = dataset_files.read_mask(example.mask, photo)
        counted = dataset_files.counted_pixels(truth)
        before, after = (metrics.matte_iou(matte, truth, counted) for matte in mattes)
        group = dataset_files.group_prefix(example.name)
        groups.setdefault(group, []).append((before, after))
    table = _table("masks", "photos", "IoU without", "difference (95 %)", "better / worse", "worst")
    for name, pairs in (
        *groups.items(),
        ("all", [pair for each in groups.values() for pair in each]),
    ):
        gains = [after - before for before, after in pairs]
        mean = compute_figures(np.array([gains]).T, _mean)["mean"]
        table.add_row(
            name,
            str(len(pairs)),
            f"{statistics.mean(before for before, _ in pairs):.4f}",
            f"{mean.value:+.4f} ({mean.low:+.4f} to {mean.high:+.4f})",
            f"{sum(g > SAME_IOU for g in gains)} / {sum(g < -SAME_IOU for g in gains)}",
            f"{min(gains):+.3f}",
        )
    return table


def read_things(folder: Path) -> Iterator[tuple[Path, list[Thing]]]:
    """Yield photos with their things.  Raises ValueError when a labeled photo is another one."""
    labels = {folder / entry["photo"]: entry for entry in json.loads(LABELS.read_text())}
    masks = {example.photo: example.mask for example in segmentation.examples(folder / "seg")}
    for path in sorted({*labels, *masks}):
        srgb = dataset_files.read_photo(path).srgb
        things = _read_bags(masks[path], srgb) if path in masks else []
        if path in labels:
            entry = labels[path]
            if hashlib.sha256(path.read_bytes()).hexdigest() != entry["sha256"]:
                raise ValueError(f"{path} is not the photo that was labeled")
            skipped = NOT_COUNTED | {"bag"} if things else NOT_COUNTED
            for thing in entry["things"]:
                if thing["what"] not in skipped:
                    drawn = np.zeros(srgb.shape[:2], np.uint8)
                    cv2.fillPoly(drawn, [np.array(thing["polygon"], np.int32)], 1)
                    things.append(Thing(thing["what"], _shrink(drawn), thing["attached"]))
        if things:
            yield path, things


def _read_bags(mask: Path, srgb: Srgb8) -> list[Thing]:
    """Return the bags of a mask, its large parts of the level 128."""
    truth = dataset_files.read_mask(mask, srgb)
    people_px = np.count_nonzero(truth == dataset_files.PERSON)
    labels, count = label_parts(truth == dataset_files.NOT_COUNTED)
    areas = measure_areas(labels, count)
    bags = [
        Thing("bag", _shrink((labels == label).astype(np.uint8)), is_attached=True)
        for label in range(1, count)
        if areas[label] >= MIN_BAG * people_px
    ]
    return [bag for bag in bags if bag.pixels.any()]


def _shrink(drawn: NDArray[np.uint8]) -> Bools:
    """Return a thing without its border; all of it when little else is left."""
    area = np.count_nonzero(drawn)
    side = 2 * max(1, int(BORDER * math.sqrt(area))) + 1
    inner = cv2.erode(drawn, np.ones((side, side), np.uint8))
    return np.asarray((inner if np.count_nonzero(inner) > BORDER * area else drawn) > 0)


def _examples(folder: Path) -> Iterator[segmentation.Example]:
    """Yield photos with masks, at most GROUP_SIZE of each group."""
    groups: dict[str, list[segmentation.Example]] = {}
    for part in ("seg", "portrait"):
        for example in segmentation.examples(folder / part):
            groups.setdefault(dataset_files.group_prefix(example.name), []).append(example)
    for group in groups.values():
        count = min(len(group), GROUP_SIZE)
        yield from (group[index * len(group) // count] for index in range(count))


def _mean(numbers: NDArray[np.float64], weights: NDArray[np.float64]) -> Mapping[str, float]:
    return {"mean": metrics.weighted_mean(numbers[:, 0], weights)}


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


if __name__ == "__main__":
    main()
