"""Creates, lists and revokes API keys, and prints the results."""

import datetime as dt
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import click
from rich.table import Table
from rich.text import Text

from smart_filter_api.auth import api_keys
from smart_filter_api.auth.api_keys import IssuedKey, KeyRow, Scope
from smart_filter_deploy.cli.server import database
from smart_filter_deploy.cli.terminal import times
from smart_filter_deploy.cli.terminal.console import EscapingConsole
from smart_filter_deploy.cli.terminal.exit_codes import WRONG_USAGE, CommandError, print_error
from smart_filter_deploy.cli.terminal.report import print_table
from smart_filter_deploy.cli.terminal.text import print_line
from smart_filter_shared.errors import NotFound
from smart_filter_shared.ids import Tenant

_PAGE_SIZE = 500


@dataclass(frozen=True, slots=True)
class RevokedKeys:
    """Revoked keys, and ids that no key has."""

    done: Sequence[uuid.UUID]
    unknown: Sequence[uuid.UUID]


def validate_tenant(name: str) -> Tenant:
    """Return a tenant's name; ends the command when it is invalid."""
    if not api_keys.is_tenant_name(name):
        raise CommandError(
            f"{name[:100]!r} is not a tenant's name: letters, digits, `.`, `_` and `-`,"
            " at most 100, a letter or digit first",
            WRONG_USAGE,
        )
    return Tenant(name)


def create(tenant: str, scopes: str, *, expires_seconds: int | None) -> IssuedKey:
    """Issue a key; ends the command when tenant or scopes are invalid."""
    owner, wanted = validate_tenant(tenant), _parse_scopes(scopes)
    valid_for = None if expires_seconds is None else dt.timedelta(seconds=expires_seconds)
    with database.transaction() as connection:
        return api_keys.issue(connection, tenant=owner, scopes=wanted, valid_for=valid_for)


def list_keys(tenant: str | None) -> list[KeyRow]:
    """Return all keys, or those of one tenant."""
    owner = None if tenant is None else validate_tenant(tenant)
    found: list[KeyRow] = []
    with database.transaction() as connection:
        while True:
            after = found[-1].key_id if found else None
            page = api_keys.list_keys(connection, owner, after=after, limit=_PAGE_SIZE)
            found += page
            if len(page) < _PAGE_SIZE:
                return sorted(found, key=lambda row: (row.tenant, row.created_at))


def revoke_keys(key_ids: Sequence[uuid.UUID]) -> RevokedKeys:
    """Revoke keys of any tenant."""
    done, unknown = [], []
    with database.transaction() as connection:
        for key_id in key_ids:
            try:
                api_keys.revoke(connection, key_id, tenant=None)
            except NotFound:
                unknown.append(key_id)
            else:
                done.append(key_id)
    return RevokedKeys(done, unknown)


def print_new_key(issued: IssuedKey, *, as_json: bool) -> None:
    """Print a new key; it cannot be shown again."""
    if as_json:
        document = {"tenant": issued.row.tenant, "key_id": str(issued.key_id), "key": issued.key}
        click.echo(json.dumps(document))
        return
    click.echo(issued.key)
    ends = (
        ""
        if issued.row.expires_at is None
        else f", until {times.format_utc(issued.row.expires_at)}"
    )
    print_error(
        f"key {issued.key_id} of tenant {issued.row.tenant}{ends}; it cannot be shown again"
    )


def print_keys(rows: Sequence[KeyRow], *, as_json: bool) -> None:
    """Print keys without their secrets."""
    if as_json:
        click.echo(json.dumps({"items": [_document(row) for row in rows]}))
        return
    if not rows:
        click.echo("no keys")
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("id", "tenant", "scopes", "created", "expires", "jobs"):
        table.add_column(column, no_wrap=True)
    for row in rows:
        table.add_row(
            str(row.key_id),
            Text(row.tenant),
            ",".join(row.scopes),
            times.format_utc(row.created_at),
            _format_end(row),
            "" if row.max_jobs is None else f"{row.jobs}/{row.max_jobs}",
        )
    print_table(EscapingConsole(highlight=False), table)


def print_revoked(done: RevokedKeys, *, as_json: bool) -> None:
    """Print the revoked keys, and on standard error the unknown ids."""
    if as_json:
        document = {
            "revoked": [str(key_id) for key_id in done.done],
            "unknown": [str(key_id) for key_id in done.unknown],
        }
        click.echo(json.dumps(document))
    else:
        for key_id in done.done:
            print_line(f"revoked {key_id}")
    for key_id in done.unknown:
        print_error(f"there is no key {key_id}")


def _parse_scopes(listed_scopes: str) -> list[Scope]:
    words = [word.strip() for word in listed_scopes.split(",") if word.strip()]
    unknown = [word for word in words if word not in set(Scope)]
    if unknown or not words:
        raise CommandError(
            f"--scopes: {', '.join(unknown) or 'none given'}; expected some of {', '.join(Scope)}",
            WRONG_USAGE,
        )
    return [Scope(word) for word in dict.fromkeys(words)]


def _document(row: KeyRow) -> dict[str, object]:
    return {
        "key_id": str(row.key_id),
        "tenant": row.tenant,
        "scopes": list(row.scopes),
        "created_at": times.format_utc(row.created_at),
        "expires_at": None if row.expires_at is None else times.format_utc(row.expires_at),
        "revoked_at": None if row.revoked_at is None else times.format_utc(row.revoked_at),
        "parent": None if row.parent is None else str(row.parent),
        "max_jobs": row.max_jobs,
        "jobs": None if row.max_jobs is None else row.jobs,
    }


def _format_end(row: KeyRow) -> str:
    if row.revoked_at is not None:
        return f"revoked {times.format_utc(row.revoked_at)}"
    return "" if row.expires_at is None else times.format_utc(row.expires_at)
