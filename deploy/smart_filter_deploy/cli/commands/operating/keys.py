"""`smart-filter keys`: creates, lists and revokes API keys."""

import datetime as dt
import re
import uuid
from dataclasses import asdict

import click

from smart_filter_api.auth import api_keys
from smart_filter_api.auth.api_keys import KeyRow, Scope
from smart_filter_deploy.cli.commands.options import json_option
from smart_filter_deploy.cli.server import database
from smart_filter_deploy.cli.terminal.console import print_columns
from smart_filter_deploy.cli.terminal.exit_codes import (
    ALL_SUCCEEDED,
    PHOTO_FAILED,
    WRONG_USAGE,
    CommandError,
    print_error,
)
from smart_filter_deploy.cli.terminal.text import examples, format_utc, print_json, print_line
from smart_filter_shared.errors import NotFound
from smart_filter_shared.ids import Tenant
from smart_filter_shared.tenants.audit_log import COMMAND_LINE

_PAGE_SIZE = 500
_SECONDS_PER_UNIT = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600}
_MAX_SECONDS = 100 * 365 * _SECONDS_PER_UNIT["d"]


class _DurationType(click.ParamType[int]):
    """A duration such as 30d, in seconds."""

    name = "time"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        match = re.fullmatch(r"([0-9]{1,12})([smhd])", str(value))
        seconds = int(match[1]) * _SECONDS_PER_UNIT[match[2]] if match else 0
        if not 0 < seconds <= _MAX_SECONDS:
            self.fail(f"{value!r} is not a time such as 12h or 30d", param, ctx)
        return seconds


@click.group(
    epilog=examples(
        "smart-filter keys create --tenant acme --scopes submit,read --expires 30d",
        "smart-filter keys list",
    )
)
def keys() -> None:
    """Create, list and revoke API keys.

    Uses the database in SMART_FILTER_DATABASE_URL, else that of the local stack that
    `smart-filter up` runs on the data folder.
    """


@keys.command(
    epilog=examples(
        "smart-filter keys create --tenant acme --scopes submit,read --expires 30d",
        "KEY=$(smart-filter keys create --tenant acme --scopes submit --json | jq -r .key)",
    )
)
@click.option(
    "--tenant",
    required=True,
    metavar="NAME",
    help="Tenant of the key; a new name creates the tenant.",
)
@click.option(
    "--scopes", required=True, metavar="A,B", help="Any of submit, read, admin, operator."
)
@click.option(
    "--expires",
    "expires_seconds",
    type=_DurationType(),
    metavar="TIME",
    help="Lifetime such as 12h or 30d. Default: no expiry.",
)
@json_option
def create(*, tenant: str, scopes: str, expires_seconds: int | None, as_json: bool) -> None:
    """Create a key and print it. It cannot be shown again."""
    owner, wanted = validate_tenant(tenant), _parse_scopes(scopes)
    valid_for = None if expires_seconds is None else dt.timedelta(seconds=expires_seconds)
    with database.transaction() as connection:
        issued = api_keys.issue(
            connection, tenant=owner, scopes=wanted, valid_for=valid_for, actor=COMMAND_LINE
        )
    row = issued.row
    if as_json:
        print_json({"tenant": row.tenant, "key_id": issued.key_id, "key": issued.key})
        return
    click.echo(issued.key)
    ends = "" if row.expires_at is None else f", until {format_utc(row.expires_at)}"
    print_error(f"key {issued.key_id} of tenant {row.tenant}{ends}; it cannot be shown again")


@keys.command(
    "list",
    epilog=examples(
        "smart-filter keys list",
        "smart-filter keys list --tenant acme --json",
    ),
)
@click.option("--tenant", metavar="NAME", help="Only keys of this tenant.")
@json_option
def list_(*, tenant: str | None, as_json: bool) -> None:
    """List keys, including expired and revoked ones."""
    rows = _list_keys(None if tenant is None else validate_tenant(tenant))
    if as_json:
        print_json({"items": [_document(row) for row in rows]})
    elif not rows:
        click.echo("no keys")
    else:
        print_columns(
            ("id", "tenant", "scopes", "created", "expires", "jobs"), map(_table_row, rows)
        )


@keys.command(
    short_help="Revoke keys and the tokens they issued.",
    epilog=examples(
        "smart-filter keys revoke KEY_ID",
        "smart-filter keys revoke KEY_ID --with-issued",
    ),
)
@click.argument("key_ids", nargs=-1, required=True, metavar="KEY_ID...", type=click.UUID)
@click.option(
    "--with-issued",
    is_flag=True,
    help="Also the keys that they issued over HTTP, and those that these issued.",
)
@json_option
@click.pass_context
def revoke(
    ctx: click.Context, key_ids: tuple[uuid.UUID, ...], *, with_issued: bool, as_json: bool
) -> None:
    """Revoke keys by id, and the tokens they issued."""
    revoked: dict[uuid.UUID, None] = {}
    unknown: list[uuid.UUID] = []
    with database.transaction() as connection:
        for key_id in key_ids:
            try:
                rows = api_keys.revoke(
                    connection, COMMAND_LINE, key_id, tenant=None, with_issued=with_issued
                )
            except NotFound:
                unknown.append(key_id)
            else:
                issued = [row.key_id for row in rows] if with_issued else []
                revoked |= dict.fromkeys([key_id, *issued])
    if as_json:
        print_json({"revoked": list(revoked), "unknown": unknown})
    else:
        for key_id in revoked:
            print_line(f"revoked {key_id}")
    for key_id in unknown:
        print_error(f"there is no key {key_id}")
    ctx.exit(PHOTO_FAILED if unknown else ALL_SUCCEEDED)


def validate_tenant(name: str) -> Tenant:
    """Return a tenant's name; ends the command when it is invalid."""
    if not api_keys.is_tenant_name(name):
        raise CommandError(
            f"{name[:100]!r} is not a tenant's name: letters, digits, `.`, `_` and `-`,"
            " at most 100, a letter or digit first",
            WRONG_USAGE,
        )
    return Tenant(name)


def _list_keys(owner: Tenant | None) -> list[KeyRow]:
    """Return all keys, or those of one tenant."""
    keys: list[KeyRow] = []
    with database.transaction() as connection:
        while True:
            after = keys[-1].key_id if keys else None
            page = api_keys.list_keys(connection, owner, after=after, limit=_PAGE_SIZE)
            keys += page
            if len(page) < _PAGE_SIZE:
                return sorted(keys, key=lambda row: (row.tenant, row.created_at))


def _table_row(row: KeyRow) -> tuple[str, ...]:
    revoked_at, expires_at = format_utc(row.revoked_at), format_utc(row.expires_at)
    return (
        str(row.key_id),
        row.tenant,
        ",".join(row.scopes),
        format_utc(row.created_at) or "",
        f"revoked {revoked_at}" if revoked_at else expires_at or "",
        "" if row.max_jobs is None else f"{row.jobs}/{row.max_jobs}",
    )


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
    return {**asdict(row), "jobs": None if row.max_jobs is None else row.jobs}
