"""Draws the filters that a recipe asks for, in its order, and says what became of each."""

import importlib
import pkgutil
from typing import Final, cast

import cv2
import numpy as np

from smart_filter_workers.results import (
    Chosen,
    Eyes,
    Face,
    Filtered,
    Frame,
    Matte8,
    Smile,
    Srgb8,
)
from smart_filter_workers.stages.composite import canvas, choosing, ground
from smart_filter_workers.stages.composite.filters import plugins, scene
from smart_filter_workers.stages.composite.filters.base import Filter
from smart_filter_workers.stages.composite.filters.scene import Scene
from smart_filter_workers.stages.composite.inputs import Inputs
from smart_filter_workers.stages.composite.models.base import Srgba8

# The longer side of the map of where people are: finer than any filter asks.
_PEOPLE_PX: Final = 512
# Who is covered by people by less than this, of 1, was taken out of the picture.
_SHOWN_FROM: Final = 0.5


def applied(
    picture: Srgb8 | Srgba8, inputs: Inputs, chosen: Chosen, frame: Frame
) -> tuple[Srgb8 | Srgba8, tuple[Filtered, ...]]:
    """Return a picture with the recipe's filters on it, and what became of each.

    picture: (H, W, 3), or (H, W, 4) with straight alpha, of the canvas's size; it is drawn on
    unless it is the photo itself.
    """
    asked = inputs.recipe.filters
    if not asked:
        return picture, ()
    if picture is inputs.photo.srgb or not picture.flags.writeable:
        picture = picture.copy()
    seen = _scene(inputs, chosen, frame)
    told = []
    for one in asked:
        verdict = plugin(one.name).draw(picture, seen, one.parameters)
        told.append(Filtered(one.name, verdict.applied, verdict.reason))
    return picture, tuple(told)


def names() -> frozenset[str]:
    """Return the names of the filters that can be drawn: those of the files among the plugins."""
    return frozenset(module.name for module in pkgutil.iter_modules(plugins.__path__))


def plugin(name: str) -> Filter:
    """Return a filter; raises KeyError when no file is named so."""
    if name not in names():
        raise KeyError(name)
    # That each module keeps to Filter is what its contract test says.
    return cast("Filter", importlib.import_module(f"{plugins.__name__}.{name}"))


def _scene(inputs: Inputs, chosen: Chosen, frame: Frame) -> Scene:
    people = _people(inputs, frame)
    faces, smiles, eyes = _shown(inputs, chosen)
    # The very mood that chooses a background.
    mood = None if inputs.smiles is None else choosing.feeling(inputs).mood
    return Scene(
        width=frame.width,
        height=frame.height,
        heads=scene.heads(
            [canvas.on_canvas(face, frame) for face in faces],
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


def _shown(inputs: Inputs, chosen: Chosen) -> tuple[list[Face], list[Smile], list[Eyes]]:
    """Return faces, smiles and eyes of those who are in the picture."""
    smiles = inputs.smiles
    if inputs.faces is None or smiles is None:
        # A light detector's: nobody asked for better ones.
        faces = inputs.prepared.proposals if inputs.faces is None else inputs.faces.faces
        return [face for face in faces if _is_shown(face, inputs, chosen)], [], []
    kept = [
        (face, smile, eyes)
        for face, smile, eyes in zip(inputs.faces.faces, smiles.smiles, smiles.eyes, strict=True)
        if _is_shown(face, inputs, chosen)
    ]
    return [one[0] for one in kept], [one[1] for one in kept], [one[2] for one in kept]


def _is_shown(face: Face, inputs: Inputs, chosen: Chosen) -> bool:
    """Whether somebody stands before the background, not in one that is gone."""
    if inputs.segmented is None or ground.is_photo(chosen, inputs):
        return True
    matte = inputs.segmented.matte
    scale = matte.shape[1] / inputs.prepared.width
    x, y, width, height = (scale * value for value in face.box)
    inside = matte[
        max(0, int(y + height / 4)) : max(0, int(y + 3 * height / 4) + 1),
        max(0, int(x + width / 4)) : max(0, int(x + 3 * width / 4) + 1),
    ]
    return bool(inside.size) and float(np.mean(inside)) >= 255 * _SHOWN_FROM


def _people(inputs: Inputs, frame: Frame) -> Matte8 | None:
    """Return a small map of where people are on the canvas; None when nobody looked."""
    if inputs.segmented is None:
        return None
    matte = inputs.segmented.matte
    share = min(1.0, _PEOPLE_PX / max(frame.width, frame.height))
    return canvas.laid(
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
