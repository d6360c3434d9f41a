"""Draw the background behind the people at the size of the picture."""

import math
from typing import Final

import numpy as np
from coloraide import Color

from smart_filter_shared.presets import SIDE_LIT_FAMILIES
from smart_filter_shared.recipe import Background, BackgroundKind
from smart_filter_shared.results import ChosenBackground, Frame
from smart_filter_workers.backgrounds import blur, cover_crop, library
from smart_filter_workers.backgrounds.choice import side_light
from smart_filter_workers.opencv import cv2
from smart_filter_workers.resampling import resize
from smart_filter_workers.results import Matte8, Srgb8, Srgba8
from smart_filter_workers.stages.composite import camera, compose, correct_light
from smart_filter_workers.stages.composite.correct_light import Curve
from smart_filter_workers.stages.composite.inputs import Inputs

_TRANSPARENT: Final = (0, 0, 0, 0)


def draw(chosen: ChosenBackground, inputs: Inputs, frame: Frame) -> Srgb8 | Srgba8:
    """Return the chosen background, (H, W, 3), or (H, W, 4) if it has transparency.

    The array is new, so the caller may draw on it.
    """
    width, height = frame.width, frame.height
    match chosen.kind:
        case BackgroundKind.PRESET if chosen.name is not None:
            return _preset(chosen.name, chosen.light, inputs, frame)
        case BackgroundKind.FILE | BackgroundKind.URL:
            if inputs.background is None:
                raise ValueError(f"background {chosen.kind} needs a background")
            return cover_crop.crop_to_cover(inputs.background.srgb, width=width, height=height)
        case BackgroundKind.BLUR if inputs.segmented is not None:
            return _draw_blurred(inputs, inputs.segmented.matte, chosen.blur, frame)
        case _:
            return fill_color(_color_levels(inputs.recipe.background), width=width, height=height)


def _preset(name: str, light: float, inputs: Inputs, frame: Frame) -> Srgb8:
    width, height = frame.width, frame.height
    drawing = inputs.collection.draw(
        name,
        seed=inputs.seed,
        width=width,
        height=height,
        camera=camera.estimate(inputs, frame),
    )
    preset, _ = inputs.collection.get(name)
    if preset.family not in SIDE_LIT_FAMILIES:
        return drawing
    return side_light.mirror_to_match(drawing, light=light)


def is_photo(chosen: ChosenBackground) -> bool:
    """Return whether the chosen background is the photo itself, so nothing is drawn."""
    return chosen.kind == BackgroundKind.KEEP or (
        chosen.kind == BackgroundKind.BLUR and not chosen.blur
    )


def find_light_curve(chosen: ChosenBackground | None, inputs: Inputs) -> Curve | None:
    """Return the curve that corrects a photo that `auto` keeps; None to leave it as it is."""
    is_kept = chosen is not None and chosen.kind == BackgroundKind.KEEP
    if not is_kept or inputs.recipe.background.kind != BackgroundKind.AUTO:
        return None
    return correct_light.find_curve(inputs.prepared.proxy_srgb)


def keep_photo(chosen: ChosenBackground, inputs: Inputs, frame: Frame) -> Srgb8:
    """Return the photo placed on the canvas, (H, W, 3) uint8 sRGB; itself if it is the canvas."""
    curve = find_light_curve(chosen, inputs)
    srgb = inputs.photo.srgb
    return _place(srgb if curve is None else correct_light.apply_curve(srgb, curve), frame)


def _place(srgb: Srgb8, frame: Frame) -> Srgb8:
    height, width = srgb.shape[:2]
    if compose.is_whole(frame, width=width, height=height):
        return srgb
    return compose.place_photo(srgb, frame, beyond=cv2.BORDER_REPLICATE)


def fill_color(rgba: tuple[int, int, int, int], *, width: int, height: int) -> Srgb8 | Srgba8:
    """Return a canvas of one color: (H, W, 4) uint8 sRGB, or (H, W, 3) if it is opaque.

    rgba: red, green, blue and straight alpha, 0..255.
    """
    if rgba[3] == 255:  # noqa: PLR2004 - opaque
        plain = np.empty((height, width, 3), np.uint8)
        plain[:] = rgba[:3]
        return plain
    # Fill whole words: byte by byte takes six times as long.
    word = np.array(rgba, np.uint8).view(np.uint32)
    return np.full((height, width), word, np.uint32).view(np.uint8).reshape(height, width, 4)


def make_transparent(*, width: int, height: int) -> Srgba8:
    """Return a fully transparent canvas, (H, W, 4) uint8, all 0."""
    return fill_color(_TRANSPARENT, width=width, height=height)


def _draw_blurred(inputs: Inputs, matte: Matte8, strength: float, frame: Frame) -> Srgb8:
    proxy_srgb = inputs.prepared.proxy_srgb
    height, width = inputs.photo.srgb.shape[:2]
    sheet = library.new_sheet("blur", seed=inputs.seed, width=width, height=height)
    if inputs.recipe.framing.moves_people:
        # The background no longer fits behind them: fill the frame.
        whole = blur.draw(proxy_srgb, matte, strength=strength, sheet=sheet)
        return cover_crop.crop_to_cover(whole, width=frame.width, height=frame.height)
    evidence = inputs.evidence
    if evidence is None:
        return _place(blur.draw(proxy_srgb, matte, strength=strength, sheet=sheet), frame)
    small = resize(matte, width=evidence.shape[1], height=len(evidence))
    eyes, soles = (row / height for row in camera.find_ground(inputs) or (math.nan, math.nan))
    softness = blur.find_softness(evidence, small, eyes=eyes, soles=soles)
    blurred = blur.draw_beyond(
        inputs.photo.srgb, proxy_srgb, softness, matte, strength=strength, sheet=sheet
    )
    return _place(blurred, frame)


def _color_levels(background: Background) -> tuple[int, int, int, int]:
    """Return the levels of a `color` background, fitted into sRGB; 0 for `transparent`."""
    if background.kind != BackgroundKind.COLOR or background.value is None:
        return _TRANSPARENT
    return parse_css_color(background.value)


def parse_css_color(css_color: str) -> tuple[int, int, int, int]:
    """Return red, green, blue and alpha, 0..255, of a CSS color, fitted into sRGB."""
    color = Color(css_color).convert("srgb").fit()
    red, green, blue = (round(255 * level) for level in color.coords(nans=False))
    alpha = round(255 * color.alpha(nans=False))
    return (red, green, blue, alpha) if alpha else _TRANSPARENT
