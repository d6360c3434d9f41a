"""What stands behind the people, drawn at the size of the picture."""

from dataclasses import replace
from typing import Final

import cv2
import numpy as np
from coloraide import Color

from smart_filter_shared.recipe import Background, BackgroundKind
from smart_filter_workers.backgrounds import blurred, library, side_light, uploaded
from smart_filter_workers.results import Chosen, Frame, Matte8, Srgb8
from smart_filter_workers.stages.composite import canvas
from smart_filter_workers.stages.composite.inputs import Inputs
from smart_filter_workers.stages.composite.models.base import Srgba8

_NOTHING: Final = (0, 0, 0, 0)


def drawn(chosen: Chosen, inputs: Inputs, frame: Frame) -> Srgb8 | Srgba8:
    """Return what was chosen, (H, W, 3), or (H, W, 4) where something shows through.

    The array is new: whoever gets it may draw on it.
    """
    width, height = frame.width, frame.height
    match chosen.kind:
        case BackgroundKind.PRESET if chosen.name is not None:
            return _preset(chosen.name, chosen.light, inputs, frame)
        case BackgroundKind.FILE | BackgroundKind.URL:
            if inputs.background is None:
                raise ValueError(f"background {chosen.kind} needs a background")
            return uploaded.cover(inputs.background.srgb, width=width, height=height)
        case BackgroundKind.BLUR if inputs.segmented is not None:
            return _blurred(inputs, inputs.segmented.matte, frame)
        case _:
            return filled(_colour(inputs.recipe.background), width=width, height=height)


def _preset(name: str, light: float, inputs: Inputs, frame: Frame) -> Srgb8:
    width, height = frame.width, frame.height
    drawing = inputs.collection.draw(name, seed=inputs.seed, width=width, height=height)
    preset, _ = inputs.collection.named(name)
    if preset.family not in side_light.SIDE_LIT:
        return drawing
    return side_light.agreeing(drawing, light=light)


def is_photo(chosen: Chosen, inputs: Inputs) -> bool:
    """Whether nothing is to be drawn: what was chosen is the photo itself."""
    blurred_by = inputs.recipe.background.value
    return chosen.kind == BackgroundKind.KEEP or (
        chosen.kind == BackgroundKind.BLUR and not float(blurred_by or 0)
    )


def kept(inputs: Inputs, frame: Frame) -> Srgb8:
    """Return the photo itself as it lies on the canvas; the very same array where it is that."""
    srgb = inputs.photo.srgb
    height, width = srgb.shape[:2]
    if canvas.is_whole(frame, width=width, height=height):
        return srgb
    return canvas.laid(srgb, frame, beyond=cv2.BORDER_REPLICATE)


def filled(rgba: tuple[int, int, int, int], *, width: int, height: int) -> Srgb8 | Srgba8:
    """Return one colour, levels 0..255; without alpha where it is opaque."""
    if rgba[3] == 255:  # noqa: PLR2004 - opaque
        plain = np.empty((height, width, 3), np.uint8)
        plain[:] = rgba[:3]
        return plain
    # Filled as whole words: byte by byte it takes six times as long.
    word = np.array(rgba, np.uint8).view(np.uint32)
    return np.full((height, width), word, np.uint32).view(np.uint8).reshape(height, width, 4)


def nothing(*, width: int, height: int) -> Srgba8:
    """Return a canvas on which nothing is."""
    return filled(_NOTHING, width=width, height=height)


def _blurred(inputs: Inputs, matte: Matte8, frame: Frame) -> Srgb8:
    strength = float(inputs.recipe.background.value or 0)
    height, width = inputs.photo.srgb.shape[:2]
    sheet = library.sheet("blur", seed=inputs.seed, width=width, height=height)
    whole = blurred.draw(inputs.prepared.proxy_srgb, matte, strength=strength, sheet=sheet)
    asked = inputs.recipe.framing
    if asked.scale is not None or asked.position is not None:
        # The people have moved: what was behind them is no longer there.
        return uploaded.cover(whole, width=frame.width, height=frame.height)
    return kept(replace(inputs, photo=replace(inputs.photo, srgb=whole)), frame)


def _colour(background: Background) -> tuple[int, int, int, int]:
    """Return the levels of a `color` background, brought into sRGB; nothing for `transparent`."""
    if background.kind != BackgroundKind.COLOR or background.value is None:
        return _NOTHING
    return levels(background.value)


def levels(css_colour: str) -> tuple[int, int, int, int]:
    """Return red, green, blue and alpha, 0..255, of a CSS colour, brought into sRGB."""
    colour = Color(css_colour).convert("srgb").fit()
    red, green, blue = (round(255 * level) for level in colour.coords(nans=False))
    alpha = round(255 * colour.alpha(nans=False))
    return (red, green, blue, alpha) if alpha else _NOTHING
