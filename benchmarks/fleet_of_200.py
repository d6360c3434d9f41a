"""A fleet of worker processes that sleep: do heartbeats stay steady, do claims stay fast?

python -m benchmarks.fleet_of_200 [SECONDS [PROCESSES]]      180 and 200 when nothing is said

They reach PostgreSQL by PgBouncer, which must be installed: 200 workers may have 600 connections.
Each process is a worker as it is, but for its model, which sleeps; all are forks of one that has
imported everything, which spares 100 MB and two seconds of a core each. What claims take is asked
by one more connection, which claims as workers do and gives back at once.
"""

import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from sqlalchemy import Engine, text

from benchmarks import copies, figures, fleet, sleeping
from benchmarks.figures import Figure
from benchmarks.fleet import Pool, Servers
from smart_filter_deploy import wiring
from smart_filter_shared import settings
from smart_filter_shared.db import sessions
from smart_filter_shared.jobs import transitions
from smart_filter_shared.pipeline import StageName
from smart_filter_tests import pooling
from smart_filter_tests.bench import capability
from smart_filter_workers import app  # noqa: F401 - forks have it then

_SECONDS, _PROCESSES = 180.0, 200
# So that what the whole fleet does is a fifth of what two cores could complete.
_SLEEP_SECONDS = 20.0
_PROBE_SECONDS = 0.25
_LOOK_SECONDS = 2.0
_SERVER_CONNECTIONS = 16
_READY_SECONDS = 600.0


@dataclass(slots=True)
class _Seen:
    """What was seen while the fleet worked.

    ages: seconds since each worker's last heartbeat.  clients: connections to PgBouncer.
    servers: those of PgBouncer to PostgreSQL, and two of the benchmark.
    """

    claims_ms: list[float] = field(default_factory=list)
    ages: list[float] = field(default_factory=list)
    clients: list[int] = field(default_factory=list)
    servers: list[int] = field(default_factory=list)


def measure(seconds: float = _SECONDS, processes: int = _PROCESSES) -> list[Figure]:
    """Let the fleet work for so long, and look at it."""
    pool = Pool(stage=StageName.FACE, seconds=_SLEEP_SECONDS, processes=processes)
    with fleet.servers() as servers:
        template = copies.prepared(servers.bench, [pool.stage])
        copies.write(servers.bench.engine, template, int(processes * (3 + seconds / pool.seconds)))
        copies.settle(servers.bench.engine)
        with _pooled(servers) as url, _forked(servers, pool, url):
            before = servers.processor_seconds("postgres")
            fleet.ring(servers, [pool])
            seen = _watch(servers, pool, seconds, port=urlsplit(url).port or 0)
            postgres = (servers.processor_seconds("postgres") - before) / seconds
        ended = len(copies.endings(servers.bench.engine, template))
    return [*_figures(servers, seen, processes), *_rates(ended / seconds, postgres)]


def _figures(servers: Servers, seen: _Seen, processes: int) -> list[Figure]:
    limit = 2 * servers.bench.settings.engine.heartbeat_seconds
    third = len(seen.claims_ms) // 3
    parts = {"first": seen.claims_ms[:third], "last": seen.claims_ms[-third:]}
    late = 100 * sum(age > limit for age in seen.ages) / len(seen.ages)
    return [
        Figure(name=f"heartbeats older than {limit:g} s", unit="%", samples=[late], goal=0.5),
        Figure(name="oldest heartbeat", unit="s", samples=[max(seen.ages)]),
        Figure(name="connections a worker", unit="", samples=[max(seen.clients) / processes]),
        Figure(name="connections to PostgreSQL", unit="", samples=[max(seen.servers)]),
        *(
            Figure(
                name=f"a claim, p{quantile}, {part} third",
                unit="ms",
                samples=[float(np.percentile(taken, quantile))],
            )
            for quantile in (50, 99)
            for part, taken in parts.items()
        ),
    ]


def _rates(completions: float, postgres: float) -> list[Figure]:
    return [
        Figure(name="completions", unit="stages/s", samples=[completions]),
        Figure(name="PostgreSQL", unit="cores", samples=[postgres]),
    ]


def _watch(servers: Servers, pool: Pool, seconds: float, *, port: int) -> _Seen:
    seen = _Seen()
    probing = sessions.engine(servers.bench.settings.database, connections=1)
    ends_at = time.monotonic() + seconds
    looks_at = 0.0
    while time.monotonic() < ends_at:
        seen.claims_ms.append(_claim_ms(servers, pool, sessions.by_key(probing)))
        if time.monotonic() >= looks_at:
            looks_at = time.monotonic() + _LOOK_SECONDS
            _look(servers, seen)
            seen.clients.append(pooling.established(port))
        time.sleep(_PROBE_SECONDS)
    probing.dispose()
    return seen


def _look(servers: Servers, seen: _Seen) -> None:
    with servers.bench.transaction() as connection:
        age = "CAST(extract(epoch FROM clock_timestamp() - seen_at) AS float8)"
        seen.ages += connection.execute(text(f"SELECT {age} FROM workers")).scalars()
        backends = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
        seen.servers.append(connection.execute(text(backends)).scalar_one())


def _claim_ms(servers: Servers, pool: Pool, engine: Engine) -> float:
    """Return what a claim takes, begun and undone."""
    told = servers.bench.settings.engine
    with engine.connect() as connection:
        started = time.perf_counter()
        transitions.claim(
            connection,
            capability(pool.stage),
            worker=servers.bench.worker,
            batch_size=1,
            lease_seconds=told.lease_seconds,
            max_attempts=told.max_attempts,
        )
        taken = time.perf_counter() - started
        connection.rollback()
    return 1000 * taken


@contextmanager
def _pooled(servers: Servers) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        direct = servers.stack.addresses.database_url
        with pooling.pgbouncer(direct, Path(folder), connections=_SERVER_CONNECTIONS) as url:
            yield url


@contextmanager
def _forked(servers: Servers, pool: Pool, database_url: str) -> Iterator[None]:
    """Run forks of this process as workers while the block lasts; it begins when all are ready."""
    os.environ.update({**servers.stack.environment, "SMART_FILTER_DATABASE_URL": database_url})
    model = sleeping.model(pool.stage, seconds=pool.seconds, batch_size=pool.batch_size)

    def serve() -> None:
        wiring.serve_worker(
            settings.load(),
            stages=[pool.stage],
            models=["bench"],
            threads=pool.threads,
            extra_models=[model],
        )

    servers.bench.engine.dispose()  # no fork may speak on our connections
    pids = [_fork(serve) for _ in range(pool.processes)]
    try:
        _wait_until_ready(servers, pool.processes)
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in pids:
            os.waitpid(pid, 0)


def _fork(serve: Callable[[], None]) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in range(3):
            os.dup2(null, descriptor)
        serve()
    finally:
        os._exit(0)


def _wait_until_ready(servers: Servers, processes: int) -> None:
    gives_up_at = time.monotonic() + _READY_SECONDS
    while True:
        with servers.bench.transaction() as connection:
            ready = text("SELECT count(*) FROM workers WHERE state IN ('ready', 'busy')")
            if connection.execute(ready).scalar_one() == processes:
                return
        if time.monotonic() > gives_up_at:
            raise RuntimeError("the workers did not become ready")
        time.sleep(1.0)


if __name__ == "__main__":
    _numbers = [float(one) for one in sys.argv[1:]]
    figures.tell(measure(*_numbers[:1], *map(int, _numbers[1:])))
