"""Send photos to a server from many clients at once, and kill one of its processes meanwhile."""

import os
import signal
import statistics
import time
from collections.abc import Mapping
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Final

from benchmarks import service
from benchmarks.figures import Figure
from benchmarks.paired import NoFigures, Server

# Photos that are sent by this number of clients at once.
_PHOTOS: Final[Mapping[int, int]] = {1: 24, 8: 96, 64: 192}
_AT_THE_KILL: Final = 8


def measure(name: str, server: Server) -> list[Figure]:
    """Return photos a second and the times of answers, by the number of clients."""
    figures = []
    for clients, photos in _PHOTOS.items():
        started_at = time.perf_counter()
        with ThreadPoolExecutor(clients) as pool:
            times_ms = list(
                pool.map(lambda photo: _time_ms(server, photo), islice(server.selfies, photos))
            )
        rate = photos / (time.perf_counter() - started_at)
        points = statistics.quantiles(times_ms, n=100)
        for what, unit, value in (
            ("photos a second", "1/s", rate),
            ("p50", "ms", points[49]),
            ("p99", "ms", points[98]),
        ):
            figures.append(Figure(name=f"{name}: {what}", at=clients, unit=unit, samples=[value]))
    return figures


def count_lost(name: str, server: Server) -> Figure:
    """Return how many of the photos in flight get no picture when the busiest process is killed.

    The server restarts it or does not, as it is made; no photo is sent again.
    """
    before = service.processor_seconds_by_process(server.pid)
    with ThreadPoolExecutor(_AT_THE_KILL) as pool:
        # The first photos show which process works; the others are in flight when it is killed.
        list(pool.map(server.cut_out, islice(server.selfies, 2 * _AT_THE_KILL)))
        after = service.processor_seconds_by_process(server.pid)
        busiest = max(before.keys() & after, key=lambda pid: after[pid] - before[pid])
        sent = [pool.submit(server.cut_out, each) for each in islice(server.selfies, _AT_THE_KILL)]
        next(futures.as_completed(sent))
        os.kill(busiest, signal.SIGKILL)
        lost = sum(isinstance(each.exception(), NoFigures) for each in sent)
    return Figure(name=f"{name}: lost of {_AT_THE_KILL} at a kill", unit="photos", samples=[lost])


def _time_ms(server: Server, photo: bytes) -> float:
    started_at = time.perf_counter()
    server.cut_out(photo)
    return 1000 * (time.perf_counter() - started_at)
