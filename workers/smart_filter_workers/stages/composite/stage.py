"""Composite stage: make a job's picture, cut-out and matte at full resolution."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypedDict

import numpy as np

from smart_filter_shared.errors import DocumentRefused, NoMask, PhotoTooSmall
from smart_filter_shared.feedback.face_changes import FaceChanges
from smart_filter_shared.pipeline import CUTOUT_OUTPUTS, PICTURE_OUTPUTS
from smart_filter_shared.recipe import BackgroundKind, Edge, Length, Mask, Output, Recipe
from smart_filter_shared.results import (
    MIN_PEOPLE_SHARE,
    ChosenBackground,
    Face,
    Faces,
    Frame,
    Smiles,
)
from smart_filter_wire.findings import AppliedFilter, OutlineContrast, TakeReport
from smart_filter_wire.formats import FaceBox
from smart_filter_wire.printability import Printability
from smart_filter_workers import images, photo_regions
from smart_filter_workers.backgrounds.choice import subject_stats
from smart_filter_workers.backgrounds.colors import apply_curves
from smart_filter_workers.backgrounds.library import Collection
from smart_filter_workers.networks.coordinates import estimate_landmarks
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import (
    HALF_LEVEL,
    SEEN_LEVEL,
    Bytes,
    CompositeResult,
    Matte8,
    MatteDrawing,
    Photo,
    PreparedPhoto,
    Segmentation,
    Srgb8,
    Srgba8,
)
from smart_filter_workers.stages.composite import (
    apply_corrections,
    background,
    choose_background,
    draw_logo,
    framing,
    look,
    outputs,
)
from smart_filter_workers.stages.composite.background import PeoplePhoto
from smart_filter_workers.stages.composite.choose_background import People
from smart_filter_workers.stages.composite.cleanup import clean_matte, grow_matte, harden_matte
from smart_filter_workers.stages.composite.document.checks import Portrait, find_portrait
from smart_filter_workers.stages.composite.filters import drawing
from smart_filter_workers.stages.composite.framing import FramingSubject, Rectangle
from smart_filter_workers.stages.composite.look import light
from smart_filter_workers.stages.composite.models.base import Compositor, CutOut
from smart_filter_workers.stages.composite.outputs import Origin
from smart_filter_workers.stages.composite.printability.assess import assess as assess_print


class Models(TypedDict):
    """The models of this stage, by task."""

    composite: Compositor


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
    logo: Bytes | None = None
    drawn: tuple[MatteDrawing, ...] = ()
    take: TakeReport | None = None
    changes: FaceChanges = field(default_factory=FaceChanges)


def run(models: Models, batch: Sequence[Inputs]) -> list[CompositeResult]:
    """Return each job's image, cut-out and matte."""
    return [_composite(models["composite"], inputs) for inputs in batch]


