"""What `smart-filter workers` does, and what it tells of it."""

import json

import click
from rich.table import Table
from rich.text import Text
from sqlalchemy import Connection

from smart_filter_deploy.cli import database, moments
from smart_filter_deploy.cli.console import Console
from smart_filter_deploy.cli.endings import WRONG_USAGE, Ending
from smart_filter_deploy.cli.report import print_table
from smart_filter_deploy.cli.terminal import tell
from smart_filter_shared import settings
from smart_filter_shared.ids import WorkerId
from smart_filter_shared.jobs import presence, roster
from smart_filter_shared.jobs.roster import Member


def show(*, as_json: bool) -> None:
    """Show all workers."""
    with database.transaction() as connection:
        listed = _listed(connection)
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
            Text(", ".join(_served(member))),
        )
    print_table(Console(highlight=False), table)


def show_one(begins: str, *, as_json: bool) -> None:
    """Show a worker, and what it has at hand.

    begins: how its id begins, or the whole of it; here and below.
    """
    with database.transaction() as connection:
        member = _known(connection, begins)
        at_hand = roster.at_hand(connection, member.id)
    stages = [
        {
            "job_id": str(one.job_id),
            "stage": str(one.stage),
            "attempt": one.attempt,
            "leased_until": moments.told(one.leased_until),
        }
        for one in at_hand
    ]
    if as_json:
        click.echo(json.dumps({**_document(member), "stages": stages}))
        return
    tell(
        f"{member.id} on {member.host} (process {member.pid}): {member.state},"
        f" started {moments.told(member.started_at)}, heard from {moments.told(member.seen_at)}"
    )
    tell(f"serves {', '.join(_served(member)) or 'nothing'}")
    for name, why in member.failed.items():
        tell(f"cannot serve {name}: {why}")
    for stage in stages:
        tell("  ".join(map(str, stage.values())))
    if not stages:
        tell("has nothing at hand")


def drain(begins: str, *, as_json: bool) -> None:
    """Tell a worker to claim no more."""
    with database.transaction() as connection:
        worker = _known(connection, begins).id
        presence.drain(connection, worker)
    _tell(worker, "finishes what it has and claims no more", drains=True, as_json=as_json)


def resume(begins: str, *, as_json: bool) -> None:
    """Let a worker claim again."""
    with database.transaction() as connection:
        worker = _known(connection, begins).id
        presence.resume(connection, worker)
    _tell(worker, "claims again", drains=False, as_json=as_json)


def _tell(worker: WorkerId, words: str, *, drains: bool, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"id": str(worker), "draining": drains}))
    else:
        tell(f"{worker} {words}")


def _listed(connection: Connection) -> list[Member]:
    return roster.listed(connection, silent_seconds=settings.engine().lease_seconds)


def _known(connection: Connection, begins: str) -> Member:
    start = begins.replace("-", "").lower()
    # Nothing is the beginning of everything, and what a variable holds that is not set.
    found = [one for one in _listed(connection) if start and one.id.hex.startswith(start)]
    if len(found) == 1:
        return found[0]
    if found:
        told = f"{len(found)} workers' ids begin with {begins}: give more of one"
    else:
        remedy = "`smart-filter workers list` shows those there are"
        told = f"there is no worker {begins[:100]!r}: {remedy}"
    raise Ending(told, WRONG_USAGE)


def _served(member: Member) -> list[str]:
    """Return what it is there for, whether it serves that now or, as its state says, does not."""
    return [*member.there_for, *(f"not {name}" for name in member.failed)]


def _document(member: Member) -> dict[str, object]:
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
        "started_at": moments.told(member.started_at),
        "seen_at": moments.told(member.seen_at),
    }
