"""Measure workers without a broker: what idle polls cost, and how soon a ready stage runs.

python -m benchmarks.polling [SECONDS]      of the idle polls, default 20

The polls of 32 idle workers are made by 32 processes at the same pace. The other figures are the
times from the writing of a job whose only stage is ready to its end, less the model's time: of one
job at a time for one worker, and of as many at once as there are workers.
"""

import multiprocessing
import random
import time
from pathlib import Path

from benchmarks import copies, figures, fleet
from benchmarks.figures import Figure, percentile
from benchmarks.fleet import Pool, Servers
from smart_filter_shared.config import NO_BROKER
from smart_filter_shared.config.settings import DatabaseSettings
from smart_filter_shared.db import sessions
from smart_filter_shared.ids import Capability
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue import heads
from smart_filter_workers.runtime import turns

_WORKERS = 32
_MOST_PERCENT = 1.0
_SECONDS = 20.0
_PHOTOS = 60
_BURST = 8
# Longer than the pause of a poll, so that no worker takes two jobs.
_BUSY_SECONDS = 4.0
_LOOK_SECONDS = 0.01
# For the processes to start; the server plans a statement for its first five executions.
_START_SECONDS = 10.0
_PLANNINGS = 6
# Of a worker that serves every stage.
_SERVED = [Capability(f"{stage}.{family}") for stage in StageName for family in ("one", "two")]


def measure(seconds: float = _SECONDS) -> list[Figure]:
    """Return the figures; seconds: how long the idle polls are measured."""
    with fleet.run_servers() as servers:
        cost = _measure_idle(servers, seconds)
        waits = _measure_waits(servers)
        burst = _measure_burst(servers)
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
        Figure(name=f"{_BURST} ready stages at once, {_BURST} workers", unit="ms", samples=burst),
    ]


def _measure_idle(servers: Servers, seconds: float) -> dict[str, float]:
    """Return the processor time of idle polls by place, in percent of a core."""
    context = multiprocessing.get_context("fork")
    begins_at = time.monotonic() + _START_SECONDS
    with context.Pool(_WORKERS) as pool:
        given = (servers.bench.settings.database, begins_at, seconds)
        polling = [pool.apply_async(_poll, given) for _ in range(_WORKERS)]
        time.sleep(begins_at - time.monotonic())
        before = _postgres_seconds(servers)
        time.sleep(seconds)
        postgres = _postgres_seconds(servers) - before
        workers = sum(process.get() for process in polling)
    before = _postgres_seconds(servers)  # what the server uses anyway
    time.sleep(seconds)
    postgres -= _postgres_seconds(servers) - before
    return {"in the workers": 100 * workers / seconds, "in PostgreSQL": 100 * postgres / seconds}


def _poll(settings: DatabaseSettings, begins_at: float, seconds: float) -> float:
    """Poll as an idle worker does; return the processor seconds that the polls have used."""
    engine = sessions.open_engine(settings, connections=1)
    poll = heads.ReadyPoll(engine)
    for _ in range(_PLANNINGS):
        poll.is_any_ready(_SERVED)
    time.sleep(begins_at - time.monotonic() + random.uniform(0, turns.POLL_SECONDS))
    before = time.process_time()
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        time.sleep(turns.draw_pause(turns.POLL_SECONDS))
        poll.is_any_ready(_SERVED)
    used = time.process_time() - before
    poll.close()
    engine.dispose()
    return used


def _postgres_seconds(servers: Servers) -> float:
    # More precise than the clock ticks in /proc/PID/stat.  Source: sched-stats.rst of Linux.
    files = [Path(f"/proc/{pid}/schedstat") for pid in servers.stack.pids("postgres")]
    return sum(int(file.read_text().split()[0]) for file in files) / 1e9


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


def _measure_burst(servers: Servers) -> list[float]:
    """Return the milliseconds that each of some jobs waits when each worker can take one."""
    bench = servers.bench
    pool = Pool(stage=StageName.FACE, seconds=_BUSY_SECONDS, processes=_BURST)
    template = copies.write_prepared_job(bench, [pool.stage])
    with fleet.run_workers(servers, [pool], SMART_FILTER_BROKER_URL=NO_BROKER):
        for _ in range(2):  # the first job of a process takes longer
            copies.write_copies(bench.engine, template, _BURST)
            while copies.count_unfinished(bench.engine, template):
                time.sleep(_LOOK_SECONDS)
    times = sorted(copies.read_job_times(bench.engine, template), key=lambda job: job.accepted)
    return [1000 * (job.ended - job.accepted - _BUSY_SECONDS) for job in times[-_BURST:]]


if __name__ == "__main__":
    figures.print_figures(measure(figures.read_number(__doc__, "seconds", _SECONDS)))
