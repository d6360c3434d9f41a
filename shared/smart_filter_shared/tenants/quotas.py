"""Quotas of tenants: requests per minute, unfinished jobs, megapixels per day, bytes, deliveries.

The settings hold the defaults; tenants/settings.py holds overrides of single tenants. The
operator's own tenant has no quotas. The API counts requests (auth/rate_limit.py); jobs and
megapixels are counted here, in the transactions of a submission, and webhook deliveries before it.
Stored bytes are counted with the rows of the objects, by triggers, until retention deletes these;
those of the few pictures are summed up.
"""

from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection, text

from smart_filter_shared.errors import QueueFull, RateLimited, ServiceFull
from smart_filter_shared.ids import OPERATOR, Tenant

# Retry-After of a full queue when no estimate is known: some jobs will have ended.
RETRY_AFTER_SECONDS = 5.0
# Retry-After beyond the limit of deliveries: a receiver that works takes hundreds in this time.
_DELIVERIES_RETRY_SECONDS = 60.0
# Within this many jobs of its quota, a tenant's submissions commit one after the other. The quota
# is then exact, unless more submissions than this run at once.
_EXACT_WITHIN_JOBS = 64
# The same within this many bytes: 64 forms of the largest size, 81 MB.
_EXACT_WITHIN_BYTES = 64 * 81_000_000
# Retry-After beyond the limit of stored bytes: jobs expire, and clients delete some.
_STORED_RETRY_SECONDS = 60.0

# Both queries read at most :most entries of the index `jobs_unfinished`.
_COUNT_UNFINISHED = text("""
    SELECT count(*) FROM (
        SELECT FROM jobs WHERE tenant = :tenant AND outcome IS NULL LIMIT :most
    ) AS unfinished
""")
_COUNT_ALL_UNFINISHED = text("""
    SELECT count(*) FROM (SELECT FROM jobs WHERE outcome IS NULL LIMIT :most) AS unfinished
""")
# A job ends once, with a delivery to each enabled webhook and to the address that it names. Both
# counts end at :most.
_COUNT_DELIVERIES = text("""
    WITH hooks AS MATERIALIZED (
        SELECT count(*) AS enabled FROM webhooks WHERE tenant = :tenant AND disabled IS NULL
    )
    SELECT enabled, unfinished.jobs, unfinished.jobs * enabled + unfinished.named AS promised, (
        SELECT count(*) FROM (
            SELECT FROM deliveries WHERE tenant = :tenant AND finished_at IS NULL LIMIT :most
        ) AS pending
    ) AS pending
    FROM hooks, LATERAL (
        SELECT count(*) AS jobs, count(webhook_url) AS named FROM (
            SELECT webhook_url FROM jobs
            WHERE tenant = :tenant AND outcome IS NULL LIMIT :most
        ) AS unfinished
    ) AS unfinished
""")
_COUNT_STORED = text("""
    SELECT coalesce((SELECT used_bytes FROM tenants WHERE name = :tenant), 0)
        + coalesce((SELECT sum(bytes) FROM stored_changes WHERE tenant = :tenant), 0)
        + coalesce((SELECT sum(length) FROM backgrounds WHERE tenant = :tenant), 0)
        + coalesce((
            SELECT sum(length) FROM incoming_pictures WHERE tenant = :tenant AND code IS NULL
        ), 0)
""")
# Tenant rows are locked by name, as everywhere (transitions/sql.py).
_FOLD_STORED = text("""
    WITH folded AS (DELETE FROM stored_changes RETURNING tenant, bytes)
    INSERT INTO tenants (name, finish, used_bytes)
    SELECT tenant, 0, sum(bytes) FROM folded GROUP BY tenant ORDER BY tenant
    ON CONFLICT (name) DO UPDATE SET used_bytes = tenants.used_bytes + excluded.used_bytes
""")
_LOCK_TENANT = text("SELECT pg_advisory_xact_lock(hashtextextended(:tenant, 0))")
# A tenant without submissions has finish 0: its first job starts at V (queue/fair_queueing.py).
_ENSURE_TENANT = text(
    "INSERT INTO tenants (name, finish) VALUES (:tenant, 0) ON CONFLICT DO NOTHING"
)
# The counter resets at midnight UTC. It is computed from the locked row, not from an earlier
# SELECT, so that concurrent submissions see each other.
_CHARGE = text("""
    UPDATE tenants SET spent_on = today.day, spent_megapixels = :megapixels
        + CASE WHEN tenants.spent_on = today.day THEN tenants.spent_megapixels ELSE 0 END
    FROM (
        SELECT CAST(statement_timestamp() AT TIME ZONE 'UTC' AS date) AS day
    ) AS today
    WHERE tenants.name = :tenant AND :most >= :megapixels
        + CASE WHEN tenants.spent_on = today.day THEN tenants.spent_megapixels ELSE 0 END
    RETURNING tenants.name
""")
# Charged for a photo of unknown size: at least one pixel of the quota must be left.
_ONE_PIXEL = 1e-6
_CHARGE_IMPORTED = text("""
    UPDATE tenants SET
        spent_megapixels = :megapixels + CASE WHEN spent_on = today.day
            THEN spent_megapixels ELSE 0 END,
        spent_on = today.day
    FROM (SELECT CAST(statement_timestamp() AT TIME ZONE 'UTC' AS date)) AS today (day)
    WHERE name = :tenant
""")
_SECONDS_UNTIL_MIDNIGHT = text("""
    SELECT extract(epoch FROM
        date_trunc('day', statement_timestamp() AT TIME ZONE 'UTC') + interval '1 day'
        - statement_timestamp() AT TIME ZONE 'UTC'
    )
""")
_READ_CHARGED = text("""
    SELECT spent_megapixels FROM tenants
    WHERE name = :tenant AND spent_on = CAST(statement_timestamp() AT TIME ZONE 'UTC' AS date)
""")

