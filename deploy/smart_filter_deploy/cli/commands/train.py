"""`smart-filter train`: trains a model's weights on a folder of pictures."""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from smart_filter_deploy.cli.terminal.examples import examples
from smart_filter_deploy.cli.terminal.exit_codes import WRONG_USAGE, CommandError, require_extra
from smart_filter_deploy.cli.terminal.text import escape_unprintable, print_line
from smart_filter_shared.config.paths import data_folder
from smart_filter_shared.errors import SetupFailed, VersionRefused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from smart_filter_training.evaluation.confidence_intervals import Figure
    from smart_filter_training.preflight import Finding
    from smart_filter_training.run import Outcome
    from smart_filter_training.trainable_models import RunSettings, TrainableModel


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
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder with pictures and ground truth (docs/training.md).",
)
@click.option(
    "--run",
    "run_folder",
    type=click.Path(path_type=Path),
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
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder with ground truth for the final evaluation.",
)
@click.option(
    "--from-feedback",
    is_flag=True,
    help="Fine-tune on user corrections and register a candidate (docs/learning.md).",
)
@click.option("--check", "only_check", is_flag=True, help="Check the data without training.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
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

    The same command resumes an interrupted run.
    """
    with require_extra("worker"):
        # The workers' packages are not part of a bare install.
        from smart_filter_training import run, trainable_models  # noqa: PLC0415

    if model is None:
        _print_models(trainable_models.list_models(), as_json=as_json)
        return
    if from_feedback and (data or measure or only_check):
        raise CommandError(
            "--from-feedback uses user corrections: omit --data, --measure and --check",
            WRONG_USAGE,
        )
    if from_feedback:
        _train_on_feedback(model, settings, run_folder, as_json=as_json)
        return
    if data is None:
        raise CommandError(f"--data is missing: smart-filter train {model} --data DIR", WRONG_USAGE)
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
        raise CommandError(str(error), WRONG_USAGE) from error
    _print_outcome(outcome, as_json=as_json)


def _train_on_feedback(
    model: str, settings: tuple[str, ...], run_folder: Path | None, *, as_json: bool
) -> None:
    # Training on a folder does not connect to the servers.
    from smart_filter_deploy.cli.commands import train_feedback  # noqa: PLC0415
    from smart_filter_training import trainable_models  # noqa: PLC0415

    try:
        trainable = trainable_models.find_model(model)
        outcome, version = train_feedback.train(trainable, settings, run_folder, _print_progress)
    except (SetupFailed, VersionRefused) as error:
        raise CommandError(str(error), WRONG_USAGE) from error
    _print_outcome(outcome, as_json=as_json)
    if not as_json:
        click.echo(
            f"candidate {version.digest[:12]}: next, `smart-filter models shadow` or `promote`"
        )


def _default_folder(model: "TrainableModel", configuration: "RunSettings") -> Path:
    """Return the run's folder: the same settings resume a run, others start a new one."""
    settings = json.dumps(dataclasses.asdict(configuration), sort_keys=True)
    short = hashlib.sha256(settings.encode()).hexdigest()[:8]
    return data_folder() / "training" / f"{model.name}-{short}"


def _print_models(models: "Sequence[TrainableModel]", *, as_json: bool) -> None:
    for model in models:
        task, name = model.code.TASK, model.code.MODEL
        if as_json:
            facts = {"name": model.name, "task": task, "model": name}
            click.echo(json.dumps({**facts, "fault": model.missing_packages()}))
        else:
            print_line(f"{model.name}: {task} {name}")


def _print_progress(now: str) -> None:
    print_line(f"{now} …", err=True)


def _print_findings(findings: "Sequence[Finding]", *, as_json: bool) -> None:
    """Print the findings; the exit status says whether a run may start."""
    for finding in findings:
        if as_json:
            click.echo(json.dumps(dataclasses.asdict(finding)))
        else:
            mark = "" if finding.fatal else "(note) "
            click.echo(
                mark + escape_unprintable(f"{finding.where} {finding.what}: {finding.remedy}")
            )
    fatal = sum(finding.fatal for finding in findings)
    if fatal:
        raise CommandError(f"{fatal} to be fixed first", 1)
    if not as_json:
        click.echo("the data is fine")


def _print_outcome(outcome: "Outcome", *, as_json: bool) -> None:
    if as_json:
        click.echo(
            json.dumps(
                {
                    "file": str(outcome.file),
                    "figures": _figure_documents(outcome.figures),
                    "measured": _figure_documents(outcome.test_figures),
                }
            )
        )
        return
    for title, figures in (("validation", outcome.figures), ("measured", outcome.test_figures)):
        for name, figure in figures.items():
            print_line(f"{title} {name} {figure.value:.3f} ({figure.low:.3f}…{figure.high:.3f})")
    click.echo(str(outcome.file))


def _figure_documents(figures: "Mapping[str, Figure]") -> dict[str, dict[str, float]]:
    return {name: dataclasses.asdict(figure) for name, figure in figures.items()}
