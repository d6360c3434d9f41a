"""Start-time fair queueing over tenants: every job has a rank, and the lowest is claimed first.

Ranks are in model seconds. A job starts where its tenant's earlier work ends, or now (virtual
time V) when the tenant has been idle. Its rank is that start minus a head start for its priority.
A tenant that submits thousands of photos therefore queues behind itself.
A job that returns (redriven, scheduled, retried) gets a new rank, because V has advanced.

    start = max(V, tenant.finish)      tenant.finish = start + estimated seconds / weight
    rank = start − head start

V of a job is the progress of the queues it needs: the smallest mark among its capabilities that
have ready rows, or the largest mark when none has. A stalled capability therefore delays only the
jobs that need it. The mark of a capability is min(rank, start) of its newest claim: a job with a
head start must not advance it past the jobs it overtook, and a job with a negative head start
must not advance it past its own start. An idle capability has a stale mark, so its next ready row
counts instead, capped at the V of all queues: the smallest mark among capabilities that have ready
rows and a live worker, which never falls.
Estimates are corrected when jobs end. The head start is not stored in `finish`: priority
costs a tenant nothing and changes no share.

Source: P. Goyal, H. Vin, H. Cheng, "Start-Time Fair Queueing", SIGCOMM 1996. The paper has one
server's virtual time; the marks of several queues are our extension.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, TextClause, text

from smart_filter_shared.db import driver_queries
from smart_filter_shared.ids import Capability, Tenant
from smart_filter_shared.priority import Priority

# Estimated cost of a stage, in model seconds, until its capability has a measured mean.
DEFAULT_COST_SECONDS = 0.1
# EWMA weight of one stage run: the mean covers about the last hundred, as photos change over time.
_SMOOTHING = 0.02

# In model seconds: interactive jobs overtake a minute of work, batch jobs yield to ten minutes.
HEAD_START_SECONDS: Mapping[Priority, float] = {
    Priority.INTERACTIVE: 60.0,
    Priority.STANDARD: 0.0,
    Priority.BATCH: -600.0,
}

# The progress of capabilities in virtual time. An idle capability has a stale mark, so its next
# ready row counts instead, capped at the virtual time of all queues.
PROGRESS_SQL = """
    SELECT needed.name, head.mark IS NOT NULL AS is_busy,
        greatest(
            known.mark, CASE WHEN head.mark IS NOT NULL THEN least(head.mark, virtual_time) END
        ) AS v
    FROM ({needed}) AS needed (name)
    CROSS JOIN sweeper
    LEFT JOIN capabilities AS known ON known.name = needed.name
    LEFT JOIN LATERAL (
        SELECT least(rank, rank + head_start) AS mark FROM stages
        WHERE stages.capability = needed.name AND state = 'ready'
        ORDER BY rank LIMIT 1
    ) AS head ON true
"""
_NEEDED = PROGRESS_SQL.format(needed="SELECT DISTINCT unnest(CAST(:capabilities AS text[]))")

_RESERVE_SQL = """
    WITH cost AS (
        SELECT sum(coalesce(known.mean_seconds, :unknown)) AS seconds
        FROM unnest(CAST(:capabilities AS text[])) AS needed (name)
        LEFT JOIN capabilities AS known USING (name)
    ), now AS MATERIALIZED (
        SELECT coalesce(
            min(reached.v) FILTER (WHERE reached.is_busy), max(reached.v), sweeper.virtual_time
        ) AS v
        FROM sweeper LEFT JOIN LATERAL ({reached}) AS reached ON true
        WHERE CASE WHEN CAST(:is_durable AS bool) THEN true
            ELSE set_config('synchronous_commit', 'off', true) = 'off' END
        GROUP BY sweeper.virtual_time
    )
    INSERT INTO tenants (name, finish)
    SELECT :tenant, now.v + cost.seconds FROM now, cost {condition}
    ON CONFLICT (name) DO UPDATE
    SET finish = greatest(tenants.finish, (SELECT v FROM now))
        + (SELECT seconds FROM cost) / tenants.weight
    RETURNING finish - (SELECT seconds FROM cost) / weight AS start,
        (SELECT seconds FROM cost) AS seconds
"""
_RESERVE = text(_RESERVE_SQL.format(condition="", reached=_NEEDED))
# The same comparison and bound as in jobs/result_cache.py.
_RESERVE_FOR_NEW = text(
    _RESERVE_SQL.format(
        reached=_NEEDED,
        condition="""
        WHERE (
            SELECT id FROM jobs
            WHERE (tenant, left(photo_digest, 16)) >= (CAST(:tenant AS text), left(:digest, 16))
                AND (tenant, left(photo_digest, 16)) <= (CAST(:tenant AS text), left(:digest, 16))
                AND photo_digest = CAST(:digest AS text)
            ORDER BY tenant DESC, left(photo_digest, 16) DESC, id DESC LIMIT 1
        ) IS NULL
    """,
    )
)

_VIRTUAL_TIME = text("SELECT virtual_time FROM sweeper")
_COSTS = text("""
    SELECT needed.name, coalesce(known.mean_seconds, :unknown) AS seconds, tenants.weight
    FROM unnest(CAST(:names AS text[])) AS needed (name)
    LEFT JOIN capabilities AS known USING (name)
    JOIN tenants ON tenants.name = :tenant
