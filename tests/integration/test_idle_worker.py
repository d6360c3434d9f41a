"""A worker without work returns the memory that its photos took."""

import threading
from types import SimpleNamespace
from typing import Any

from smart_filter_tests.bench import Bench
from smart_filter_workers.runtime.turns import IDLE_POLLS, Turns


def test_idle_worker_gives_memory_back_once_after_each_turn(bench: Bench) -> None:
    given_back: list[str] = []
    services: Any = SimpleNamespace(
        serving=SimpleNamespace(capabilities=["face"]),
        draining=threading.Event(),
        heartbeat=SimpleNamespace(note_empty_poll=lambda: None),
    )
    turns = Turns(services, bench.worker_engine, 2, lambda: given_back.append("once"))

    counts = []
    for _ in range(2):
        turns.submit(lambda: None).result()
        for _ in range(IDLE_POLLS - 1):
            turns.look()
        counts.append(len(given_back))
        for _ in range(5):
            turns.look()
        counts.append(len(given_back))
    turns.close()

    assert counts == [0, 1, 1, 2]
