"""Sight: the models that look at frames, loaded once for all connections of a process.

They are those of the pipeline, the light ones, and run by the stages' own code.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import cv2

from smart_filter_shared.cards import TaskName
from smart_filter_workers import catalogue, weights
from smart_filter_workers.catalogue import Catalogue
from smart_filter_workers.live import missing
from smart_filter_workers.networks.centerface import CenterFace
from smart_filter_workers.networks.selfie import SelfieNetworks
from smart_filter_workers.results import Face, Faces, Prepared, Smiles, Srgb8
from smart_filter_workers.stages.composite.models.base import Compositor
from smart_filter_workers.stages.face import stage as face_stage
from smart_filter_workers.stages.face.models import centerface
from smart_filter_workers.stages.segmentation.closer import Floats, in_two_passes
from smart_filter_workers.stages.segmentation.models import selfie
from smart_filter_workers.stages.smile import stage as smile_stage

# Faces are looked at, and found, in frames no larger than this. At 320 pixels 97 of 99 faces were
# found again that 640 pixels show, at 256 96; that takes 12 ms instead of 63.
FACES_SIDE_PX: Final = 640
FINDING_SIDE_PX: Final = 256
# Each takes 7 ms more: those of a crowd would be an old frame's.
MOST_FACES: Final = 8
# People are cut out of frames no larger than this, which the compositor then learns the edge from.
# On 48 photos of 640 pixels IoU is 0.953 as with all of them, in half the time.
PEOPLE_SIDE_PX: Final = 320


@dataclass(frozen=True, slots=True)
class Seen:
    """The faces of a frame, in its pixels from left to right, and what each shows."""

    faces: Faces
    smiles: Smiles


@dataclass(frozen=True, slots=True)
class Sight:
    """Sees people and faces; any thread may ask."""

    people: SelfieNetworks
    faces: face_stage.Models
    smiles: smile_stage.Models
    compositor: Compositor

    def coverage(self, small: Srgb8, large: Srgb8, faces: Sequence[Face]) -> Floats:
        """Return how sure people are in each pixel of a frame, (h, w) float32 0..1.

        small: (h, w, 3) uint8; large: (H, W, 3) uint8, the same frame.  faces: as they were a
        moment ago, in pixels of `large`; whom the networks miss is looked for around them.
        """
        coverage = in_two_passes(self.people, small)
        for region in missing.regions(coverage, faces, scale=large.shape[1] / small.shape[1]):
            part = coverage[region.small]
            seen = self.people(large[region.large])
            size = (part.shape[1], part.shape[0])
            cv2.max(part, cv2.resize(seen, size, interpolation=cv2.INTER_AREA), dst=part)
        return coverage

    def look(self, prepared: Prepared) -> Seen:
        """Return the largest faces of a frame, their smiles and eyes."""
        (found,) = face_stage.run(self.faces, [face_stage.Inputs(prepared)])
        faces = _largest(found)
        (smiles,) = smile_stage.run(self.smiles, [smile_stage.Inputs(prepared, faces)])
        return Seen(faces, smiles)


def _largest(found: Faces) -> Faces:
    """Return the widest faces, from left to right as before."""
    widths = sorted((face.box[2] for face in found.faces), reverse=True)
    least = widths[:MOST_FACES][-1] if widths else 0.0
    return Faces(tuple(face for face in found.faces if face.box[2] >= least)[:MOST_FACES])


def check(folder: Path) -> None:
    """See to it that the weights folder has what is needed.  Raises SetupFailed."""
    for card in (selfie.CARD, centerface.CARD):
        weights.verify(folder, card.weights)


def load(folder: Path, *, research: bool) -> Sight:
    """Load the models from the weights folder; 0.3 s and 130 MB.

    research: whether models with research weights may run; smiles and eyes are read by the
    models that are then the defaults.
    Raises SetupFailed.
    """
    check(folder)
    known = catalogue.find(research=research)
    detector = CenterFace(folder, longest_side_px=FINDING_SIDE_PX, threshold=centerface.THRESHOLD)
    return Sight(
        people=SelfieNetworks(folder),
        faces=face_stage.Models(face=detector),
        smiles=smile_stage.Models(
            smile=_default(TaskName.SMILE, known, folder),
            eyes=_default(TaskName.EYES, known, folder),
        ),
        compositor=_default(TaskName.COMPOSITE, known, folder),
    )


def _default(task: TaskName, known: Catalogue, folder: Path) -> Any:  # noqa: ANN401 - by task
    """Return a task's default model, which is what the task's Protocol says."""
    card = next(card for card in known.cards if card.task == task and card.default)
    weights.verify(folder, card.weights)
    model: Any = known.files[task, card.name].load(folder)  # its Protocol is the task's
    return partial(model, parameters=card.completed({})) if card.parameters else model
