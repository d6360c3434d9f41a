"""`smart-filter jobs`: lists, shows, cancels and redrives jobs."""

import datetime as dt

import click
from rich.text import Text

from smart_filter_client import Job, JobState
from smart_filter_deploy.cli.commands import completion_values
from smart_filter_deploy.cli.server.connection import open_client
from smart_filter_deploy.cli.terminal.console import EscapingConsole, print_columns
from smart_filter_deploy.cli.terminal.report import STATE_STYLES, print_findings, print_stages
from smart_filter_deploy.cli.terminal.text import examples, print_json

_yes_option = click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
_json_option = click.option("--json", "as_json", is_flag=True, help="Print the API's JSON.")
_job_argument = click.argument(
    "job_id", metavar="ID", shell_complete=completion_values.complete_job_ids
)
_optional_job_argument = click.argument(
    "job_id", metavar="[ID]", required=False, shell_complete=completion_values.complete_job_ids
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
    help="Only jobs in this state.",
)
@click.option(
    "--limit", type=click.IntRange(1), default=20, show_default=True, help="Maximum number of jobs."
)
@_json_option
def list_(state: JobState | None, limit: int, *, as_json: bool) -> None:
    """List jobs, newest first."""
    with open_client() as client:
        listed = list(client.jobs(state=state, limit=limit))
    if as_json:
        print_json({"items": [job.document for job in listed], "next_cursor": None})
    elif not listed:
        click.echo("no jobs")
    else:
        columns = ("id", "state", "created", "background", "score", "error")
        print_columns(columns, map(_table_row, listed))


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
    with open_client() as client:
        job = client.job(job_id)
    _print(job, as_json=as_json)


@jobs.command(
    short_help="Cancel a job, or all unfinished jobs of a tenant.",
    epilog=examples(
        "smart-filter jobs cancel ID",
        "smart-filter jobs cancel --tenant acme",
    ),
)
@_optional_job_argument
@click.option("--tenant", metavar="NAME", help="Cancel all unfinished jobs of this tenant.")
@_yes_option
@_json_option
def cancel(job_id: str | None, tenant: str | None, *, yes: bool, as_json: bool) -> None:
    """Cancel a job, or all unfinished jobs of a tenant.

    A single job is canceled over the API. --tenant works on the database in
    SMART_FILTER_DATABASE_URL, else on that of the local stack of `smart-filter up`; on a terminal
    it prints the number of jobs and asks for confirmation.
    """
    named = _parse_job_id(job_id, tenant)
    if tenant is None:
        with open_client() as client:
            job = client.cancel(named)
        _print(job, as_json=as_json)
        return
    # A bare install has only jobs of the API, here and below.
    from smart_filter_deploy.cli.commands.operating import tenants  # noqa: PLC0415

    tenants.cancel_jobs(tenant, asks=not yes, as_json=as_json)


@jobs.command(
    short_help="Retry a failed job, or all failed jobs of a tenant.",
    epilog=examples(
        "smart-filter jobs redrive ID",
        "smart-filter jobs redrive --tenant acme",
    ),
)
@_optional_job_argument
@click.option("--tenant", metavar="NAME", help="Retry all failed jobs of this tenant.")
@_yes_option
@_json_option
def redrive(job_id: str | None, tenant: str | None, *, yes: bool, as_json: bool) -> None:
    """Retry a failed job from its last successful stages with fresh attempts, or all of a tenant.

    Uses the same servers, and asks for confirmation, as `cancel` does.
    """
    named = _parse_job_id(job_id, tenant)
    if tenant is None:
        with open_client() as client:
            job = client.redrive(named)
        _print(job, as_json=as_json)
        return
    from smart_filter_deploy.cli.commands.operating import tenants  # noqa: PLC0415

    tenants.redrive_jobs(tenant, asks=not yes, as_json=as_json)


def _parse_job_id(job_id: str | None, tenant: str | None) -> str:
    """Return the job's id, or "" with a tenant; ends the command unless one of both is given."""
    if job_id is not None and tenant is not None:
        raise click.UsageError("give ID or --tenant, not both")
    if job_id is None and tenant is None:
        raise click.UsageError("give a job ID, or --tenant NAME for all jobs of a tenant")
    return job_id or ""


def _print(job: Job, *, as_json: bool) -> None:
    if as_json:
        print_json(dict(job.document))
        return
    console = EscapingConsole(highlight=False)
    console.print(
        Text.assemble((job.id, "bold"), "  ", _state(job), "  ", (_format_created(job), "dim"))
    )
    print_stages(console, job)
    print_findings(console, job)


def _table_row(job: Job) -> tuple[Text | str, ...]:
    background = job.background
    return (
        job.id,
        _state(job),
        _format_created(job),
        "" if background is None else background.name or background.kind,
        "" if job.rating is None else f"{job.rating.score:.2f}",
        "" if job.error is None else job.error.code,
    )


def _state(job: Job) -> Text:
    return Text(job.state, style=STATE_STYLES.get(job.state, ""))


def _format_created(job: Job) -> str:
    """Return the local creation time: the time of day for today's jobs, else the date."""
    if job.created_at is None:
        return ""
    local = job.created_at.astimezone()
    is_today = local.date() == dt.datetime.now(local.tzinfo).date()
    return f"{local:%H:%M:%S}" if is_today else f"{local:%Y-%m-%d}"
