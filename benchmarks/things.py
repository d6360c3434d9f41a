"""Measure what is cut out of photos of things: `PYTHONPATH=tests python -m benchmarks.things`.

The scenes are drawn and their mattes known (`thing_scenes`). Needs `smart-filter models pull
isnet`. `auto` is what the service does: `people`, and `isnet` where it finds no person.
Which photos count as people is measured of JPEG files too.
"""

import io
import statistics
import time
from pathlib import Path
from typing import cast

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks import edge_errors, thing_scenes
from smart_filter_shared.config.paths import data_folder
from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.results import MIN_PEOPLE_SHARE
from smart_filter_training.evaluation import prepare_stage
from smart_filter_workers.models import catalog
from smart_filter_workers.models.cache import ModelCache
from smart_filter_workers.resampling import resize
from smart_filter_workers.results import Matte8, Photo, Srgb8
from smart_filter_workers.stages.segmentation.models.base import People, Segmenter
from smart_filter_workers.stages.segmentation.stage import measure_coverage
from smart_filter_workers.system import memory, threads

GOOD_IOU = 0.9
JPEG_QUALITIES = (75, 85, 93)


def main() -> None:
    """Print a row for each thing: mean IoU and errors of each way to cut it out."""
    threads.limit_native_threads()
    weights = data_folder() / "weights"
    people, isnet = _load("people", weights), _load("isnet", weights)
    errors_of: dict[str, dict[str, list[tuple[float, float]]]] = {}
    counted = {"PNG": 0, **{f"JPEG {quality}": 0 for quality in JPEG_QUALITIES}}
    isnet_ms = []
    with prepare_stage.open_prepare_stage(weights, turning=False) as prepare:
        for scene in thing_scenes.scenes():
            prepared = prepare(Photo(scene.photo_srgb, format="png"))
            (persons,) = people([prepared])
            began = time.thread_time()
            (salient,) = isnet([prepared])
            isnet_ms.append((time.thread_time() - began) * 1000)
            counted["PNG"] += _has_people(persons)
            for quality in JPEG_QUALITIES:
                photo = Photo(_as_jpeg(scene.photo_srgb, quality), format="jpg")
                (compressed,) = people([prepare(photo)])
                counted[f"JPEG {quality}"] += _has_people(compressed)
            chosen = persons if _has_people(persons) else salient
            ways = {"people": persons, "isnet": salient, "auto": chosen}
            thing = errors_of.setdefault(scene.name.split()[0], {name: [] for name in ways})
            for name, result in ways.items():
                thing[name].append(_errors(result.matte, scene.matte))
    _print(errors_of)
    count = len(isnet_ms)
    print(f"photos of {count} that count as people: {counted}")
    print(f"isnet: {statistics.median(isnet_ms):.0f} ms of one core a photo")


def _load(name: str, weights: Path) -> Segmenter:
    cache = ModelCache(catalog.discover_models(), weights, memory_limit=memory.get_limit(None))
    loaded = cache.for_stage({TaskName.SEGMENTATION: name}, {})
    return cast("Segmenter", loaded[TaskName.SEGMENTATION])


def _has_people(result: People) -> bool:
    """Return whether `subject=auto` takes the photo for one of people."""
    return measure_coverage(result.matte) >= MIN_PEOPLE_SHARE


def _as_jpeg(photo_srgb: Srgb8, quality: int) -> Srgb8:
    """Return the photo as a JPEG file of the quality shows it."""
    file = io.BytesIO()
    Image.fromarray(photo_srgb).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file), np.uint8)


def _errors(matte: Matte8, truth: Matte8) -> tuple[float, float]:
    """Return the IoU at one half and the mean absolute error, 0..1, at the photo's size."""
    height, width = truth.shape
    full = resize(matte, width=width, height=height)
    made, true = full > 127, truth > 127  # noqa: PLR2004 - one half
    return float((made & true).sum() / (made | true).sum()), edge_errors.absolute(
        full, truth
    ) / 1000


def _print(errors_of: dict[str, dict[str, list[tuple[float, float]]]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in (
        "thing",
        *(f"{way} {what}" for way in ("people", "isnet", "auto") for what in ("IoU", "MAE")),
    ):
        table.add_column(column, no_wrap=True)
    everything: dict[str, list[tuple[float, float]]] = {}
    for thing, ways in errors_of.items():
        table.add_row(thing, *_means(ways))
        for way, errors in ways.items():
            everything.setdefault(way, []).extend(errors)
    table.add_row("all", *_means(everything))
    Console(highlight=False, width=110).print(table)
    for way, errors in everything.items():
        ious = [iou for iou, _ in errors]
        good = sum(iou >= GOOD_IOU for iou in ious)
        print(f"{way}: {good} of {len(ious)} at least {GOOD_IOU}, median {np.median(ious):.3f}")


def _means(ways: dict[str, list[tuple[float, float]]]) -> list[str]:
    return [
        f"{statistics.mean(errors[at] for errors in each):.3f}"
        for each in ways.values()
        for at in (0, 1)
    ]


if __name__ == "__main__":
    main()
