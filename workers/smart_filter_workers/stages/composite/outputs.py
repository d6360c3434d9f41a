"""The files that a job asked for, encoded as its recipe wants."""

from smart_filter_shared.recipe import Format, Recipe
from smart_filter_workers import images
from smart_filter_workers.results import Encoded, Srgb8
from smart_filter_workers.stages.composite.models.base import Srgba8


def encoded(picture: Srgb8 | Srgba8, recipe: Recipe) -> Encoded:
    """Encode as the recipe wants; what JPEG cannot hold, such as a cut-out, as PNG."""
    transparent = picture.shape[2] > 3  # noqa: PLR2004 - red, green, blue
    if recipe.format == Format.AVIF:
        return images.encode_avif(picture, quality=recipe.quality)
    if recipe.format == Format.WEBP:
        return images.encode_webp(picture, quality=recipe.quality)
    if transparent or recipe.format == Format.PNG:
        return images.encode_png(picture)
    return images.encode_jpeg(picture, quality=recipe.quality)
