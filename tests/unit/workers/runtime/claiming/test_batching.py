import ctypes
import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import AvifImagePlugin

from smart_filter_shared.ids import Capability
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.rating import SmileLevel
from smart_filter_shared.results import Smile, Smiles
from smart_filter_shared.storage.objects import ObjectStore
from smart_filter_tests.unlocked_decoders import UnlockedDecoders
from smart_filter_wire.findings import Eyes
from smart_filter_workers.artifacts.store import ArtifactStore
from smart_filter_workers.fetcher import Fetcher
from smart_filter_workers.networks.runtimes import onnx_network
from smart_filter_workers.runtime.claiming.batching import is_out_of_memory, run_in_passes
from smart_filter_workers.runtime.runner import exclude_claimed
from smart_filter_workers.stock.tenant_backgrounds import TenantBackgrounds
from smart_filter_workers.system import resources
from smart_filter_workers.system.lru_cache import LruCache
from unit.job_rows import a_job_row

RuntimeException = onnx_network.load_library().capi.onnxruntime_pybind11_state.RuntimeException


class OutOfMemoryError(RuntimeError):
    """Has the name of torch's exception."""


class Pass:
    """A model with memory for a number of photos; some photos make it fail."""

    def __init__(self, capacity: int, guilty: Sequence[int] = ()) -> None:
        self.capacity = capacity
        self.guilty = guilty
        self.sizes: list[int] = []
        self.relieved = 0
        self.failed: list[int] = []

    def __call__(self, tasks: Sequence[int]) -> None:
        self.sizes.append(len(tasks))
        if len(tasks) > self.capacity:
            raise OutOfMemoryError("CUDA out of memory")
        if set(tasks) & set(self.guilty):
            raise ValueError("cannot be run")

    def relieve(self) -> None:
        self.relieved += 1

    def run(self, *tasks: int) -> list[int]:
        """Return the tasks that succeeded."""
        ran = run_in_passes(tasks, self, relieve=self.relieve)
        self.failed = [task for task, error in ran if error is not None]
        return [task for task, error in ran if error is None]


def test_batch_that_is_too_large_is_halved_until_it_fits() -> None:
    model = Pass(capacity=2)

    assert model.run(1, 2, 3, 4, 5) == [1, 2, 3, 4, 5]
    assert model.sizes == [5, 2, 3, 1, 2]
    assert model.relieved == 2
    assert model.failed == []


def test_one_bad_photo_fails_alone() -> None:
    model = Pass(capacity=8, guilty=[2])

    assert model.run(1, 2, 3) == [1, 3]
    assert model.failed == [2]


def test_photo_that_never_fits_is_tried_once_more_with_memory_and_fails_alone() -> None:
    model = Pass(capacity=0)

    assert model.run(1, 2) == []
    assert model.failed == [1, 2]
    assert model.sizes == [2, 1, 1, 1, 1]


@pytest.mark.parametrize("photos", [1, 2])
def test_arrays_of_a_failed_pass_are_free_before_the_next_one(photos: int) -> None:
    held: list[weakref.ref[NDArray[np.float32]]] = []
    held_at_relief: list[bool] = []

    def fail(_tasks: Sequence[int]) -> None:
        array = np.zeros(10, np.float32)
        held.append(weakref.ref(array))
        raise OutOfMemoryError("CUDA out of memory")

    def relieve() -> None:
        held_at_relief.append(any(reference() is not None for reference in held))

    run_in_passes(range(photos), fail, relieve=relieve)

    assert held_at_relief
    assert not any(held_at_relief)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (OutOfMemoryError("whatever"), True),
        (RuntimeError("[ONNXRuntimeError] : Failed to allocate memory for requested buffer"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (cv2.error("OpenCV(4.11) alloc.cpp:73: error: (-4:Insufficient memory) …"), True),
        (RuntimeException("[ONNXRuntimeError] : 6 : std::bad_alloc"), True),
        (RuntimeException("[ONNXRuntimeError] : 2 : shapes do not match"), False),
        (RuntimeError("shapes do not match"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_out_of_memory_is_recognized(error: Exception, expected: bool) -> None:  # noqa: FBT001
    assert is_out_of_memory(error) is expected


def test_threads_that_miss_the_same_key_wait_for_one_fetch() -> None:
    recent, began, go_on = LruCache(most_bytes=10), threading.Event(), threading.Event()
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
        values = [future.result() for future in asked]

    assert (values, len(fetched)) == (["value"] * 4, 1)


FACE, SEGMENTATION = Capability("face.a"), Capability("segmentation.a")


@pytest.mark.parametrize(
    ("ready", "claimed", "rung"),
    [
        ([FACE], [FACE], []),
        ([FACE, SEGMENTATION], [FACE], [SEGMENTATION]),
        ([FACE, FACE, FACE], [FACE], [FACE, FACE]),
        ([FACE], [SEGMENTATION], [FACE]),
        ([FACE], [], [FACE]),
        ([FACE], [FACE, FACE], []),
    ],
)
def test_claimed_row_saves_one_ring_of_its_capability(
    ready: list[Capability], claimed: list[Capability], rung: list[Capability]
) -> None:
    assert exclude_claimed(ready, claimed) == rung


def test_no_library_runs_threads_of_its_own() -> None:
    cv2.setNumThreads(2)
    libraries = (Path(np.__file__).parents[1] / "numpy.libs").glob("*openblas*")
    blas = [ctypes.CDLL(str(path)) for path in libraries]
    for library in blas:
        library.scipy_openblas_set_num_threads64_(2)

    obeyed = resources.limit_native_threads()

    assert cv2.getNumThreads() == 1
    assert AvifImagePlugin.DEFAULT_MAX_THREADS == 1
    assert obeyed >= len(blas)
    assert {library.scipy_openblas_get_num_threads64_() for library in blas} <= {1}


RATED = {
    "smiles": [{"level": "huge", "score": 0.9}],
    "eyes": [{"left_open": True, "right_open": None}],
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """The inputs of a stage that reads only smiles."""

    smiles: Smiles | None


def read(facts: dict[str, Any]) -> Smiles | None:
    """Read the smiles of a job back; none of them are in storage."""
    # No test here reads storage or backgrounds.
    artifacts = ArtifactStore(
        cast("ObjectStore", None),
        LruCache(0),
        cast("TenantBackgrounds", None),
        cast("Fetcher", None),
        UnlockedDecoders(),
    )
    return artifacts.load(a_job_row({StageName.SMILE: facts}), Wanted).smiles


def test_fact_that_was_not_stored_has_its_default() -> None:
    assert read(RATED) == Smiles(
        (Smile(SmileLevel.HUGE, 0.9, None),), (Eyes(left_open=True, right_open=None),)
    )


def test_cache_hits_store_no_entries() -> None:
    recent = LruCache(most_bytes=1)
    keys = [f"key {number}" for number in range(1000)]
    recent.put("before", "value", 1)
    before = count_entries(recent)

    for key in keys:
        recent.put(key, "value", 1)
        recent.get(key, lambda: ("another", 1))

    assert count_entries(recent) == before


def count_entries(recent: LruCache) -> int:
    """Return the number of entries in all of its dictionaries."""
    return sum(len(value) for value in vars(recent).values() if hasattr(value, "__len__"))
