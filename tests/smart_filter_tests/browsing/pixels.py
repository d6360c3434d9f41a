"""Read pixels of a page as arrays, and compare them."""

import io
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import FloatRect, Locator, Page

from smart_filter_workers.results import Bytes


def screenshot(shown: Page | Locator, clip: tuple[int, int, int, int] | None = None) -> Bytes:
    """Return a screenshot of a page or an element: (height, width, 3) uint8, sRGB.

    clip: x, y, width and height in CSS pixels, from the top left of the page or element.
    """
    if isinstance(shown, Page):
        x, y, width, height = clip or (0, 0, 0, 0)
        part = FloatRect(x=x, y=y, width=width, height=height) if clip else None
        return read_picture(shown.screenshot(animations="disabled", caret="hide", clip=part))
    whole = read_picture(shown.screenshot(animations="disabled", caret="hide"))
    if clip is None:
        return whole
    x, y, width, height = clip
    return whole[y : y + height, x : x + width]


def read_picture(source: Path | bytes, size: tuple[int, int] | None = None) -> Bytes:
    """Return a picture file in the same format, over white where it is transparent.

    size: width and height that it is resized to.
    """
    with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as opened:
        rgba = opened.convert("RGBA")
    ground = Image.new("RGBA", rgba.size, "white")
    flat = Image.alpha_composite(ground, rgba).convert("RGB")
    if size is not None:
        flat = flat.resize(size, Image.Resampling.LANCZOS)
    return np.asarray(flat)


def mean_color(region: Bytes) -> tuple[float, float, float]:
    """Return the mean red, green and blue, 0..255 each."""
    red, green, blue = region.reshape(-1, 3).mean(axis=0).tolist()
    return red, green, blue


def changed_share(before: Bytes, after: Bytes, *, levels: int = 8) -> float:
    """Return the share of pixels, 0..1, in which some channel differs by more than `levels`.

    8 levels are more than scaling and coding of the same picture change. Raises ValueError when the
    sizes differ.
    """
    if before.shape != after.shape:
        raise ValueError(f"{before.shape} and {after.shape} are not of one size")
    apart = np.abs(before.astype(np.int16) - after).max(axis=2)
    return float((apart > levels).mean())
