"""`smart-filter tenants`: what each may do at most, how long its things are kept, its recipe."""

import json
from pathlib import Path
from typing import Any

import click

from smart_filter_deploy.cli.endings import WRONG_USAGE, Ending, needing
from smart_filter_deploy.cli.examples import examples
from smart_filter_deploy.cli.terminal import tell

_json_option = click.option("--json", "as_json", is_flag=True, help="For programs.")
# In place of a value: what the settings say.
_DEFAULT = "default"
_USUAL = "as the settings say"
_LONGEST_SECONDS = 10 * 365 * 24 * 3600


class _Said(click.ParamType[tuple[Any]]):
    """What is said of a tenant, or `default`; in a tuple, as leaving it out is another thing."""

    name = "value"

    def __init__(self, inner: click.ParamType[Any]) -> None:
        self._inner = inner

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[Any]:
        if value == _DEFAULT:
            return (None,)
        return (self._inner.convert(value, param, ctx),)


class _Recipe(click.ParamType[dict[str, Any]]):
    """A recipe as JSON, or `@` and a file that holds one."""

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
            self.fail(f"is no JSON: {error}", param, ctx)
        if not isinstance(recipe, dict):
            self.fail('is no object such as {"outputs": ["image", "faces"]}', param, ctx)
        return recipe


_bound = _Said(click.IntRange(0, 10_000_000))


@click.group(
    epilog=examples(
        "smart-filter tenants list",
        "smart-filter tenants set acme --jobs-waiting 500",
    )
)
def tenants() -> None:
    """Show and say what holds for tenants.

    In the database that SMART_FILTER_DATABASE_URL names, else in that of the stack that
    `smart-filter up` runs on the data folder.
    """


@tenants.command(
    "list",
    short_help="List tenants, and what is said of each.",
    epilog=examples("smart-filter tenants list"),
)
@_json_option
def list_(*, as_json: bool) -> None:
    """List those that have submitted something, or of which something is said."""
    with needing("api"):
        # The server's packages are not part of a bare install.
        from smart_filter_api import tenant_changes  # noqa: PLC0415
        from smart_filter_deploy.cli import database  # noqa: PLC0415
        from smart_filter_shared.ids import OPERATOR  # noqa: PLC0415
        from smart_filter_shared.jobs import tenants as table  # noqa: PLC0415

    with database.transaction() as connection:
        listed = table.listed(connection)
    items = [tenant_changes.shown(name, own).model_dump() for name, own in listed.items()]
    if as_json:
        click.echo(json.dumps({"items": items}))
        return
    for item in items:
        name = item.pop("tenant")
        said = [
            f"{one.replace('_', '-')} {_told(value)}"
            for one, value in item.items()
            if value is not None and value is not False and value != {}
        ]
        # Neither the settings' limits nor any of its own hold for it.
        usual = "no limits; keeping as the settings say" if name == OPERATOR else _USUAL
        tell(f"{name}: {', '.join(said) or usual}")


@tenants.command(
    "set",
    epilog=examples(
        "smart-filter tenants set acme --requests-per-minute 600 --keep-nothing",
        "smart-filter tenants set acme --jobs-waiting default",
        'smart-filter tenants set acme --recipe \'{"outputs": ["image", "faces"]}\'',
    ),
)
@click.argument("name", metavar="NAME")
@click.option("--requests-per-minute", type=_bound, metavar="N", help="Sent with its keys.")
@click.option("--jobs-waiting", type=_bound, metavar="N", help="Jobs that have not ended.")
@click.option(
    "--megapixels-per-day",
    type=_Said(click.FloatRange(0, 1e12)),
    metavar="N",
    help="Of the photos that it submits.",
)
@click.option(
    "--keep-input-seconds",
    type=_Said(click.IntRange(0, _LONGEST_SECONDS)),
    metavar="S",
    help="How long photos and intermediates are kept.",
)
@click.option(
    "--keep-result-seconds",
    type=_Said(click.IntRange(60, _LONGEST_SECONDS)),
    metavar="S",
    help="How long results are.",
)
@click.option(
    "--keep-nothing/--keep-something",
    default=None,
    help="Whether all of a job goes when its outputs are fetched, or after an hour.",
)
@click.option(
    "--recipe",
    type=_Said(_Recipe()),
    metavar="JSON|@FILE",
    help="What its recipes say that say nothing else.",
)
@_json_option
def set_(name: str, *, as_json: bool, **options: tuple[object] | bool | None) -> None:
    """Say what holds for a tenant from now on.

    What is not given stays; `default`: what the settings say. 0, of what it may do: whatever it
    wants.
    """
    with needing("api"):
        from smart_filter_api import tenant_changes  # noqa: PLC0415
        from smart_filter_api.schemas.defaults import TenantChange  # noqa: PLC0415
        from smart_filter_deploy.cli import database, issued_keys  # noqa: PLC0415
        from smart_filter_shared import settings  # noqa: PLC0415
        from smart_filter_shared.errors import InvalidRecipe, MalformedRequest  # noqa: PLC0415

    tenant = issued_keys.checked_tenant(name)
    change = TenantChange.model_validate(
        {
            option: said[0] if isinstance(said, tuple) else said
            for option, said in options.items()
            if said is not None
        }
    )
    pools = settings.engine().pools
    try:
        with database.transaction() as connection:
            said = tenant_changes.make(connection, tenant, change, pools=pools)
    except (InvalidRecipe, MalformedRequest) as error:
        raise Ending(f"--recipe: {error}", WRONG_USAGE) from error
    if as_json:
        click.echo(json.dumps(tenant_changes.shown(tenant, said).model_dump()))


def _told(value: object) -> str:
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    return f"{value:g}" if isinstance(value, float) else str(value).lower()
