"""Which workers there are, and what the sweeper of their cell must do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from sqlalchemy import Connection, delete, func, text, update
from sqlalchemy.dialects.postgresql import insert

from smart_filter_shared.db import tables
from smart_filter_shared.ids import Capability, WorkerId

# Fewer sweeps missed than these are no outage.
_LATE_SWEEPS = 5
# The stack of servers that this process belongs to; one for now.
CELL = "default"
# What senders are there for; no capability, for nothing claims it.
SENDING = Capability("webhooks")
_NOW = func.statement_timestamp()
_STATE = """
    CASE WHEN seen_at < statement_timestamp() - make_interval(secs => :silent_seconds)
        THEN 'unhealthy' ELSE state END
"""


class WorkerState(StrEnum):
    """How a worker is.

    starting: it loads its models.  ready: it waits for work.  busy: it has some.
    draining: it finishes what it has begun, and ends.  unhealthy: it has not heard from the
    broker lately, or nobody has heard from it.  setup_failed: it can serve nothing.
    """

    STARTING = "starting"
    READY = "ready"
    BUSY = "busy"
    DRAINING = "draining"
    UNHEALTHY = "unhealthy"
    SETUP_FAILED = "setup_failed"


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker process, or a sender, which is wanted for SENDING and serves no capability.

    capabilities: what it takes work of now.  threads: how many stages it runs at once.
    failed: what it should serve and cannot, and why.  wanted: what it was started for.
    draining: whether it was told to claim no more.
    """

    id: WorkerId
    host: str
    pid: int
    capabilities: Sequence[Capability]
    threads: int
    failed: Mapping[Capability, str] = field(default_factory=dict)
    wanted: Sequence[Capability] = ()
    state: WorkerState = WorkerState.READY
    draining: bool = False


@dataclass(frozen=True, slots=True)
class Sign:
    """The last sign of a worker process of some machine.

    state: `unhealthy` when it was too long ago.  age_seconds: how long.
    """

    pid: int
    state: WorkerState
    age_seconds: float
    failed: Mapping[Capability, str]


@dataclass(frozen=True, slots=True)
class Demand:
    """How much a capability has to do for the threads that serve it.

    threads: of live workers.  ready: rows that could be claimed now, counted up to threads.
    """

    capability: Capability
    threads: int
    ready: int


@dataclass(frozen=True, slots=True)
class Sweep:
    """The right to sweep a cell once.

    may_expire: whether leases that were not renewed in time may be taken away.
    """

    may_expire: bool


def announce(connection: Connection, worker: Worker) -> bool:
    """Say that a worker is alive; return whether it is to claim no more.

    That stands in its row, where an operator writes it. A row that was dropped while the database
    did not hear from the worker is written again as the worker knows it.
    """
    row = insert(tables.workers).values(
        id=worker.id,
        host=worker.host,
        pid=worker.pid,
        capabilities=list(worker.capabilities),
        failed=dict(worker.failed),
        wanted=list(worker.wanted),
        state=worker.state,
        threads=worker.threads,
        started_at=_NOW,
        seen_at=_NOW,
        drained_from=_NOW if worker.draining else None,
    )
    told = connection.execute(
        row.on_conflict_do_update(
            index_elements=["id"],
            set_={
                name: row.excluded[name]
                for name in ("seen_at", "capabilities", "failed", "wanted", "state")
            },
        ).returning(tables.workers.c.drained_from)
    )
    return told.scalar_one() is not None


def drain(connection: Connection, worker: WorkerId) -> bool:
    """Tell a worker to finish what it has and claim no more; return whether there is such a one.

    It learns of it at its next heartbeat.
    """
    return _tell(connection, worker, func.coalesce(tables.workers.c.drained_from, _NOW))


def resume(connection: Connection, worker: WorkerId) -> bool:
    """Let a worker claim again; return whether there is such a one."""
    return _tell(connection, worker, None)


def leave(connection: Connection, worker: WorkerId) -> None:
    """Say that a worker has ended."""
    connection.execute(delete(tables.workers).where(tables.workers.c.id == worker))


def served(connection: Connection, *, silent_seconds: float) -> set[Capability]:
    """Return what live workers serve."""
    rows = connection.execute(
        text("""
            SELECT DISTINCT unnest(capabilities) AS capability FROM workers
            WHERE seen_at >= statement_timestamp() - make_interval(secs => :silent_seconds)
        """),
        {"silent_seconds": silent_seconds},
    )
    return {Capability(row.capability) for row in rows}


def failed(connection: Connection, *, silent_seconds: float) -> dict[Capability, str]:
    """Return what live workers should serve and cannot, and why one of them cannot."""
    rows = connection.execute(
        text("""
            SELECT DISTINCT ON (key) key, value
            FROM workers, jsonb_each_text(failed)
            WHERE seen_at >= statement_timestamp() - make_interval(secs => :silent_seconds)
            ORDER BY key, seen_at DESC
        """),
        {"silent_seconds": silent_seconds},
    )
    return {Capability(row.key): row.value for row in rows}


