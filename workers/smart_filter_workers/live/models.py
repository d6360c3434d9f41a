"""The models that find people and faces in frames, loaded once for all connections of a process.

They are the light ones of the pipeline, and the stages' own code runs them. Small networks that see
a whole frame at once miss people that are small, dark in front of a dark background, or at the
border. A second look at a person whose face was found but whose body was missed finds most of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.results import Face, Faces, Smiles
from smart_filter_workers.models import catalog
from smart_filter_workers.models.catalog import ModelCatalog
from smart_filter_workers.networks.coverage.selfie import SelfieNetworks
from smart_filter_workers.networks.faces import blazeface, centerface
from smart_filter_workers.networks.faces.blazeface import BlazeFace
from smart_filter_workers.networks.faces.centerface import CenterFace
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Floats, PreparedPhoto, Srgb8
from smart_filter_workers.stages.composite.models.base import Compositor
from smart_filter_workers.stages.face import stage as face_stage
from smart_filter_workers.stages.face.models import blazeface as blazeface_model
from smart_filter_workers.stages.face.models import centerface as centerface_model
from smart_filter_workers.stages.face.models.centerface import NearOrSearched
from smart_filter_workers.stages.segmentation.mattes.two_pass import segment_in_two_passes
from smart_filter_workers.stages.segmentation.models import selfie
from smart_filter_workers.stages.segmentation.regions import Region
from smart_filter_workers.stages.smile import stage as smile_stage
from smart_filter_workers.weights import files

# Faces are detected in frames of at most this size: at 320 pixels 97 of the 99 faces that are found
# at 640 pixels, at 256 pixels 96; that takes 12 ms instead of 63.
FINDING_SIDE_PX: Final = 256
# Each face takes 7 ms more: with a crowd, the answer would come too late.
MAX_FACES: Final = 8

# Mean coverage of a face's box; it is below 1 because the box's corners show the background.
MISSED_BELOW: Final = 0.7
# Limit per frame: each look takes 7 ms. Other missed people wait for later frames.
MAX_REGIONS: Final = 2
# In sides of a face's box: to either side of its middle, above and below its upper border.
REACH_ACROSS, REACH_UP, REACH_DOWN = 2.2, 0.8, 5.0


@dataclass(frozen=True, slots=True)
class FrameFaces:
    """The faces of a frame, in its pixels from left to right, with their smiles and eyes."""

    faces: Faces
    smiles: Smiles


@dataclass(frozen=True, slots=True)
class LiveModels:
    """Finds people and faces in frames; safe for threads."""

    people: SelfieNetworks
    faces: face_stage.Models
    smiles: smile_stage.Models
    compositor: Compositor

    def coverage(self, small: Srgb8, large: Srgb8, faces: Sequence[Face]) -> Floats:
        """Return the probability of people for each pixel of a frame, (h, w) float32 0..1.

        small: (h, w, 3) uint8; large: (H, W, 3) uint8, the same frame.  faces: those of the
        previous frame, in pixels of `large`; missed people are searched for around them.
        """
        coverage = segment_in_two_passes(self.people, small)
        for region in find_regions(coverage, faces, scale=large.shape[1] / small.shape[1]):
            part = coverage[region.small]
            seen = self.people(large[region.large])
            size = (part.shape[1], part.shape[0])
            cv2.max(part, cv2.resize(seen, size, interpolation=cv2.INTER_AREA), dst=part)
        return coverage

    def look(self, prepared: PreparedPhoto) -> FrameFaces:
        """Return the largest faces of a frame, with their smiles and eyes."""
        (detected,) = face_stage.run(self.faces, [face_stage.Inputs(prepared)])
        faces = _largest(detected)
        (smiles,) = smile_stage.run(self.smiles, [smile_stage.Inputs(prepared, faces)])
        return FrameFaces(faces, smiles)


def _largest(faces: Faces) -> Faces:
    """Return the widest faces, still from left to right."""
    widths = sorted((face.box[2] for face in faces.faces), reverse=True)
    least = widths[:MAX_FACES][-1] if widths else 0.0
    return Faces(tuple(face for face in faces.faces if face.box[2] >= least)[:MAX_FACES])


def check_weights(folder: Path, *, research: bool) -> None:
    """Check that the weights folder has what is needed.  Raises SetupFailed."""
    for card in (selfie.CARD, centerface_model.CARD if research else blazeface_model.CARD):
        files.verify(folder, card.weights)


def load(folder: Path, *, research: bool, emotions: bool) -> LiveModels:
    """Load the models from the weights folder; this takes 0.3 s and 130 MB.

    research, emotions: whether models may run that are not for commercial use, and those that read
    emotions; the detector of faces and the default models for smiles and eyes depend on it.
    Raises SetupFailed.
    """
    check_weights(folder, research=research)
    discovered = catalog.discover_models(research=research, emotions=emotions)
    detector = (
        CenterFace(folder, longest_side_px=FINDING_SIDE_PX, threshold=centerface.THRESHOLD)
        if research
        else BlazeFace(folder, longest_side_px=FINDING_SIDE_PX, threshold=blazeface.THRESHOLD)
    )
    return LiveModels(
        people=SelfieNetworks(folder),
        faces=face_stage.Models(face=NearOrSearched(detector)),
        smiles=smile_stage.Models(
            smile=_default(TaskName.SMILE, discovered, folder),
            eyes=_default(TaskName.EYES, discovered, folder),
        ),
        compositor=_default(TaskName.COMPOSITE, discovered, folder),
    )


def _default(task: TaskName, models: ModelCatalog, folder: Path) -> Any:  # noqa: ANN401 - by task
    """Return a task's default model, which has the type of the task's Protocol."""
    card = next(card for card in models.cards if card.task == task and card.default)
    files.verify(folder, card.weights)
    model: Any = models.files[task, card.name].load(folder)  # the Protocol depends on the task
    return partial(model, parameters=card.completed({})) if card.parameters else model


@dataclass(frozen=True, slots=True)
class FocusRegion:
    """The region of one person, in a small picture and in a large one of the same frame."""

    small: Region
    large: Region


def find_regions(coverage: Floats, faces: Sequence[Face], *, scale: float) -> Iterator[FocusRegion]:
    """Yield the regions of the people with the least coverage.

    coverage: (h, w) float32, 0..1.  faces: in pixels of a picture that is `scale` times as large.
    """
    height, width = coverage.shape
    missed = []
    for face in faces:
        left, top, across, down = (side / scale for side in face.box)
        box = coverage[_span(top, top + down, height), _span(left, left + across, width)]
        mean = float(box.mean()) if box.size else 1.0
        if mean < MISSED_BELOW:
            missed.append((mean, face))
    missed.sort(key=lambda region: region[0])
    for _, face in missed[:MAX_REGIONS]:
        left, top, across, down = face.box
        middle = left + across / 2
        start, end = middle - REACH_ACROSS * across, middle + REACH_ACROSS * across
        upper, lower = top - REACH_UP * down, top + REACH_DOWN * down
        small = (
            _span(upper / scale, lower / scale, height),
            _span(start / scale, end / scale, width),
        )
        yield FocusRegion(small, (_scale_span(small[0], scale), _scale_span(small[1], scale)))


def _span(start: float, end: float, length: int) -> slice:
    return slice(min(length, max(0, int(start))), max(0, min(length, int(end) + 1)))


def _scale_span(span: slice, scale: float) -> slice:
    return slice(round(span.start * scale), round(span.stop * scale))
