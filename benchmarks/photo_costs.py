"""What one photo asks of the servers that a cell shares, beyond what they do when nothing comes.

python -m benchmarks.photo_costs

Selfies of 1 MP with the default recipe, far enough apart that each stage is claimed alone, by five
workers that serve a stage each: what costs the servers most. Nobody polls.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Final

from sqlalchemy import Engine, text

from benchmarks import figures, fleet, photos
from benchmarks.figures import Figure
from benchmarks.fleet import Servers
from smart_filter_client import Client
from smart_filter_deploy.cli import program
from smart_filter_deploy.embedded.children import Command
from smart_filter_deploy.embedded.ports import LOOPBACK, free_port
from smart_filter_shared import places
from smart_filter_shared.db import sessions
from smart_filter_shared.doorbell import queue_of
from smart_filter_shared.ids import Capability
from smart_filter_shared.pipeline import StageName

_KEY: Final = "sf_local_bench"
_WARM_UP, _PHOTOS = 5, 40
_APART_SECONDS = 0.7
_LOOK_SECONDS = 1.0
_RINGS = 3000
_SUCCEEDED: Final = "SELECT count(*) FROM jobs WHERE outcome = 'succeeded'"
_MOST_SECONDS = 120.0
# PostgreSQL's processes say now and then what they did, at the latest when they rest.
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
Counts = Mapping[str, float]


def measure() -> list[Figure]:
    """Count what servers do while photos come, and for as long while none does."""
    selfies = photos.selfies(photos.SIDE_OF_1_MP)
    with fleet.servers() as servers, _service(servers) as client:
        store = servers.bench.store
        _submit(servers, client, selfies, _WARM_UP)
        stored_before = {one.key for one in store.stored()}
        before, begun = _counts(servers), time.monotonic()
        _submit(servers, client, selfies, _PHOTOS)
        after, seconds = _counts(servers), time.monotonic() - begun
        stored = {one.key: one.length for one in store.stored() if one.key not in stored_before}
        resting, begun = _counts(servers), time.monotonic()
        time.sleep(seconds - _SETTLE_SECONDS)
        rested = _counts(servers)
        rest_seconds = time.monotonic() - begun
        found = list(_of_storage(stored))
        for name, unit in _UNITS.items():
            a_second = (rested[name] - resting[name]) / rest_seconds
            a_photo = (after[name] - before[name] - a_second * seconds) / _PHOTOS
            found.append(Figure(name=f"{name}, a photo", unit=unit, samples=[a_photo]))
            found.append(Figure(name="when nothing comes, a second", unit=unit, samples=[a_second]))
        return [*found, _of_a_ring(servers), _of_statements(servers, client, selfies)]


def _submit(servers: Servers, client: Client, selfies: Iterator[bytes], count: int) -> None:
    begun = _one(servers.bench.engine, _SUCCEEDED)
    for _ in range(count):
        client.submit(next(selfies))
        time.sleep(_APART_SECONDS)
    _wait_until(servers.bench.engine, f"SELECT ({_SUCCEEDED}) >= {begun + count}")


def _of_a_ring(servers: Servers) -> Figure:
    """Ring a worker again and again for nothing: what a broker that is busy takes for one."""
    bench = servers.bench
    prepare = queue_of(Capability("prepare.light"))
    before = servers.processor_seconds("valkey")
    for _ in range(_RINGS):
        bench.doorbell.ring([Capability("prepare.light")])
    while bench.broker.llen(prepare):
        time.sleep(_LOOK_SECONDS)
    taken = servers.processor_seconds("valkey") - before
    return Figure(name="Valkey: processor, a ring", unit="ms", samples=[1000 * taken / _RINGS])


def _of_statements(servers: Servers, client: Client, selfies: Iterator[bytes]) -> Figure:
    """Count statements in a round of its own: telling them all costs PostgreSQL time."""
    with servers.bench.engine.connect() as connection:
        alone = connection.execution_options(isolation_level="AUTOCOMMIT")
        alone.execute(text("ALTER SYSTEM SET log_statement = 'all'"))
        alone.execute(text("SELECT pg_reload_conf()"))
    time.sleep(_SETTLE_SECONDS)
    counts, begun = [_statements(servers)], time.monotonic()
    _submit(servers, client, selfies, _PHOTOS)
    seconds = time.monotonic() - begun
    counts.append(_statements(servers))
    time.sleep(seconds)
    counts.append(_statements(servers))
    beyond = counts[1] - counts[0] - (counts[2] - counts[1])
    return Figure(name="PostgreSQL: statements, a photo", unit="", samples=[beyond / _PHOTOS])


def _statements(servers: Servers) -> int:
    log = servers.stack.folder.log("postgres").read_text(errors="replace")
    return log.count("LOG:  statement:") + log.count("LOG:  execute ")


def _of_storage(stored: Mapping[str, int]) -> Iterator[Figure]:
    yield Figure(name="storage: objects, a photo", unit="", samples=[len(stored) / _PHOTOS])
    sizes: dict[str, list[float]] = {}
    for key, length in stored.items():
        sizes.setdefault(PurePosixPath(key).name, []).append(length / 1000)
    for name, some in sorted(sizes.items()):
        if len(some) > 1:
            yield Figure(name=f"storage: {name}", unit="KB", samples=some)


@contextmanager
def _service(servers: Servers) -> Iterator[Client]:
    """Run the API and a worker for each stage; their weights are those of this machine."""
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    weights = {"SMART_FILTER_DATA": str(places.data_folder())}
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
                name=f"worker-{stage}",
                argv=program.command("worker", "--stages", stage, "--threads", "1"),
                env=weights,
            )
            for stage in StageName
        ),
    )
    _wait_until(servers.bench.engine, "SELECT count(*) = 5 FROM workers WHERE capabilities <> '{}'")
    with Client(url, _KEY) as client:
        yield client


def _wait_until(engine: Engine, query: str) -> None:
    gives_up_at = time.monotonic() + _MOST_SECONDS
    while not _one(engine, query):
        if time.monotonic() > gives_up_at:
            raise RuntimeError(f"this did not come true: {query}")
        time.sleep(_LOOK_SECONDS)


def _counts(servers: Servers) -> Counts:
    time.sleep(_SETTLE_SECONDS)
    engine = servers.bench.engine
    said = servers.bench.broker.info()
    return {
        "PostgreSQL: commits": _of_database(engine, "xact_commit"),
        "PostgreSQL: rows written": _of_database(
            engine, "tup_inserted + tup_updated + tup_deleted"
        ),
        "PostgreSQL: write-ahead log": _one(engine, "SELECT pg_current_wal_lsn() - '0/0'") / 1000,
        "Valkey: commands": float(said["total_commands_processed"]),
        "Valkey: in and out": (said["total_net_input_bytes"] + said["total_net_output_bytes"])
        / 1000,
        **{
            f"{name}: processor": 1000 * servers.processor_seconds(server)
            for name, server in (("PostgreSQL", "postgres"), ("Valkey", "valkey"), ("S3", "s3"))
        },
    }


def _of_database(engine: Engine, columns: str) -> float:
    return _one(
        engine, f"SELECT {columns} FROM pg_stat_database WHERE datname = current_database()"
    )


def _one(engine: Engine, query: str) -> float:
    with sessions.transaction(engine) as connection:
        return float(connection.execute(text(query)).scalar_one())


if __name__ == "__main__":
    figures.tell(measure())
