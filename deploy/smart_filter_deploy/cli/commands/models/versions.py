"""`smart-filter models versions` and its siblings: register, promote, roll back."""

import datetime as dt
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, Final

import click
from sqlalchemy import Connection

from smart_filter_deploy.cli.commands.options import EXISTING_FILE, json_option
from smart_filter_deploy.cli.server import backends, database
from smart_filter_deploy.cli.terminal.exit_codes import CommandError
from smart_filter_deploy.cli.terminal.text import examples, print_json, print_line
from smart_filter_shared import documents
from smart_filter_shared.config.paths import data_folder
from smart_filter_shared.db import sessions
from smart_filter_shared.model_registry import weight_versions
from smart_filter_shared.model_registry.weight_versions import WeightVersion
from smart_filter_shared.pipeline import TaskName
from smart_filter_workers.learning import register as learning_register
from smart_filter_workers.learning.register import RegistrationContext, TrainingInfo
from smart_filter_workers.models import catalog
from smart_filter_workers.weights.trained_weights import MAX_WEIGHTS_BYTES

_DIGEST_PREFIX_CHARACTERS: Final = 12


class _ModelType(click.ParamType[tuple[TaskName, str]]):
    """A model as TASK/NAME."""

    name = "task/name"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[TaskName, str]:
        task, _, name = str(value).partition("/")
        if task not in set(TaskName) or not name:
            tasks = ", ".join(TaskName)
            self.fail(f"is not TASK/NAME such as smile/expression; tasks: {tasks}", param, ctx)
        return TaskName(task), name


@click.command(
    epilog=examples(
        "smart-filter models versions",
        "smart-filter models versions --model smile/expression --json",
    )
)
@click.option(
    "--model", type=_ModelType(), metavar="TASK/NAME", help="Only versions of this model."
)
@json_option
def versions(*, model: tuple[TaskName, str] | None, as_json: bool) -> None:
    """List trained weights, latest first.

    This and the commands that change versions use the database in SMART_FILTER_DATABASE_URL, else
    that of the local stack of `smart-filter up`.
    """
    task, name = model or (None, None)
    with database.transaction() as connection:
        listed = weight_versions.list_versions(connection, task=task, model=name)
    if as_json:
        print_json({"items": [_document(version) for version in listed]})
        return
    if not listed:
        click.echo("no registered weights; add some with `smart-filter models register`")
    for version in listed:
        print_line(_format_version(version))


@click.command(
    epilog=examples(
        "smart-filter models register model.onnx --model smile/expression --metrics m.json",
    )
)
@click.argument("file", type=EXISTING_FILE)
@click.option(
    "--model",
    type=_ModelType(),
    required=True,
    metavar="TASK/NAME",
    help="Model that the weights belong to.",
)
@click.option(
    "--metrics",
    type=EXISTING_FILE,
    required=True,
    help="Metrics file that compares them with the live weights (docs/learning.md).",
)
@click.option(
    "--trained-on", default="", metavar="TEXT", help="Description of the training pictures."
)
@click.option("--data-set", type=click.IntRange(1), metavar="N", help="Version of the data set.")
@click.option("--parent", metavar="DIGEST", help="Weights that training started from.")
@json_option
def register(
    file: Path,
    *,
    model: tuple[TaskName, str],
    metrics: Path,
    trained_on: str,
    data_set: int | None,
    parent: str | None,
    as_json: bool,
) -> None:
    """Register a weights file as a candidate for a model.

    Loads the model with the weights, runs it once, and uploads the file for all workers.
    """
    figures = _metrics(metrics)
    task, name = model
    training = TrainingInfo(figures, trained_on, dt.datetime.now(dt.UTC), data_set, parent)
    try:
        content = documents.read_file(file, most_bytes=MAX_WEIGHTS_BYTES)
    except (OSError, ValueError) as error:
        raise CommandError(f"{file} cannot be read: {error}") from error
    # Logs go to standard error: programs read standard output.
    with backends.open_backends() as reached, redirect_stdout(sys.stderr):
        place = RegistrationContext(
            reached.engine, reached.store, catalog.discover_models(), data_folder() / "weights"
        )
        version = learning_register.register_weights(
            place, content, task=task, model=name, training=training
        )
    _print_version(version, as_json=as_json)
    # An existing version stays unchanged, with the start time of its own training.
    if version.trained.trained_at != training.trained_at and not as_json:
        click.echo("already registered; its figures are unchanged")


