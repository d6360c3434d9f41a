"""`smart-filter queues`: shows, pauses and resumes the queue of each capability."""

import click

from smart_filter_deploy.cli.terminal.examples import examples
from smart_filter_deploy.cli.terminal.exit_codes import require_extra

_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_capability_argument = click.argument("capability", metavar="CAPABILITY")


@click.group(
    epilog=examples(
        "smart-filter queues list",
        "smart-filter queues pause segmentation.people",
    )
)
def queues() -> None:
    """Show, pause and resume queues; each capability has one.

    Uses the database in SMART_FILTER_DATABASE_URL, else that of the local stack that
    `smart-filter up` runs on the data folder.
    """


@queues.command(
    "list",
    short_help="List queues.",
    epilog=examples(
        "smart-filter queues list",
        "smart-filter queues list --json | jq '.items[] | select(.paused_at)'",
    ),
)
@_json_option
def list_(*, as_json: bool) -> None:
    """List queues with their waiting, ready and running stages, workers and pauses."""
    with require_extra("api"):
        # The server's packages are not part of a bare install, here and below.
        from smart_filter_deploy.cli.commands import queue_actions  # noqa: PLC0415

    queue_actions.print_queues(as_json=as_json)


@queues.command(epilog=examples("smart-filter queues show face.centerface --limit 50"))
@_capability_argument
@click.option(
    "--limit",
    type=click.IntRange(1, 1000),
    default=20,
    show_default=True,
    help="Maximum number of stages.",
)
@_json_option
def show(capability: str, *, limit: int, as_json: bool) -> None:
    """Show the next stages of a queue in claim order."""
    with require_extra("api"):
        from smart_filter_deploy.cli.commands import queue_actions  # noqa: PLC0415

    queue_actions.print_head(capability, limit=limit, as_json=as_json)


@queues.command(
    short_help="Stop workers from claiming from a queue.",
    epilog=examples("smart-filter queues pause segmentation.people"),
)
@_capability_argument
@_json_option
def pause(capability: str, *, as_json: bool) -> None:
    """Stop workers from claiming from a queue until it is resumed.

    Running stages finish. New jobs are accepted and wait. Deadlines still apply.
    """
    with require_extra("api"):
        from smart_filter_deploy.cli.commands import queue_actions  # noqa: PLC0415

    queue_actions.pause(capability, as_json=as_json)


@queues.command(epilog=examples("smart-filter queues resume segmentation.people"))
@_capability_argument
@_json_option
def resume(capability: str, *, as_json: bool) -> None:
    """Let workers claim from a queue again."""
    with require_extra("api"):
        from smart_filter_deploy.cli.commands import queue_actions  # noqa: PLC0415

    queue_actions.resume(capability, as_json=as_json)
