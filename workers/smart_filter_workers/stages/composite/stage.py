"""Composite: the picture, cut-out and matte that a job was asked for, at full resolution."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, TypedDict

import cv2
import numpy as np
from coloraide import Color

from smart_filter_shared.presets import named
from smart_filter_shared.recipe import (
    CHOSEN_BY_PEOPLE,
    Background,
    BackgroundKind,
    Format,
    Output,
    Recipe,
)
from smart_filter_workers import images
from smart_filter_workers.backgrounds import blurred, choose, keywords, library, uploaded
from smart_filter_workers.results import (
    Chosen,
    Composited,
    Encoded,
    Faces,
    Photo,
    Prepared,
    Segmented,
    Smiles,
    Srgb8,
)
from smart_filter_workers.stages.composite import edges
from smart_filter_workers.stages.composite.models.base import Colour, Compositor, CutOut, Srgba8

# Less than this share of a photo is nobody: the contract says so.
NOBODY_BELOW: Final = 0.005
NOTHING: Final = Colour((0, 0, 0), 0)


class Models(TypedDict):
    """The models of this stage, by task."""

    composite: Compositor


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the stage reads of one job; what the job did not run is None.

    background: the file that was uploaded for it, when one was.
    """

    photo: Photo
    background: Photo | None
    prepared: Prepared
    segmented: Segmented | None
    faces: Faces | None
    smiles: Smiles | None
    recipe: Recipe
    seed: int


def run(models: Models, batch: Sequence[Inputs]) -> list[Composited]:
    """Make each job's image, cut-out and matte."""
    return [_composite(models["composite"], inputs) for inputs in batch]


def _composite(compositor: Compositor, inputs: Inputs) -> Composited:
    outputs = inputs.recipe.outputs
    inputs = _tidied(_upright(inputs))
    cut = _cut(compositor, inputs) if inputs.segmented is not None else None
    image, chosen = None, None
    if Output.IMAGE in outputs:
        chosen = _choose(inputs)
        image = _encode(_draw(compositor, cut, chosen, inputs), inputs.recipe)
    matte = None
    if Output.MATTE in outputs and cut is not None:
        matte = images.encode_png(cut.matte)
    cutout = None
    if Output.CUTOUT in outputs and cut is not None:
        cutout = _encode(_on_nothing(compositor, cut, inputs), inputs.recipe)
    return Composited(image=image, matte=matte, background=chosen, cutout=cutout)


def _upright(inputs: Inputs) -> Inputs:
    """Return the inputs with the photo as `prepare` has turned it."""
    srgb = images.turned(inputs.photo.srgb, inputs.prepared.quarter_turns)
    return replace(inputs, photo=replace(inputs.photo, srgb=srgb))


def _tidied(inputs: Inputs) -> Inputs:
    """Return the inputs with a matte that shows no slips."""
    if inputs.segmented is None:
        return inputs
    matte = edges.without_islands(
        inputs.segmented.matte,
        inputs.faces.faces if inputs.faces is not None else (),
        scale=inputs.prepared.width / inputs.segmented.matte.shape[1],
    )
    return replace(inputs, segmented=replace(inputs.segmented, matte=matte))


def _cut(compositor: Compositor, inputs: Inputs) -> CutOut | None:
    """Cut the people out; None when nothing that is wanted needs it."""
    segmented, recipe = inputs.segmented, inputs.recipe
    keeps = recipe.background.kind == BackgroundKind.KEEP
    if segmented is None or (keeps and not {Output.CUTOUT, Output.MATTE} & set(recipe.outputs)):
        return None
    return compositor.cut(
        inputs.photo.srgb, proxy_srgb=inputs.prepared.proxy_srgb, matte=segmented.matte
    )


def _choose(inputs: Inputs) -> Chosen:
    """Say which background is used, and why."""
    asked, segmented = inputs.recipe.background, inputs.segmented
    if asked.kind == BackgroundKind.KEEP:
        return Chosen(asked.kind, None, (), "asked for: the photo's own background")
    if segmented is None:
        raise ValueError(f"background {asked} needs the people's matte")
    if segmented.coverage < NOBODY_BELOW:
        seen = f"nobody was found ({segmented.coverage:.1%} of the photo)"
        return Chosen(BackgroundKind.KEEP, None, (), f"{seen}, so the photo is kept as it is")
    if asked.kind not in CHOSEN_BY_PEOPLE:
        return _asked_for(asked)
    smiles = inputs.smiles.smiles if inputs.smiles is not None else ()
    by_words = asked.kind == BackgroundKind.KEYWORDS
    choice = partial(keywords.answer, str(asked.value)) if by_words else choose.choose
    return choice(
        smiles,
        inputs.smiles.eyes if inputs.smiles is not None else (),
        people=segmented.persons or max(1, len(smiles)),
        brightness=_brightness(inputs.prepared.proxy_srgb, segmented),
        seed=inputs.seed,
    )


