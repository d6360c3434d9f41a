"""`smart-filter jobs`: what the server has, one by one."""

import datetime as dt
import json

import click
from rich.table import Table
from rich.text import Text

from smart_filter_client import Job
from smart_filter_deploy.cli import completing
from smart_filter_deploy.cli.connection import connected
from smart_filter_deploy.cli.console import Console
from smart_filter_deploy.cli.endings import needing
from smart_filter_deploy.cli.examples import examples
from smart_filter_deploy.cli.report import STATE_STYLES, print_found, print_stages, print_table

_yes_option = click.option("--yes", is_flag=True, help="Do not ask before a tenant's are moved.")
_json_option = click.option("--json", "as_json", is_flag=True, help="As the API answers it.")
_job_argument = click.argument("job_id", metavar="ID", shell_complete=completing.job_ids)
_perhaps_job_argument = click.argument(
    "job_id", metavar="[ID]", required=False, shell_complete=completing.job_ids
)


@click.group(
    epilog=examples(
        "smart-filter jobs list --state failed",
        "smart-filter jobs show ID",
    )
)
def jobs() -> None:
    """List, show, cancel and redrive jobs."""


@jobs.command(
    "list",
    epilog=examples(
        "smart-filter jobs list",
        "smart-filter jobs list --state failed --limit 100 --json | jq -r '.items[].id'",
    ),
)
@click.option(
    "--state",
    type=click.Choice(["queued", "running", "succeeded", "failed", "canceled"]),
    help="Only those.",
)
@click.option(
    "--limit", type=click.IntRange(1), default=20, show_default=True, help="At most so many."
)
@_json_option
def list_(state: str | None, limit: int, *, as_json: bool) -> None:
    """List jobs, newest first."""
    with connected() as client:
        listed = list(client.jobs(state=state, limit=limit))
    if as_json:
        click.echo(json.dumps({"items": [job.document for job in listed], "next_cursor": None}))
        return
    if not listed:
        click.echo("no jobs")
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("id", "state", "created", "background", "score", "error"):
        table.add_column(column, no_wrap=True)
    for job in listed:
        background = job.background
        table.add_row(
            Text(job.id),
            _state(job),
            _created(job),
            Text("" if background is None else (background.name or background.kind)),
            "" if job.rating is None else f"{job.rating.score:.2f}",
            Text("" if job.error is None else job.error.code),
        )
    print_table(Console(highlight=False), table)


@jobs.command(
    epilog=examples(
        "smart-filter jobs show 01a1fba3-730f-74cd-b1d0-00331008d017",
        "smart-filter jobs show ID --json | jq .rating.score",
    )
)
@_job_argument
@_json_option
def show(job_id: str, *, as_json: bool) -> None:
    """Show one job."""
    with connected() as client:
        job = client.job(job_id)
    _print(job, as_json=as_json)


@jobs.command(
    short_help="Withdraw a job, or all of a tenant, that have not ended.",
    epilog=examples(
        "smart-filter jobs cancel ID",
        "smart-filter jobs cancel --tenant acme",
    ),
)
@_perhaps_job_argument
@click.option("--tenant", metavar="NAME", help="All of this tenant's that have not ended.")
@_yes_option
@_json_option
def cancel(job_id: str | None, tenant: str | None, *, yes: bool, as_json: bool) -> None:
    """Withdraw a job that has not ended, or all of a tenant.

    One job over the API. A tenant's in the database that SMART_FILTER_DATABASE_URL names, else in
    that of the stack that `smart-filter up` runs on the data folder; on a terminal only after it
    was told how many, and was answered.
    """
    if tenant is None:
        named = _one(job_id)
        with connected() as client:
            job = client.cancel(named)
        _print(job, as_json=as_json)
        return
    _none_beside(job_id)
    with needing("api"):
        # The server's packages are not part of a bare install, here and below.
        from smart_filter_deploy.cli import tenant_jobs  # noqa: PLC0415

    tenant_jobs.cancel(tenant, asks=not yes, as_json=as_json)


@jobs.command(
    short_help="Let a failed job, or all of a tenant, go on from what has succeeded.",
    epilog=examples(
        "smart-filter jobs redrive ID",
        "smart-filter jobs redrive --tenant acme",
    ),
)
@_perhaps_job_argument
@click.option("--tenant", metavar="NAME", help="All of this tenant's that have failed.")
@_yes_option
@_json_option
def redrive(job_id: str | None, tenant: str | None, *, yes: bool, as_json: bool) -> None:
    """Let a failed job go on from what has succeeded, with all its attempts; or all of a tenant.

    Where, and what is asked: as `cancel` has it.
    """
    if tenant is None:
        named = _one(job_id)
        with connected() as client:
            job = client.redrive(named)
        _print(job, as_json=as_json)
        return
    _none_beside(job_id)
    with needing("api"):
        from smart_filter_deploy.cli import tenant_jobs  # noqa: PLC0415

    tenant_jobs.redrive(tenant, asks=not yes, as_json=as_json)


def _one(job_id: str | None) -> str:
    if job_id is None:
        raise click.UsageError("which job? Give its ID, or --tenant NAME for all of a tenant's")
    return job_id


def _none_beside(job_id: str | None) -> None:
    if job_id is not None:
        raise click.UsageError("ID or --tenant, not both")


def _print(job: Job, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(dict(job.document)))
        return
    console = Console(highlight=False)
    console.print(Text.assemble((job.id, "bold"), "  ", _state(job), "  ", (_created(job), "dim")))
    print_stages(console, job)
    print_found(console, job)


def _state(job: Job) -> Text:
    return Text(job.state, style=STATE_STYLES.get(job.state, ""))


def _created(job: Job) -> str:
    """Return when it was created, by the clock on the wall: the time today, else the day."""
    if job.created_at is None:
        return ""
    local = job.created_at.astimezone()
    is_today = local.date() == dt.datetime.now(local.tzinfo).date()
    return f"{local:%H:%M:%S}" if is_today else f"{local:%Y-%m-%d}"
