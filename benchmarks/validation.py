"""Compare the simulation of capacity with the running system, at four loads.

python -m benchmarks.validation [FLEET [SECONDS]]      both fleets, 60 s of each load

Jobs arrive at random in an open loop: their times are drawn beforehand and do not depend on earlier
jobs, and the duration of each counts from its time. Each job has two stages that sleep, in separate
pools: segmentation, which stores a matte, and face. The constants of the simulation are measured
first, on single jobs and on a crowd of jobs at once. For the loads, its only input is the times of
the jobs. In one fleet a worker takes one photo at a time, in the other segmentation takes four.

Writes the measured and the simulated figures to
benchmarks/capacity/validation.json, for docs/capacity.md.
"""

import itertools
import random
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

from sqlalchemy import Engine, text

from benchmarks import copies, figures, fleet
from benchmarks.capacity import system, validation
from benchmarks.capacity.simulation import FinishedPhoto, percentile, replay
from benchmarks.capacity.system import Stage, System, Visit
from benchmarks.capacity.validation import Comparison, LatencyFigures
from benchmarks.figures import Figure
from benchmarks.fleet import Pool, Servers
from smart_filter_shared.db import sessions
from smart_filter_shared.ids import JobId
from smart_filter_shared.pipeline import StageName
from smart_filter_tests.bench import capability

# Loads relative to the capacity of the busier pool; the last one exceeds it to measure it.
LOADS = (0.3, 0.6, 0.85, 1.2)
MOST_RATE_PERCENT, MOST_P95_PERCENT = 10.0, 20.0
FACE = Pool(stage=StageName.FACE, seconds=0.2, processes=3)
FLEETS = {
    "alone": (Pool(stage=StageName.SEGMENTATION, seconds=0.4, processes=6), FACE),
    "fours": (Pool(stage=StageName.SEGMENTATION, seconds=0.6, processes=2, batch_size=4), FACE),
}
_SECONDS = 60.0
_ALONE = 12
_CROWD_BATCHES = 6  # batches for each process
_WARM_UP = 0.15  # share of the first jobs, which do not count
_OTHERS = 20  # simulations with other random times
_LOOK_SECONDS = 0.05
_SENDER = "sender"
_P95, _P99 = 95, 99


@dataclass(frozen=True, slots=True)
class SentJob:
    """The times of a sent job, in seconds since the epoch."""

    due: float
    began: float
    rung: float


@dataclass(frozen=True, slots=True)
class Batch:
    """Stages that one worker ran together, in seconds since the epoch."""

    worker: str
    started: float
    finished: float
    photos: int


@dataclass(frozen=True, slots=True)
class Constants:
    """The measured constants of a pool.

    wake_seconds: from a ring until a resting worker has claimed.  next_seconds: from a batch's end
    until the same worker has claimed the next.  batch_seconds, photo_seconds: from claim to
    completion, for a batch and for each photo in it.  send_seconds: the sender's time for a job.
    """

    wake_seconds: float
    next_seconds: float
    batch_seconds: float
    photo_seconds: float
    send_seconds: float

    def busy_seconds(self, photos: int) -> float:
        """Return the seconds from one claim to the next when another batch waits."""
        return self.next_seconds + self.batch_seconds + self.photo_seconds * photos


def measure(names: Sequence[str] = tuple(FLEETS), seconds: float = _SECONDS) -> list[Figure]:
    """Run all loads of these fleets, and compare each with the simulation; return the figures."""
    results: list[Figure] = []
    for name in names:
        pools = FLEETS[name]
        with fleet.run_servers() as servers, fleet.run_workers(servers, pools):
            constants = {pool.stage: _constants(servers, pool) for pool in pools}
            system_model = _system(pools, constants)
            # The slowest pool limits the whole system.
            most = min(
                pool.processes
                * pool.batch_size
                / constants[pool.stage].busy_seconds(pool.batch_size)
                for pool in pools
            )
            results += _constants_figures(name, constants)
            comparisons = []
            for load in LOADS:
                sent, jobs = _run(servers, [pool.stage for pool in pools], load * most, seconds)
                comparisons.append(_compare(name, load, system_model, jobs))
                results += _figures(comparisons[-1], sent)
        validation.write_comparison(name, comparisons)
    return results


