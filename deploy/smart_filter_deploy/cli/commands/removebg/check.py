"""`smart-filter removebg check`: checks that a server serves programs written for remove.bg."""

import os
from contextlib import nullcontext
from pathlib import Path

import click
from rich.spinner import Spinner

from smart_filter_deploy.cli.commands.options import EXISTING_FILE, json_option
from smart_filter_deploy.cli.removebg import setup_checks
from smart_filter_deploy.cli.server.connection import Server, choose_server
from smart_filter_deploy.cli.terminal.console import EscapingConsole, live_display, print_finding
from smart_filter_deploy.cli.terminal.exit_codes import ALL_SUCCEEDED, NO_SERVER, PHOTO_FAILED
from smart_filter_deploy.cli.terminal.text import examples, print_json
from smart_filter_deploy.doctor.findings import Level


@click.command(
    epilog=examples(
        "smart-filter removebg check",
        "smart-filter removebg check --url https://cutout.example.com --key sf_live_…",
        "smart-filter removebg check --ca ca.pem --json",
    )
)
@click.option(
    "--url",
    metavar="URL",
    help="Base URL of the server. Default: SMART_FILTER_URL, else the running local stack.",
)
@click.option(
    "--key",
    metavar="K",
    help="Key that programs will send. Default: SMART_FILTER_API_KEY, which other users of this"
    " machine cannot see.",
)
@click.option(
    "--ca",
    type=EXISTING_FILE,
    metavar="FILE",
    help="Certificate authority to trust besides the public ones (PEM).",
)
@json_option
def check(url: str | None, key: str | None, ca: Path | None, *, as_json: bool) -> int:
    """Check that programs written for remove.bg work with a server, from the network to a picture.

    Prints one line per check: ok, warn or fail, with what to do. Sends two small photos, which
    become jobs of the key's tenant. Exits with 1 if a check failed, with 3 if no server answers.
    """
    server = _choose_server(url, key)
    console = EscapingConsole(highlight=False)
    looking = Spinner("dots", "checking", style="cyan")
    findings = []
    with nullcontext() if as_json else live_display(console, lambda: looking, transient=True):
        for finding in setup_checks.run_checks(server, ca=ca):
            findings.append(finding)
            if not as_json:
                print_finding(console, finding)
    failed = [finding.what for finding in findings if finding.level == Level.FAIL]
    if as_json:
        print_json({"ok": not failed, "findings": [finding.as_json() for finding in findings]})
    if "server" in failed:
        return NO_SERVER
    return PHOTO_FAILED if failed else ALL_SUCCEEDED


def _choose_server(url: str | None, key: str | None) -> Server:
    """Return the server of the options, else of the environment, else the local stack."""
    if url:
        return Server(url, key or os.environ.get("SMART_FILTER_API_KEY", ""))
    server = choose_server()
    return Server(server.url, key) if key else server
