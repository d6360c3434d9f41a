"""Fairness by one column: every job has a rank, and claims go by rank.

Start-time fair queueing in model seconds. A job starts where its tenant's work so far ends,
or now (virtual time V) when the tenant has been idle; its rank is that start less a head
start for its priority. So a tenant that submits thousands of photos queues behind itself.
A job that comes back (redriven, scheduled, retried) gets a rank again: virtual time has gone on.

    start = max(V, tenant.finish)      tenant.finish = start + estimated seconds / weight
    rank = start − head start

V is how far the queues have come that the job needs: the smallest among those capabilities of it
that have ready rows; where none has, the largest. So a capability that stands still holds back
those who need it alone. A capability has come as far as its mark: min(rank, start) of
its newest claim. What overtook others does not say that those have come so far, and what let
others pass says it of itself only. One that stood idle has an old mark: its next row counts, up to
the V of the cell, which is the smallest mark among capabilities that have ready rows and a live
worker, never falling.
Estimates are put right when jobs end. The head start is not stored in `finish`: priority
costs nothing and gains no share.

Source: P. Goyal, H. Vin, H. Cheng, "Start-Time Fair Queueing", SIGCOMM 1996; the marks of
several queues instead of one server's are ours.
"""

import uuid
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, TextClause, text

from smart_filter_shared.ids import Capability, Tenant
from smart_filter_shared.jobs import foresight, usage
from smart_filter_shared.jobs.failures import JobFailure
from smart_filter_shared.jobs.foresight import Ended
from smart_filter_shared.jobs.states import JobState
from smart_filter_shared.jobs.usage import Used
from smart_filter_shared.recipe import Priority

# What a stage is thought to cost before any has run.
UNKNOWN_SECONDS = 0.1
# Of the last hundred or so stages; a stage's cost changes with the photos that come.
_SMOOTHING = 0.02
_SETTLED_AT_ONCE = 500

# In model seconds: what is interactive passes work of a minute, a batch lets ten minutes pass.
HEAD_START_SECONDS: Mapping[Priority, float] = {
    Priority.INTERACTIVE: 60.0,
    Priority.STANDARD: 0.0,
    Priority.BATCH: -600.0,
}

_SETTLE = text("""
    WITH ended AS MATERIALIZED (
        SELECT id, tenant, outcome, estimated_seconds, megapixels, counted_seconds,
            CAST(finished_at AT TIME ZONE 'UTC' AS date) AS day,
            -- What is to be learnt of forecasts: from what went through once, without a stop.
            CASE WHEN outcome = 'succeeded' AND counted_seconds IS NULL
                AND foreseen_p50 IS NOT NULL
                THEN json_build_array(
                    recipe ->> 'priority', foreseen_p50, foreseen_p90,
                    extract(epoch FROM finished_at - created_at)
                )
            END AS foreseen,
            CASE WHEN outcome = 'failed' THEN json_build_object(
                'job_id', id, 'code', error ->> 'code', 'capability', (
                    SELECT capability FROM open_stages AS stages
                    WHERE stages.job_id = jobs.id AND stages.stage = jobs.error ->> 'stage'
                )
            ) END AS failure
        FROM open_jobs AS jobs
        -- While a day is being opened its jobs are shown before their stages (db/days.py).
        WHERE outcome IS NOT NULL AND NOT settled
            AND EXISTS (SELECT FROM open_stages WHERE job_id = jobs.id)
        ORDER BY id LIMIT :most
        FOR NO KEY UPDATE SKIP LOCKED
    ), ran AS MATERIALIZED (
        SELECT ended.*, coalesce((
            SELECT sum(seconds) FROM open_stages WHERE job_id = ended.id
        ), 0) AS seconds
        FROM ended
    ), graves AS MATERIALIZED (
        SELECT * FROM tombstones WHERE owed IS NOT NULL
        ORDER BY job_id LIMIT :most
        FOR NO KEY UPDATE SKIP LOCKED
    ), settled AS (
        UPDATE open_jobs AS jobs SET settled = true, counted_seconds = ran.seconds
        FROM ran WHERE jobs.id = ran.id
    ), closed AS (
        UPDATE tombstones SET
            owed = NULL, outcome = NULL, ended_on = NULL, megapixels = NULL, seconds = NULL
        FROM graves WHERE tombstones.job_id = graves.job_id
    ), due AS MATERIALIZED (
        SELECT tenant, day, outcome, seconds - estimated_seconds AS owed,
            -- One that ends again, after a redrive, brings no new photo.
            CASE WHEN counted_seconds IS NULL THEN megapixels ELSE 0 END AS megapixels,
            seconds - coalesce(counted_seconds, 0) AS seconds, foreseen, failure
        FROM ran
        UNION ALL
        SELECT tenant, ended_on, outcome, owed, megapixels, seconds, NULL, NULL FROM graves
    ), measured AS MATERIALIZED (
        -- In the one order of tenants (transitions/statements.py).
        SELECT name, (SELECT sum(owed) FROM due WHERE due.tenant = tenants.name) AS more
        FROM tenants WHERE name IN (SELECT tenant FROM due)
        ORDER BY name FOR NO KEY UPDATE
    ), charged AS (
        UPDATE tenants SET finish = finish + measured.more / weight
        FROM measured WHERE tenants.name = measured.name
    )
    SELECT tenant, day, outcome, count(*) AS jobs, sum(megapixels) AS megapixels,
        sum(seconds) AS seconds, json_agg(foreseen) FILTER (WHERE foreseen IS NOT NULL) AS foreseen,
        json_agg(failure) FILTER (WHERE failure IS NOT NULL) AS failures
    FROM due GROUP BY tenant, day, outcome
""")

