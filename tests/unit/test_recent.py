"""Memory, rings and threads of a worker: what it keeps is bounded and fetched once."""

import ctypes
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import AvifImagePlugin

from smart_filter_shared.ids import Capability
from smart_filter_workers import native_threads
from smart_filter_workers.recent import Recent
from smart_filter_workers.runner import without


def test_hits_leave_nothing_behind() -> None:
    recent = Recent(most_bytes=1)
    keys = [f"key {number}" for number in range(1000)]
    recent.put("before", "value", 1)
    before = held(recent)

    for key in keys:
        recent.put(key, "value", 1)
        recent.get(key, lambda: ("another", 1))

    assert held(recent) == before


def test_threads_that_miss_the_same_key_wait_for_one_fetch() -> None:
    recent, began, go_on = Recent(most_bytes=10), threading.Event(), threading.Event()
    fetched: list[int] = []

    def fetch() -> tuple[str, int]:
        fetched.append(1)
        began.set()
        go_on.wait(60)
        return "value", 1

    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(recent.get, "key", fetch) for _ in range(4)]
        assert began.wait(60)
        go_on.set()
        found = [one.result() for one in asked]

    assert (found, len(fetched)) == (["value"] * 4, 1)


def held(recent: Recent) -> int:
    """Return how many entries its dictionaries hold, whatever they are for."""
    return sum(len(one) for one in vars(recent).values() if hasattr(one, "__len__"))


FACE, SEGMENTATION = Capability("face.a"), Capability("segmentation.a")


@pytest.mark.parametrize(
    ("ready", "taken", "rung"),
    [
        ([FACE], [FACE], []),
        ([FACE, SEGMENTATION], [FACE], [SEGMENTATION]),
        ([FACE, FACE, FACE], [FACE], [FACE, FACE]),
        ([FACE], [SEGMENTATION], [FACE]),
        ([FACE], [], [FACE]),
        ([FACE], [FACE, FACE], []),
    ],
)
def test_row_taken_from_a_capability_spares_one_ring_of_it(
    ready: list[Capability], taken: list[Capability], rung: list[Capability]
) -> None:
    assert without(ready, taken) == rung


def test_no_library_keeps_helpers() -> None:
    cv2.setNumThreads(2)
    libraries = (Path(np.__file__).parents[1] / "numpy.libs").glob("*openblas*")
    blas = [ctypes.CDLL(str(path)) for path in libraries]
    for library in blas:
        library.scipy_openblas_set_num_threads64_(2)

    obeyed = native_threads.one_per_call()

    assert cv2.getNumThreads() == 1
    assert AvifImagePlugin.DEFAULT_MAX_THREADS == 1
    assert obeyed >= len(blas)
    assert {library.scipy_openblas_get_num_threads64_() for library in blas} <= {1}
