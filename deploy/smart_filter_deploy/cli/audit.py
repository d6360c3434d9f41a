"""`smart-filter audit`: whether any work was lost, doubled or orphaned."""

import json
from dataclasses import asdict

import click

from smart_filter_deploy.cli.endings import ALL_SUCCEEDED, PHOTO_FAILED, needing
from smart_filter_deploy.cli.examples import examples
from smart_filter_deploy.cli.terminal import tell


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
    help="Tell at most so many findings of a kind.",
)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_context
def audit(ctx: click.Context, *, limit: int, as_json: bool) -> None:
    """Look for work that was lost, doubled or orphaned, while the service runs.

    Compares the rows of jobs with each other, with the deliveries of webhooks, with what is counted
    and with the objects in storage; changes nothing. Status 1 when something is found, each with
    what to do about it.

    Database and storage: those that SMART_FILTER_DATABASE_URL and _STORAGE_URL name, else those of
    the stack that is up here.
    """
    with needing("api"):
        # The server's packages are not part of a bare install.
        from smart_filter_deploy.cli.servers import reached  # noqa: PLC0415
        from smart_filter_shared.db import sessions  # noqa: PLC0415
        from smart_filter_shared.jobs import audit as auditing  # noqa: PLC0415

    with reached() as at_hand:
        engine, store = at_hand.servers.engine, at_hand.servers.store
        with sessions.transaction(engine) as connection:
            findings = auditing.rows(connection, most=limit)
        findings += auditing.objects(engine, store, most=limit)
    if as_json:
        click.echo(json.dumps({"findings": [asdict(finding) for finding in findings]}))
    elif not findings:
        tell("nothing is lost, doubled or orphaned")
    else:
        for finding in findings:
            tell(f"{finding.fault}: {finding.subject}: not so: {finding.rule}; {finding.fix}")
    ctx.exit(PHOTO_FAILED if findings else ALL_SUCCEEDED)
