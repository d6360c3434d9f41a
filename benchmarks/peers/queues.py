"""Compare the queue with procrastinate and PgQueuer: completions a second of empty work.

python -m benchmarks.peers.queues [SECONDS]      of each measurement, default 10

All use the same PostgreSQL with the same settings, in databases of their own, and four worker
processes; each measurement is of the middle of its jobs. Both peers are installed from
`requirements/queues.txt` into an environment of their own.
"""

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Engine, create_engine, text

from benchmarks import copies, figures, fleet
from benchmarks.figures import Figure
from benchmarks.fleet import Pool, Servers
from benchmarks.peers import environments
from smart_filter_shared.pipeline import StageName

_PROCESSES: Final = 4
_SECONDS: Final = 10.0
_BATCHES: Final = (1, 8)
# Completions a second that are expected at most, by batch size: the jobs to write.
_MOST: Final = {1: 1_500, 8: 9_000}
_EDGE: Final = 0.1  # share of the jobs left out at each end
_LOOK_SECONDS: Final = 0.1
_STOP_SECONDS: Final = 60.0
_ROOT: Final = Path(__file__).parents[2]
_OURS, _PROCRASTINATE, _PGQUEUER = "ours", "procrastinate", "pgqueuer"
# How many jobs of a peer are left.
_COUNT_LEFT: Final[Mapping[str, str]] = {
    _PROCRASTINATE: """
        SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')
    """,
    _PGQUEUER: "SELECT count(*) FROM pgqueuer",
}
# Goals in times a peer's rate, by peer and batch size.
_GOALS: Final = {(_PROCRASTINATE, 1): 2.4, (_PGQUEUER, 1): 1.1, (_PGQUEUER, 8): 0.8}


@dataclass(frozen=True, slots=True)
class Rate:
    """Completions a second, and the bytes of write-ahead log of one."""

    rate: float
    log_bytes: float


def measure(seconds: float = _SECONDS) -> list[Figure]:
    """Return the figures of all three; seconds: approximate length of each measurement."""
    python = environments.install("queues") / "bin" / "python"
    results = []
    with fleet.run_servers() as servers:
        for batch_size in _BATCHES:
            jobs = int(seconds * _MOST[batch_size])
            rates = {_OURS: _measure_ours(servers, batch_size, jobs)}
            for name in [peer for peer, size in _GOALS if size == batch_size]:
                rates[name] = _measure_peer(servers, python, name, batch_size, jobs)
            for name, rate in rates.items():
                results += [
                    Figure(name=name, at=batch_size, unit="completions/s", samples=[rate.rate]),
                    Figure(name=f"log of {name}", unit="bytes", samples=[rate.log_bytes]),
                ]
                if name != _OURS:
                    results.append(
                        Figure(
                            name=f"ours, of {name} in batches of {batch_size}",
                            unit="times",
                            samples=[rates[_OURS].rate / rate.rate],
                            goal=_GOALS.get((name, batch_size)),
                            kind="at least",
                        )
                    )
    return results


def _measure_ours(servers: Servers, batch_size: int, jobs: int) -> Rate:
    pool = Pool(
        stage=StageName.FACE, seconds=0.0, processes=_PROCESSES, threads=1, batch_size=batch_size
    )
    bench = servers.bench
    bench.empty()
    template = copies.write_prepared_job(bench, [pool.stage])
    with fleet.run_workers(servers, [pool]):
        copies.write_copies(bench.engine, template, jobs)
        copies.vacuum_analyze(bench.engine)
        log_before = _count(bench.engine)
        fleet.ring(servers, [pool])
        return _watch(
            bench.engine, lambda: copies.count_unfinished(bench.engine, template), jobs, log_before
        )


def _measure_peer(servers: Servers, python: Path, name: str, batch_size: int, jobs: int) -> Rate:
    with _database(servers.bench.engine, name) as engine:
        address = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        command = [str(python), "-m", f"benchmarks.peers.with_{name}", address]
        subprocess.run([*command, "prepare", str(jobs)], cwd=_ROOT, check=True)
        with engine.connect() as connection:
            connection.execute(text("VACUUM ANALYZE"))
        log_before = _count(engine)
        processes = [
            subprocess.Popen(
                [*command, "work", str(batch_size)],
                cwd=_ROOT,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for _ in range(_PROCESSES)
        ]
        try:
            return _watch(engine, lambda: _count(engine, _COUNT_LEFT[name]), jobs, log_before)
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(_STOP_SECONDS)


@contextmanager
def _database(of: Engine, name: str) -> Iterator[Engine]:
    """Create a database on the same server; drop it at the end of the block."""
    server = create_engine(of.url, isolation_level="AUTOCOMMIT")
    engine = create_engine(of.url.set(database=name), isolation_level="AUTOCOMMIT")
    try:
        with server.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        yield engine
    finally:
        engine.dispose()
        with server.connect() as connection:
            connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
        server.dispose()


def _watch(engine: Engine, count_left: Callable[[], int], jobs: int, log_before: float) -> Rate:
    """Wait until no job is left; return the rate of the middle ones."""
    first: tuple[float, int] | None = None
    last: tuple[float, int] | None = None
    while left := count_left():
        now = time.monotonic()
        if first is None and left <= jobs * (1 - _EDGE):
            first = now, left
        if left >= jobs * _EDGE:
            last = now, left
        time.sleep(_LOOK_SECONDS)
    log_bytes = (_count(engine) - log_before) / jobs
    if first is None or last is None or last[0] <= first[0]:
        raise RuntimeError("too few jobs: measure for longer")
    return Rate((first[1] - last[1]) / (last[0] - first[0]), log_bytes)


def _count(engine: Engine, query: str = "SELECT pg_current_wal_insert_lsn() - '0/0'") -> int:
    """Return the number that a query returns, by default the bytes of log."""
    with engine.connect() as connection:
        return int(connection.execute(text(query)).scalar_one())


if __name__ == "__main__":
    results_ = measure(figures.read_number(__doc__, "seconds", _SECONDS))
    figures.print_figures(results_)
