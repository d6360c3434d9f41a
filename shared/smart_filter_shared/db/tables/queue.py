"""Tables of the queue: jobs, stages, batches, events, workers, and measured times.

The hot tables (`jobs`, `stages`) are partitioned by day (db/partitions.py). Their primary keys are
as declared here, `stages` has no foreign key to `jobs`, and any other unique value has a table of
its own. Pages are filled to 70 %, so that updates stay on the page (HOT).
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Double,
    Identity,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from smart_filter_shared.db.tables import Moment, metadata

jobs = Table(
    "jobs",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("recipe", JSONB, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("metadata", JSONB, nullable=False),
    # Null until `prepare` has imported the photo from the job's URL or upload. The URL is then
    # deleted, because a URL can work like a password.
    Column("photo_key", Text),
    Column("photo_digest", Text),
    Column("photo_url", Text),
    Column("upload_id", Uuid),
    Column("upload_etag", Text),
    # The job that this one was derived from; its stages can reuse the parent's artifacts.
    Column("parent_id", Uuid),
    # Users' corrections that replace what the models found: see feedback/corrections.py.
    Column("corrections", JSONB, nullable=False, server_default=text("'[]'")),
    # How often a stage ran again because its artifacts were gone.
    Column("reopened", SmallInteger, nullable=False, server_default=text("0")),
    # Storage key of the uploaded background, when the recipe uses one.
    Column("background_key", Text),
    Column("created_at", Moment, nullable=False),
    # Estimated cost in model seconds; `settled` once replaced by the measured cost.
    Column("estimated_seconds", Double, nullable=False),
    Column("settled", Boolean, nullable=False, server_default=text("false")),
    # Size of the photo; and the model seconds that the tenant's usage counts for this job, null
    # before its end.
    Column("megapixels", Double, nullable=False, server_default=text("0")),
    Column("counted_seconds", Double),
    # How and when the job ended. Queued or running is derived from its stages, not stored.
    Column("outcome", Text),
    Column("finished_at", Moment),
    Column("error", JSONB),
    # Receives the end event, in addition to the tenant's webhooks.
    Column("webhook_url", Text),
    # Retention of its artifacts.
    Column("keep_input_seconds", Double, nullable=False),
    Column("keep_result_seconds", Double, nullable=False),
    # Whether all artifacts are removed once every output was downloaded; and the outputs that
    # were.
    Column("keep_nothing", Boolean, nullable=False, server_default=text("false")),
    Column("handed_over", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    # When its results expire, null before its end; and when its stages' results were deleted.
    Column("expires_at", Moment),
    Column("expired_at", Moment),
    # Deadline; and the recipe changes made to meet it, such as `edge=fast`.
    Column("deadline_at", Moment),
    Column("degraded", ARRAY(Text)),
    # Estimated seconds to the end, before calibration; null when the job does not train the
    # calibration.  See eta/calibration.py.
    Column("foreseen_p50", Double),
    Column("foreseen_p90", Double),
    # Its batch and the index in it; and its rank in the album, null until the album is ranked.
    Column("batch_id", Uuid),
    Column("batch_index", Integer),
    Column("album_rank", Integer),
    Column("album_terms", JSONB),
    # Lifetime of its signed links; null: the setting applies.
    Column("link_seconds", Integer),
    # The device key that submitted it, and can read it; null for any other key.
    Column("device_key_id", Uuid),
    # The key that submitted it, and can delete it.
    Column("key_id", Uuid),
    CheckConstraint("outcome IN ('succeeded', 'failed', 'canceled')", name="jobs_outcome"),
    CheckConstraint("(outcome IS NULL) = (finished_at IS NULL)", name="jobs_finished"),
    CheckConstraint(
        "photo_key IS NOT NULL OR photo_url IS NOT NULL OR upload_id IS NOT NULL",
        name="jobs_photo",
    ),
    Index("jobs_by_tenant", "tenant", "id"),
    Index("jobs_by_upload", "upload_id", postgresql_where=text("upload_id IS NOT NULL")),
    # For the result cache, which looks for earlier jobs of a photo: see jobs/result_cache.py.
    Index("jobs_by_photo", "tenant", "photo_digest", "id"),
    # Counts a tenant's unfinished jobs when its queue is bounded.
    Index("jobs_unfinished", "tenant", postgresql_where=text("outcome IS NULL")),
    # For lists by state and by metadata (jobs/queries.py).
    Index(
        "jobs_unsuccessful",
        "tenant",
        "outcome",
        "id",
        postgresql_where=text("outcome IN ('failed', 'canceled')"),
    ),
    Index(
        "jobs_by_metadata",
        "metadata",
        postgresql_using="gin",
        postgresql_ops={"metadata": "jsonb_path_ops"},
        postgresql_with={"fastupdate": "off"},
        postgresql_where=text("metadata <> '{}'"),
    ),
    # Counts a batch's progress, and finds its unfinished jobs.
    Index("jobs_of_batch", "batch_id", "outcome", postgresql_where=text("batch_id IS NOT NULL")),
    Index("jobs_unsettled", "id", postgresql_where=text("outcome IS NOT NULL AND NOT settled")),
    Index(
        "jobs_expiring",
        "expires_at",
        postgresql_where=text("expires_at IS NOT NULL AND expired_at IS NULL"),
    ),
    Index(
        "jobs_deadlines",
        "deadline_at",
        postgresql_where=text("outcome IS NULL AND deadline_at IS NOT NULL"),
    ),
    postgresql_with={"fillfactor": 70},
)

stages = Table(
    "stages",
    metadata,
    Column("job_id", Uuid, primary_key=True),
    Column("stage", Text, primary_key=True),
    Column("capability", Text, nullable=False),
    # Model of each of the stage's tasks: {"smile": "geometry", "eyes": "iris"}.
    Column("models", JSONB, nullable=False),
    # Parameters of the models, by task: {"segmentation": {"threshold": 0.5}}.
    Column("parameters", JSONB, nullable=False, server_default=text("'{}'")),
    # Digests of the models' trained weights, by task, for the tasks that have any; and of their
    # shadow weights.
    Column("digests", JSONB, nullable=False, server_default=text("'{}'")),
    Column("shadows", JSONB, nullable=False, server_default=text("'{}'")),
    # Whether the stage was rerouted to a stronger model, which happens at most once.
    Column("rerouted", Boolean, nullable=False, server_default=text("false")),
    # Cache key: digest of the stage's inputs besides the photo. Same photo and key, same result.
    Column("work", Text),
    # Rows with the same key can share one forward pass.
    Column("batch_key", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("rank", Double, nullable=False),
    Column("head_start", Double, nullable=False),
    # Copy of the job's deadline, so that a claim does not read `jobs`.
    Column("deadline_at", Moment),
    Column("open_needs", SmallInteger, nullable=False),
    Column("not_before", Moment),
    # When the stage became ready; meaningless in any other state.
    Column("ready_at", Moment, server_default=text("statement_timestamp()")),
    Column("attempt", SmallInteger, nullable=False, server_default=text("0")),
    Column("releases", Integer, nullable=False, server_default=text("0")),
    Column("patience_since", Moment),
    Column("lease_token", Uuid),
    Column("leased_until", Moment),
    Column("worker", Uuid),
    Column("started_at", Moment),
    Column("finished_at", Moment),
    Column("seconds", Double),
    Column("result", JSONB),
    Column("error", JSONB),
    # The job's batch, when the batch is an album.
    Column("album", Uuid),
    CheckConstraint(
        "state IN ('waiting', 'ready', 'running', 'succeeded', 'failed', 'canceled')",
        name="stages_state",
    ),
    CheckConstraint("open_needs >= 0", name="stages_open_needs"),
    CheckConstraint("(state = 'running') = (lease_token IS NOT NULL)", name="stages_lease"),
    # A claim reads the head of this index; `ready` holds only stages that can run now.
    Index("stages_ready", "capability", "rank", postgresql_where=text("state = 'ready'")),
    # For the metrics, which count stages that wait for other stages; nothing else reads them.
    Index("stages_waiting", "capability", postgresql_where=text("state = 'waiting'")),
    Index(
        "stages_due",
        "not_before",
        postgresql_where=text("state = 'waiting' AND not_before IS NOT NULL"),
    ),
    # Tells, when a rating ends, whether it was the album's last.
    Index(
        "stages_rating",
        "album",
        postgresql_where=text(
            "album IS NOT NULL AND stage <> 'composite' "
            "AND state IN ('waiting', 'ready', 'running')"
        ),
    ),
    # No index contains the lease time, so a heartbeat is a HOT update.
    Index("stages_running", "job_id", "stage", postgresql_where=text("state = 'running'")),
    postgresql_with={"fillfactor": 70},
)

# Photos that were submitted together. Progress is counted from the rows of `jobs`.
batches = Table(
    "batches",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("total", Integer, nullable=False),
    # Album: number of best photos to compose; null for a plain batch.  ranked_at: time of the
    # ranking.
    Column("best", Integer),
    Column("ranked_at", Moment),
    Column("created_at", Moment, nullable=False),
    # When the last unfinished job ended; null again after a redrive.
    Column("finished_at", Moment),
    # When the tenant deleted the batch; its jobs are being deleted.
    Column("deleted_at", Moment),
    Column("webhook_url", Text),
    CheckConstraint("best >= 0", name="batches_best"),
    Index("batches_by_tenant", "tenant", "id"),
    Index("batches_deleted", "deleted_at", postgresql_where=text("deleted_at IS NOT NULL")),
)

# Batch items without a job: rejected at submission, or deleted later.
batch_gaps = Table(
    "batch_gaps",
    metadata,
    Column("batch_id", Uuid, primary_key=True),
    Column("index", Integer, primary_key=True),
    Column("job_id", Uuid),
    # The outcome that the batch's progress counts it as.
    Column("outcome", Text, nullable=False),
    Column("error", JSONB),
)

# Events of jobs.  id: increases in the order in which a job's events happened.
events = Table(
    "events",
    metadata,
    Column("job_id", Uuid, primary_key=True),
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("type", Text, nullable=False),
    # The stage, for a stage's event; state: the state of the job or stage after the event.
    Column("stage", Text),
    Column("state", Text, nullable=False),
    Column("at", Moment, nullable=False),
    # Transaction id, by which a poll finds rows committed since the last one; `id` does not serve,
    # as it is drawn before the commit.
    Column("written_in", BigInteger, nullable=False),
    Index("events_new", "written_in"),
)

# Requests with an Idempotency-Key.
requests = Table(
    "requests",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    # SHA-256 of the request.
    Column("fingerprint", Text, nullable=False),
    Column("claimed_at", Moment, nullable=False),
    # The stored response; null while the request is in progress.
    Column("status", SmallInteger),
    Column("media_type", Text),
    Column("location", Text),
    # Also null when the job that it describes was deleted.
    Column("body", Text),
    Column("job_id", Uuid),
    Index("requests_by_age", "claimed_at"),
    Index("requests_by_job", "job_id", postgresql_where=text("job_id IS NOT NULL")),
)

tombstones = Table(
    "tombstones",
    metadata,
    Column("job_id", Uuid, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("deleted_at", Moment, nullable=False),
    # Usage of the deleted job that is not counted yet; null once counted.  See
    # operations/settlement.py.
    Column("outcome", Text),
    Column("ended_on", Date),
    Column("owed", Double),
    Column("megapixels", Double),
    Column("seconds", Double),
    # Transaction id, as in `events`: clients that wait for the job learn of its deletion at once.
    Column("written_in", BigInteger),
    Index("tombstones_owing", "job_id", postgresql_where=text("owed IS NOT NULL")),
    Index("tombstones_new", "written_in", postgresql_where=text("written_in IS NOT NULL")),
)

workers = Table(
    "workers",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("capabilities", ARRAY(Text), nullable=False),
    Column("wanted", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("state", Text, nullable=False, server_default=text("'ready'")),
    # Wanted capabilities that it cannot serve, with the reason:
    # {"segmentation.people": "weights file …"}.
    Column("failed", JSONB, nullable=False, server_default=text("'{}'")),
    Column("threads", SmallInteger, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("seen_at", Moment, nullable=False),
    # Identifies the process on its machine: see `Worker.process`.
    Column("process", Text),
    Column("drained_from", Moment),  # from this time on the worker claims no more
)

cells = Table(
    "cells",
    metadata,
    Column("name", Text, primary_key=True),
    Column("swept_at", Moment, nullable=False),
    # Virtual time of fair queueing, in model seconds; see queue/fair_queueing.py.
    Column("virtual_time", Double, nullable=False, server_default=text("0")),
    # Leases do not expire before this time: after a sweeper outage, workers get the time for one
    # heartbeat.
    Column("expires_from", Moment, nullable=False),
    # When the garbage collector last looked for objects that no row names.
    Column("cleared_at", Moment, nullable=False),
)

capabilities = Table(
    "capabilities",
    metadata,
    Column("name", Text, primary_key=True),
    # Virtual time of the latest claim.
    Column("mark", Double, nullable=False),
    # Moving average of one stage's cost in seconds; null before the first run.
    Column("mean_seconds", Double),
)

# Paused capabilities, whose stages no worker claims: see queue/pauses.py.
pauses = Table(
    "pauses",
    metadata,
    Column("capability", Text, primary_key=True),
    Column("paused_at", Moment, nullable=False),
)

# Running means of stage durations: see eta/stage_times.py.
paces = Table(
    "paces",
    metadata,
    Column("capability", Text, primary_key=True),
    Column("runs", BigInteger, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("squares", Double, nullable=False),
    Column("megapixels", Double, nullable=False),
    Column("megapixels_squares", Double, nullable=False),
    Column("products", Double, nullable=False),
)

# Correction factors of ETA estimates, as logarithms: see eta/calibration.py.
foresight = Table(
    "foresight",
    metadata,
    Column("priority", Text, primary_key=True),
    Column("jobs", BigInteger, nullable=False),
    Column("p50_log", Double, nullable=False),
    Column("p90_log", Double, nullable=False),
)

# Counters that workers report: see operations/counters.py.
measures = Table(
    "measures",
    metadata,
    Column("what", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("seconds", Double, nullable=False),
)

# One sample each minute: see operations/timeseries.py. Counters only grow; the difference of two
# samples is the count of the time between them.
samples = Table(
    "samples",
    metadata,
    Column("at", Moment, primary_key=True),
    Column("succeeded", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    Column("canceled", BigInteger, nullable=False),
    Column("webhook_lag_seconds", Double, nullable=False),
)

queue_samples = Table(
    "queue_samples",
    metadata,
    Column("at", Moment, primary_key=True),
    Column("capability", Text, primary_key=True),
    Column("waiting", Integer, nullable=False),
    Column("ready", Integer, nullable=False),
    Column("running", Integer, nullable=False),
    Column("oldest_wait_seconds", Double, nullable=False),
    Column("completed", BigInteger, nullable=False),
    Column("retries", BigInteger, nullable=False),
    Column("releases", BigInteger, nullable=False),
    Column("expiries", BigInteger, nullable=False),
)

# Failed jobs by minute, capability and error code: see operations/dead_letters.py.
failures = Table(
    "failures",
    metadata,
    Column("minute", Moment, primary_key=True),
    Column("capability", Text, primary_key=True),
    Column("code", Text, primary_key=True),
    Column("jobs", BigInteger, nullable=False),
    Column("last_job_id", Uuid, nullable=False),
    Column("last_at", Moment, nullable=False),
)
