"""Shows, pauses and resumes queues, and prints the results."""

import difflib
import json

import click
from rich.table import Table
from sqlalchemy import Connection

from smart_filter_deploy.cli.server import database
from smart_filter_deploy.cli.terminal import times
from smart_filter_deploy.cli.terminal.console import EscapingConsole
from smart_filter_deploy.cli.terminal.exit_codes import WRONG_USAGE, CommandError
from smart_filter_deploy.cli.terminal.report import print_table
from smart_filter_deploy.cli.terminal.text import print_line
from smart_filter_shared.config import settings
from smart_filter_shared.ids import Capability
from smart_filter_shared.operations import overview
from smart_filter_shared.operations.overview import QueueStats
from smart_filter_shared.queue import pauses, worker_registry


def print_queues(*, as_json: bool) -> None:
    """Print all queues."""
    with database.transaction() as connection:
        listed = _list_queues(connection)
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
            "" if queue.paused_at is None else f"since {times.format_utc(queue.paused_at)}",
        )
    print_table(EscapingConsole(highlight=False), table)


def print_head(name: str, *, limit: int, as_json: bool) -> None:
    """Print the stages that are claimed next."""
    with database.transaction() as connection:
        capability = _require_queue(connection, name)
        head = overview.peek(connection, capability, most=limit)
    items = [
        {
            "job_id": str(one.job_id),
            "tenant": one.tenant,
            "attempts_spent": one.attempt,
            "ready_at": times.format_utc(one.ready_at),
        }
        for one in head
    ]
    if as_json:
        click.echo(json.dumps({"items": items}))
        return
    if not items:
        print_line(f"nothing is ready in {capability}")
        return
    columns = ("job", "tenant", "attempts", "ready")
    table = Table(*columns, box=None, pad_edge=False, header_style="dim")
    for item in items:
        table.add_row(*map(str, item.values()))
    print_table(EscapingConsole(highlight=False), table)


def pause(name: str, *, as_json: bool) -> None:
    """Stop workers from claiming from a queue."""
    with database.transaction() as connection:
        capability = _require_queue(connection, name)
        changed = pauses.pause(connection, capability)
    _print_change(
        capability, "paused" if changed else "was already paused", paused=True, as_json=as_json
    )


def resume(name: str, *, as_json: bool) -> None:
    """Let workers claim from a queue again."""
    with database.transaction() as connection:
        capability = _require_queue(connection, name)
        changed = pauses.resume(connection, capability)
    _print_change(
        capability, "resumed" if changed else "was not paused", paused=False, as_json=as_json
    )


def _print_change(capability: Capability, words: str, *, paused: bool, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"capability": capability, "paused": paused}))
    else:
        print_line(f"{capability} {words}")


def _list_queues(connection: Connection) -> list[QueueStats]:
    return overview.list_queues(connection, silent_seconds=settings.load_engine().lease_seconds)


def _require_queue(connection: Connection, name: str) -> Capability:
    if name == worker_registry.SENDER_ROLE:
        raise CommandError(
            "webhooks have no queue: `smart-filter workers drain ID` drains a sender", WRONG_USAGE
        )
    known = [queue.capability for queue in _list_queues(connection)]
    if name not in known:
        near = difflib.get_close_matches(name[:100], known, n=1)
        remedy = (
            f"did you mean {near[0]}?" if near else f"there are {', '.join(known) or 'none yet'}"
        )
        raise CommandError(f"there is no queue {name[:100]!r}: {remedy}", WRONG_USAGE)
    return Capability(name)


def _document(queue: QueueStats) -> dict[str, object]:
    return {
        "capability": queue.capability,
        "waiting": queue.length.waiting,
        "ready": queue.length.ready,
        "running": queue.length.running,
        "oldest_wait_seconds": queue.length.oldest_wait_seconds,
        "workers": queue.workers,
        "threads": queue.threads,
        "paused_at": None if queue.paused_at is None else times.format_utc(queue.paused_at),
    }
