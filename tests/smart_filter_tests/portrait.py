"""A real portrait at any size, with stored results of the stages before composite.

Stored, so that neither weights nor another machine's arithmetic change the result.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2

from smart_filter_shared.rating import SmileLevel
from smart_filter_shared.recipe import Recipe
from smart_filter_shared.results import Face, Faces, Smile, Smiles
from smart_filter_wire.findings import Eyes
from smart_filter_workers.networks.coordinates import scale_face
from smart_filter_workers.results import Photo, PreparedPhoto, Segmentation, Srgb8
from smart_filter_workers.stages.composite.stage import Inputs
from smart_filter_workers.stages.prepare.stage import make_proxy

_DATA = Path(__file__).parents[1] / "data"
_SIDE = 512
_PERSONS = 1
# As a detector finds it in the 512 pixel photo.
ASTRONAUTS_FACE = Face(
    box=(181.5, 58.2, 88.4, 119.6),
    score=0.93,
    landmarks=((203.2, 101.7), (247.0, 104.5), (223.3, 125.1), (203.4, 142.3), (241.3, 144.4)),
)


@dataclass(frozen=True, slots=True)
class Portrait:
    """A photo of one person who smiles, and the stage results for it."""

    srgb: Srgb8
    prepared: PreparedPhoto
    segmented: Segmentation
    faces: tuple[Face, ...]
    smiles: tuple[Smile, ...]
    eyes: tuple[Eyes, ...]


def a_portrait(side: int = _SIDE) -> Portrait:
    """Return the portrait, side × side pixels; callers must not write to it."""
    photo = cv2.cvtColor(_read("astronaut.png", cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    srgb = cv2.resize(photo, (side, side), interpolation=cv2.INTER_CUBIC)
    srgb.setflags(write=False)
    proxy = make_proxy(srgb)
    size = (proxy.shape[1], proxy.shape[0])
    matte = cv2.resize(_read("astronaut-matte.png", cv2.IMREAD_GRAYSCALE), size)
    face = scale_face(ASTRONAUTS_FACE, x=side / _SIDE, y=side / _SIDE)
    return Portrait(
        srgb=srgb,
        prepared=PreparedPhoto(side, side, "png", proxy_srgb=proxy, proposals=(face,)),
        segmented=Segmentation(matte=matte, coverage=float((matte > 127).mean()), persons=_PERSONS),
        faces=(face,),
        smiles=(Smile(SmileLevel.HUGE, 0.98),),
        eyes=(Eyes(left_open=True, right_open=True),),
    )


def as_job(recipe: Recipe, *, side: int = _SIDE, seed: int = 1) -> Inputs:
    portrait = a_portrait(side)
    return Inputs(
        photo=Photo(portrait.srgb, "jpg"),
        background=None,
        prepared=portrait.prepared,
        segmented=portrait.segmented,
        faces=Faces(portrait.faces),
        smiles=Smiles(portrait.smiles, portrait.eyes),
        recipe=recipe,
        seed=seed,
    )


def _read(name: str, flags: int) -> Srgb8:
    pixels = cv2.imread(str(_DATA / name), flags)
    if pixels is None:
        raise FileNotFoundError(_DATA / name)
    return pixels