Number = TypeVar("Number", int, float)


@dataclass(frozen=True, slots=True)
class Limits:
    """The quotas of a tenant; a day is in UTC; 0: no limit."""

    requests_per_minute: int = 0
    jobs_waiting: int = 0
    megapixels_per_day: float = 0.0
    stored_bytes: int = 0
    pictures: int = 0
    deliveries_waiting: int = 0


@dataclass(frozen=True, slots=True)
class LimitOverrides:
    """The quota overrides of one tenant; None: the value of the settings applies."""

    requests_per_minute: int | None = None
    jobs_waiting: int | None = None
    megapixels_per_day: float | None = None
    stored_bytes: int | None = None
    pictures: int | None = None

    def within(self, tenant: Tenant, usual: Limits) -> Limits:
        """Return the quotas that apply to the tenant."""
        if tenant == OPERATOR:
            return Limits()
        return Limits(
            _override_or_default(self.requests_per_minute, usual.requests_per_minute),
            _override_or_default(self.jobs_waiting, usual.jobs_waiting),
            _override_or_default(self.megapixels_per_day, usual.megapixels_per_day),
            _override_or_default(self.stored_bytes, usual.stored_bytes),
            _override_or_default(self.pictures, usual.pictures),
            usual.deliveries_waiting,
        )


@dataclass(frozen=True, slots=True)
class DeliveryBacklog:
    """The webhook deliveries of a tenant that have not ended.

    pending: deliveries that wait or are being sent.
    promised: deliveries that its unfinished jobs will cause when they end.
    webhooks: its enabled webhooks.  jobs: its unfinished jobs.
    """

    pending: int
    promised: int
    webhooks: int
    jobs: int

    def count_new(self, *, jobs: int = 0, webhooks: int = 0, single: int = 0) -> int:
        """Return the deliveries that a request will cause.

        jobs: new jobs; the end of each is delivered to all enabled webhooks.
        webhooks: new webhooks; the ends of all unfinished jobs are delivered to each.
        single: other deliveries.
        """
        return jobs * self.webhooks + webhooks * self.jobs + single

    def check(self, new: int, most: int, *, admitted: int = 0) -> int:
        """Check that there is room for new deliveries; return how many more there is room for.

        admitted: deliveries that were admitted since this was counted.  Raises QueueFull.
        """
        promised = self.promised + admitted
        left = most - self.pending - promised - new
        if new and left < 0:
            raise QueueFull(
                f"{self.pending} of your webhook deliveries wait, your unfinished jobs will cause"
                f" {promised}, and this request {new}; at most {most} are allowed: repair or"
                " disable the webhooks whose deliveries fail, or retry later",
                retry_after_seconds=_DELIVERIES_RETRY_SECONDS,
            )
        return max(0, left)


def check_queue_quota(
    connection: Connection,
    tenant: Tenant,
    limits: Limits,
    *,
    exactly: bool,
    jobs: int = 1,
    full_seconds: float = RETRY_AFTER_SECONDS,
) -> None:
    """Check that a tenant's quota has room for `jobs` more unfinished jobs.

    exactly: whether the tenant's other exact submissions wait for this transaction when the quota
    is near, or when `jobs` is above 1.
    full_seconds: the Retry-After of a refusal.
    Raises QueueFull.
    """
    most = limits.jobs_waiting
    if not most:
        return
    waiting = count_unfinished(connection, tenant, most=most)
    # Two batches may fit one by one and exceed the quota together.
    if exactly and (jobs > 1 or most - waiting <= _EXACT_WITHIN_JOBS):
        connection.execute(_LOCK_TENANT, {"tenant": f"jobs_waiting {tenant}"})
        waiting = count_unfinished(connection, tenant, most=most)
    if waiting + jobs > most:
        raise QueueFull(
            f"you have {waiting} unfinished jobs of at most {most}; retry when some have ended",
            retry_after_seconds=full_seconds,
        )


