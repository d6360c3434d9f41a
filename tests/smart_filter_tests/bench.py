"""A bench over real servers: write jobs, move them by hand, age them, look at them."""

import dataclasses
import datetime as dt
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec, TypeVar
from unittest import mock

import redis
from sqlalchemy import Connection, Engine, text

from smart_filter_deploy.embedded.addresses import Addresses
from smart_filter_shared import settings as settings_module
from smart_filter_shared.cards import LEADING_TASK
from smart_filter_shared.db import sessions
from smart_filter_shared.doorbell import Doorbell, queue_of
from smart_filter_shared.ids import (
    BatchId,
    Capability,
    JobId,
    Tenant,
    WorkerId,
    new_batch_id,
    new_job_id,
    new_worker_id,
)
from smart_filter_shared.jobs import batches, fairness, queries, transitions
from smart_filter_shared.jobs.batches import BatchRow
from smart_filter_shared.jobs.fairness import Place
from smart_filter_shared.jobs.leases import Completion, Done, Lease
from smart_filter_shared.jobs.models import Plan
from smart_filter_shared.jobs.presence import CELL
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.jobs.retention import Keeping, Kind
from smart_filter_shared.jobs.submission import BatchSubmission, Membership, Submission
from smart_filter_shared.jobs.uploads import Named
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import Recipe, stages
from smart_filter_shared.settings import Settings
from smart_filter_shared.storage.objects import ObjectStore

Parameters = ParamSpec("Parameters")
Answer = TypeVar("Answer")

TENANT = Tenant("tests")
_TABLES = (
    *("jobs", "stages", "workers", "keys", "models", "artifacts", "tenants", "capabilities"),
    *("tombstones", "measures", "backgrounds", "events", "requests", "usage"),
    *("webhooks", "webhook_secrets", "deliveries", "delivery_attempts", "uploads"),
    *("browser_sessions", "browser_codes", "batches", "batch_gaps"),
    *("borrowers", "corrections"),
    *("paces", "foresight", "pauses", "samples", "queue_samples", "failures"),
    *("model_versions", "shadow_results", "data_items", "data_sets", "data_removals"),
)
KEEPING = Keeping(input_seconds=24 * 3600, result_seconds=7 * 24 * 3600)


def settings_of(addresses: Addresses, **more: str) -> Settings:
    """Return the settings of a process that knows these servers and nothing else."""
    environment = {
        **addresses.environment(),
        "SMART_FILTER_DATABASE_PATIENCE_SECONDS": "60",  # the machine may be busy
        "SMART_FILTER_SECRETS_KEY": "s" * 32,
        "SMART_FILTER_LIVE_URL": "wss://live.example.org",
        "SMART_FILTER_LIVE_SECRET": "l" * 32,
        # Most tests submit one photo again and again, each time to see all of its stages run.
        "SMART_FILTER_REMEMBER": "false",
        **more,
    }
    with mock.patch.dict(os.environ, environment, clear=True):
        return settings_module.load()


def environment_of(settings: Settings) -> dict[str, str]:
    """Return the variables that lead a process to these servers."""
    database, broker, storage = settings.database, settings.broker, settings.storage
    return {
        "SMART_FILTER_DATABASE_URL": database.url.get_secret_value(),
        "SMART_FILTER_BROKER_URL": broker.url.get_secret_value(),
        "SMART_FILTER_STORAGE_URL": storage.url,
        "SMART_FILTER_STORAGE_ACCESS_KEY": storage.access_key.get_secret_value(),
        "SMART_FILTER_STORAGE_SECRET_KEY": storage.secret_key.get_secret_value(),
        "SMART_FILTER_STORAGE_BUCKET": storage.bucket,
    }


def done(lease: Lease) -> Done:
    """Return what a stage ends with that made one array, under its token as a key."""
    key = f"{lease.token}"
    return Done(lease, {"arrays": {"made": key}}, 0.1, {key: Kind.RESULT})


def capability(stage: StageName) -> Capability:
    """Return a capability that no real worker serves."""
    return Capability(f"{stage}.bench")


@contextmanager
def opened(settings: Settings, *, connections: int) -> Iterator["Bench"]:
    """Open a bench on servers; its connections are closed at the end of the block."""
    bench = Bench(
        settings=settings,
        engine=sessions.engine(settings.database, connections=connections),
        store=ObjectStore(settings.storage, connections=connections),
        doorbell=Doorbell(settings.broker),
        broker=redis.Redis.from_url(settings.broker.url.get_secret_value()),
    )
    try:
        yield bench
    finally:
        bench.engine.dispose()
        bench.doorbell.close()
        bench.broker.close()