def census(
    connection: Connection, *, silent_seconds: float
) -> dict[tuple[Capability, WorkerState], int]:
    """Return how many workers of each capability are in which state.

    One that cannot serve some of what it should is `setup_failed` there, whatever else it does.
    """
    rows = connection.execute(
        text(f"""
            SELECT capability, CASE WHEN jsonb_exists(failed, capability) THEN 'setup_failed'
                ELSE {_STATE} END AS state, count(*) AS workers
            FROM workers, LATERAL (
                SELECT DISTINCT unnest(wanted || capabilities) AS capability
            ) AS served
            GROUP BY 1, 2
        """),  # noqa: S608 - one of our own constants
        {"silent_seconds": silent_seconds},
    )
    return {(Capability(row.capability), WorkerState(row.state)): row.workers for row in rows}


def signs(connection: Connection, host: str, *, silent_seconds: float) -> list[Sign]:
    """Return the last sign of every worker process of a machine.

    Of those that had the same process id, as in a container that was started again, the last.
    """
    rows = connection.execute(
        text(f"""
            SELECT DISTINCT ON (pid) pid, {_STATE} AS state, failed,
                extract(epoch FROM statement_timestamp() - seen_at) AS age_seconds
            FROM workers WHERE host = :host ORDER BY pid, started_at DESC
        """),  # noqa: S608 - one of our own constants
        {"host": host, "silent_seconds": silent_seconds},
    )
    return [
        Sign(row.pid, WorkerState(row.state), float(row.age_seconds), row.failed) for row in rows
    ]


def forget_silent(connection: Connection, *, silent_seconds: float) -> None:
    """Drop workers that were not heard from for so long."""
    connection.execute(
        text("""
            DELETE FROM workers
            WHERE seen_at < statement_timestamp() - make_interval(secs => :silent_seconds)
        """),
        {"silent_seconds": silent_seconds},
    )


def win_sweep(
    connection: Connection, *, cell: str, every_seconds: float, heartbeat_seconds: float
) -> Sweep | None:
    """Win the right to sweep a cell; at most one worker does in every so many seconds.

    After nobody has swept for a heartbeat, and for several sweeps' time, the database or all
    workers were away: then those that live get two heartbeats' time to renew their leases
    before any expires.
    """
    won = connection.execute(
        text("""
            UPDATE cells SET
                swept_at = statement_timestamp(),
                expires_from = CASE
                    WHEN swept_at < statement_timestamp() - make_interval(secs => :unswept)
                    THEN statement_timestamp() + make_interval(secs => 2 * :heartbeat)
                    ELSE expires_from
                END
            WHERE name = (
                SELECT name FROM cells
                WHERE name = :cell
                    AND swept_at <= statement_timestamp() - make_interval(secs => :every_seconds)
                FOR UPDATE SKIP LOCKED
            )
            RETURNING expires_from <= statement_timestamp() AS may_expire
        """),
        {
            "cell": cell,
            "every_seconds": every_seconds,
            "heartbeat": heartbeat_seconds,
            # Sweeps come late by a little; taken for an outage, that would stop all expiry.
            "unswept": max(heartbeat_seconds, _LATE_SWEEPS * every_seconds),
        },
    ).one_or_none()
    return None if won is None else Sweep(may_expire=won.may_expire)


def win_clearing(connection: Connection, *, cell: str, every_seconds: float) -> bool:
    """Win the right to look for objects that no row names; it lists storage, so seldom."""
    won = connection.execute(
        text("""
            UPDATE cells SET cleared_at = statement_timestamp()
            WHERE name = :cell
                AND cleared_at <= statement_timestamp() - make_interval(secs => :every_seconds)
            RETURNING name
        """),
        {"cell": cell, "every_seconds": every_seconds},
    )
    return won.one_or_none() is not None


def demands(connection: Connection, *, silent_seconds: float) -> list[Demand]:
    """Return the capabilities that live workers serve and that have ready rows, less the paused.

    Counting stops at the number of threads: more rings than that would wake nobody.
    """
    rows = connection.execute(
        text("""
            SELECT served.capability, served.threads, head.ready
            FROM (
                SELECT capability, sum(threads) AS threads
                FROM workers, unnest(capabilities) AS capability
                WHERE seen_at >= statement_timestamp() - make_interval(secs => :silent_seconds)
                GROUP BY capability
            ) AS served, LATERAL (
                SELECT count(*) AS ready FROM (
                    SELECT FROM open_stages AS stages
                    WHERE stages.capability = served.capability AND state = 'ready'
                        AND coalesce(deadline_at > statement_timestamp(), true)
                    LIMIT served.threads
                ) AS first
            ) AS head
            WHERE head.ready > 0 AND NOT EXISTS (
                SELECT FROM pauses WHERE pauses.capability = served.capability
            )
        """),
        {"silent_seconds": silent_seconds},
    )
    return [Demand(Capability(row.capability), row.threads, row.ready) for row in rows]


def _tell(connection: Connection, worker: WorkerId, drained_from: object) -> bool:
    told = update(tables.workers).where(tables.workers.c.id == worker)
    return connection.execute(told.values(drained_from=drained_from)).rowcount > 0
