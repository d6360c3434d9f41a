"""Sight: the models that look at frames, loaded once for all connections of a process.

They are those of the pipeline, the light ones, and run by the stages' own code.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, cast

from smart_filter_shared.cards import TaskName
from smart_filter_workers import catalogue, weights
from smart_filter_workers.catalogue import Catalogue
from smart_filter_workers.networks.centerface import CenterFace
from smart_filter_workers.networks.selfie import SelfieNetworks
from smart_filter_workers.results import Faces, Prepared, Smiles, Srgb8
from smart_filter_workers.stages.composite.models.base import Compositor
from smart_filter_workers.stages.face import stage as face_stage
from smart_filter_workers.stages.face.models import centerface
from smart_filter_workers.stages.segmentation.closer import Floats, in_two_passes
from smart_filter_workers.stages.segmentation.models import selfie
from smart_filter_workers.stages.smile import stage as smile_stage
from smart_filter_workers.stages.smile.models.base import EyeReader, SmileRater

# Faces are looked at, and found, in frames no larger than this. At 320 pixels 97 of 99 faces were
# found again that 640 pixels show, at 256 96; that takes 12 ms instead of 63.
FACES_SIDE_PX: Final = 640
FINDING_SIDE_PX: Final = 256
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

    def coverage(self, srgb: Srgb8) -> Floats:
        """Return how sure people are in each pixel, (H, W) float32 0..1; srgb: (H, W, 3) uint8."""
        return in_two_passes(self.people, srgb)

    def look(self, prepared: Prepared) -> Seen:
        """Return the faces of a frame, their smiles and eyes."""
        (faces,) = face_stage.run(self.faces, [face_stage.Inputs(prepared)])
        (smiles,) = smile_stage.run(self.smiles, [smile_stage.Inputs(prepared, faces)])
        return Seen(faces, smiles)


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
    # What a task's models take and return is what its Protocol says.
    return Sight(
        people=SelfieNetworks(folder),
        faces=face_stage.Models(face=detector),
        smiles=smile_stage.Models(
            smile=cast("SmileRater", _default(TaskName.SMILE, known, folder)),
            eyes=cast("EyeReader", _default(TaskName.EYES, known, folder)),
        ),
        compositor=cast("Compositor", _default(TaskName.COMPOSITE, known, folder)),
    )


def _default(task: TaskName, known: Catalogue, folder: Path) -> object:
    card = next(card for card in known.cards if card.task == task and card.default)
    weights.verify(folder, card.weights)
    model = known.files[task, card.name].load(folder)
    return partial(model, parameters=card.completed({})) if card.parameters else model
