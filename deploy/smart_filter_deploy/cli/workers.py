"""`smart-filter workers`: which processes there are, and which claim no more."""

import click

from smart_filter_deploy.cli.endings import needing
from smart_filter_deploy.cli.examples import examples

_json_option = click.option("--json", "as_json", is_flag=True, help="For programs.")
_worker_argument = click.argument("worker_id", metavar="ID")


@click.group(
    epilog=examples(
        "smart-filter workers list",
        "smart-filter workers drain ID",
    )
)
def workers() -> None:
    """Show, drain and resume worker processes.

    In the database that SMART_FILTER_DATABASE_URL names, else in that of the stack that
    `smart-filter up` runs on the data folder. Of an ID its beginning is enough, if no
    other begins so.
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
    """List worker processes: how each is, what it serves, how much it has at hand."""
    with needing("api"):
        # The server's packages are not part of a bare install, here and below.
        from smart_filter_deploy.cli import worker_list  # noqa: PLC0415

    worker_list.show(as_json=as_json)


@workers.command(epilog=examples("smart-filter workers show ID"))
@_worker_argument
@_json_option
def show(worker_id: str, *, as_json: bool) -> None:
    """Show which stages a worker has at hand."""
    with needing("api"):
        from smart_filter_deploy.cli import worker_list  # noqa: PLC0415

    worker_list.show_one(worker_id, as_json=as_json)


@workers.command(
    short_help="Let a worker finish what it has and claim no more.",
    epilog=examples("smart-filter workers drain ID"),
)
@_worker_argument
@_json_option
def drain(worker_id: str, *, as_json: bool) -> None:
    """Let a worker finish what it has and claim no more, until it is resumed or stopped.

    It learns of it within a heartbeat. The process stays, so that nothing starts it again; it is
    done when `workers list` shows it draining with nothing running.
    """
    with needing("api"):
        from smart_filter_deploy.cli import worker_list  # noqa: PLC0415

    worker_list.drain(worker_id, as_json=as_json)


@workers.command(epilog=examples("smart-filter workers resume ID"))
@_worker_argument
@_json_option
def resume(worker_id: str, *, as_json: bool) -> None:
    """Let a worker claim again."""
    with needing("api"):
        from smart_filter_deploy.cli import worker_list  # noqa: PLC0415

    worker_list.resume(worker_id, as_json=as_json)
