"""Measure the cost of a model on this machine: processor time and memory, on one photo."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_shared.catalog.parameters import Parameters
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.results import Face
from smart_filter_training.evaluation import dataset_files
from smart_filter_training.evaluation.model_process import ModelProcess
from smart_filter_training.evaluation.prepare_stage import open_prepare_stage
from smart_filter_training.evaluation.tasks import orientation
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Photo, PreparedPhoto, Srgb8

SLOW_QUANTILE: Final = 0.9
# Size of the drawn picture: that of a phone's photo as a proxy.
SYNTHETIC_SIZE: Final = (768, 1024)
# Margin around a face, as a share of its longer side: the same as in crops for smiles and eyes.
FACE_MARGIN: Final = 0.25
# Side of a crop for smiles, as in `eval smile`.
SMILE_CROP_PX: Final = 48


@dataclass(frozen=True, slots=True)
class Timing:
    """The cost of one model.

    cpu_ms: processor time per photo on one thread, the median of the runs; slowest_cpu_ms: its
    90th percentile.  ms: wall time, the median.  peak_mb: memory of a process that runs only
    this model, in 10⁶ bytes.
    """

    cpu_ms: float
    slowest_cpu_ms: float
    ms: float
    peak_mb: float


@dataclass(frozen=True, slots=True)
class Sample:
    """One photo in the forms that the models of each task take.

    face: its largest face, cut out; None without a face.
    """

    prepared: PreparedPhoto
    face: Srgb8 | None

    def question(self, task: TaskName) -> object:
        """Return the input of a task's models.

        Raises SetupFailed when the photo yields no such input.
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
                raise SetupFailed(f"models of {task} cannot be measured alone")


@contextmanager
def open_sample(photo: Path | None, weights: Path, *, research: bool) -> Iterator[Sample]:
    """Yield a photo, prepared without turning it, or a drawn picture without people.

    research: whether models may run that are not for commercial use.
    Raises FolderUnreadable when the photo cannot be read.
    """
    with open_prepare_stage(weights, turning=False, research=research) as prepare:
        prepared = prepare(
            Photo(draw_synthetic(), "png") if photo is None else dataset_files.read_photo(photo)
        )
    largest = max(prepared.proposals, key=lambda face: face.box[2] * face.box[3], default=None)
    yield Sample(prepared, None if largest is None else _cut(prepared, largest))


def time_model(
    task: TaskName,
    name: str,
    parameters: Parameters,
    sample: Sample,
    *,
    weights: Path,
    runs: int,
    research: bool,
) -> Timing:
    """Run a model repeatedly in a process of its own; the first run is not counted.

    parameters: those that differ from their defaults.  research: whether models may run that are
    not for commercial use.
    Raises SetupFailed when it cannot run.
    """
    question = sample.question(task)
    with ModelProcess(task, name, weights, parameters, research=research) as subject:
        subject.ask(question)
        answers = [subject.ask(question) for _ in range(runs)]
    cpu_ms = [1000 * answer.cpu_seconds for answer in answers]
    return Timing(
        cpu_ms=float(np.median(cpu_ms)),
        slowest_cpu_ms=float(np.quantile(cpu_ms, SLOW_QUANTILE)),
        ms=float(np.median([1000 * answer.seconds for answer in answers])),
        peak_mb=max(answer.peak_mb for answer in answers),
    )


def draw_synthetic() -> Srgb8:
    """Return a picture without people: a gradient with discs, the same each time."""
    height, width = SYNTHETIC_SIZE
    down, across = np.mgrid[0:height, 0:width]
    planes = [255 * across / width, 255 * down / height, 255 * (across + down) / (width + height)]
    srgb = np.stack(planes, axis=-1).astype(np.uint8)
    random = np.random.default_rng(0)
    for _ in range(40):
        middle = (int(random.integers(width)), int(random.integers(height)))
        color = [int(level) for level in random.integers(0, 256, 3)]
        cv2.circle(srgb, middle, int(random.integers(10, 120)), color, cv2.FILLED)
    return srgb


def _cut(prepared: PreparedPhoto, face: Face) -> Srgb8:
    """Return a face with a margin, cut out of the proxy."""
    srgb = prepared.proxy_srgb
    scale = srgb.shape[1] / prepared.width
    left, top, width, height = (side * scale for side in face.box)
    margin = FACE_MARGIN * max(width, height)
    rows = slice(max(0, int(top - margin)), int(top + height + margin) + 1)
    columns = slice(max(0, int(left - margin)), int(left + width + margin) + 1)
    return np.ascontiguousarray(srgb[rows, columns])
