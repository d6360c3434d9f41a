"""Draw the background behind the people at the size of the picture."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from smart_filter_shared.presets import SIDE_LIT_FAMILIES
from smart_filter_shared.recipe import Background, BackgroundKind, Recipe
from smart_filter_shared.results import ChosenBackground, Face, Frame
from smart_filter_workers.backgrounds import blur, library
from smart_filter_workers.backgrounds.library import Collection
from smart_filter_workers.backgrounds.sheet import GRAIN_LEVELS, Camera
from smart_filter_workers.opencv import cv2
from smart_filter_workers.resampling import resize
from smart_filter_workers.results import Matte8, Srgb8, Srgba8
from smart_filter_workers.stages.composite import framing

_TRANSPARENT: Final = (0, 0, 0, 0)

# From the eyes to the soles, in heights of a detected face: an adult's eyes are at 160 cm, and a
# detector's box is 20 cm high.
EYES_TO_SOLES: Final = 8.0
# Without a face: from the crown to the eyes, in heights of the body.
CROWN_TO_EYES: Final = 0.07
# A photographer's wall is a third of the distance to the camera behind the people, so it meets the
# floor this far down from eye level to their soles.
WALL_SHARE: Final = 0.76
# People who end this share of the height above the photo's lower border stand in the picture.
_STANDS_ABOVE: Final = 0.015
_SEEN_FROM: Final = 128
# Side of the part of the photo in which noise is measured, and of its blocks; the smoothest tenth
# of the blocks shows noise alone.
_NOISE_SIDE_PX: Final = 512
_BLOCK_PX: Final = 16
_SMOOTH_QUANTILE: Final = 0.1
# Levels of triangular noise with a standard deviation of one level, and the most grain drawn.
_TRIANGULAR: Final = 6**0.5
_MAX_GRAIN: Final = 6.0


@dataclass(frozen=True, slots=True)
class PeoplePhoto:
    """A photo of people whose background is drawn.

    srgb: (H, W, 3) uint8; proxy_srgb: (h, w, 3) uint8, the same, no larger.
    faces: in pixels of the photo.  matte: (h, w) uint8; None without people.
    evidence: where people may be, (h', w') uint8; None where the matte is all that counts.
    """

    srgb: Srgb8
    proxy_srgb: Srgb8
    faces: Sequence[Face] = ()
    matte: Matte8 | None = None
    evidence: Matte8 | None = None


def draw(
    chosen: ChosenBackground,
    frame: Frame,
    photo: PeoplePhoto,
    *,
    recipe: Recipe,
    seed: int,
    collection: Collection,
    picture: Srgb8 | None,
) -> Srgb8 | Srgba8:
    """Return the chosen background, (H, W, 3), or (H, W, 4) if it has transparency.

    picture: (H', W', 3) uint8, of a file or a URL.
    The array is new, so the caller may draw on it.
    """
    width, height = frame.width, frame.height
    match chosen.kind:
        case BackgroundKind.PRESET if chosen.name is not None:
            camera = estimate_camera(photo, frame)
            drawing = collection.draw(
                chosen.name, seed=seed, width=width, height=height, camera=camera
            )
            preset, _ = collection.get(chosen.name)
            if preset.family not in SIDE_LIT_FAMILIES:
                return drawing
            return library.mirror_to_match(drawing, light=chosen.light)
        case BackgroundKind.FILE | BackgroundKind.URL:
            if picture is None:
                raise ValueError(f"background {chosen.kind} needs a background")
            return library.crop_to_cover(picture, width=width, height=height)
        case BackgroundKind.BLUR if photo.matte is not None:
            fills = recipe.framing.moves_people
            return _draw_blurred(photo, photo.matte, chosen.blur, frame, seed=seed, fills=fills)
        case _:
            return fill_color(_color_levels(recipe.background), width=width, height=height)


def is_photo(chosen: ChosenBackground) -> bool:
    """Return whether the chosen background is the photo itself, so nothing is drawn."""
    return chosen.kind == BackgroundKind.KEEP or (
        chosen.kind == BackgroundKind.BLUR and not chosen.blur
    )


def place_photo(srgb: Srgb8, frame: Frame) -> Srgb8:
    """Return the photo, (H, W, 3) uint8 sRGB, placed on the canvas; itself if it is the canvas."""
    height, width = srgb.shape[:2]
    if framing.is_whole(frame, width=width, height=height):
        return srgb
    return framing.place_photo(srgb, frame, beyond=cv2.BORDER_REPLICATE)


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


def _draw_blurred(
    photo: PeoplePhoto, matte: Matte8, strength: float, frame: Frame, *, seed: int, fills: bool
) -> Srgb8:
    """Return the photo blurred.  fills: whether it fills the frame, as people are elsewhere."""
    height, width = photo.srgb.shape[:2]
    sheet = library.new_sheet("blur", seed=seed, width=width, height=height)
    evidence = photo.evidence
    if fills or evidence is None:
        whole = blur.draw(photo.proxy_srgb, matte, strength=strength, sheet=sheet)
        if fills:
            return library.crop_to_cover(whole, width=frame.width, height=frame.height)
        return place_photo(whole, frame)
    small = resize(matte, width=evidence.shape[1], height=len(evidence))
    eyes, soles = (row / height for row in find_ground(photo) or (math.nan, math.nan))
    softness = blur.find_softness(evidence, small, eyes=eyes, soles=soles)
    blurred = blur.draw_beyond(
        photo.srgb, photo.proxy_srgb, softness, matte, strength=strength, sheet=sheet
    )
    return place_photo(blurred, frame)


def _color_levels(background: Background) -> tuple[int, int, int, int]:
    """Return the levels of a `color` background, fitted into sRGB; 0 for `transparent`."""
    if background.kind != BackgroundKind.COLOR or background.value is None:
        return _TRANSPARENT
    return parse_css_color(background.value)


def parse_css_color(css_color: str) -> tuple[int, int, int, int]:
    """Return red, green, blue and alpha, 0..255, of a CSS color, fitted into sRGB."""
    from coloraide import Color  # noqa: PLC0415 - takes 0.1 s and 6 MB, and few jobs need it

    color = Color(css_color).convert("srgb").fit()
    red, green, blue = (round(255 * level) for level in color.coords(nans=False))
    alpha = round(255 * color.alpha(nans=False))
    return (red, green, blue, alpha) if alpha else _TRANSPARENT


def estimate_camera(photo: PeoplePhoto, frame: Frame) -> Camera:
    """Return the camera of a photo in shares of the canvas."""
    grain = measure_grain(photo.srgb) * min(1.0, frame.scale)
    grain_levels = float(np.clip(grain, GRAIN_LEVELS, _MAX_GRAIN))
    ground = find_ground(photo)
    if ground is None:
        return Camera(grain_levels=grain_levels)
    horizon, lowest = (frame.place((0, row))[1] / frame.height for row in ground)
    return Camera(horizon, horizon + WALL_SHARE * (lowest - horizon), grain_levels)


def find_ground(photo: PeoplePhoto) -> tuple[float, float] | None:
    """Return the rows of the people's eyes and soles in pixels of the photo, also beyond its end.

    None: there are neither faces nor people who end in the photo.
    """
    faces, people = photo.faces, _standing_rows(photo)
    if faces:
        eyes = float(np.median([face.landmarks[0][1] + face.landmarks[1][1] for face in faces])) / 2
        height = EYES_TO_SOLES * float(np.median([face.box[3] for face in faces]))
        return eyes, eyes + height if people is None else people[1]
    if people is None:
        return None
    crown, soles = people
    return crown + CROWN_TO_EYES * (soles - crown), soles


def _standing_rows(photo: PeoplePhoto) -> tuple[float, float] | None:
    """Return the rows of the crown and the soles of people in a photo, in its pixels.

    None: they are cut off by the lower border, or there are none.
    """
    matte = photo.matte
    if matte is None:
        return None
    rows = np.flatnonzero((matte >= _SEEN_FROM).any(axis=1))
    if not len(rows) or rows[-1] + 1 >= (1 - _STANDS_ABOVE) * len(matte):
        return None
    scale = photo.srgb.shape[0] / len(matte)
    return float(rows[0] * scale), float((rows[-1] + 1) * scale)


def measure_grain(srgb: Srgb8) -> float:
    """Return the noise of a photo, (H, W, 3) uint8 sRGB, as levels of triangular grain.

    Source: Immerkaer 1996, "Fast noise variance estimation", over the smoothest blocks.
    """
    height, width = srgb.shape[:2]
    top, left = max(0, (height - _NOISE_SIDE_PX) // 2), max(0, (width - _NOISE_SIDE_PX) // 2)
    green = srgb[top : top + _NOISE_SIDE_PX, left : left + _NOISE_SIDE_PX, 1]
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    rough = np.abs(cv2.filter2D(green, cv2.CV_32F, kernel))
    size = max(1, rough.shape[1] // _BLOCK_PX), max(1, rough.shape[0] // _BLOCK_PX)
    blocks = cv2.resize(rough, size, interpolation=cv2.INTER_AREA)
    deviation: float = float(np.quantile(blocks, _SMOOTH_QUANTILE)) * (np.pi / 2) ** 0.5 / 6
    return float(_TRIANGULAR * deviation)
