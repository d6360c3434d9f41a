"""Run functions in several threads at the same time."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from smart_filter_tests.patience import PATIENCE_SECONDS

Result = TypeVar("Result")


def run_in_threads(threads: int, work: Callable[[], Result]) -> list[Result]:
    """Return the results of `work` in each of `threads` threads that start together."""
    return run_together([work] * threads)


def run_together(work: Sequence[Callable[[], Result]]) -> list[Result]:
    """Run all functions at the same time, each in a thread; return the answers in their order."""
    start = threading.Barrier(len(work))

    def wait_and_do(action: Callable[[], Result]) -> Result:
        start.wait(PATIENCE_SECONDS)
        return action()

    with ThreadPoolExecutor(len(work)) as pool:
        return [future.result() for future in [pool.submit(wait_and_do, action) for action in work]]