def _compare(
    name: str, load: float, system_model: System, jobs: Sequence[FinishedPhoto]
) -> Comparison:
    """Return the comparison of a load; jobs: when each was due and when it ended."""
    began = jobs[0].arrived
    due = [job.arrived - began for job in jobs]
    others = [
        _latency_figures(
            replay(
                system_model, list(itertools.islice(_arrivals(len(due) / due[-1], seed), len(due)))
            )
        )
        for seed in range(2, 2 + _OTHERS)
    ]
    return Comparison(
        fleet=name,
        load=load,
        jobs=len(jobs),
        seen=_latency_figures(jobs),
        foretold=_latency_figures(replay(system_model, due)),
        others_p95=sorted(row.percentiles[_P95 - 1] for row in others),
    )


def _latency_figures(photos: Sequence[FinishedPhoto]) -> LatencyFigures:
    ordered = sorted(photos, key=lambda photo: photo.arrived)
    counted = ordered[int(len(ordered) * _WARM_UP) :]
    ends = sorted(photo.ended for photo in counted)
    taken = [photo.seconds for photo in counted]
    return LatencyFigures(
        rate=(len(ends) - 1) / (ends[-1] - ends[0]),
        percentiles=[percentile(taken, percent) for percent in range(1, 100)],
    )


def _constants_figures(name: str, constants: Mapping[StageName, Constants]) -> Iterator[Figure]:
    for stage, stage_costs in constants.items():
        for what in fields(stage_costs):
            yield Figure(
                name=f"{name}, {stage}: {what.name.replace('_', ' ')}",
                unit="ms",
                samples=[1000 * getattr(stage_costs, what.name)],
            )


def _figures(row: Comparison, sent: Sequence[SentJob]) -> list[Figure]:
    late_ms = [1000 * (job.began - job.due) for job in sent]
    p95s = [latency.percentiles[_P95 - 1] for latency in (row.seen, row.foretold)]
    return [
        Figure(
            name=f"{row.fleet}, load {row.load:g}: seen",
            unit="jobs/s",
            samples=[row.seen.rate],
        ),
        Figure(name="foretold", unit="jobs/s", samples=[row.foretold.rate]),
        Figure(name="p95 seen", unit="s", samples=[p95s[0]]),
        Figure(name="p95 foretold", unit="s", samples=[p95s[1]]),
        Figure(name="p95 of jobs at other times", unit="s", samples=row.others_p95),
        Figure(
            name="p99 of how late jobs were sent",
            unit="ms",
            samples=[figures.percentile(late_ms, _P99)],
        ),
        Figure(
            name="rate is off by, whichever way",
            unit="%",
            samples=[abs(row.rate_off_percent)],
            goal=MOST_RATE_PERCENT,
        ),
        Figure(
            name="p95 is off by, whichever way",
            unit="%",
            samples=[abs(row.p95_off_percent)],
            # Above the capacity, durations depend on how long the load lasts.
            goal=MOST_P95_PERCENT if row.load < 1 else None,
        ),
    ]


def _system(pools: Sequence[Pool], constants: Mapping[StageName, Constants]) -> System:
    return System(
        stages=tuple(
            Stage(
                name=pool.stage,
                pool=pool.stage,
                batch_seconds=constants[pool.stage].next_seconds
                + constants[pool.stage].batch_seconds,
                photo_seconds=constants[pool.stage].photo_seconds,
            )
            for pool in pools
        ),
        pools={
            pool.stage: system.Pool(
                pool.processes,
                threads=pool.threads,
                batch_size=pool.batch_size,
                # Both times contain the claim.
                wake_seconds=max(
                    0.0, constants[pool.stage].wake_seconds - constants[pool.stage].next_seconds
                ),
            )
            for pool in pools
        },
        servers={_SENDER: 1},
        accept=(
            Visit(
                _SENDER, statistics.median(constant.send_seconds for constant in constants.values())
            ),
        ),
    )