def _composite(compositor: Compositor, inputs: Inputs) -> CompositeResult:
    recipe, asked = inputs.recipe, set(inputs.recipe.outputs)
    faces, owners, regions = detect_faces(inputs), None, None
    if inputs.segmented is not None:
        owners = inputs.segmented.owners
        if Output.REGIONS in asked:
            proxy_srgb = inputs.prepared.proxy_srgb
            regions = photo_regions.encode_map(proxy_srgb, inputs.segmented.matte)
    upright = _turn_upright(inputs)
    corrected = _correct(upright)
    before = _before_corrections(upright) or corrected
    inputs, chosen = corrected.inputs, None
    photo, segmented = inputs.photo, inputs.segmented
    if PICTURE_OUTPUTS & asked:
        chosen = choose_background.resolve(
            recipe,
            read_people(before.inputs),
            seed=inputs.seed,
            collection=inputs.collection,
        )
    keeps = chosen is None or chosen.kind == BackgroundKind.KEEP
    whole = cut = None
    wants = CUTOUT_OUTPUTS & asked or recipe.framing.asks_for_people
    if segmented is not None and (wants or not keeps):
        whole = _cut(compositor, corrected)
    framed = whole
    if before is not corrected and recipe.framing.asks_for_people:
        framed = _cut(compositor, before)
    is_thing = segmented is not None and segmented.any_subject
    subject = _framing_subject(recipe, photo.srgb, faces, framed, chosen, is_thing=is_thing)
    portrait = _find_portrait(inputs, whole, upright.segmented)
    frame = _compute_frame(recipe, subject, portrait)
    if whole is not None:
        cut = framing.frame_cut_out(whole, frame, hard=recipe.edge == Edge.HARD)
    made = CompositeResult(
        regions=regions,
        background=chosen,
        frame=frame,
        foreground=None if cut is None else _foreground(cut),
        printability=_printability(inputs, frame),
    )
    height, width = photo.srgb.shape[:2]
    origin = Origin(photo.exif, (width, height), frame, _list_swaps(inputs.take))
    if chosen is not None:
        made, picture = _add_picture(
            made, compositor, cut, chosen, inputs, faces=faces, origin=origin
        )
        if portrait is not None:
            report = portrait.check(
                picture,
                made.image,
                photo_srgb=photo.srgb,
                frame=frame,
                matte=None if cut is None else cut.matte,
                require=recipe.framing.require,
            )
            made = replace(made, document_report=report)
    if cut is not None and whole is not None:
        made = outputs.add_cut_out_files(
            made, compositor, cut, whole, owners=owners, recipe=recipe, origin=origin
        )
    return made


def _add_picture(
    made: CompositeResult,
    compositor: Compositor,
    cut: CutOut | None,
    chosen: ChosenBackground,
    inputs: Inputs,
    *,
    faces: Sequence[Face],
    origin: Origin,
) -> tuple[CompositeResult, Srgb8 | Srgba8]:
    """Return the result with the files of the people on their background, and the picture."""
    recipe, frame, curves = inputs.recipe, origin.frame, None
    if chosen.kind == BackgroundKind.KEEP and recipe.background.kind == BackgroundKind.AUTO:
        curves = light.find_curves(inputs.prepared.proxy_srgb)
    is_photo = background.is_photo(chosen)
    if cut is None or is_photo:
        lit = apply_curves(curves, inputs.photo.srgb)
        picture: Srgb8 | Srgba8 = background.place_photo(lit, frame)
    else:
        picture, contrast = _picture(compositor, cut, chosen, inputs, faces=faces, frame=frame)
        chosen = replace(chosen, contrast=contrast)
    picture, filters = _draw_on(picture, inputs, faces, frame, hides_others=not is_photo)
    changes = outputs.list_changes(
        None if is_photo else BackgroundKind(chosen.kind),
        filters,
        is_lit=curves is not None,
        has_logo=inputs.logo is not None,
    )
    made = replace(made, background=chosen, filters=filters)
    return outputs.add_picture_files(made, picture, recipe, origin, changes), picture


def _list_swaps(take: TakeReport | None) -> tuple[tuple[int, int], ...]:
    """Return the replaced faces, as a file lists them."""
    swaps = () if take is None else take.swaps
    return tuple((swap.person, swap.item + 1) for swap in swaps)


def _draw_on(
    picture: Srgb8 | Srgba8,
    inputs: Inputs,
    faces: Sequence[Face],
    frame: Frame,
    *,
    hides_others: bool,
) -> tuple[Srgb8 | Srgba8, tuple[AppliedFilter, ...]]:
    """Return the picture with the recipe's filters and logo, and the result of each filter."""
    recipe, segmented = inputs.recipe, inputs.segmented
    if not recipe.filters and inputs.logo is None:
        return picture, ()
    if picture is inputs.photo.srgb or not picture.flags.writeable:
        picture = picture.copy()
    filters: tuple[AppliedFilter, ...] = ()
    if recipe.filters:
        is_rated = inputs.faces is not None and inputs.smiles is not None
        scene = drawing.make_scene(
            faces,
            inputs.smiles if is_rated else None,
            frame,
            matte=None if segmented is None else segmented.matte,
            photo_width=inputs.prepared.width,
            hides_others=hides_others,
            # The same mood that chooses a background.
            mood=None
            if inputs.smiles is None
            else choose_background.infer_mood(recipe, read_people(inputs)).mood,
            seed=inputs.seed,
        )
        filters = drawing.apply(picture, recipe.filters, scene)
    if inputs.logo is not None:
        draw_logo.draw(picture, inputs.logo, recipe.logo)
    return picture, filters


