"""How the queue scales: worker processes that sleep, and completions a second.

python -m benchmarks.scaling [SECONDS]      of each measurement, 20 when nothing is said

Its last line is what docs/measured/scaling.json holds, of which docs/make_curves.py draws curves.

All of it is the product's: Celery, claims, heartbeats, storage; only the model sleeps, or does
nothing at all. The first part says what each further process adds, the second how many stages
can be completed a second when nothing else is done.
"""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks import copies, figures, fleet
from benchmarks.figures import Figure
from benchmarks.fleet import Pool, Servers
from smart_filter_shared.pipeline import StageName

# Names of the curves.
PROCESSES_CURVE, BATCHES_CURVE = "processes that sleep 200 ms", "stages that are claimed at once"
PROCESSES = (1, 2, 4, 8, 16, 32)
SLEEP_SECONDS = 0.2
LEAST_EFFICIENCY_PERCENT = 90.0
BATCHES = (1, 2, 4, 8)
# Batch size: completions a second that are wanted.
COMPLETIONS = {1: 500.0, 8: 1500.0}
_SECONDS = 20.0
# Jobs to write for each second: so many, and as many again for each that a batch takes.
_JOBS = 300
# More than there are cores: while one waits for the database, another computes.
_BUSY_PROCESSES, _BUSY_THREADS = 4, 1
_EDGE = 0.1  # of the rows, at both ends, do not count: not all processes are at work then
_LOOK_SECONDS = 0.5
_SERVERS = ("postgres", "valkey", "s3")


def measure(seconds: float = _SECONDS) -> list[Figure]:
    """Measure both parts, each measurement for about so many seconds."""
    found = []
    with fleet.servers() as servers:
        alone = 0.0
        for processes in PROCESSES:
            pool = Pool(stage=StageName.FACE, seconds=SLEEP_SECONDS, processes=processes)
            run = _run(servers, pool, int(seconds * processes / SLEEP_SECONDS))
            alone = alone or run.rate
            found.append(
                Figure(name=PROCESSES_CURVE, at=processes, unit="stages/s", samples=[run.rate])
            )
        found.append(
            Figure(
                name=f"{PROCESSES[-1]} processes, of as many times one",
                unit="%",
                samples=[100 * found[-1].median / (PROCESSES[-1] * alone)],
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
            found.append(
                Figure(
                    name=BATCHES_CURVE,
                    at=batch_size,
                    unit="stages/s",
                    samples=[run.rate],
                    goal=COMPLETIONS.get(batch_size),
                    kind="at least",
                )
            )
            found += [
                Figure(name=f"of it {server}, a stage", unit="ms of a core", samples=[taken])
                for server, taken in run.processor_ms.items()
            ]
    return found


@dataclass(frozen=True, slots=True)
class _Run:
    """Stages a second, and the processor time that each one takes of a server, by its name."""

    rate: float
    processor_ms: Mapping[str, float]


def _run(servers: Servers, pool: Pool, jobs: int) -> _Run:
    """Let so many stages be completed; what counts is the midst of them."""
    bench = servers.bench
    bench.empty()
    template = copies.prepared(bench, [pool.stage])
    with fleet.working(servers, [pool]):
        copies.write(bench.engine, template, jobs)
        copies.settle(bench.engine)
        before = {name: servers.processor_seconds(name) for name in _SERVERS}
        fleet.ring(servers, [pool])
        while copies.unfinished(bench.engine, template):
            time.sleep(_LOOK_SECONDS)
        taken = {name: servers.processor_seconds(name) - before[name] for name in _SERVERS}
    ended = [one.ended for one in copies.endings(bench.engine, template)]
    cut = int(len(ended) * _EDGE)
    midst = ended[cut : len(ended) - cut]
    return _Run(
        rate=(len(midst) - 1) / (midst[-1] - midst[0]),
        processor_ms={name: 1000 * seconds / len(ended) for name, seconds in taken.items()},
    )


if __name__ == "__main__":
    figures.tell(measure(float(sys.argv[1]) if len(sys.argv) > 1 else _SECONDS))
