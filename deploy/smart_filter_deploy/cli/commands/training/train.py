"""`smart-filter train`: trains a model's weights on a folder of pictures."""

import contextlib
import dataclasses
import datetime as dt
import hashlib
import json
import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import click

from smart_filter_deploy.cli.commands.options import PATH, json_option
from smart_filter_deploy.cli.server.backends import open_backends
from smart_filter_deploy.cli.terminal.exit_codes import CommandError
from smart_filter_deploy.cli.terminal.text import examples, print_json, print_line
from smart_filter_shared.artifacts.backends import Backends
from smart_filter_shared.config.paths import data_folder
from smart_filter_shared.db import sessions
from smart_filter_shared.errors import SetupFailed, VersionRefused
from smart_filter_shared.feedback.datasets import Dataset
from smart_filter_shared.feedback.examples import Split
from smart_filter_shared.model_registry import weight_versions
from smart_filter_shared.model_registry.weight_versions import WeightVersion
from smart_filter_training import run, trainable_models
from smart_filter_training.evaluation import tasks
from smart_filter_training.evaluation.confidence_intervals import Figure
from smart_filter_training.preflight import Finding
from smart_filter_training.run import Outcome
from smart_filter_training.trainable_models import RunSettings, TrainableModel
from smart_filter_workers.learning import register
from smart_filter_workers.learning.register import RegistrationContext, TrainingInfo
from smart_filter_workers.models import catalog
from smart_filter_workers.weights.trained_weights import TrainedWeights

# Fewer photos outside of all training do not show which weights are better.
MIN_FROZEN_PHOTOS: Final = 10


@click.command(
    "train",
    epilog=examples(
        "smart-filter train",
        "smart-filter train unet --data people/ --check",
        "smart-filter train expression --from-feedback",
    ),
)
@click.argument("model", required=False)
@click.option(
    "--data",
    type=PATH,
    metavar="DIR",
    help="Folder with pictures and ground truth (docs/training.md).",
)
@click.option(
    "--run",
    "run_folder",
    type=PATH,
    metavar="DIR",
    help="Output folder for weights and the training record; reuse it to resume a run."
    "  [default: training/MODEL-SETTINGS in the data folder]",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="Set a training option; can be repeated.",
)
@click.option(
    "--measure",
    type=PATH,
    metavar="DIR",
    help="Folder with ground truth for the final evaluation.",
)
@click.option(
    "--from-feedback",
    is_flag=True,
    help="Fine-tune on user corrections and register a candidate (docs/learning.md).",
)
@click.option("--check", "only_check", is_flag=True, help="Check the data without training.")
@json_option
def train(
    *,
    model: str | None,
    data: Path | None,
    run_folder: Path | None,
    settings: tuple[str, ...],
    measure: Path | None,
    from_feedback: bool,
    only_check: bool,
    as_json: bool,
) -> None:
    """Train MODEL; without MODEL, list the models that can be trained.

    The same command resumes an interrupted run. SMART_FILTER_RESEARCH_WEIGHTS does not limit
    training: where it is off, workers still refuse the models that it turns off, whatever their
    weights were trained on.
    """
    if model is None:
        _print_models(trainable_models.list_models(), as_json=as_json)
        return
    if from_feedback and (data or measure or only_check):
        raise CommandError(
            "--from-feedback uses user corrections: omit --data, --measure and --check"
        )
    if from_feedback:
        _train_on_feedback(model, settings, run_folder, as_json=as_json)
        return
    if data is None:
        raise CommandError(f"--data is missing: smart-filter train {model} --data DIR")
    try:
        trainable = trainable_models.find_model(model)
        configuration = trainable.configure(settings)
        folder = run_folder or _default_folder(trainable, configuration)
        if only_check:
            _print_findings(run.check(trainable, data, folder, configuration), as_json=as_json)
            return
        outcome = run.run(
            trainable, data, folder, configuration, measure=measure, tell=_print_progress
        )
    except SetupFailed as error:
        raise CommandError(str(error)) from error
    _print_outcome(outcome, as_json=as_json)


def _train_on_feedback(
    model: str, settings: tuple[str, ...], run_folder: Path | None, *, as_json: bool
) -> None:
    try:
        trainable = trainable_models.find_model(model)
        with open_backends() as reached:
            outcome, version = _fine_tune(trainable, reached, settings, run_folder)
    except (SetupFailed, VersionRefused) as error:
        raise CommandError(str(error)) from error
    _print_outcome(outcome, as_json=as_json)
    if not as_json:
        click.echo(f"candidate {version.digest[:12]}: next, `smart-filter models promote`")


