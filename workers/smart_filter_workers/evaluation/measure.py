"""Measures models of a task, one after the other, on the same photos."""

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np

from smart_filter_shared.cards import ModelCard, TaskName
from smart_filter_shared.parameters import Parameters
from smart_filter_workers import catalogue
from smart_filter_workers.evaluation import intervals, tasks
from smart_filter_workers.evaluation.base import (
    Cell,
    Confusion,
    Example,
    Floats,
    Metric,
    Prepare,
    Score,
    TaskCode,
)
from smart_filter_workers.evaluation.intervals import Figure
from smart_filter_workers.evaluation.preparing import prepared_by
from smart_filter_workers.evaluation.subject import Subject

# A part of a folder with fewer photos says nothing.
FEWEST_OF_GROUP: Final = 5
MOST_GROUPS: Final = 12

# Told how many of how many photos a model has seen.
Tell: TypeAlias = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Group:
    """The figures of a part of the photos."""

    name: str
    count: int
    figures: Mapping[str, Figure]


@dataclass(frozen=True, slots=True)
class Shown:
    """One photo of a report: the input, the truth, the answer and their difference."""

    score: Score
    cells: tuple[Cell, Cell, Cell, Cell]


@dataclass(frozen=True, slots=True)
class Measured:
    """What one model gave.

    parameters: those that are not at their defaults.
    cpu_ms: processor time a photo on one thread; peak_mb: memory of a process with it alone.
    against: by how much its figures differ from the first model's; empty for that one.
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
    worst: Sequence[Shown] = ()


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What the models of a task gave on a folder's photos; the first is the default."""

    task: TaskName
    data: Path
    count: int
    how: str
    metrics: tuple[Metric, ...]
    models: Sequence[Measured]


def evaluate(
    task: TaskName,
    models: Mapping[str, Parameters],
    *,
    data: Path,
    weights: Path,
    limit: int | None = None,
    show: int = 0,
    tell: Tell = lambda *_: None,
) -> Evaluation:
    """Measure models on the photos of a folder.

    models: names of models of the task, in this order, with the parameters that are not at
    their defaults; limit: how many photos at most, spread
    over the folder; show: how many of the worst photos come with pictures.
    Raises FolderUnreadable, and SetupFailed when a model cannot be loaded or cannot answer.
    """
    code = tasks.of(task)
    examples = spread(code.examples(data), limit)
    files = catalogue.find().files
    measured: list[Measured] = []
    with prepared_by(weights, turning=False) as prepare:
        for name, parameters in models.items():
            subject = Subject(task, name, weights, parameters)
            scores, shown, cpu_ms, peak_mb = _ask(
                code, subject, examples, prepare, show=show, tell=partial(tell, name)
            )
            numbers = _numbers(scores)
            first = measured[0] if measured else None
            measured.append(
                Measured(
                    card=files[task, name].CARD,
                    parameters=parameters,
                    scores=scores,
                    figures=intervals.figures(numbers, code.figures),
                    groups=_groups(code, scores),
                    confusion=code.confusion(numbers),
                    cpu_ms=cpu_ms,
                    peak_mb=peak_mb,
                    against={}
                    if first is None
                    else intervals.differences(numbers, _numbers(first.scores), code.figures),
                    worst=shown,
                )
            )
    return Evaluation(task, data, len(examples), code.HOW, code.METRICS, measured)


def spread(examples: Sequence[Example], limit: int | None) -> Sequence[Example]:
    """Return at most `limit` examples that lie evenly among all, the same ones every time."""
    if limit is None or limit >= len(examples):
        return examples
    return [examples[index * len(examples) // limit] for index in range(limit)]


def _ask(
    code: TaskCode,
    subject: Subject,
    examples: Sequence[Example],
    prepare: Prepare,
    *,
    show: int,
    tell: Callable[[int, int], None],
) -> tuple[list[Score], list[Shown], float, float]:
    """Ask a model about every photo: scores, the worst with pictures, ms a photo, and MB."""
    scores: list[Score] = []
    worst: list[tuple[float, int, Example, object]] = []
    seconds, peak_mb = 0.0, 0.0
    with subject:
        for index, example in enumerate(examples):
            question = code.question(example, prepare)
            if not index:
                # What is set up with the first photo costs once, not with each.
                subject.ask(question)
            answered = subject.ask(question)
            seconds, peak_mb = seconds + answered.cpu_seconds, answered.peak_mb
            scores.append(code.score(example, answered.answer))
            heapq.heappush(worst, (scores[-1].badness, -index, example, answered.answer))
            if len(worst) > show:
                heapq.heappop(worst)
            tell(index + 1, len(examples))
    ordered = sorted(worst, key=lambda one: one[:2], reverse=True)
    shown = [
        Shown(scores[-negative], code.cells(example, answer))
        for _, negative, example, answer in ordered
    ]
    return scores, shown, 1000 * seconds / len(examples) / code.LOOKS, peak_mb


def _numbers(scores: Sequence[Score]) -> Floats:
    return np.array([score.numbers for score in scores], np.float64)


def _groups(code: TaskCode, scores: Sequence[Score]) -> list[Group]:
    """Return the figures of the parts of a folder, when it has several that are large enough."""
    names = sorted({score.group for score in scores})
    if not 1 < len(names) <= MOST_GROUPS:
        return []
    parts = [(name, [score for score in scores if score.group == name]) for name in names]
    return [
        Group(name or "other", len(part), intervals.figures(_numbers(part), code.figures))
        for name, part in parts
        if len(part) >= FEWEST_OF_GROUP
    ]
