"""Measure how the queue scales: worker processes that sleep, and completions a second.

python -m benchmarks.scaling [SECONDS]      of each measurement, default 20

The last line of the output is stored as docs/measured/scaling.json; docs/make_curves.py draws it.

Celery, claims, heartbeats and storage are the product's; only the model sleeps, or does nothing.
The first part measures the gain from each further process, the second how many stages can be
completed a second when a stage takes no time, the third what batches gain when a batch of 8 costs
2.5 times a batch of one, and what they cost a photo that comes alone.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import text

from benchmarks import copies, figures, fleet
from benchmarks.figures import Figure
from benchmarks.fleet import Pool, Servers
from smart_filter_shared.pipeline import StageName

# Names of the curves; docs/make_curves.py uses them.
PROCESSES_CURVE, BATCHES_CURVE = "processes that sleep 200 ms", "stages that are claimed at once"
PROCESSES = (1, 2, 4, 8, 16, 32)
SLEEP_SECONDS = 0.2
LEAST_EFFICIENCY_PERCENT = 90.0
BATCHES = (1, 2, 4, 8)
# Goals in completions a second, by batch size.
COMPLETIONS = {1: 1000.0, 8: 4000.0}
_SECONDS = 20.0
# Jobs to write for each second of a measurement, times one plus the batch size.
_JOBS = 300
# The simulated network of the third part: a batch of 8 sleeps 2.5 times as long as one photo.
_BATCH, _BATCH_COST, _ONE_SECONDS = 8, 2.5, 0.1
_LEAST_GAIN = 2.8
_SINGLES = 30  # photos that come alone
# More processes than cores: while one waits for the database, another computes.
_BUSY_PROCESSES, _BUSY_THREADS = 4, 1
_EDGE = 0.1  # share of jobs left out at each end, where not all processes work
_LOOK_SECONDS = 0.5
_SERVERS = ("postgres", "valkey", "s3")


def measure(seconds: float = _SECONDS) -> list[Figure]:
    """Return the figures of all parts; seconds: approximate length of each measurement."""
    results = []
    with fleet.run_servers() as servers:
        alone = 0.0
        for processes in PROCESSES:
            pool = Pool(stage=StageName.FACE, seconds=SLEEP_SECONDS, processes=processes)
            run = _run(servers, pool, int(seconds * processes / SLEEP_SECONDS))
            alone = alone or run.rate
            results.append(
                Figure(name=PROCESSES_CURVE, at=processes, unit="stages/s", samples=[run.rate])
            )
        results.append(
            Figure(
                name=f"{PROCESSES[-1]} processes, of as many times one",
                unit="%",
                samples=[100 * results[-1].median / (PROCESSES[-1] * alone)],
                goal=LEAST_EFFICIENCY_PERCENT,
                kind="at least",
            )
        )
        for batch_size in BATCHES:
            pool = Pool(
                stage=StageName.FACE,
                seconds=0.0,
                processes=_BUSY_PROCESSES,
                threads=_BUSY_THREADS,
                batch_size=batch_size,
            )
            run = _run(servers, pool, int(seconds * _JOBS * (1 + batch_size)))
            results.append(
                Figure(
                    name=BATCHES_CURVE,
                    at=batch_size,
                    unit="stages/s",
                    samples=[run.rate],
                    goal=COMPLETIONS.get(batch_size),
                    kind="at least",
                )
            )
            results += [
                Figure(name=f"of it {server}, a stage", unit="ms of a core", samples=[used])
                for server, used in run.processor_ms.items()
            ]
            results.append(
                Figure(name="write-ahead log, a stage", unit="KB", samples=[run.log_kilobytes])
            )
        results += _measure_batches(servers, seconds)
    return results


def _measure_batches(servers: Servers, seconds: float) -> list[Figure]:
    """Return what batches gain under load, and what a photo that comes alone waits for them."""
    rates, alone = {}, {}
    for batch_size in (1, _BATCH):
        pool = Pool(
            stage=StageName.FACE,
            seconds=_ONE_SECONDS,
            processes=1,
            batch_size=batch_size,
            growth=(_BATCH_COST - 1) / (_BATCH - 1),
        )
        rates[batch_size] = _run(servers, pool, int(seconds * batch_size / _ONE_SECONDS)).rate
        alone[batch_size] = _time_single_photos(servers, pool)
    return [
        Figure(
            name=f"photos a second in batches of {_BATCH}, of those one at a time",
            unit="times",
            samples=[rates[_BATCH] / rates[1]],
            goal=_LEAST_GAIN,
            kind="at least",
        ),
        *(
            Figure(
                name="a photo that comes alone, by batch size", at=size, unit="ms", samples=samples
            )
            for size, samples in alone.items()
        ),
    ]


def _time_single_photos(servers: Servers, pool: Pool) -> list[float]:
    """Return the milliseconds from submission to end of photos that come one after the other."""
    bench = servers.bench
    bench.empty()
    template = copies.write_prepared_job(bench, [pool.stage])
    with fleet.run_workers(servers, [pool]):
        for _ in range(_SINGLES):
            copies.write_copies(bench.engine, template, 1)
            fleet.ring(servers, [pool])
            while copies.count_unfinished(bench.engine, template):
                time.sleep(_ONE_SECONDS / 10)
    times = copies.read_job_times(bench.engine, template)
    return [1000 * (time.ended - time.accepted) for time in times]


@dataclass(frozen=True, slots=True)
class _Run:
    """Stages a second, and what a stage costs: processor time by server, and write-ahead log."""

    rate: float
    processor_ms: Mapping[str, float]
    log_kilobytes: float


def _run(servers: Servers, pool: Pool, jobs: int) -> _Run:
    """Let workers complete `jobs` stages; return the rate of the middle ones and the costs."""
    bench = servers.bench
    bench.empty()
    template = copies.write_prepared_job(bench, [pool.stage])
    with fleet.run_workers(servers, [pool]):
        copies.write_copies(bench.engine, template, jobs)
        copies.vacuum_analyze(bench.engine)
        before = {name: servers.processor_seconds(name) for name in _SERVERS}
        log_before = _log_bytes(servers)
        fleet.ring(servers, [pool])
        while copies.count_unfinished(bench.engine, template):
            time.sleep(_LOOK_SECONDS)
        used = {name: servers.processor_seconds(name) - before[name] for name in _SERVERS}
        logged = _log_bytes(servers) - log_before
    ends = [time.ended for time in copies.read_job_times(bench.engine, template)]
    cut = int(len(ends) * _EDGE)
    middle = ends[cut : len(ends) - cut]
    return _Run(
        rate=(len(middle) - 1) / (middle[-1] - middle[0]),
        processor_ms={name: 1000 * seconds / len(ends) for name, seconds in used.items()},
        log_kilobytes=logged / 1000 / len(ends),
    )


def _log_bytes(servers: Servers) -> float:
    with servers.bench.transaction() as connection:
        query = text("SELECT pg_current_wal_insert_lsn() - '0/0'")
        return float(connection.execute(query).scalar_one())


if __name__ == "__main__":
    figures.print_figures(measure(figures.read_number(__doc__, "seconds", _SECONDS)))
