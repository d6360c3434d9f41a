"""The heads of the queues: which capabilities have ready rows, and which one is next."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Engine, text

from smart_filter_shared.db import driver_queries, sessions
from smart_filter_shared.db.repeated_query import RepeatedQuery
from smart_filter_shared.ids import Capability, Tenant
from smart_filter_shared.pipeline import StageName, stage_index

# Restricts `stages` to the rows of a QuickOnly. A subquery for each row, which cannot be turned
# into a join: PostgreSQL would read all jobs for it. Left out where all rows are served, because
# a statement locks all relations that it names.
QUICK_ROWS: Final = """
        AND (
            SELECT tenant = ANY(CAST(:quick AS text[])) OR (
                tenant <> ALL(CAST(:slow AS text[]))
                AND megapixels > 0 AND megapixels <= :most_megapixels
                AND NOT (stages.stage = 'composite' AND starts_with(recipe->>'background', 'url:'))
            )
            FROM jobs WHERE jobs.id = stages.job_id
        )"""
# The rank of the 500th ready row of a queue, from a rank on.
_FIRST_ROWS: Final = """coalesce((
            SELECT rank FROM stages AS ahead
            WHERE ahead.capability = {capability} AND ahead.state = 'ready'
                AND ahead.rank >= {since}
            ORDER BY rank OFFSET 500 LIMIT 1
        ), 'infinity')"""
_FROM_HEAD: Final = _FIRST_ROWS.replace("{since}", "'-infinity'")
_TIME: Final = "(SELECT min(virtual_time) FROM sweeper)"
_FROM_TIME: Final = _FIRST_ROWS.replace("{since}", _TIME)
# Restricts `stages` to the first rows of a queue, and to the first ones from its virtual time on,
# among which quick ones are looked for: a look through 100,000 rows of others takes a second. From
# that time on a tenant's next row is among the first ones unless hundreds of tenants wait, since
# ranks give tenants turns (fair_queueing); rows with a head start are before it.
NEAR_HEAD: Final = f"""
        AND stages.rank <= greatest({_FROM_HEAD}, {_FROM_TIME})
        AND (stages.rank >= {_TIME} OR stages.rank <= {_FROM_HEAD})"""

# The queues with a stage of a state, for WITH RECURSIVE: one probe of an index for each, from one
# capability to the next, however many stages they have.
QUEUES: Final = """
    {state}_queues AS (
        (
            SELECT capability FROM stages
            WHERE state = '{state}' ORDER BY capability LIMIT 1
        )
        UNION ALL
        SELECT next.capability FROM {state}_queues AS queue, LATERAL (
            SELECT capability FROM stages
            WHERE state = '{state}' AND stages.capability > queue.capability
            ORDER BY capability LIMIT 1
        ) AS next
    )"""

# One probe of `stages_ready` per capability: `= ANY` would sort all their rows.
_HEADS_SQL = """
    SELECT served.capability, head.rank
    FROM unnest(CAST(:capabilities AS text[])) AS served (capability), LATERAL (
        SELECT rank, ready_at FROM stages
        WHERE stages.capability = served.capability AND state = 'ready'
            AND coalesce(deadline_at > statement_timestamp(), true){rows}
        ORDER BY rank LIMIT 1
    ) AS head
    WHERE NOT EXISTS (SELECT FROM pauses WHERE pauses.capability = served.capability)
"""
_HEADS = text(_HEADS_SQL.format(rows=""))
_WAITING_HEADS = text(f"""
    {_HEADS_SQL.format(rows="")}
        AND head.ready_at < statement_timestamp() - make_interval(secs => :seconds)
""")
_QUICK_HEADS = text(
    _HEADS_SQL.format(rows=QUICK_ROWS + NEAR_HEAD.format(capability="served.capability"))
)
# Of empty queues one descent of `stages_ready` in each day. Paused capabilities are left out
# first: otherwise their backlog would be read.
_IS_ANY_READY: Final = """
    SELECT EXISTS (
        SELECT FROM stages WHERE state = 'ready' AND capability = ANY(ARRAY(
            SELECT served FROM unnest(CAST($1 AS text[])) AS served
            WHERE NOT EXISTS (SELECT FROM pauses WHERE pauses.capability = served)
        ))
    )
"""


class ReadyPoll:
    """The poll of a worker: whether anything is ready; it holds a connection."""

    def __init__(self, source: Engine) -> None:
        self._query = RepeatedQuery(
            sessions.single_statements(source), _IS_ANY_READY, name="is_any_ready"
        )

    def is_any_ready(self, served: Collection[Capability]) -> bool:
        """Return whether a capability that is not paused has a ready row.

        Also true for a row whose deadline has just passed, which no claim takes.
        Raises DatabaseUnavailable.
        """
        return self._query.fetch_value(driver_queries.array_text(served)) == "t"

    def close(self) -> None:
        """Give the connection back."""
        self._query.close()


@dataclass(frozen=True, slots=True)
class QuickOnly:
    """The rows that a claim may take when only quick ones may be claimed.

    quick: tenants whose rows all count as quick.  slow: tenants without quick rows.
    most_megapixels: of a photo of any other tenant; one of unknown size is not quick, nor is a
        stage that fetches a background.
    """

    quick: tuple[Tenant, ...] = ()
    slow: tuple[Tenant, ...] = ()
    most_megapixels: float = 0.0


def restrict(only: QuickOnly | None) -> dict[str, object]:
    """Return the parameters of QUICK_ROWS."""
    given = only or QuickOnly()
    return {
        "quick": list(given.quick),
        "slow": list(given.slow),
        "most_megapixels": given.most_megapixels,
    }


def next_capability(
    connection: Connection,
    served: Collection[Capability],
    *,
    only: QuickOnly | None = None,
) -> Capability | None:
    """Return the capability whose head has the lowest rank; the later stage breaks ties.

    only: the rows that count, among the first of each queue; None: all.
    None when no capability has a ready row of them.
    """
    statement = _HEADS if only is None else _QUICK_HEADS
    parameters = {"capabilities": list(served), **restrict(only)}
    ready = driver_queries.fetch_rows(connection, statement, parameters)
    if not ready:
        return None
    capability, _ = min(ready, key=lambda head: (head[1], -stage_index(stage_of(head[0]))))
    return Capability(capability)


def list_waiting(
    connection: Connection, served: Collection[Capability], *, seconds: float
) -> list[Capability]:
    """Return the capabilities whose head has been ready for this many seconds."""
    heads = connection.execute(_WAITING_HEADS, {"capabilities": list(served), "seconds": seconds})
    return [Capability(head.capability) for head in heads]


def list_ready(connection: Connection, served: Collection[Capability]) -> list[Capability]:
    """Return the capabilities that have a ready row."""
    heads = connection.execute(_HEADS, {"capabilities": list(served)})
    return [Capability(head.capability) for head in heads]


def stage_of(capability: str) -> StageName:
    """Return the stage of a capability, such as `face` of `face.centerface`."""
    return StageName(capability.partition(".")[0])