def _find_portrait(
    inputs: Inputs, whole: CutOut | None, from_model: Segmentation | None
) -> Portrait | None:
    """Return the person of a document's photo; None without a document.

    whole: the people, after strokes, a region and transparency; from_model: the people before.
    """
    framing_, prepared = inputs.recipe.framing, inputs.prepared
    if framing_.document is not None and framing_.document.is_gone:
        raise DocumentRefused(f"the document {framing_.document.name} was removed: choose another")
    if framing_.document is None or inputs.faces is None or inputs.smiles is None:
        return None
    matte, doubt = None, ""
    if whole is not None and from_model is not None:
        size = prepared.proxy_srgb.shape[1::-1]
        matte = np.asarray(cv2.resize(whole.matte, size, interpolation=cv2.INTER_AREA), np.uint8)
        if inputs.drawn or inputs.photo.alpha is not None:
            before = cv2.resize(from_model.matte, size) >= HALF_LEVEL
            differs = (before != (matte >= HALF_LEVEL)).view(np.uint8)
            # Outlines differ a little.
            if cv2.erode(differs, np.ones((5, 5), np.uint8)).any():
                doubt = "changed by strokes or transparency"
        if from_model.needs_review and inputs.recipe.background.kind != BackgroundKind.KEEP:
            doubt = doubt or "the models disagree on it"
    return find_portrait(
        framing_.document,
        inputs.faces.faces,
        inputs.smiles,
        matte=matte,
        doubt=doubt,
        proxy_srgb=prepared.proxy_srgb,
        photo_width=inputs.photo.srgb.shape[1],
    )


def _compute_frame(recipe: Recipe, subject: FramingSubject, portrait: Portrait | None) -> Frame:
    placed = None if portrait is None else portrait.frame()
    frame = framing.compute_frame(recipe.framing, subject) if placed is None else placed
    most = recipe.framing.max_enlarge
    if frame.scale > most:
        raise PhotoTooSmall(
            f"a picture of {frame.width} × {frame.height} pixels enlarges the photo"
            f" {math.ceil(100 * frame.scale) / 100} times, and max_enlarge is {most}"
        )
    return frame


def _printability(inputs: Inputs, frame: Frame) -> Printability | None:
    """Return how well the picture prints; None unless requested."""
    asked = Output.PRINTABILITY in inputs.recipe.outputs
    if not asked or inputs.faces is None or inputs.smiles is None:
        return None
    segmented = inputs.segmented
    if segmented is not None and segmented.coverage < MIN_PEOPLE_SHARE:
        segmented = None
    return assess_print(
        inputs.photo.srgb,
        proxy_srgb=inputs.prepared.proxy_srgb,
        matte=None if segmented is None else segmented.matte,
        faces=inputs.faces.faces,
        eyes=inputs.smiles.eyes,
        frame=frame,
    )


def _turn_upright(inputs: Inputs) -> Inputs:
    """Return the inputs with the photo and its drawings turned upright, as `prepare` decided."""
    photo, turns = inputs.photo, inputs.prepared.quarter_turns
    srgb = images.rotate_quarter_turns(photo.srgb, turns)
    alpha = None if photo.alpha is None else images.rotate_quarter_turns(photo.alpha, turns)
    drawn = tuple(
        apply_corrections.turn_drawing(drawing, photo.srgb, turns) if drawing.as_sent else drawing
        for drawing in inputs.drawn
    )
    return replace(inputs, photo=replace(photo, srgb=srgb, alpha=alpha), drawn=drawn)


