"""The registry of worker processes: heartbeats, draining, and which one sweeps."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from sqlalchemy import Connection, text

from smart_filter_shared.db import driver_queries
from smart_filter_shared.ids import Capability, WorkerId
from smart_filter_shared.queue import heads

# Missed sweeps before the sweeper counts as having been down.
_LATE_SWEEPS = 5
# Pseudo-capability under which webhook senders register; it is never claimed.
SENDER_ROLE = Capability("webhooks")
_STATE = """
    CASE WHEN seen_at < statement_timestamp() - make_interval(secs => :silent_seconds)
        THEN 'unhealthy' ELSE state END
"""


# Stages of a queue that are checked for one that has waited: more urgent ones may have come since.
_FIRST_STAGES = 100
_LIST_UNATTENDED = text(f"""
    WITH RECURSIVE {heads.QUEUES.format(state="ready")}
    SELECT capability FROM ready_queues
    WHERE capability NOT IN (SELECT capability FROM pauses)
        AND capability NOT IN (
            SELECT unnest(capabilities) FROM workers WHERE state = 'busy'
                AND seen_at >= statement_timestamp() - make_interval(secs => :silent_seconds)
        )
        AND EXISTS (
            SELECT FROM (
                SELECT ready_at FROM stages
                WHERE stages.capability = ready_queues.capability AND state = 'ready'
                ORDER BY rank LIMIT :most
            ) AS first
            WHERE ready_at < statement_timestamp() - make_interval(secs => :waited_seconds)
        )
""")  # noqa: S608 - a constant of our own


# A worker that has been silent for as long as leases last by default is no peer.
_RECORD_HEARTBEAT = text("""
    INSERT INTO workers AS recorded (
        id, host, pid, capabilities, failed, wanted, state, threads, started_at, seen_at,
        drained_from, process
    ) VALUES (
        :id, :host, :pid, CAST(:capabilities AS text[]), CAST(CAST(:failed AS text) AS jsonb),
        CAST(:wanted AS text[]), :state, :threads, statement_timestamp(), statement_timestamp(),
        CASE WHEN :draining THEN statement_timestamp() END, :process
    )
    ON CONFLICT (id) DO UPDATE SET
        seen_at = excluded.seen_at, capabilities = excluded.capabilities,
        failed = excluded.failed, wanted = excluded.wanted, state = excluded.state
    RETURNING drained_from IS NOT NULL, EXISTS (
        SELECT FROM workers AS peer
        WHERE peer.id <> recorded.id AND peer.state = 'ready'
            AND peer.capabilities @> recorded.capabilities
            AND peer.seen_at >= statement_timestamp() - interval '30 seconds'
    )
""")


class WorkerState(StrEnum):
    """The state of a worker.

    starting: it loads its models.  ready: it waits for work.  busy: it runs stages.
    draining: it finishes its stages and claims no more.
    unhealthy: its threads take no stages that wait, or its heartbeats have stopped.
    setup_failed: it can serve nothing.
    """

    STARTING = "starting"
    READY = "ready"
    BUSY = "busy"
    DRAINING = "draining"
    UNHEALTHY = "unhealthy"
    SETUP_FAILED = "setup_failed"


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker process, or a sender: its `wanted` is SENDER_ROLE and it serves no capability.

    capabilities: the capabilities that it claims from now.
    threads: how many stages it runs at once.
    failed: the capabilities that it should serve and cannot, with the reason.
    wanted: the capabilities that it was started for.
    draining: whether it claims no more.
    process: what tells this process from all others, so that a process of the same machine can see
        whether it has ended.
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
    process: str | None = None


@dataclass(frozen=True, slots=True)
class LastHeartbeat:
    """The last heartbeat of a worker process on one host.

    state: `unhealthy` when the heartbeat is too old.  age_seconds: its age.
    """

    pid: int
    state: WorkerState
    age_seconds: float
    failed: Mapping[Capability, str]


@dataclass(frozen=True, slots=True)
class Standing:
    """What a worker learns by its heartbeat.

    must_drain: whether an operator has ordered it to claim no more.
    has_peer: whether another worker is idle that serves all of its capabilities.
    """

    must_drain: bool
    has_peer: bool


@dataclass(frozen=True, slots=True)
class SweepGrant:
    """The right to sweep once.

    may_expire: whether leases that were not renewed in time may be expired.
    """

    may_expire: bool


def record_heartbeat(connection: Connection, worker: Worker) -> Standing:
    """Record a worker's heartbeat; return what the other rows and its own say to it.

    An operator's order to drain stands in its row. A row that was deleted during a silence is
    written again with the worker's own state.
    """
    parameters = {
        "id": worker.id,
        "host": worker.host,
        "pid": worker.pid,
        "capabilities": list(worker.capabilities),
        "failed": json.dumps(dict(worker.failed)),
        "wanted": list(worker.wanted),
        "state": worker.state,
        "threads": worker.threads,
        "draining": worker.draining,
        "process": worker.process,
    }
    ((must_drain, has_peer),) = driver_queries.fetch_rows(connection, _RECORD_HEARTBEAT, parameters)
    return Standing(must_drain, has_peer)


def drain(connection: Connection, worker: WorkerId) -> bool:
    """Order a worker to finish its stages and claim no more; return whether the worker exists.

    The worker reads the order at its next heartbeat.
    """
    return _change(
        connection,
        "UPDATE workers SET drained_from = coalesce(drained_from, statement_timestamp())",
        worker,
    )


def resume(connection: Connection, worker: WorkerId) -> bool:
    """Let a drained worker claim again; return whether the worker exists."""
    return _change(connection, "UPDATE workers SET drained_from = NULL", worker)


def list_processes(connection: Connection) -> dict[WorkerId, str]:
    """Return the processes of all workers that tell theirs."""
    rows = connection.execute(text("SELECT id, process FROM workers WHERE process IS NOT NULL"))
    return {WorkerId(row.id): row.process for row in rows}


def deregister(connection: Connection, worker: WorkerId) -> None:
    """Delete the row of a worker that has ended."""
    _change(connection, "DELETE FROM workers", worker)


def list_served(connection: Connection, *, silent_seconds: float) -> set[Capability]:
    """Return the capabilities that live workers serve."""
    rows = connection.execute(
        text("""
            SELECT DISTINCT unnest(capabilities) AS capability FROM workers
            WHERE seen_at >= statement_timestamp() - make_interval(secs => :silent_seconds)
        """),
        {"silent_seconds": silent_seconds},
    )
    return {Capability(row.capability) for row in rows}


def list_unattended(
    connection: Connection, *, waited_seconds: float, silent_seconds: float
) -> list[Capability]:
    """Return the capabilities with stages that wait although no live worker runs stages of them.

    waited_seconds: for how long one of the first stages of its queue must have been ready.  Paused
        capabilities are left out.
    """
    rows = connection.execute(
        _LIST_UNATTENDED,
        {
            "waited_seconds": waited_seconds,
            "silent_seconds": silent_seconds,
            "most": _FIRST_STAGES,
        },
    )
    return [Capability(row.capability) for row in rows]


def list_failed(connection: Connection, *, silent_seconds: float) -> dict[Capability, str]:
    """Return the capabilities that live workers fail to set up, each with one worker's reason."""
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