def _asked_for(asked: Background) -> Chosen:
    if asked.kind == BackgroundKind.PRESET and asked.value is not None:
        preset, surface = named(asked.value)
        title = preset.title if surface is None else f"{preset.title} on {surface.title}"
        return Chosen(asked.kind, asked.value, preset.tags, f"asked for: {title}")
    what = {
        BackgroundKind.COLOR: f"{asked.value}",
        BackgroundKind.BLUR: f"the photo's own background, blurred by {asked.value} of 1",
        BackgroundKind.FILE: "the uploaded background",
    }.get(asked.kind, "no background")
    return Chosen(asked.kind, None, (), f"asked for: {what}")


def _brightness(proxy_srgb: Srgb8, segmented: Segmented) -> float:
    """Return the mean Rec. 709 luma, 0..1, of the people."""
    people = (segmented.matte > 0).astype(np.uint8)
    red, green, blue, _ = cv2.mean(proxy_srgb, mask=people)
    return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255


def _draw(
    compositor: Compositor, cut: CutOut | None, chosen: Chosen, inputs: Inputs
) -> Srgb8 | Srgba8:
    """Return the picture, (H, W, 3), or (H, W, 4) where something shows through."""
    if chosen.kind == BackgroundKind.KEEP or cut is None or inputs.segmented is None:
        return inputs.photo.srgb
    height, width = inputs.photo.srgb.shape[:2]
    match chosen.kind:
        case BackgroundKind.PRESET if chosen.name is not None:
            drawn = library.draw(chosen.name, seed=inputs.seed, width=width, height=height)
        case BackgroundKind.FILE:
            if inputs.background is None:
                raise ValueError("background file needs a background")
            drawn = uploaded.cover(inputs.background.srgb, width=width, height=height)
        case BackgroundKind.BLUR:
            strength = float(inputs.recipe.background.value or 0)
            if not strength:
                return inputs.photo.srgb
            sheet = library.sheet("blur", seed=inputs.seed, width=width, height=height)
            proxy, matte = inputs.prepared.proxy_srgb, inputs.segmented.matte
            drawn = blurred.draw(proxy, matte, strength=strength, sheet=sheet)
        case _:
            colour = _colour(inputs.recipe.background)
            if colour.alpha < 1:
                return compositor.on_colour(cut, colour)
            drawn = np.empty_like(inputs.photo.srgb)
            drawn[:] = np.round(colour.srgb).astype(np.uint8)
    return compositor.over(cut, drawn)


def _on_nothing(compositor: Compositor, cut: CutOut, inputs: Inputs) -> Srgba8:
    """Return the people alone, (H, W, 4); nothing at all when nobody was found."""
    if inputs.segmented is not None and inputs.segmented.coverage < NOBODY_BELOW:
        cut = replace(cut, matte=np.zeros_like(cut.matte))
    return compositor.on_colour(cut, NOTHING)


def _colour(background: Background) -> Colour:
    """Return the colour of a `color` background, brought into sRGB; none for `transparent`."""
    if background.kind != BackgroundKind.COLOR or background.value is None:
        return NOTHING
    colour = Color(background.value).convert("srgb").fit()
    red, green, blue = (255 * level for level in colour.coords(nans=False))
    return Colour((red, green, blue), colour.alpha(nans=False))


def _encode(picture: Srgb8 | Srgba8, recipe: Recipe) -> Encoded:
    """Encode as the recipe wants; what JPEG cannot hold, such as a cut-out, as PNG."""
    transparent = picture.shape[2] > 3  # noqa: PLR2004 - red, green, blue
    if recipe.format == Format.AVIF:
        return images.encode_avif(picture, quality=recipe.quality)
    if recipe.format == Format.WEBP:
        return images.encode_webp(picture, quality=recipe.quality)
    if transparent or recipe.format == Format.PNG:
        return images.encode_png(picture)
    return images.encode_jpeg(picture, quality=recipe.quality)
