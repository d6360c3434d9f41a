"""`smart-filter workers`: shows, drains and resumes worker processes."""

from dataclasses import asdict

import click
from sqlalchemy import Connection

from smart_filter_deploy.cli.commands.options import json_option
from smart_filter_deploy.cli.server import database
from smart_filter_deploy.cli.terminal.console import print_columns
from smart_filter_deploy.cli.terminal.exit_codes import (
    WRONG_USAGE,
    CommandError,
)
from smart_filter_deploy.cli.terminal.text import examples, format_utc, print_json, print_line
from smart_filter_shared.config import settings
from smart_filter_shared.operations import operator_actions, overview
from smart_filter_shared.operations.overview import WorkerInfo
from smart_filter_shared.tenants.audit_log import COMMAND_LINE

_worker_argument = click.argument("begins", metavar="ID")


@click.group(
    epilog=examples(
        "smart-filter workers list",
        "smart-filter workers drain ID",
    )
)
def workers() -> None:
    """Show, drain and resume worker processes.

    Uses the database in SMART_FILTER_DATABASE_URL, else that of the local stack that
    `smart-filter up` runs on the data folder.
    A unique prefix of an ID is enough.
    """


@workers.command(
    "list",
    short_help="List worker processes.",
    epilog=examples(
        "smart-filter workers list",
        "smart-filter workers list --json | jq -r '.items[].state'",
    ),
)
@json_option
def list_(*, as_json: bool) -> None:
    """List worker processes with their state, capabilities and running stages."""
    with database.transaction() as connection:
        listed = _list_workers(connection)
    if as_json:
        print_json({"items": [_document(member) for member in listed]})
    elif not listed:
        click.echo("no workers")
    else:
        columns = ("id", "host", "pid", "state", "running", "serves")
        print_columns(columns, map(_table_row, listed), wrapped=("serves",))


@workers.command(epilog=examples("smart-filter workers show ID"))
@_worker_argument
@json_option
def show(begins: str, *, as_json: bool) -> None:
    """Show the stages that a worker is running."""
    with database.transaction() as connection:
        member = _require_worker(connection, begins)
        at_hand = overview.list_held_leases(connection, member.id)
    stages = [
        {
            "job_id": str(lease.job_id),
            "stage": str(lease.stage),
            "attempt": lease.attempt,
            "leased_until": format_utc(lease.leased_until),
        }
        for lease in at_hand
    ]
    if as_json:
        print_json({**_document(member), "stages": stages})
        return
    print_line(
        f"{member.id} on {member.host} (process {member.pid}): {member.state},"
        f" started {format_utc(member.started_at)},"
        f" last heartbeat {format_utc(member.seen_at)}"
    )
    print_line(f"serves {', '.join(_format_served(member)) or 'nothing'}")
    for name, why in member.failed.items():
        print_line(f"cannot serve {name}: {why}")
    for stage in stages:
        print_line("  ".join(map(str, stage.values())))
    if not stages:
        print_line("runs nothing")


@workers.command(
    short_help="Let a worker finish its stages and claim no more.",
    epilog=examples("smart-filter workers drain ID"),
)
@_worker_argument
@json_option
def drain(begins: str, *, as_json: bool) -> None:
    """Let a worker finish its stages and claim no more, until it is resumed or stopped.

    Takes effect within a heartbeat. The process keeps running, so that no supervisor restarts it;
    the drain is complete when `workers list` shows it draining with nothing running.
    """
    words = "finishes its stages and claims no more"
    _set_draining(begins, words, draining=True, as_json=as_json)


@workers.command(epilog=examples("smart-filter workers resume ID"))
@_worker_argument
@json_option
def resume(begins: str, *, as_json: bool) -> None:
    """Let a worker claim again."""
    _set_draining(begins, "claims again", draining=False, as_json=as_json)


def _set_draining(begins: str, words: str, *, draining: bool, as_json: bool) -> None:
    with database.transaction() as connection:
        worker = _require_worker(connection, begins).id
        operator_actions.set_draining(connection, COMMAND_LINE, worker, draining=draining)
    if as_json:
        print_json({"id": str(worker), "draining": draining})
    else:
        print_line(f"{worker} {words}")


def _list_workers(connection: Connection) -> list[WorkerInfo]:
    return overview.list_workers(connection, silent_seconds=settings.load_engine().lease_seconds)


def _require_worker(connection: Connection, begins: str) -> WorkerInfo:
    """Return the worker of an id, or of a unique prefix of one."""
    start = begins.replace("-", "").lower()
    # An empty prefix, as from an unset shell variable, would match every worker.
    matching = [
        worker for worker in _list_workers(connection) if start and worker.id.hex.startswith(start)
    ]
    if len(matching) == 1:
        return matching[0]
    if matching:
        message = f"{len(matching)} worker ids begin with {begins}: give more characters"
    else:
        remedy = "see `smart-filter workers list`"
        message = f"there is no worker {begins[:100]!r}: {remedy}"
    raise CommandError(message, WRONG_USAGE)


def _format_served(member: WorkerInfo) -> list[str]:
    """Return the capabilities that a worker should serve, and the failed ones as `not NAME`."""
    return [*member.intended_capabilities, *(f"not {name}" for name in member.failed)]


def _table_row(member: WorkerInfo) -> tuple[str, ...]:
    running = f"{member.running}/{member.threads}" if member.threads else ""
    served = ", ".join(_format_served(member))
    return (str(member.id), member.host, str(member.pid), member.state, running, served)


def _document(member: WorkerInfo) -> dict[str, object]:
    document = asdict(member)
    del document["drained_from"]
    return document
