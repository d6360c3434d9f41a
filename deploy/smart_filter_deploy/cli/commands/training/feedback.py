"""`smart-filter feedback`: builds, lists and exports data sets of user corrections."""

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path

import click

from smart_filter_deploy.cli.commands.options import FOLDER, json_option
from smart_filter_deploy.cli.server import backends, database
from smart_filter_deploy.cli.terminal.exit_codes import CommandError
from smart_filter_deploy.cli.terminal.text import examples, print_json, print_line
from smart_filter_shared.feedback import datasets
from smart_filter_shared.feedback.datasets import Dataset
from smart_filter_shared.pipeline import TaskName
from smart_filter_workers.learning import dataset_export
from smart_filter_workers.learning import register as learning

_task = click.argument("task", type=click.Choice([str(task) for task in datasets.TASKS]))


@click.group(
    epilog=examples(
        "smart-filter feedback build smile",
        "smart-filter feedback list",
    )
)
def feedback() -> None:
    """Build, list and export data sets of corrections given with consent.

    Uses the servers in SMART_FILTER_DATABASE_URL and _STORAGE_URL, else the local stack of
    `smart-filter up`.
    """


@feedback.command("list", epilog=examples("smart-filter feedback list"))
@json_option
def list_(*, as_json: bool) -> None:
    """List data sets, latest first."""
    with database.transaction() as connection:
        listed = datasets.list_datasets(connection)
    if as_json:
        print_json({"items": [_document(dataset) for dataset in listed]})
        return
    if not listed:
        click.echo("no data sets; build one with `smart-filter feedback build TASK`")
    for dataset in listed:
        print_line(_format_version(dataset))


@feedback.command(
    epilog=examples(
        "smart-filter feedback build smile",
        "smart-filter feedback build segmentation --json",
    )
)
@_task
@json_option
def build(task: str, *, as_json: bool) -> None:
    """Build a new version of a task's data set from all current examples.

    Builds nothing if there are no new examples, and says so.
    """
    # Logs go to standard error: programs read standard output.
    with backends.open_backends() as reached, redirect_stdout(sys.stderr):
        built = learning.build_dataset(reached.engine, reached.store, TaskName(task))
    if built is None:
        raise CommandError(
            f"there are no corrections of {task} with consent: clients send them with"
            ' "consent": true (docs/learning.md)'
        )
    print_line(json.dumps(_document(built)) if as_json else _format_version(built))


@feedback.command(epilog=examples("smart-filter feedback show smile 3"))
@_task
@click.argument("version", type=click.IntRange(1))
@json_option
def show(task: str, version: int, *, as_json: bool) -> None:
    """Show the contents of a version and the tenants that contributed."""
    with database.transaction() as connection:
        matching = datasets.list_datasets(connection, task=TaskName(task), version=version)
        items = datasets.list_examples(connection, TaskName(task), version)
    if not matching:
        raise CommandError(f"there is no data set {task} {version}: see `feedback list`")
    if as_json:
        print_json(dataset_export.build_document(matching[0], items))
        return
    print_line(_format_version(matching[0]))
    for item in items:
        counts = ", ".join(f"{number} {what}" for what, number in item.example.counts.items())
        print_line(f"  {item.part} {item.correction_id} of job {item.job_id}: {counts}")


@feedback.command(
    short_help="Export a version to a folder, for training and eval.",
    epilog=examples(
        "smart-filter feedback export smile 3 smiles-3/",
        "smart-filter eval smile --data smiles-3/frozen",
    ),
)
@_task
@click.argument("version", type=click.IntRange(1))
@click.argument("folder", metavar="DIR", type=FOLDER)
@json_option
def export(task: str, version: int, folder: Path, *, as_json: bool) -> None:
    """Export a version to a new folder, in the layout of training and `smart-filter eval`.

    DIR/train holds the training split, DIR/frozen the evaluation split.
    """
    with backends.open_backends() as reached:
        exported = dataset_export.export_dataset(
            reached.engine, reached.store, TaskName(task), version, folder
        )
    document = {**_document(exported.data_set), "folder": str(folder)}
    print_line(
        json.dumps(document)
        if as_json
        else f"{_format_version(exported.data_set)}; exported to {folder}"
    )


def _document(data_set: Dataset) -> dict[str, object]:
    return {
        **dataset_export.describe_version(data_set),
        "manifest_digest": data_set.manifest_digest,
    }


def _format_version(data_set: Dataset) -> str:
    parts = ", ".join(f"{number} {part}" for part, number in data_set.items.items())
    gone = f", {data_set.removed} removed since" if data_set.removed else ""
    return f"{data_set.task} {data_set.version}: {parts}{gone}"
