"""`smart-filter train`: make a model's weights from a folder of pictures."""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from smart_filter_deploy.cli.endings import WRONG_USAGE, Ending, needing
from smart_filter_deploy.cli.examples import examples
from smart_filter_deploy.cli.terminal import shown, tell
from smart_filter_shared.errors import SetupFailed, VersionRefused
from smart_filter_shared.places import data_folder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from smart_filter_training.checks import Finding
    from smart_filter_training.recipes import Configuration, Recipe
    from smart_filter_training.running import Outcome
    from smart_filter_workers.evaluation.intervals import Figure


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
    help="The folder of pictures and their answers (docs/training.md).",
)
@click.option(
    "--run",
    "run_folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where the record and the weights go; the same one goes on with a run that was killed."
    "  [default: training/MODEL-SETTINGS in the data folder]",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="A setting, instead of its default; as often as needed.",
)
@click.option(
    "--measure",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="A folder whose answers are known, looked at when everything is chosen.",
)
@click.option(
    "--from-feedback",
    is_flag=True,
    help="Fine-tune on what people corrected, and register a candidate (docs/learning.md).",
)
@click.option("--check", "only_check", is_flag=True, help="Say what is wrong, and train nothing.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
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
    """Make the weights of MODEL from pictures; without MODEL, list what can be trained.

    A run that was killed goes on when the same command is given again.
    """
    with needing("worker"):
        # The workers' packages are not part of a bare install.
        from smart_filter_training import recipes, running  # noqa: PLC0415

    if model is None:
        _list(list(recipes.find().values()), as_json=as_json)
        return
    if from_feedback and (data or measure or only_check):
        raise Ending(
            "--from-feedback has pictures of its own: leave --data, --measure and --check out",
            WRONG_USAGE,
        )
    if from_feedback:
        _learn(model, settings, run_folder, as_json=as_json)
        return
    if data is None:
        raise Ending(f"which pictures? smart-filter train {model} --data DIR", WRONG_USAGE)
    try:
        recipe = recipes.find_one(model)
        configuration = recipe.configuration(settings)
        folder = run_folder or _usual_folder(recipe, configuration)
        if only_check:
            _tell_findings(running.check(recipe, data, folder, configuration), as_json=as_json)
            return
        outcome = running.run(recipe, data, folder, configuration, measure=measure, tell=_tell)
    except SetupFailed as error:
        raise Ending(str(error), WRONG_USAGE) from error
    _tell_outcome(outcome, as_json=as_json)


def _learn(
    model: str, settings: tuple[str, ...], run_folder: Path | None, *, as_json: bool
) -> None:
    # What reaches the servers is no part of training on a folder.
    from smart_filter_deploy.cli import train_feedback  # noqa: PLC0415
    from smart_filter_training import recipes  # noqa: PLC0415

    try:
        recipe = recipes.find_one(model)
        outcome, version = train_feedback.train(recipe, settings, run_folder, _tell)
    except (SetupFailed, VersionRefused) as error:
        raise Ending(str(error), WRONG_USAGE) from error
    _tell_outcome(outcome, as_json=as_json)
    if not as_json:
        click.echo(f"candidate {version.digest[:12]}: smart-filter models shadow or promote it")


def _usual_folder(recipe: "Recipe", configuration: "Configuration") -> Path:
    """Return the run's folder: the same settings go on, others begin anew."""
    settings = json.dumps(dataclasses.asdict(configuration), sort_keys=True)
    short = hashlib.sha256(settings.encode()).hexdigest()[:8]
    return data_folder() / "training" / f"{recipe.name}-{short}"


def _list(recipes: "Sequence[Recipe]", *, as_json: bool) -> None:
    for recipe in recipes:
        if as_json:
            facts = {"name": recipe.name, "task": recipe.task, "model": recipe.model}
            click.echo(json.dumps({**facts, "fault": recipe.lacking()}))
        else:
            tell(f"{recipe.name}: {recipe.task} {recipe.model}")


def _tell(now: str) -> None:
    tell(f"{now} …", err=True)


def _tell_findings(findings: "Sequence[Finding]", *, as_json: bool) -> None:
    """Print what was found; the exit status says whether a run may begin."""
    for finding in findings:
        if as_json:
            click.echo(json.dumps(dataclasses.asdict(finding)))
        else:
            mark = "" if finding.fatal else "(note) "
            click.echo(mark + shown(f"{finding.where} {finding.what}: {finding.remedy}"))
    fatal = sum(finding.fatal for finding in findings)
    if fatal:
        raise Ending(f"{fatal} to be mended first", 1)
    if not as_json:
        click.echo("nothing speaks against a run")


def _tell_outcome(outcome: "Outcome", *, as_json: bool) -> None:
    if as_json:
        click.echo(
            json.dumps(
                {
                    "file": str(outcome.file),
                    "figures": _facts(outcome.figures),
                    "measured": _facts(outcome.measured),
                }
            )
        )
        return
    for title, figures in (("validation", outcome.figures), ("measured", outcome.measured)):
        for name, figure in figures.items():
            tell(f"{title} {name} {figure.value:.3f} ({figure.low:.3f}…{figure.high:.3f})")
    click.echo(str(outcome.file))


def _facts(figures: "Mapping[str, Figure]") -> dict[str, dict[str, float]]:
    return {name: dataclasses.asdict(figure) for name, figure in figures.items()}
