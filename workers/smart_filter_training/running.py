"""One run: check, read, train, evaluate, export; its record tells all of it."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from smart_filter_shared.errors import SetupFailed
from smart_filter_training import checks, record
from smart_filter_training.checks import Finding
from smart_filter_training.recipes import Configuration, Recipe
from smart_filter_workers.evaluation.intervals import Figure

# Told what is done now.
Tell: TypeAlias = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run made.

    file: of weights; figures: on the examples that validated; measured: on the folder that
    was named for it, empty when none was.
    """

    file: Path
    figures: Mapping[str, Figure]
    measured: Mapping[str, Figure]


def check(
    recipe: Recipe, folder: Path, run_folder: Path, configuration: Configuration
) -> list[Finding]:
    """Return everything that speaks against a run, before hours are spent."""
    found = list(checks.room(run_folder))
    lacking = recipe.lacking()
    if lacking is not None:
        what, _, remedy = lacking.rpartition(": ")
        found.append(Finding(recipe.name, what, remedy))
    found += checks.accelerator(recipe.packages)
    if not folder.is_dir():
        found.append(
            Finding(str(folder), "is no folder", "name the folder of pictures with --data")
        )
        return found
    return found + checks.few(recipe.data.findings(folder, configuration))


def run(
    recipe: Recipe,
    folder: Path,
    run_folder: Path,
    configuration: Configuration,
    *,
    measure: Path | None = None,
    tell: Tell,
) -> Outcome:
    """Make a model's weights from a folder of pictures.

    run_folder: where the record and the file go; one that holds the record of a run that was
    killed goes on with it.  measure: a folder whose answers are known, looked at when all is
    chosen.
    Raises SetupFailed, in one line, when the data, the machine or the configuration is unfit.
    """
    tell("looking at the data")
    fatal = [one for one in check(recipe, folder, run_folder, configuration) if one.fatal]
    if fatal:
        first = fatal[0]
        more = f" (and {len(fatal) - 1} more: --check lists them)" if len(fatal) > 1 else ""
        raise SetupFailed(f"{first.where} {first.what}: {first.remedy}{more}")
    try:
        return _run(recipe, folder, run_folder, configuration, measure=measure, tell=tell)
    except OSError as error:
        raise SetupFailed(
            f"{run_folder}: {error.strerror or error}; mend that, and the same command goes on"
        ) from error


def _run(
    recipe: Recipe,
    folder: Path,
    run_folder: Path,
    configuration: Configuration,
    *,
    measure: Path | None,
    tell: Tell,
) -> Outcome:
    data = recipe.data.read(folder, configuration)
    kept = record.begin(
        run_folder,
        model=recipe.name,
        configuration=dataclasses.asdict(configuration),
        data=data.digest,
    )
    tell("training")
    network = recipe.train.train(data, configuration, kept)
    tell("measuring")
    figures = recipe.evaluate.figures(network, data)
    exported = recipe.export.export(network, data, run_folder)
    measured = {} if measure is None else recipe.evaluate.measured(exported.file, measure)
    kept.note(
        state="done",
        file=exported.file.name,
        sha256=checks.digest([exported.file.read_bytes()]),
        parity=exported.parity,
        figures=_facts(figures),
        measured=_facts(measured),
    )
    return Outcome(exported.file, figures, measured)


def _facts(figures: Mapping[str, Figure]) -> dict[str, dict[str, float]]:
    return {name: dataclasses.asdict(figure) for name, figure in figures.items()}