def _constants(servers: Servers, pool: Pool) -> Constants:
    """Return the constants of a pool, measured on single jobs and on a crowd at once.

    In the crowd, workers are woken one after the other. Woken together, they would wait for each
    other's claims and commits at the end of every sleep, which does not happen at random loads.
    """
    engine, stages = servers.bench.engine, [pool.stage]
    template = copies.write_prepared_job(servers.bench, stages)
    sent = []
    for _ in range(_ALONE):
        sent.append(_send(servers, template, stages, due=time.time()))
        _wait_for_all(servers, template)
    alone = _batches(engine, template)
    template = copies.write_prepared_job(servers.bench, stages)
    copies.write_copies(engine, template, pool.processes * pool.batch_size * _CROWD_BATCHES)
    for _ in range(pool.processes):
        servers.bench.doorbell.ring([capability(pool.stage)])
        time.sleep(pool.seconds / pool.processes)
    _wait_for_all(servers, template)
    crowd = [batch for batch in _batches(engine, template) if batch.photos == pool.batch_size]
    one_seconds, full_seconds = (
        statistics.median(job.finished - job.started for job in some) for some in (alone, crowd)
    )
    more = pool.batch_size - 1
    photo_seconds = (full_seconds - one_seconds) / more if more else 0.0
    return Constants(
        wake_seconds=statistics.median(
            batch.started - job.rung for batch, job in zip(alone, sent, strict=True)
        ),
        next_seconds=statistics.median(_pauses(crowd)),
        batch_seconds=one_seconds - photo_seconds,
        photo_seconds=photo_seconds,
        send_seconds=statistics.median(job.rung - job.began for job in sent),
    )


def _pauses(batches: Sequence[Batch]) -> Iterator[float]:
    """Yield how long each worker took from one batch to the next, in seconds."""
    of_worker: dict[str, list[Batch]] = defaultdict(list)
    for batch in batches:
        of_worker[batch.worker].append(batch)
    for some in of_worker.values():
        for before, after in itertools.pairwise(some):
            yield after.started - before.finished


def _batches(engine: Engine, of: JobId) -> list[Batch]:
    """Return the batches that ran copies of a template, in the order of their claims."""
    with sessions.transaction(engine) as connection:
        rows = connection.execute(
            text("""
                SELECT CAST(stages.worker AS text) AS worker, count(*) AS photos,
                    CAST(extract(epoch FROM stages.started_at) AS float8) AS started,
                    CAST(extract(epoch FROM max(stages.finished_at)) AS float8) AS finished
                FROM all_stages AS stages JOIN jobs ON jobs.id = stages.job_id
                WHERE stages.worker IS NOT NULL AND stages.stage <> 'prepare'
                    AND jobs.created_at > (SELECT created_at FROM jobs WHERE id = :of)
                GROUP BY stages.worker, stages.started_at ORDER BY stages.started_at
            """),
            {"of": of},
        ).all()
    return [Batch(row.worker, row.started, row.finished, row.photos) for row in rows]


def _run(
    servers: Servers, stages: list[StageName], rate: float, seconds: float
) -> tuple[list[SentJob], list[FinishedPhoto]]:
    """Send jobs at random times; return the times of sending, and when jobs were due and ended."""
    template = copies.write_prepared_job(servers.bench, stages)
    began = time.time()
    sent = []
    for due in itertools.islice(_arrivals(rate, seed=1), int(rate * seconds)):
        time.sleep(max(0.0, began + due - time.time()))
        sent.append(_send(servers, template, stages, due=began + due))
    _wait_for_all(servers, template)
    # One thread sends, so jobs were accepted in the order of their times.
    ended = sorted(
        copies.read_job_times(servers.bench.engine, template), key=lambda job: job.accepted
    )
    return sent, [FinishedPhoto(job_.due, job.ended) for job_, job in zip(sent, ended, strict=True)]


def _arrivals(rate: float, seed: int) -> Iterator[float]:
    rng, due = random.Random(seed), 0.0
    while True:
        due += rng.expovariate(rate)
        yield due


def _send(servers: Servers, template: JobId, stages: list[StageName], *, due: float) -> SentJob:
    began = time.time()
    copies.write_copies(servers.bench.engine, template, 1)
    servers.bench.doorbell.ring([capability(stage) for stage in stages])
    return SentJob(due, began, time.time())


def _wait_for_all(servers: Servers, template: JobId) -> None:
    while copies.count_unfinished(servers.bench.engine, template):
        time.sleep(_LOOK_SECONDS)


if __name__ == "__main__":
    _names, _seconds = sys.argv[1:2], sys.argv[2:3]
    figures.print_figures(
        measure(_names or tuple(FLEETS), float(_seconds[0]) if _seconds else _SECONDS),
    )
