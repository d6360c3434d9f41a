"""One forward pass for a batch; when it raises, smaller ones, so that only the guilty fail."""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from smart_filter_shared.telemetry.logs import logger

Task = TypeVar("Task")
Answer = TypeVar("Answer")

# How torch and TensorFlow call it when a device's memory is spent: their classes are not ours
# to import. ONNX Runtime and older CUDA libraries only say it in words.
_CLASSES: Final = frozenset({"OutOfMemoryError", "ResourceExhaustedError"})
_WORDS: Final = ("out of memory", "failed to allocate", "insufficient memory", "bad_alloc")
# Whose errors are believed to speak of memory when they use such words.
_LIBRARIES: Final = frozenset({"cv2", "onnxruntime", "tensorflow", "torch"})
_log = logger("runner")


def pass_by_pass(
    tasks: Sequence[Task],
    run: Callable[[Sequence[Task]], list[Answer]],
    *,
    alone: Callable[[Task, Callable[[], Answer]], Answer | None],
    relieve: Callable[[], None],
) -> list[Answer]:
    """Run a batch, in one pass if it can be, and return the answers of those that got through.

    run: one pass over some tasks.  alone: settles what a single task raises.
    relieve: makes room after memory ran out.
    """
    if len(tasks) == 1:
        answer = alone(tasks[0], lambda: _again_with_room(tasks[0], run, relieve))
        return [] if answer is None else [answer]
    try:
        return run(tasks)
    except Exception as error:  # noqa: BLE001 - whose fault it was is found out below
        if not is_out_of_memory(error):
            _log.info("batch raised, running it one by one", size=len(tasks), reason=str(error))
            parts = [[task] for task in tasks]
        else:
            _log.warning("out of memory, splitting the batch", size=len(tasks))
            relieve()
            parts = [list(tasks[: len(tasks) // 2]), list(tasks[len(tasks) // 2 :])]
    return [
        answer for part in parts for answer in pass_by_pass(part, run, alone=alone, relieve=relieve)
    ]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory, the machine's or a device's, did not suffice."""
    if isinstance(error, MemoryError):
        return True
    if {kind.__name__ for kind in type(error).__mro__} & _CLASSES:
        return True
    library = type(error).__module__.partition(".")[0]
    is_theirs = isinstance(error, RuntimeError) or library in _LIBRARIES
    return is_theirs and any(words in str(error).lower() for words in _WORDS)


def _again_with_room(
    task: Task, run: Callable[[Sequence[Task]], list[Answer]], relieve: Callable[[], None]
) -> Answer:
    try:
        return run([task])[0]
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        _log.warning("out of memory on one photo, trying once more")
        relieve()
    return run([task])[0]
