"""Run something in several threads at the same time."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


def at_once(threads: int, work: Callable[[], Result]) -> list[Result]:
    """Return what `work` returns in each of `threads` threads that start together."""
    start = threading.Barrier(threads)

    def wait_and_work() -> Result:
        start.wait(timeout=30)
        return work()

    with ThreadPoolExecutor(threads) as pool:
        return [future.result() for future in [pool.submit(wait_and_work) for _ in range(threads)]]
