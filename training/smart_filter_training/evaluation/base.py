"""The interface of a task whose models can be measured."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from smart_filter_workers.results import Doubles, Photo, PreparedPhoto, Srgb8

# A picture or a text in a report.
Cell: TypeAlias = Srgb8 | str
# Returns the result of `prepare` for a photo.
PreparePhoto: TypeAlias = Callable[[Photo], PreparedPhoto]


class Example(Protocol):
    """One photo with a known answer."""

    @property
    def name(self) -> str:
        """The name of its file."""
        ...


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure.

    name: in JSON; title: in reports; contract: whether docs/cli.md names it.
    """

    name: str
    title: str
    contract: bool = True
    less_is_better: bool = False


@dataclass(frozen=True, slots=True)
class Score:
    """The result of one photo.

    group: the part of the folder that it belongs to, or "".
    numbers: input of the task's figures; the same count for every photo.
    badness: reports show the photos with the highest value first; at 0 or less, nothing is wrong.
    summary: the result in words.
    """

    photo: str
    group: str
    numbers: tuple[float, ...]
    badness: float
    summary: str


@dataclass(frozen=True, slots=True)
class Confusion:
    """The counts of answers by truth: counts[truth][answer]."""

    truths: tuple[str, ...]
    answers: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


class TaskCode(Protocol):
    """The interface of a module in `tasks`; each has its own types of examples and answers."""

    # The content of the folder and the rules of the judgment, in sentences for people.
    HOW: str
    METRICS: tuple[Metric, ...]
    # How often a model runs on each photo.
    LOOKS: int

    def examples(self, folder: Path) -> Sequence[Example]:
        """Return the photos of a folder.  Raises FolderUnreadable."""
        ...

    def question(self, example: Example, prepare: PreparePhoto) -> object:
        """Return the input of a model for a photo.  Raises FolderUnreadable."""
        ...

    def answer(self, model: object, question: object) -> object:
        """Run a model and return its answer; only this is timed."""
        ...

    def score(self, example: Example, answer: object) -> Score:
        """Compare an answer with the truth; return the score.  Raises FolderUnreadable."""
        ...

    def figures(self, numbers: Doubles, weights: Doubles) -> Mapping[str, float]:
        """Return every metric, with each photo counted as often as its weight.

        numbers: (N, K) float64, a row for each score's numbers; weights: (N,) float64.
        A figure that these photos do not yield is NaN.
        """
        ...

    def confusion(self, numbers: Doubles) -> Confusion | None:
        """Return the counts of answers by truth, or None when the task has no classes."""
        ...

    def cells(self, example: Example, answer: object) -> tuple[Cell, Cell, Cell, Cell]:
        """Return the row of a report: the input, the truth, the answer, their difference."""
        ...