@dataclass(frozen=True, slots=True)
class _Corrected:
    """Inputs with their final small matte, and where strokes decide the coverage, if anywhere."""

    inputs: Inputs
    forced: apply_corrections.Canvas | None = None


def _before_corrections(upright: Inputs) -> _Corrected | None:
    """Return the inputs as they were before the picture was corrected; None if it was not.

    Background and frame follow from them, so that a correction changes neither. Where no person had
    been found, there was neither, and the result is None too.
    """
    sent = tuple(drawing for drawing in upright.drawn if drawing.as_sent)
    if len(sent) == len(upright.drawn) or upright.segmented is None:
        return None
    if upright.segmented.coverage < MIN_PEOPLE_SHARE and not sent:
        return None
    return _correct(replace(upright, drawn=sent))


def _correct(upright: Inputs) -> _Corrected:
    """Return the inputs with the final small matte: cleaned, or the photo's own, and drawn over.

    Raises NoMask when a mask was sent that keeps nothing, or when the photo's transparency is asked
    for and it has none.
    """
    segmented = upright.segmented
    if segmented is None:
        return _Corrected(upright)
    exact = _exact_matte(upright)
    if exact is not None and not exact.any():
        raise NoMask("the mask is empty: it keeps nothing of the photo")
    if upright.recipe.mask == Mask.UPLOAD:
        final = _use_transparency(upright.photo.alpha, segmented)
    else:
        final = clean_matte(segmented, upright.prepared, faces_of_people(upright))
    if not upright.drawn:
        return _Corrected(replace(upright, segmented=final))
    drawn = apply_corrections.draw_over_matte(
        final, upright.drawn, upright.prepared, model_matte=segmented.matte
    )
    return _Corrected(replace(upright, segmented=drawn.segmented), drawn.forced)


def _use_transparency(alpha: Matte8 | None, segmented: Segmentation) -> Segmentation:
    """Return the segmentation with the photo's transparency as its matte."""
    if alpha is None:
        raise NoMask("the photo has no transparency, which mask=upload takes as the matte")
    size = segmented.matte.shape[::-1]
    matte = np.asarray(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA), np.uint8)
    coverage = np.count_nonzero(matte > HALF_LEVEL) / matte.size
    return replace(segmented, matte=matte, coverage=coverage)


def _cut(compositor: Compositor, corrected: _Corrected) -> CutOut:
    """Return the people cut out."""
    inputs, segmented = corrected.inputs, corrected.inputs.segmented
    assert segmented is not None
    recipe, photo, matte = inputs.recipe, inputs.photo, segmented.matte
    exact = _exact_matte(inputs)
    if segmented.coverage < MIN_PEOPLE_SHARE and not has_mask(inputs):
        matte = np.zeros_like(matte)
    cut = compositor.cut(
        photo.srgb,
        proxy_srgb=inputs.prepared.proxy_srgb,
        matte=matte,
        edge=recipe.edge,
        faces=faces_of_people(inputs),
    )
    if exact is not None:
        cut = replace(cut, matte=exact)
    if exact is not None and exact is photo.alpha:
        colors = framing.take_white_away(photo.srgb, exact)
        cut = replace(cut, photo_srgb=colors, own_colors=True)
    matte = grow_matte(cut.matte, recipe.grow)
    if recipe.edge == Edge.HARD:
        matte = harden_matte(matte)
    if corrected.forced is not None:
        matte = apply_corrections.force_coverage(matte, corrected.forced)
    if photo.alpha is not None and exact is not photo.alpha:
        # Transparent pixels of the photo are no part of a person, whatever is drawn there.
        matte = np.minimum(matte, photo.alpha)
    cut = replace(cut, matte=matte)
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
    recipe: Recipe,
    photo_srgb: Srgb8,
    faces: Sequence[Face],
    cut: CutOut | None,
    chosen: ChosenBackground | None,
    *,
    is_thing: bool,
) -> FramingSubject:
    """Return the facts of the photo that framing uses."""
    height, width = photo_srgb.shape[:2]
    box = None if cut is None else _foreground(cut)
    line = recipe.look.outline
    shows_photo = chosen is not None and chosen.kind in {BackgroundKind.KEEP, BackgroundKind.BLUR}
    return FramingSubject(
        photo=Rectangle(0, 0, width, height),
        subject=None
        if box is None
        else Rectangle(box[0], box[1], box[0] + box[2], box[1] + box[3]),
        faces=faces,
        may_extend=not shows_photo,
        outline=None if line is None else line.width,
        is_thing=is_thing,
    )