# How far capabilities have come. One that stood idle has an old mark: its next row shows that it
# has come further, which counts up to where all queues have come.
REACHED = """
    SELECT needed.name, head.mark IS NOT NULL AS is_busy,
        greatest(
            known.mark, CASE WHEN head.mark IS NOT NULL THEN least(head.mark, virtual_time) END
        ) AS v
    FROM ({needed}) AS needed (name)
    JOIN cells ON cells.name = :cell
    LEFT JOIN capabilities AS known ON known.name = needed.name
    LEFT JOIN LATERAL (
        SELECT least(rank, rank + head_start) AS mark FROM open_stages AS stages
        WHERE stages.capability = needed.name AND state = 'ready'
        ORDER BY rank LIMIT 1
    ) AS head ON true
"""
_NEEDED = REACHED.format(needed="SELECT DISTINCT unnest(CAST(:capabilities AS text[]))")

_PLACE = """
    WITH cost AS (
        SELECT sum(coalesce(known.mean_seconds, :unknown)) AS seconds
        FROM unnest(CAST(:capabilities AS text[])) AS needed (name)
        LEFT JOIN capabilities AS known USING (name)
    ), now AS MATERIALIZED (
        SELECT coalesce(
            min(reached.v) FILTER (WHERE reached.is_busy), max(reached.v), cells.virtual_time
        ) AS v
        FROM cells LEFT JOIN LATERAL ({reached}) AS reached ON true
        WHERE cells.name = :cell AND CASE WHEN CAST(:is_durable AS bool) THEN true
            ELSE set_config('synchronous_commit', 'off', true) = 'off' END
        GROUP BY cells.virtual_time
    )
    INSERT INTO tenants (name, finish)
    SELECT :tenant, now.v + cost.seconds FROM now, cost {condition}
    ON CONFLICT (name) DO UPDATE
    SET finish = greatest(tenants.finish, (SELECT v FROM now))
        + (SELECT seconds FROM cost) / tenants.weight
    RETURNING finish - (SELECT seconds FROM cost) / weight AS start,
        (SELECT seconds FROM cost) AS seconds
"""
_RESERVE = text(_PLACE.format(condition="", reached=_NEEDED))
# Compared and bounded as in memory.py.
_RESERVE_FOR_NEW = _PLACE.format(
    reached=_NEEDED,
    condition="""
        WHERE (
            SELECT id FROM jobs
            WHERE (tenant, photo_digest) >= (CAST(:tenant AS text), CAST(:digest AS text))
                AND (tenant, photo_digest) <= (CAST(:tenant AS text), CAST(:digest AS text))
                AND id >= '{since}'
            ORDER BY tenant DESC, photo_digest DESC, id DESC LIMIT 1
        ) IS NULL
    """,
)

