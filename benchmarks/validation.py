"""The simulation of capacity beside the running system, at three loads.

python -m benchmarks.validation [SECONDS]      of each load, 90 when nothing is said

Jobs arrive at random; each has two stages that sleep for as long as is said, in pools of their
own: segmentation, which stores a matte, and face. The simulation is told how long a stage takes
when nothing else is going on, measured here first, and must then foretell the rest.
"""

import random
import statistics
import sys
import time
from dataclasses import dataclass

from benchmarks import copies, figures, fleet
from benchmarks.figures import Figure
from benchmarks.fleet import Pool, Servers
from capacity import simulation
from capacity.simulation import Outcome, Stage, System, simulate
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
_SIMULATED_SECONDS = 4000.0
_LOOK_SECONDS = 0.05
_P95 = 95


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of a load: jobs a second, and how long jobs took, in seconds."""

    rate: float
    p95: float


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
            seen = _run(servers, load * most, seconds)
            told = simulate(system, load * most, seconds=_SIMULATED_SECONDS, warm_up=60)
            found += _figures(f"load {load:g}", seen, told)
    return found


def _figures(name: str, seen: Seen, told: Outcome) -> list[Figure]:
    p95 = told.percentile(_P95)
    return [
        Figure(name=f"{name}: seen, foretold", unit="jobs/s", samples=[seen.rate, told.rate]),
        Figure(
            name=f"{name}: foretold is off",
            unit="%",
            samples=[100 * abs(told.rate / seen.rate - 1)],
            goal=MOST_RATE_PERCENT,
        ),
        Figure(name=f"{name}: p95 seen, foretold", unit="s", samples=[seen.p95, p95]),
        Figure(
            name=f"{name}: foretold p95 is off",
            unit="%",
            samples=[100 * abs(p95 / seen.p95 - 1)],
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


def _run(servers: Servers, rate: float, seconds: float) -> Seen:
    chance = random.Random(1)
    wanted = [pool.stage for pool in POOLS]
    template = copies.prepared(servers.bench, wanted)
    due = time.monotonic()
    for _ in range(int(rate * seconds)):
        due += chance.expovariate(rate)
        time.sleep(max(0.0, due - time.monotonic()))
        _arrive(servers, template, wanted)
    _wait_for_all(servers, template)
    jobs = sorted(copies.endings(servers.bench.engine, template), key=lambda job: job.accepted)
    counted = jobs[int(len(jobs) * _WARM_UP) :]
    ends = sorted(job.ended for job in counted)
    taken = [job.ended - job.accepted for job in counted]
    return Seen(
        rate=(len(ends) - 1) / (ends[-1] - ends[0]),
        p95=figures.percentile(taken, _P95),
    )


def _arrive(servers: Servers, template: JobId, stages: list[StageName]) -> None:
    copies.write(servers.bench.engine, template, 1)
    servers.bench.doorbell.ring([capability(stage) for stage in stages])


def _wait_for_all(servers: Servers, template: JobId) -> None:
    while copies.unfinished(servers.bench.engine, template):
        time.sleep(_LOOK_SECONDS)


if __name__ == "__main__":
    figures.tell(measure(float(sys.argv[1]) if len(sys.argv) > 1 else _SECONDS))
