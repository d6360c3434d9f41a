"""`smart-filter removebg`: for programs that were written for remove.bg."""

import click

from smart_filter_deploy.cli.terminal.lazy_group import CommandEntry, LazyGroup
from smart_filter_deploy.cli.terminal.text import examples

_COMMANDS = {
    "check": CommandEntry("check", "Check that a server serves programs for remove.bg."),
}


@click.group(
    cls=LazyGroup,
    package=__name__,
    sections={"Commands": _COMMANDS},
    epilog=examples("smart-filter removebg check --key sf_live_…"),
)
def removebg() -> None:
    """Serve programs that were written for remove.bg."""
