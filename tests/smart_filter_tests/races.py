"""Make two transitions on one job at the same time: forced to overlap, or run freely."""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from sqlalchemy import text

from smart_filter_tests.bench import Bench
from smart_filter_tests.patience import PATIENCE_SECONDS
from smart_filter_tests.scenarios import Action, Scenario
from smart_filter_tests.threads import run_together

_LOOK_SECONDS = 0.002

at_once = run_together


def run_alone(scenario: Scenario, action: Action) -> object:
    return scenario.bench.do(action, scenario)


def run_overlapped(scenario: Scenario, first: Action, second: Action) -> tuple[object, object]:
    """Make the second while the first is made but not committed; return both answers.

    The first commits as soon as the second waits for it, or has ended.
    """
    with ThreadPoolExecutor(1) as pool:
        with scenario.bench.transaction() as connection:
            answer = first(connection, scenario)
            other = pool.submit(run_alone, scenario, second)
            wait_for_lock_waiters(scenario.bench, other)
        return answer, other.result(PATIENCE_SECONDS)


def deadlocks(bench: Bench) -> int:
    """Return the number of deadlocks that this database has broken."""
    with bench.transaction() as connection:
        connection.execute(text("SELECT pg_stat_force_next_flush()"))
        return int(
            connection.execute(
                text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
            ).scalar_one()
        )


def wait_for_lock_waiters(bench: Bench, other: Future[Any], *, sessions: int = 1) -> None:
    """Wait until `sessions` sessions wait for locks, or the other thread has ended."""
    for _ in range(int(PATIENCE_SECONDS / _LOOK_SECONDS)):
        with bench.transaction() as connection:
            waiting = connection.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted"))
            if waiting.scalar_one() >= sessions:
                return
        try:
            other.exception(timeout=_LOOK_SECONDS)
        except TimeoutError:
            continue
        return
    raise AssertionError("it neither ended nor waited for a lock")
