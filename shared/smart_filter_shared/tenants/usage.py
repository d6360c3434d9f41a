"""Usage of tenants by the UTC day on which jobs ended; reads scan no jobs.

Settlement (operations/settlement.py) counts an ended job within a second or two of its end. A
failed job that is redriven and ends again is counted again, with its additional seconds; its photo
is counted once.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from smart_filter_shared.ids import Tenant
from smart_filter_shared.queue.states import JobState
from smart_filter_wire.tenants import Usage

_LIST_BUSIEST = text("""
    SELECT tenant, json_object_agg(state, jobs) AS jobs, json_object_agg(state, late) AS late
    FROM (
        SELECT tenant, state, CAST(sum(jobs) AS bigint) AS jobs,
            CAST(coalesce(sum(jobs) FILTER (WHERE day = :last), 0) AS bigint) AS late
        FROM usage WHERE day BETWEEN :first AND :last GROUP BY tenant, state
    ) AS summed
    GROUP BY tenant ORDER BY sum(summed.jobs) DESC, tenant LIMIT :most
""")


@dataclass(frozen=True, slots=True)
class UsageTotals(Usage):
    """Number of jobs, megapixels of their photos, and seconds that models ran for them."""

    jobs: int = 0
    megapixels: float = 0.0
    model_seconds: float = 0.0

    def __add__(self, other: "UsageTotals") -> "UsageTotals":
        return UsageTotals(
            self.jobs + other.jobs,
            self.megapixels + other.megapixels,
            self.model_seconds + other.model_seconds,
        )


@dataclass(frozen=True, slots=True)
class DailyUsage:
    """The usage of a tenant on one UTC day, by outcome of the jobs."""

    day: dt.date
    by_state: Mapping[JobState, UsageTotals]

    @property
    def whole(self) -> UsageTotals:
        """The sum over all outcomes."""
        return sum(self.by_state.values(), UsageTotals())


@dataclass(frozen=True, slots=True)
class TenantActivity:
    """Number of a tenant's jobs that ended in a range of days, and on its last day, by outcome."""

    tenant: Tenant
    jobs: Mapping[JobState, int]
    last_day: Mapping[JobState, int]


def add(
    connection: Connection, used: Mapping[tuple[Tenant, dt.date, JobState], UsageTotals]
) -> None:
    """Add the usage of ended jobs."""
    if not used:
        return
    # Rows are written in one order, so that concurrent writers wait instead of deadlocking.
    places = sorted(used)
    connection.execute(
        text("""
            INSERT INTO usage (tenant, day, state, jobs, megapixels, model_seconds)
            SELECT * FROM unnest(
                CAST(:tenants AS text[]), CAST(:days AS date[]), CAST(:states AS text[]),
                CAST(:jobs AS bigint[]), CAST(:megapixels AS float8[]), CAST(:seconds AS float8[])
            )
            ON CONFLICT (tenant, day, state) DO UPDATE SET
                jobs = usage.jobs + excluded.jobs,
                megapixels = usage.megapixels + excluded.megapixels,
                model_seconds = usage.model_seconds + excluded.model_seconds
        """),
        {
            "tenants": [tenant for tenant, _, _ in places],
            "days": [day for _, day, _ in places],
            "states": [str(state) for _, _, state in places],
            "jobs": [used[place].jobs for place in places],
            "megapixels": [used[place].megapixels for place in places],
            "seconds": [used[place].model_seconds for place in places],
        },
    )


def list_days(
    connection: Connection, tenant: Tenant, first: dt.date, last: dt.date
) -> Sequence[DailyUsage]:
    """Return a tenant's usage on each day with ended jobs, in order; both bounds are included."""
    rows = connection.execute(
        text("""
            SELECT day, state, jobs, megapixels, model_seconds FROM usage
            WHERE tenant = :tenant AND day BETWEEN :first AND :last ORDER BY day, state
        """),
        {"tenant": tenant, "first": first, "last": last},
    )
    days: dict[dt.date, dict[JobState, UsageTotals]] = {}
    for row in rows:
        used = UsageTotals(row.jobs, row.megapixels, row.model_seconds)
        days.setdefault(row.day, {})[JobState(row.state)] = used
    return [DailyUsage(day, by_state) for day, by_state in days.items()]


def list_busiest(
    connection: Connection, first: dt.date, last: dt.date, *, tenants: int
) -> list[TenantActivity]:
    """Return up to `tenants` tenants with the most ended jobs on these days, both included."""
    rows = connection.execute(_LIST_BUSIEST, {"first": first, "last": last, "most": tenants})
    return [
        TenantActivity(Tenant(row.tenant), _by_state(row.jobs), _by_state(row.late)) for row in rows
    ]


def _by_state(counts: Mapping[str, int]) -> dict[JobState, int]:
    return {JobState(state): jobs for state, jobs in counts.items()}
