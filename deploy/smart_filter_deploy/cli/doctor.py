"""`smart-filter doctor`: what is wrong here, and what puts it right."""

import json
from contextlib import nullcontext
from pathlib import Path

import click
from rich.spinner import Spinner
from rich.text import Text

from smart_filter_deploy.cli.console import Console
from smart_filter_deploy.cli.display import redrawn
from smart_filter_deploy.cli.examples import examples
from smart_filter_deploy.doctor import checkup
from smart_filter_deploy.doctor.findings import Finding, Level

_FAILED = 1
_STYLES = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}


@click.command(
    epilog=examples(
        "smart-filter doctor",
        "smart-filter doctor --port 8000",
        "smart-filter doctor --json | jq '.findings[] | select(.level != \"ok\")'",
    )
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="The stack's folder; else SMART_FILTER_DATA, else the usual place.",
)
@click.option("--port", type=click.IntRange(1, 65535), help="A port that should be free.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_context
def doctor(ctx: click.Context, data: Path | None, port: int | None, *, as_json: bool) -> None:
    """Look at everything that the service needs; tell what is wrong and what puts it right.

    One line for each thing: ok, warn or fail. The status is 1 when something failed. Servers
    that SMART_FILTER_*_URL names are looked at, else those of the stack that is up.
    """
    console = Console(highlight=False)
    looking = Spinner("dots", style="cyan")
    found = []
    with nullcontext() if as_json else redrawn(console, lambda: looking, transient=True):
        examined = checkup.examine(
            data, port=port, on_check=lambda name: looking.update(text=f"looking at {name}")
        )
        for finding in examined:
            found.append(finding)
            if not as_json:
                console.print(_line(finding), soft_wrap=True)
    failed = any(finding.level == Level.FAIL for finding in found)
    if as_json:
        document = {"ok": not failed, "findings": [finding.as_json() for finding in found]}
        click.echo(json.dumps(document))
    ctx.exit(_FAILED if failed else 0)


def _line(finding: Finding) -> Text:
    line = finding.line()
    return Text.assemble((finding.level, _STYLES[finding.level]), Text(line[len(finding.level) :]))
