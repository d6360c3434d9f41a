"""Files: what encoders take and give, fast and small, and what a limit of bytes costs.

python -m benchmarks.files

One thread; the portrait of the tests, a megapixel of it, before designs of every eighth name; and
fifty megapixels of it with grain, each in a process of its own.
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
from smart_filter_workers import images, native_threads
from smart_filter_workers.backgrounds import library
from smart_filter_workers.images import Manner
from smart_filter_workers.results import Encoded, Srgb8

FORMATS = ("jpg", "webp", "avif", "png")
LIMITS = {"jpg": 60_000, "webp": 30_000, "avif": 30_000, "png": 200_000}
PICTURES = 6
LARGE_SIDE, GRAIN = 7071, 4
# Source: proc(5), clear_refs: what sets the highest resident size back to the present one.
_CLEAR, _FORGET_THE_HEIGHT = Path("/proc/self/clear_refs"), "5"


def measure() -> list[figures.Figure]:
    """Return milliseconds and bytes by format, effort and limit."""
    cv2.setNumThreads(1)
    native_threads.one_per_call()
    pictures = list(_pictures())
    found = []
    for format_ in FORMATS:
        for small in (False, True):
            manner = Manner(format_, small=small)
            what = f"{format_}, {'small' if small else 'fast'}"
            found += _figures(what, [partial(images.encode, one, manner) for one in pictures])
        most = LIMITS[format_]
        limited = partial(images.fitted, manner=Manner(format_), most_bytes=most)
        what = f"{format_} of at most {most // 1000} kB"
        found += _figures(what, [partial(limited, one) for one in pictures])
    return [*found, *(_height(one, small) for one in FORMATS for small in (False, True))]


def _height(format_: str, small: bool) -> figures.Figure:  # noqa: FBT001 - of one caller
    effort = "small" if small else "fast"
    command = [sys.executable, "-m", __spec__.name, format_, effort]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return figures.Figure(
        name=f"{format_}, {effort}, 50 MP, memory", unit="MB", samples=[float(told)]
    )


def _tell_height(format_: str, effort: str) -> None:
    cv2.setNumThreads(1)
    native_threads.one_per_call()
    picture = cv2.resize(a_portrait(SIDE_OF_1_MP).srgb, (LARGE_SIDE, LARGE_SIDE))
    large = picture.astype(np.uint8, copy=False)
    random = np.random.default_rng(1)
    for row in large:  # a large picture's grain at once would be the height
        row[:] = np.clip(row + random.normal(0, GRAIN, (LARGE_SIDE, 1)), 0, 255)
    _CLEAR.write_text(_FORGET_THE_HEIGHT)
    before = _megabytes("VmRSS")
    images.encode(large, Manner(format_, small=effort == "small"))
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


def _figures(what: str, runs: list[Callable[[], Encoded]]) -> list[figures.Figure]:
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
        _tell_height(*sys.argv[1:])
    else:
        figures.tell(measure())
