"""`smart-filter queues`: what waits for each capability, and whether anybody may claim it."""

import click

from smart_filter_deploy.cli.endings import needing
from smart_filter_deploy.cli.examples import examples

_json_option = click.option("--json", "as_json", is_flag=True, help="For programs.")
_capability_argument = click.argument("capability", metavar="CAPABILITY")


@click.group(
    epilog=examples(
        "smart-filter queues list",
        "smart-filter queues pause segmentation.people",
    )
)
def queues() -> None:
    """Show, pause and resume what waits for each capability.

    In the database that SMART_FILTER_DATABASE_URL names, else in that of the stack that
    `smart-filter up` runs on the data folder.
    """


@queues.command(
    "list",
    short_help="List all queues.",
    epilog=examples(
        "smart-filter queues list",
        "smart-filter queues list --json | jq '.items[] | select(.paused_at)'",
    ),
)
@_json_option
def list_(*, as_json: bool) -> None:
    """List all queues: what waits, is ready and runs, who serves them, which are paused."""
    with needing("api"):
        # The server's packages are not part of a bare install, here and below.
        from smart_filter_deploy.cli import queue_list  # noqa: PLC0415

    queue_list.show(as_json=as_json)


@queues.command(epilog=examples("smart-filter queues show face.centerface --limit 50"))
@_capability_argument
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most so many."
)
@_json_option
def show(capability: str, *, limit: int, as_json: bool) -> None:
    """Show what is claimed next from a queue, the next one first."""
    with needing("api"):
        from smart_filter_deploy.cli import queue_list  # noqa: PLC0415

    queue_list.show_head(capability, limit=limit, as_json=as_json)


@queues.command(
    short_help="Let nobody claim from a queue any more.",
    epilog=examples("smart-filter queues pause segmentation.people"),
)
@_capability_argument
@_json_option
def pause(capability: str, *, as_json: bool) -> None:
    """Let nobody claim from a queue any more, until it is resumed.

    What runs is finished; what comes is accepted, and waits. Deadlines go on.
    """
    with needing("api"):
        from smart_filter_deploy.cli import queue_list  # noqa: PLC0415

    queue_list.pause(capability, as_json=as_json)


@queues.command(epilog=examples("smart-filter queues resume segmentation.people"))
@_capability_argument
@_json_option
def resume(capability: str, *, as_json: bool) -> None:
    """Let workers claim from a queue again."""
    with needing("api"):
        from smart_filter_deploy.cli import queue_list  # noqa: PLC0415

    queue_list.resume(capability, as_json=as_json)