def check_stored_bytes(
    connection: Connection,
    tenant: Tenant,
    limits: Limits,
    new: int,
    *,
    exactly: bool,
    jobs: int = 1,
) -> None:
    """Check that a tenant's quota has room for new objects.

    new: their bytes; with 0, one byte must be left, because a job stores more than it is sent.
    exactly, jobs: as in `check_queue_quota`.
    Raises QueueFull.
    """
    most = limits.stored_bytes
    if not most:
        return
    stored = count_stored_bytes(connection, tenant)
    if exactly and (jobs > 1 or most - stored <= _EXACT_WITHIN_BYTES):
        connection.execute(_LOCK_TENANT, {"tenant": f"stored_bytes {tenant}"})
        stored = count_stored_bytes(connection, tenant)
    if stored + max(1, new) > most:
        raise QueueFull(
            f"your jobs, uploads and pictures store {stored} bytes of at most {most}, and this"
            f" request adds {new}; delete some, or retry when jobs have expired",
            retry_after_seconds=_STORED_RETRY_SECONDS,
        )


def count_stored_bytes(connection: Connection, tenant: Tenant) -> int:
    """Return the bytes of a tenant's stored objects."""
    return int(connection.execute(_COUNT_STORED, {"tenant": tenant}).scalar_one())


def fold_stored_bytes(connection: Connection) -> None:
    """Add the changes of stored bytes to the rows of their tenants."""
    connection.execute(_FOLD_STORED)


def check_service_capacity(
    unfinished: int, most: int, *, full_seconds: float = RETRY_AFTER_SECONDS
) -> None:
    """Check that the service has room for one more job of any tenant.  Raises ServiceFull."""
    if most and unfinished >= most:
        raise ServiceFull(
            "the server has the maximum number of unfinished jobs; retry when some have ended",
            retry_after_seconds=full_seconds,
        )


def count_unfinished(connection: Connection, tenant: Tenant, *, most: int) -> int:
    """Return the number of a tenant's unfinished jobs, counted up to `most`."""
    return int(connection.execute(_COUNT_UNFINISHED, {"tenant": tenant, "most": most}).scalar_one())


def count_all_unfinished(connection: Connection, *, most: int) -> int:
    """Return the number of unfinished jobs of all tenants, counted up to `most`."""
    return int(connection.execute(_COUNT_ALL_UNFINISHED, {"most": most}).scalar_one())


def count_deliveries(connection: Connection, tenant: Tenant, *, most: int) -> DeliveryBacklog:
    """Return the delivery backlog of a tenant; its deliveries and jobs are counted up to `most`."""
    row = connection.execute(_COUNT_DELIVERIES, {"tenant": tenant, "most": most}).one()
    return DeliveryBacklog(row.pending, row.promised, webhooks=row.enabled, jobs=row.jobs)


def check_deliveries(
    connection: Connection,
    tenant: Tenant,
    limits: Limits,
    *,
    jobs: int = 0,
    webhooks: int = 0,
    single: int = 0,
) -> int | None:
    """Check that a tenant's quota has room for the deliveries that a request will cause.

    jobs, webhooks, single: as in `DeliveryBacklog.count_new`.
    Returns how many more there is room for; None: there is no limit.  Raises QueueFull.
    """
    most = limits.deliveries_waiting
    if not most:
        return None
    backlog = count_deliveries(connection, tenant, most=most)
    return backlog.check(backlog.count_new(jobs=jobs, webhooks=webhooks, single=single), most)


def charge(connection: Connection, tenant: Tenant, megapixels: float, limits: Limits) -> None:
    """Charge megapixels to a tenant's quota of today.

    megapixels: 0 for a photo of unknown size; `charge_imported` charges it once it is imported.
    Raises RateLimited, until midnight UTC, when the quota is exceeded.
    """
    most = limits.megapixels_per_day
    if not most:
        return
    where = {"tenant": tenant, "megapixels": megapixels or _ONE_PIXEL, "most": most}
    connection.execute(_ENSURE_TENANT, {"tenant": tenant})
    if connection.execute(_CHARGE, where).one_or_none() is None:
        raise _used_up(connection, most)


def check_megapixels(
    connection: Connection, tenant: Tenant, megapixels: float, limits: Limits
) -> None:
    """Check that megapixels fit into a tenant's quota of today, without charging them.

    megapixels: as in `charge`.  Raises RateLimited as `charge` does.
    """
    most = limits.megapixels_per_day
    if most and read_charged_today(connection, tenant) + (megapixels or _ONE_PIXEL) > most:
        raise _used_up(connection, most)


def charge_imported(connection: Connection, tenant: Tenant, megapixels: float) -> None:
    """Charge an imported photo whose size was unknown when it was submitted."""
    connection.execute(_CHARGE_IMPORTED, {"tenant": tenant, "megapixels": megapixels})


def read_charged_today(connection: Connection, tenant: Tenant) -> float:
    """Return the megapixels charged to a tenant today."""
    return float(connection.execute(_READ_CHARGED, {"tenant": tenant}).scalar_one_or_none() or 0)


def _used_up(connection: Connection, most: float) -> RateLimited:
    left = connection.execute(_SECONDS_UNTIL_MIDNIGHT).scalar_one()
    return RateLimited(
        f"{most:g} megapixels per day are allowed, and today's are used up; the next day"
        " begins at midnight UTC",
        retry_after_seconds=float(left),
    )


def _override_or_default(override: Number | None, usual: Number) -> Number:
    return usual if override is None else override
