"""Run a batch in one forward pass; split it when the pass raises, so only the cause fails."""

import traceback
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from smart_filter_shared.telemetry.logs import logger

Task = TypeVar("Task")

# Names of the out-of-memory errors of torch and TensorFlow. Their classes cannot be imported
# here. ONNX Runtime and older CUDA libraries report it only in the message.
_MEMORY_ERROR_CLASSES: Final = frozenset({"OutOfMemoryError", "ResourceExhaustedError"})
_MEMORY_ERROR_WORDS: Final = (
    "out of memory",
    "failed to allocate",
    "insufficient memory",
    "bad_alloc",
)
# Libraries whose error messages may be searched for these words.
_TRUSTED_LIBRARIES: Final = frozenset({"cv2", "onnxruntime", "tensorflow", "torch"})
_log = logger("runner")


def run_in_passes(
    tasks: Sequence[Task], run: Callable[[Sequence[Task]], None], *, relieve: Callable[[], None]
) -> list[tuple[Task, Exception | None]]:
    """Run a batch, in one pass if possible; return each task with what it raised when run alone.

    run: one pass over the given tasks.  relieve: frees memory after an out-of-memory error.
    """
    if not tasks:
        return []
    error = _run_pass(tasks, run)
    if error is None:
        return [(task, None) for task in tasks]
    if len(tasks) == 1:
        return [(tasks[0], _retry_with_free_memory(tasks, run, relieve, error))]
    if not is_out_of_memory(error):
        _log.info("batch_failed_running_singly", size=len(tasks), reason=str(error))
        parts = [[task] for task in tasks]
    else:
        _log.warning("out_of_memory_batch_split", size=len(tasks))
        relieve()
        parts = [list(tasks[: len(tasks) // 2]), list(tasks[len(tasks) // 2 :])]
    return [ran for part in parts for ran in run_in_passes(part, run, relieve=relieve)]


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that the memory of the machine or of a device ran out."""
    if isinstance(error, MemoryError):
        return True
    if {kind.__name__ for kind in type(error).__mro__} & _MEMORY_ERROR_CLASSES:
        return True
    library = type(error).__module__.partition(".")[0]
    is_theirs = isinstance(error, RuntimeError) or library in _TRUSTED_LIBRARIES
    return is_theirs and any(words in str(error).lower() for words in _MEMORY_ERROR_WORDS)


def _retry_with_free_memory(
    tasks: Sequence[Task],
    run: Callable[[Sequence[Task]], None],
    relieve: Callable[[], None],
    error: Exception,
) -> Exception | None:
    """Run a task again if memory ran out; return the error that is left, or None."""
    if not is_out_of_memory(error):
        return error
    _log.warning("out_of_memory_retrying")
    relieve()
    return _run_pass(tasks, run)


def _run_pass(tasks: Sequence[Task], run: Callable[[Sequence[Task]], None]) -> Exception | None:
    """Run one pass; return its error, or None."""
    try:
        run(tasks)
    except Exception as error:  # noqa: BLE001 - the caller settles it
        # Its frames hold the arrays of the pass, which would still fill the memory at the next one.
        traceback.clear_frames(error.__traceback__)
        return error
    return None
