"""The heads of the queues: which capabilities have ready rows, which is next, which are paused."""

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
_HEADS_FROM = """, LATERAL (
        SELECT rank, ready_at FROM stages
        WHERE stages.capability = served.capability AND state = 'ready'
            AND coalesce(deadline_at > statement_timestamp(), true){rows}
        ORDER BY rank LIMIT 1
    ) AS head
    WHERE NOT EXISTS (SELECT FROM pauses WHERE pauses.capability = served.capability)
"""
_HEADS = f"""
    SELECT served.capability, head.rank
    FROM unnest(CAST(:capabilities AS text[])) AS served (capability){_HEADS_FROM}
"""  # noqa: S608 - SQL of our own
_ALL_HEADS = text(_HEADS.format(rows=""))
_WAITING_HEADS = text(f"""
    {_HEADS.format(rows="")}
        AND head.ready_at < statement_timestamp() - make_interval(secs => :seconds)
""")
_QUICK_HEADS = text(
    _HEADS.format(rows=QUICK_ROWS + NEAR_HEAD.format(capability="served.capability"))
)
# Of empty queues one descent of `stages_ready` in each day. Paused capabilities are left out
# first: otherwise their backlog would be read.
_IS_ANY_READY: Final = text("""
    SELECT EXISTS (
        SELECT FROM stages WHERE state = 'ready' AND capability = ANY(ARRAY(
            SELECT served FROM unnest(CAST(:served AS text[])) AS served
            WHERE NOT EXISTS (SELECT FROM pauses WHERE pauses.capability = served)
        ))
    )
""")

_PAUSE = text("""
    INSERT INTO pauses (capability, paused_at) VALUES (:capability, statement_timestamp())
    ON CONFLICT DO NOTHING RETURNING capability
""")
_LIST_PAUSED = text("SELECT capability FROM pauses")
_RESUME = text("DELETE FROM pauses WHERE capability = :capability RETURNING capability")


class ReadyPoll:
    """The poll of a worker: whether anything is ready; it holds a connection."""

    def __init__(self, source: Engine) -> None:
        self._query = RepeatedQuery(sessions.reader(source), _IS_ANY_READY)

    def is_any_ready(self, served: Collection[Capability]) -> bool:
        """Return whether a capability that is not paused has a ready row.

        Also true for a row whose deadline has just passed, which no claim takes.
        Raises DatabaseUnavailable.
        """
        return bool(self._query.fetch_value(served=driver_queries.array_text(served)))

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


def choose_first(*, is_restricted: bool) -> str:
    """Return the SQL that leaves of the queues `served` the one whose head has the lowest rank.

    The later stage breaks ties.
    """
    rows = QUICK_ROWS + NEAR_HEAD.format(capability="served.capability") if is_restricted else ""
    return f"{_HEADS_FROM.format(rows=rows)} ORDER BY rank, turn DESC LIMIT 1"


def restrict(only: QuickOnly | None) -> dict[str, object]:
    """Return the parameters of QUICK_ROWS."""
    given = only or QuickOnly()
    return {
        "quick": list(given.quick),
        "slow": list(given.slow),
        "most_megapixels": given.most_megapixels,
    }


def list_waiting(
    connection: Connection, served: Collection[Capability], *, seconds: float
) -> list[Capability]:
    """Return the capabilities whose head has been ready for this many seconds."""
    heads = connection.execute(_WAITING_HEADS, {"capabilities": list(served), "seconds": seconds})
    return [Capability(head.capability) for head in heads]


def list_ready(
    connection: Connection, served: Collection[Capability], *, only: QuickOnly | None = None
) -> list[Capability]:
    """Return the capabilities that have a ready row.

    only: the rows that count, among the first of each queue; None: all.
    """
    statement = _ALL_HEADS if only is None else _QUICK_HEADS
    parameters = {"capabilities": list(served), **restrict(only)}
    return [
        Capability(capability)
        for capability, _ in driver_queries.fetch_rows(connection, statement, parameters)
    ]


def pause(connection: Connection, capability: Capability) -> bool:
    """Stop all claims from a capability until it is resumed; return whether that is a change.

    Running stages finish, new ones wait. The claim itself reads the table `pauses`, so a pause
    takes effect at its commit, in every process.
    """
    return connection.execute(_PAUSE, {"capability": capability}).one_or_none() is not None


def list_paused(connection: Connection) -> frozenset[Capability]:
    """Return the paused capabilities."""
    return frozenset(Capability(row.capability) for row in connection.execute(_LIST_PAUSED))


def resume(connection: Connection, capability: Capability) -> bool:
    """Resume a capability; return whether it was paused.

    The next polls of its workers find its ready rows.
    """
    return connection.execute(_RESUME, {"capability": capability}).one_or_none() is not None


def turn_of(capability: str) -> int:
    """Return the place of a capability's stage in the pipeline."""
    return stage_index(stage_of(capability))


def stage_of(capability: str) -> StageName:
    """Return the stage of a capability, such as `face` of `face.centerface`."""
    return StageName(capability.partition(".")[0])
