"""`smart-filter audit`: finds lost, duplicated or orphaned work."""

import json
from dataclasses import asdict

import click

from smart_filter_deploy.cli.terminal.examples import examples
from smart_filter_deploy.cli.terminal.exit_codes import ALL_SUCCEEDED, PHOTO_FAILED, require_extra
from smart_filter_deploy.cli.terminal.text import print_line


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
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def audit(ctx: click.Context, *, limit: int, as_json: bool) -> None:
    """Find lost, duplicated or orphaned work in a running service.

    Compares job rows with each other, with webhook deliveries, counters and objects in storage.
    Changes nothing. Prints each finding with its remedy; exits with 1 if there is one.

    Uses SMART_FILTER_DATABASE_URL and SMART_FILTER_STORAGE_URL, else the local stack of
    `smart-filter up`.
    """
    with require_extra("api"):
        # The server's packages are not part of a bare install.
        from smart_filter_deploy.cli.server.backends import open_backends  # noqa: PLC0415
        from smart_filter_shared.db import sessions  # noqa: PLC0415
        from smart_filter_shared.operations import consistency as auditing  # noqa: PLC0415

    with open_backends() as at_hand:
        engine, store = at_hand.servers.engine, at_hand.servers.store
        with sessions.transaction(engine) as connection:
            findings = auditing.check_rows(connection, most=limit)
        findings += auditing.check_objects(engine, store, most=limit)
    if as_json:
        click.echo(json.dumps({"findings": [asdict(finding) for finding in findings]}))
    elif not findings:
        print_line("nothing is lost, duplicated or orphaned")
    else:
        for finding in findings:
            print_line(
                f"{finding.fault}: {finding.subject}: violates: {finding.rule}; {finding.fix}"
            )
    ctx.exit(PHOTO_FAILED if findings else ALL_SUCCEEDED)
