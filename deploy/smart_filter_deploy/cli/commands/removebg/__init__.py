"""`smart-filter removebg`: moves programs written for remove.bg to this service."""

import click

from smart_filter_deploy.cli.terminal.lazy_group import CommandEntry, LazyGroup
from smart_filter_deploy.cli.terminal.text import examples

_COMMANDS = {
    "scan": CommandEntry("scan", "Find the calls of remove.bg in a code base."),
    "check": CommandEntry("check", "Check that a server serves programs for remove.bg."),
    "certificate": CommandEntry("certificate", "Make a certificate to answer as api.remove.bg."),
}


@click.group(
    cls=LazyGroup,
    package=__name__,
    sections={"Commands": _COMMANDS},
    epilog=examples(
        "smart-filter removebg scan ~/src/shop",
        "smart-filter removebg certificate",
        "smart-filter removebg check --key sf_live_…",
    ),
)
def removebg() -> None:
    """Move programs that were written for remove.bg to this service."""
