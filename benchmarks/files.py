"""Measure the time and size of each encoder, fast and small, and the cost of a limit of bytes.

python -m benchmarks.files

One thread encodes the tests' portrait at one megapixel, on every eighth design. Memory is measured
at fifty megapixels with grain, each encoding in a new process.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from benchmarks import figures
from benchmarks.photos import SIDE_OF_1_MP
from smart_filter_shared.presets import PRESETS
from smart_filter_tests.portrait import a_portrait
from smart_filter_workers import images
from smart_filter_workers.backgrounds import library
from smart_filter_workers.images import EncodingOptions
from smart_filter_workers.results import EncodedFile, Srgb8
from smart_filter_workers.system import resources

FORMATS = ("jpg", "webp", "avif", "png")
LIMITS = {"jpg": 60_000, "webp": 30_000, "avif": 30_000, "png": 200_000}
PICTURES = 6
LARGE_SIDE, GRAIN = 7071, 4
# Source: proc(5), clear_refs: this value resets the peak resident size to the current one.
_CLEAR_REFS, _RESET_PEAK = Path("/proc/self/clear_refs"), "5"


def measure() -> list[figures.Figure]:
    """Return times and sizes by format, effort and limit, and peak memory."""
    cv2.setNumThreads(1)
    resources.limit_native_threads()
    pictures = list(_pictures())
    results = []
    for format_ in FORMATS:
        for small in (False, True):
            options = EncodingOptions(format_, small=small)
            what = f"{format_}, {'small' if small else 'fast'}"
            results += _figures(
                what, [partial(images.encode, picture, options) for picture in pictures]
            )
        most = LIMITS[format_]
        limited = partial(images.encode_to_fit, manner=EncodingOptions(format_), most_bytes=most)
        what = f"{format_} of at most {most // 1000} kB"
        results += _figures(what, [partial(limited, picture) for picture in pictures])
    return [
        *results,
        *(_peak_memory(format_, small) for format_ in FORMATS for small in (False, True)),
    ]


def _peak_memory(format_: str, small: bool) -> figures.Figure:  # noqa: FBT001 - it has one caller
    effort = "small" if small else "fast"
    command = [sys.executable, "-m", __spec__.name, format_, effort]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return figures.Figure(
        name=f"{format_}, {effort}, 50 MP, memory", unit="MB", samples=[float(printed)]
    )


def _print_peak_memory(format_: str, effort: str) -> None:
    cv2.setNumThreads(1)
    resources.limit_native_threads()
    picture = cv2.resize(a_portrait(SIDE_OF_1_MP).srgb, (LARGE_SIDE, LARGE_SIDE))
    large = picture.astype(np.uint8, copy=False)
    random = np.random.default_rng(1)
    for row in large:  # the grain of the whole picture at once would set the peak
        row[:] = np.clip(row + random.normal(0, GRAIN, (LARGE_SIDE, 1)), 0, 255)
    _CLEAR_REFS.write_text(_RESET_PEAK)
    before = _megabytes("VmRSS")
    images.encode(large, EncodingOptions(format_, small=effort == "small"))
    print(_megabytes("VmHWM") - before)


def _megabytes(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) / 1024


def _pictures() -> Iterator[Srgb8]:
    portrait = a_portrait(SIDE_OF_1_MP)
    size = (SIDE_OF_1_MP, SIDE_OF_1_MP)
    matte = cv2.resize(portrait.segmented.matte, size)[..., np.newaxis] / 255
    for preset in PRESETS[::8][:PICTURES]:
        behind = library.draw(preset.name, seed=1, width=size[0], height=size[1])
        yield (portrait.srgb * matte + behind * (1 - matte) + 0.5).astype(np.uint8)


def _figures(what: str, runs: list[Callable[[], EncodedFile]]) -> list[figures.Figure]:
    times, sizes = [], []
    for run in runs:
        began = time.thread_time()
        encoded = run()
        times.append(1000 * (time.thread_time() - began))
        sizes.append(len(encoded.content) / 1000)
    return [
        figures.Figure(name=what, unit="ms", samples=times),
        figures.Figure(name=what, unit="kB", samples=sizes),
    ]


if __name__ == "__main__":
    if sys.argv[1:]:
        _print_peak_memory(*sys.argv[1:])
    else:
        figures.print_figures(measure())
