"""Composite: the picture, cut-out and matte that a job was asked for, at full resolution."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypedDict

import cv2
import numpy as np

from smart_filter_shared.printability import Printability
from smart_filter_shared.recipe import CUT_OUT, PICTURES, BackgroundKind
from smart_filter_workers import images
from smart_filter_workers.results import Chosen, Composited, Face, Frame, Srgb8
from smart_filter_workers.stages.composite import (
    canvas,
    choosing,
    correcting,
    framing,
    ground,
    look,
    outputs,
)
from smart_filter_workers.stages.composite.filters import applying
from smart_filter_workers.stages.composite.framing import Box, Seen
from smart_filter_workers.stages.composite.inputs import NOBODY_BELOW, Inputs
from smart_filter_workers.stages.composite.models.base import Compositor, CutOut, Srgba8
from smart_filter_workers.stages.composite.printability import assessment
from smart_filter_workers.stages.composite.tidying import tidied

__all__ = ["Inputs", "Models", "run"]

# Thinner coverage than this, of 255, is no part of the people's outline.
_SEEN_FROM = 26


class Models(TypedDict):
    """The models of this stage, by task."""

    composite: Compositor


def run(models: Models, batch: Sequence[Inputs]) -> list[Composited]:
    """Make each job's image, cut-out and matte."""
    return [_composite(models["composite"], inputs) for inputs in batch]


def _composite(compositor: Compositor, inputs: Inputs) -> Composited:
    asked = set(inputs.recipe.outputs)
    inputs = correcting.corrected(_tidied(_upright(inputs)))
    chosen = choosing.chosen(inputs) if PICTURES & asked else None
    whole = _cut(compositor, inputs, chosen)
    frame = framing.frame(inputs.recipe.framing, _seen(inputs, whole, chosen))
    cut = None if whole is None else canvas.framed(whole, frame)
    made = Composited(
        image=None,
        matte=None,
        background=chosen,
        frame=frame,
        foreground=None if cut is None else _foreground(cut),
        printability=_printability(inputs, frame),
    )
    if chosen is not None:
        picture = _picture(compositor, cut, chosen, inputs, frame)
        picture, filtered = applying.applied(picture, inputs, chosen, frame)
        made = outputs.with_picture(replace(made, filters=filtered), picture, inputs)
    if cut is not None and whole is not None:
        made = outputs.with_cut_out(made, compositor, cut, whole, inputs)
    return made


def _printability(inputs: Inputs, frame: Frame) -> Printability | None:
    """Say how well the picture prints; None when nobody looked at faces and eyes."""
    if inputs.faces is None or inputs.smiles is None:
        return None
    segmented = inputs.segmented
    if segmented is not None and segmented.coverage < NOBODY_BELOW:
        segmented = None
    return assessment.assess(
        inputs.photo.srgb,
        proxy_srgb=inputs.prepared.proxy_srgb,
        matte=None if segmented is None else segmented.matte,
        faces=inputs.faces.faces,
        eyes=inputs.smiles.eyes,
        frame=frame,
    )


def _upright(inputs: Inputs) -> Inputs:
    """Return the inputs with the photo as `prepare` has turned it."""
    srgb = images.turned(inputs.photo.srgb, inputs.prepared.quarter_turns)
    return replace(inputs, photo=replace(inputs.photo, srgb=srgb))


def _tidied(inputs: Inputs) -> Inputs:
    """Return the inputs with a matte that shows no slips, and nobody outside of the region."""
    segmented = inputs.segmented
    if segmented is None:
        return inputs
    return replace(inputs, segmented=tidied(segmented, inputs.prepared, _faces(inputs)))


def _faces(inputs: Inputs) -> tuple[Face, ...]:
    """Return the faces that were detected, or, when that was not asked for, proposed."""
    return inputs.prepared.proposals if inputs.faces is None else inputs.faces.faces


def _cut(compositor: Compositor, inputs: Inputs, chosen: Chosen | None) -> CutOut | None:
    """Cut the people out; None when nothing that is wanted needs it."""
    segmented, recipe = inputs.segmented, inputs.recipe
    keeps = chosen is None or chosen.kind == BackgroundKind.KEEP
    wants_them = CUT_OUT & set(recipe.outputs)
    if segmented is None or (keeps and not wants_them and not recipe.framing.asks_for_people):
        return None
    matte = segmented.matte
    if segmented.coverage < NOBODY_BELOW:
        matte = np.zeros_like(matte)
    return compositor.cut(
        inputs.photo.srgb,
        proxy_srgb=inputs.prepared.proxy_srgb,
        matte=matte,
        edge=recipe.edge,
        faces=_faces(inputs),
    )


def _seen(inputs: Inputs, cut: CutOut | None, chosen: Chosen | None) -> Seen:
    """Return what framing goes by."""
    height, width = inputs.photo.srgb.shape[:2]
    box = None if cut is None else _foreground(cut)
    line = inputs.recipe.look.outline
    shows_photo = chosen is not None and chosen.kind in {BackgroundKind.KEEP, BackgroundKind.BLUR}
    return Seen(
        photo=Box(0, 0, width, height),
        subject=None if box is None else Box(box[0], box[1], box[0] + box[2], box[1] + box[3]),
        faces=_faces(inputs),
        may_extend=not shows_photo,
        outline=None if line is None else line.width,
    )


def _foreground(cut: CutOut) -> tuple[int, int, int, int] | None:
    """Return x, y, width and height around the people in pixels of the cut-out; None for nobody."""
    x, y, width, height = cv2.boundingRect(cv2.inRange(cut.matte, _SEEN_FROM, 255))
    return (x, y, width, height) if width else None


def _picture(
    compositor: Compositor, cut: CutOut | None, chosen: Chosen, inputs: Inputs, frame: Frame
) -> Srgb8 | Srgba8:
    """Return the picture, (H, W, 3), or (H, W, 4) where something shows through."""
    if cut is None or ground.is_photo(chosen, inputs):
        return ground.kept(inputs, frame)
    behind = ground.drawn(chosen, inputs, frame)
    scene = look.Scene(
        drawn=chosen.kind == BackgroundKind.PRESET,
        light=chosen.light,
        faces=[canvas.on_canvas(face, frame) for face in _faces(inputs)],
        photo_ends=frame.place((0, inputs.photo.srgb.shape[0]))[1] / frame.height,
    )
    return look.joined(compositor, cut, behind, inputs.recipe.look, scene)
