"""`smart-filter tenants`: shows and changes limits, lifetimes and default recipes of tenants."""

import json
from pathlib import Path
from typing import Any

import click

from smart_filter_deploy.cli.terminal.examples import examples
from smart_filter_deploy.cli.terminal.exit_codes import WRONG_USAGE, CommandError, require_extra
from smart_filter_deploy.cli.terminal.text import print_line

_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
# Given instead of a value, it restores the server's setting.
_DEFAULT = "default"
_DEFAULT_DESCRIPTION = "server defaults"
_MAX_SECONDS = 10 * 365 * 24 * 3600


class _OverrideType(click.ParamType[tuple[Any]]):
    """A value, or `default` for None; wrapped in a tuple, because None means not given."""

    name = "value"

    def __init__(self, inner: click.ParamType[Any]) -> None:
        self._inner = inner

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[Any]:
        if value == _DEFAULT:
            return (None,)
        return (self._inner.convert(value, param, ctx),)


class _RecipeType(click.ParamType[dict[str, Any]]):
    """A recipe as JSON, or `@` and the path of a file with one."""

    name = "recipe"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, Any]:
        text = str(value)
        try:
            if text.startswith("@"):
                text = Path(text[1:]).read_text(encoding="utf-8")
            recipe = json.loads(text)
        except (OSError, ValueError, RecursionError) as error:
            self.fail(f"is not JSON: {error}", param, ctx)
        if not isinstance(recipe, dict):
            self.fail('is not an object such as {"outputs": ["image", "faces"]}', param, ctx)
        return recipe


_bound_type = _OverrideType(click.IntRange(0, 10_000_000))


@click.group(
    epilog=examples(
        "smart-filter tenants list",
        "smart-filter tenants set acme --jobs-waiting 500",
    )
)
def tenants() -> None:
    """Show and change the settings of tenants.

    Uses the database in SMART_FILTER_DATABASE_URL, else that of the local stack that
    `smart-filter up` runs on the data folder.
    """


@tenants.command(
    "list",
    short_help="List tenants and their settings.",
    epilog=examples("smart-filter tenants list"),
)
@_json_option
def list_(*, as_json: bool) -> None:
    """List tenants that have submitted a job or have settings."""
    with require_extra("api"):
        # The server's packages are not part of a bare install.
        from smart_filter_api.routes import tenant_changes  # noqa: PLC0415
        from smart_filter_deploy.cli.server import database  # noqa: PLC0415
        from smart_filter_shared.ids import OPERATOR  # noqa: PLC0415
        from smart_filter_shared.tenants import settings as table  # noqa: PLC0415

    with database.transaction() as connection:
        listed = table.list_tenants(connection)
    items = [tenant_changes.render_tenant(name, own).model_dump() for name, own in listed.items()]
    if as_json:
        click.echo(json.dumps({"items": items}))
        return
    for item in items:
        name = item.pop("tenant")
        overrides = [
            f"{one.replace('_', '-')} {_format_value(value)}"
            for one, value in item.items()
            if value is not None and value is not False and value != {}
        ]
        # The operator has no limits, neither the settings' nor its own.
        usual = "no limits; lifetimes from the server" if name == OPERATOR else _DEFAULT_DESCRIPTION
        print_line(f"{name}: {', '.join(overrides) or usual}")


@tenants.command(
    "set",
    epilog=examples(
        "smart-filter tenants set acme --requests-per-minute 600 --keep-nothing",
        "smart-filter tenants set acme --jobs-waiting default",
        'smart-filter tenants set acme --recipe \'{"outputs": ["image", "faces"]}\'',
    ),
)
@click.argument("name", metavar="NAME")
@click.option(
    "--requests-per-minute", type=_bound_type, metavar="N", help="Maximum requests per minute."
)
@click.option(
    "--jobs-waiting", type=_bound_type, metavar="N", help="Maximum number of unfinished jobs."
)
@click.option(
    "--megapixels-per-day",
    type=_OverrideType(click.FloatRange(0, 1e12)),
    metavar="N",
    help="Maximum megapixels of photos per day.",
)
@click.option(
    "--keep-input-seconds",
    type=_OverrideType(click.IntRange(0, _MAX_SECONDS)),
    metavar="S",
    help="Lifetime of photos and intermediate files.",
)
@click.option(
    "--keep-result-seconds",
    type=_OverrideType(click.IntRange(60, _MAX_SECONDS)),
    metavar="S",
    help="Lifetime of results.",
)
@click.option(
    "--keep-nothing/--keep-something",
    default=None,
    help="Delete all files of a job when its outputs were downloaded, or after an hour.",
)
@click.option(
    "--recipe",
    type=_OverrideType(_RecipeType()),
    metavar="JSON|@FILE",
    help="Default recipe fields, as JSON.",
)
@_json_option
def set_(name: str, *, as_json: bool, **options: tuple[object] | bool | None) -> None:
    """Change the settings of a tenant.

    Options that are not given do not change. `default` restores the server's setting; 0 removes a
    limit.
    """
    with require_extra("api"):
        from smart_filter_api.routes import tenant_changes  # noqa: PLC0415
        from smart_filter_api.schemas.defaults import TenantChange  # noqa: PLC0415
        from smart_filter_deploy.cli.commands import key_actions  # noqa: PLC0415
        from smart_filter_deploy.cli.server import database  # noqa: PLC0415
        from smart_filter_shared.config import settings  # noqa: PLC0415
        from smart_filter_shared.errors import InvalidRecipe, MalformedRequest  # noqa: PLC0415

    tenant = key_actions.validate_tenant(name)
    change = TenantChange.model_validate(
        {
            option: given[0] if isinstance(given, tuple) else given
            for option, given in options.items()
            if given is not None
        }
    )
    pools = settings.load_engine().pools
    try:
        with database.transaction() as connection:
            changed = tenant_changes.apply_change(connection, tenant, change, pools=pools)
    except (InvalidRecipe, MalformedRequest) as error:
        raise CommandError(f"--recipe: {error}", WRONG_USAGE) from error
    if as_json:
        click.echo(json.dumps(tenant_changes.render_tenant(tenant, changed).model_dump()))


def _format_value(value: object) -> str:
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    return f"{value:g}" if isinstance(value, float) else str(value).lower()
