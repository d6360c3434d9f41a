"""A worker that reads the pictures that tenants add over REST."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from smart_filter_tests.bench import Bench
from smart_filter_tests.maintenance import incoming_pictures
from smart_filter_workers.stock.ingest import IncomingPictures


@contextmanager
def picture_worker(bench: Bench) -> Iterator[None]:
    """Read new pictures in a thread until the block ends."""
    worker = incoming_pictures(bench)
    stopping = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(_read_until, stopping, worker)
        try:
            yield
        finally:
            stopping.set()


def _read_until(stopping: threading.Event, worker: IncomingPictures) -> None:
    while not stopping.wait(0.05):
        worker.describe_next()
