"""Composite stage: make a job's picture, cut-out and matte at full resolution."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypedDict

import numpy as np

from smart_filter_shared.errors import NoMask
from smart_filter_shared.recipe import (
    CUTOUT_OUTPUTS,
    PICTURE_OUTPUTS,
    BackgroundKind,
    Edge,
    Length,
    Mask,
    Output,
)
from smart_filter_shared.results import MIN_PEOPLE_SHARE, ChosenBackground, Frame
from smart_filter_wire.findings import OutlineContrast
from smart_filter_wire.printability import Printability
from smart_filter_workers import images, photo_regions
from smart_filter_workers.backgrounds.choice import subject_stats
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import HALF_LEVEL, CompositeResult, Segmentation, Srgb8, Srgba8
from smart_filter_workers.stages.composite import (
    apply_corrections,
    background,
    choose_background,
    draw_logo,
    framing,
    look,
    outputs,
)
from smart_filter_workers.stages.composite.cleanup import clean_matte, grow_matte, harden_matte
from smart_filter_workers.stages.composite.filters import apply_filters
from smart_filter_workers.stages.composite.framing import Box, FramingSubject
from smart_filter_workers.stages.composite.inputs import Inputs
from smart_filter_workers.stages.composite.models.base import Compositor, CutOut
from smart_filter_workers.stages.composite.printability import assessment

__all__ = ["Inputs", "Models", "run"]

# Pixels with less coverage than this, of 255, are outside the people's outline.
_SEEN_FROM = 26


class Models(TypedDict):
    """The models of this stage, by task."""

    composite: Compositor


def run(models: Models, batch: Sequence[Inputs]) -> list[CompositeResult]:
    """Return each job's image, cut-out and matte."""
    return [_composite(models["composite"], inputs) for inputs in batch]


def _composite(compositor: Compositor, inputs: Inputs) -> CompositeResult:
    asked = set(inputs.recipe.outputs)
    regions = None
    if inputs.segmented is not None:
        model_matte = inputs.segmented.matte
        if Output.REGIONS in asked:
            regions = photo_regions.encode_map(inputs.prepared.proxy_srgb, model_matte)
        upright = _turn_upright(inputs)
        if inputs.recipe.mask == Mask.UPLOAD:
            cleaned = _use_transparency(upright, inputs.segmented)
        else:
            cleaned = _clean_matte(upright, inputs.segmented)
        inputs = apply_corrections.correct_matte(cleaned, model_matte)
        exact = inputs.exact_matte
        if exact is not None and not exact.any():
            raise NoMask("the mask is empty: it keeps nothing of the photo")
    else:
        inputs = _turn_upright(inputs)
    chosen = choose_background.resolve(inputs) if PICTURE_OUTPUTS & asked else None
    whole = _cut(compositor, inputs, chosen)
    frame = framing.compute_frame(inputs.recipe.framing, _framing_subject(inputs, whole, chosen))
    cut = None if whole is None else framing.frame_cut_out(whole, frame)
    if cut is not None and cut is not whole and inputs.recipe.edge == Edge.HARD:
        cut = replace(cut, matte=harden_matte(cut.matte))
    made = CompositeResult(
        image=None,
        matte=None,
        regions=regions,
        background=chosen,
        frame=frame,
        foreground=None if cut is None else _foreground(cut),
        printability=_printability(inputs, frame),
    )
    if chosen is not None:
        picture, contrast = _picture(compositor, cut, chosen, inputs, frame)
        chosen = replace(chosen, contrast=contrast)
        made = replace(made, background=chosen)
        picture, filtered = apply_filters.apply(picture, inputs, chosen, frame)
        picture = draw_logo.draw(picture, inputs)
        made = outputs.add_picture_files(replace(made, filters=filtered), picture, inputs)
    if cut is not None and whole is not None:
        made = outputs.add_cut_out_files(made, compositor, cut, whole, inputs)
    return made


def _printability(inputs: Inputs, frame: Frame) -> Printability | None:
    """Return how well the picture prints; None unless requested."""
    asked = Output.PRINTABILITY in inputs.recipe.outputs
    if not asked or inputs.faces is None or inputs.smiles is None:
        return None
    segmented = inputs.segmented
    if segmented is not None and segmented.coverage < MIN_PEOPLE_SHARE:
        segmented = None
    return assessment.assess(
        inputs.photo.srgb,
        proxy_srgb=inputs.prepared.proxy_srgb,
        matte=None if segmented is None else segmented.matte,
        faces=inputs.faces.faces,
        eyes=inputs.smiles.eyes,
        frame=frame,
    )


def _turn_upright(inputs: Inputs) -> Inputs:
    """Return the inputs with the photo turned upright, as `prepare` decided."""
    photo, turns = inputs.photo, inputs.prepared.quarter_turns
    srgb = images.rotate_quarter_turns(photo.srgb, turns)
    alpha = None if photo.alpha is None else images.rotate_quarter_turns(photo.alpha, turns)
    drawn = tuple(
        apply_corrections.turn_drawing(drawing, photo.srgb, turns) if drawing.as_sent else drawing
        for drawing in inputs.drawn
    )
    return replace(inputs, photo=replace(photo, srgb=srgb, alpha=alpha), drawn=drawn)


