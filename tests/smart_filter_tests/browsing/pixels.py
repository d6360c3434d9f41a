"""What is to be seen on a page, as numbers."""

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from playwright.sync_api import FloatRect, Locator, Page

Pixels = npt.NDArray[np.uint8]


def pixels(shown: Page | Locator, clip: tuple[int, int, int, int] | None = None) -> Pixels:
    """Return what a page or an element of it shows: (height, width, 3) uint8, sRGB.

    clip: x, y, width and height in CSS pixels, from the top left of what is shown.
    """
    if isinstance(shown, Page):
        x, y, width, height = clip or (0, 0, 0, 0)
        part = FloatRect(x=x, y=y, width=width, height=height) if clip else None
        return picture(shown.screenshot(animations="disabled", caret="hide", clip=part))
    whole = picture(shown.screenshot(animations="disabled", caret="hide"))
    if clip is None:
        return whole
    x, y, width, height = clip
    return whole[y : y + height, x : x + width]


def picture(source: Path | bytes, size: tuple[int, int] | None = None) -> Pixels:
    """Return a file's picture in the same way, over white where it is transparent.

    size: width and height that it is brought to.
    """
    with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as opened:
        rgba = opened.convert("RGBA")
    ground = Image.new("RGBA", rgba.size, "white")
    flat = Image.alpha_composite(ground, rgba).convert("RGB")
    if size is not None:
        flat = flat.resize(size, Image.Resampling.LANCZOS)
    return np.asarray(flat)


def mean_colour(region: Pixels) -> tuple[float, float, float]:
    """Return the mean red, green and blue, 0..255 each."""
    red, green, blue = region.reshape(-1, 3).mean(axis=0).tolist()
    return red, green, blue


def share_changed(before: Pixels, after: Pixels, *, levels: int = 8) -> float:
    """Return of how many pixels, 0..1, some channel differs by more than so many levels.

    8 levels are more than what scaling and coding of the same picture differ by.
    Raises ValueError when they differ in size.
    """
    if before.shape != after.shape:
        raise ValueError(f"{before.shape} and {after.shape} are not of one size")
    apart = np.abs(before.astype(np.int16) - after).max(axis=2)
    return float((apart > levels).mean())
