"""Measure the processor time that decoding in a locked child process adds to a photo.

python -m benchmarks.decoding

Each JPEG is decoded in this process and in the child, one after the other, in alternating order; a
sample is the difference of such a pair. The time of both processes counts.
"""

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from itertools import islice

from benchmarks import figures, photos
from smart_filter_deploy.embedded.child_processes import process_tree
from smart_filter_workers import images
from smart_filter_workers.decoder.pool import DecoderPool
from smart_filter_workers.results import Photo
from smart_filter_workers.system import resources

# Sides in pixels, by their name, with the goal for the difference in milliseconds.
_SIZES = {"1 MP": (photos.SIDE_OF_1_MP, 3.0), "12 MP": (photos.SIDE_OF_12_MP, None)}
_ROUNDS = 30


def measure() -> list[figures.Figure]:
    """Return the time of both ways, and their difference, for each size."""
    resources.configure_malloc()
    resources.limit_native_threads()
    results = []
    with contextlib.closing(DecoderPool()) as decoder:
        decoder.start()
        start_ms = 1000 * sum(map(_used_seconds, process_tree(os.getpid())[1:]))
        results.append(figures.Figure(name="start of a child", unit="ms", samples=[start_ms]))
        for name, (side_px, goal) in _SIZES.items():
            within, apart = _measure_pairs(decoder, list(islice(photos.selfies(side_px), 3)))
            added = [outside - inside for inside, outside in zip(within, apart, strict=True)]
            results += [
                figures.Figure(name=f"{name}: in the process", unit="ms", samples=within),
                figures.Figure(name=f"{name}: in the child", unit="ms", samples=apart),
                figures.Figure(name=f"{name}: added", unit="ms", samples=added, goal=goal),
            ]
    return results


def _measure_pairs(decoder: DecoderPool, files: list[bytes]) -> tuple[list[float], list[float]]:
    """Return the milliseconds of each round, in this process and in the child."""
    processes = process_tree(os.getpid())
    within, apart = [], []
    for number in range(-2, _ROUNDS):
        file = files[number % len(files)]
        if number % 2:
            within_ms, apart_ms = (
                _time(processes, images.decode, file),
                _time(processes, decoder.decode, file),
            )
        else:
            apart_ms, within_ms = (
                _time(processes, decoder.decode, file),
                _time(processes, images.decode, file),
            )
        if number >= 0:
            within.append(within_ms)
            apart.append(apart_ms)
    return within, apart


def _time(processes: Sequence[int], decode: Callable[[bytes], Photo], file: bytes) -> float:
    """Return the processor time of the processes, in milliseconds."""
    before = sum(map(_used_seconds, processes))
    # Reading the pixels counts: those of the child may still have to be mapped.
    decode(file).srgb.max()
    return 1000 * (sum(map(_used_seconds, processes)) - before)


def _used_seconds(pid: int) -> float:
    # The clock of a process.  Source: CPUCLOCK_SCHED of the kernel's posix-timers.h
    return time.clock_gettime(~pid << 3 | 2)


if __name__ == "__main__":
    figures.print_figures(measure())
