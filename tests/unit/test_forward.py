"""A batch that raises is made smaller until only the guilty fail."""

from collections.abc import Callable, Sequence

import cv2
import pytest

from smart_filter_workers.forward import is_out_of_memory, pass_by_pass
from smart_filter_workers.networks import onnx_runtime

RuntimeException = onnx_runtime.load().capi.onnxruntime_pybind11_state.RuntimeException


class OutOfMemoryError(RuntimeError):
    """As torch names its own."""


class Pass:
    """A model with room for so many photos, which some photos break."""

    def __init__(self, room: int, guilty: Sequence[int] = ()) -> None:
        self.room = room
        self.guilty = guilty
        self.sizes: list[int] = []
        self.relieved = 0
        self.failed: list[int] = []

    def __call__(self, tasks: Sequence[int]) -> list[int]:
        self.sizes.append(len(tasks))
        if len(tasks) > self.room:
            raise OutOfMemoryError("CUDA out of memory")
        if set(tasks) & set(self.guilty):
            raise ValueError("cannot be run")
        return [10 * task for task in tasks]

    def alone(self, task: int, run: Callable[[], int]) -> int | None:
        try:
            return run()
        except Exception:  # noqa: BLE001 - as the runner's own
            self.failed.append(task)
            return None

    def relieve(self) -> None:
        self.relieved += 1

    def run(self, *tasks: int) -> list[int]:
        return pass_by_pass(tasks, self, alone=self.alone, relieve=self.relieve)


def test_batch_that_is_too_large_is_halved_until_it_fits() -> None:
    model = Pass(room=2)

    assert model.run(1, 2, 3, 4, 5) == [10, 20, 30, 40, 50]
    assert model.sizes == [5, 2, 3, 1, 2]
    assert model.relieved == 2
    assert model.failed == []


def test_one_bad_photo_fails_alone() -> None:
    model = Pass(room=8, guilty=[2])

    assert model.run(1, 2, 3) == [10, 30]
    assert model.failed == [2]


def test_photo_that_never_fits_is_tried_once_more_with_room_and_fails_alone() -> None:
    model = Pass(room=0)

    assert model.run(1, 2) == []
    assert model.failed == [1, 2]
    assert model.sizes == [2, 1, 1, 1, 1]


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
def test_out_of_memory_is_recognised(error: Exception, expected: bool) -> None:  # noqa: FBT001
    assert is_out_of_memory(error) is expected
