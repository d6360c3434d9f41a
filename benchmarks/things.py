"""Measure what is cut out of photos of things: `PYTHONPATH=tests python -m benchmarks.things`.

The scenes are drawn and their mattes known (`thing_scenes`). Needs `smart-filter models pull
isnet`. `full` is its network in single precision, at its own 1024². `auto` is what the service
does: `people`, and `isnet` where it finds no person; JPEG files are measured for that too.
"""

import io
import statistics
import time
from pathlib import Path
from typing import cast

import numpy as np
from PIL import Image

from benchmarks import edge_errors, thing_scenes
from smart_filter_shared.config.paths import data_folder
from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.results import MIN_PEOPLE_SHARE
from smart_filter_training.evaluation import prepare_stage
from smart_filter_workers.models import catalog
from smart_filter_workers.models.cache import ModelCache
from smart_filter_workers.networks.coverage import isnet as isnet_network
from smart_filter_workers.networks.coverage.coverage_network import CoverageNetwork
from smart_filter_workers.resampling import resize
from smart_filter_workers.results import HALF_LEVEL, Matte8, Photo, Srgb8
from smart_filter_workers.stages.segmentation.models.base import People, Segmenter
from smart_filter_workers.stages.segmentation.models.isnet import drop_guesses
from smart_filter_workers.stages.segmentation.stage import measure_coverage
from smart_filter_workers.system import resources
from smart_filter_workers.weights import files

FULL_PX = 1024
WAYS = ("full", "people", "isnet", "auto", "u2netp")
GOOD_IOU = 0.9
JPEG_QUALITIES = (75, 85, 93)
# IoU at one half, and the mean absolute error, 0..1, of all pixels and of those near true edges.
Errors = tuple[float, float, float]


def main() -> None:
    """Print a row for each thing: mean IoU and errors of each way to cut it out."""
    resources.limit_native_threads()
    weights = data_folder() / "weights"
    people, isnet, u2netp = (_load(name, weights) for name in ("people", "isnet", "u2netp"))
    content = isnet_network.widen(files.read_verified(weights, isnet_network.WEIGHTS))
    full = CoverageNetwork(content, isnet_network.FORM, side_px=FULL_PX)
    errors_of: dict[str, dict[str, list[Errors]]] = {}
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
            (small,) = u2netp([prepared])
            whole = np.rint(drop_guesses(full(prepared.proxy_srgb)) * 255).astype(np.uint8)
            results = (whole, *(each.matte for each in (persons, salient, chosen, small)))
            thing = errors_of.setdefault(scene.name.split()[0], {name: [] for name in WAYS})
            for way, matte in zip(WAYS, results, strict=True):
                thing[way].append(_errors(matte, scene.matte))
    _print(errors_of)
    print(f"photos of {len(isnet_ms)} that count as people: {counted}")
    print(f"isnet: {statistics.median(isnet_ms):.0f} ms of one core a photo")


def _load(name: str, weights: Path) -> Segmenter:
    cache = ModelCache(catalog.discover_models(), weights, memory_limit=resources.get_limit(None))
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


def _errors(matte: Matte8, truth: Matte8) -> Errors:
    full = resize(matte, width=truth.shape[1], height=truth.shape[0])
    made, true = full > HALF_LEVEL, truth > HALF_LEVEL
    iou = float((made & true).sum() / (made | true).sum())
    absolute, near = edge_errors.absolute(full, truth), edge_errors.absolute_near(full, truth)
    return iou, absolute / 1000, near / 1000


def _print(errors_of: dict[str, dict[str, list[Errors]]]) -> None:
    print("thing", *WAYS)
    everything: dict[str, list[Errors]] = {}
    for thing, ways in errors_of.items():
        print(thing, *(f"{_means(errors)[0]:.3f}" for errors in ways.values()))
        for way, errors in ways.items():
            everything.setdefault(way, []).extend(errors)
    for way, errors in everything.items():
        means = " ".join(f"{mean:.4f}" for mean in _means(errors))
        good = sum(each[0] >= GOOD_IOU for each in errors)
        print(f"{way}: IoU, error, error near edges {means}; {good} reach {GOOD_IOU}")
    pairs = zip(everything["isnet"], everything["full"], strict=True)
    difference = np.array([mine[0] - its[0] for mine, its in pairs])
    drawn = np.random.default_rng(0).choice(difference, (10_000, len(difference))).mean(axis=1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    print(f"IoU of isnet less full: {difference.mean():.4f} ({low:.4f} to {high:.4f})")


def _means(errors: list[Errors]) -> list[float]:
    return [statistics.mean(each) for each in zip(*errors, strict=True)]


if __name__ == "__main__":
    main()
