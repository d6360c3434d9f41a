"""`smart-filter worker-health`: the health check of containers with workers or senders.

Containers run it every few seconds while they start, so it imports little.
"""

import os
import socket

import click

from smart_filter_deploy.cli.commands.options import json_option
from smart_filter_deploy.cli.server import database
from smart_filter_deploy.cli.terminal.exit_codes import ALL_SUCCEEDED, PHOTO_FAILED, CommandError
from smart_filter_deploy.cli.terminal.text import examples, print_json, print_line
from smart_filter_shared.config import settings
from smart_filter_shared.queue import worker_registry
from smart_filter_shared.queue.worker_registry import WorkerState


@click.command(epilog=examples("smart-filter worker-health"))
@json_option
def worker_health(*, as_json: bool) -> None:
    """Check the health of the workers and senders of this machine or container.

    A process is healthy if it sent a recent heartbeat and its threads take the work that waits.
    Exits with 1 if one is not. Reads SMART_FILTER_DATABASE_URL.
    """
    with database.transaction() as connection:
        signs = worker_registry.last_seen(
            connection, socket.gethostname(), silent_seconds=settings.load_engine().lease_seconds
        )
    # A killed process stays in the database until its lease time passes.
    here = [sign for sign in signs if _is_alive(sign.pid)]
    well = {WorkerState.READY, WorkerState.BUSY, WorkerState.DRAINING}
    is_well = bool(here) and all(sign.state in well for sign in here)
    if as_json:
        workers = [
            {
                "pid": sign.pid,
                "state": sign.state,
                "age_seconds": round(sign.age_seconds, 1),
                "failed": dict(sign.failed),
            }
            for sign in here
        ]
        print_json({"well": is_well, "workers": workers})
        raise click.exceptions.Exit(ALL_SUCCEEDED if is_well else PHOTO_FAILED)
    if not here:
        raise CommandError(
            "no worker or sender of this machine has reached the database", PHOTO_FAILED
        )
    lines = [
        f"worker {sign.pid}: {sign.state}, last heartbeat {sign.age_seconds:.0f} s ago"
        + "".join(f"; {capability}: {why}" for capability, why in sorted(sign.failed.items()))
        for sign in here
    ]
    if not is_well:
        raise CommandError("; ".join(lines), PHOTO_FAILED)
    for line in lines:
        print_line(line)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
