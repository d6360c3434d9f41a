"""Measure the processor time of drawing each background, by family.

python -m benchmarks.backgrounds [NAME…]
"""

import sys
import time
from collections.abc import Sequence

import cv2

from benchmarks import figures
from smart_filter_shared.presets import PRESETS, Preset
from smart_filter_workers.backgrounds import library
from smart_filter_workers.system import resources

ROUNDS = 5
SIZES = ((1200, 834), (4000, 3000))
MOST_MS_A_MEGAPIXEL = 30


def measure(names: Sequence[str] = ()) -> list[figures.Figure]:
    """Return the slowest design of each family at 1 and 12 megapixels, or the named designs."""
    cv2.setNumThreads(1)
    resources.limit_native_threads()
    results = []
    for width, height in SIZES:
        slowest: dict[str, figures.Figure] = {}
        for preset in PRESETS:
            if names and preset.name not in names:
                continue
            figure = _figure(preset, width, height)
            group = preset.name if names else preset.family
            if group not in slowest or slowest[group].median < figure.median:
                slowest[group] = figure
        results += sorted(slowest.values(), key=lambda figure: figure.median)
    return results


def _figure(preset: Preset, width: int, height: int) -> figures.Figure:
    megapixels = width * height / 1e6
    samples = []
    for seed in range(ROUNDS + 1):
        began = time.thread_time()
        library.draw_uncached(preset.name, seed=seed, width=width, height=height)
        samples.append((time.thread_time() - began) * 1000 / megapixels)
    name = f"{preset.family}: {preset.name}, {megapixels:.0f} MP"
    # The first round loads the family's file.
    return figures.Figure(name=name, unit="ms/MP", samples=samples[1:], goal=MOST_MS_A_MEGAPIXEL)


if __name__ == "__main__":
    figures.print_figures(measure(sys.argv[1:]))
