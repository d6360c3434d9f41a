"""Cut out one photo with several models, for comparison."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np

from smart_filter_shared.catalog.parameters import Parameters
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.recipe import Edge
from smart_filter_training.evaluation import dataset_files, drawing
from smart_filter_training.evaluation.model_process import ModelProcess
from smart_filter_training.evaluation.prepare_stage import default_model_name, open_prepare_stage
from smart_filter_workers.models import catalog
from smart_filter_workers.models.cache import ModelCache
from smart_filter_workers.results import Matte8, Segmentation, Srgb8
from smart_filter_workers.stages.composite.models.base import Compositor
from smart_filter_workers.system import resources

# Argument: the name of the model that runs now.
ProgressCallback: TypeAlias = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class CutOutResult:
    """The result of one model.

    cut_out: (h, w, 3) uint8 sRGB, the people on a checkerboard; matte: (h, w) uint8.
    coverage: the share of the photo that is people, 0..1; persons: None when the model does
    not tell them apart.  ms: wall time, cpu_ms: processor time, both of a warm run.
    """

    name: str
    cut_out: Srgb8
    matte: Matte8
    coverage: float
    persons: int | None
    ms: float
    cpu_ms: float


@dataclass(frozen=True, slots=True)
class FailedModel:
    """A model that failed, and the reason."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """The photo as the models saw it, (h, w, 3) uint8 sRGB, and the result of each model."""

    photo_srgb: Srgb8
    cuts: Sequence[CutOutResult | FailedModel]


def compare_models(
    photo: Path,
    models: Mapping[str, Parameters],
    *,
    weights: Path,
    tell: ProgressCallback,
    research: bool = True,
) -> Comparison:
    """Cut out a photo with segmentation models, one after another, and return the results.

    models: their names, with the parameters that differ from their defaults.
    research: whether models with research weights may prepare the photo.
    Raises FolderUnreadable when the photo cannot be read.
    """
    with open_prepare_stage(weights, turning=True, research=research) as prepare:
        prepared = prepare(dataset_files.read_photo(photo))
    discovered = catalog.discover_models(research=research)
    loaded = ModelCache(discovered, weights, memory_limit=resources.get_limit(None))
    task = TaskName.COMPOSITE
    compositor = cast(
        "Compositor", loaded.for_stage({task: default_model_name(task, discovered)}, {})[task]
    )
    cuts: list[CutOutResult | FailedModel] = []
    for name, parameters in models.items():
        tell(name)
        try:
            with ModelProcess(
                TaskName.SEGMENTATION, name, weights, parameters, research=research
            ) as subject:
                subject.ask(prepared)  # warm-up: the first run includes one-time setup
                answered = subject.ask(prepared)
        except SetupFailed as error:
            cuts.append(FailedModel(name, str(error)))
            continue
        segmented = answered.answer
        assert isinstance(segmented, Segmentation)
        cuts.append(
            CutOutResult(
                name=name,
                cut_out=_draw_cut_out(compositor, prepared.proxy_srgb, segmented.matte),
                matte=segmented.matte,
                coverage=segmented.coverage,
                persons=segmented.persons,
                ms=1000 * answered.seconds,
                cpu_ms=1000 * answered.cpu_seconds,
            )
        )
    return Comparison(prepared.proxy_srgb, cuts)


def _draw_cut_out(compositor: Compositor, srgb: Srgb8, matte: Matte8) -> Srgb8:
    if not np.any(matte):
        return drawing.draw_on_checkerboard(np.zeros((*matte.shape, 4), np.uint8))
    cut = compositor.cut(srgb, proxy_srgb=srgb, matte=matte, edge=Edge.FAST)
    return drawing.draw_on_checkerboard(compositor.over(cut, np.zeros((*matte.shape, 4), np.uint8)))
