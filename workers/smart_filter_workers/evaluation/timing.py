"""What a model costs on this machine: processor time and memory, on one photo again and again."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from smart_filter_shared.cards import TaskName
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.parameters import Parameters
from smart_filter_workers.evaluation import folders
from smart_filter_workers.evaluation.preparing import prepared_by
from smart_filter_workers.evaluation.subject import Subject
from smart_filter_workers.evaluation.tasks import orientation
from smart_filter_workers.results import Face, Photo, Prepared, Srgb8

SLOWEST: Final = 0.9
# The drawn picture: what a phone's photo is once it is a proxy.
DRAWN_SIZE: Final = (768, 1024)
# Beside a face, as a share of its longer side: the crops that smiles and eyes are measured on.
MARGIN: Final = 0.25
# Of a crop that smiles are rated on, as `eval smile` does.
SMILE_CROP_PX: Final = 48


@dataclass(frozen=True, slots=True)
class Timing:
    """What one model cost.

    cpu_ms: processor time a photo on one thread, the median of the runs; slowest_cpu_ms: one
    run of ten took longer.  ms: of the clock, the median.  peak_mb: memory of a process with
    this model alone, in 10⁶ bytes.
    """

    cpu_ms: float
    slowest_cpu_ms: float
    ms: float
    peak_mb: float


@dataclass(frozen=True, slots=True)
class Sample:
    """One photo, as the models of each task are shown it.

    face: its largest one, cut out; None when it has none.
    """

    prepared: Prepared
    face: Srgb8 | None

    def question(self, task: TaskName) -> object:
        """Return what a model of a task is asked.

        Raises SetupFailed when the photo has nothing to ask it.
        """
        proxy = self.prepared.proxy_srgb
        match task:
            case TaskName.SEGMENTATION | TaskName.FACE:
                return self.prepared
            case TaskName.ORIENTATION:
                return orientation.Question((proxy,), (self.prepared.proposals,))
            case TaskName.SMILE | TaskName.EYES:
                if self.face is None:
                    raise SetupFailed("there is no face in the photo: name another with --photo")
                if task == TaskName.EYES:
                    return self.face
                size = (SMILE_CROP_PX, SMILE_CROP_PX)
                crop = cv2.resize(self.face, size, interpolation=cv2.INTER_AREA)
                return np.asarray(crop, dtype=np.uint8)
            case _:
                raise SetupFailed(f"models of {task} are not measured by themselves")


@contextmanager
def sampled(photo: Path | None, weights: Path) -> Iterator[Sample]:
    """Give a photo, prepared as it stands, or a drawn picture without people.

    Raises FolderUnreadable when the photo cannot be read.
    """
    with prepared_by(weights, turning=False) as prepare:
        prepared = prepare(Photo(drawn(), "png") if photo is None else folders.photo(photo))
    largest = max(prepared.proposals, key=lambda face: face.box[2] * face.box[3], default=None)
    yield Sample(prepared, None if largest is None else _cut(prepared, largest))


def time_model(
    task: TaskName, name: str, parameters: Parameters, sample: Sample, *, weights: Path, runs: int
) -> Timing:
    """Run a model again and again in a process of its own; the first run is not counted.

    parameters: those that are not at their defaults.
    Raises SetupFailed when it cannot run.
    """
    question = sample.question(task)
    with Subject(task, name, weights, parameters) as subject:
        subject.ask(question)
        answers = [subject.ask(question) for _ in range(runs)]
    cpu_ms = [1000 * one.cpu_seconds for one in answers]
    return Timing(
        cpu_ms=float(np.median(cpu_ms)),
        slowest_cpu_ms=float(np.quantile(cpu_ms, SLOWEST)),
        ms=float(np.median([1000 * one.seconds for one in answers])),
        peak_mb=max(one.peak_mb for one in answers),
    )


def drawn() -> Srgb8:
    """Return a picture without people: a gradient with discs, the same each time."""
    height, width = DRAWN_SIZE
    down, across = np.mgrid[0:height, 0:width]
    planes = [255 * across / width, 255 * down / height, 255 * (across + down) / (width + height)]
    srgb = np.stack(planes, axis=-1).astype(np.uint8)
    random = np.random.default_rng(0)
    for _ in range(40):
        middle = (int(random.integers(width)), int(random.integers(height)))
        colour = [int(level) for level in random.integers(0, 256, 3)]
        cv2.circle(srgb, middle, int(random.integers(10, 120)), colour, cv2.FILLED)
    return srgb


def _cut(prepared: Prepared, face: Face) -> Srgb8:
    """Return a face with a margin, out of the proxy."""
    srgb = prepared.proxy_srgb
    scale = srgb.shape[1] / prepared.width
    left, top, width, height = (side * scale for side in face.box)
    beside = MARGIN * max(width, height)
    rows = slice(max(0, int(top - beside)), int(top + height + beside) + 1)
    columns = slice(max(0, int(left - beside)), int(left + width + beside) + 1)
    return np.ascontiguousarray(srgb[rows, columns])
