"""`smart-filter queues`: shows, pauses and resumes the queue of each capability."""

from dataclasses import asdict

import click

from smart_filter_deploy.cli.commands.options import json_option
from smart_filter_deploy.cli.server import database
from smart_filter_deploy.cli.terminal.console import print_columns
from smart_filter_deploy.cli.terminal.text import examples, format_utc, print_json, print_line
from smart_filter_shared.config import settings
from smart_filter_shared.operations import operator_actions, overview
from smart_filter_shared.operations.overview import QueueStats
from smart_filter_shared.tenants.audit_log import COMMAND_LINE

_capability_argument = click.argument("name", metavar="CAPABILITY")


@click.group(
    epilog=examples(
        "smart-filter queues list",
        "smart-filter queues pause segmentation.people",
    )
)
def queues() -> None:
    """Show, pause and resume queues; each capability has one.

    Uses the database in SMART_FILTER_DATABASE_URL, else that of the local stack that
    `smart-filter up` runs on the data folder.
    """


@queues.command(
    "list",
    short_help="List queues.",
    epilog=examples(
        "smart-filter queues list",
        "smart-filter queues list --json | jq '.items[] | select(.paused_at)'",
    ),
)
@json_option
def list_(*, as_json: bool) -> None:
    """List queues with their waiting, ready and running stages, workers and pauses."""
    with database.transaction() as connection:
        listed = overview.list_queues(connection, silent_seconds=_silent_seconds())
    if as_json:
        print_json({"items": [_document(queue) for queue in listed]})
    elif not listed:
        click.echo("no queues: no worker has published a model yet")
    else:
        numbers = ("waiting", "ready", "running", "oldest", "workers", "threads")
        columns = ("capability", *numbers, "paused")
        print_columns(columns, map(_table_row, listed), right=numbers)


@queues.command(epilog=examples("smart-filter queues show face.centerface --limit 50"))
@_capability_argument
@click.option(
    "--limit",
    type=click.IntRange(1, 1000),
    default=20,
    show_default=True,
    help="Maximum number of stages.",
)
@json_option
def show(name: str, *, limit: int, as_json: bool) -> None:
    """Show the next stages of a queue in claim order."""
    with database.transaction() as connection:
        queue = operator_actions.find_queue(connection, name, silent_seconds=_silent_seconds())
        head = overview.peek(connection, queue.capability, most=limit)
    items = [
        {
            "job_id": str(stage.job_id),
            "tenant": stage.tenant,
            "attempts_spent": stage.attempt,
            "ready_at": format_utc(stage.ready_at),
        }
        for stage in head
    ]
    if as_json:
        print_json({"items": items})
    elif not items:
        print_line(f"nothing is ready in {name}")
    else:
        columns = ("job", "tenant", "attempts", "ready")
        print_columns(columns, [[*map(str, item.values())] for item in items], wrapped=columns)


@queues.command(
    short_help="Stop workers from claiming from a queue.",
    epilog=examples("smart-filter queues pause segmentation.people"),
)
@_capability_argument
@json_option
def pause(name: str, *, as_json: bool) -> None:
    """Stop workers from claiming from a queue until it is resumed.

    Running stages finish. New jobs are accepted and wait. Deadlines still apply.
    """
    _set_paused(name, ("paused", "was already paused"), paused=True, as_json=as_json)


@queues.command(epilog=examples("smart-filter queues resume segmentation.people"))
@_capability_argument
@json_option
def resume(name: str, *, as_json: bool) -> None:
    """Let workers claim from a queue again."""
    _set_paused(name, ("resumed", "was not paused"), paused=False, as_json=as_json)


def _set_paused(name: str, words: tuple[str, str], *, paused: bool, as_json: bool) -> None:
    """Pause or resume a queue.  words: of a change, and where there is nothing to change."""
    with database.transaction() as connection:
        changed = operator_actions.set_paused(
            connection, COMMAND_LINE, name, paused=paused, silent_seconds=_silent_seconds()
        )
    if as_json:
        print_json({"capability": name, "paused": paused})
    else:
        print_line(f"{name} {words[not changed]}")


def _silent_seconds() -> float:
    return settings.load_engine().lease_seconds


def _table_row(queue: QueueStats) -> tuple[str, ...]:
    length = queue.length
    return (
        queue.capability,
        *map(str, (length.waiting, length.ready, length.running)),
        f"{length.oldest_wait_seconds:.1f} s" if length.ready else "",
        *map(str, (queue.workers, queue.threads)),
        "" if queue.paused_at is None else f"since {format_utc(queue.paused_at)}",
    )


def _document(queue: QueueStats) -> dict[str, object]:
    return {
        "capability": queue.capability,
        **asdict(queue.length),
        "workers": queue.workers,
        "threads": queue.threads,
        "paused_at": queue.paused_at,
    }