_VIRTUAL_TIME = text("SELECT virtual_time FROM cells WHERE name = :cell")
_COSTS = text("""
    SELECT needed.name, coalesce(known.mean_seconds, :unknown) AS seconds, tenants.weight
    FROM unnest(CAST(:names AS text[])) AS needed (name)
    LEFT JOIN capabilities AS known USING (name)
    JOIN tenants ON tenants.name = :tenant
""")


@dataclass(frozen=True, slots=True)
class Place:
    """A job's place among all: where it starts in virtual time, and what it may cost."""

    start: float
    estimated_seconds: float


@dataclass(frozen=True, slots=True)
class Progress:
    """What a worker did in a capability since it last said so.

    mark: how far in virtual time its newest claim shows it to be.
    runs, seconds: stages run, and their total time.
    """

    mark: float
    runs: int
    seconds: float


def reserve(
    connection: Connection,
    tenant: Tenant,
    capabilities: Collection[Capability],
    *,
    cell: str,
    is_durable: bool = False,
) -> Place:
    """Take a tenant's next place.

    is_durable: whether the commit waits for the disk. A submission takes its place in a
        transaction of its own and does not wait: a place lost in a crash is given out twice, which
        costs a tenant one turn at most.
    """
    place = _reserved(
        connection, _RESERVE, _asked(tenant, capabilities, cell, is_durable=is_durable)
    )
    if place is None:
        raise RuntimeError(f"there is no cell {cell}")
    return place


def place_later(connection: Connection, *, cell: str) -> Place:
    """Return the place of a job that is scheduled: it takes and pays for another when it is due.

    Nothing is taken now: its tenant's other jobs would wait behind work that is not there yet.
    """
    now = connection.execute(_VIRTUAL_TIME, {"cell": cell}).scalar_one()
    return Place(start=now, estimated_seconds=0.0)


def reserve_for_new(
    connection: Connection,
    tenant: Tenant,
    capabilities: Collection[Capability],
    *,
    cell: str,
    digest: str,
    since: uuid.UUID,
) -> Place | None:
    """Take a tenant's next place as `reserve` does, for a photo that no job of its has had.

    digest: of the photo.  since: the least id of the jobs that count (memory.kept_since).
    None when one has: then nothing is taken, for it may cost less.
    """
    asked = {**_asked(tenant, capabilities, cell, is_durable=False), "digest": digest}
    return _reserved(connection, text(_RESERVE_FOR_NEW.format(since=since)), asked)


def _asked(
    tenant: Tenant, capabilities: Collection[Capability], cell: str, *, is_durable: bool
) -> dict[str, object]:
    return {
        "tenant": tenant,
        "capabilities": list(capabilities),
        "unknown": UNKNOWN_SECONDS,
        "cell": cell,
        "is_durable": is_durable,
    }


def _reserved(
    connection: Connection, statement: TextClause, asked: Mapping[str, object]
) -> Place | None:
    row = connection.execute(statement, asked).one_or_none()
    return None if row is None else Place(start=row.start, estimated_seconds=row.seconds)


def reserve_all(
    connection: Connection,
    tenant: Tenant,
    wanted: Sequence[Collection[Capability]],
    *,
    cell: str,
) -> list[Place]:
    """Take a tenant's next places for several jobs at once, one behind the other.

    wanted: for each job the capabilities that it needs.  As `reserve` otherwise.
    """
    flat = [capability for capabilities in wanted for capability in capabilities]
    whole = reserve(connection, tenant, flat, cell=cell)
    needed = {"names": list(set(flat)), "tenant": tenant, "unknown": UNKNOWN_SECONDS}
    rows = connection.execute(_COSTS, needed).all()
    costs = {row.name: row.seconds for row in rows}
    places, start = [], whole.start
    for capabilities in wanted:
        seconds = sum(costs[one] for one in capabilities)
        places.append(Place(start, seconds))
        start += seconds / rows[0].weight
    return places


