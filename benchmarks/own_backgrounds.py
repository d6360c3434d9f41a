"""Backgrounds that are pictures: the processor time that each step takes, without servers.

PYTHONPATH=tests python -m benchmarks.own_backgrounds
"""

import time
from collections.abc import Callable
from functools import partial

import cv2

from benchmarks import figures
from smart_filter_shared.presets import PICTURE, Mood, Preset
from smart_filter_shared.rating import SmileLevel
from smart_filter_tests.sitting import feeling, some_sitters
from smart_filter_workers import images, native_threads
from smart_filter_workers.backgrounds import appearance, choose, library
from smart_filter_workers.backgrounds.collection import Collection
from smart_filter_workers.backgrounds.sources.generated import Generated
from smart_filter_workers.backgrounds.sources.stock import Stock
from smart_filter_workers.results import Srgb8

ROUNDS = 9
FRAMES = ((1155, 866), (2400, 1600), (4000, 3000), (3000, 4000))
KEPT_PX = 4096


def measure() -> list[figures.Figure]:
    """Return what taking in, fetching, filling a frame and choosing take."""
    cv2.setNumThreads(1)
    native_threads.one_per_call()
    picture = _like_a_photo(4000, 3000)
    found = [_figure("look at 12 MP, once", partial(appearance.of, picture))]
    for width, height in ((4000, 3000), (8660, 5773)):
        file = images.encode_jpeg(_like_a_photo(width, height), quality=90).content
        found.append(_figure(f"fetch {width}x{height}", partial(_fetched, file)))
    one = _with_pictures(1, picture)
    for width, height in FRAMES:
        fill = partial(one.draw, "tenant/p0", seed=3, width=width, height=height)
        found.append(_figure(f"12 MP fills {width}x{height}", fill))
    for count in (0, 100, 1000):
        presets = _with_pictures(count, picture).presets
        found.append(_figure(f"choose among {len(presets)}", partial(_chosen, presets)))
    return found


def _like_a_photo(width: int, height: int) -> Srgb8:
    return library.draw("misty-mountains", seed=1, width=width, height=height)


def _fetched(file: bytes) -> Srgb8:
    """Decode a file to what a worker keeps of it."""
    return images.shrink(images.decode(file).srgb, longest_side=KEPT_PX)


def _with_pictures(count: int, picture: Srgb8) -> Collection:
    seen = appearance.of(picture)
    pictures = [
        Preset(
            *(f"tenant/p{number}", "P", PICTURE, ("fog",), (Mood.CALM,)),
            *(seen.palette, seen.brightness),
            impression=seen.impression,
        )
        for number in range(count)
    ]
    return Collection((Generated(), Stock(pictures, lambda _: picture)))


def _chosen(presets: tuple[Preset, ...]) -> object:
    """Choose as `auto` does, for one person who beams."""
    return choose.choose(feeling(SmileLevel.HUGE), some_sitters(), seed=1, among=presets)


def _figure(name: str, step: Callable[[], object]) -> figures.Figure:
    samples = []
    for _ in range(ROUNDS + 1):
        began = time.thread_time()
        step()
        samples.append((time.thread_time() - began) * 1000)
    return figures.Figure(name=name, unit="ms", samples=samples[1:])


if __name__ == "__main__":
    figures.tell(measure())
