"""`smart-filter audit`: finds lost, duplicated or orphaned work."""

from dataclasses import asdict

import click

from smart_filter_deploy.cli.commands.options import json_option
from smart_filter_deploy.cli.server.backends import open_backends
from smart_filter_deploy.cli.terminal.exit_codes import ALL_SUCCEEDED, PHOTO_FAILED
from smart_filter_deploy.cli.terminal.text import examples, print_json, print_line
from smart_filter_shared.db import sessions
from smart_filter_shared.operations import consistency


@click.command(
    epilog=examples(
        "smart-filter audit",
        "smart-filter audit --json | jq -r '.findings[].subject'",
    )
)
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=100,
    show_default=True,
    help="Maximum number of findings to print per kind.",
)
@json_option
@click.pass_context
def audit(ctx: click.Context, *, limit: int, as_json: bool) -> None:
    """Find lost, duplicated or orphaned work in a running service.

    Compares job rows with each other, with webhook deliveries, counters and objects in storage.
    Changes nothing. Prints each finding with its remedy; exits with 1 if there is one.

    Uses SMART_FILTER_DATABASE_URL and SMART_FILTER_STORAGE_URL, else the local stack of
    `smart-filter up`.
    """
    with open_backends() as at_hand:
        with sessions.transaction(at_hand.engine) as connection:
            findings = consistency.check_rows(connection, most=limit)
        findings += consistency.check_objects(at_hand.engine, at_hand.store, most=limit)
    if as_json:
        print_json({"findings": [asdict(finding) for finding in findings]})
    elif not findings:
        print_line("nothing is lost, duplicated or orphaned")
    else:
        for finding in findings:
            print_line(
                f"{finding.fault}: {finding.subject}: violates: {finding.rule}; {finding.fix}"
            )
    ctx.exit(PHOTO_FAILED if findings else ALL_SUCCEEDED)