def _foreground(cut: CutOut) -> tuple[int, int, int, int] | None:
    """Return x, y, width and height around the people in the cut-out's pixels; None without any."""
    x, y, width, height = cv2.boundingRect((cut.matte > SEEN_LEVEL).view(np.uint8))
    return (x, y, width, height) if width else None


def _picture(
    compositor: Compositor,
    cut: CutOut,
    chosen: ChosenBackground,
    inputs: Inputs,
    *,
    faces: Sequence[Face],
    frame: Frame,
) -> tuple[Srgb8 | Srgba8, OutlineContrast | None]:
    """Return the people before the background, and the contrast of their outline.

    The picture is (H, W, 3), or (H, W, 4) with transparency.
    """
    photo, segmented = inputs.photo, inputs.segmented
    assert segmented is not None
    behind = background.draw(
        chosen,
        frame,
        PeoplePhoto(
            photo.srgb,
            inputs.prepared.proxy_srgb,
            faces,
            matte=segmented.matte,
            # The user who sent the matte says where people are.
            evidence=None if has_mask(inputs) else segmented.evidence,
        ),
        recipe=inputs.recipe,
        seed=inputs.seed,
        collection=inputs.collection,
        picture=None if inputs.background is None else inputs.background.srgb,
    )
    has_alpha = behind.shape[2] > 3  # noqa: PLR2004 - red, green and blue
    contrast = None
    if not has_alpha:
        contrast = subject_stats.measure_contrast(cut.photo_srgb, cut.matte, behind)
    scene = look.LookContext(
        drawn=chosen.kind == BackgroundKind.PRESET,
        light=chosen.light,
        faces=[framing.face_to_canvas(face, frame) for face in faces],
        photo_ends=frame.place((0, photo.srgb.shape[0]))[1] / frame.height,
    )
    return look.join_people(compositor, cut, behind, inputs.recipe.look, scene), contrast


def detect_faces(inputs: Inputs) -> tuple[Face, ...]:
    """Return the detected faces, or the proposed ones when the face stage did not run."""
    if inputs.faces is not None:
        return inputs.faces.faces
    kept = inputs.changes.without_changed(inputs.prepared.proposals)
    return (*kept, *map(_face_in, inputs.changes.added))


def faces_of_people(inputs: Inputs) -> tuple[Face, ...]:
    """Return the faces, and those that a user removed: they are still parts of people."""
    return (*detect_faces(inputs), *map(_face_in, inputs.changes.removed))


def _face_in(box: FaceBox) -> Face:
    return Face(box, 1.0, estimate_landmarks(box), added=True)


def read_people(inputs: Inputs) -> People:
    """Return the people of a photo, as a background is chosen for them."""
    return People(
        inputs.prepared,
        inputs.segmented,
        () if inputs.faces is None else inputs.faces.faces,
        inputs.smiles,
        has_mask=has_mask(inputs),
        is_drawn=bool(inputs.drawn),
    )


def has_mask(inputs: Inputs) -> bool:
    """Return whether the user sent the matte; it counts however little it covers."""
    return inputs.recipe.mask == Mask.UPLOAD or any(
        drawing.mask is not None for drawing in inputs.drawn
    )


def _exact_matte(inputs: Inputs) -> Matte8 | None:
    """Return the matte that came with the photo, (H, W); None without, or if corrected."""
    if inputs.drawn:
        return inputs.drawn[-1].mask if inputs.drawn[-1].as_sent else None
    return inputs.photo.alpha if inputs.recipe.mask == Mask.UPLOAD else None
