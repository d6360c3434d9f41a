"""What tenants have used, added up by the day on which jobs ended: nothing is ever scanned.

Whoever settles an ended job counts it (fairness.py), within a second or two of its end. A
failed job that is redriven and ends again is counted again, with the seconds that it took
more; its photo is counted once.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from smart_filter_shared.ids import Tenant
from smart_filter_shared.jobs.states import JobState

_MOST = text("""
    SELECT tenant, json_object_agg(state, jobs) AS jobs, json_object_agg(state, late) AS late
    FROM (
        SELECT tenant, state, CAST(sum(jobs) AS bigint) AS jobs,
            CAST(coalesce(sum(jobs) FILTER (WHERE day = :last), 0) AS bigint) AS late
        FROM usage WHERE day BETWEEN :first AND :last GROUP BY tenant, state
    ) AS summed
    GROUP BY tenant ORDER BY sum(summed.jobs) DESC, tenant LIMIT :most
""")


@dataclass(frozen=True, slots=True)
class Used:
    """How many jobs, of photos with how many megapixels, and how long models ran for them."""

    jobs: int = 0
    megapixels: float = 0.0
    model_seconds: float = 0.0

    def __add__(self, other: "Used") -> "Used":
        return Used(
            self.jobs + other.jobs,
            self.megapixels + other.megapixels,
            self.model_seconds + other.model_seconds,
        )


@dataclass(frozen=True, slots=True)
class Day:
    """What a tenant used on a day in UTC, by what became of the jobs."""

    day: dt.date
    by_state: Mapping[JobState, Used]

    @property
    def whole(self) -> Used:
        """All of it."""
        return sum(self.by_state.values(), Used())


@dataclass(frozen=True, slots=True)
class Busy:
    """How many jobs of a tenant ended in some days, and on the last of them, by what became."""

    tenant: Tenant
    jobs: Mapping[JobState, int]
    last_day: Mapping[JobState, int]


def add(connection: Connection, used: Mapping[tuple[Tenant, dt.date, JobState], Used]) -> None:
    """Count jobs that have ended."""
    if not used:
        return
    # In one order: whoever else counts meanwhile waits instead of meeting head-on.
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


def between(connection: Connection, tenant: Tenant, first: dt.date, last: dt.date) -> Sequence[Day]:
    """Return the days, both ends included, on which jobs of a tenant ended, in order."""
    rows = connection.execute(
        text("""
            SELECT day, state, jobs, megapixels, model_seconds FROM usage
            WHERE tenant = :tenant AND day BETWEEN :first AND :last ORDER BY day, state
        """),
        {"tenant": tenant, "first": first, "last": last},
    )
    days: dict[dt.date, dict[JobState, Used]] = {}
    for row in rows:
        used = Used(row.jobs, row.megapixels, row.model_seconds)
        days.setdefault(row.day, {})[JobState(row.state)] = used
    return [Day(day, by_state) for day, by_state in days.items()]


def most(connection: Connection, first: dt.date, last: dt.date, *, tenants: int) -> list[Busy]:
    """Return so many tenants of which most jobs ended on these days, both included."""
    rows = connection.execute(_MOST, {"first": first, "last": last, "most": tenants})
    return [Busy(Tenant(row.tenant), _by_state(row.jobs), _by_state(row.late)) for row in rows]


def _by_state(told: Mapping[str, int]) -> dict[JobState, int]:
    return {JobState(state): jobs for state, jobs in told.items()}
