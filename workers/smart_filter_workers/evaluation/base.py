"""What a task says of itself, so that its models can be measured."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.results import Photo, Prepared, Srgb8

Floats = NDArray[np.float64]
# A picture or a word of a report.
Cell: TypeAlias = Srgb8 | str
# What `prepare` makes of a photo.
Prepare: TypeAlias = Callable[[Photo], Prepared]


class Example(Protocol):
    """One photo whose answer is known."""

    @property
    def name(self) -> str:
        """The name of its file."""
        ...


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure.

    name: as JSON has it; title: as people read it; contract: whether docs/contract.md names it.
    """

    name: str
    title: str
    contract: bool = True
    less_is_better: bool = False


@dataclass(frozen=True, slots=True)
class Score:
    """What one photo gave.

    group: the part of the folder that it belongs to, or "".
    numbers: what the task's figures are computed from; as many for every photo.
    badness: reports show the photos with the highest first; 0 or less is nothing to look at.
    told: the same for people.
    """

    photo: str
    group: str
    numbers: tuple[float, ...]
    badness: float
    told: str


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often what is so was called what: counts[truth][answer]."""

    truths: tuple[str, ...]
    answers: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


class TaskCode(Protocol):
    """What a module in `tasks` exposes; its own types of examples and answers are its own."""

    # What the folder holds and how it is judged, in sentences.
    HOW: str
    METRICS: tuple[Metric, ...]
    # How often a model looks at each photo.
    LOOKS: int

    def examples(self, folder: Path) -> Sequence[Example]:
        """Return the photos of a folder.  Raises FolderUnreadable."""
        ...

    def question(self, example: Example, prepare: Prepare) -> object:
        """Return what a model is asked about a photo.  Raises FolderUnreadable."""
        ...

    def answer(self, model: object, question: object) -> object:
        """Have a model look; this alone is timed."""
        ...

    def score(self, example: Example, answer: object) -> Score:
        """Judge an answer.  Raises FolderUnreadable."""
        ...

    def figures(self, numbers: Floats, weights: Floats) -> Mapping[str, float]:
        """Return every metric of photos that count as often as `weights` says.

        numbers: (N, K) float64, a row for each score's numbers; weights: (N,) float64.
        A figure that these photos do not give is not a number.
        """
        ...

    def confusion(self, numbers: Floats) -> Confusion | None:
        """Return which answers were mixed up, or None when the task has no classes."""
        ...

    def cells(self, example: Example, answer: object) -> tuple[Cell, Cell, Cell, Cell]:
        """Return what a report shows: the input, the truth, the answer, their difference."""
        ...
