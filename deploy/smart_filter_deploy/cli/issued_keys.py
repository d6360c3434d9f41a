"""What `smart-filter keys` does, and what it tells of it."""

import datetime as dt
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import click
from rich.table import Table
from rich.text import Text

from smart_filter_api import keys
from smart_filter_api.keys import IssuedKey, KeyRow, Scope
from smart_filter_deploy.cli import database, moments
from smart_filter_deploy.cli.console import Console
from smart_filter_deploy.cli.endings import WRONG_USAGE, Ending, say
from smart_filter_deploy.cli.report import print_table
from smart_filter_deploy.cli.terminal import tell
from smart_filter_shared.errors import NotFound
from smart_filter_shared.ids import Tenant

_PAGE = 500


@dataclass(frozen=True, slots=True)
class Revoked:
    """The keys that are revoked now, and those that there are none of."""

    done: Sequence[uuid.UUID]
    unknown: Sequence[uuid.UUID]


def checked_tenant(name: str) -> Tenant:
    """Return a tenant's name; ends the command when nobody can be called so."""
    if not keys.is_tenant(name):
        raise Ending(
            f"{name[:100]!r} is not a tenant's name: letters, digits, `.`, `_` and `-`,"
            " at most 100, a letter or digit first",
            WRONG_USAGE,
        )
    return Tenant(name)


def create(tenant: str, scopes: str, *, expires_seconds: int | None) -> IssuedKey:
    """Issue a key; ends the command when tenant or scopes cannot be."""
    owner, wanted = checked_tenant(tenant), _scopes(scopes)
    valid_for = None if expires_seconds is None else dt.timedelta(seconds=expires_seconds)
    with database.transaction() as connection:
        return keys.issue(connection, tenant=owner, scopes=wanted, valid_for=valid_for)


def listed(tenant: str | None) -> list[KeyRow]:
    """Return all keys, or those of one tenant."""
    owner = None if tenant is None else checked_tenant(tenant)
    found: list[KeyRow] = []
    with database.transaction() as connection:
        while True:
            after = found[-1].key_id if found else None
            page = keys.listed(connection, owner, after=after, limit=_PAGE)
            found += page
            if len(page) < _PAGE:
                return sorted(found, key=lambda row: (row.tenant, row.created_at))


def revoke(key_ids: Sequence[uuid.UUID]) -> Revoked:
    """Revoke keys of whatever tenant."""
    done, unknown = [], []
    with database.transaction() as connection:
        for key_id in key_ids:
            try:
                keys.revoke(connection, key_id, tenant=None)
            except NotFound:
                unknown.append(key_id)
            else:
                done.append(key_id)
    return Revoked(done, unknown)


def show_new(issued: IssuedKey, *, as_json: bool) -> None:
    """Show a key, for the one time that it can be."""
    if as_json:
        told = {"tenant": issued.row.tenant, "key_id": str(issued.key_id), "key": issued.key}
        click.echo(json.dumps(told))
        return
    click.echo(issued.key)
    ends = "" if issued.row.expires_at is None else f", until {moments.told(issued.row.expires_at)}"
    say(f"key {issued.key_id} of tenant {issued.row.tenant}{ends}; it is not shown again")


def show(rows: Sequence[KeyRow], *, as_json: bool) -> None:
    """Show what is known of keys."""
    if as_json:
        click.echo(json.dumps({"items": [_document(row) for row in rows]}))
        return
    if not rows:
        click.echo("no keys")
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("id", "tenant", "scopes", "created", "ends", "jobs"):
        table.add_column(column, no_wrap=True)
    for row in rows:
        table.add_row(
            str(row.key_id),
            Text(row.tenant),
            ",".join(row.scopes),
            moments.told(row.created_at),
            _end(row),
            "" if row.max_jobs is None else f"{row.jobs}/{row.max_jobs}",
        )
    print_table(Console(highlight=False), table)


def tell_revoked(done: Revoked, *, as_json: bool) -> None:
    """Tell what was revoked, and on standard error what could not be."""
    if as_json:
        told = {
            "revoked": [str(key_id) for key_id in done.done],
            "unknown": [str(key_id) for key_id in done.unknown],
        }
        click.echo(json.dumps(told))
    else:
        for key_id in done.done:
            tell(f"revoked {key_id}")
    for key_id in done.unknown:
        say(f"there is no key {key_id}")


def _scopes(listed_scopes: str) -> list[Scope]:
    words = [word.strip() for word in listed_scopes.split(",") if word.strip()]
    unknown = [word for word in words if word not in set(Scope)]
    if unknown or not words:
        raise Ending(
            f"--scopes: {', '.join(unknown) or 'nothing'} is not of {', '.join(Scope)}",
            WRONG_USAGE,
        )
    return [Scope(word) for word in dict.fromkeys(words)]


def _document(row: KeyRow) -> dict[str, object]:
    return {
        "key_id": str(row.key_id),
        "tenant": row.tenant,
        "scopes": list(row.scopes),
        "created_at": moments.told(row.created_at),
        "expires_at": None if row.expires_at is None else moments.told(row.expires_at),
        "revoked_at": None if row.revoked_at is None else moments.told(row.revoked_at),
        "parent": None if row.parent is None else str(row.parent),
        "max_jobs": row.max_jobs,
        "jobs": None if row.max_jobs is None else row.jobs,
    }


def _end(row: KeyRow) -> str:
    if row.revoked_at is not None:
        return f"revoked {moments.told(row.revoked_at)}"
    return "" if row.expires_at is None else moments.told(row.expires_at)
