"""Measure workers without a broker: what idle polls cost, and how soon a ready stage runs.

python -m benchmarks.polling [SECONDS]      of the idle polls, default 20

The polls of 32 idle workers are made by one process at the same pace, each on a connection of its
own. The other figure is the time from the writing of a job whose only stage is ready to its end,
with a model that takes no time.
"""

import itertools
import random
import time
from collections.abc import Sequence

from sqlalchemy import Engine

from benchmarks import copies, figures, fleet
from benchmarks.figures import Figure, percentile
from benchmarks.fleet import Pool, Servers
from smart_filter_shared.config import NO_BROKER
from smart_filter_shared.db import sessions
from smart_filter_shared.ids import Capability
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue import heads
from smart_filter_workers.runtime import turns

_WORKERS = 32
_MOST_PERCENT = 1.0
_SECONDS = 20.0
_PHOTOS = 60
_LOOK_SECONDS = 0.01
# Of a worker that serves every stage.
_SERVED = [Capability(f"{stage}.{family}") for stage in StageName for family in ("one", "two")]


def measure(seconds: float = _SECONDS) -> list[Figure]:
    """Return the figures; seconds: how long the idle polls are measured."""
    with fleet.run_servers() as servers:
        cost = _measure_idle(servers, seconds)
        waits = _measure_waits(servers)
    return [
        *(
            Figure(
                name=f"polls of {_WORKERS} idle workers, {where}",
                unit="% of a core",
                samples=[share],
            )
            for where, share in cost.items()
        ),
        Figure(
            name=f"polls of {_WORKERS} idle workers",
            unit="% of a core",
            samples=[sum(cost.values())],
            goal=_MOST_PERCENT,
        ),
        Figure(name="ready stage until its end, without a broker", unit="ms", samples=waits),
        Figure(name="95 of 100 of them", unit="ms", samples=[percentile(waits, 95)]),
    ]


def _measure_idle(servers: Servers, seconds: float) -> dict[str, float]:
    """Return the processor time of idle polls by place, in percent of a core."""
    # A worker's connections never idle long enough to be pinged, because its sweeper uses them too.
    engines = [
        sessions.open_engine(servers.bench.settings.database, connections=1, clock=lambda: 0.0)
        for _ in range(_WORKERS)
    ]
    try:
        readers = [sessions.single_statements(engine) for engine in engines]
        _poll(readers, 6 * turns.POLL_SECONDS)  # the server plans a statement five times
        times = []
        for polled in ([], readers):  # first what the server uses anyway
            before = servers.processor_seconds("postgres"), time.process_time()
            _poll(polled, seconds)
            after = servers.processor_seconds("postgres"), time.process_time()
            times.append(
                [100 * (end - begin) / seconds for begin, end in zip(before, after, strict=True)]
            )
    finally:
        for engine in engines:
            engine.dispose()
    (postgres_alone, _), (postgres, workers) = times
    return {"in the workers": workers, "in PostgreSQL": postgres - postgres_alone}


def _poll(readers: Sequence[Engine], seconds: float) -> None:
    """Poll on each engine in turn, as often as their workers would."""
    ends_at = time.monotonic() + seconds
    if not readers:
        time.sleep(seconds)
    for reader in itertools.cycle(readers):
        if time.monotonic() > ends_at:
            return
        time.sleep(turns.POLL_SECONDS / _WORKERS)
        with sessions.connection(reader) as connection:
            heads.is_any_ready(connection, _SERVED)


def _measure_waits(servers: Servers) -> list[float]:
    """Return the milliseconds from the writing of each of some jobs to its end."""
    bench = servers.bench
    pool = Pool(stage=StageName.FACE, seconds=0.0, processes=1)
    template = copies.write_prepared_job(bench, [pool.stage])
    with fleet.run_workers(servers, [pool], SMART_FILTER_BROKER_URL=NO_BROKER):
        for _ in range(_PHOTOS):
            time.sleep(random.uniform(0, turns.POLL_SECONDS))
            copies.write_copies(bench.engine, template, 1)
            while copies.count_unfinished(bench.engine, template):
                time.sleep(_LOOK_SECONDS)
    times = copies.read_job_times(bench.engine, template)
    return [1000 * (job.ended - job.accepted) for job in times]


if __name__ == "__main__":
    figures.print_figures(measure(figures.read_number(__doc__, "seconds", _SECONDS)))
