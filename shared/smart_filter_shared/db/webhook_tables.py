"""Tables of webhooks: endpoints, signing secrets, deliveries and delivery attempts."""

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

# Endpoints that receive an event when a job ends.
webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("events", ARRAY(Text), nullable=False),
    Column("created_at", _Moment, nullable=False),
    # Why the endpoint is disabled; null while it is enabled.
    Column("disabled", Text),
    Index("webhooks_by_tenant", "tenant", "id"),
)

# Signing secrets, sealed.  webhook: an id, or `default` for URLs that jobs name.  former: the
# previous secret, which also signs until `former_until`.
webhook_secrets = Table(
    "webhook_secrets",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("webhook", Text, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("former", LargeBinary),
    Column("former_until", _Moment),
)

# Outbox: one row for each event and each webhook that subscribes to it.
deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Uuid, primary_key=True),
    # Increases, as the cursor for paging through the log.
    Column("number", BigInteger, Identity(always=True), nullable=False),
    Column("tenant", Text, nullable=False),
    Column("webhook", Text, nullable=False),
    # URL that the job named; null: the webhook's URL at the time of sending.
    Column("url", Text),
    # Deliveries of one lane can delay each other: one webhook, or one host that jobs name.
    Column("lane", Text, nullable=False),
    # Null for a test.
    Column("job_id", Uuid),
    # The batch, for an event about a batch instead of a job.
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

# Delivery log: one row for each attempt.
delivery_attempts = Table(
    "delivery_attempts",
    metadata,
    Column("delivery_id", Uuid, primary_key=True),
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("at", _Moment, nullable=False),
    Column("seconds", Double, nullable=False),
    # HTTP status of the response; null without a response, and `error` has the reason.
    Column("status", SmallInteger),
    Column("answer", Text),
    Column("error", Text),
)
