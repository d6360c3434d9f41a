"""`smart-filter worker-health`: whether workers and senders of this machine are well."""

import json
import os
import socket

import click

from smart_filter_deploy.cli.endings import ALL_SUCCEEDED, PHOTO_FAILED, Ending, needing
from smart_filter_deploy.cli.examples import examples
from smart_filter_deploy.cli.terminal import tell


@click.command(epilog=examples("smart-filter worker-health"))
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def worker_health(*, as_json: bool) -> None:
    """Say whether workers and senders of this machine, or container, can work; else end with 1.

    Well is who was heard from lately, and has heard from broker and database itself; a sender
    needs no broker.
    Asks the database, which is named by SMART_FILTER_DATABASE_URL.
    """
    with needing("worker"):
        from smart_filter_deploy.cli import database  # noqa: PLC0415
        from smart_filter_shared import settings  # noqa: PLC0415
        from smart_filter_shared.jobs import presence  # noqa: PLC0415
        from smart_filter_shared.jobs.presence import WorkerState  # noqa: PLC0415

        with database.transaction() as connection:
            signs = presence.signs(
                connection, socket.gethostname(), silent_seconds=settings.engine().lease_seconds
            )
    # What was killed is in the database until its silence has lasted.
    here = [one for one in signs if _lives(one.pid)]
    well = {WorkerState.READY, WorkerState.BUSY, WorkerState.DRAINING}
    is_well = bool(here) and all(one.state in well for one in here)
    if as_json:
        workers = [
            {
                "pid": one.pid,
                "state": one.state,
                "age_seconds": round(one.age_seconds, 1),
                "failed": dict(one.failed),
            }
            for one in here
        ]
        tell(json.dumps({"well": is_well, "workers": workers}))
        raise click.exceptions.Exit(ALL_SUCCEEDED if is_well else PHOTO_FAILED)
    if not here:
        raise Ending("no worker or sender of this machine has reached the database", PHOTO_FAILED)
    told = [
        f"worker {one.pid}: {one.state}, heard {one.age_seconds:.0f} s ago"
        + "".join(f"; {capability}: {why}" for capability, why in sorted(one.failed.items()))
        for one in here
    ]
    if not is_well:
        raise Ending("; ".join(told), PHOTO_FAILED)
    for line in told:
        tell(line)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