""")


@dataclass(frozen=True, slots=True)
class Reservation:
    """A job's place in the queue: its start in virtual time, and its estimated model seconds."""

    start: float
    estimated_seconds: float


@dataclass(frozen=True, slots=True)
class Progress:
    """The work of one worker process in a capability since its last report.

    mark: the virtual time of its newest claim.
    runs, seconds: number of stages run, and their total time.
    """

    mark: float
    runs: int
    seconds: float

    def __add__(self, more: "Progress") -> "Progress":
        """Return both together."""
        return Progress(
            max(self.mark, more.mark), self.runs + more.runs, self.seconds + more.seconds
        )


def reserve(
    connection: Connection,
    tenant: Tenant,
    capabilities: Collection[Capability],
    *,
    is_durable: bool = False,
) -> Reservation:
    """Reserve and return a tenant's next place.

    is_durable: whether the commit waits for the disk. A submission reserves its place in a
        separate transaction and does not wait: after a crash the same place may be given out
        again, which costs a tenant one turn at most.
    """
    place = _execute_reserve(
        connection, _RESERVE, _reserve_parameters(tenant, capabilities, is_durable=is_durable)
    )
    assert place is not None
    return place


def provisional_reservation(connection: Connection) -> Reservation:
    """Return the provisional place of a scheduled job, which reserves its real one when it is due.

    Nothing is reserved now, or the tenant's other jobs would wait behind work that is not due.
    """
    now = connection.execute(_VIRTUAL_TIME).scalar_one()
    return Reservation(start=now, estimated_seconds=0.0)


def reserve_for_new_photo(
    connection: Connection,
    tenant: Tenant,
    capabilities: Collection[Capability],
    *,
    digest: str,
) -> Reservation | None:
    """Reserve and return a tenant's next place, for a photo that is new to the tenant.

    digest: of the photo.
    Returns None, and reserves nothing, when a job has the same photo: it may cost less.
    """
    asked = {**_reserve_parameters(tenant, capabilities, is_durable=False), "digest": digest}
    return _execute_reserve(connection, _RESERVE_FOR_NEW, asked)


def _reserve_parameters(
    tenant: Tenant, capabilities: Collection[Capability], *, is_durable: bool
) -> dict[str, object]:
    return {
        "tenant": tenant,
        "capabilities": list(capabilities),
        "unknown": DEFAULT_COST_SECONDS,
        "is_durable": is_durable,
    }


def _execute_reserve(
    connection: Connection, statement: TextClause, asked: Mapping[str, object]
) -> Reservation | None:
    rows = driver_queries.fetch_rows(connection, statement, asked)
    return Reservation(*rows[0]) if rows else None


def reserve_many(
    connection: Connection,
    tenant: Tenant,
    wanted: Sequence[Collection[Capability]],
) -> list[Reservation]:
    """Reserve and return a tenant's next places for several jobs, one behind the other.

    wanted: for each job the capabilities that it needs.  Otherwise as `reserve`.
    """
    flat = [capability for capabilities in wanted for capability in capabilities]
    whole = reserve(connection, tenant, flat)
    needed = {"names": list(set(flat)), "tenant": tenant, "unknown": DEFAULT_COST_SECONDS}
    rows = connection.execute(_COSTS, needed).all()
    costs = {row.name: row.seconds for row in rows}
    places, start = [], whole.start
    for capabilities in wanted:
        seconds = sum(costs[capability] for capability in capabilities)
        places.append(Reservation(start, seconds))
        start += seconds / rows[0].weight
    return places


def rank(place: Reservation, priority: Priority) -> float:
    """Return the rank of a job's stages; the lowest is claimed first."""
    return place.start - HEAD_START_SECONDS[priority]


def record_progress(connection: Connection, made: Mapping[Capability, Progress]) -> None:
    """Write the new marks of capabilities, and add the costs of stage runs to their means."""
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
            "seconds": [float(made[name].seconds) for name in names],
            "smoothing": _SMOOTHING,
        },
    )


def advance_virtual_time(connection: Connection, *, silent_seconds: float) -> None:
    """Advance V to the smallest mark of the busy capabilities; if all are idle, to the largest."""
    connection.execute(
        text("""
            WITH busy AS (
                SELECT capabilities.mark FROM capabilities
                WHERE EXISTS (
                    SELECT FROM stages
                    WHERE stages.capability = capabilities.name AND state = 'ready'
                ) AND EXISTS (
                    SELECT FROM workers
                    WHERE capabilities.name = ANY(workers.capabilities) AND seen_at
                        >= statement_timestamp() - make_interval(secs => :silent_seconds)
                ) AND NOT EXISTS (
                    SELECT FROM pauses WHERE pauses.capability = capabilities.name
                )
            )
            UPDATE sweeper SET virtual_time = greatest(virtual_time, coalesce(
                (SELECT min(mark) FROM busy), (SELECT max(mark) FROM capabilities), 0
            ))
        """),
        {"silent_seconds": silent_seconds},
    )
