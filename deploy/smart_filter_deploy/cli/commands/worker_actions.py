"""Shows, drains and resumes workers, and prints the results."""

import json

import click
from rich.table import Table
from rich.text import Text
from sqlalchemy import Connection

from smart_filter_deploy.cli.server import database
from smart_filter_deploy.cli.terminal import times
from smart_filter_deploy.cli.terminal.console import EscapingConsole
from smart_filter_deploy.cli.terminal.exit_codes import WRONG_USAGE, CommandError
from smart_filter_deploy.cli.terminal.report import print_table
from smart_filter_deploy.cli.terminal.text import print_line
from smart_filter_shared.config import settings
from smart_filter_shared.ids import WorkerId
from smart_filter_shared.operations import overview
from smart_filter_shared.operations.overview import WorkerInfo
from smart_filter_shared.queue import worker_registry


def print_workers(*, as_json: bool) -> None:
    """Print all workers."""
    with database.transaction() as connection:
        listed = _list_workers(connection)
    if as_json:
        click.echo(json.dumps({"items": [_document(member) for member in listed]}))
        return
    if not listed:
        click.echo("no workers")
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("id", "host", "pid", "state", "running", "serves"):
        table.add_column(column, no_wrap=column != "serves")
    for member in listed:
        table.add_row(
            str(member.id),
            Text(member.host),
            str(member.pid),
            member.state,
            f"{member.running}/{member.threads}" if member.threads else "",
            Text(", ".join(_format_served(member))),
        )
    print_table(EscapingConsole(highlight=False), table)


def print_worker(begins: str, *, as_json: bool) -> None:
    """Print a worker and its running stages.

    begins: a prefix of its id, or the whole id; here and below.
    """
    with database.transaction() as connection:
        member = _require_worker(connection, begins)
        at_hand = overview.list_held_leases(connection, member.id)
    stages = [
        {
            "job_id": str(one.job_id),
            "stage": str(one.stage),
            "attempt": one.attempt,
            "leased_until": times.format_utc(one.leased_until),
        }
        for one in at_hand
    ]
    if as_json:
        click.echo(json.dumps({**_document(member), "stages": stages}))
        return
    print_line(
        f"{member.id} on {member.host} (process {member.pid}): {member.state},"
        f" started {times.format_utc(member.started_at)},"
        f" last heartbeat {times.format_utc(member.seen_at)}"
    )
    print_line(f"serves {', '.join(_format_served(member)) or 'nothing'}")
    for name, why in member.failed.items():
        print_line(f"cannot serve {name}: {why}")
    for stage in stages:
        print_line("  ".join(map(str, stage.values())))
    if not stages:
        print_line("runs nothing")


def drain(begins: str, *, as_json: bool) -> None:
    """Stop a worker from claiming stages."""
    with database.transaction() as connection:
        worker = _require_worker(connection, begins).id
        worker_registry.drain(connection, worker)
    _print_change(worker, "finishes its stages and claims no more", drains=True, as_json=as_json)


def resume(begins: str, *, as_json: bool) -> None:
    """Let a worker claim again."""
    with database.transaction() as connection:
        worker = _require_worker(connection, begins).id
        worker_registry.resume(connection, worker)
    _print_change(worker, "claims again", drains=False, as_json=as_json)


def _print_change(worker: WorkerId, words: str, *, drains: bool, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"id": str(worker), "draining": drains}))
    else:
        print_line(f"{worker} {words}")


def _list_workers(connection: Connection) -> list[WorkerInfo]:
    return overview.list_workers(connection, silent_seconds=settings.load_engine().lease_seconds)


def _require_worker(connection: Connection, begins: str) -> WorkerInfo:
    start = begins.replace("-", "").lower()
    # An empty prefix, as from an unset shell variable, would match every worker.
    found = [one for one in _list_workers(connection) if start and one.id.hex.startswith(start)]
    if len(found) == 1:
        return found[0]
    if found:
        message = f"{len(found)} worker ids begin with {begins}: give more characters"
    else:
        remedy = "see `smart-filter workers list`"
        message = f"there is no worker {begins[:100]!r}: {remedy}"
    raise CommandError(message, WRONG_USAGE)


def _format_served(member: WorkerInfo) -> list[str]:
    """Return the capabilities that a worker should serve, and the failed ones as `not NAME`."""
    return [*member.intended_capabilities, *(f"not {name}" for name in member.failed)]


def _document(member: WorkerInfo) -> dict[str, object]:
    return {
        "id": str(member.id),
        "host": member.host,
        "pid": member.pid,
        "state": str(member.state),
        "running": member.running,
        "threads": member.threads,
        "capabilities": list(member.capabilities),
        "wanted": list(member.wanted),
        "failed": dict(member.failed),
        "started_at": times.format_utc(member.started_at),
        "seen_at": times.format_utc(member.seen_at),
    }