@dataclass(slots=True)
class Bench:
    """Servers without workers: a test makes every move itself."""

    settings: Settings
    engine: Engine
    store: ObjectStore
    doorbell: Doorbell
    broker: redis.Redis
    worker: WorkerId = field(default_factory=new_worker_id)

    @property
    def environment(self) -> dict[str, str]:
        return environment_of(self.settings)

    def empty(self) -> None:
        """Forget every job, object and message."""
        with self.transaction() as connection:
            many = connection.execute(text("SELECT count(*) > 1000 FROM jobs")).scalar_one()
            # TRUNCATE makes new files, 100 ms of them; DELETE of a few rows takes 2 ms.
            if many:
                connection.execute(text(f"TRUNCATE {', '.join(_TABLES)}"))
            for table in _TABLES:
                connection.execute(text(f"DELETE FROM {table}"))
            connection.execute(
                text("""
                    UPDATE cells SET swept_at = '2000-01-01', expires_from = '2000-01-01',
                        cleared_at = now(), virtual_time = 0
                """)
            )
            connection.execute(
                text("""
                    UPDATE installation SET
                        token = NULL, next_token = NULL, confirmed_at = NULL, fault = NULL
                """)
            )
        for stored in list(self.store.stored()):
            self.store.remove(stored.key)
        self.broker.flushdb()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Open a transaction that commits at the end of the block."""
        with sessions.transaction(self.engine) as connection:
            yield connection

    def do(
        self,
        act: Callable[Concatenate[Connection, Parameters], Answer],
        *given: Parameters.args,
        **more: Parameters.kwargs,
    ) -> Answer:
        """Call something in a transaction of its own, as `bench.do(transitions.lapse)`."""
        with self.transaction() as connection:
            return act(connection, *given, **more)

    def execute(self, statement: str, **values: object) -> None:
        """Execute a statement in a transaction of its own."""
        with self.transaction() as connection:
            connection.execute(text(statement), values)

    def scalar(self, query: str, **values: object) -> Any:  # noqa: ANN401 - as the query says
        """Return the first value that a query finds, or None."""
        with self.transaction() as connection:
            return connection.scalar(text(query), values)

    def submit(
        self,
        recipe: Recipe | None = None,
        *,
        tenant: Tenant = TENANT,
        job_id: JobId | None = None,
        photo: str | None = None,
        place: Place | None = None,
        model: str = "bench",
    ) -> JobId:
        """Write a job; its stages need capabilities that only this bench serves."""
        wanted, job_id = recipe or Recipe(), job_id or new_job_id()
        made = _submission(
            job_id, tenant, wanted, place or self.reserve(tenant, wanted), model=model
        )
        return self._submit(dataclasses.replace(made, photo_key=photo or made.photo_key))

    def derive(self, parent: JobId, *taken: StageName) -> JobId:
        """Write a job of another's photo that has some of its stages from it."""
        photo = self.job(parent).photo_key
        assert photo is not None
        submission = dataclasses.replace(
            self._default_submission(),
            photo_key=photo,
            borrows=(photo,),
            sources=dict.fromkeys(taken, parent),
            parent_id=parent,
        )
        return self._submit(submission)

    def submit_elsewhere(
        self, *, photo_url: str | None = None, upload: Named | None = None
    ) -> JobId:
        """Write a job whose photo `prepare` has to bring."""
        made = self._default_submission()
        return self._submit(
            dataclasses.replace(
                made, photo_key=None, photo_digest=None, photo_url=photo_url, upload=upload
            )
        )

    def submit_many(self, jobs: int, recipe: Recipe, *, tenant: Tenant) -> list[JobId]:
        """Write jobs in one transaction, each with a place of its own."""
        wanted = [capability(stage) for stage in stages(recipe)]
        submitted = []
        with self.transaction() as connection:
            for _ in range(jobs):
                place = fairness.reserve(connection, tenant, wanted, cell=CELL)
                submission = _submission(new_job_id(), tenant, recipe, place)
                transitions.submit(connection, submission)
                submitted.append(submission.job_id)
        return submitted

    def copy(self, job_id: JobId, copies: int, *, every_seconds: float) -> list[JobId]:
        """Write copies of a job and its stages as they stand; each one ranks so much later."""
        with self.transaction() as connection:
            connection.execute(
                text("CREATE TEMP TABLE copies (id uuid, number int) ON COMMIT DROP")
            )
            connection.execute(
                text("INSERT INTO copies SELECT uuidv7(), n FROM generate_series(1, :copies) AS n"),
                {"copies": copies},
            )
            connection.execute(
                text("""
                    INSERT INTO jobs SELECT made.* FROM jobs AS original, copies,
                        jsonb_populate_record(original, jsonb_build_object('id', copies.id)) AS made
                    WHERE original.id = :job_id
                """),
                {"job_id": job_id},
            )
            connection.execute(
                text("""
                    INSERT INTO stages SELECT made.* FROM stages AS original, copies,
                        jsonb_populate_record(original, jsonb_build_object(
                            'job_id', copies.id, 'rank', original.rank + number * :every_seconds
                        )) AS made
                    WHERE original.job_id = :job_id
                """),
                {"job_id": job_id, "every_seconds": every_seconds},
            )
            rows = connection.execute(text("SELECT id FROM copies ORDER BY number"))
            return [JobId(row.id) for row in rows]

    def submit_batch(
        self,
        jobs: int,
        recipe: Recipe | None = None,
        *,
        best: int | None = None,
        webhook_url: str | None = None,
        job_ids: Sequence[JobId] = (),
    ) -> tuple[BatchId, list[JobId]]:
        """Write a batch; with `best` it is an album."""
        batch_id, wanted = new_batch_id(), recipe or Recipe()
        ids = job_ids or [new_job_id() for _ in range(jobs)]
        submissions = [
            dataclasses.replace(
                _submission(ids[index], TENANT, wanted, Place(index, 0.5)),
                membership=Membership(batch_id, index, best is not None),
            )
            for index in range(jobs)
        ]
        batch = BatchSubmission(batch_id, TENANT, best, webhook_url, submissions, ())
        self.do(transitions.submit_batch, batch)
        return batch_id, [one.job_id for one in submissions]

    def batch(self, batch_id: BatchId) -> BatchRow:
        found = self.do(batches.find, batch_id, TENANT)
        assert found is not None
        return found

    def reserve(self, tenant: Tenant, recipe: Recipe) -> Place:
        """Take a tenant's next place, as the API does."""
        wanted = [capability(stage) for stage in stages(recipe)]
        with self.transaction() as connection:
            if recipe.run_at is not None:
                return fairness.place_later(connection, cell=CELL)
            return fairness.reserve(connection, tenant, wanted, cell=CELL)

    def claim(self, stage: StageName, *, batch_size: int = 1) -> list[Lease]:
        return self.do(
            transitions.claim,
            capability(stage),
            worker=self.worker,
            batch_size=batch_size,
            lease_seconds=self.settings.engine.lease_seconds,
            max_attempts=self.settings.engine.max_attempts,
        )

    def claim_one(self, stage: StageName) -> Lease:
        """Claim the head of the stage's queue, which must not be empty."""
        (lease,) = self.claim(stage)
        return lease

    def complete(self, *leases: Lease) -> Completion:
        return self.do(transitions.complete, [done(lease) for lease in leases], KEEPING)

    def advance(self, *names: StageName) -> None:
        for name in names:
            self.complete(self.claim_one(name))

    def age(self, lease: Lease, *, seconds: float) -> None:
        """Let a lease have been renewed for the last time so many seconds earlier."""
        self._shift("leased_until", lease.job_id, lease.stage, seconds)

    def pass_time(self, job_id: JobId, stage: StageName, *, seconds: float) -> None:
        """Let a stage have waited for so many seconds more."""
        self._shift("not_before", job_id, stage, seconds)
        self._shift("patience_since", job_id, stage, seconds)

    def sweep(self) -> list[Capability]:
        """Expire, lapse and wake, as the sweeper does; return what it would ring."""
        self.do(
            transitions.expire,
            max_attempts=self.settings.engine.max_attempts,
            give_up_seconds=self.settings.engine.give_up_seconds,
        )
        self.do(transitions.lapse)
        return self.do(transitions.wake)

    def job(self, job_id: JobId, *, tenant: Tenant = TENANT) -> JobRow:
        found = self.do(queries.find, job_id, tenant)
        assert found is not None
        return found

    def states(self, job_id: JobId) -> dict[str, str]:
        return {str(stage.name): stage.state for stage in self.job(job_id).stages}

    def row(self, job_id: JobId, stage: StageName) -> dict[str, object]:
        with self.transaction() as connection:
            found = connection.execute(
                text("SELECT * FROM stages WHERE job_id = :job_id AND stage = :stage"),
                {"job_id": job_id, "stage": str(stage)},
            )
            return dict(found.mappings().one())

    def rings(self, stage: StageName) -> int:
        return int(self.broker.llen(queue_of(capability(stage))))

    def now(self) -> dt.datetime:
        moment: dt.datetime = self.scalar("SELECT statement_timestamp()")
        return moment

    def _default_submission(self) -> Submission:
        recipe = Recipe()
        return _submission(new_job_id(), TENANT, recipe, self.reserve(TENANT, recipe))

    def _submit(self, submission: Submission) -> JobId:
        self.do(transitions.submit, submission)
        return submission.job_id

    def _shift(self, column: str, job_id: JobId, stage: StageName, seconds: float) -> None:
        self.execute(
            f"""
                UPDATE stages SET {column} = {column} - make_interval(secs => :seconds)
                WHERE job_id = :job_id AND stage = :stage
            """,
            seconds=seconds,
            job_id=job_id,
            stage=str(stage),
        )


def _submission(
    job_id: JobId, tenant: Tenant, recipe: Recipe, place: Place, *, model: str = "bench"
) -> Submission:
    return Submission(
        job_id=job_id,
        tenant=tenant,
        recipe=recipe,
        seed=7,
        place=place,
        photo_key=f"{job_id}",
        photo_digest="none",
        background_key=None,
        keeping=KEEPING,
        plans={
            stage: Plan(capability(stage), {LEADING_TASK[stage]: model}, {})
            for stage in stages(recipe)
        },
    )
