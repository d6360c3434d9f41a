"""`smart-filter tenants`: what each may do at most."""

import json
from dataclasses import asdict

import click

from smart_filter_deploy.cli.endings import needing

_json_option = click.option("--json", "as_json", is_flag=True, help="For programs.")
_bound = click.IntRange(0, 10_000_000)


@click.group()
def tenants() -> None:
    """Show and say what tenants may do at most.

    In the database that SMART_FILTER_DATABASE_URL names, else in that of the stack that
    `smart-filter up` runs on the data folder.
    """


@tenants.command("list")
@_json_option
def list_(*, as_json: bool) -> None:
    """List those that have submitted something, or of which something is said."""
    with needing("api"):
        # The server's packages are not part of a bare install, here and below.
        from smart_filter_deploy.cli import database  # noqa: PLC0415
        from smart_filter_shared.jobs import limits  # noqa: PLC0415

    with database.transaction() as connection:
        rows = limits.tenants(connection)
    items = [{"tenant": row.name, **asdict(row.own)} for row in rows]
    if as_json:
        click.echo(json.dumps({"items": items}))
        return
    for item in items:
        said = [
            f"{name.replace('_', '-')} {value:g}"
            for name, value in item.items()
            if isinstance(value, int | float)
        ]
        click.echo(f"{item['tenant']}: {', '.join(said) or 'as the settings say'}")


@tenants.command("set")
@click.argument("name", metavar="NAME")
@click.option("--requests-per-minute", type=_bound, metavar="N", help="Sent with its keys.")
@click.option("--jobs-waiting", type=_bound, metavar="N", help="Jobs that have not ended.")
@click.option(
    "--megapixels-per-day",
    type=click.FloatRange(0, 1e12),
    metavar="N",
    help="Of the photos that it submits.",
)
def set_(
    name: str,
    *,
    requests_per_minute: int | None,
    jobs_waiting: int | None,
    megapixels_per_day: float | None,
) -> None:
    """Say what a tenant may do at most; 0: whatever it wants, left out: what the settings say."""
    with needing("api"):
        from smart_filter_deploy.cli import database, issued_keys  # noqa: PLC0415
        from smart_filter_shared.jobs import limits  # noqa: PLC0415
        from smart_filter_shared.jobs.limits import OwnLimits  # noqa: PLC0415

    tenant = issued_keys.checked_tenant(name)
    own = OwnLimits(requests_per_minute, jobs_waiting, megapixels_per_day)
    with database.transaction() as connection:
        limits.say(connection, tenant, own)
