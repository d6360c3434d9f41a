"""`smart-filter keys`: creates, lists and revokes API keys."""

import re
import uuid

import click

from smart_filter_deploy.cli.terminal.examples import examples
from smart_filter_deploy.cli.terminal.exit_codes import ALL_SUCCEEDED, PHOTO_FAILED, require_extra

_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_SECONDS_PER_UNIT = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600}
_MAX_SECONDS = 100 * 365 * _SECONDS_PER_UNIT["d"]


class _DurationType(click.ParamType[int]):
    """A duration such as 30d, in seconds."""

    name = "time"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        found = re.fullmatch(r"([0-9]{1,12})([smhd])", str(value))
        seconds = int(found[1]) * _SECONDS_PER_UNIT[found[2]] if found else 0
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
@_json_option
def create(*, tenant: str, scopes: str, expires_seconds: int | None, as_json: bool) -> None:
    """Create a key and print it. It cannot be shown again."""
    with require_extra("api"):
        # The server's packages are not part of a bare install, here and below.
        from smart_filter_deploy.cli.commands import key_actions  # noqa: PLC0415

    issued = key_actions.create(tenant, scopes, expires_seconds=expires_seconds)
    key_actions.print_new_key(issued, as_json=as_json)


@keys.command(
    "list",
    epilog=examples(
        "smart-filter keys list",
        "smart-filter keys list --tenant acme --json",
    ),
)
@click.option("--tenant", metavar="NAME", help="Only keys of this tenant.")
@_json_option
def list_(*, tenant: str | None, as_json: bool) -> None:
    """List keys, including expired and revoked ones."""
    with require_extra("api"):
        from smart_filter_deploy.cli.commands import key_actions  # noqa: PLC0415

    key_actions.print_keys(key_actions.list_keys(tenant), as_json=as_json)


@keys.command(
    short_help="Revoke keys and the tokens they issued.",
    epilog=examples("smart-filter keys revoke KEY_ID"),
)
@click.argument("key_ids", nargs=-1, required=True, metavar="KEY_ID...", type=click.UUID)
@_json_option
@click.pass_context
def revoke(ctx: click.Context, key_ids: tuple[uuid.UUID, ...], *, as_json: bool) -> None:
    """Revoke keys by id, and the tokens they issued."""
    with require_extra("api"):
        from smart_filter_deploy.cli.commands import key_actions  # noqa: PLC0415

    done = key_actions.revoke_keys(key_ids)
    key_actions.print_revoked(done, as_json=as_json)
    ctx.exit(PHOTO_FAILED if done.unknown else ALL_SUCCEEDED)
