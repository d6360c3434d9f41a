"""Measure models of a task, one after another, on the same photos."""

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

import numpy as np

from smart_filter_shared.catalog.model_card import ModelCard
from smart_filter_shared.catalog.parameters import Parameters
from smart_filter_shared.pipeline import TaskName
from smart_filter_training.evaluation import confidence_intervals, tasks
from smart_filter_training.evaluation.base import (
    Cell,
    Confusion,
    Example,
    Metric,
    PreparePhoto,
    Score,
    TaskCode,
)
from smart_filter_training.evaluation.confidence_intervals import Figure
from smart_filter_training.evaluation.model_process import ModelProcess
from smart_filter_training.evaluation.prepare_stage import open_prepare_stage
from smart_filter_workers.models import catalog
from smart_filter_workers.results import Doubles

# Smaller parts of a folder get no figures of their own.
MIN_GROUP_SIZE: Final = 5
MAX_GROUPS: Final = 12

# Arguments: the model's name, the number of photos done, and of all photos.
ProgressCallback: TypeAlias = Callable[[str, int, int], None]
OneExample = TypeVar("OneExample", bound=Example)


@dataclass(frozen=True, slots=True)
class Group:
    """The figures of a part of the photos."""

    name: str
    count: int
    figures: Mapping[str, Figure]


@dataclass(frozen=True, slots=True)
class ReportedPhoto:
    """One photo of a report: the input, the truth, the answer and their difference."""

    score: Score
    cells: tuple[Cell, Cell, Cell, Cell]


@dataclass(frozen=True, slots=True)
class ModelResult:
    """The results of one model.

    parameters: all that differ from their defaults.
    cpu_ms: processor time per photo on one thread; peak_mb: memory of a process that runs only
        this model.
    against: how far its figures are above the first model's; empty for the first model.
    worst: the photos with the worst answers, the worst first.
    """

    card: ModelCard
    parameters: Parameters
    scores: Sequence[Score]
    figures: Mapping[str, Figure]
    groups: Sequence[Group]
    confusion: Confusion | None
    cpu_ms: float
    peak_mb: float
    against: Mapping[str, Figure] = field(default_factory=dict)
    worst: Sequence[ReportedPhoto] = ()


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The results of a task's models on a folder's photos; the first model is the default."""

    task: TaskName
    data: Path
    count: int
    how: str
    metrics: tuple[Metric, ...]
    models: Sequence[ModelResult]


def evaluate(
    task: TaskName,
    models: Mapping[str, Parameters],
    *,
    data: Path,
    weights: Path,
    research: bool = True,
    limit: int | None = None,
    show: int = 0,
    tell: ProgressCallback = lambda *_: None,
) -> Evaluation:
    """Measure models on the photos of a folder, and return the results.

    models: names of models of the task, in this order, with the parameters that differ from
    their defaults; research: whether models may run that are not for commercial use; limit: how
    many photos at most, spread over the folder; show: how many of the worst photos get pictures.
    Raises FolderUnreadable, and SetupFailed when a model cannot be loaded or cannot answer.
    """
    code = tasks.get_task(task)
    examples = sample_evenly(code.examples(data), limit)
    discovered = catalog.discover_models(research=research)
    measured: list[ModelResult] = []
    with open_prepare_stage(weights, turning=False, research=research) as prepare:
        for name, parameters in models.items():
            subject = ModelProcess(task, name, weights, parameters, research=research)
            scores, shown, cpu_ms, peak_mb = _ask(
                code, subject, examples, prepare, show=show, tell=partial(tell, name)
            )
            numbers = _numbers(scores)
            first = measured[0] if measured else None
            measured.append(
                ModelResult(
                    card=discovered.files[task, name].CARD,
                    parameters=parameters,
                    scores=scores,
                    figures=confidence_intervals.compute_figures(numbers, code.figures),
                    groups=_groups(code, scores),
                    confusion=code.confusion(numbers),
                    cpu_ms=cpu_ms,
                    peak_mb=peak_mb,
                    against={}
                    if first is None
                    else confidence_intervals.compute_differences(
                        numbers, _numbers(first.scores), code.figures
                    ),
                    worst=shown,
                )
            )
    return Evaluation(task, data, len(examples), code.HOW, code.METRICS, measured)


def sample_evenly(examples: Sequence[OneExample], limit: int | None) -> Sequence[OneExample]:
    """Return at most `limit` examples at even distances, the same ones every time."""
    if limit is None or limit >= len(examples):
        return examples
    return [examples[index * len(examples) // limit] for index in range(limit)]


def _ask(
    code: TaskCode,
    subject: ModelProcess,
    examples: Sequence[Example],
    prepare: PreparePhoto,
    *,
    show: int,
    tell: Callable[[int, int], None],
) -> tuple[list[Score], list[ReportedPhoto], float, float]:
    """Run a model on every photo: scores, the worst with pictures, ms per photo, and MB."""
    scores: list[Score] = []
    worst: list[tuple[float, int, Example, object]] = []
    seconds, peak_mb = 0.0, 0.0
    with subject:
        for index, example in enumerate(examples):
            question = code.question(example, prepare)
            if not index:
                # Run the first photo twice: its first run includes one-time setup.
                subject.ask(question)
            answered = subject.ask(question)
            seconds, peak_mb = seconds + answered.cpu_seconds, answered.peak_mb
            scores.append(code.score(example, answered.answer))
            heapq.heappush(worst, (scores[-1].badness, -index, example, answered.answer))
            if len(worst) > show:
                heapq.heappop(worst)
            tell(index + 1, len(examples))
    ordered = sorted(worst, key=lambda entry: entry[:2], reverse=True)
    shown = [
        ReportedPhoto(scores[-negative], code.cells(example, answer))
        for _, negative, example, answer in ordered
    ]
    return scores, shown, 1000 * seconds / len(examples) / code.LOOKS, peak_mb


def _numbers(scores: Sequence[Score]) -> Doubles:
    return np.array([score.numbers for score in scores], np.float64)


def _groups(code: TaskCode, scores: Sequence[Score]) -> list[Group]:
    """Return the figures of the parts of a folder, if several of them are large enough."""
    names = sorted({score.group for score in scores})
    if not 1 < len(names) <= MAX_GROUPS:
        return []
    parts = [(name, [score for score in scores if score.group == name]) for name in names]
    return [
        Group(
            name or "other",
            len(part),
            confidence_intervals.compute_figures(_numbers(part), code.figures),
        )
        for name, part in parts
        if len(part) >= MIN_GROUP_SIZE
    ]
