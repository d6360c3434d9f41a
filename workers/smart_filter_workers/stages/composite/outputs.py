"""The files that a job asked for, encoded as its recipe wants."""

from dataclasses import replace
from typing import Final

import cv2
import numpy as np

from smart_filter_shared.recipe import Effort, Format, Output, Recipe
from smart_filter_shared.recipe.framing import DOTS_PER_INCH
from smart_filter_workers import images
from smart_filter_workers.images import Manner, previews
from smart_filter_workers.results import Composited, Encoded, Matte8, Srgb8
from smart_filter_workers.stages.composite import ground, persons
from smart_filter_workers.stages.composite.inputs import Inputs
from smart_filter_workers.stages.composite.models.base import Compositor, CutOut, Srgba8

# As remove.bg names them.
COLOURS, MATTE = "color.jpg", "alpha.png"
_STRIP_ROWS: Final = 128
# 255 levels in the steps of 65,535: both ends stay where they are.
_STEPS: Final = 257


def with_picture(made: Composited, pixels: Srgb8 | Srgba8, inputs: Inputs) -> Composited:
    """Add the files that show the people on their background, as far as they are asked for.

    pixels: (H, W, 3), or (H, W, 4) where something shows through.
    """
    small = previews.preview(pixels)
    if Output.IMAGE in inputs.recipe.outputs:
        image = _picture(pixels, inputs)
        made = replace(made, image=replace(image, blurhash=previews.blurred(small)))
    if Output.THUMBNAIL in inputs.recipe.outputs:
        made = replace(made, thumbnail=previews.thumbnail(small))
    return made


def with_cut_out(
    made: Composited, compositor: Compositor, cut: CutOut, whole: CutOut, inputs: Inputs
) -> Composited:
    """Add the files that show the people alone, as far as they are asked for.

    cut: on the canvas; whole: the same at the size of the photo.
    """
    recipe, asked = inputs.recipe, set(inputs.recipe.outputs)
    if Output.MATTE in asked:
        made = replace(made, matte=_matte(cut.matte, recipe))
    alone: Srgba8 | None = None
    if {Output.CUTOUT, Output.ZIP} & asked:
        alone = _alone(compositor, cut)
        if Output.CUTOUT in asked:
            made = replace(made, cutout=_picture(alone, inputs))
        if Output.ZIP in asked:
            made = replace(made, zip=_layers(alone, cut, recipe))
    owners = None if inputs.segmented is None else inputs.segmented.owners
    if Output.PERSONS in asked and owners is not None:
        rgba = alone if alone is not None and cut is whole else _alone(compositor, whole)
        made = replace(made, persons=persons.archive(rgba, owners, recipe))
    return made


def _alone(compositor: Compositor, cut: CutOut) -> Srgba8:
    """Return the people on nothing, (H, W, 4)."""
    height, width = cut.matte.shape
    return compositor.over(cut, ground.nothing(width=width, height=height))


def _picture(pixels: Srgb8 | Srgba8, inputs: Inputs) -> Encoded:
    """Encode as the recipe wants, in as many bytes at most.

    What JPEG cannot hold, such as a cut-out, comes as PNG.
    """
    recipe = inputs.recipe
    transparent = pixels.shape[2] > 3  # noqa: PLR2004 - red, green, blue
    format_ = recipe.format
    if format_ == Format.AUTO or (transparent and format_ == Format.JPG):
        format_ = Format.PNG if transparent else Format.JPG
    manner = Manner(
        str(format_),
        quality=recipe.quality,
        small=recipe.files.effort == Effort.SMALL,
        exif=inputs.photo.exif if recipe.files.keep_metadata else b"",
        dots_per_inch=DOTS_PER_INCH if recipe.framing.size.paper else None,
    )
    if recipe.files.max_bytes is None:
        return images.encode(pixels, manner)
    return images.fitted(pixels, manner, most_bytes=recipe.files.max_bytes)


def _matte(coverage: Matte8, recipe: Recipe) -> Encoded:
    """Encode a matte in as many bits as the recipe wants; it has 255 levels in both."""
    small = recipe.files.effort == Effort.SMALL
    if recipe.files.matte_bits == 8:  # noqa: PLR2004 - bits
        return images.encode_png(coverage, small=small)
    return images.encode_png(np.multiply(coverage, _STEPS, dtype=np.uint16))


def _layers(alone: Srgba8, cut: CutOut, recipe: Recipe) -> Encoded:
    """Return a zip of the people's colours, without alpha, and of the matte.

    Where nobody is, the colours near the edge go on: JPEG would let black fray into them.
    """
    height, width = cut.matte.shape
    near = cv2.resize(cut.people_srgb.astype(np.uint8), (width, height))
    colours = near.astype(np.uint8, copy=False)
    for top in range(0, height, _STRIP_ROWS):  # a large picture has no room for copies
        rows = slice(top, top + _STRIP_ROWS)
        np.copyto(colours[rows], alone[rows, :, :3], where=alone[rows, :, 3:] > 0)
    small = recipe.files.effort == Effort.SMALL
    files = {
        COLOURS: images.encode_jpeg(colours, quality=recipe.quality, small=small).content,
        MATTE: images.encode_png(cut.matte, small=small).content,
    }
    return Encoded(images.archive(files), "application/zip", width, height, "zip")
