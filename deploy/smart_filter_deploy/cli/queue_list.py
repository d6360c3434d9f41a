"""What `smart-filter queues` does, and what it tells of it."""

import difflib
import json

import click
from rich.table import Table
from sqlalchemy import Connection

from smart_filter_deploy.cli import database, moments
from smart_filter_deploy.cli.console import Console
from smart_filter_deploy.cli.endings import WRONG_USAGE, Ending
from smart_filter_deploy.cli.report import print_table
from smart_filter_deploy.cli.terminal import tell
from smart_filter_shared import settings
from smart_filter_shared.ids import Capability
from smart_filter_shared.jobs import pauses, presence
from smart_filter_shared.jobs import queues as queue_table
from smart_filter_shared.jobs.queues import Queue


def show(*, as_json: bool) -> None:
    """Show all queues."""
    with database.transaction() as connection:
        listed = _listed(connection)
    if as_json:
        click.echo(json.dumps({"items": [_document(queue) for queue in listed]}))
        return
    if not listed:
        click.echo("no queues: no worker has published a model yet")
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("capability", no_wrap=True)
    for column in ("waiting", "ready", "running", "oldest", "workers", "threads"):
        table.add_column(column, no_wrap=True, justify="right")
    table.add_column("paused", no_wrap=True)
    for queue in listed:
        length = queue.length
        table.add_row(
            queue.capability,
            *map(str, (length.waiting, length.ready, length.running)),
            f"{length.oldest_wait_seconds:.1f} s" if length.ready else "",
            *map(str, (queue.workers, queue.threads)),
            "" if queue.paused_at is None else f"since {moments.told(queue.paused_at)}",
        )
    print_table(Console(highlight=False), table)


def show_head(name: str, *, limit: int, as_json: bool) -> None:
    """Show what is claimed next."""
    with database.transaction() as connection:
        capability = _known(connection, name)
        head = queue_table.head(connection, capability, most=limit)
    items = [
        {
            "job_id": str(one.job_id),
            "tenant": one.tenant,
            "attempts_spent": one.attempt,
            "ready_at": moments.told(one.ready_at),
        }
        for one in head
    ]
    if as_json:
        click.echo(json.dumps({"items": items}))
        return
    if not items:
        tell(f"nothing is ready in {capability}")
        return
    columns = ("job", "tenant", "attempts", "ready")
    table = Table(*columns, box=None, pad_edge=False, header_style="dim")
    for item in items:
        table.add_row(*map(str, item.values()))
    print_table(Console(highlight=False), table)


def pause(name: str, *, as_json: bool) -> None:
    """Let nobody claim from a queue."""
    with database.transaction() as connection:
        capability = _known(connection, name)
        changed = pauses.pause(connection, capability)
    _tell(capability, "paused" if changed else "was paused already", paused=True, as_json=as_json)


def resume(name: str, *, as_json: bool) -> None:
    """Let workers claim from it again."""
    with database.transaction() as connection:
        capability = _known(connection, name)
        changed = pauses.resume(connection, capability)
    _tell(capability, "resumed" if changed else "was not paused", paused=False, as_json=as_json)


def _tell(capability: Capability, words: str, *, paused: bool, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"capability": capability, "paused": paused}))
    else:
        tell(f"{capability} {words}")


def _listed(connection: Connection) -> list[Queue]:
    return queue_table.listed(connection, silent_seconds=settings.engine().lease_seconds)


def _known(connection: Connection, name: str) -> Capability:
    if name == presence.SENDING:
        raise Ending(
            "webhooks are no queue: `smart-filter workers drain ID` drains a sender", WRONG_USAGE
        )
    known = [queue.capability for queue in _listed(connection)]
    if name not in known:
        near = difflib.get_close_matches(name[:100], known, n=1)
        remedy = (
            f"did you mean {near[0]}?" if near else f"there are {', '.join(known) or 'none yet'}"
        )
        raise Ending(f"there is no queue {name[:100]!r}: {remedy}", WRONG_USAGE)
    return Capability(name)


def _document(queue: Queue) -> dict[str, object]:
    return {
        "capability": queue.capability,
        "waiting": queue.length.waiting,
        "ready": queue.length.ready,
        "running": queue.length.running,
        "oldest_wait_seconds": queue.length.oldest_wait_seconds,
        "workers": queue.workers,
        "threads": queue.threads,
        "paused_at": None if queue.paused_at is None else moments.told(queue.paused_at),
    }
