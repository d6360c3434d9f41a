"""Drive real servers without workers: write, move, age and read jobs by hand."""

import dataclasses
import datetime as dt
import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec, TypeVar
from unittest import mock

import redis
from pydantic import SecretStr
from sqlalchemy import Connection, Engine, Row, text

from smart_filter_deploy.embedded.addresses import LOOPBACK, Addresses, url_of_role
from smart_filter_shared.albums import Take
from smart_filter_shared.artifacts.retention import ArtifactKind, RetentionPolicy
from smart_filter_shared.artifacts.uploads import UploadRef
from smart_filter_shared.config import NO_BROKER
from smart_filter_shared.config import settings as settings_module
from smart_filter_shared.config.settings import Settings
from smart_filter_shared.db import sessions
from smart_filter_shared.db.process_roles import ProcessRole
from smart_filter_shared.doorbell import Doorbell, queue_name
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
from smart_filter_shared.jobs import queries
from smart_filter_shared.jobs.photo_queue import CLIENT, WORKER
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.jobs.result_cache import Result
from smart_filter_shared.jobs.submission import (
    BatchMember,
    NewPhotoBatch,
    NewPhotoJob,
    encode_batch,
    encode_job,
    submit_batch,
)
from smart_filter_shared.model_registry.stage_plan import StagePlan
from smart_filter_shared.operations import stored_snapshot
from smart_filter_shared.pipeline import LEADING_TASK, StageName
from smart_filter_shared.queue import batches, fair_queueing, worker_registry
from smart_filter_shared.queue.batches import BatchRow
from smart_filter_shared.queue.fair_queueing import Reservation
from smart_filter_shared.queue.leases import CompleteResult, Lease, StageOutcome
from smart_filter_shared.queue.submission import WrittenJob
from smart_filter_shared.queue.worker_registry import Standing, Worker
from smart_filter_shared.recipe import Recipe, required_stages
from smart_filter_shared.storage.objects import MAX_OBJECT_BYTES, ObjectStore
from smart_filter_shared.storage.opening import open_store
from smart_filter_tests import claiming
from smart_filter_tests.patience import PATIENCE_SECONDS

Parameters = ParamSpec("Parameters")
Answer = TypeVar("Answer")

TENANT = Tenant("tests")
_TABLES = (
    *(
        "jobs",
        "stages",
        "unsettled_jobs",
        "begun_jobs",
        "ended_stages",
        "workers",
        "keys",
        "models",
        "artifacts",
        "tenants",
        "capabilities",
    ),
    *("tombstones", "measures", "backgrounds", "events", "requests", "usage"),
    *("incoming_pictures", "choices"),
    *("webhooks", "webhook_secrets", "deliveries", "delivery_attempts", "uploads"),
    *("browser_sessions", "browser_codes", "batches", "batch_gaps", "s3_objects", "recipes"),
    *("borrowers", "corrections", "stored_changes", "queue_snapshots"),
    *("paces", "foresight", "pauses", "samples", "queue_samples", "failures"),
    *("model_versions", "data_items", "data_sets", "data_removals"),
)
RETENTION = RetentionPolicy(input_seconds=24 * 3600, result_seconds=7 * 24 * 3600)
FACTS_WITHOUT_PEOPLE: Mapping[StageName, dict[str, object]] = {
    StageName.PREPARE: {"width": 48, "height": 32, "format": "jpg"},
    StageName.SEGMENTATION: {},
    StageName.FACE: {"faces": []},
    StageName.SMILE: {"smiles": [], "eyes": []},
    StageName.COMPOSITE: {},
}


