"""The security log: sign-ins, refusals, and what was done to keys, settings, queues and jobs.

The table is append-only: triggers refuse changes, and deletions for MIN_KEPT_SECONDS. Only the
owner of the table can disable them. An event is written in the transaction of the change that it
reports.
"""

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

from sqlalchemy import Connection, text

from smart_filter_shared.ids import OPERATOR, Tenant
from smart_filter_shared.telemetry.logs import logger
from smart_filter_wire.words import AuditEvent

# Triggers of the table refuse to delete newer rows.
MIN_KEPT_SECONDS: Final = 30 * 24 * 3600


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """An event to be logged.

    tenant: whose log; the operator's for callers whose tenant is not known.
    event: text in a row that another version wrote, if this version does not know it.
    key_id: the key of the request; None for the command line and unknown callers.
    network: the client's network; None for the command line and for several networks.
    subject: the key, webhook, tenant, queue or worker that the event is about.
    count: number of refused requests, or of jobs, that it stands for.
    """

    tenant: Tenant
    event: AuditEvent | str
    key_id: uuid.UUID | None = None
    network: str | None = None
    subject: str | None = None
    count: int = 1


@dataclass(frozen=True, slots=True)
class Actor:
    """The caller whose action is logged; key_id, network: as in AuditEntry."""

    tenant: Tenant
    key_id: uuid.UUID | None = None
    network: str | None = None


COMMAND_LINE: Final = Actor(OPERATOR)


@dataclass(frozen=True, slots=True)
class AuditRow:
    """A logged event; number: increases with each row, the cursor for paging."""

    number: int
    at: dt.datetime
    entry: AuditEntry


_INSERT = text("""
    INSERT INTO audit_events (tenant, event, key_id, network, subject, count)
    VALUES (:tenant, :event, :key_id, :network, :subject, :count)
""")
_LIST = text("""
    SELECT * FROM audit_events
    WHERE tenant = :tenant AND id < coalesce(CAST(:before AS bigint), 9223372036854775807)
    ORDER BY id DESC LIMIT :limit
""")


def write(connection: Connection, entries: Sequence[AuditEntry]) -> None:
    """Append events to the log."""
    for entry in entries:
        connection.execute(_INSERT, {**asdict(entry), "event": str(entry.event)})


def record(
    connection: Connection,
    actor: Actor,
    event: AuditEvent,
    subject: object = None,
    *,
    tenant: Tenant | None = None,
    count: int = 1,
) -> None:
    """Log what an actor does, in the transaction that does it.

    subject, count: as in AuditEntry.
    tenant: whose log, besides the actor's own, when the operator acts for another tenant.
    """
    about = None if subject is None else str(subject)
    owners = dict.fromkeys((actor.tenant, tenant or actor.tenant))
    write(
        connection,
        [AuditEntry(owner, event, actor.key_id, actor.network, about, count) for owner in owners],
    )
    # The command line prints what it does.
    if actor.key_id is not None:
        logger("security").info(
            str(event),
            key_id=str(actor.key_id),
            tenant=actor.tenant,
            network=actor.network,
            subject=about,
            count=count,
        )


def list_events(
    connection: Connection, tenant: Tenant, *, before: int | None, limit: int
) -> list[AuditRow]:
    """Return a page of a tenant's log, newest first; before: the last number of the page before."""
    where = {"tenant": tenant, "before": before, "limit": limit}
    return [
        AuditRow(
            row.id,
            row.at,
            AuditEntry(
                Tenant(row.tenant),
                _parse_event(row.event),
                key_id=row.key_id,
                network=row.network,
                subject=row.subject,
                count=row._mapping["count"],  # noqa: SLF001 - public in spite of its name
            ),
        )
        for row in connection.execute(_LIST, where)
    ]


def delete_old(connection: Connection, *, seconds: float, most: int) -> int:
    """Delete events older than `seconds`, at most `most` of them; return their number."""
    deleted = connection.scalar(
        text("SELECT delete_old_audit_events(:seconds, :most)"),
        {"seconds": max(seconds, MIN_KEPT_SECONDS), "most": most},
    )
    assert isinstance(deleted, int)
    return deleted


def _parse_event(stored: str) -> AuditEvent | str:
    try:
        return AuditEvent(stored)
    except ValueError:
        return stored
