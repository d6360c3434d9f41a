"""Two transitions at the same time on one job: forced to overlap, or let run freely."""

from concurrent.futures import Future, ThreadPoolExecutor

from sqlalchemy import text

from smart_filter_tests.bench import Bench
from smart_filter_tests.threads import together
from smart_filter_tests.worlds import Action, World

_LOOK_SECONDS = 0.002
_PATIENCE_SECONDS = 240.0

at_once = together


def alone(world: World, action: Action) -> object:
    return world.bench.do(action, world)


def overlapped(world: World, first: Action, second: Action) -> tuple[object, object]:
    """Make the second while the first is made but not committed; return both answers.

    The first commits as soon as the second waits for it, or has ended.
    """
    with ThreadPoolExecutor(1) as pool:
        with world.bench.transaction() as connection:
            answer = first(connection, world)
            other = pool.submit(alone, world, second)
            await_waiting(world.bench, other)
        return answer, other.result(_PATIENCE_SECONDS)


def deadlocks(bench: Bench) -> int:
    """Return how many deadlocks this database has broken."""
    with bench.transaction() as connection:
        connection.execute(text("SELECT pg_stat_force_next_flush()"))
        return int(
            connection.execute(
                text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
            ).scalar_one()
        )


def await_waiting(bench: Bench, other: Future[object], *, sessions: int = 1) -> None:
    """Return when so many sessions wait for locks, or the other has ended."""
    for _ in range(int(_PATIENCE_SECONDS / _LOOK_SECONDS)):
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
