"""One photo, cut out by several models."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np

from smart_filter_shared.cards import TaskName
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.parameters import Parameters
from smart_filter_shared.recipe import Edge
from smart_filter_workers import catalogue, memory
from smart_filter_workers.evaluation import drawing, folders
from smart_filter_workers.evaluation.preparing import default_of, prepared_by
from smart_filter_workers.evaluation.subject import Subject
from smart_filter_workers.loaded import LoadedModels
from smart_filter_workers.results import Matte8, Segmented, Srgb8
from smart_filter_workers.stages.composite.models.base import Compositor

# Told which model is at work.
Tell: TypeAlias = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Cut:
    """What one model made of the photo.

    cut_out: (h, w, 3) uint8 sRGB, the people on a chequerboard; matte: (h, w) uint8.
    coverage: the share of the photo that is people, 0..1; persons: None when the model does
    not tell them apart.  ms: of the clock, cpu_ms: of one processor, both once it is warm.
    """

    name: str
    cut_out: Srgb8
    matte: Matte8
    coverage: float
    persons: int | None
    ms: float
    cpu_ms: float


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a model made nothing."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Compared:
    """The photo as the models saw it, (h, w, 3) uint8 sRGB, and what each of them made of it."""

    photo_srgb: Srgb8
    cuts: Sequence[Cut | Fault]


def compare(
    photo: Path,
    models: Mapping[str, Parameters],
    *,
    weights: Path,
    tell: Tell,
    research: bool = True,
) -> Compared:
    """Have models of segmentation cut out the same photo, one after the other.

    models: their names, with the parameters that are not at their defaults.
    research: whether models with research weights may prepare the photo.
    Raises FolderUnreadable when the photo cannot be read.
    """
    with prepared_by(weights, turning=True, research=research) as prepare:
        prepared = prepare(folders.photo(photo))
    known = catalogue.find(research=research)
    loaded = LoadedModels(known, weights, room=memory.room(None))
    task = TaskName.COMPOSITE
    compositor = cast("Compositor", loaded.of({task: default_of(task, known)}, {})[task])
    cuts: list[Cut | Fault] = []
    for name, parameters in models.items():
        tell(name)
        try:
            with Subject(TaskName.SEGMENTATION, name, weights, parameters) as subject:
                subject.ask(prepared)  # what is set up with the first photo is not shown
                answered = subject.ask(prepared)
        except SetupFailed as error:
            cuts.append(Fault(name, str(error)))
            continue
        segmented = answered.answer
        assert isinstance(segmented, Segmented)
        cuts.append(
            Cut(
                name=name,
                cut_out=_cut_out(compositor, prepared.proxy_srgb, segmented.matte),
                matte=segmented.matte,
                coverage=segmented.coverage,
                persons=segmented.persons,
                ms=1000 * answered.seconds,
                cpu_ms=1000 * answered.cpu_seconds,
            )
        )
    return Compared(prepared.proxy_srgb, cuts)


def _cut_out(compositor: Compositor, srgb: Srgb8, matte: Matte8) -> Srgb8:
    if not np.any(matte):
        return drawing.chequered(np.zeros((*matte.shape, 4), np.uint8))
    cut = compositor.cut(srgb, proxy_srgb=srgb, matte=matte, edge=Edge.FAST)
    return drawing.chequered(compositor.over(cut, np.zeros((*matte.shape, 4), np.uint8)))
