"""Compare `edge=fast`, `balanced` and `best` on a folder of photos, with or without masks."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import numpy as np

from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.recipe import Edge
from smart_filter_training.evaluation import contact_sheet, dataset_files, drawing, metrics
from smart_filter_training.evaluation.measure import sample_evenly
from smart_filter_training.evaluation.model_comparison import Comparison, CutOutResult
from smart_filter_training.evaluation.prepare_stage import default_model_name, open_prepare_stage
from smart_filter_training.evaluation.tasks import segmentation
from smart_filter_workers import images
from smart_filter_workers.models import catalog
from smart_filter_workers.models.cache import ModelCache
from smart_filter_workers.results import Photo, Srgb8
from smart_filter_workers.stages.composite.models.base import Compositor, CutOut
from smart_filter_workers.system import resources

TIERS: Final = (Edge.FAST, Edge.BALANCED, Edge.BEST)
_PICTURE_PX: Final = 900


@dataclass(frozen=True, slots=True)
class TierFigures:
    """The means over photos of one tier.

    model: the segmentation model that it used.  iou: at one half; near_edge: the mean absolute
    difference of the mattes near the masks' outlines, 0..1; both NaN without masks.
    cpu_ms: processor time per photo, of segmentation and edges.
    """

    edge: Edge
    model: str
    iou: float
    near_edge: float
    cpu_ms: float


@dataclass(frozen=True, slots=True)
class TierComparison:
    """The figures of each tier; photos, masks: how many there were."""

    tiers: Sequence[TierFigures]
    photos: int
    masks: int


def compare_tiers(
    data: Path,
    sheets: Path,
    *,
    weights: Path,
    research: bool = True,
    limit: int | None = None,
    tell: Callable[[str, int, int], None] = lambda *_: None,
) -> TierComparison:
    """Cut out each photo of a folder with each tier, and write a sheet for each photo.

    data: holds photos, or `images` and perhaps `masks` as for segmentation.  sheets: the folder of
    the sheets, empty.  research, limit: as for `measure.evaluate`.
    Raises FolderUnreadable, ModelNotLoaded.
    """
    folder = data / "images" if (data / "images").is_dir() else data
    photos = sample_evenly(dataset_files.list_pictures(folder), limit)
    discovered = catalog.discover_models(research=research)
    loaded = ModelCache(discovered, weights, memory_limit=resources.get_limit(None))
    models = _choose_models(discovered, weights)
    compositor = cast(
        "Compositor",
        loaded.for_stage(
            {TaskName.COMPOSITE: default_model_name(TaskName.COMPOSITE, discovered)}, {}
        )[TaskName.COMPOSITE],
    )
    # As in a worker: else OpenBLAS spins, and `best` seems to take up to four times its time.
    resources.limit_native_threads()
    scores: dict[Edge, list[tuple[float, float]]] = {edge: [] for edge in TIERS}
    seconds = dict.fromkeys(TIERS, 0.0)
    with open_prepare_stage(weights, turning=False, research=research) as prepare:
        for index, path in enumerate(photos, start=1):
            photo = dataset_files.read_photo(path)
            mask = data / "masks" / f"{path.stem}.png"
            prepared, cuts = prepare(photo), []
            for edge, name in models.items():
                model = loaded.for_stage({TaskName.SEGMENTATION: name}, {})[TaskName.SEGMENTATION]
                started, started_cpu = time.perf_counter(), time.process_time()
                segmented = segmentation.answer(model, prepared, edge=edge)
                cut = compositor.cut(
                    photo.srgb,
                    proxy_srgb=prepared.proxy_srgb,
                    matte=segmented.matte,
                    edge=edge,
                    faces=prepared.proposals,
                )
                cpu, took = time.process_time() - started_cpu, time.perf_counter() - started
                seconds[edge] += cpu
                if mask.is_file():
                    scores[edge].append(_score(cut, photo, mask))
                shown = _draw(compositor, cut)
                cuts.append(
                    CutOutResult(
                        f"{edge}: {name}", shown, cut.matte, segmented.coverage,
                        segmented.persons, 1000 * took, 1000 * cpu,
                    )
                )  # fmt: skip
            drawn = contact_sheet.draw(
                Comparison(photo.srgb, cuts), title=path.name, picture_px=_PICTURE_PX
            )
            (sheets / f"{path.name}.png").write_bytes(images.encode_png(drawn).content)
            tell("tiers", index, len(photos))
    return TierComparison(
        [
            TierFigures(edge, name, *_mean(scores[edge]), 1000 * seconds[edge] / len(photos))
            for edge, name in models.items()
        ],
        len(photos),
        len(scores[Edge.BEST]),
    )


def _choose_models(models: catalog.ModelCatalog, weights: Path) -> Mapping[Edge, str]:
    """Return the segmentation model of each tier, as the service chooses it."""
    usual = default_model_name(TaskName.SEGMENTATION, models)
    offers = models.offers(weights)
    best = next(
        (offer.card.name for offer in offers if offer.card.best_edge and not offer.fault), usual
    )
    return {edge: best if edge == Edge.BEST else usual for edge in TIERS}


def _score(cut: CutOut, photo: Photo, mask: Path) -> tuple[float, float]:
    matte = dataset_files.read_mask(mask, photo.srgb)
    counted = dataset_files.counted_pixels(matte)
    return (
        metrics.matte_iou(cut.matte, matte, counted),
        metrics.near_edge_difference(cut.matte, matte, counted),
    )


def _mean(scores: Sequence[tuple[float, float]]) -> tuple[float, float]:
    if not scores:
        return math.nan, math.nan
    iou, near_edge = np.mean(scores, axis=0)
    return float(iou), float(near_edge)


def _draw(compositor: Compositor, cut: CutOut) -> Srgb8:
    ground = np.zeros((*cut.matte.shape, 4), np.uint8)
    return drawing.draw_on_checkerboard(compositor.over(cut, ground))
