"""Draw the recipe's filters in order, and report the result of each."""

import importlib
import pkgutil
from collections.abc import Sequence
from typing import Final, cast

from smart_filter_shared.presets import Mood
from smart_filter_shared.recipe import Filter as AskedFilter
from smart_filter_shared.results import Face, Frame, Smiles
from smart_filter_wire.findings import AppliedFilter
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Matte8, Srgb8, Srgba8
from smart_filter_workers.stages.composite.cleanup import is_covered
from smart_filter_workers.stages.composite.filters import plugins, scene
from smart_filter_workers.stages.composite.filters.scene import Filter, Scene
from smart_filter_workers.stages.composite.framing import face_to_canvas, place_photo

# Longer side of the map of people, in pixels: finer than any filter needs.
_PEOPLE_PX: Final = 512


def apply(
    picture: Srgb8 | Srgba8, asked: Sequence[AskedFilter], seen: Scene
) -> tuple[AppliedFilter, ...]:
    """Draw the recipe's filters on a picture, in place, and return the result of each.

    picture: (H, W, 3), or (H, W, 4) with straight alpha, of the canvas's size.
    """
    results = []
    for filter_ in asked:
        verdict = load_plugin(filter_.name).draw(picture, seen, filter_.parameters)
        results.append(AppliedFilter(filter_.name, verdict.applied, verdict.reason))
    return tuple(results)


def list_names() -> frozenset[str]:
    """Return the names of the available filters: the modules among the plugins."""
    return frozenset(module.name for module in pkgutil.iter_modules(plugins.__path__))


def load_plugin(name: str) -> Filter:
    """Return a filter.  Raises KeyError when no plugin has this name."""
    if name not in list_names():
        raise KeyError(name)
    # A contract test checks that each module implements Filter.
    return cast("Filter", importlib.import_module(f"{plugins.__name__}.{name}"))


def make_scene(
    faces: Sequence[Face],
    smiles: Smiles | None,
    frame: Frame,
    *,
    matte: Matte8 | None,
    photo_width: int,
    hides_others: bool,
    mood: Mood | None,
    seed: int,
) -> Scene:
    """Return the scene of a photo on its canvas.

    faces: in pixels of the photo; smiles: of the same faces.  matte: (h, w) uint8; None without.
    hides_others: whether faces outside of the matte are behind a new background.
    """
    people = None if matte is None else _place_people(matte, photo_width, frame)
    kept = [
        index
        for index, face in enumerate(faces)
        if matte is None or not hides_others or is_covered(face, matte, photo_width)
    ]
    heads = scene.find_heads(
        [face_to_canvas(faces[index], frame) for index in kept],
        smiles=[] if smiles is None else [smiles.smiles[index] for index in kept],
        eyes=[] if smiles is None else [smiles.eyes[index] for index in kept],
        people=people,
        width=frame.width,
        height=frame.height,
    )
    return Scene(frame.width, frame.height, heads, mood=mood, people=people, seed=seed)


def _place_people(matte: Matte8, photo_width: int, frame: Frame) -> Matte8:
    """Return a small map of the people on the canvas."""
    share = min(1.0, _PEOPLE_PX / max(frame.width, frame.height))
    small = Frame(
        width=max(1, round(share * frame.width)),
        height=max(1, round(share * frame.height)),
        scale=share * frame.scale * photo_width / matte.shape[1],
        left=share * frame.left,
        top=share * frame.top,
    )
    return place_photo(matte, small, beyond=cv2.BORDER_CONSTANT)
