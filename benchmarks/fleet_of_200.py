"""Measure heartbeats and claims of a fleet of worker processes whose model sleeps.

python -m benchmarks.fleet_of_200 [SECONDS [PROCESSES]]      default: 180 and 200

The workers connect to PostgreSQL through PgBouncer, which must be installed: 200 workers may have
600 connections. Each process is a real worker except for its model, which sleeps. All are forks of
one process that has imported everything, which saves 100 MB and two seconds of a core each. Claims
are timed on one more connection, which claims as workers do and rolls back at once.
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
from smart_filter_shared.config import settings
from smart_filter_shared.db import sessions
from smart_filter_shared.pipeline import StageName
from smart_filter_tests import claiming, pgbouncer
from smart_filter_tests.bench import capability
from smart_filter_workers import process as worker_process  # noqa: F401 - so that forks have it

_SECONDS, _PROCESSES = 180.0, 200
# With this time the whole fleet does a fifth of the stages that two cores could complete.
_SLEEP_SECONDS = 20.0
_PROBE_SECONDS = 0.25
_LOOK_SECONDS = 2.0
_SERVER_CONNECTIONS = 16
_READY_SECONDS = 600.0


@dataclass(slots=True)
class _Observations:
    """Measurements while the fleet worked.

    ages: seconds since each worker's last heartbeat.  clients: connections to PgBouncer.
    servers: connections from PgBouncer to PostgreSQL, and two of the benchmark.
    """

    claims_ms: list[float] = field(default_factory=list)
    ages: list[float] = field(default_factory=list)
    clients: list[int] = field(default_factory=list)
    servers: list[int] = field(default_factory=list)


def measure(seconds: float = _SECONDS, processes: int = _PROCESSES) -> list[Figure]:
    """Let the fleet work for `seconds`; return the figures of its heartbeats and claims."""
    pool = Pool(stage=StageName.FACE, seconds=_SLEEP_SECONDS, processes=processes)
    with fleet.run_servers() as servers:
        template = copies.write_prepared_job(servers.bench, [pool.stage])
        copies.write_copies(
            servers.bench.engine, template, int(processes * (3 + seconds / pool.seconds))
        )
        copies.vacuum_analyze(servers.bench.engine)
        with _run_pgbouncer(servers) as url, _fork_workers(servers, pool, url):
            before = servers.processor_seconds("postgres")
            fleet.ring(servers, [pool])
            observed = _watch(servers, pool, seconds, port=urlsplit(url).port or 0)
            postgres = (servers.processor_seconds("postgres") - before) / seconds
        finished = len(copies.read_job_times(servers.bench.engine, template))
    return [*_figures(servers, observed, processes), *_rates(finished / seconds, postgres)]


def _figures(servers: Servers, observed: _Observations, processes: int) -> list[Figure]:
    limit = 2 * servers.bench.settings.engine.heartbeat_seconds
    third = len(observed.claims_ms) // 3
    parts = {"first": observed.claims_ms[:third], "last": observed.claims_ms[-third:]}
    late = 100 * sum(age > limit for age in observed.ages) / len(observed.ages)
    return [
        Figure(name=f"heartbeats older than {limit:g} s", unit="%", samples=[late], goal=0.5),
        Figure(name="oldest heartbeat", unit="s", samples=[max(observed.ages)]),
        Figure(name="connections a worker", unit="", samples=[max(observed.clients) / processes]),
        Figure(name="connections to PostgreSQL", unit="", samples=[max(observed.servers)]),
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


def _watch(servers: Servers, pool: Pool, seconds: float, *, port: int) -> _Observations:
    observed = _Observations()
    probing = sessions.open_engine(servers.bench.settings.database, connections=1)
    ends_at = time.monotonic() + seconds
    looks_at = 0.0
    while time.monotonic() < ends_at:
        observed.claims_ms.append(_claim_ms(servers, pool, sessions.for_key_lookups(probing)))
        if time.monotonic() >= looks_at:
            looks_at = time.monotonic() + _LOOK_SECONDS
            _look(servers, observed)
            observed.clients.append(pgbouncer.count_established(port))
        time.sleep(_PROBE_SECONDS)
    probing.dispose()
    return observed


def _look(servers: Servers, observed: _Observations) -> None:
    with servers.bench.transaction() as connection:
        age = "CAST(extract(epoch FROM clock_timestamp() - seen_at) AS float8)"
        observed.ages += connection.execute(text(f"SELECT {age} FROM workers")).scalars()
        backends = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
        observed.servers.append(connection.execute(text(backends)).scalar_one())


def _claim_ms(servers: Servers, pool: Pool, engine: Engine) -> float:
    """Return the milliseconds of a claim, which is rolled back."""
    engine_settings = servers.bench.settings.engine
    with engine.connect() as connection:
        started = time.perf_counter()
        claiming.claim(
            connection,
            [capability(pool.stage)],
            worker=servers.bench.worker,
            lease_seconds=engine_settings.lease_seconds,
        )
        return 1000 * (time.perf_counter() - started)


@contextmanager
def _run_pgbouncer(servers: Servers) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        direct = servers.stack.addresses.database_url
        with pgbouncer.pgbouncer(direct, Path(folder), connections=_SERVER_CONNECTIONS) as url:
            yield url


@contextmanager
def _fork_workers(servers: Servers, pool: Pool, database_url: str) -> Iterator[None]:
    """Run forks of this process as workers while the block lasts; it starts when all are ready."""
    os.environ.update({**servers.stack.environment, "SMART_FILTER_DATABASE_URL": database_url})
    model = sleeping.model(
        pool.stage, seconds=pool.seconds, growth=pool.growth, batch_size=pool.batch_size
    )

    def serve() -> None:
        wiring.serve_worker(
            settings.load(),
            stages=[pool.stage],
            models=["bench"],
            threads=pool.threads,
            extra_models=[model],
        )

    servers.bench.engine.dispose()  # forks must not use the connections of this process
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
    _seconds, *_counts = sys.argv[1:] or [str(_SECONDS)]
    figures.print_figures(measure(float(_seconds), *map(int, _counts)))