def _clean_matte(inputs: Inputs, segmented: Segmentation) -> Inputs:
    """Return the inputs with faces completed and islands removed in the matte."""
    return replace(
        inputs, segmented=clean_matte(segmented, inputs.prepared, inputs.faces_of_people)
    )


def _use_transparency(inputs: Inputs, segmented: Segmentation) -> Inputs:
    """Return the inputs with the photo's transparency as their matte; raises NoMask without any."""
    alpha = inputs.photo.alpha
    if alpha is None:
        raise NoMask("the photo has no transparency, which mask=upload takes as the matte")
    size = segmented.matte.shape[::-1]
    matte = np.asarray(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA), np.uint8)
    coverage = np.count_nonzero(matte > HALF_LEVEL) / matte.size
    return replace(inputs, segmented=replace(segmented, matte=matte, coverage=coverage))


def _cut(compositor: Compositor, inputs: Inputs, chosen: ChosenBackground | None) -> CutOut | None:
    """Return the people cut out; None when no requested output needs them."""
    segmented, recipe = inputs.segmented, inputs.recipe
    keeps = chosen is None or chosen.kind == BackgroundKind.KEEP
    wants_them = CUTOUT_OUTPUTS & set(recipe.outputs)
    if segmented is None or (keeps and not wants_them and not recipe.framing.asks_for_people):
        return None
    matte = segmented.matte
    if segmented.coverage < MIN_PEOPLE_SHARE and not inputs.has_mask:
        matte = np.zeros_like(matte)
    cut = compositor.cut(
        inputs.photo.srgb,
        proxy_srgb=inputs.prepared.proxy_srgb,
        matte=matte,
        edge=recipe.edge,
        faces=inputs.faces_of_people,
    )
    exact = inputs.exact_matte
    if exact is not None:
        cut = replace(cut, matte=exact)
    if exact is not None and exact is inputs.photo.alpha:
        colors = framing.take_white_away(inputs.photo.srgb, exact)
        cut = replace(cut, photo_srgb=colors, own_colors=True)
    elif inputs.photo.alpha is not None:
        # Transparent pixels of the photo are no part of a person, whatever is drawn there.
        cut = replace(cut, matte=np.minimum(cut.matte, inputs.photo.alpha))
    cut = replace(cut, matte=grow_matte(cut.matte, recipe.grow))
    if recipe.edge == Edge.HARD:
        cut = replace(cut, matte=harden_matte(cut.matte))
    # Users can draw people beyond the region.
    return cut if inputs.drawn else _crop_to_region(cut, recipe.framing.roi)


def _crop_to_region(cut: CutOut, roi: tuple[Length, Length, Length, Length] | None) -> CutOut:
    """Return the cut-out without people outside the region: faces and hair extend the matte."""
    if roi is None:
        return cut
    height, width = cut.matte.shape
    left, top, right, bottom = (
        round(length.to_px(side)) for length, side in zip(roi, (width, height) * 2, strict=True)
    )
    matte = np.zeros_like(cut.matte)
    matte[top:bottom, left:right] = cut.matte[top:bottom, left:right]
    return replace(cut, matte=matte)


def _framing_subject(
    inputs: Inputs, cut: CutOut | None, chosen: ChosenBackground | None
) -> FramingSubject:
    """Return the facts of the photo that framing uses."""
    height, width = inputs.photo.srgb.shape[:2]
    box = None if cut is None else _foreground(cut)
    line = inputs.recipe.look.outline
    shows_photo = chosen is not None and chosen.kind in {BackgroundKind.KEEP, BackgroundKind.BLUR}
    return FramingSubject(
        photo=Box(0, 0, width, height),
        subject=None if box is None else Box(box[0], box[1], box[0] + box[2], box[1] + box[3]),
        faces=inputs.detected_faces,
        may_extend=not shows_photo,
        outline=None if line is None else line.width,
    )


def _foreground(cut: CutOut) -> tuple[int, int, int, int] | None:
    """Return x, y, width and height around the people in the cut-out's pixels; None without any."""
    x, y, width, height = cv2.boundingRect((cut.matte >= _SEEN_FROM).view(np.uint8))
    return (x, y, width, height) if width else None


def _picture(
    compositor: Compositor,
    cut: CutOut | None,
    chosen: ChosenBackground,
    inputs: Inputs,
    frame: Frame,
) -> tuple[Srgb8 | Srgba8, OutlineContrast | None]:
    """Return the picture, (H, W, 3), or (H, W, 4) with transparency, and the outline's contrast."""
    if cut is None or background.is_photo(chosen):
        return background.keep_photo(chosen, inputs, frame), None
    behind = background.draw(chosen, inputs, frame)
    has_alpha = behind.shape[2] > 3  # noqa: PLR2004 - red, green and blue
    contrast = None
    if not has_alpha:
        contrast = subject_stats.measure_contrast(cut.photo_srgb, cut.matte, behind)
    scene = look.LookContext(
        drawn=chosen.kind == BackgroundKind.PRESET,
        light=chosen.light,
        faces=[framing.face_to_canvas(face, frame) for face in inputs.detected_faces],
        photo_ends=frame.place((0, inputs.photo.srgb.shape[0]))[1] / frame.height,
    )
    return look.join_people(compositor, cut, behind, inputs.recipe.look, scene), contrast
