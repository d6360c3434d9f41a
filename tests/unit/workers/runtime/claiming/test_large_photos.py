"""Which threads of a worker may work on large photos."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from smart_filter_workers.runtime.claiming.large_photos import LargePhotos
from smart_filter_workers.system.resources import MemoryLimit

MEGAPIXELS = 60  # for which there is room


@dataclass
class Process:
    large: LargePhotos
    threads: list[ThreadPoolExecutor]

    def may_begin(self, thread: int, megapixels: float) -> bool:
        begun = self.threads[thread].submit(self.large.begin, megapixels, seconds=0)
        return begun.result()

    def end(self, thread: int) -> None:
        self.threads[thread].submit(self.large.end).result()


@pytest.fixture
def process() -> Iterator[Process]:
    with ExitStack() as stack:
        pools = [stack.enter_context(ThreadPoolExecutor(1)) for _ in range(4)]
        yield Process(LargePhotos(MemoryLimit(900e6 + 12e6 * MEGAPIXELS)), pools)


def test_photos_that_fit_run_together(process: Process) -> None:
    assert [process.may_begin(thread, 20) for thread in range(4)] == [True, True, True, False]


def test_photo_that_never_fits_runs_alone(process: Process) -> None:
    assert process.may_begin(0, 100)
    assert not process.may_begin(1, 14)

    process.end(0)

    assert process.may_begin(1, 14)


def test_photos_wait_in_order(process: Process) -> None:
    assert process.may_begin(0, 20)
    assert not process.may_begin(1, 50)
    assert not process.may_begin(2, 20)  # it would fit, and the one before it would never begin

    process.end(0)

    assert not process.may_begin(2, 20)
    assert process.may_begin(1, 50)
    assert not process.may_begin(2, 20)


def test_thread_that_gives_up_makes_room_in_the_queue(process: Process) -> None:
    assert process.may_begin(0, 50)
    assert not process.may_begin(1, 50)
    assert not process.may_begin(2, 14.1)

    process.end(1)
    process.end(0)

    assert process.may_begin(2, 14.1)


def test_ordinary_photos_and_photos_of_unknown_size_never_wait(process: Process) -> None:
    assert process.may_begin(0, 100)
    assert not process.may_begin(1, 100)

    assert [process.may_begin(thread, size) for thread, size in ((2, 12.6), (3, 0))] == [True, True]