def count_by_state(
    connection: Connection, *, silent_seconds: float
) -> dict[tuple[Capability, WorkerState], int]:
    """Return the number of workers by capability and state.

    A worker counts as `setup_failed` for each capability that it cannot serve, whatever its state.
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


def last_seen(connection: Connection, host: str, *, silent_seconds: float) -> list[LastHeartbeat]:
    """Return the last heartbeat of every worker process of a host.

    Processes with the same process id, as after a container restart, count once: the newest.
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
        LastHeartbeat(row.pid, WorkerState(row.state), float(row.age_seconds), row.failed)
        for row in rows
    ]


def delete_silent(connection: Connection, *, silent_seconds: float) -> None:
    """Delete the rows of workers that have sent no heartbeat for silent_seconds."""
    connection.execute(
        text("""
            DELETE FROM workers
            WHERE seen_at < statement_timestamp() - make_interval(secs => :silent_seconds)
        """),
        {"silent_seconds": silent_seconds},
    )


def acquire_sweep(
    connection: Connection, *, every_seconds: float, heartbeat_seconds: float
) -> SweepGrant | None:
    """Acquire the right to sweep, at most once in every_seconds; None when not acquired.

    When no sweep ran for a heartbeat and for several sweep intervals, the database or all workers
    were down. Live workers then get two heartbeats to renew their leases before any expires.
    """
    won = connection.execute(
        text("""
            UPDATE sweeper SET
                swept_at = statement_timestamp(),
                expires_from = CASE
                    WHEN swept_at < statement_timestamp() - make_interval(secs => :unswept)
                    THEN statement_timestamp() + make_interval(secs => 2 * :heartbeat)
                    ELSE expires_from
                END
            WHERE EXISTS (
                SELECT FROM sweeper
                WHERE swept_at <= statement_timestamp() - make_interval(secs => :every_seconds)
                FOR UPDATE SKIP LOCKED
            )
            RETURNING expires_from <= statement_timestamp() AS may_expire
        """),
        {
            "every_seconds": every_seconds,
            "heartbeat": heartbeat_seconds,
            # A sweep that is a little late must not count as an outage: that would stop expiry.
            "unswept": max(heartbeat_seconds, _LATE_SWEEPS * every_seconds),
        },
    ).one_or_none()
    return None if won is None else SweepGrant(may_expire=won.may_expire)


def acquire_orphan_scan(connection: Connection, *, every_seconds: float) -> bool:
    """Acquire the right to scan for orphaned objects; return whether it was acquired.

    The scan lists the object store, so it runs rarely: at most once in every_seconds.
    """
    won = connection.execute(
        text("""
            UPDATE sweeper SET cleared_at = statement_timestamp()
            WHERE cleared_at <= statement_timestamp() - make_interval(secs => :every_seconds)
            RETURNING cleared_at
        """),
        {"every_seconds": every_seconds},
    )
    return won.one_or_none() is not None


def _change(connection: Connection, change: str, worker: WorkerId) -> bool:
    """Change the row of a worker; return whether it exists."""
    return connection.execute(text(f"{change} WHERE id = :id"), {"id": worker}).rowcount > 0
