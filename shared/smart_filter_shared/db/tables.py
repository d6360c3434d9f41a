"""The tables, as SQLAlchemy Core knows them; migrations/ makes them.

Hot tables (jobs, stages) lie in partitions by day (days.py): their keys are as declared here,
`stages` has no foreign key to `jobs`, and whatever else must be unique lives in a table of its
own. Their pages are filled to 70 %, so that updates stay in place (HOT).
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Double,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = MetaData()

_Moment = DateTime(timezone=True)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("recipe", JSONB, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("metadata", JSONB, nullable=False),
    # Null until `prepare` has taken it from the address or the upload that the job names; an
    # address is forgotten then, for it may be as good as a password.
    Column("photo_key", Text),
    Column("photo_digest", Text),
    Column("photo_url", Text),
    Column("upload_id", Uuid),
    Column("upload_etag", Text),
    # The job that it was derived from; its stages may take over what that one's have made.
    Column("parent_id", Uuid),
    # What people say is right in place of what models saw: see jobs/corrections.py.
    Column("corrections", JSONB, nullable=False, server_default=text("'[]'")),
    # How often a stage was run again because its artifacts were gone.
    Column("reopened", SmallInteger, nullable=False, server_default=text("0")),
    # Of the uploaded background, when the recipe wants one.
    Column("background_key", Text),
    Column("created_at", _Moment, nullable=False),
    # What it was thought to cost in model seconds; settled: that was put right.
    Column("estimated_seconds", Double, nullable=False),
    Column("settled", Boolean, nullable=False, server_default=text("false")),
    # Of the photo; and the model seconds that its tenant's usage has of it, null before its end.
    Column("megapixels", Double, nullable=False, server_default=text("0")),
    Column("counted_seconds", Double),
    # How and when it ended. Queued or running is read from its stages, not stored.
    Column("outcome", Text),
    Column("finished_at", _Moment),
    Column("error", JSONB),
    # Who is told of its end, beside the tenant's webhooks.
    Column("webhook_url", Text),
    # How long what it stores is kept; null in rows of versions that did not say: the settings'.
    Column("keep_input_seconds", Double),
    Column("keep_result_seconds", Double),
    # Whether nothing is kept once all outputs are handed over, and which of them are.
    Column("keep_nothing", Boolean, nullable=False, server_default=text("false")),
    Column("handed_over", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    # When its results go, null before its end; and when what stages found out did go.
    Column("expires_at", _Moment),
    Column("expired_at", _Moment),
    # Until when it may run; and what it was given up for that, such as `edge=fast`.
    Column("deadline_at", _Moment),
    Column("degraded", ARRAY(Text)),
    # In how many seconds it was thought to end, before that was corrected by how good earlier
    # forecasts were; null when nothing is to be learnt from it.  See jobs/foresight.py.
    Column("foreseen_p50", Double),
    Column("foreseen_p90", Double),
    # Of which batch it is which item; and where it stands in that album, null until it is ranked.
    Column("batch_id", Uuid),
    Column("batch_index", Integer),
    Column("album_rank", Integer),
    Column("album_terms", JSONB),
    CheckConstraint("outcome IN ('succeeded', 'failed', 'canceled')", name="jobs_outcome"),
    CheckConstraint("(outcome IS NULL) = (finished_at IS NULL)", name="jobs_finished"),
    CheckConstraint(
        "photo_key IS NOT NULL OR photo_url IS NOT NULL OR upload_id IS NOT NULL",
        name="jobs_photo",
    ),
    Index("jobs_by_tenant", "tenant", "id"),
    Index("jobs_by_upload", "upload_id", postgresql_where=text("upload_id IS NOT NULL")),
    # Of these, what was done before is looked for: see jobs/memory.py.
    Index("jobs_by_photo", "tenant", "photo_digest", "id"),
    # Counted when a tenant's queue is bounded.
    Index("jobs_unfinished", "tenant", postgresql_where=text("outcome IS NULL")),
    # Counted for a batch's progress, and looked into for what is unfinished.
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
    # Which model runs each of the stage's tasks, as {"smile": "geometry", "eyes": "iris"}.
    Column("models", JSONB, nullable=False),
    # What was set for them, by task: {"segmentation": {"threshold": 0.5}}.
    Column("parameters", JSONB, nullable=False, server_default=text("'{}'")),
    # The trained weights that they run with, by task, of those that have any; and weights that
    # are tried beside them.
    Column("digests", JSONB, nullable=False, server_default=text("'{}'")),
    Column("shadows", JSONB, nullable=False, server_default=text("'{}'")),
    # Whether it was handed on to a stronger model, which happens once.
    Column("rerouted", Boolean, nullable=False, server_default=text("false")),
    # What it was asked, as a digest: the same of the same photo has the same result.
    Column("work", Text),
    # Rows with the same key can share one forward pass.
    Column("batch_key", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("rank", Double, nullable=False),
    Column("head_start", Double, nullable=False),
    # The job's, so that a claim need not look at jobs.
    Column("deadline_at", _Moment),
    Column("open_needs", SmallInteger, nullable=False),
    Column("not_before", _Moment),
    # Since when it is ready; says nothing in any other state.
    Column("ready_at", _Moment, server_default=text("statement_timestamp()")),
    Column("attempt", SmallInteger, nullable=False, server_default=text("0")),
    Column("releases", Integer, nullable=False, server_default=text("0")),
    Column("patience_since", _Moment),
    Column("lease_token", Uuid),
    Column("leased_until", _Moment),
    Column("worker", Uuid),
    Column("started_at", _Moment),
    Column("finished_at", _Moment),
    Column("seconds", Double),
    Column("result", JSONB),
    Column("error", JSONB),
    # The batch of which its job is one, when that is ranked.
    Column("album", Uuid),
    CheckConstraint(
        "state IN ('waiting', 'ready', 'running', 'succeeded', 'failed', 'canceled')",
        name="stages_state",
    ),
    CheckConstraint("open_needs >= 0", name="stages_open_needs"),
    CheckConstraint("(state = 'running') = (lease_token IS NOT NULL)", name="stages_lease"),
    # A claim reads the head of this one; `ready` holds only what can run now.
    Index("stages_ready", "capability", "rank", postgresql_where=text("state = 'ready'")),
    # Counted for the metrics; nothing else looks for what waits for other stages.
    Index("stages_waiting", "capability", postgresql_where=text("state = 'waiting'")),
    Index(
        "stages_due",
        "not_before",
        postgresql_where=text("state = 'waiting' AND not_before IS NOT NULL"),
    ),
    # Looked into when a rating has ended: is it the album's last?
    Index(
        "stages_rating",
        "album",
        postgresql_where=text(
            "album IS NOT NULL AND stage <> 'composite' "
            "AND state IN ('waiting', 'ready', 'running')"
        ),
    ),
    # The lease time stands in no index, so that a heartbeat updates in place.
    Index("stages_running", "job_id", "stage", postgresql_where=text("state = 'running'")),
    postgresql_with={"fillfactor": 70},
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
    # What it should serve and cannot, and why: {"segmentation.people": "weights file …"}.
    Column("failed", JSONB, nullable=False, server_default=text("'{}'")),
    Column("threads", SmallInteger, nullable=False),
    Column("started_at", _Moment, nullable=False),
    Column("seen_at", _Moment, nullable=False),
    Column("drained_from", _Moment),  # since when it is to claim no more
)

cells = Table(
    "cells",
    metadata,
    Column("name", Text, primary_key=True),
    Column("swept_at", _Moment, nullable=False),
    # How far the queues have come, in model seconds; see jobs/fairness.py.
    Column("virtual_time", Double, nullable=False, server_default=text("0")),
    # After nobody could sweep for a while, leases get the time for one heartbeat.
    Column("expires_from", _Moment, nullable=False),
    # When objects that no row names were last looked for.
    Column("cleared_at", _Moment, nullable=False),
)

tenants = Table(
    "tenants",
    metadata,
    Column("name", Text, primary_key=True),
    Column("weight", Double, nullable=False, server_default=text("1")),
    # Where in virtual time its work so far ends.
    Column("finish", Double, nullable=False),
    # What it may do; null: what the settings say, 0: whatever it wants.  See jobs/limits.py.
    Column("requests_per_minute", Integer),
    Column("jobs_waiting", Integer),
    Column("megapixels_per_day", Double),
    # What it has submitted on that day, in UTC; counted only while that is bounded.
    Column("spent_on", Date),
    Column("spent_megapixels", Double, nullable=False, server_default=text("0")),
    # What its recipes say that say nothing else, as JSON bodies write it.
    Column("recipe", JSONB),
    # How long what it submits is kept; null: what the settings say.  See jobs/retention.py.
    Column("keep_input_seconds", Double),
    Column("keep_result_seconds", Double),
    Column("keep_nothing", Boolean, nullable=False, server_default=text("false")),
    CheckConstraint("weight > 0", name="tenants_weight"),
)

capabilities = Table(
    "capabilities",
    metadata,
    Column("name", Text, primary_key=True),
    # How far in virtual time its claims have come.
    Column("mark", Double, nullable=False),
    # What one stage costs, smoothed over those that ran; null before the first.
    Column("mean_seconds", Double),
)

# What workers did, added up: see jobs/measures.py.
measures = Table(
    "measures",
    metadata,
    Column("what", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("seconds", Double, nullable=False),
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("job_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("expires_at", _Moment, nullable=False),
    # Not given out any more: its object is being removed.
    Column("marked_at", _Moment),
    # Until when one process alone removes what is marked.
    Column("leased_until", _Moment),
    # When it expired though something still needs it. It is not given out, and `expires_at` says
    # when retention looks at it again.
    Column("held_since", _Moment),
    CheckConstraint("kind IN ('photo', 'intermediate', 'result')", name="artifacts_kind"),
    Index("artifacts_by_job", "job_id"),
    Index("artifacts_expiring", "expires_at", postgresql_where=text("marked_at IS NULL")),
    Index("artifacts_marked", "marked_at", postgresql_where=text("marked_at IS NOT NULL")),
)

# Those that are pictures: see stock.py. Generated ones are code and stand in no table.
backgrounds = Table(
    "backgrounds",
    metadata,
    # Whose it is; empty for the operator's, which everybody may use.
    Column("tenant", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("tags", ARRAY(Text), nullable=False),
    Column("moods", ARRAY(Text), nullable=False),
    Column("palette", ARRAY(Text), nullable=False),
    Column("brightness", Double, nullable=False),
    Column("impression", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    # The folder or bucket that it is kept in step with, empty when it was added by hand; and
    # what tells there, without reading it, whether it has changed.
    Column("origin", Text, nullable=False),
    Column("stamp", Text, nullable=False),
    Column("created_at", _Moment, nullable=False),
    UniqueConstraint("key", name="backgrounds_key"),
)

# What happened to jobs, in order.  id: rises in the order in which a job's events happened.
events = Table(
    "events",
    metadata,
    Column("job_id", Uuid, primary_key=True),
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("type", Text, nullable=False),
    # Of a stage's event, which one; state: the job's or the stage's by then.
    Column("stage", Text),
    Column("state", Text, nullable=False),
    Column("at", _Moment, nullable=False),
    # The transaction, by which a look finds what was committed since; ids are drawn before.
    Column("written_in", BigInteger, nullable=False),
    Index("events_new", "written_in"),
)

# Requests with an Idempotency-Key.
requests = Table(
    "requests",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    # SHA-256 of what was asked.
    Column("fingerprint", Text, nullable=False),
    Column("claimed_at", _Moment, nullable=False),
    # What was answered; null while it is worked on.
    Column("status", SmallInteger),
    Column("media_type", Text),
    Column("location", Text),
    # Null as well when the job that it tells of was deleted.
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
    Column("deleted_at", _Moment, nullable=False),
    # What of it is still to be counted; null once it is.  See fairness.settle.
    Column("outcome", Text),
    Column("ended_on", Date),
    Column("owed", Double),
    Column("megapixels", Double),
    Column("seconds", Double),
    # The transaction, as in events: whoever waits for what is deleted is told at once.
    Column("written_in", BigInteger),
    Index("tombstones_owing", "job_id", postgresql_where=text("owed IS NOT NULL")),
    Index("tombstones_new", "written_in", postgresql_where=text("written_in IS NOT NULL")),
)

keys = Table(
    "keys",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant", Text, nullable=False),
    # SHA-256 of the key; the key itself is shown once and never stored.
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("created_at", _Moment, nullable=False),
    Column("expires_at", _Moment),
    Column("revoked_at", _Moment),
    # Of a key for an end user's device: which key made it, how many jobs it may submit and has.
    Column("parent", Uuid),
    Column("max_jobs", Integer),
    Column("jobs", Integer, nullable=False, server_default=text("0")),
    Index("keys_by_tenant", "tenant", "id"),
    Index("keys_by_parent", "parent", postgresql_where=text("parent IS NOT NULL")),
)

# What tenants have done, added up by the day on which jobs ended: see jobs/usage.py.
usage = Table(
    "usage",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("state", Text, primary_key=True),
    Column("jobs", BigInteger, nullable=False),
    Column("megapixels", Double, nullable=False),
    Column("model_seconds", Double, nullable=False),
    # Whoever asks for all tenants asks for days.
    Index("usage_by_day", "day"),
)