def rank(place: Place, priority: Priority) -> float:
    """Return what a job's stages are claimed by, the lowest first."""
    return place.start - HEAD_START_SECONDS[priority]


def advance(connection: Connection, made: Mapping[Capability, Progress]) -> None:
    """Say how far capabilities have come, and what their stages cost."""
    names = sorted(made)
    connection.execute(
        text("""
            WITH made AS (
                SELECT * FROM unnest(
                    CAST(:names AS text[]), CAST(:marks AS float8[]),
                    CAST(:runs AS float8[]), CAST(:seconds AS float8[])
                ) AS made (name, mark, runs, seconds)
            )
            INSERT INTO capabilities (name, mark, mean_seconds)
            SELECT name, mark, CASE WHEN runs > 0 THEN seconds / runs END FROM made
            ON CONFLICT (name) DO UPDATE SET
                mark = greatest(capabilities.mark, excluded.mark),
                mean_seconds = coalesce(
                    capabilities.mean_seconds + (
                        excluded.mean_seconds - capabilities.mean_seconds
                    ) * (1 - power(1 - :smoothing, (
                        SELECT runs FROM made WHERE made.name = capabilities.name
                    ))),
                    excluded.mean_seconds, capabilities.mean_seconds
                )
        """),
        {
            "names": names,
            "marks": [made[name].mark for name in names],
            "runs": [float(made[name].runs) for name in names],
            "seconds": [made[name].seconds for name in names],
            "smoothing": _SMOOTHING,
        },
    )


def refresh(connection: Connection, *, cell: str, silent_seconds: float) -> None:
    """Move V to where the slowest busy capability is; where all are idle, to the furthest."""
    connection.execute(
        text("""
            WITH busy AS (
                SELECT capabilities.mark FROM capabilities
                WHERE EXISTS (
                    SELECT FROM open_stages AS stages
                    WHERE stages.capability = capabilities.name AND state = 'ready'
                ) AND EXISTS (
                    SELECT FROM workers
                    WHERE capabilities.name = ANY(workers.capabilities) AND seen_at
                        >= statement_timestamp() - make_interval(secs => :silent_seconds)
                ) AND NOT EXISTS (
                    SELECT FROM pauses WHERE pauses.capability = capabilities.name
                )
            )
            UPDATE cells SET virtual_time = greatest(virtual_time, coalesce(
                (SELECT min(mark) FROM busy), (SELECT max(mark) FROM capabilities), 0
            ))
            WHERE name = :cell
        """),
        {"cell": cell, "silent_seconds": silent_seconds},
    )


@dataclass(frozen=True, slots=True)
class Settled:
    """What was settled: how many jobs of each outcome, and why those that failed did."""

    ended: Mapping[JobState, int]
    failures: Sequence[JobFailure]


def settle(connection: Connection) -> Settled:
    """Put right what ended jobs were thought to cost, in their tenants' `finish`, and count them.

    Those that were deleted meanwhile left what they owe on their tombstones: to pay at once
    would make a tenant's deletions wait for each other. What those that succeeded tell of
    forecasts is learnt.
    Returns what that was; each end of a job is settled once.
    """
    rows = connection.execute(_SETTLE, {"most": _SETTLED_AT_ONCE}).all()
    usage.add(
        connection,
        {
            (Tenant(row.tenant), row.day, JobState(row.outcome)): Used(
                row.jobs, row.megapixels, row.seconds
            )
            for row in rows
        },
    )
    foresight.learn(
        connection,
        [
            (Priority(priority), Ended(p50, p90, seconds))
            for row in rows
            for priority, p50, p90, seconds in row.foreseen or ()
        ],
    )
    ended: Counter[JobState] = Counter()
    failures: list[JobFailure] = []
    for row in rows:
        ended[JobState(row.outcome)] += row.jobs
        failures += [JobFailure.of(told) for told in row.failures or ()]
    return Settled(ended, failures)