def settings_of(addresses: Addresses, **more: str) -> Settings:
    """Return the settings of a process that uses these servers and defaults otherwise."""
    environment = {
        **addresses.environment(),
        "SMART_FILTER_DATABASE_PATIENCE_SECONDS": f"{PATIENCE_SECONDS:g}",
        "SMART_FILTER_SECRETS_KEY": "s" * 32,
        "SMART_FILTER_LIVE_URL": "wss://live.example.org",
        "SMART_FILTER_LIVE_SECRET": "l" * 32,
        # Receivers and sites of tests are on this machine.
        "SMART_FILTER_OUTBOUND_ALLOW": LOOPBACK,
        # Most tests submit one photo repeatedly, each time to see all of its stages run.
        "SMART_FILTER_REMEMBER": "false",
        **more,
    }
    with mock.patch.dict(os.environ, environment, clear=True):
        return settings_module.load()


def as_role(settings: Settings, role: ProcessRole) -> Settings:
    """Return the settings of a process with a database role of its own on an embedded server."""
    url = SecretStr(url_of_role(settings.database.url.get_secret_value(), role))
    database = settings.database.model_copy(update={"url": url})
    return dataclasses.replace(settings, database=database)


def environment_of(settings: Settings) -> dict[str, str]:
    """Return the environment variables that point a process at these servers."""
    database, broker, storage = settings.database, settings.broker, settings.storage
    access_key, secret_key = storage.keys
    return {
        "SMART_FILTER_DATABASE_URL": database.url.get_secret_value(),
        "SMART_FILTER_DATABASE_PATIENCE_SECONDS": f"{database.patience_seconds:g}",
        "SMART_FILTER_BROKER_URL": broker.address or NO_BROKER,
        "SMART_FILTER_STORAGE_URL": storage.url,
        "SMART_FILTER_STORAGE_ACCESS_KEY": access_key,
        "SMART_FILTER_STORAGE_SECRET_KEY": secret_key,
        "SMART_FILTER_STORAGE_BUCKET": storage.bucket,
    }


def stage_result(lease: Lease) -> StageOutcome:
    """Return a stage result with one array, whose key is the lease's token."""
    key = f"{lease.token}"
    result = {"facts": FACTS_WITHOUT_PEOPLE[lease.stage], "arrays": {"made": key}}
    return StageOutcome(lease, result, 0.1, {key: ArtifactKind.RESULT})


def run_ahead_result(lead: Lease, stage: StageName) -> StageOutcome:
    """Return the result of a stage that ran under the lease of another stage of its job."""
    lease = dataclasses.replace(lead, stage=stage, capability=capability(stage))
    key = f"{lead.token} {stage}"
    return StageOutcome(
        lease,
        {"facts": FACTS_WITHOUT_PEOPLE[stage], "arrays": {"made": key}},
        0.2,
        {key: ArtifactKind.RESULT},
        run_ahead_of=lead.stage,
    )


def capability(stage: StageName) -> Capability:
    """Return a capability that no real worker serves."""
    return Capability(f"{stage}.bench")


@contextmanager
def open_bench(settings: Settings, *, connections: int) -> Iterator["Bench"]:
    """Open a bench on servers; its connections close at the end of the block."""
    bench = Bench(
        settings=settings,
        engine=sessions.open_engine(  # tests fill tables with single statements
            settings.database,
            connections=connections,
            statement_seconds=sessions.COMMAND_SECONDS,
        ),
        worker_engine=sessions.open_engine(
            as_role(settings, ProcessRole.WORKER).database, connections=connections
        ),
        store=open_store(settings.storage, connections=connections),
        doorbell=Doorbell(settings.broker, wait_seconds=PATIENCE_SECONDS),
        broker=redis.Redis.from_url(settings.broker.address),
    )
    try:
        yield bench
    finally:
        bench.engine.dispose()
        bench.worker_engine.dispose()
        bench.doorbell.close()
        bench.broker.close()


