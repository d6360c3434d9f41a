"""What a tenant may do at most: requests a minute, jobs that wait, megapixels a day.

The settings say what holds for everybody; tenants.py may say otherwise of one. The
operator's own tenant has no bounds. Requests are counted by the API (rates.py); jobs and
megapixels here, in the transactions of a submission.
"""

from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection, text

from smart_filter_shared.errors import QueueFull, RateLimited, ServiceFull
from smart_filter_shared.ids import OPERATOR, Tenant

# What is full is worth another look as soon as some jobs have ended: this long, unless known.
FULL_SECONDS = 5.0
# So close to its bound a tenant's submissions commit one after the other, so that the bound is
# exact unless more of them are under way at once.
_NEAR_JOBS = 64

# Both read no more of the index `jobs_unfinished` than the bound is high.
_UNFINISHED = text("""
    SELECT count(*) FROM (
        SELECT FROM open_jobs WHERE tenant = :tenant AND outcome IS NULL LIMIT :most
    ) AS unfinished
""")
_UNFINISHED_IN_ALL = text("""
    SELECT count(*) FROM (SELECT FROM open_jobs WHERE outcome IS NULL LIMIT :most) AS unfinished
""")
_ALONE = text("SELECT pg_advisory_xact_lock(hashtextextended(:tenant, 0))")
# One that has never submitted anything starts where the queues are, as fairness.reserve says.
_KNOW = text("INSERT INTO tenants (name, finish) VALUES (:tenant, 0) ON CONFLICT DO NOTHING")
# Behind its day in UTC, what was spent before is nothing. Of the row itself, not of a second look
# at it: whoever waits for another submission sees what that one has spent.
_SPEND = text("""
    UPDATE tenants SET spent_on = today.day, spent_megapixels = :megapixels
        + CASE WHEN tenants.spent_on = today.day THEN tenants.spent_megapixels ELSE 0 END
    FROM (
        SELECT CAST(statement_timestamp() AT TIME ZONE 'UTC' AS date) AS day
    ) AS today
    WHERE tenants.name = :tenant AND :most >= :megapixels
        + CASE WHEN tenants.spent_on = today.day THEN tenants.spent_megapixels ELSE 0 END
    RETURNING tenants.name
""")
# Of a photo that nobody has seen yet: what has been spent must leave room for a pixel at least.
_ONE_PIXEL = 1e-6
_COUNT = text("""
    UPDATE tenants SET
        spent_megapixels = :megapixels + CASE WHEN spent_on = today.day
            THEN spent_megapixels ELSE 0 END,
        spent_on = today.day
    FROM (SELECT CAST(statement_timestamp() AT TIME ZONE 'UTC' AS date)) AS today (day)
    WHERE name = :tenant
""")
_UNTIL_TOMORROW = text("""
    SELECT extract(epoch FROM
        date_trunc('day', statement_timestamp() AT TIME ZONE 'UTC') + interval '1 day'
        - statement_timestamp() AT TIME ZONE 'UTC'
    )
""")
_GIVE_BACK = text("""
    UPDATE tenants SET spent_megapixels = greatest(0, spent_megapixels - :megapixels)
    WHERE name = :tenant AND spent_on = CAST(statement_timestamp() AT TIME ZONE 'UTC' AS date)
""")
_SPENT = text("""
    SELECT spent_megapixels FROM tenants
    WHERE name = :tenant AND spent_on = CAST(statement_timestamp() AT TIME ZONE 'UTC' AS date)
""")

Number = TypeVar("Number", int, float)


@dataclass(frozen=True, slots=True)
class Limits:
    """At most so many requests a minute, unfinished jobs, megapixels a day in UTC; 0: no bound."""

    requests_per_minute: int = 0
    jobs_waiting: int = 0
    megapixels_per_day: float = 0.0


