"""`smart-filter models`: lists, measures and downloads models and their weights."""

import click

from smart_filter_deploy.cli.terminal.lazy_group import CommandEntry, LazyGroup
from smart_filter_deploy.cli.terminal.text import examples

_COMMANDS = {
    "admit": CommandEntry("weights", "Add your own weights file."),
    "bench": CommandEntry("bench", "Measure time and memory of models."),
    "list": CommandEntry("cards:list_", "List the models of the server."),
    "promote": CommandEntry("versions", "Make weights live."),
    "pull": CommandEntry("weights", "Download weights."),
    "register": CommandEntry("versions", "Register a weights file as a candidate for a model."),
    "remove": CommandEntry("weights", "Remove a weights file."),
    "rollback": CommandEntry("versions", "Return to the previous weights."),
    "show": CommandEntry("cards", "Show a model card."),
    "verify": CommandEntry("weights", "Verify the digest of every weights file."),
    "versions": CommandEntry("versions", "List trained weights, latest first."),
}


@click.group(
    cls=LazyGroup,
    package=__name__,
    sections={"Commands": _COMMANDS},
    epilog=examples(
        "smart-filter models list --all",
        "smart-filter models show people",
    ),
)
def models() -> None:
    """List and measure models; download, verify, add, promote and remove weights."""
