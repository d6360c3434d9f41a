"""Measure what `edge=best` adds to people because it is in one piece with them.

SMART_FILTER_EVAL_DATA=TRAIN PYTHONPATH=tests python -m benchmarks.attached

TRAIN holds photos, seg/images and portrait/images with masks of people. `attached_things.json`
names 63 of them, each with its digest, a crop, and polygons of things: those that a person holds or
wears, and others such as tables, screens and horses. The polygons were drawn by hand on enlarged
crops; outside the crop nothing is labeled. Five photos were added because a first version of the
rule was wrong on them, so the share of wrongly added pixels is higher than on chance photos.

Recall counts thing pixels in the matte, not the outline. Bags of seg/masks have the level 128; they
are left out of IoU. Other masks count attached things in some photos and not in others.
"""

import hashlib
import json
import os
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
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
from smart_filter_workers.models import catalog
from smart_filter_workers.models.cache import ModelCache
from smart_filter_workers.resampling import resize
from smart_filter_workers.results import Matte8, PreparedPhoto, Srgb8
from smart_filter_workers.stages.segmentation.models.people import PeopleSegmenter
from smart_filter_workers.system import memory, threads

VARIABLE: Final = "SMART_FILTER_EVAL_DATA"
LABELS: Final = Path(__file__).with_name("attached_things.json")
# Photos of a group at most: all 822 take about eight minutes of an idle core with VNNI.
GROUP_SIZE: Final = 300
HALF: Final = 127
# Smaller differences of IoU are rounding.
SAME_IOU: Final = 1e-4

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class LabeledPhoto:
    """A photo's attached things and distractors, (H, W) bool each, inside its crop."""

    path: Path
    attached: Mask
    others: Mask


@dataclass(slots=True)
class PixelCounts:
    """How many pixels of some things three mattes show: found, corrected, with attached things."""

    whole: int = 0
    shown: NDArray[np.int64] = field(default_factory=lambda: np.zeros(3, np.int64))

    def add(self, things: Mask, mattes: tuple[Matte8, Matte8, Matte8]) -> None:
        """Count the pixels of one photo."""
        self.whole += int(np.count_nonzero(things))
        self.shown += [np.count_nonzero(things & (matte > HALF)) for matte in mattes]


@dataclass(frozen=True, slots=True)
class Mattes:
    """Computes the three mattes of a photo, (H, W) uint8 each, at its size."""

    people: PeopleSegmenter
    prepare: PreparePhoto

    def __call__(self, path: Path) -> tuple[Srgb8, tuple[Matte8, Matte8, Matte8]]:
        """Return the photo, and its mattes: of `people`, corrected, and with attached things."""
        photo = dataset_files.read_photo(path)
        prepared = self.prepare(photo)
        (people,) = self.people([prepared])
        refined = self.people.refine_outlines(people, prepared, Edge.BEST)
        added = np.uint8(0) if refined.attached is None else refined.attached
        mattes = (people.matte, refined.matte - added, refined.matte)
        first, second, third = (_enlarge(matte, prepared) for matte in mattes)
        return photo.srgb, (first, second, third)


def main() -> None:
    """Print recall of things, wrongly added pixels, and differences of IoU."""
    threads.limit_native_threads()
    folder = Path(os.environ[VARIABLE])
    weights = data_folder() / "weights"
    console = Console(highlight=False, width=110)
    cache = ModelCache(catalog.discover_models(), weights, memory_limit=memory.get_limit(None))
    with prepare_stage.open_prepare_stage(weights, turning=False) as prepare:
        people = cast("PeopleSegmenter", cache.model(TaskName.SEGMENTATION, "people"))
        find_mattes = Mattes(people, prepare)
        console.print(measure_labels(folder, find_mattes))
        console.print(measure_masks(folder, find_mattes))


def measure_labels(folder: Path, find_mattes: Mattes) -> Table:
    """Return recall of attached things, and the share of other things that is in the matte."""
    attached, others = PixelCounts(), PixelCounts()
    changed: list[tuple[int, int, str]] = []
    for labeled in read_labels(folder):
        _, mattes = find_mattes(labeled.path)
        attached.add(labeled.attached, mattes)
        others.add(labeled.others, mattes)
        more = (mattes[2] > HALF) & (mattes[1] <= HALF)
        gained, wrong = (
            int(np.count_nonzero(more & things)) for things in (labeled.attached, labeled.others)
        )
        if gained or wrong:
            changed.append((gained, wrong, labeled.path.stem[:12]))
    table = _table("labeled things", "pixels", "people", "corrected", "with attached")
    for name, counts in (("attached", attached), ("others", others)):
        table.add_row(name, f"{counts.whole:,}", *(f"{n / counts.whole:.4f}" for n in counts.shown))
    for gained, wrong, name in sorted(changed, reverse=True):
        table.add_row(name, f"+{gained:,} right, +{wrong:,} wrong")
    return table


def measure_masks(folder: Path, find_mattes: Mattes) -> Table:
    """Return the paired difference of IoU that attached things make, by group of photos."""
    bags = PixelCounts()
    groups: dict[str, list[tuple[float, float]]] = {}
    for example in _examples(folder):
        photo, mattes = find_mattes(example.photo)
        truth = dataset_files.read_mask(example.mask, photo)
        counted = dataset_files.counted_pixels(truth)
        _, before, after = (metrics.matte_iou(matte, truth, counted) for matte in mattes)
        bags.add(~counted, mattes)
        group = dataset_files.group_prefix(example.name)
        groups.setdefault(group, []).append((before, after))
    table = _table("masks", "photos", "IoU before", "difference (95 %)", "better / worse", "worst")
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
    shares = ", ".join(f"{shown / bags.whole:.4f}" for shown in bags.shown)
    table.caption = f"bags of the masks: people, corrected, with attached: {shares}"
    return table


def read_labels(folder: Path) -> Iterator[LabeledPhoto]:
    """Yield the labeled photos of a folder.  Raises ValueError when a photo is another one."""
    for entry in json.loads(LABELS.read_text()):
        path = folder / entry["photo"]
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != entry["sha256"]:
            raise ValueError(f"{path} is not the photo that was labeled")
        height, width = dataset_files.read_photo(path).srgb.shape[:2]
        drawn = {
            True: np.zeros((height, width), np.uint8),
            False: np.zeros((height, width), np.uint8),
        }
        for thing in entry["things"]:
            cv2.fillPoly(drawn[thing["attached"]], [np.array(thing["polygon"], np.int32)], 1)
        attached = drawn[True] > 0
        yield LabeledPhoto(path, attached, (drawn[False] > 0) & ~attached)


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


def _enlarge(matte: Matte8, prepared: PreparedPhoto) -> Matte8:
    return resize(matte, width=prepared.width, height=prepared.height)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


if __name__ == "__main__":
    main()
