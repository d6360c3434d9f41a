"""`smart-filter keys`: who may use the service."""

import re
import uuid

import click

from smart_filter_deploy.cli.endings import ALL_SUCCEEDED, PHOTO_FAILED, needing
from smart_filter_deploy.cli.examples import examples

_json_option = click.option("--json", "as_json", is_flag=True, help="For programs.")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600}
_LONGEST_SECONDS = 100 * 365 * _SECONDS["d"]


class _Span(click.ParamType[int]):
    """A time such as 30d, in seconds."""

    name = "time"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        found = re.fullmatch(r"([0-9]{1,12})([smhd])", str(value))
        seconds = int(found[1]) * _SECONDS[found[2]] if found else 0
        if not 0 < seconds <= _LONGEST_SECONDS:
            self.fail(f"{value!r} is not a time such as 12h or 30d", param, ctx)
        return seconds


@click.group(
    epilog=examples(
        "smart-filter keys create --tenant acme --scopes submit,read --expires 30d",
        "smart-filter keys list",
    )
)
def keys() -> None:
    """Issue, list and revoke the keys of tenants.

    In the database that SMART_FILTER_DATABASE_URL names, else in that of the stack that
    `smart-filter up` runs on the data folder.
    """


@keys.command(
    epilog=examples(
        "smart-filter keys create --tenant acme --scopes submit,read --expires 30d",
        "KEY=$(smart-filter keys create --tenant acme --scopes submit --json | jq -r .key)",
    )
)
@click.option("--tenant", required=True, metavar="NAME", help="Whose key; a new name will do.")
@click.option(
    "--scopes", required=True, metavar="A,B", help="Any of submit, read, admin, operator."
)
@click.option(
    "--expires", "expires_seconds", type=_Span(), metavar="TIME", help="After 12h, 30d; else never."
)
@_json_option
def create(*, tenant: str, scopes: str, expires_seconds: int | None, as_json: bool) -> None:
    """Issue a key. It is shown now and never again."""
    with needing("api"):
        # The server's packages are not part of a bare install, here and below.
        from smart_filter_deploy.cli import issued_keys  # noqa: PLC0415

    issued = issued_keys.create(tenant, scopes, expires_seconds=expires_seconds)
    issued_keys.show_new(issued, as_json=as_json)


@keys.command(
    "list",
    epilog=examples(
        "smart-filter keys list",
        "smart-filter keys list --tenant acme --json",
    ),
)
@click.option("--tenant", metavar="NAME", help="Only of this one.")
@_json_option
def list_(*, tenant: str | None, as_json: bool) -> None:
    """List keys, those that are not valid any more included."""
    with needing("api"):
        from smart_filter_deploy.cli import issued_keys  # noqa: PLC0415

    issued_keys.show(issued_keys.listed(tenant), as_json=as_json)


@keys.command(
    short_help="Revoke keys, and the tokens that they issued.",
    epilog=examples("smart-filter keys revoke KEY_ID"),
)
@click.argument("key_ids", nargs=-1, required=True, metavar="KEY_ID...", type=click.UUID)
@_json_option
@click.pass_context
def revoke(ctx: click.Context, key_ids: tuple[uuid.UUID, ...], *, as_json: bool) -> None:
    """Revoke keys by their ids, and the tokens that they issued, from now on."""
    with needing("api"):
        from smart_filter_deploy.cli import issued_keys  # noqa: PLC0415

    done = issued_keys.revoke(key_ids)
    issued_keys.tell_revoked(done, as_json=as_json)
    ctx.exit(PHOTO_FAILED if done.unknown else ALL_SUCCEEDED)
