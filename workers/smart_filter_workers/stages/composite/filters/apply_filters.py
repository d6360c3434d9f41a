"""Draw the recipe's filters in order, and report the result of each."""

import importlib
import pkgutil
from typing import Final, cast

import numpy as np

from smart_filter_shared.results import ChosenBackground, Face, Frame, Smile
from smart_filter_wire.findings import AppliedFilter, Eyes
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Matte8, Srgb8, Srgba8
from smart_filter_workers.stages.composite import background, choose_background, framing
from smart_filter_workers.stages.composite.filters import plugins, scene
from smart_filter_workers.stages.composite.filters.scene import Filter, Scene
from smart_filter_workers.stages.composite.inputs import Inputs

# Longer side of the map of people, in pixels: finer than any filter needs.
_PEOPLE_PX: Final = 512
# A face with a smaller share of matte, 0..1, was cut out of the picture.
_VISIBLE_FROM: Final = 0.5


def apply(
    picture: Srgb8 | Srgba8, inputs: Inputs, chosen: ChosenBackground, frame: Frame
) -> tuple[Srgb8 | Srgba8, tuple[AppliedFilter, ...]]:
    """Return a picture with the recipe's filters drawn on it, and the result of each.

    picture: (H, W, 3), or (H, W, 4) with straight alpha, of the canvas's size; drawn on in place
    unless it is the photo itself.
    """
    asked = inputs.recipe.filters
    if not asked:
        return picture, ()
    if picture is inputs.photo.srgb or not picture.flags.writeable:
        picture = picture.copy()
    seen = _scene(inputs, chosen, frame)
    results = []
    for filter_ in asked:
        verdict = load_plugin(filter_.name).draw(picture, seen, filter_.parameters)
        results.append(AppliedFilter(filter_.name, verdict.applied, verdict.reason))
    return picture, tuple(results)


def list_names() -> frozenset[str]:
    """Return the names of the available filters: the modules among the plugins."""
    return frozenset(module.name for module in pkgutil.iter_modules(plugins.__path__))


def load_plugin(name: str) -> Filter:
    """Return a filter.  Raises KeyError when no plugin has this name."""
    if name not in list_names():
        raise KeyError(name)
    # A contract test checks that each module implements Filter.
    return cast("Filter", importlib.import_module(f"{plugins.__name__}.{name}"))


def _scene(inputs: Inputs, chosen: ChosenBackground, frame: Frame) -> Scene:
    people = _people(inputs, frame)
    faces, smiles, eyes = _visible_faces(inputs, chosen)
    # The same mood that chooses a background.
    mood = None if inputs.smiles is None else choose_background.infer_mood(inputs).mood
    return Scene(
        width=frame.width,
        height=frame.height,
        heads=scene.find_heads(
            [framing.face_to_canvas(face, frame) for face in faces],
            smiles=smiles,
            eyes=eyes,
            people=people,
            width=frame.width,
            height=frame.height,
        ),
        mood=mood,
        people=people,
        seed=inputs.seed,
    )


def _visible_faces(
    inputs: Inputs, chosen: ChosenBackground
) -> tuple[list[Face], list[Smile], list[Eyes]]:
    """Return the faces, smiles and eyes that are still in the picture."""
    smiles = inputs.smiles
    if inputs.faces is None or smiles is None:
        return [face for face in inputs.detected_faces if _is_visible(face, inputs, chosen)], [], []
    kept = [
        (face, smile, eyes)
        for face, smile, eyes in zip(inputs.faces.faces, smiles.smiles, smiles.eyes, strict=True)
        if _is_visible(face, inputs, chosen)
    ]
    return [entry[0] for entry in kept], [entry[1] for entry in kept], [entry[2] for entry in kept]


def _is_visible(face: Face, inputs: Inputs, chosen: ChosenBackground) -> bool:
    """Return whether a face is in the picture, not in a background that was replaced."""
    if inputs.segmented is None or background.is_photo(chosen):
        return True
    matte = inputs.segmented.matte
    scale = matte.shape[1] / inputs.prepared.width
    x, y, width, height = (scale * value for value in face.box)
    inside = matte[
        max(0, int(y + height / 4)) : max(0, int(y + 3 * height / 4) + 1),
        max(0, int(x + width / 4)) : max(0, int(x + 3 * width / 4) + 1),
    ]
    return bool(inside.size) and float(np.mean(inside)) >= 255 * _VISIBLE_FROM


def _people(inputs: Inputs, frame: Frame) -> Matte8 | None:
    """Return a small map of the people on the canvas; None without a segmentation."""
    if inputs.segmented is None:
        return None
    matte = inputs.segmented.matte
    share = min(1.0, _PEOPLE_PX / max(frame.width, frame.height))
    return framing.place_photo(
        matte,
        Frame(
            width=max(1, round(share * frame.width)),
            height=max(1, round(share * frame.height)),
            scale=share * frame.scale * inputs.prepared.width / matte.shape[1],
            left=share * frame.left,
            top=share * frame.top,
        ),
        beyond=cv2.BORDER_CONSTANT,
    )