@dataclass(frozen=True, slots=True)
class OwnLimits:
    """What is said of one tenant; None: what the settings say."""

    requests_per_minute: int | None = None
    jobs_waiting: int | None = None
    megapixels_per_day: float | None = None

    def within(self, tenant: Tenant, usual: Limits) -> Limits:
        """Return what holds for the tenant."""
        if tenant == OPERATOR:
            return Limits()
        return Limits(
            _first(self.requests_per_minute, usual.requests_per_minute),
            _first(self.jobs_waiting, usual.jobs_waiting),
            _first(self.megapixels_per_day, usual.megapixels_per_day),
        )


def refuse_when_full(
    connection: Connection,
    tenant: Tenant,
    limits: Limits,
    *,
    exactly: bool,
    jobs: int = 1,
    full_seconds: float = FULL_SECONDS,
) -> None:
    """See to it that one more job may wait, or so many.

    exactly: near the bound, and of several jobs anywhere, the tenant's other exact submissions
    wait for the end of this transaction.
    full_seconds: when whoever is refused may come again.
    Raises QueueFull.
    """
    most = limits.jobs_waiting
    if not most:
        return
    waiting = unfinished(connection, tenant, most=most)
    # Two batches may each fit, and together go beyond the bound.
    if exactly and (jobs > 1 or most - waiting <= _NEAR_JOBS):
        connection.execute(_ALONE, {"tenant": f"jobs_waiting {tenant}"})
        waiting = unfinished(connection, tenant, most=most)
    if waiting + jobs > most:
        raise QueueFull(
            f"{waiting} jobs wait already, and {most} may; come again when some have ended",
            retry_after_seconds=full_seconds,
        )


def refuse_when_all_is_full(
    unfinished: int, most: int, *, full_seconds: float = FULL_SECONDS
) -> None:
    """See to it that one more job may wait, whoever's they are.  Raises ServiceFull."""
    if most and unfinished >= most:
        raise ServiceFull(
            "as many jobs wait as may, of all callers; come again when some have ended",
            retry_after_seconds=full_seconds,
        )


def unfinished(connection: Connection, tenant: Tenant, *, most: int) -> int:
    """Return how many jobs of a tenant have not ended, counted up to `most`."""
    return int(connection.execute(_UNFINISHED, {"tenant": tenant, "most": most}).scalar_one())


def unfinished_in_all(connection: Connection, *, most: int) -> int:
    """Return how many jobs have not ended, counted up to `most`."""
    return int(connection.execute(_UNFINISHED_IN_ALL, {"most": most}).scalar_one())


def spend(connection: Connection, tenant: Tenant, megapixels: float, limits: Limits) -> None:
    """Count what a tenant submits today.

    megapixels: 0 for a photo that is yet to be brought; `count` counts it then.
    Raises RateLimited, until midnight in UTC, when that is more than it may.
    """
    most = limits.megapixels_per_day
    if not most:
        return
    where = {"tenant": tenant, "megapixels": megapixels or _ONE_PIXEL, "most": most}
    connection.execute(_KNOW, {"tenant": tenant})
    if connection.execute(_SPEND, where).one_or_none() is None:
        left = connection.execute(_UNTIL_TOMORROW).scalar_one()
        raise RateLimited(
            f"{most:g} megapixels a day may be submitted, and today's are spent; the next day"
            " begins at midnight, UTC",
            retry_after_seconds=float(left),
        )


def count(connection: Connection, tenant: Tenant, megapixels: float) -> None:
    """Count a photo of today that nobody had seen when it was submitted."""
    connection.execute(_COUNT, {"tenant": tenant, "megapixels": megapixels})


def spent_today(connection: Connection, tenant: Tenant) -> float:
    """Return the megapixels that count against a tenant's bound today."""
    return float(connection.execute(_SPENT, {"tenant": tenant}).scalar_one_or_none() or 0)


def give_back(connection: Connection, tenant: Tenant, megapixels: float) -> None:
    """Take back what was counted for a photo that could not be submitted."""
    connection.execute(_GIVE_BACK, {"tenant": tenant, "megapixels": megapixels})


def _first(own: Number | None, usual: Number) -> Number:
    return usual if own is None else own
