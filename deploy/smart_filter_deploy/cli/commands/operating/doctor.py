"""`smart-filter doctor`: checks the installation and prints remedies."""

from contextlib import nullcontext
from pathlib import Path

import click
from rich.spinner import Spinner

from smart_filter_deploy.cli.commands.options import json_option
from smart_filter_deploy.cli.terminal.console import EscapingConsole, live_display, print_finding
from smart_filter_deploy.cli.terminal.exit_codes import ALL_SUCCEEDED, PHOTO_FAILED
from smart_filter_deploy.cli.terminal.text import examples, print_json
from smart_filter_deploy.doctor import checkup
from smart_filter_deploy.doctor.findings import Level


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
    help="Data folder of the stack. Default: SMART_FILTER_DATA, else the platform's data folder.",
)
@click.option("--port", type=click.IntRange(1, 65535), help="Check that this port is free.")
@json_option
@click.pass_context
def doctor(ctx: click.Context, data: Path | None, port: int | None, *, as_json: bool) -> None:
    """Check everything the service needs; print each problem with its remedy.

    Prints one line per check: ok, warn or fail. Exits with 1 if a check failed. Checks the servers
    in SMART_FILTER_*_URL, else those of the running local stack.
    """
    console = EscapingConsole(highlight=False)
    looking = Spinner("dots", style="cyan")
    findings = []
    with nullcontext() if as_json else live_display(console, lambda: looking, transient=True):
        examined = checkup.run_checks(
            data, port=port, on_check=lambda name: looking.update(text=f"checking {name}")
        )
        for finding in examined:
            findings.append(finding)
            if not as_json:
                print_finding(console, finding)
    failed = any(finding.level == Level.FAIL for finding in findings)
    if as_json:
        print_json({"ok": not failed, "findings": [finding.as_json() for finding in findings]})
    ctx.exit(PHOTO_FAILED if failed else ALL_SUCCEEDED)
