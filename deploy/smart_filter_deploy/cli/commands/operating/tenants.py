"""`smart-filter tenants`: shows and changes settings of tenants; changes all jobs of a tenant."""

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Literal

import click
from sqlalchemy import Engine

from smart_filter_api.auth import links
from smart_filter_api.routes import tenants as tenant_routes
from smart_filter_api.schemas.operating import TenantChange
from smart_filter_deploy.cli.commands.operating.keys import validate_tenant
from smart_filter_deploy.cli.commands.options import json_option
from smart_filter_deploy.cli.server import database
from smart_filter_deploy.cli.terminal.exit_codes import WRONG_USAGE, CommandError
from smart_filter_deploy.cli.terminal.text import examples, print_json, print_line
from smart_filter_shared import documents
from smart_filter_shared.config import settings
from smart_filter_shared.db import sessions
from smart_filter_shared.errors import InvalidRecipe, MalformedRequest
from smart_filter_shared.ids import OPERATOR, Tenant
from smart_filter_shared.operations import operator_actions
from smart_filter_shared.operations.operator_actions import MAX_COUNTED, BulkAction
from smart_filter_shared.tenants import settings as tenant_settings
from smart_filter_shared.tenants.audit_log import COMMAND_LINE

# Given instead of a value, it restores the server's setting.
_DEFAULT = "default"
_DEFAULT_DESCRIPTION = "server defaults"
_MAX_SECONDS = 10 * 365 * 24 * 3600
# Limits for programs written for another service. remove.bg accepts 500 requests a minute and sells
# credits; photos wait in our queue instead, and a megapixel costs nothing.
_PRESETS: Final[Mapping[str, Mapping[str, object]]] = {
    "removebg": {"requests_per_minute": 500, "jobs_waiting": 1000, "megapixels_per_day": 0},
}
_QUESTIONS: Final[Mapping[BulkAction, str]] = {
    BulkAction.CANCEL: "cancel all unfinished jobs, {}?",
    BulkAction.REDRIVE: "retry all failed jobs, {}?",
}
# What was done with the jobs, and what those that were left had in common.
_ANSWERS: Final[Mapping[BulkAction, tuple[str, str]]] = {
    BulkAction.CANCEL: ("canceled", "had already ended"),
    BulkAction.REDRIVE: ("redriven", "not: their photos are deleted"),
}


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
                text = documents.read_file(Path(text[1:])).decode()
            recipe = documents.parse_json(text)
        except (OSError, ValueError) as error:
            self.fail(f"is not JSON: {error}", param, ctx)
        if not isinstance(recipe, dict):
            self.fail('is not an object such as {"outputs": ["image", "faces"]}', param, ctx)
        return recipe


class _OffType(click.ParamType[bool]):
    """The word `off`, as False."""

    name = "off"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> bool:
        if value is not False and value != "off":
            self.fail("is neither off nor default: a tenant can only be stricter", param, ctx)
        return False


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
@json_option
def list_(*, as_json: bool) -> None:
    """List tenants that have submitted a job or have settings."""
    with database.transaction() as connection:
        listed = tenant_settings.list_tenants(connection)
    items = [asdict(tenant_routes.render_tenant(name, changed)) for name, changed in listed.items()]
    if as_json:
        print_json({"items": items})
        return
    for item in items:
        name = item.pop("tenant")
        overrides = [
            f"{field.replace('_', '-')} {_format_value(value)}"
            for field, value in item.items()
            if value not in (None, {}) and (value is not False or field == "emotions")
        ]
        # The operator has no limits, neither the settings' nor its own.
        usual = "no limits; lifetimes from the server" if name == OPERATOR else _DEFAULT_DESCRIPTION
        print_line(f"{name}: {', '.join(overrides) or usual}")


@tenants.command(
    "set",
    epilog=examples(
        "smart-filter tenants set acme --requests-per-minute 600 --keep-nothing",
        "smart-filter tenants set acme --jobs-waiting default",
        "smart-filter tenants set removebg --preset removebg",
        'smart-filter tenants set acme --recipe \'{"outputs": ["image", "faces"]}\'',
    ),
)
@click.argument("name", metavar="NAME")
@click.option(
    "--preset",
    type=click.Choice(sorted(_PRESETS)),
    help="Set limits as remove.bg has them: 500 requests a minute, and no daily megapixels. Other"
    " options override the preset.",
)
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
    "--stored-bytes",
    type=_OverrideType(click.IntRange(0, 10**15)),
    metavar="N",
    help="Maximum bytes of stored photos, intermediate files, results and pictures of its own.",
)
@click.option(
    "--pictures", type=_bound_type, metavar="N", help="Maximum backgrounds and logos of its own."
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
@click.option(
    "--link-seconds",
    type=_OverrideType(click.IntRange(links.MIN_SECONDS, links.MAX_SECONDS)),
    metavar="S",
    help="Lifetime of signed links to outputs.",
)
@click.option(
    "--emotions",
    type=_OverrideType(_OffType()),
    metavar="off",
    help="Read no emotions in its photos.",
)
@json_option
def set_(
    name: str, *, preset: str | None, as_json: bool, **options: tuple[object] | bool | None
) -> None:
    """Change the settings of a tenant.

    Options that are not given do not change. `default` restores the server's setting; 0 removes a
    limit.
    """
    tenant = validate_tenant(name)
    change = TenantChange.model_validate(
        {
            **(_PRESETS[preset] if preset else {}),
            **{
                option: given[0] if isinstance(given, tuple) else given
                for option, given in options.items()
                if given is not None
            },
        }
    )
    pools = settings.load_engine().pools
    try:
        with database.transaction() as connection:
            changed = tenant_routes.apply_change(
                connection,
                tenant,
                change,
                pools=pools,
                outbound=None,  # the setting of this process may differ from the API's
                actor=COMMAND_LINE,
            )
    except (InvalidRecipe, MalformedRequest) as error:
        raise CommandError(f"--recipe: {error}", WRONG_USAGE) from error
    if as_json:
        print_json(asdict(tenant_routes.render_tenant(tenant, changed)))


def move_jobs(
    name: str, action: Literal["cancel", "redrive"], *, asks: bool, as_json: bool
) -> None:
    """Cancel all unfinished jobs of a tenant, or redrive all failed ones, and print how many.

    asks: whether to ask for confirmation on a terminal.
    """
    move = BulkAction(action)
    owner = validate_tenant(name)
    with database.open_engine() as engine:
        with sessions.transaction(engine) as connection:
            operator_actions.require_tenant(connection, owner)
        if asks and sys.stdin.isatty():
            _confirm(engine, owner, move)
        done = operator_actions.move_all_jobs(engine, COMMAND_LINE, move, owner)
    moved, left = _ANSWERS[move]
    if as_json:
        print_json({"tenant": owner, moved: done.moved, "left": done.left})
    else:
        print_line(f"{owner}: {done.moved} {moved}, {done.left} {left}")


def _confirm(engine: Engine, tenant: Tenant, move: BulkAction) -> None:
    """Ask for confirmation with the number of jobs; ends the command when declined."""
    with sessions.transaction(engine) as connection:
        jobs = operator_actions.count_jobs(connection, move, tenant)
    many = f"{'at least ' * (jobs == MAX_COUNTED)}{jobs:,}"
    if jobs:
        click.confirm(f"{tenant}: {_QUESTIONS[move].format(many)}", abort=True, err=True)


def _format_value(value: object) -> str:
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    return f"{value:g}" if isinstance(value, float) else str(value).lower()
