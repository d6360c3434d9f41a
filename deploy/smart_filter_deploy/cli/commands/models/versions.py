"""`smart-filter models versions` and its siblings: register, shadow, promote, roll back."""

import dataclasses
import datetime as dt
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, Final

import click
from sqlalchemy import Connection

from smart_filter_deploy.cli.commands.options import json_option
from smart_filter_deploy.cli.server import backends, database
from smart_filter_deploy.cli.terminal.exit_codes import WRONG_USAGE, CommandError
from smart_filter_deploy.cli.terminal.text import examples, print_json, print_line
from smart_filter_shared import documents
from smart_filter_shared.config.paths import data_folder
from smart_filter_shared.db import sessions
from smart_filter_shared.model_registry import published_models, shadow_results, weight_versions
from smart_filter_shared.model_registry.weight_versions import WeightVersion
from smart_filter_shared.pipeline import TaskName
from smart_filter_workers.learning import register as learning_register
from smart_filter_workers.learning.register import RegistrationContext, TrainingInfo
from smart_filter_workers.models import catalog
from smart_filter_workers.weights.trained_weights import MAX_WEIGHTS_BYTES

_DIGEST_PREFIX_CHARACTERS: Final = 12
# Meaning of a shadow's figures, per photo (smart_filter_workers.learning.shadow_run).
_FIGURE_MEANINGS: Final = {
    "iou": "agreement of both mattes",
    "coverage": "difference in coverage",
    "level": "share of faces with the same level",
    "score": "difference in scores",
    "eyes": "share of eyes with the same answer",
    "turns": "1 where the orientation is the same",
    "faces": "1 where the number of faces is the same",
    "seconds": "time taken",
}


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
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--model",
    type=_ModelType(),
    required=True,
    metavar="TASK/NAME",
    help="Model that the weights belong to.",
)
@click.option(
    "--metrics",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
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
        raise CommandError(f"{file} cannot be read: {error}", WRONG_USAGE) from error
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
    short_help="Run weights in shadow on a share of jobs.",
    epilog=examples("smart-filter models shadow 3f2a91bc --share 0.2"),
)
@click.argument("digest")
@click.option(
    "--share",
    type=click.FloatRange(0, 1),
    default=0.2,
    show_default=True,
    help="Share of jobs to shadow; 0 stops.",
)
@json_option
def shadow(digest: str, *, share: float, as_json: bool) -> None:
    """Run weights in shadow on a share of jobs; their results are recorded, not returned."""
    with _open_version(digest, is_run=share > 0) as (connection, whole):
        version = weight_versions.set_shadow(connection, whole, share=share)
    _print_version(version, as_json=as_json)


@click.command(
    "compare-shadow",
    short_help="Compare shadow results with the live weights.",
    epilog=examples("smart-filter models compare-shadow 3f2a91bc"),
)
@click.argument("digest")
@json_option
def compare_shadow(digest: str, *, as_json: bool) -> None:
    """Show how far shadow results agree with the live weights."""
    with database.transaction() as connection:
        version = weight_versions.find(connection, digest)
        place = version.trained.task, version.trained.model
        published = published_models.list_models(connection)
        against = next(
            (
                model.live or model.card.digest
                for model in published
                if (model.card.task, model.card.name) == place
            ),
            None,
        )
        report = shadow_results.read_report(connection, version.digest, against=against)
    if as_json:
        figures = {name: dataclasses.asdict(figure) for name, figure in report.figures.items()}
        document = {"digest": version.digest, "against": against, "photos": report.photos}
        print_json({**document, "errors": report.errors, "figures": figures})
        return
    print_line(_format_version(version))
    if report.photos == 0:
        click.echo("no photos yet, compared with the current live weights")
        return
    compared = report.photos - report.errors
    print_line(f"ran on {_count_photos(report.photos)}; failed on {report.errors}")
    if compared:
        print_line(f"agreement with the live weights, on {_count_photos(compared)}")
        click.echo("(agreement, not accuracy: mean ± 95 %, minimum to maximum)")
    for name, figure in report.figures.items():
        meaning = f", {_FIGURE_MEANINGS[name]}" if name in _FIGURE_MEANINGS else ""
        shown = f"{figure.mean:.4f} ± {figure.half:.4f}, {figure.least:.4f} to {figure.most:.4f}"
        print_line(f"  {name}{meaning}: {shown}")
    if report.error is not None:
        print_line(f"  example of an error: {report.error}")


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
def _open_version(digest: str, *, is_run: bool = True) -> Iterator[tuple[Connection, str]]:
    """Open a transaction that changes a version, and give its full digest.

    is_run: whether workers will run it. Its file must then be in storage, because workers wait for
    a file that they cannot download.
    """
    with backends.open_backends() as reached:
        with sessions.transaction(reached.engine) as connection:
            version = weight_versions.find(connection, digest)
        if is_run:
            learning_register.ensure_stored(reached.store, version)
        with sessions.transaction(reached.engine) as connection:
            yield connection, version.digest


def _metrics(path: Path) -> dict[str, Any]:
    try:
        figures = documents.parse_json(documents.read_file(path))
    except (OSError, ValueError) as error:
        raise CommandError(f"{path} is not JSON: {error}", WRONG_USAGE) from error
    if not isinstance(figures, dict):
        raise CommandError(f'{path} is not an object such as {{"candidate": {{…}}}}', WRONG_USAGE)
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
        "share": version.share,
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
    share = "" if version.share is None else f" of {version.share:.0%} of jobs"
    on = f", data set {trained.data_set}" if trained.data_set is not None else ""
    figures = trained.metrics.get("candidate")
    shown = figures.items() if isinstance(figures, dict) else ()
    summary = ", ".join(f"{name} {_format_number(value)}" for name, value in shown)
    photos = "1 deletion" if version.deletions == 1 else f"{version.deletions} deletions"
    before = f", trained before {photos}" if version.deletions else ""
    return (
        f"{trained.task}/{trained.model} {trained.digest[:_DIGEST_PREFIX_CHARACTERS]}"
        f" {version.state}{share}{on}: {summary or 'no figures'}{before}"
    )


def _count_photos(count: int) -> str:
    return "1 photo" if count == 1 else f"{count} photos"


def _format_number(figure: object) -> str:
    """Return a figure as text; "?" for an entry of unknown form in a metrics file."""
    number = figure[0] if isinstance(figure, list) and figure else None
    if isinstance(number, bool) or not isinstance(number, int | float):
        return "?"
    try:
        return f"{number:g}"
    except OverflowError:
        return "?"
