"""Measure the load of one photo on the servers, beyond their load at rest.

python -m benchmarks.photo_costs

Selfies of 1 MP with the default recipe come far enough apart that each is claimed alone, first by
five workers with one stage each, which costs the servers most, then by a worker with all stages,
which runs a photo's later stages under the lease of the first. No client polls.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from sqlalchemy import Engine, text

from benchmarks import figures, fleet, photos
from benchmarks.figures import Figure
from benchmarks.fleet import Servers
from smart_filter_client import Client
from smart_filter_deploy.cli.server import program
from smart_filter_deploy.embedded.addresses import LOOPBACK, free_port
from smart_filter_deploy.embedded.child_processes import Command
from smart_filter_shared.config import paths
from smart_filter_shared.db import sessions
from smart_filter_shared.doorbell import queue_name
from smart_filter_shared.ids import Capability
from smart_filter_shared.pipeline import StageName

_KEY: Final = "sf_local_bench"
_WARM_UP, _PHOTOS = 5, 40
_APART_SECONDS = 0.7
_LOOK_SECONDS = 1.0
_RINGS = 3000
_SUCCEEDED: Final = "SELECT count(*) FROM jobs WHERE outcome = 'succeeded'"
_MOST_SECONDS = 120.0
# PostgreSQL's processes report their statistics with a delay, at the latest when they rest.
_SETTLE_SECONDS = 3.0
_UNITS: Final[Mapping[str, str]] = {
    "PostgreSQL: commits": "",
    "PostgreSQL: rows written": "",
    "PostgreSQL: write-ahead log": "KB",
    "Valkey: commands": "",
    "Valkey: in and out": "KB",
    "PostgreSQL: processor": "ms",
    "Valkey: processor": "ms",
    "S3: processor": "ms",
}
# Stages of each worker, by the name of the deployment.
_DEPLOYMENTS: Final[Mapping[str, Sequence[Sequence[StageName]]]] = {
    "a worker for each stage": [(stage,) for stage in StageName],
    "a worker for all stages": [tuple(StageName)],
}
Counts = Mapping[str, float]


def measure() -> list[Figure]:
    """Return the load of the servers for a photo: counts with photos minus counts at rest."""
    return [
        replace(figure, name=f"{deployment}: {figure.name}")
        for deployment, workers in _DEPLOYMENTS.items()
        for figure in _measure(workers)
    ]


def _measure(workers: Sequence[Sequence[StageName]]) -> list[Figure]:
    selfies = photos.selfies(photos.SIDE_OF_1_MP)
    with fleet.run_servers() as servers, _service(servers, workers) as client:
        store = servers.bench.store
        _submit(servers, client, selfies, _WARM_UP)
        stored_before = {entry.key for entry in store.stored()}
        before, started = _counts(servers), time.monotonic()
        _submit(servers, client, selfies, _PHOTOS)
        after, seconds = _counts(servers), time.monotonic() - started
        stored = {file.key: file.length for file in store.stored() if file.key not in stored_before}
        rest_begin, started = _counts(servers), time.monotonic()
        time.sleep(seconds - _SETTLE_SECONDS)
        rest_end = _counts(servers)
        rest_seconds = time.monotonic() - started
        results = list(_storage_figures(stored))
        for name, unit in _UNITS.items():
            per_second = (rest_end[name] - rest_begin[name]) / rest_seconds
            per_photo = (after[name] - before[name] - per_second * seconds) / _PHOTOS
            results.append(Figure(name=f"{name}, a photo", unit=unit, samples=[per_photo]))
            results.append(
                Figure(name="when nothing comes, a second", unit=unit, samples=[per_second])
            )
        return [*results, _ring_figure(servers), _statements_figure(servers, client, selfies)]


def _submit(servers: Servers, client: Client, selfies: Iterator[bytes], count: int) -> None:
    started = _query_number(servers.bench.engine, _SUCCEEDED)
    for _ in range(count):
        client.submit(next(selfies))
        time.sleep(_APART_SECONDS)
    _wait_until(servers.bench.engine, f"SELECT ({_SUCCEEDED}) >= {started + count}")


def _ring_figure(servers: Servers) -> Figure:
    """Return the processor time of one ring on a busy broker: rings to a worker without work."""
    bench = servers.bench
    prepare = queue_name(Capability("prepare.light"))
    before = servers.processor_seconds("valkey")
    for _ in range(_RINGS):
        bench.doorbell.ring([Capability("prepare.light")])
    while bench.broker.llen(prepare):
        time.sleep(_LOOK_SECONDS)
    taken = servers.processor_seconds("valkey") - before
    return Figure(name="Valkey: processor, a ring", unit="ms", samples=[1000 * taken / _RINGS])


def _statements_figure(servers: Servers, client: Client, selfies: Iterator[bytes]) -> Figure:
    """Return the statements for a photo, from a separate round: logging them slows PostgreSQL."""
    with servers.bench.engine.connect() as connection:
        autocommit = connection.execution_options(isolation_level="AUTOCOMMIT")
        autocommit.execute(text("ALTER SYSTEM SET log_statement = 'all'"))
        autocommit.execute(text("SELECT pg_reload_conf()"))
    time.sleep(_SETTLE_SECONDS)
    counts, started = [_count_statements(servers)], time.monotonic()
    _submit(servers, client, selfies, _PHOTOS)
    seconds = time.monotonic() - started
    counts.append(_count_statements(servers))
    time.sleep(seconds)
    counts.append(_count_statements(servers))
    extra = counts[1] - counts[0] - (counts[2] - counts[1])
    return Figure(name="PostgreSQL: statements, a photo", unit="", samples=[extra / _PHOTOS])


def _count_statements(servers: Servers) -> int:
    log = servers.stack.folder.log("postgres").read_text(errors="replace")
    return log.count("LOG:  statement:") + log.count("LOG:  execute ")


def _storage_figures(stored: Mapping[str, int]) -> Iterator[Figure]:
    yield Figure(name="storage: objects, a photo", unit="", samples=[len(stored) / _PHOTOS])
    kilobytes = sum(stored.values()) / 1000
    yield Figure(name="storage: size, a photo", unit="KB", samples=[kilobytes / _PHOTOS])


@contextmanager
def _service(servers: Servers, workers: Sequence[Sequence[StageName]]) -> Iterator[Client]:
    """Run the API and workers with the weights of this machine; yield a client."""
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    weights = {"SMART_FILTER_DATA": str(paths.data_folder())}
    servers.stack.start(
        Command(
            name="prepare",
            argv=program.command("prepare"),
            env={**weights, "SMART_FILTER_LOCAL_KEY": _KEY},
            once=True,
        )
    )
    servers.stack.start(
        Command(name="api", argv=program.command("api", "--port", str(port))),
        *(
            Command(
                name=f"worker-{stages[0]}",
                argv=program.command("worker", "--stages", ",".join(stages), "--threads", "1"),
                env=weights,
            )
            for stages in workers
        ),
    )
    _wait_until(
        servers.bench.engine,
        f"SELECT count(*) = {len(workers)} FROM workers WHERE capabilities <> '{{}}'",
    )
    with Client(url, _KEY) as client:
        yield client


def _wait_until(engine: Engine, query: str) -> None:
    gives_up_at = time.monotonic() + _MOST_SECONDS
    while not _query_number(engine, query):
        if time.monotonic() > gives_up_at:
            raise RuntimeError(f"the condition was not met in time: {query}")
        time.sleep(_LOOK_SECONDS)


def _counts(servers: Servers) -> Counts:
    time.sleep(_SETTLE_SECONDS)
    engine = servers.bench.engine
    broker_info = servers.bench.broker.info()
    return {
        "PostgreSQL: commits": _database_statistic(engine, "xact_commit"),
        "PostgreSQL: rows written": _database_statistic(
            engine, "tup_inserted + tup_updated + tup_deleted"
        ),
        "PostgreSQL: write-ahead log": _query_number(engine, "SELECT pg_current_wal_lsn() - '0/0'")
        / 1000,
        "Valkey: commands": float(broker_info["total_commands_processed"]),
        "Valkey: in and out": (
            broker_info["total_net_input_bytes"] + broker_info["total_net_output_bytes"]
        )
        / 1000,
        **{
            f"{name}: processor": 1000 * servers.processor_seconds(server)
            for name, server in (("PostgreSQL", "postgres"), ("Valkey", "valkey"), ("S3", "s3"))
        },
    }


def _database_statistic(engine: Engine, columns: str) -> float:
    return _query_number(
        engine, f"SELECT {columns} FROM pg_stat_database WHERE datname = current_database()"
    )


def _query_number(engine: Engine, query: str) -> float:
    with sessions.transaction(engine) as connection:
        return float(connection.execute(text(query)).scalar_one())


if __name__ == "__main__":
    figures.print_figures(measure())
