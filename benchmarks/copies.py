"""Many jobs at once: copies of one, made by the database itself."""

import dataclasses
from collections.abc import Collection

import numpy as np
from sqlalchemy import Connection, Engine, Table, text

from smart_filter_shared.db import sessions, tables
from smart_filter_shared.ids import JobId
from smart_filter_shared.jobs import transitions
from smart_filter_shared.jobs.leases import Done
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import Output, Recipe
from smart_filter_tests.bench import KEEPING, Bench
from smart_filter_workers.artifacts import Artifacts
from smart_filter_workers.fetcher import Fetcher
from smart_filter_workers.recent import Recent
from smart_filter_workers.results import Prepared
from smart_filter_workers.stock.room import StockRoom

_SIDE_PX = 64
_CACHE_BYTES = 1 << 20
_AT_ONCE = 50_000


def prepared(bench: Bench, stages: Collection[StageName]) -> JobId:
    """Write a job whose photo is prepared, and of whose other stages only these are left.

    They wait for ever, so that no worker takes them; those of its copies are ready. Its proxy
    lies in storage: a real worker can run segmentation and face of its copies.
    """
    job_id = bench.submit(Recipe(outputs=frozenset({Output.MATTE, Output.FACES})))
    lease = bench.claim_one(StageName.PREPARE)
    recent = Recent(_CACHE_BYTES)
    room = StockRoom(bench.engine, bench.store, recent)
    artifacts = Artifacts(bench.store, recent, room, Fetcher(bench.settings.outbound))
    proxy = np.zeros((_SIDE_PX, _SIDE_PX, 3), np.uint8)
    result = Prepared(_SIDE_PX, _SIDE_PX, "jpg", proxy, ())
    kept = artifacts.keep(bench.job(job_id), lease, result)
    with bench.transaction() as connection:
        done = Done(lease, {**kept.row, "digests": {}}, 0.1, kept.artifacts)
        transitions.complete(connection, [done], KEEPING)
        connection.execute(
            text("DELETE FROM stages WHERE job_id = :job_id AND stage <> ALL(:stages)"),
            {"job_id": job_id, "stages": [StageName.PREPARE, *stages]},
        )
        connection.execute(
            text("""
                UPDATE stages SET state = 'waiting', not_before = now() + interval '1 year'
                WHERE job_id = :job_id AND state = 'ready'
            """),
            {"job_id": job_id},
        )
    return job_id


def finished(bench: Bench) -> JobId:
    """Write a job and complete all five of its stages."""
    job_id = bench.submit(Recipe())
    bench.advance(*StageName)
    return job_id


def write(engine: Engine, of: JobId, count: int) -> None:
    """Write so many copies of a job and its stages, each with an id of its own."""
    for begun in range(0, count, _AT_ONCE):
        with sessions.transaction(engine) as connection:
            connection.execute(text("CREATE TEMP TABLE copies (id uuid) ON COMMIT DROP"))
            # As in life: ids rise with time, which is what indexes of them are good at.
            connection.execute(
                text("INSERT INTO copies SELECT uuidv7() FROM generate_series(1, :count)"),
                {"count": min(_AT_ONCE, count - begun)},
            )
            _copy(connection, tables.jobs, "id", of, {"created_at": "clock_timestamp()"})
            changed = {
                "rank": "rank + extract(epoch FROM clock_timestamp())",  # first come, first served
                "state": "CASE state WHEN 'waiting' THEN 'ready' ELSE state END",
                "not_before": "NULL",
                "ready_at": "clock_timestamp()",
            }
            _copy(connection, tables.stages, "job_id", of, changed)


def settle(engine: Engine) -> None:
    """Do what the database does by itself in time: clean up, and learn how much there is."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE jobs"))
        connection.execute(text("VACUUM ANALYZE stages"))


@dataclasses.dataclass(frozen=True, slots=True)
class Ended:
    """When copies were accepted and when they ended, in seconds of the database's clock."""

    accepted: float
    ended: float


def endings(engine: Engine, of: JobId) -> list[Ended]:
    """Return the copies of the latest such job, as they ended."""
    with sessions.transaction(engine) as connection:
        rows = connection.execute(
            text("""
                SELECT CAST(extract(epoch FROM created_at) AS float8) AS accepted,
                    CAST(extract(epoch FROM finished_at) AS float8) AS ended
                FROM jobs WHERE outcome = 'succeeded'
                    AND created_at > (SELECT created_at FROM jobs WHERE id = :of)
                ORDER BY finished_at
            """),
            {"of": of},
        ).all()
    return [Ended(row.accepted, row.ended) for row in rows]


def unfinished(engine: Engine, of: JobId) -> int:
    """Return how many copies of the latest such job have not ended."""
    with sessions.transaction(engine) as connection:
        query = text("""
            SELECT count(*) FROM jobs WHERE outcome IS NULL
                AND created_at > (SELECT created_at FROM jobs WHERE id = :of)
        """)
        return int(connection.execute(query, {"of": of}).scalar_one())


def _copy(
    connection: Connection, table: Table, key: str, of: JobId, changed: dict[str, str]
) -> None:
    names = [column.name for column in table.columns]
    values = ["copies.id" if name == key else changed.get(name, name) for name in names]
    quoted = ", ".join(f'"{name}"' for name in names)
    connection.execute(
        text(
            f"INSERT INTO {table.name} ({quoted}) SELECT {', '.join(values)} "
            f"FROM {table.name} original, copies WHERE original.{key} = :of"
        ),
        {"of": of},
    )
