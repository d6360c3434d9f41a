"""Measure processor time and memory of the composite stage, compared with a floor.

python -m benchmarks.composite

One thread composes a selfie, with a matte as the models make it, on a design. The floor runs in
the same rounds: it enlarges the matte, fills one background, draws over it, and encodes the picture
with the fastest encoder of its format.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from benchmarks import figures
from benchmarks.photos import SIDE_OF_1_MP, SIDE_OF_12_MP
from smart_filter_shared.recipe import Background, BackgroundKind, Edge, Format, Recipe
from smart_filter_tests.portrait import as_job
from smart_filter_workers import images
from smart_filter_workers.stages.composite import stage
from smart_filter_workers.stages.composite.models import layers
from smart_filter_workers.system import resources

ROUNDS = 5
SIDES = {"1 MP": SIDE_OF_1_MP, "12 MP": SIDE_OF_12_MP}
GOALS_MS = {
    ("1 MP", Format.JPG): 45,
    ("12 MP", Format.JPG): 450,
    ("1 MP", Format.PNG): 60,
    ("12 MP", Format.PNG): 650,
}
MOST_OF_FAST = 2.5
MOST_BYTES_A_PIXEL = 12
DESIGN = "studio"
# Source: proc(5), clear_refs: this value resets the peak resident size to the current one.
_CLEAR_REFS, _RESET_PEAK = Path("/proc/self/clear_refs"), "5"


def measure() -> list[figures.Figure]:
    """Return times by size and format, ratios to the floor and between edges, and memory."""
    cv2.setNumThreads(1)
    resources.limit_native_threads()
    results = []
    for size, side in SIDES.items():
        for format_ in (Format.JPG, Format.PNG):
            results += _times(size, side, format_)
    return [*results, _memory()]


def _times(size: str, side: int, format_: Format) -> list[figures.Figure]:
    fast = _job(side, Edge.FAST, format_)
    balanced = _job(side, Edge.BALANCED, format_)
    floor = _floor(fast, format_)
    runs: dict[str, list[float]] = {"fast": [], "balanced": [], "floor": []}
    for _ in range(ROUNDS + 1):
        runs["floor"].append(_ms(floor))
        runs["fast"].append(_ms(lambda: stage.run(_models(), [fast])))
        runs["balanced"].append(_ms(lambda: stage.run(_models(), [balanced])))
    # The first round draws the design, which is cached for the next photo of an album.
    fresh = {name: samples[1:] for name, samples in runs.items()}
    what = f"composite, {size}, {format_}"
    pairs = list(zip(fresh["fast"], fresh["balanced"], fresh["floor"], strict=True))
    return [
        figures.Figure(
            name=f"{what}, edge=fast",
            unit="ms",
            samples=fresh["fast"],
            goal=GOALS_MS[size, format_],
        ),
        figures.Figure(
            name=f"{what}, of the floor",
            unit="×",
            samples=[fast / floor for fast, _, floor in pairs],
        ),
        figures.Figure(
            name=f"{what}, balanced of fast",
            unit="×",
            samples=[balanced / fast for fast, balanced, _ in pairs],
            goal=MOST_OF_FAST,
        ),
    ]


def _job(side: int, edge: Edge, format_: Format) -> stage.Inputs:
    design = Background(BackgroundKind.PRESET, DESIGN)
    return as_job(Recipe(background=design, edge=edge, format=format_), side=side)


def _floor(job: stage.Inputs, format_: Format) -> Callable[[], object]:
    """Return a function that does the least work for a picture of this size."""
    photo = job.photo.srgb
    size = (photo.shape[1], photo.shape[0])
    assert job.segmented is not None
    small = job.segmented.matte

    def run_floor() -> object:
        alpha = cv2.resize(small, size, interpolation=cv2.INTER_LINEAR)
        ground = np.full_like(photo, 128)
        cv2.copyTo(photo, cv2.inRange(alpha, 128, 255), ground)
        if format_ == Format.PNG:
            return images.encode_png(ground)
        return images.encode_jpeg(ground, quality=90)

    return run_floor


def _ms(run: Callable[[], object]) -> float:
    began = time.thread_time()
    run()
    return 1000 * (time.thread_time() - began)


def _memory() -> figures.Figure:
    """Return the peak memory of compositing 12 megapixels, each sample in a new process."""
    command = [sys.executable, "-m", __spec__.name, "height"]
    grown = [
        float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        for _ in range(3)
    ]
    return figures.Figure(
        name="composite, 12 MP, memory over the decoded photo",
        unit="bytes/px",
        samples=grown,
        goal=MOST_BYTES_A_PIXEL,
    )


def _models() -> stage.Models:
    """Return the stage's models, which have learned no edge yet."""
    return {"composite": layers.load(Path())}


def _print_peak_memory() -> None:
    cv2.setNumThreads(1)
    resources.limit_native_threads()
    models = _models()
    stage.run(models, [_job(64, Edge.BALANCED, Format.JPG)])  # so the memory of code does not count
    job = _job(SIDE_OF_12_MP, Edge.BALANCED, Format.JPG)
    _CLEAR_REFS.write_text(_RESET_PEAK)
    before = _kilobytes("VmRSS")
    stage.run(models, [job])
    print((_kilobytes("VmHWM") - before) * 1024 / SIDE_OF_12_MP**2)


def _kilobytes(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1])


if __name__ == "__main__":
    if sys.argv[1:] == ["height"]:
        _print_peak_memory()
    else:
        figures.print_figures(measure())
