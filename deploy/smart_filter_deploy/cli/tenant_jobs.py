"""What `smart-filter jobs` does to all jobs of a tenant, and what it tells of it."""

import json
import sys
from collections.abc import Mapping
from typing import Final

import click
from sqlalchemy import Engine

from smart_filter_deploy.cli import database, issued_keys
from smart_filter_deploy.cli.endings import WRONG_USAGE, Ending
from smart_filter_deploy.cli.terminal import tell
from smart_filter_shared.db import sessions
from smart_filter_shared.ids import Tenant
from smart_filter_shared.jobs import tenants, wholesale
from smart_filter_shared.jobs.wholesale import Move, Moved

# Counted one by one; who has more wants to know no better.
_MOST_COUNTED: Final = 10_000
_ASKED: Final[Mapping[Move, str]] = {
    Move.CANCEL: "cancel all that have not ended, {}?",
    Move.REDRIVE: "let all that have failed go on, {}?",
}


def cancel(name: str, *, asks: bool, as_json: bool) -> None:
    """Withdraw all jobs of a tenant that have not ended.

    asks: on a terminal, before anything is moved; here and below.
    """
    owner, done = _moved(name, Move.CANCEL, asks=asks)
    if as_json:
        click.echo(json.dumps({"tenant": owner, "canceled": done.moved, "left": done.left}))
    else:
        tell(f"{owner}: {done.moved} canceled, {done.left} had ended by then")


def redrive(name: str, *, asks: bool, as_json: bool) -> None:
    """Let all failed jobs of a tenant go on."""
    owner, done = _moved(name, Move.REDRIVE, asks=asks)
    if as_json:
        click.echo(json.dumps({"tenant": owner, "redriven": done.moved, "left": done.left}))
    else:
        tell(f"{owner}: {done.moved} go on, {done.left} cannot, as their photos are gone")


def _moved(name: str, move: Move, *, asks: bool) -> tuple[Tenant, Moved]:
    owner = issued_keys.checked_tenant(name)
    with database.opened() as engine:
        _ensure_known(engine, owner)
        if asks and sys.stdin.isatty():
            _ensure_meant(engine, owner, move)
        return owner, wholesale.make_all(engine, move, owner)


def _ensure_meant(engine: Engine, tenant: Tenant, move: Move) -> None:
    """Ask whether so many jobs are to be moved; end the command when they are not."""
    with sessions.transaction(engine) as connection:
        jobs = wholesale.count(connection, move, tenant, most=_MOST_COUNTED)
    many = f"{'at least ' * (jobs == _MOST_COUNTED)}{jobs:,}"
    if jobs:
        click.confirm(f"{tenant}: {_ASKED[move].format(many)}", abort=True, err=True)


def _ensure_known(engine: Engine, tenant: Tenant) -> None:
    """End the command when there is no such tenant: a slip of the finger moves nothing."""
    with sessions.transaction(engine) as connection:
        if tenants.is_known(connection, tenant):
            return
        near = tenants.near(connection, tenant)
    remedy = f"did you mean {near}?" if near else "`smart-filter keys list` shows those there are"
    raise Ending(f"there is no tenant {tenant!r}: {remedy}", WRONG_USAGE)
