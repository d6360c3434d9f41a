"""Write many jobs at once: the database copies one."""

import dataclasses
import hashlib
from collections.abc import Collection

import numpy as np
from sqlalchemy import Connection, Engine, text

from benchmarks import photos
from smart_filter_shared.db import sessions
from smart_filter_shared.ids import JobId
from smart_filter_shared.jobs.photo_queue import WORKER
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue.leases import StageOutcome
from smart_filter_shared.recipe import Output, Recipe
from smart_filter_tests.bench import Bench
from smart_filter_tests.unlocked_decoders import UnlockedDecoders
from smart_filter_workers.artifacts.store import ArtifactStore
from smart_filter_workers.fetcher import Fetcher
from smart_filter_workers.results import PreparedPhoto
from smart_filter_workers.stock.tenant_backgrounds import TenantBackgrounds
from smart_filter_workers.system.lru_cache import LruCache

_SIDE_PX = 64
_CACHE_BYTES = 1 << 20
_AT_ONCE = 50_000


def write_prepared_job(bench: Bench, stages: Collection[StageName]) -> JobId:
    """Write a job whose photo is prepared and which has only these other stages; return its id.

    Its own stages wait for a year, so no worker claims them; the stages of its copies are ready.
    Its photo is in storage, so a real worker can run segmentation and face of the copies.
    """
    job_id = bench.submit(Recipe(outputs=(Output.MATTE, Output.FACES)))
    photo_key = bench.job(job_id).photo_key
    assert photo_key is not None, "the job has no photo"
    photo = next(photos.selfies(_SIDE_PX))
    bench.store.put(photo_key, photo, length=len(photo), media_type="image/jpeg")
    lease = bench.claim_one(StageName.PREPARE)
    recent = LruCache(_CACHE_BYTES)
    backgrounds = TenantBackgrounds(bench.engine, bench.store, recent)
    fetcher = Fetcher(bench.settings.outbound)
    artifacts = ArtifactStore(bench.store, recent, backgrounds, fetcher, UnlockedDecoders())
    proxy = np.zeros((_SIDE_PX, _SIDE_PX, 3), np.uint8)
    result = PreparedPhoto(_SIDE_PX, _SIDE_PX, "jpg", proxy_srgb=proxy)
    kept = artifacts.store(bench.job(job_id), lease, result)
    with bench.transaction() as connection:
        done = StageOutcome(lease, {**kept.row, "digests": {}}, 0.1, kept.artifacts)
        WORKER.complete(connection, [done])
        connection.execute(
            text("UPDATE jobs SET photo_digest = :digest WHERE id = :job_id"),
            {"digest": hashlib.sha256(photo).hexdigest(), "job_id": job_id},
        )
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


def write_finished_job(bench: Bench) -> JobId:
    """Write a job, complete all five of its stages, and return its id."""
    job_id = bench.submit(Recipe())
    bench.advance(*StageName)
    return job_id


def write_copies(engine: Engine, template: JobId, count: int) -> None:
    """Write `count` copies of a job and its stages, each with a new id."""
    for start in range(0, count, _AT_ONCE):
        with sessions.transaction(engine) as connection:
            connection.execute(text("CREATE TEMP TABLE copies (id uuid) ON COMMIT DROP"))
            # Ids rise with time, as those of real jobs do, so inserts into their indexes are cheap.
            connection.execute(
                text("INSERT INTO copies SELECT uuidv7() FROM generate_series(1, :count)"),
                {"count": min(_AT_ONCE, count - start)},
            )
            _copy(connection, "jobs", "id", template, {"created_at": "clock_timestamp()"})
            changed = {
                "rank": "rank + extract(epoch FROM clock_timestamp())",  # first come, first served
                "state": "CASE state WHEN 'waiting' THEN 'ready' ELSE state END",
                "not_before": "NULL",
                "ready_at": "clock_timestamp()",
            }
            _copy(connection, "stages", "job_id", template, changed)


def vacuum_analyze(engine: Engine) -> None:
    """Vacuum and analyze jobs and stages, as autovacuum does in time."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE jobs"))
        connection.execute(text("VACUUM ANALYZE stages"))


@dataclasses.dataclass(frozen=True, slots=True)
class JobTimes:
    """When a copy was accepted and when it ended, in seconds of the database's clock."""

    accepted: float
    ended: float


def read_job_times(engine: Engine, template: JobId) -> list[JobTimes]:
    """Return the times of the succeeded copies of a template, ordered by their end."""
    with sessions.transaction(engine) as connection:
        rows = connection.execute(
            text("""
                SELECT CAST(extract(epoch FROM created_at) AS float8) AS accepted,
                    CAST(extract(epoch FROM finished_at) AS float8) AS ended
                FROM jobs WHERE outcome = 'succeeded'
                    AND created_at > (SELECT created_at FROM jobs WHERE id = :of)
                ORDER BY finished_at
            """),
            {"of": template},
        ).all()
    return [JobTimes(row.accepted, row.ended) for row in rows]


def count_unfinished(engine: Engine, template: JobId) -> int:
    """Return how many copies of a template have not ended."""
    with sessions.transaction(engine) as connection:
        query = text("""
            SELECT count(*) FROM jobs WHERE outcome IS NULL
                AND created_at > (SELECT created_at FROM jobs WHERE id = :of)
        """)
        return int(connection.execute(query, {"of": template}).scalar_one())


def _copy(
    connection: Connection, table: str, key: str, template: JobId, changed: dict[str, str]
) -> None:
    names = connection.execute(text(f"SELECT * FROM {table} LIMIT 0")).keys()
    values = ["copies.id" if name == key else changed.get(name, name) for name in names]
    quoted = ", ".join(f'"{name}"' for name in names)
    connection.execute(
        text(
            f"INSERT INTO {table} ({quoted}) SELECT {', '.join(values)} "
            f"FROM {table} original, copies WHERE original.{key} = :of"
        ),
        {"of": template},
    )
