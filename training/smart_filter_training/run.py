"""Run a training: check, read, train, measure and export; a record keeps every fact."""

import dataclasses
import fcntl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from smart_filter_shared.errors import SetupFailed
from smart_filter_training import preflight, run_record
from smart_filter_training.evaluation.confidence_intervals import Figure
from smart_filter_training.preflight import Finding
from smart_filter_training.run_record import RunRecord
from smart_filter_training.trainable_models import Data, RunSettings, TrainableModel

# Gets the name of the step that starts.
ProgressCallback: TypeAlias = Callable[[str], None]

_DONE: Final = "done"
_LOCK: Final = ".lock"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a run.

    file: the weights; figures: on the validation examples; test_figures: on the folder given for
    a final measurement, empty without one.
    """

    file: Path
    figures: Mapping[str, Figure]
    test_figures: Mapping[str, Figure]


def check(
    model: TrainableModel, folder: Path, run_folder: Path, configuration: RunSettings
) -> list[Finding]:
    """Return every problem that a run would have, before it spends hours."""
    findings = list(preflight.check_run_folder(run_folder))
    missing = model.missing_packages()
    if missing is not None:
        what, _, remedy = missing.partition(": ")
        findings.append(Finding("this environment", f"is incomplete: {what}", remedy))
    findings += preflight.check_accelerator(model.code.CARD.packages)
    if not folder.is_dir():
        findings.append(
            Finding(str(folder), "is not a folder", "name the folder of pictures with --data")
        )
        return findings
    return findings + preflight.limit_findings(model.code.check_data(folder, configuration))


def run(
    model: TrainableModel,
    folder: Path,
    run_folder: Path,
    configuration: RunSettings,
    *,
    measure: Path | None = None,
    tell: ProgressCallback,
) -> Outcome:
    """Train a model's weights on a folder of pictures and return them with their figures.

    run_folder: holds the record and the weights. A run resumes there when its record is unfinished,
    and returns the existing result when it is done.
    measure: a folder with known answers, for a final measurement.
    Raises SetupFailed, in one line, when the data, the machine or the configuration is unfit.
    """
    tell("looking at the data")
    if measure is not None and not measure.is_dir():
        raise SetupFailed(
            f"{measure} is not a folder: name the folder to measure on with --measure"
        )
    fatal = [each for each in check(model, folder, run_folder, configuration) if each.fatal]
    if fatal:
        first = fatal[0]
        more = f" (and {len(fatal) - 1} more: --check lists them)" if len(fatal) > 1 else ""
        raise SetupFailed(f"{first.where} {first.what}: {first.remedy}{more}")
    try:
        with _lock(run_folder):
            return _run(model, folder, run_folder, configuration, measure=measure, tell=tell)
    except OSError as error:
        raise SetupFailed(
            f"{run_folder}: {error.strerror or error}; fix that, and the same command resumes"
        ) from error


def figures_document(figures: Mapping[str, Figure]) -> dict[str, dict[str, float]]:
    """Return figures for a record: by name, each with `value`, `low` and `high`."""
    return {name: dataclasses.asdict(figure) for name, figure in figures.items()}


@contextmanager
def _lock(run_folder: Path) -> Iterator[None]:
    """Reserve a run's folder for this process.  Raises SetupFailed when another one has it."""
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
    model: TrainableModel,
    folder: Path,
    run_folder: Path,
    configuration: RunSettings,
    *,
    measure: Path | None,
    tell: ProgressCallback,
) -> Outcome:
    data = model.code.read_folder(folder, configuration)
    record = run_record.begin(
        run_folder,
        model=model.name,
        configuration=dataclasses.asdict(configuration),
        data=data.digest,
    )
    outcome = _find_outcome(record.facts, run_folder)
    if outcome is None:
        tell("training")
        outcome = _train(model, data, configuration, record, tell)
    if measure is None:
        return outcome
    test_figures = model.code.measure(outcome.file, measure)
    if test_figures:
        record.note(measured=figures_document(test_figures))
    return dataclasses.replace(outcome, test_figures=test_figures)


def _train(
    model: TrainableModel,
    data: Data,
    configuration: RunSettings,
    record: RunRecord,
    tell: ProgressCallback,
) -> Outcome:
    network = model.code.train(data, configuration, record)
    tell("measuring")
    figures = model.code.compute_figures(network, data)
    exported = model.code.export(network, data, record.folder)
    record.note(
        state=_DONE,
        file=exported.file.name,
        sha256=preflight.compute_digest([exported.file.read_bytes()]),
        parity=exported.parity,
        figures=figures_document(figures),
    )
    return Outcome(exported.file, figures, {})


def _find_outcome(facts: Mapping[str, Any], folder: Path) -> Outcome | None:
    """Return the result of a finished run; None when it is unfinished or its file was replaced."""
    if facts.get("state") != _DONE:
        return None
    file = folder / str(facts["file"])
    if not file.is_file() or preflight.compute_digest([file.read_bytes()]) != facts["sha256"]:
        return None
    return Outcome(file, {name: Figure(**figure) for name, figure in facts["figures"].items()}, {})