@dataclass(slots=True)
class Bench:
    """Servers without workers: a test makes every transition itself.

    engine: as the owner of the tables.  worker_engine: with the rights of a worker.
    """

    settings: Settings
    engine: Engine
    worker_engine: Engine
    store: ObjectStore
    doorbell: Doorbell
    broker: redis.Redis
    worker: WorkerId = field(default_factory=new_worker_id)

    @property
    def environment(self) -> dict[str, str]:
        return environment_of(self.settings)

    def read(self, key: str) -> bytes:
        """Return the bytes of an object."""
        return self.store.get(key, most=MAX_OBJECT_BYTES)

    def empty(self) -> None:
        """Delete every job, object and message."""
        with self.transaction() as connection:
            many = connection.execute(text("SELECT count(*) > 1000 FROM jobs")).scalar_one()
            # TRUNCATE makes new files, 100 ms of them; DELETE of a few rows takes 2 ms.
            if many:
                connection.execute(text(f"TRUNCATE {', '.join(_TABLES)}"))
            # One message to the server: it takes a quarter of the time of one for each table.
            connection.exec_driver_sql("; ".join(f"DELETE FROM {table}" for table in _TABLES))
            connection.execute(
                text("""
                    UPDATE sweeper SET swept_at = '2000-01-01', expires_from = '2000-01-01',
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
        """Call a function in its own transaction: `bench.do(transitions.fail_overdue)`."""
        with self.transaction() as connection:
            return act(connection, *given, **more)

    def work(
        self,
        act: Callable[Concatenate[Connection, Parameters], Answer],
        *given: Parameters.args,
        **more: Parameters.kwargs,
    ) -> Answer:
        """Call a function in its own transaction with the rights of a worker."""
        with sessions.transaction(self.worker_engine) as connection:
            return act(connection, *given, **more)

    def execute(self, statement: str, **values: object) -> None:
        """Execute a statement in its own transaction."""
        with self.transaction() as connection:
            connection.execute(text(statement), values)

    def rows(self, query: str, **values: object) -> Sequence[Row[Any]]:
        """Return all rows of a query."""
        with self.transaction() as connection:
            return connection.execute(text(query), values).all()

    def scalar(self, query: str, **values: object) -> Any:  # noqa: ANN401 - as the query says
        """Return the first value of a query's first row, or None."""
        with self.transaction() as connection:
            return connection.scalar(text(query), values)

    def announce(self, *capabilities: Capability, **fields: Any) -> Standing:  # noqa: ANN401 - of Worker
        """Record the heartbeat of a live worker that serves these capabilities."""
        known = {"id": new_worker_id(), "host": "here", "pid": 1, "threads": 1, **fields}
        worker = Worker(capabilities=capabilities, **known)
        return self.do(worker_registry.record_heartbeat, worker)

    def submit(
        self,
        recipe: Recipe | None = None,
        *,
        tenant: Tenant = TENANT,
        job_id: JobId | None = None,
        photo: str | None = None,
        place: Reservation | None = None,
        model: str = "bench",
    ) -> JobId:
        """Write a job; its stages need capabilities that only this bench serves."""
        wanted, job_id = recipe or Recipe(), job_id or new_job_id()
        made = _submission(
            job_id, tenant, wanted, place or self.reserve(tenant, wanted), model=model
        )
        return self._submit(dataclasses.replace(made, photo_key=photo or made.photo_key))

    def derive(self, parent: JobId, *taken: StageName) -> JobId:
        """Write a job that takes over some stages from another job of the same photo."""
        photo = self.job(parent).photo_key
        assert photo is not None
        submission = dataclasses.replace(
            self._default_submission(),
            photo_key=photo,
            references=(photo,),
            results=self.results(parent, *taken),
            parent_id=parent,
        )
        return self._submit(submission)

    def results(self, job_id: JobId, *stages: StageName) -> dict[StageName, Result]:
        """Return the stored results of a job's stages."""
        job = self.job(job_id)
        return {stage: result for stage in stages if (result := job.result(stage)) is not None}

    def submit_equal(self, earlier: JobId) -> JobId:
        """Write a job that borrows the photo of another job, which got the same photo."""
        photo = self.job(earlier).photo_key
        assert photo is not None
        made = self._default_submission()
        return self._submit(dataclasses.replace(made, photo_key=photo, references=(photo,)))

    def submit_elsewhere(
        self, *, photo_url: str | None = None, upload: UploadRef | None = None
    ) -> JobId:
        """Write a job whose photo `prepare` has to fetch."""
        made = self._default_submission()
        return self._submit(
            dataclasses.replace(
                made, photo_key=None, photo_digest=None, photo_url=photo_url, upload=upload
            )
        )

    def submit_many(self, jobs: int, recipe: Recipe, *, tenant: Tenant) -> list[JobId]:
        """Write jobs in one transaction, each with its own place."""
        wanted = [capability(stage) for stage in required_stages(recipe)]
        submitted = []
        with self.transaction() as connection:
            for _ in range(jobs):
                place = fair_queueing.reserve(connection, tenant, wanted)
                submission = _submission(new_job_id(), tenant, recipe, place)
                write_job(connection, submission)
                submitted.append(submission.job_id)
        return submitted

    def copy(self, job_id: JobId, copies: int, *, every_seconds: float) -> list[JobId]:
        """Write copies of a job and its stages as they are, each ranked `every_seconds` later."""
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
            connection.execute(
                text("""
                    INSERT INTO ended_stages SELECT copies.id, original.stages
                    FROM ended_stages AS original, copies WHERE original.job_id = :job_id
                """),
                {"job_id": job_id},
            )
            connection.execute(
                text("""
                    INSERT INTO unsettled_jobs SELECT copies.id
                    FROM unsettled_jobs AS original, copies WHERE original.job_id = :job_id
                """),
                {"job_id": job_id},
            )
            rows = connection.execute(text("SELECT id FROM copies ORDER BY number"))
            return [JobId(row.id) for row in rows]

    def submit_batch(
        self,
        jobs: int,
        recipe: Recipe | None = None,
        *,
        best: int | None = None,
        with_take: bool = False,
        webhook_url: str | None = None,
        job_ids: Sequence[JobId] = (),
    ) -> tuple[BatchId, list[JobId]]:
        """Write a batch; with `best` it is an album, whose take can be a further job."""
        wanted = recipe or Recipe()
        ids = job_ids or [new_job_id() for _ in range(jobs)]
        # A batch and its jobs get their ids within minutes.
        batch_id = BatchId(uuid.UUID(int=job_ids[0].int | 1 << 60)) if job_ids else new_batch_id()
        submissions = [
            dataclasses.replace(
                _submission(ids[index], TENANT, wanted, Reservation(index, 0.5)),
                membership=BatchMember(batch_id, index, best is not None),
            )
            for index in range(jobs)
        ]
        take = dataclasses.replace(
            _submission(new_job_id(), TENANT, wanted, Reservation(jobs, 0.5)),
            photo_key=None,
            photo_digest=None,
            membership=BatchMember(batch_id, None, is_ranked=False),
            take=Take(),
        )
        batch = NewPhotoBatch(
            batch_id, TENANT, best, webhook_url, submissions, (), take if with_take else None
        )
        self.do(submit_batch, encode_batch(batch))
        return batch_id, [submission.job_id for submission in submissions]

    def batch(self, batch_id: BatchId) -> BatchRow:
        row = self.do(batches.find, batch_id, TENANT)
        assert row is not None
        return row

    def reserve(self, tenant: Tenant, recipe: Recipe) -> Reservation:
        """Reserve a tenant's next place, as the API does."""
        wanted = [capability(stage) for stage in required_stages(recipe)]
        with self.transaction() as connection:
            if recipe.run_at is not None:
                return fair_queueing.provisional_reservation(connection)
            return fair_queueing.reserve(connection, tenant, wanted)

    def claim(self, stage: StageName, *, batch_size: int = 1) -> list[Lease]:
        return self.work(
            claiming.claim,
            [capability(stage)],
            worker=self.worker,
            batch_size=batch_size,
            job_sql=queries.CLAIMED_JOB,
        )

    def claim_one(self, stage: StageName) -> Lease:
        """Claim the head of the stage's queue, which must not be empty."""
        (lease,) = self.claim(stage)
        return lease

    def complete(self, *leases: Lease) -> CompleteResult:
        return self.work(WORKER.complete, [stage_result(lease) for lease in leases])

    def complete_as_worker(self, outcome: StageOutcome) -> None:
        """Complete a stage with its results, and announce the end of its job."""
        completion = self.work(WORKER.complete, [outcome])
        self.doorbell.announce_ends(completion.succeeded)

    def advance(self, *names: StageName) -> None:
        for name in names:
            self.complete(self.claim_one(name))

    def publish_snapshot(self) -> None:
        """Store a new snapshot for estimates, as a sweep does."""
        with self.transaction() as connection:
            connection.execute(text("DELETE FROM queue_snapshots"))
            stored_snapshot.publish(connection, silent_seconds=self.settings.engine.lease_seconds)

    def age(self, lease: Lease, *, seconds: float) -> None:
        """Set a lease's last renewal `seconds` into the past."""
        self._shift("leased_until", lease.job_id, lease.stage, seconds)

    def pass_time(self, job_id: JobId, stage: StageName, *, seconds: float) -> None:
        """Make a stage `seconds` older."""
        self._shift("not_before", job_id, stage, seconds)
        self._shift("patience_since", job_id, stage, seconds)

    def sweep(self) -> list[Capability]:
        """Expire, lapse and wake stages as the sweeper does; return the capabilities to ring."""
        self.work(
            WORKER.expire,
            max_attempts=self.settings.engine.max_attempts,
            give_up_seconds=self.settings.engine.give_up_seconds,
        )
        self.work(WORKER.fail_overdue)
        return self.work(WORKER.wake)

    def job(self, job_id: JobId, *, tenant: Tenant = TENANT) -> JobRow:
        row = self.do(queries.find, JobId(uuid.UUID(str(job_id))), tenant)
        assert row is not None
        return row

    def states(self, job_id: JobId) -> dict[str, str]:
        return {str(stage.name): stage.state for stage in self.job(job_id).stages}

    def row(self, job_id: JobId, stage: StageName) -> dict[str, object]:
        with self.transaction() as connection:
            answer = connection.execute(
                text("SELECT * FROM all_stages WHERE job_id = :job_id AND stage = :stage"),
                {"job_id": job_id, "stage": str(stage)},
            )
            return dict(answer.mappings().one())

    def rings(self, stage: StageName) -> int:
        return int(self.broker.llen(queue_name(capability(stage))))

    def now(self) -> dt.datetime:
        moment: dt.datetime = self.scalar("SELECT statement_timestamp()")
        return moment

    def _default_submission(self) -> NewPhotoJob:
        recipe = Recipe()
        return _submission(new_job_id(), TENANT, recipe, self.reserve(TENANT, recipe))

    def _submit(self, submission: NewPhotoJob) -> JobId:
        self.do(write_job, submission)
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


def write_job(connection: Connection, job: NewPhotoJob) -> WrittenJob:
    """Write a job, as the API does."""
    return CLIENT.submit(connection, encode_job(connection, job))


def _submission(
    job_id: JobId, tenant: Tenant, recipe: Recipe, place: Reservation, *, model: str = "bench"
) -> NewPhotoJob:
    return NewPhotoJob(
        job_id=job_id,
        tenant=tenant,
        recipe=recipe,
        seed=7,
        place=place,
        photo_key=f"{job_id}",
        photo_digest="none",
        background_key=None,
        retention=RETENTION,
        plans={
            stage: StagePlan(capability(stage), {LEADING_TASK[stage]: model}, {})
            for stage in required_stages(recipe)
        },
    )
