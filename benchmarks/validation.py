"""The simulation of capacity beside the running system, at three loads.

python -m benchmarks.validation [SECONDS]      of each load, 90 when nothing is said

Jobs arrive at random; each has two stages that sleep for as long as is said, in pools of their
own: segmentation, which stores a matte, and face. The simulation is told how long a stage takes
when nothing else is going on, measured here first, and when jobs came; it must then foretell
when they end.
"""

import random
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks import copies, figures, fleet
from benchmarks.copies import Ended
from benchmarks.figures import Figure
from benchmarks.fleet import Pool, Servers
from capacity import simulation
from capacity.simulation import Stage, System, replay
from smart_filter_shared.ids import JobId
from smart_filter_shared.pipeline import StageName
from smart_filter_tests.bench import capability

LOADS = (0.4, 0.65, 0.85)  # of what the busier pool can do
MOST_RATE_PERCENT, MOST_P95_PERCENT = 10.0, 20.0
POOLS = (
    Pool(stage=StageName.SEGMENTATION, seconds=0.4, processes=6),
    Pool(stage=StageName.FACE, seconds=0.2, processes=3),
)
_SECONDS = 90.0
_ALONE = 12
_WARM_UP = 0.15  # of the jobs, which do not count
_LOOK_SECONDS = 0.05
_P95 = 95


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of a load: jobs a second, and how long jobs took, in seconds."""

    rate: float
    p95: float


def _seen(jobs: Sequence[tuple[float, float]]) -> Seen:
    """jobs: when each was accepted and when it ended, in seconds."""
    counted = sorted(jobs)[int(len(jobs) * _WARM_UP) :]
    ends = sorted(ended for _, ended in counted)
    taken = [ended - accepted for accepted, ended in counted]
    return Seen((len(ends) - 1) / (ends[-1] - ends[0]), figures.percentile(taken, _P95))


def measure(seconds: float = _SECONDS) -> list[Figure]:
    """Run all loads, and compare each with what is foretold."""
    found = []
    with fleet.servers() as servers, fleet.working(servers, POOLS):
        system = _system(servers)
        # The slowest pool bounds what all can do.
        most = min(
            pool.processes / stage.photo_seconds
            for pool, stage in zip(POOLS, system.stages, strict=True)
        )
        for load in LOADS:
            jobs = _run(servers, load * most, seconds)
            begun = jobs[0].accepted
            told = replay(system, [job.accepted - begun for job in jobs])
            found += _figures(
                f"load {load:g}, {len(jobs)} jobs",
                seen=_seen([(job.accepted, job.ended) for job in jobs]),
                told=_seen([(photo.arrived, photo.ended) for photo in told]),
            )
    return found


def _figures(name: str, *, seen: Seen, told: Seen) -> list[Figure]:
    return [
        Figure(name=f"{name}: seen", unit="jobs/s", samples=[seen.rate]),
        Figure(name="foretold", unit="jobs/s", samples=[told.rate]),
        Figure(name="p95 seen", unit="s", samples=[seen.p95]),
        Figure(name="p95 foretold", unit="s", samples=[told.p95]),
        Figure(
            name="rate is off by, whichever way",
            unit="%",
            samples=[100 * abs(told.rate / seen.rate - 1)],
            goal=MOST_RATE_PERCENT,
        ),
        Figure(
            name="p95 is off by, whichever way",
            unit="%",
            samples=[100 * abs(told.p95 / seen.p95 - 1)],
            goal=MOST_P95_PERCENT,
        ),
    ]


def _system(servers: Servers) -> System:
    """Measure each stage alone, one job after the other, and return the system made of them."""
    stages = []
    for pool in POOLS:
        template = copies.prepared(servers.bench, [pool.stage])
        for _ in range(_ALONE):
            _arrive(servers, template, [pool.stage])
            _wait_for_all(servers, template)
        alone = copies.endings(servers.bench.engine, template)
        taken = [one.ended - one.accepted for one in alone]
        mean = statistics.median(taken)
        stages.append(Stage(name=pool.stage, pool=pool.stage, photo_seconds=mean))
    return System(
        stages=tuple(stages),
        pools={pool.stage: simulation.Pool(pool.processes * pool.threads) for pool in POOLS},
    )


def _run(servers: Servers, rate: float, seconds: float) -> list[Ended]:
    """Let jobs arrive at random; return them in the order in which they were accepted."""
    chance = random.Random(1)
    wanted = [pool.stage for pool in POOLS]
    template = copies.prepared(servers.bench, wanted)
    due = time.monotonic()
    for _ in range(int(rate * seconds)):
        due += chance.expovariate(rate)
        time.sleep(max(0.0, due - time.monotonic()))
        _arrive(servers, template, wanted)
    _wait_for_all(servers, template)
    return sorted(copies.endings(servers.bench.engine, template), key=lambda job: job.accepted)


def _arrive(servers: Servers, template: JobId, stages: list[StageName]) -> None:
    copies.write(servers.bench.engine, template, 1)
    servers.bench.doorbell.ring([capability(stage) for stage in stages])


def _wait_for_all(servers: Servers, template: JobId) -> None:
    while copies.unfinished(servers.bench.engine, template):
        time.sleep(_LOOK_SECONDS)


if __name__ == "__main__":
    figures.tell(measure(float(sys.argv[1]) if len(sys.argv) > 1 else _SECONDS))
