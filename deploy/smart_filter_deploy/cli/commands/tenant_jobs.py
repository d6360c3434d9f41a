"""Cancels or redrives all jobs of a tenant, and prints the result."""

import json
import sys
from collections.abc import Mapping
from typing import Final

import click
from sqlalchemy import Engine

from smart_filter_deploy.cli.commands import key_actions
from smart_filter_deploy.cli.server import database
from smart_filter_deploy.cli.terminal.exit_codes import WRONG_USAGE, CommandError
from smart_filter_deploy.cli.terminal.text import print_line
from smart_filter_shared.db import sessions
from smart_filter_shared.ids import Tenant
from smart_filter_shared.operations import bulk
from smart_filter_shared.operations.bulk import BulkAction, BulkResult
from smart_filter_shared.tenants import settings

# Cap on the count in the question; "at least 10,000" is precise enough.
_MAX_COUNTED: Final = 10_000
_QUESTIONS: Final[Mapping[BulkAction, str]] = {
    BulkAction.CANCEL: "cancel all unfinished jobs, {}?",
    BulkAction.REDRIVE: "retry all failed jobs, {}?",
}


def cancel_all(name: str, *, asks: bool, as_json: bool) -> None:
    """Cancel all unfinished jobs of a tenant.

    asks: whether to ask for confirmation on a terminal; here and below.
    """
    owner, done = _move_all(name, BulkAction.CANCEL, asks=asks)
    if as_json:
        click.echo(json.dumps({"tenant": owner, "canceled": done.moved, "left": done.left}))
    else:
        print_line(f"{owner}: {done.moved} canceled, {done.left} had already ended")


def redrive_all(name: str, *, asks: bool, as_json: bool) -> None:
    """Redrive all failed jobs of a tenant."""
    owner, done = _move_all(name, BulkAction.REDRIVE, asks=asks)
    if as_json:
        click.echo(json.dumps({"tenant": owner, "redriven": done.moved, "left": done.left}))
    else:
        print_line(f"{owner}: {done.moved} redriven, {done.left} not: their photos are deleted")


def _move_all(name: str, move: BulkAction, *, asks: bool) -> tuple[Tenant, BulkResult]:
    owner = key_actions.validate_tenant(name)
    with database.open_engine() as engine:
        _require_tenant(engine, owner)
        if asks and sys.stdin.isatty():
            _confirm(engine, owner, move)
        return owner, bulk.apply_all(engine, move, owner)


def _confirm(engine: Engine, tenant: Tenant, move: BulkAction) -> None:
    """Ask for confirmation with the number of jobs; ends the command when declined."""
    with sessions.transaction(engine) as connection:
        jobs = bulk.count(connection, move, tenant, most=_MAX_COUNTED)
    many = f"{'at least ' * (jobs == _MAX_COUNTED)}{jobs:,}"
    if jobs:
        click.confirm(f"{tenant}: {_QUESTIONS[move].format(many)}", abort=True, err=True)


def _require_tenant(engine: Engine, tenant: Tenant) -> None:
    """End the command when there is no such tenant, so that a typing error is noticed."""
    with sessions.transaction(engine) as connection:
        if settings.is_known(connection, tenant):
            return
        near = settings.suggest_tenant(connection, tenant)
    remedy = f"did you mean {near}?" if near else "see `smart-filter keys list`"
    raise CommandError(f"there is no tenant {tenant!r}: {remedy}", WRONG_USAGE)
