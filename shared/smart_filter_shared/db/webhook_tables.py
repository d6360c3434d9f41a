"""The tables of webhooks: who is told of jobs' ends, what is sent, and what came of it."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    Identity,
    Index,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from smart_filter_shared.db.tables import metadata

_Moment = DateTime(timezone=True)

# Who is told of jobs' ends.
webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("events", ARRAY(Text), nullable=False),
    Column("created_at", _Moment, nullable=False),
    # Why nothing is sent to it; null while something is.
    Column("disabled", Text),
    Index("webhooks_by_tenant", "tenant", "id"),
)

# What deliveries are signed with, sealed; webhook: an id, or `default`, for addresses that
# jobs name.  former: the one before, which signs as well until that time.
webhook_secrets = Table(
    "webhook_secrets",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("webhook", Text, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("former", LargeBinary),
    Column("former_until", _Moment),
)

# What is to be sent to whom: one event, one row for each webhook that wants it.
deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Uuid, primary_key=True),
    # Rises, so that a log can be read page by page.
    Column("number", BigInteger, Identity(always=True), nullable=False),
    Column("tenant", Text, nullable=False),
    Column("webhook", Text, nullable=False),
    # That the job named; null: the webhook's, as it is by then.
    Column("url", Text),
    # What may hold up each other: deliveries to one webhook, or to one host that jobs name.
    Column("lane", Text, nullable=False),
    # Null for a test.
    Column("job_id", Uuid),
    # In place of a job, the batch that it tells of.
    Column("batch_id", Uuid),
    Column("type", Text, nullable=False),
    Column("happened_at", _Moment, nullable=False),
    Column("state", Text, nullable=False, server_default=text("'waiting'")),
    Column("due_at", _Moment, nullable=False),
    Column("attempt", SmallInteger, nullable=False, server_default=text("0")),
    Column("lease_token", Uuid),
    Column("leased_until", _Moment),
    Column("finished_at", _Moment),
    CheckConstraint(
        "state IN ('waiting', 'sending', 'succeeded', 'failed')", name="deliveries_state"
    ),
    CheckConstraint("(state = 'sending') = (lease_token IS NOT NULL)", name="deliveries_lease"),
    Index("deliveries_of_webhook", "tenant", "webhook", "number"),
    Index("deliveries_by_job", "job_id"),
    Index("deliveries_by_batch", "batch_id", postgresql_where=text("batch_id IS NOT NULL")),
    Index("deliveries_due", "lane", "due_at", postgresql_where=text("state = 'waiting'")),
    Index("deliveries_sending", "lane", postgresql_where=text("state = 'sending'")),
    Index("deliveries_finished", "finished_at", postgresql_where=text("finished_at IS NOT NULL")),
    postgresql_with={"fillfactor": 70},
)

# The log: what came of each try to deliver.
delivery_attempts = Table(
    "delivery_attempts",
    metadata,
    Column("delivery_id", Uuid, primary_key=True),
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("at", _Moment, nullable=False),
    Column("seconds", Double, nullable=False),
    # Of the answer; null when there was none, and `error` says why.
    Column("status", SmallInteger),
    Column("answer", Text),
    Column("error", Text),
)