@click.command(
    short_help="Make weights live.",
    epilog=examples("smart-filter models promote 3f2a91bc"),
)
@click.argument("digest")
@click.option("--anyway", is_flag=True, help="Promote even if worse or not compared.")
@json_option
def promote(digest: str, *, anyway: bool, as_json: bool) -> None:
    """Make weights live for jobs submitted from now on."""
    with _open_version(digest) as (connection, whole):
        version = weight_versions.promote(connection, whole, anyway=anyway)
    _print_version(version, as_json=as_json)


@click.command(
    short_help="Return to the previous weights.",
    epilog=examples("smart-filter models rollback smile/expression"),
)
@click.argument("model", type=_ModelType(), metavar="TASK/NAME")
@json_option
def rollback(model: tuple[TaskName, str], *, as_json: bool) -> None:
    """Replace the live weights of a model with the previous ones."""
    task, name = model
    with database.transaction() as connection:
        retired, now = weight_versions.rollback(connection, task, name)
    if as_json:
        click.echo(
            json.dumps({"task": task, "model": name, "retired": retired.digest, "live": now})
        )
        return
    current = "its original weights" if now is None else now[:_DIGEST_PREFIX_CHARACTERS]
    print_line(
        f"{task}/{name}: {retired.digest[:_DIGEST_PREFIX_CHARACTERS]} is retired; live: {current}"
    )


@contextmanager
def _open_version(digest: str) -> Iterator[tuple[Connection, str]]:
    """Open a transaction that makes a version live, and give its full digest.

    Its file must be in storage, because workers wait for a file that they cannot download.
    """
    with backends.open_backends() as reached:
        with sessions.transaction(reached.engine) as connection:
            version = weight_versions.find(connection, digest)
        learning_register.ensure_stored(reached.store, version)
        with sessions.transaction(reached.engine) as connection:
            yield connection, version.digest


def _metrics(path: Path) -> dict[str, Any]:
    try:
        figures = documents.parse_json(documents.read_file(path))
    except (OSError, ValueError) as error:
        raise CommandError(f"{path} is not JSON: {error}") from error
    if not isinstance(figures, dict):
        raise CommandError(f'{path} is not an object such as {{"candidate": {{…}}}}')
    return figures


def _print_version(version: WeightVersion, *, as_json: bool) -> None:
    print_line(json.dumps(_document(version)) if as_json else _format_version(version))


def _document(version: WeightVersion) -> dict[str, object]:
    trained = version.trained
    return {
        "task": trained.task,
        "model": trained.model,
        "digest": trained.digest,
        "state": version.state,
        "metrics": trained.metrics,
        "parent": trained.parent,
        "data_set": trained.data_set,
        "trained_on": trained.trained_on,
        "trained_at": trained.trained_at.isoformat(),
        "created_at": version.created_at.isoformat(),
        "moved_at": version.moved_at.isoformat(),
        "deletions": version.deletions,
    }


def _format_version(version: WeightVersion) -> str:
    trained = version.trained
    on = f", data set {trained.data_set}" if trained.data_set is not None else ""
    figures = trained.metrics.get("candidate")
    shown = figures.items() if isinstance(figures, dict) else ()
    summary = ", ".join(f"{name} {_format_number(value)}" for name, value in shown)
    photos = "1 deletion" if version.deletions == 1 else f"{version.deletions} deletions"
    before = f", trained before {photos}" if version.deletions else ""
    return (
        f"{trained.task}/{trained.model} {trained.digest[:_DIGEST_PREFIX_CHARACTERS]}"
        f" {version.state}{on}: {summary or 'no figures'}{before}"
    )


def _format_number(figure: object) -> str:
    """Return a figure as text; "?" for an entry of unknown form in a metrics file."""
    number = figure[0] if isinstance(figure, list) and figure else None
    if isinstance(number, bool) or not isinstance(number, int | float):
        return "?"
    try:
        return f"{number:g}"
    except OverflowError:
        return "?"
