"""The composite stage's inputs for one job."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.feedback.face_changes import Box, FaceChanges
from smart_filter_shared.recipe import Mask, Recipe
from smart_filter_shared.results import Face, Faces, Smiles
from smart_filter_wire.takes import TakeReport
from smart_filter_workers.backgrounds.collection import Collection
from smart_filter_workers.networks.coordinates import estimate_landmarks
from smart_filter_workers.results import Matte8, MatteDrawing, Photo, PreparedPhoto, Segmentation


@dataclass(frozen=True, slots=True)
class Inputs:
    """The stage's inputs for one job; None for a stage that the job did not run.

    background: the background file that was uploaded or fetched, if any.
    collection: the backgrounds that the caller may name, and that `auto` chooses from.
    logo: of the recipe, (H, W, 4) uint8 sRGB, premultiplied.
    drawn: the users' corrections of the matte, in order.  changes: theirs of the faces.
    take: how the photo was composed of several, if it was.
    """

    photo: Photo
    background: Photo | None
    prepared: PreparedPhoto
    segmented: Segmentation | None
    faces: Faces | None
    smiles: Smiles | None
    recipe: Recipe
    seed: int
    collection: Collection = field(default_factory=Collection)
    logo: NDArray[np.uint8] | None = None
    drawn: tuple[MatteDrawing, ...] = ()
    take: TakeReport | None = None
    changes: FaceChanges = field(default_factory=FaceChanges)

    @property
    def detected_faces(self) -> tuple[Face, ...]:
        """The detected faces, or the proposed ones when the face stage did not run."""
        if self.faces is not None:
            return self.faces.faces
        return (
            *self.changes.without_changed(self.prepared.proposals),
            *map(_face_in, self.changes.added),
        )

    @property
    def faces_of_people(self) -> tuple[Face, ...]:
        """The detected faces, and those that a user removed: they are still parts of people."""
        return (*self.detected_faces, *map(_face_in, self.changes.removed))

    @property
    def has_mask(self) -> bool:
        """Whether the user sent the matte; it counts however little it covers."""
        return self.recipe.mask == Mask.UPLOAD or any(
            drawing.mask is not None for drawing in self.drawn
        )

    @property
    def exact_matte(self) -> Matte8 | None:
        """The matte that came with the photo, (H, W) at its size; None without, or if corrected."""
        if self.drawn:
            return self.drawn[-1].mask if self.drawn[-1].as_sent else None
        return self.photo.alpha if self.recipe.mask == Mask.UPLOAD else None


def _face_in(box: Box) -> Face:
    return Face(box, 1.0, estimate_landmarks(box), added=True)
