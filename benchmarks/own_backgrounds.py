"""Measure the processor time of each step of picture backgrounds, without servers.

PYTHONPATH=tests python -m benchmarks.own_backgrounds
"""

import time
from collections.abc import Callable
from functools import partial

import cv2

from benchmarks import figures
from smart_filter_shared.presets import PICTURE, Mood, Preset
from smart_filter_shared.rating import SmileLevel
from smart_filter_tests.subjects import a_subject, mood_of
from smart_filter_workers import images, resampling
from smart_filter_workers.backgrounds import appearance, library
from smart_filter_workers.backgrounds.choice import selection
from smart_filter_workers.backgrounds.library import Collection, DesignSource, StockSource
from smart_filter_workers.results import Srgb8
from smart_filter_workers.system import resources

ROUNDS = 9
FRAMES = ((1155, 866), (2400, 1600), (4000, 3000), (3000, 4000))
KEPT_PX = 4096


def measure() -> list[figures.Figure]:
    """Return the times of describing, fetching, filling a frame and choosing."""
    cv2.setNumThreads(1)
    resources.limit_native_threads()
    picture = _like_a_photo(4000, 3000)
    results = [_figure("look at 12 MP, once", partial(appearance.describe, picture))]
    for width, height in ((4000, 3000), (8660, 5773)):
        file = images.encode_jpeg(_like_a_photo(width, height), quality=90).content
        results.append(_figure(f"fetch {width}x{height}", partial(_decode_and_shrink, file)))
    library = _with_pictures(1, picture)
    for width, height in FRAMES:
        fill = partial(library.draw, "tenant/p0", seed=3, width=width, height=height)
        results.append(_figure(f"12 MP fills {width}x{height}", fill))
    for count in (0, 100, 1000):
        presets = _with_pictures(count, picture).presets
        results.append(_figure(f"choose among {len(presets)}", partial(_choose, presets)))
    return results


def _like_a_photo(width: int, height: int) -> Srgb8:
    return library.draw("misty-mountains", seed=1, width=width, height=height)


def _decode_and_shrink(file: bytes) -> Srgb8:
    """Return a file's picture, shrunk to the size that a worker keeps."""
    return resampling.shrink(images.decode(file).srgb, longest_side=KEPT_PX)


def _with_pictures(count: int, picture: Srgb8) -> Collection:
    described = appearance.describe(picture)
    pictures = [
        Preset(
            *(f"tenant/p{number}", "P", PICTURE, ("fog",), (Mood.CALM,)),
            *(described.palette, described.brightness),
            impression=described.impression,
        )
        for number in range(count)
    ]
    return Collection((DesignSource(), StockSource(pictures, lambda _: picture)))


def _choose(presets: tuple[Preset, ...]) -> object:
    """Return what `auto` chooses for one person with a huge smile."""
    return selection.choose_preset(mood_of(SmileLevel.HUGE), a_subject(), seed=1, among=presets)


def _figure(name: str, step: Callable[[], object]) -> figures.Figure:
    samples = []
    for _ in range(ROUNDS + 1):
        began = time.thread_time()
        step()
        samples.append((time.thread_time() - began) * 1000)
    return figures.Figure(name=name, unit="ms", samples=samples[1:])


if __name__ == "__main__":
    figures.print_figures(measure())
