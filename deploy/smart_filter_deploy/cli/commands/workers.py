"""`smart-filter workers`: shows, drains and resumes worker processes."""

import click

from smart_filter_deploy.cli.terminal.examples import examples
from smart_filter_deploy.cli.terminal.exit_codes import require_extra

_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_worker_argument = click.argument("worker_id", metavar="ID")


@click.group(
    epilog=examples(
        "smart-filter workers list",
        "smart-filter workers drain ID",
    )
)
def workers() -> None:
    """Show, drain and resume worker processes.

    Uses the database in SMART_FILTER_DATABASE_URL, else that of the local stack that
    `smart-filter up` runs on the data folder.
    A unique prefix of an ID is enough.
    """


@workers.command(
    "list",
    short_help="List worker processes.",
    epilog=examples(
        "smart-filter workers list",
        "smart-filter workers list --json | jq -r '.items[].state'",
    ),
)
@_json_option
def list_(*, as_json: bool) -> None:
    """List worker processes with their state, capabilities and running stages."""
    with require_extra("api"):
        # The server's packages are not part of a bare install, here and below.
        from smart_filter_deploy.cli.commands import worker_actions  # noqa: PLC0415

    worker_actions.print_workers(as_json=as_json)


@workers.command(epilog=examples("smart-filter workers show ID"))
@_worker_argument
@_json_option
def show(worker_id: str, *, as_json: bool) -> None:
    """Show the stages that a worker is running."""
    with require_extra("api"):
        from smart_filter_deploy.cli.commands import worker_actions  # noqa: PLC0415

    worker_actions.print_worker(worker_id, as_json=as_json)


@workers.command(
    short_help="Let a worker finish its stages and claim no more.",
    epilog=examples("smart-filter workers drain ID"),
)
@_worker_argument
@_json_option
def drain(worker_id: str, *, as_json: bool) -> None:
    """Let a worker finish its stages and claim no more, until it is resumed or stopped.

    Takes effect within a heartbeat. The process keeps running, so that no supervisor restarts it;
    the drain is complete when `workers list` shows it draining with nothing running.
    """
    with require_extra("api"):
        from smart_filter_deploy.cli.commands import worker_actions  # noqa: PLC0415

    worker_actions.drain(worker_id, as_json=as_json)


@workers.command(epilog=examples("smart-filter workers resume ID"))
@_worker_argument
@_json_option
def resume(worker_id: str, *, as_json: bool) -> None:
    """Let a worker claim again."""
    with require_extra("api"):
        from smart_filter_deploy.cli.commands import worker_actions  # noqa: PLC0415

    worker_actions.resume(worker_id, as_json=as_json)
