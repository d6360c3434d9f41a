"""Tables of tenants: quotas, usage, keys, browser sessions, webhooks and their deliveries."""

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
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from smart_filter_shared.db.tables import Moment, metadata

tenants = Table(
    "tenants",
    metadata,
    Column("name", Text, primary_key=True),
    Column("weight", Double, nullable=False, server_default=text("1")),
    # Virtual finish time of its submitted work.
    Column("finish", Double, nullable=False),
    # Quotas; null: the setting applies, 0: no limit.  See tenants/quotas.py.
    Column("requests_per_minute", Integer),
    Column("jobs_waiting", Integer),
    Column("megapixels_per_day", Double),
    Column("stored_bytes", BigInteger),
    # Megapixels submitted on the UTC day `spent_on`; counted only while that quota is set.
    Column("spent_on", Date),
    Column("spent_megapixels", Double, nullable=False, server_default=text("0")),
    # Bytes of its stored objects, without those in `stored_changes`.
    Column("used_bytes", BigInteger, nullable=False, server_default=text("0")),
    # Default recipe fields, as in a JSON request body.
    Column("recipe", JSONB),
    # Retention of its jobs' artifacts; null: the setting applies.  See artifacts/retention.py.
    Column("keep_input_seconds", Double),
    Column("keep_result_seconds", Double),
    Column("keep_nothing", Boolean, nullable=False, server_default=text("false")),
    # Whether emotions are read in its photos: false, or null: the setting applies.
    Column("emotions", Boolean),
    # Lifetime of its signed links; null: the setting applies.
    Column("link_seconds", Integer),
    CheckConstraint("weight > 0", name="tenants_weight"),
)

# Usage of tenants by the day on which jobs ended: see tenants/usage.py.
usage = Table(
    "usage",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("state", Text, primary_key=True),
    Column("jobs", BigInteger, nullable=False),
    Column("megapixels", Double, nullable=False),
    Column("model_seconds", Double, nullable=False),
    # For queries over all tenants, which are by day.
    Index("usage_by_day", "day"),
)

keys = Table(
    "keys",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant", Text, nullable=False),
    # SHA-256 of the key, which is shown once and never stored; random for a key without a secret.
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("revoked_at", Moment),
    # For a key of an end user's device: the key that made it, its job limit, and its job count.
    Column("parent", Uuid),
    Column("max_jobs", Integer),
    Column("jobs", Integer, nullable=False, server_default=text("0")),
    # The key that made it with POST /v1/keys; null for keys of the command line and of devices.
    Column("issued_by", Uuid),
    # Whether it is the key of a signed-in person's session, which keys issued with it outlive.
    Column("is_personal", Boolean, nullable=False, server_default=text("false")),
    Index("keys_by_tenant", "tenant", "id"),
    Index("keys_by_parent", "parent", postgresql_where=text("parent IS NOT NULL")),
    Index("keys_by_issuer", "issued_by", postgresql_where=text("issued_by IS NOT NULL")),
)

browser_sessions = Table(
    "browser_sessions",
    metadata,
    # SHA-256 of the cookie; the cookie itself is stored nowhere.
    Column("digest", LargeBinary, primary_key=True),
    # The session has this key's scopes and ends with the key.
    Column("key_id", Uuid, nullable=False),
    Column("created_at", Moment, nullable=False),
    # Accurate to a minute, so that not every page view writes.
    Column("used_at", Moment, nullable=False),
    # Absolute expiry: use does not extend it.
    Column("expires_at", Moment, nullable=False),
    Index("browser_sessions_expiring", "expires_at"),
)

# Single-use codes: each opens one session and is deleted.
browser_codes = Table(
    "browser_codes",
    metadata,
    # SHA-256 of the code.
    Column("digest", LargeBinary, primary_key=True),
    Column("key_id", Uuid, nullable=False),
    Column("expires_at", Moment, nullable=False),
)

# Endpoints that receive an event when a job ends.
webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("events", ARRAY(Text), nullable=False),
    Column("created_at", Moment, nullable=False),
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
    Column("former_until", Moment),
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
    # A lane is a tenant's deliveries to one receiver; they can delay each other.
    Column("lane", Text, nullable=False),
    # Null for a test.
    Column("job_id", Uuid),
    # The batch, for an event about a batch instead of a job.
    Column("batch_id", Uuid),
    Column("type", Text, nullable=False),
    Column("happened_at", Moment, nullable=False),
    Column("state", Text, nullable=False, server_default=text("'waiting'")),
    Column("due_at", Moment, nullable=False),
    Column("attempt", SmallInteger, nullable=False, server_default=text("0")),
    Column("lease_token", Uuid),
    Column("leased_until", Moment),
    Column("finished_at", Moment),
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
    Index("deliveries_pending", "tenant", postgresql_where=text("finished_at IS NULL")),
    postgresql_with={"fillfactor": 70},
)

# Security log: triggers refuse changes of its rows, and deletions for 30 days.  See
# tenants/audit_log.py.
audit_events = Table(
    "audit_events",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("at", Moment, nullable=False, server_default=text("statement_timestamp()")),
    # The operator's tenant for callers whose tenant is not known.
    Column("tenant", Text, nullable=False),
    Column("event", Text, nullable=False),
    # The key that the request had; null for the command line and unknown callers.
    Column("key_id", Uuid),
    # The client's network; null for the command line and for several networks.
    Column("network", Text),
    # The key, webhook or tenant that the event is about.
    Column("subject", Text),
    # Number of refused requests that the row stands for.
    Column("count", BigInteger, nullable=False, server_default=text("1")),
    Index("audit_events_by_tenant", "tenant", "id"),
    Index("audit_events_by_time", "at"),
)

# Delivery log: one row for each attempt.
delivery_attempts = Table(
    "delivery_attempts",
    metadata,
    Column("delivery_id", Uuid, primary_key=True),
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("at", Moment, nullable=False),
    Column("seconds", Double, nullable=False),
    # HTTP status of the response; null without a response, and `error` has the reason.
    Column("status", SmallInteger),
    Column("answer", Text),
    Column("error", Text),
)
