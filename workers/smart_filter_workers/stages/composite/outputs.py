"""The files that a job asked for, encoded as its recipe wants."""

import numpy as np

from smart_filter_shared.recipe import Effort, Format, Recipe
from smart_filter_workers import images
from smart_filter_workers.images import Manner
from smart_filter_workers.results import Encoded, Matte8, Srgb8
from smart_filter_workers.stages.composite.models.base import Srgba8

# 255 levels in the steps of 65,535: both ends stay where they are.
_STEPS = 257


def picture(pixels: Srgb8 | Srgba8, recipe: Recipe, *, exif: bytes) -> Encoded:
    """Encode as the recipe wants, in as many bytes at most.

    What JPEG cannot hold, such as a cut-out, comes as PNG.  exif: the photo's, as it came.
    """
    transparent = pixels.shape[2] > 3  # noqa: PLR2004 - red, green, blue
    format_ = recipe.format
    if format_ == Format.AUTO or (transparent and format_ == Format.JPG):
        format_ = Format.PNG if transparent else Format.JPG
    manner = Manner(
        str(format_),
        quality=recipe.quality,
        small=recipe.files.effort == Effort.SMALL,
        exif=exif if recipe.files.keep_metadata else b"",
    )
    if recipe.files.max_bytes is None:
        return images.encode(pixels, manner)
    return images.fitted(pixels, manner, most_bytes=recipe.files.max_bytes)


def matte(coverage: Matte8, recipe: Recipe) -> Encoded:
    """Encode a matte in as many bits as the recipe wants; it has 255 levels in both."""
    small = recipe.files.effort == Effort.SMALL
    if recipe.files.matte_bits == 8:  # noqa: PLR2004 - bits
        return images.encode_png(coverage, small=small)
    return images.encode_png(np.multiply(coverage, _STEPS, dtype=np.uint16))