def _fine_tune(
    model: TrainableModel, servers: Backends, settings: Sequence[str], run_folder: Path | None
) -> tuple[Outcome, WeightVersion]:
    """Train on all corrections, compare with the live weights, and register a candidate.

    run_folder: of the record; by default one for the data set's version, so that the same command
    resumes a run that was killed.
    Raises SetupFailed, VersionRefused, and TryAgain while servers are unavailable.
    """
    task, name = model.code.CARD.task, model.code.CARD.model
    discovered, weights = catalog.discover_models(), data_folder() / "weights"
    configuration = model.configure_fine_tuning(settings)
    _print_progress("gathering corrections")
    began = dt.datetime.now(dt.UTC)
    data = _build_dataset(servers, model)
    folder = run_folder or _feedback_folder(model, data)
    with _exported_pictures(servers, data, folder / "pictures") as pictures:
        train_folder, frozen = pictures / Split.TRAIN, pictures / Split.FROZEN
        outcome = run.run(
            model, train_folder, folder, configuration, measure=frozen, tell=_print_progress
        )
        _print_progress("comparing with the live weights")
        with sessions.transaction(servers.engine) as connection:
            live = weight_versions.find_live(connection, task, name)
        file = weights / model.code.CARD.file
        if live is not None:
            trained = TrainedWeights(weights, servers.store)
            file = (
                trained.folder_of(discovered.files[task, name].CARD, live.digest)
                / model.code.CARD.file
            )
        live_figures = model.code.measure(file, frozen)
    training = TrainingInfo(
        {
            "count": data.items.get(Split.FROZEN, 0),
            "against": None if live is None else live.digest,
            "candidate": _comparable_figures(model, outcome.test_figures),
            "live": _comparable_figures(model, live_figures),
        },
        trained_on=f"feedback {data.task} {data.version}",
        trained_at=began,
        data_set=data.version,
    )
    version = register.register_weights(
        RegistrationContext(servers.engine, servers.store, discovered, weights),
        outcome.file.read_bytes(),
        task=task,
        model=name,
        training=training,
    )
    return outcome, version


def _build_dataset(servers: Backends, model: TrainableModel) -> Dataset:
    task = model.code.CARD.task
    built = register.build_dataset(servers.engine, servers.store, task)
    if built is None:
        raise SetupFailed(
            f"there are no corrections of {task} with consent: clients send them with"
            ' "consent": true (docs/learning.md)'
        )
    frozen = built.items.get(Split.FROZEN, 0)
    if frozen < MIN_FROZEN_PHOTOS:
        raise SetupFailed(
            f"feedback {task} {built.version} has {frozen} evaluation photos; at least"
            f" {MIN_FROZEN_PHOTOS} are needed: collect more corrections"
        )
    return built


@contextlib.contextmanager
def _exported_pictures(servers: Backends, data: Dataset, folder: Path) -> Iterator[Path]:
    """Yield a temporary folder of a data set's pictures, which are private.

    Each call writes them again, without pictures that were deleted since; a run that used such
    a picture does not resume.
    """
    # A command that was killed leaves its pictures.
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        register.export_latest(servers.engine, servers.store, data.task, folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _comparable_figures(
    model: TrainableModel, figures: Mapping[str, Figure]
) -> dict[str, list[float]]:
    """Return the figures that `smart-filter eval` has too, each with its interval."""
    metrics = {metric.name for metric in tasks.get_task(model.code.CARD.task).METRICS}
    return {
        name: [figure.value, figure.low, figure.high]
        for name, figure in figures.items()
        # With a single class, some figures are NaN.
        if name in metrics and all(map(math.isfinite, dataclasses.astuple(figure)))
    }


def _feedback_folder(model: TrainableModel, data: Dataset) -> Path:
    """Return the run's folder: a new one when examples of the data set were deleted."""
    less = f"-less-{data.removed}" if data.removed else ""
    return data_folder() / "training" / f"{model.name}-feedback-{data.version}{less}"


def _default_folder(model: TrainableModel, configuration: RunSettings) -> Path:
    """Return the run's folder: the same settings resume a run, others start a new one."""
    settings = json.dumps(dataclasses.asdict(configuration), sort_keys=True)
    short = hashlib.sha256(settings.encode()).hexdigest()[:8]
    return data_folder() / "training" / f"{model.name}-{short}"


def _print_models(models: Sequence[TrainableModel], *, as_json: bool) -> None:
    for model in models:
        task, name = model.code.CARD.task, model.code.CARD.model
        if as_json:
            facts = {"name": model.name, "task": task, "model": name}
            print_json({**facts, "fault": model.missing_packages()})
        else:
            print_line(f"{model.name}: {task} {name}")


def _print_progress(now: str) -> None:
    print_line(f"{now} …", err=True)


def _print_findings(findings: Sequence[Finding], *, as_json: bool) -> None:
    """Print the findings; the exit status says whether a run may start."""
    for finding in findings:
        if as_json:
            print_json(dataclasses.asdict(finding))
        else:
            mark = "" if finding.fatal else "(note) "
            print_line(f"{mark}{finding.where} {finding.what}: {finding.remedy}")
    fatal = sum(finding.fatal for finding in findings)
    if fatal:
        raise CommandError(f"{fatal} to be fixed first", 1)
    if not as_json:
        click.echo("the data is fine")


def _print_outcome(outcome: Outcome, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "file": str(outcome.file),
                "figures": run.figures_document(outcome.figures),
                "measured": run.figures_document(outcome.test_figures),
            }
        )
        return
    for title, figures in (("validation", outcome.figures), ("measured", outcome.test_figures)):
        for name, figure in figures.items():
            print_line(f"{title} {name} {figure.value:.3f} ({figure.low:.3f}…{figure.high:.3f})")
    click.echo(str(outcome.file))
