"""What the composite stage reads of one job."""

from dataclasses import dataclass, field
from typing import Final

from smart_filter_shared.recipe import Recipe
from smart_filter_workers.backgrounds.collection import Collection
from smart_filter_workers.results import Drawn, Faces, Photo, Prepared, Segmented, Smiles

# Less than this share of a photo is nobody: the contract says so.
NOBODY_BELOW: Final = 0.005


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the stage reads of one job; what the job did not run is None.

    background: the file that was uploaded for it, or fetched from its address, when one was.
    collection: the backgrounds that whoever asks may name, and that `auto` chooses among.
    drawn: what people drew to correct the matte, in order.
    """

    photo: Photo
    background: Photo | None
    prepared: Prepared
    segmented: Segmented | None
    faces: Faces | None
    smiles: Smiles | None
    recipe: Recipe
    seed: int
    collection: Collection = field(default_factory=Collection)
    drawn: tuple[Drawn, ...] = ()
