"""Backgrounds: the processor time that drawing each takes, by family.

python -m benchmarks.backgrounds [NAME…]
"""

import sys
import time
from collections.abc import Sequence

import cv2

from benchmarks import figures
from smart_filter_shared.presets import PRESETS, Preset
from smart_filter_workers import native_threads
from smart_filter_workers.backgrounds import library

ROUNDS = 5
SIZES = ((1200, 834), (4000, 3000))
MOST_MS_A_MEGAPIXEL = 30


def measure(names: Sequence[str] = ()) -> list[figures.Figure]:
    """Return each family's dearest design at 1 and at 12 megapixels; or the designs named."""
    cv2.setNumThreads(1)
    native_threads.one_per_call()
    found = []
    for width, height in SIZES:
        dearest: dict[str, figures.Figure] = {}
        for preset in PRESETS:
            if names and preset.name not in names:
                continue
            figure = _figure(preset, width, height)
            group = preset.name if names else preset.family
            if group not in dearest or dearest[group].median < figure.median:
                dearest[group] = figure
        found += sorted(dearest.values(), key=lambda figure: figure.median)
    return found


def _figure(preset: Preset, width: int, height: int) -> figures.Figure:
    megapixels = width * height / 1e6
    samples = []
    for seed in range(ROUNDS + 1):
        began = time.thread_time()
        library.draw_anew(preset.name, seed=seed, width=width, height=height)
        samples.append((time.thread_time() - began) * 1000 / megapixels)
    name = f"{preset.family}: {preset.name}, {megapixels:.0f} MP"
    # The first round loads the family's file.
    return figures.Figure(name=name, unit="ms/MP", samples=samples[1:], goal=MOST_MS_A_MEGAPIXEL)


if __name__ == "__main__":
    figures.tell(measure(sys.argv[1:]))
