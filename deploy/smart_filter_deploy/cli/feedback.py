"""`smart-filter feedback`: data sets of what people corrected, for training."""

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import click

from smart_filter_deploy.cli.endings import WRONG_USAGE, Ending, needing
from smart_filter_deploy.cli.examples import examples
from smart_filter_deploy.cli.terminal import tell

if TYPE_CHECKING:
    from smart_filter_shared.jobs.data_sets import DataSet

_json_option = click.option("--json", "as_json", is_flag=True, help="For programs.")
_task = click.argument("task", type=click.Choice(["segmentation", "smile", "eyes"]))


@click.group(
    epilog=examples(
        "smart-filter feedback build smile",
        "smart-filter feedback list",
    )
)
def feedback() -> None:
    """Build, list and export data sets of corrections with consent.

    On the servers that SMART_FILTER_DATABASE_URL and the like name, else on those of the stack
    that `smart-filter up` runs on the data folder.
    """


@feedback.command("list", epilog=examples("smart-filter feedback list"))
@_json_option
def list_(*, as_json: bool) -> None:
    """List the data sets, the latest first."""
    with needing("worker"):
        from smart_filter_deploy.cli import database  # noqa: PLC0415 - no part of a bare install
        from smart_filter_shared.jobs import data_sets  # noqa: PLC0415

    with database.transaction() as connection:
        found = data_sets.listed(connection)
    if as_json:
        click.echo(json.dumps({"items": [_document(one) for one in found]}))
        return
    if not found:
        click.echo("no data set was built; `smart-filter feedback build TASK` does")
    for one in found:
        tell(_line(one))


@feedback.command(
    epilog=examples(
        "smart-filter feedback build smile",
        "smart-filter feedback build segmentation --json",
    )
)
@_task
@_json_option
def build(task: str, *, as_json: bool) -> None:
    """Build a version of a task's data set, of all that there is now.

    Nothing has come since the last one: then that is told.
    """
    with needing("worker"):
        # The server's packages are not part of a bare install.
        from smart_filter_deploy.cli import servers  # noqa: PLC0415
        from smart_filter_shared.cards import TaskName  # noqa: PLC0415
        from smart_filter_workers.learning import feedback as learning  # noqa: PLC0415

    # What is logged on the way is no part of what programs read.
    with servers.reached() as reached, redirect_stdout(sys.stderr):
        built = learning.build(reached.servers.engine, reached.servers.store, TaskName(task))
    if built is None:
        raise Ending(
            f"no correction of {task} with consent is kept: clients send them with"
            ' "consent": true (docs/learning.md)',
            WRONG_USAGE,
        )
    tell(json.dumps(_document(built)) if as_json else _line(built))


@feedback.command(epilog=examples("smart-filter feedback show smile 3"))
@_task
@click.argument("version", type=click.IntRange(1))
@_json_option
def show(task: str, version: int, *, as_json: bool) -> None:
    """Show what a version holds, and whose it is."""
    with needing("worker"):
        from smart_filter_deploy.cli import database  # noqa: PLC0415 - no part of a bare install
        from smart_filter_shared.cards import TaskName  # noqa: PLC0415
        from smart_filter_shared.jobs import data_sets  # noqa: PLC0415
        from smart_filter_workers.learning import manifests  # noqa: PLC0415

    with database.transaction() as connection:
        found = data_sets.listed(connection, task=TaskName(task), version=version)
        items = data_sets.items_of(connection, TaskName(task), version)
    if not found:
        raise Ending(f"there is no data set {task} {version}: see `feedback list`", WRONG_USAGE)
    if as_json:
        click.echo(json.dumps(manifests.document(found[0], items)))
        return
    tell(_line(found[0]))
    for item in items:
        counts = ", ".join(f"{number} {what}" for what, number in item.example.counts.items())
        tell(f"  {item.part} {item.correction_id} of job {item.job_id}: {counts}")


@feedback.command(
    short_help="Write a version into a folder, for training and eval.",
    epilog=examples(
        "smart-filter feedback export smile 3 smiles-3/",
        "smart-filter eval smile --data smiles-3/frozen",
    ),
)
@_task
@click.argument("version", type=click.IntRange(1))
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@_json_option
def export(task: str, version: int, folder: Path, *, as_json: bool) -> None:
    """Write a version into a new folder, as training and `smart-filter eval` read it.

    DIR/train is what models are trained on, DIR/frozen what they are judged by.
    """
    with needing("worker"):
        # The server's packages are not part of a bare install.
        from smart_filter_deploy.cli import servers  # noqa: PLC0415
        from smart_filter_shared.cards import TaskName  # noqa: PLC0415
        from smart_filter_workers.learning import exporting  # noqa: PLC0415

    with servers.reached() as reached:
        engine, store = reached.servers.engine, reached.servers.store
        exported = exporting.export(engine, store, TaskName(task), version, folder)
    told = {**_document(exported.data_set), "folder": str(folder)}
    tell(json.dumps(told) if as_json else f"{_line(exported.data_set)}; it is in {folder}")


def _document(data_set: "DataSet") -> dict[str, object]:
    return {
        "task": data_set.task,
        "version": data_set.version,
        "parent": data_set.parent,
        "created_at": data_set.created_at.isoformat(),
        "items": {str(part): number for part, number in data_set.items.items()},
        "counts": {str(part): dict(counts) for part, counts in data_set.counts.items()},
        "removed": data_set.removed,
        "manifest_digest": data_set.manifest_digest,
    }


def _line(data_set: "DataSet") -> str:
    parts = ", ".join(f"{number} {part}" for part, number in data_set.items.items())
    gone = f", {data_set.removed} removed since" if data_set.removed else ""
    return f"{data_set.task} {data_set.version}: {parts}{gone}"
