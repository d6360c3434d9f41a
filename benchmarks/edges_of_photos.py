"""Measure the mattes that come out of `composite`, by edge effort, on photos with known masks.

SMART_FILTER_EVAL_DATA=FOLDER PYTHONPATH=tests python -m benchmarks.edges_of_photos [PHOTOS]

The folder holds seg/ and portrait/, each with images/X.jpg and masks/X.png, as `smart-filter eval
segmentation` reads them. Photos are grouped by the beginning of their names; PHOTOS is the most of
each group. The mattes of segmentation for `fast` and for the other efforts, by the default model,
are enlarged only, and refined with each effort. "Near edges" and "haze" count pixels near the
outline of the mask. Masks are polygons, a few pixels coarse, so compare rows, not values. Times are
processor time of one thread.
"""

import math
import os
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
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
from smart_filter_training.evaluation.measure import sample_evenly
from smart_filter_training.evaluation.tasks import segmentation
from smart_filter_training.evaluation.tasks.segmentation import Example
from smart_filter_workers.models import catalog
from smart_filter_workers.models.cache import ModelCache
from smart_filter_workers.resampling import resize
from smart_filter_workers.results import Matte8
from smart_filter_workers.stages.composite.cleanup import clean_matte
from smart_filter_workers.stages.composite.edges.edge_learning import EFFORTS, EdgeCache
from smart_filter_workers.stages.composite.models import layers
from smart_filter_workers.stages.segmentation.models.base import Segmenter
from smart_filter_workers.system import resources

VARIABLE: Final = "SMART_FILTER_EVAL_DATA"
# Distance from the mask's outline within which pixels are near, as a share of the root of its area.
NEAR_SHARE: Final = 0.04
# Levels in between are half transparent.
HAZE_FROM, HAZE_TO = 16, 239


@dataclass(frozen=True, slots=True)
class MatteErrors:
    """The errors of one matte.

    iou: at one half, 0..1.  near: mean absolute difference near edges, 0..1.  haze: share of the
    pixels there that are half transparent.  cut_ms: processor time of the cut in ms.
    """

    iou: float
    near: float
    haze: float
    cut_ms: float


def main() -> None:
    """Print a table with a row for each group of photos and effort."""
    resources.limit_native_threads()
    folder, weights = Path(os.environ[VARIABLE]), data_folder() / "weights"
    most = int(sys.argv[1]) if len(sys.argv) > 1 else sys.maxsize
    table = Table(box=None, pad_edge=False, header_style="dim")
    columns = ("IoU", "less the row above (95 %)", "near edges", "haze", "cut ms")
    for column in ("photos", "edge", *columns):
        table.add_column(column, no_wrap=True)
    segmenter = load_segmenter(weights)
    with prepare_stage.open_prepare_stage(weights, turning=False) as prepare:
        for group, examples in _groups(folder, most).items():
            errors_of: dict[str, list[MatteErrors]] = {}
            for example in examples:
                for edge, errors in _measure(example, prepare, segmenter):
                    errors_of.setdefault(edge, []).append(errors)
            above: list[MatteErrors] = []
            for edge, rows in errors_of.items():
                table.add_row(f"{len(rows)} {group}", edge, *_cells(rows, above))
                above = rows
    Console(highlight=False, width=110).print(table)


def load_segmenter(weights: Path) -> Segmenter:
    """Return the default segmentation model."""
    discovered, task = catalog.discover_models(), TaskName.SEGMENTATION
    cache = ModelCache(discovered, weights, memory_limit=resources.get_limit(None))
    name = prepare_stage.default_model_name(task, discovered)
    return cast("Segmenter", cache.for_stage({task: name}, {})[task])


def _groups(folder: Path, most: int) -> dict[str, list[Example]]:
    """Return at most `most` photos of each group, spread over it."""
    groups: dict[str, list[Example]] = {}
    for part in ("seg", "portrait"):
        for example in segmentation.examples(folder / part):
            groups.setdefault(dataset_files.group_prefix(example.name), []).append(example)
    return {name: list(sample_evenly(every, most)) for name, every in groups.items()}


def _measure(
    example: Example, prepare: PreparePhoto, segmenter: Segmenter
) -> Iterator[tuple[str, MatteErrors]]:
    """Yield each effort's name and errors, first those of a matte that is enlarged only."""
    photo = dataset_files.read_photo(example.photo)
    truth = dataset_files.read_mask(example.mask, photo.srgb)
    prepared = prepare(photo)
    mattes = {
        edge: clean_matte(
            segmentation.answer(segmenter, prepared, edge=edge), prepared, prepared.proposals
        ).matte
        for edge in (Edge.FAST, Edge.BALANCED)
    }
    for edge, matte in mattes.items():
        large = resize(matte, width=prepared.width, height=prepared.height)
        yield f"{edge}, enlarged only", _compare(large, truth, 0.0)
    for edge, effort in EFFORTS.items():
        began = time.thread_time()
        cut = layers.cut_out(
            photo.srgb,
            proxy_srgb=prepared.proxy_srgb,
            matte=mattes.get(edge, mattes[Edge.BALANCED]),
            faces=prepared.proposals,
            effort=effort,
            edges=EdgeCache(),
        )
        yield str(edge), _compare(cut.matte, truth, 1000 * (time.thread_time() - began))


def _compare(matte: Matte8, truth: Matte8, cut_ms: float) -> MatteErrors:
    counted = dataset_files.counted_pixels(truth)
    near = _near_outline(truth) & counted
    is_hazy = (matte[near] >= HAZE_FROM) & (matte[near] <= HAZE_TO)
    return MatteErrors(
        iou=metrics.matte_iou(matte, truth, counted),
        near=metrics.mean_difference(matte, truth, near),
        haze=float(is_hazy.mean()) if is_hazy.size else 0.0,
        cut_ms=cut_ms,
    )


def _near_outline(truth: Matte8) -> NDArray[np.bool_]:
    """Return the pixels near the outline of a mask, (H, W)."""
    person = (truth > metrics.HALF).astype(np.uint8)
    reach = max(1, round(NEAR_SHARE * math.sqrt(cv2.countNonZero(person))))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1,) * 2)
    return np.asarray(cv2.morphologyEx(person, cv2.MORPH_GRADIENT, disc) > 0)


def _cells(rows: Sequence[MatteErrors], above: Sequence[MatteErrors]) -> list[str]:
    gain = ""
    if above:
        gains = [row.iou - other.iou for row, other in zip(rows, above, strict=True)]
        mean = compute_figures(np.array([gains]).T, _mean)["mean"]
        gain = f"{mean.value:+.4f} ({mean.low:+.4f} to {mean.high:+.4f})"
    iou, near, haze, cut_ms = (
        statistics.mean(values) for values in zip(*map(astuple, rows), strict=True)
    )
    return [f"{iou:.4f}", gain, f"{1000 * near:.0f}", f"{1000 * haze:.0f}", f"{cut_ms:.1f}"]


def _mean(numbers: NDArray[np.float64], weights: NDArray[np.float64]) -> Mapping[str, float]:
    return {"mean": metrics.weighted_mean(numbers[:, 0], weights)}


if __name__ == "__main__":
    main()
