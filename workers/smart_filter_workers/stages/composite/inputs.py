"""The composite stage's inputs for one job."""

from dataclasses import dataclass, field

from smart_filter_shared.recipe import Recipe
from smart_filter_shared.results import Faces, Smiles
from smart_filter_workers.backgrounds.collection import Collection
from smart_filter_workers.results import MatteDrawing, Photo, PreparedPhoto, Segmentation


@dataclass(frozen=True, slots=True)
class Inputs:
    """The stage's inputs for one job; None for a stage that the job did not run.

    background: the background file that was uploaded or fetched, if any.
    collection: the backgrounds that the caller may name, and that `auto` chooses from.
    drawn: the users' corrections of the matte, in order.
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
    drawn: tuple[MatteDrawing, ...] = ()
