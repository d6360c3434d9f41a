"""Measure networks alone and through their stages, on a GPU or without one: `make bench-gpu`.

Takes ten minutes and needs no network; the weights are in the data folder. Each model runs in a
process of its own. `alone` runs a network again and again on the inputs that its stage gave it;
`stage` is what a worker does with a batch between claiming and storing. A model that is not
installed, or has no weights, is named and left out.
"""

import contextlib
import functools
import json
import multiprocessing
import resource
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from benchmarks import networks, photos
from benchmarks.stages import open_stages
from smart_filter_shared.catalog.model_card import ENTRY_PARAMETER
from smart_filter_shared.catalog.parameters import Parameters
from smart_filter_shared.config.paths import data_folder
from smart_filter_shared.errors import ModelNotLoaded
from smart_filter_shared.pipeline import StageName, TaskName
from smart_filter_shared.recipe import Recipe
from smart_filter_workers import images
from smart_filter_workers.runtime.claiming import batching
from smart_filter_workers.stages import registry

BATCHES: Final = (1, 2, 4, 8)
SECONDS: Final = 4.0
ZOO: Final = "COCO-InstanceSegmentation/mask_rcnn_"
GIGABYTE: Final = 1e9


@dataclass(frozen=True, slots=True)
class Case:
    """A stage with models other than the default ones."""

    title: str
    stage: StageName
    names: Mapping[TaskName, str] = field(default_factory=dict)
    parameters: Mapping[TaskName, Parameters] = field(default_factory=dict)


def _segmentation(title: str, name: str, **parameters: str) -> Case:
    task = TaskName.SEGMENTATION
    return Case(title, StageName.SEGMENTATION, {task: name}, {task: parameters})


CASES: Final = (
    _segmentation("detectron2 R50", "detectron2", **{ENTRY_PARAMETER: f"{ZOO}R_50_FPN_3x"}),
    _segmentation("detectron2 X101", "detectron2", **{ENTRY_PARAMETER: f"{ZOO}X_101_32x8d_FPN_3x"}),
    _segmentation("modnet", "modnet"),
    _segmentation("isnet", "isnet"),
    _segmentation("people", "people"),
    Case("faces and uprightness", StageName.PREPARE),
    Case("smile", StageName.SMILE),
)


def main() -> None:
    """Print a line of JSON for each model and size of batch."""
    for case in CASES:
        # Memory that a library keeps would count for the next model.
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=spawn) as process:
            for row in process.submit(measure, case).result():
                print(json.dumps({"model": case.title, **row}), flush=True)


def measure(case: Case) -> list[dict[str, object]]:
    """Return the figures of each size of batch, or why there are none."""
    try:
        peer = open_stages(data_folder() / "weights")
        models = peer.choose_models(case.stage, Recipe(), case.names, case.parameters)
    except ModelNotLoaded as error:
        return [{"left_out": str(error)}]
    selfies = photos.selfies(photos.SIDE_OF_1_MP)
    inputs = [
        peer.make_inputs(images.decode(photo), case.stage, Recipe())
        for photo in islice(selfies, max(BATCHES))
    ]
    run = functools.partial(registry.get_stage(case.stage).run, models)
    cuda = _find_cuda()
    rows = []
    for size in BATCHES:
        batch = inputs[:size]
        if cuda is not None:
            cuda.reset_peak_memory_stats()
        with networks.record() as calls:
            run(batch)
        alone = size * _rate(functools.partial(networks.repeat, calls))
        stage = size * _rate(functools.partial(run, batch))
        row: dict[str, object] = {
            "batch": size,
            "networks": len(calls),
            "alone_per_second": round(alone, 2),
            "stage_per_second": round(stage, 2),
            "share": round(stage / alone, 3),
        }
        rows.append(row | _memory(cuda))
    return rows if cuda is None else [*rows, _split(cuda, run, inputs)]


def _rate(run: Callable[[], object]) -> float:
    """Return how often a second a call runs; the first time does not count."""
    run()
    started, times = time.perf_counter(), 0
    while (taken := time.perf_counter() - started) < SECONDS:
        run()
        times += 1
    return times / taken


def _find_cuda() -> Any:  # noqa: ANN401 - torch has no types here
    """Return torch's module of CUDA; None without a GPU or without torch."""
    with contextlib.suppress(ImportError):
        import torch  # noqa: PLC0415 - an extra

        return torch.cuda if torch.cuda.is_available() else None
    return None


def _memory(cuda: Any) -> dict[str, object]:  # noqa: ANN401 - as above
    """Return the peak memory of the process so far, and the memory in use on the GPU."""
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    figures: dict[str, object] = {"peak_gb": round(peak_kb * 1024 / GIGABYTE, 2)}
    if cuda is not None:
        free, total = cuda.mem_get_info()
        figures["gpu_gb"] = round((total - free) / GIGABYTE, 2)
        figures["torch_peak_gb"] = round(cuda.max_memory_allocated() / GIGABYTE, 2)
    return figures


def _split(cuda: Any, run: Callable[[Any], object], inputs: list[Any]) -> dict[str, object]:  # noqa: ANN401 - as above
    """Run the largest batch in memory for about half of it; return how it was split."""
    sizes: list[int] = []

    def run_pass(part: Any) -> None:  # noqa: ANN401 - a sequence of inputs
        sizes.append(len(part))
        run(part)

    peak = cuda.max_memory_allocated()
    total = cuda.mem_get_info()[1]
    cuda.empty_cache()
    cuda.set_per_process_memory_fraction((cuda.memory_allocated() + peak) / 2 / total)
    ended = batching.run_in_passes(inputs, run_pass, relieve=cuda.empty_cache)
    cuda.set_per_process_memory_fraction(1.0)
    failed = sum(error is not None for _, error in ended)
    return {"memory_gb": round(peak / 2 / GIGABYTE, 2), "passes_of": sizes, "failed": failed}


if __name__ == "__main__":
    main()
