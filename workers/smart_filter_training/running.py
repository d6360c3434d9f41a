"""One run: check, read, train, evaluate, export; its record tells all of it."""

import dataclasses
import fcntl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from smart_filter_shared.errors import SetupFailed
from smart_filter_training import checks, record
from smart_filter_training.checks import Finding
from smart_filter_training.recipes import Configuration, Data, Recipe
from smart_filter_training.record import Record
from smart_filter_workers.evaluation.intervals import Figure

# Told what is done now.
Tell: TypeAlias = Callable[[str], None]

_DONE: Final = "done"
_LOCK: Final = ".lock"


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
        what, _, remedy = lacking.partition(": ")
        found.append(Finding("this environment", f"is not fit: {what}", remedy))
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
    killed goes on with it, and one whose run is done tells what that made.
    measure: a folder whose answers are known, looked at when all is chosen.
    Raises SetupFailed, in one line, when the data, the machine or the configuration is unfit.
    """
    tell("looking at the data")
    if measure is not None and not measure.is_dir():
        raise SetupFailed(f"{measure} is no folder: name the folder to measure on with --measure")
    fatal = [one for one in check(recipe, folder, run_folder, configuration) if one.fatal]
    if fatal:
        first = fatal[0]
        more = f" (and {len(fatal) - 1} more: --check lists them)" if len(fatal) > 1 else ""
        raise SetupFailed(f"{first.where} {first.what}: {first.remedy}{more}")
    try:
        with _alone(run_folder):
            return _run(recipe, folder, run_folder, configuration, measure=measure, tell=tell)
    except OSError as error:
        raise SetupFailed(
            f"{run_folder}: {error.strerror or error}; mend that, and the same command goes on"
        ) from error


@contextmanager
def _alone(run_folder: Path) -> Iterator[None]:
    """Keep a run's folder to this process.  Raises SetupFailed when another one has it."""
    run_folder.mkdir(parents=True, exist_ok=True)
    with (run_folder / _LOCK).open("w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SetupFailed(
                f"another run is at work in {run_folder}: wait for it, or name another with --run"
            ) from error
        yield


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
    done = _done(kept.facts, run_folder)
    if done is None:
        tell("training")
        done = _trained(recipe, data, configuration, kept, tell)
    measured = {} if measure is None else recipe.evaluate.measured(done.file, measure)
    if measured:
        kept.note(measured=_facts(measured))
    return dataclasses.replace(done, measured=measured)


def _trained(
    recipe: Recipe, data: Data, configuration: Configuration, kept: Record, tell: Tell
) -> Outcome:
    network = recipe.train.train(data, configuration, kept)
    tell("measuring")
    figures = recipe.evaluate.figures(network, data)
    exported = recipe.export.export(network, data, kept.folder)
    kept.note(
        state=_DONE,
        file=exported.file.name,
        sha256=checks.digest([exported.file.read_bytes()]),
        parity=exported.parity,
        figures=_facts(figures),
    )
    return Outcome(exported.file, figures, {})


def _done(facts: Mapping[str, Any], folder: Path) -> Outcome | None:
    """Return what a run that is done has made; None when it is not, or the file is another one."""
    if facts.get("state") != _DONE:
        return None
    file = folder / str(facts["file"])
    if not file.is_file() or checks.digest([file.read_bytes()]) != facts["sha256"]:
        return None
    return Outcome(file, {name: Figure(**one) for name, one in facts["figures"].items()}, {})


def _facts(figures: Mapping[str, Figure]) -> dict[str, dict[str, float]]:
    return {name: dataclasses.asdict(figure) for name, figure in figures.items()}
