"""Measure workers without a broker: what they cost when idle, and how soon a ready stage runs.

python -m benchmarks.polling [SECONDS]      of the idle workers, default 20

The polls, and then the heartbeats, of 32 idle workers are made by 32 processes at the same pace.
What the server uses anyway is measured before and subtracted. The other figures are the
times from the writing of a job whose only stage is ready to its end, less the model's time: of one
job at a time for one worker and for two, and of as many at once as there are workers.
"""

import multiprocessing
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from benchmarks import copies, figures, fleet
from benchmarks.figures import Figure, percentile
from benchmarks.fleet import Pool, Servers
from smart_filter_shared.catalog.model_card import ModelCard
from smart_filter_shared.config import NO_BROKER
from smart_filter_shared.config.settings import Settings
from smart_filter_shared.db import sessions
from smart_filter_shared.ids import Capability, new_worker_id
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue import heads
from smart_filter_workers.models import catalog
from smart_filter_workers.runtime import turns
from smart_filter_workers.runtime.capabilities import ServedCapabilities
from smart_filter_workers.runtime.heartbeat import Heartbeat

_WORKERS = 32
_MOST_PERCENT = 1.0
_MOST_MILLISECONDS = 1000.0
_SECONDS = 20.0
_PHOTOS = 60
_BURST = 8
# Longer than the pause of a poll, so that no worker takes two jobs.
_BUSY_SECONDS = 4.0
_LOOK_SECONDS = 0.01
# For the processes to start; the server plans a statement for its first five executions.
_START_SECONDS = 20.0
_PLANNINGS = 6
# Of a worker that serves every stage.
_SERVED = [Capability(f"{stage}.{family}") for stage in StageName for family in ("one", "two")]


def measure(seconds: float = _SECONDS) -> list[Figure]:
    """Return the figures; seconds: how long the idle polls are measured."""
    with fleet.run_servers() as servers:
        polls = _measure_idle(servers, _poll, seconds)
        beats = _measure_idle(servers, _beat, seconds)
        waits = {workers: _measure_waits(servers, workers) for workers in (1, 2)}
        burst = _measure_burst(servers)
    return [
        *_cost_figures(f"polls of {_WORKERS} idle workers", polls, goal=_MOST_PERCENT),
        *_cost_figures(f"heartbeats of {_WORKERS} idle workers", beats),
        *(
            figure
            for workers, samples in waits.items()
            for figure in _wait_figures(workers, samples)
        ),
        Figure(name=f"{_BURST} ready stages at once, {_BURST} workers", unit="ms", samples=burst),
    ]


def _cost_figures(
    name: str, cost: Mapping[str, float], *, goal: float | None = None
) -> Iterator[Figure]:
    for where, share in cost.items():
        yield Figure(name=f"{name}, {where}", unit="% of a core", samples=[share])
    yield Figure(name=name, unit="% of a core", samples=[sum(cost.values())], goal=goal)


def _wait_figures(workers: int, samples: Sequence[float]) -> Iterator[Figure]:
    name = f"ready stage until its end, {workers} workers without a broker"
    yield Figure(name=name, unit="ms", samples=samples, goal=_MOST_MILLISECONDS)
    yield Figure(name=f"{name}, 95 of 100", unit="ms", samples=[percentile(samples, 95)])


def _measure_idle(
    servers: Servers, step: Callable[[Settings, float, float], float], seconds: float
) -> dict[str, float]:
    """Return the processor time of idle workers by place, in percent of a core."""
    _list_cards(servers.bench.settings)  # for all processes
    context = multiprocessing.get_context("fork")
    begins_at = time.monotonic() + _START_SECONDS
    with context.Pool(_WORKERS) as pool:
        given = (servers.bench.settings, begins_at, seconds)
        polling = [pool.apply_async(step, given) for _ in range(_WORKERS)]
        time.sleep(begins_at - time.monotonic())
        before = _postgres_seconds(servers)
        time.sleep(seconds)
        postgres = _postgres_seconds(servers) - before
        workers = sum(process.get() for process in polling)
    before = _postgres_seconds(servers)  # what the server uses anyway
    time.sleep(seconds)
    postgres -= _postgres_seconds(servers) - before
    return {"in the workers": 100 * workers / seconds, "in PostgreSQL": 100 * postgres / seconds}


def _poll(settings: Settings, begins_at: float, seconds: float) -> float:
    """Poll as an idle worker does; return the processor seconds that the polls have used."""
    engine = sessions.open_engine(settings.database, connections=1)
    poll = heads.ReadyPoll(engine)
    for _ in range(_PLANNINGS):
        poll.is_any_ready(_SERVED)
    pause = turns.SHARED_POLL_SECONDS
    time.sleep(begins_at - time.monotonic() + random.uniform(0, pause))
    before = time.process_time()
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        time.sleep(turns.draw_pause(pause))
        poll.is_any_ready(_SERVED)
    used = time.process_time() - before
    poll.close()
    engine.dispose()
    return used


def _beat(settings: Settings, begins_at: float, seconds: float) -> float:
    """Beat as an idle worker does; return the processor seconds that the heartbeats have used."""
    engine = sessions.open_engine(
        settings.database, connections=1, statement_seconds=sessions.HEARTBEAT_SECONDS
    )
    serving = ServedCapabilities(_SERVED, {}, _list_cards(settings))
    serving.open()
    heartbeat = Heartbeat(
        engine,
        settings.engine,
        worker=new_worker_id(),
        serving=serving,
        threads=1,
        draining=threading.Event(),
        on_hang=lambda: None,
        on_announced=lambda: None,
    )
    for _ in range(_PLANNINGS):
        heartbeat.beat()
    pause = settings.engine.heartbeat_seconds
    time.sleep(begins_at - time.monotonic() + random.uniform(0, pause))
    before = time.process_time()
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        time.sleep(pause)
        heartbeat.note_empty_poll()
        heartbeat.beat()
    used = time.process_time() - before
    heartbeat.leave()
    engine.dispose()
    return used


@cache
def _list_cards(settings: Settings) -> list[ModelCard]:
    return [offer.card for offer in catalog.discover_models().offers(settings.weights)]


def _postgres_seconds(servers: Servers) -> float:
    # More precise than the clock ticks in /proc/PID/stat.  Source: sched-stats.rst of Linux.
    files = [Path(f"/proc/{pid}/schedstat") for pid in servers.stack.pids("postgres")]
    return sum(int(file.read_text().split()[0]) for file in files) / 1e9


def _measure_waits(servers: Servers, workers: int) -> list[float]:
    """Return the milliseconds from the writing of each of some jobs to its end."""
    bench = servers.bench
    pool = Pool(stage=StageName.FACE, seconds=0.0, processes=workers)
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
