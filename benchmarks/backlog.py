"""Measure requests and a worker's transactions next to 300,000 unfinished jobs, and next to 100.

python -m benchmarks.backlog [MANY]

Two databases on two sets of servers have MANY (default 300,000) and 100 unfinished jobs of two
stages. Submissions and polls over HTTP, claims and completions are timed in both in turn, so other
load of the machine affects both. The snapshot that a sweep stores is made once in each round, as
it is each second; its time is a figure of its own. The goal is 1.2 times.
"""

import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine

from benchmarks import copies, figures, fleet
from benchmarks.figures import Figure
from smart_filter_shared.db import sessions
from smart_filter_shared.jobs import queries
from smart_filter_shared.jobs.photo_queue import WORKER
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue.leases import Lease
from smart_filter_shared.recipe import Background, BackgroundKind, Recipe
from smart_filter_tests import claiming
from smart_filter_tests.bench import Bench, capability, stage_result
from smart_filter_tests.serving import Api, a_photo, an_api, serve_with

FEW, MANY = 100, 300_000
_ROUNDS, _TIMES = 5, 40
_MOST_TIMES: Final = 1.2
_P50: Final = 50
_ENVIRONMENT: Final = {
    "SMART_FILTER_REMEMBER": "false",  # each photo runs, although all are equal
    "SMART_FILTER_LIMIT_JOBS_WAITING": "0",
    "SMART_FILTER_LIMIT_JOBS_IN_ALL": "0",
    "SMART_FILTER_LIMIT_REQUESTS_PER_MINUTE": "0",
}
_KEEP: Final = Recipe(background=Background(BackgroundKind.KEEP))
_ACTS: Final = ("submission", "poll", "claim", "completion")


@dataclass(slots=True)
class Backlog:
    """A service with unfinished jobs; keyed: the connections of a worker.

    job_id: of the last submission.  lease: of the last claim.
    """

    api: Api
    keyed: Engine
    job_id: str = ""
    lease: Lease | None = None

    def act(self, name: str) -> None:
        """Make one of `_ACTS`."""
        if name == "submission":
            answer = self.api.post(a_photo(), {"background": "keep"})
            self.job_id = answer.raise_for_status().json()["id"]
        elif name == "poll":
            self.api.client.get(f"/v1/jobs/{self.job_id}").raise_for_status()
        elif name == "claim":
            with sessions.transaction(self.keyed) as connection:
                (self.lease,) = claiming.claim(
                    connection,
                    [capability(StageName.PREPARE)],
                    worker=self.api.bench.worker,
                    lease_seconds=3600,
                    job_sql=queries.CLAIMED_JOB,
                )
        else:
            assert self.lease is not None
            with sessions.transaction(self.keyed) as connection:
                WORKER.complete(connection, [stage_result(self.lease)])


def measure(many: int) -> list[Figure]:
    """Fill both databases, and return the times of each act in each, in rounds."""
    with _open_backlog(FEW) as quiet, _open_backlog(many) as full:
        samples: dict[str, tuple[list[float], list[float]]] = {
            name: ([], []) for name in (*_ACTS, "snapshot")
        }
        for round_number in range(_ROUNDS + 1):
            made = _round(quiet, full)
            if round_number:  # plans and caches are made in the first one
                for name, both in made.items():
                    for all_rounds, milliseconds in zip(samples[name], both, strict=True):
                        all_rounds.append(statistics.median(milliseconds))
    return [figure for name, both in samples.items() for figure in _figures(name, many, both)]


def _round(quiet: Backlog, full: Backlog) -> Mapping[str, tuple[list[float], list[float]]]:
    made: dict[str, tuple[list[float], list[float]]] = {"snapshot": ([], [])}
    for backlog, times in zip((quiet, full), made["snapshot"], strict=True):
        times.append(_milliseconds(backlog.api.bench.publish_snapshot))
    for _ in range(_TIMES):
        for name in _ACTS:
            both = made.setdefault(name, ([], []))
            for backlog, times in zip((quiet, full), both, strict=True):
                times.append(_milliseconds(backlog.act, name))
    return made


def _figures(name: str, many: int, both: tuple[list[float], list[float]]) -> Iterator[Figure]:
    few, full = both
    yield Figure(name=f"{name}: {FEW} jobs", at=_P50, unit="ms", samples=few)
    yield Figure(name=f"{name}: {many:,} jobs", at=_P50, unit="ms", samples=full)
    times = [slow / fast for slow, fast in zip(full, few, strict=True)]
    goal = None if name == "snapshot" else _MOST_TIMES
    yield Figure(name=f"{name}: times that", at=_P50, unit="×", samples=times, goal=goal)


def _milliseconds(act: Callable[..., object], *arguments: str) -> float:
    started = time.perf_counter()
    act(*arguments)
    return 1000 * (time.perf_counter() - started)


@contextmanager
def _open_backlog(jobs: int) -> Iterator[Backlog]:
    with ExitStack() as held:
        bench = held.enter_context(fleet.run_servers()).bench
        _fill(bench, jobs)
        site = held.enter_context(serve_with(bench, clock=time.monotonic, **_ENVIRONMENT))
        api = held.enter_context(an_api(site, bench))
        yield Backlog(api, sessions.for_key_lookups(bench.worker_engine))


def _fill(bench: Bench, jobs: int) -> None:
    sys.stderr.write(f"writing {jobs:,} jobs …\n")
    copies.write_copies(bench.engine, bench.submit(_KEEP), jobs)
    copies.vacuum_analyze(bench.engine)


if __name__ == "__main__":
    figures.print_figures(measure(int(sys.argv[1]) if len(sys.argv) > 1 else MANY))
