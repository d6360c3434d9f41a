"""Measure the people in a photo for the choice of a background.

Their colors along the outline, of hair, clothes and skin separately, and the direction of their
light: all at a quarter of the proxy's size, which takes a few milliseconds.

Measure how far people stand out from the background that was drawn, along their outline.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.results import Face
from smart_filter_wire.findings import OutlineContrast
from smart_filter_wire.formats import FaceBox
from smart_filter_workers.backgrounds import colors
from smart_filter_workers.backgrounds.colors import Colors, NamedColor
from smart_filter_workers.opencv import cv2
from smart_filter_workers.resampling import resize, shrink
from smart_filter_workers.results import Bools, Floats, Matte8, Srgb8

# Longest side of the small picture; a face that fills an eighth of a photo is 28 px wide in it.
LONGEST_SIDE_PX: Final = 224
# Points sampled along the outline: with all of them the score moves by 0.01.
OUTLINE_SAMPLES: Final = 320
# Distances inside and outside the outline at which colors are compared, as shares of the longer
# side: just beyond the matte's soft edge.
INSIDE_SHARE: Final = 0.012
OUTSIDE_SHARE: Final = 0.03
# Skin and light of a crowd are measured on its largest faces.
MAX_FACES: Final = 8
# Least matte of a pixel that shows only people.
_WHOLE_FROM: Final = 200
# Skin is within these distances of a face's middle, in OKLab's color plane and in lightness (chosen
# on training photos: smaller ones lose cheeks in the shade, larger ones take in blond hair).
_SKIN_HUE: Final = 0.035
_SKIN_LIGHTNESS: Final = 0.22
# Fewer pixels than this of hair, or of one half of a face, are ignored.
_MIN_PIXELS: Final = 12
# Difference in OKLab lightness between the halves of a face, or the sides of the old background, at
# which their light surely comes from the lighter side.
_FACE_LIT: Final = 0.06
_GROUND_LIT: Final = 0.2
_FACE_SHARE: Final = 0.75
# In the dark, three quarters of the background are no lighter than this (OKLab), and hardly any of
# the skin or the people is lighter than the limits below. If the background is even darker, people
# may be lit from a side (by looking at the 96 darkest of 1,865 training photos: most are daylight
# before trees).
_DARK_SHARE: Final = 0.75
_DARK_BEHIND: Final = 0.32
_BLACK_BEHIND: Final = 0.2
_HIGHLIGHTS: Final = 0.9
_DIM: Final = 0.6
_DIM_WHITE: Final = 0.8
_LIT_FROM_A_SIDE: Final = 0.5
# Brightness (luma) of the lightest background of a flash photo whose place is dark, as above: the
# darkest third of the designs that `auto` chooses from.
_LIGHTEST_IN_THE_DARK: Final = 0.45
# Source: `look.harmonize`, which measures the tint of light on grays too.
_GRAY_CHROMA: Final = 0.035
_GRAY_LIGHTNESS: Final = (0.3, 0.95)
_MIN_GRAY_SHARE: Final = 0.02
# A photo has no colors if this share of its pixels is this close to one chroma, in OKLab (of the
# same photos 39 are; the next ones show gray streets).
_MONOCHROME_SHARE: Final = 0.97
_MONOCHROME_DISTANCE: Final = 0.018
# People who reach this share of the height above the lower border are cut off by it.
_BORDER_SHARE: Final = 0.015
# Height of the largest face, as a share of the photo's, below which more than a bust is shown.
_SMALL_FACE_SHARE: Final = 0.13

_DIGITS = 1


@dataclass(frozen=True, slots=True)
class SubjectStats:
    """Measurements of a photo's people.

    outline_lab: (N, 3) float32 OKLab, their colors just inside points along their outline; N may be
        0 if people fill the photo. Points are equally spaced, so a coat counts as much as the hair.
    outline_at: (N, 2) float32, x and y just outside these points, 0..1 of the picture.
    behind_lab: (N, 3) float32 OKLab, the photo's own background there.
    hair_outline: (N,) bool, whether the outline may be hair, which keeps some of that background.
    hair, skin: their color; None without a face, or without hair.
    clothes: the other main colors, by falling share.
    pattern: how much these colors of the clothes differ, in OKLab.
    light: direction of their light, -1 left of the picture to 1 right of it.
    in_the_dark: whether they are in a dark place: dim, or lit from a side.
    lightest: brightness, 0..1, of the lightest background that their light explains.
    colored_light: whether nothing in the photo is gray, so its light has a color of its own.
    monochrome: whether the photo has no colors, like one in black and white.
    full_length: whether people are shown from head to foot, or small.
    cut_off: whether the photo ends between their hips and their knees.
    """

    outline_lab: Colors
    outline_at: Floats
    behind_lab: Colors
    hair_outline: Bools
    hair: NamedColor | None
    skin: NamedColor | None
    clothes: tuple[NamedColor, ...]
    pattern: float
    light: float
    in_the_dark: bool = False
    lightest: float = 1.0
    colored_light: bool = False
    monochrome: bool = False
    full_length: bool = False
    cut_off: bool = False


@dataclass(frozen=True, slots=True)
class _SmallPhoto:
    """The small photo: (h, w, 3) OKLab, (h, w) uint8, and faces in its pixels, largest first."""

    lab: Colors
    matte: Matte8
    faces: tuple[FaceBox, ...]


def measure_subjects(
    proxy_srgb: Srgb8, matte: Matte8, faces: Sequence[Face], *, scale: float
) -> SubjectStats:
    """Return the measurements of a photo's people.

    proxy_srgb: (h, w, 3) uint8; matte: (h, w) uint8.  faces: in pixels of the photo, which is
    `scale` times as large as the proxy.
    """
    small = _shrink_photo(proxy_srgb, matte, faces, scale)
    heads = _mask_around_faces(small, left=0.5, above=0.8, below=0.15)
    skin_tone, skin = _skin(small)
    hair = _hair(small, skin)
    wear = (small.matte >= _WHOLE_FROM) & ~skin & ~heads
    if not small.faces:
        wear[: _estimate_head_row(small.matte)] = False
    clothes = colors.find_dominant(small.lab[wear])
    places, lab, outward = _outline(small)
    height, width = small.matte.shape
    longer = max(width, height)
    at = (places + 0.5 + OUTSIDE_SHARE * longer * outward) / np.array([width, height])
    shown = ((at >= 0) & (at < 1)).all(axis=-1)
    column, row = np.clip(at * (width, height), 0, (width - 1, height - 1)).astype(np.int64).T
    manes = _mask_around_faces(small, left=0.7, above=0.8, below=0.8)
    light = _light(small, skin)
    return SubjectStats(
        outline_lab=lab[shown],
        outline_at=at[shown].astype(np.float32),
        behind_lab=small.lab[row, column][shown],
        hair_outline=manes[places[shown, 1], places[shown, 0]],
        hair=hair,
        skin=skin_tone,
        clothes=clothes,
        pattern=colors.color_spread(clothes),
        light=light,
        in_the_dark=_is_in_the_dark(small, skin, light),
        lightest=_lightest(small),
        colored_light=_is_light_colored(small.lab),
        monochrome=_is_monochrome(small.lab),
        full_length=_is_full_length(small),
    )


def find_outline(photo_srgb: Srgb8, matte: Matte8, ground_srgb: Srgb8) -> tuple[Colors, Colors]:
    """Return the CIE L*a*b* colors of people and of the ground across the outline, (N, 3) each.

    All three pictures are small and of one size.
    """
    places, lab, outward = _outline(_SmallPhoto(_to_cie_lab(photo_srgb), matte, ()))
    height, width = matte.shape
    longer = max(height, width)
    outside = np.round(places + OUTSIDE_SHARE * longer * outward).astype(np.int64)
    shown = ((outside >= 0) & (outside < (width, height))).all(axis=-1)
    ground = ground_srgb[outside[shown, 1], outside[shown, 0]]
    # OpenCV converts no empty picture.
    return lab[shown], _to_cie_lab(ground[np.newaxis])[0] if len(ground) else lab[shown]


def _to_cie_lab(srgb: Srgb8) -> Colors:
    scaled = srgb.astype(np.float32) / np.float32(255)
    return cv2.cvtColor(scaled, cv2.COLOR_RGB2LAB).astype(np.float32, copy=False)


def _shrink_photo(
    proxy_srgb: Srgb8, matte: Matte8, faces: Sequence[Face], scale: float
) -> _SmallPhoto:
    height, width = matte.shape
    ratio = min(1.0, LONGEST_SIDE_PX / max(height, width))
    srgb = shrink(proxy_srgb, longest_side=LONGEST_SIDE_PX)
    boxes = [tuple(side * ratio / scale for side in face.box) for face in faces]
    boxes.sort(key=lambda box: -box[2] * box[3])
    return _SmallPhoto(
        lab=colors.linear_to_oklab(colors.picture_to_linear(srgb)),
        matte=resize(matte, width=srgb.shape[1], height=srgb.shape[0]),
        faces=tuple((x, y, w, h) for x, y, w, h in boxes),
    )


def _mask_around_faces(small: _SmallPhoto, *, left: float, above: float, below: float) -> Bools:
    """Return the area of faces with margins, as shares of their width and height."""
    mask = np.zeros(small.matte.shape, np.bool_)
    for x, y, w, h in small.faces:
        rows = slice(_to_index(y - above * h), _to_index(y + (1 + below) * h))
        mask[rows, _to_index(x - left * w) : _to_index(x + (1 + left) * w)] = True
    return mask


def _skin(small: _SmallPhoto) -> tuple[NamedColor | None, Bools]:
    """Return the common color of all faces, and the mask of skin."""
    skin = np.zeros(small.matte.shape, np.bool_)
    tones = []
    for x, y, w, h in small.faces[:MAX_FACES]:
        middle = (
            slice(_to_index(y + 0.3 * h), _to_index(y + 0.8 * h)),
            slice(_to_index(x + w / 4), _to_index(x + 0.75 * w)),
        )
        pixels = small.lab[middle].reshape(-1, 3)
        if not len(pixels):
            continue
        tone = np.median(pixels, axis=0)
        away = np.abs(small.lab - tone)
        skin |= (np.hypot(away[..., 1], away[..., 2]) < _SKIN_HUE) & (
            away[..., 0] < _SKIN_LIGHTNESS
        )
        tones.append(tone)
    skin &= small.matte >= _WHOLE_FROM
    return (colors.to_named_color(np.mean(tones, axis=0), 1.0) if tones else None), skin


def _hair(small: _SmallPhoto, skin: Bools) -> NamedColor | None:
    """Return the color around the upper halves of faces, without skin."""
    crown = (
        _mask_around_faces(small, left=0.35, above=0.6, below=-0.6)
        & (small.matte >= _WHOLE_FROM)
        & ~skin
    )
    pixels = small.lab[crown]
    if len(pixels) < _MIN_PIXELS * max(1, len(small.faces)):
        return None
    return next(iter(colors.find_dominant(pixels)), None)


def _estimate_head_row(matte: Matte8) -> int:
    """Return the row above which a head is likely, for photos without a detected face."""
    rows = np.flatnonzero((matte >= _WHOLE_FROM).any(axis=1))
    return int(rows[0] + 0.2 * (rows[-1] - rows[0])) if len(rows) else 0


def _outline(small: _SmallPhoto) -> tuple[NDArray[np.int64], Colors, Floats]:
    """Return points on the outline, the people's colors there, and the outward directions.

    (N, 2) x and y in pixels; (N, 3) OKLab; (N, 2) of length 1.
    """
    people = small.matte > 127  # noqa: PLR2004 - one half
    inner = cv2.erode(people.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=1) > 0
    places = np.argwhere(people & ~inner)[:, ::-1]
    if len(places):
        steps = (np.arange(OUTLINE_SAMPLES) + 0.5) / OUTLINE_SAMPLES * len(places)
        places = places[steps.astype(np.int64)]
    share = small.matte.astype(np.float32) / 255
    longer = max(share.shape)
    soft = cv2.GaussianBlur(share, (0, 0), max(1.0, 0.012 * longer))
    x, y = places[:, 0], places[:, 1]
    slope_x = cv2.Sobel(soft, cv2.CV_32F, 1, 0)[y, x]
    slope_y = cv2.Sobel(soft, cv2.CV_32F, 0, 1)[y, x]
    length = np.maximum(np.hypot(slope_x, slope_y), 1e-6)
    outward = np.stack([-slope_x / length, -slope_y / length], axis=-1).astype(np.float32)
    # Average over people alone, without remains of the old background.
    whole = np.where(share >= _WHOLE_FROM / 255, share, 0).astype(np.float32)
    side = (2 * round(INSIDE_SHARE * longer) + 1,) * 2
    weight = cv2.blur(whole, side)
    mean = cv2.blur(small.lab * whole[..., None], side) / np.maximum(weight, 1e-6)[..., None]
    height, width = share.shape
    inside = places - INSIDE_SHARE * longer * outward
    column = np.clip(np.round(inside[:, 0]), 0, width - 1).astype(np.int64)
    row = np.clip(np.round(inside[:, 1]), 0, height - 1).astype(np.int64)
    is_weighted = weight[row, column] > 0
    return (
        places[is_weighted],
        np.asarray(mean[row, column][is_weighted], np.float32),
        outward[is_weighted],
    )


def _light(small: _SmallPhoto, skin: Bools) -> float:
    """Return the direction of light, -1 left to 1 right, by faces first, then the background."""
    lightness = small.lab[..., 0]
    lit, weights = [], []
    for x, y, w, h in small.faces[:MAX_FACES]:
        rows = slice(_to_index(y + 0.15 * h), _to_index(y + 0.95 * h))
        middle = _to_index(x + w / 2)
        halves = slice(_to_index(x), middle), slice(middle, _to_index(x + w))
        left, right = (lightness[rows, half][skin[rows, half]] for half in halves)
        if min(len(left), len(right)) >= _MIN_PIXELS:
            lit.append(float(np.median(right) - np.median(left)))
            weights.append(w * h)
    behind = small.matte == 0
    third = small.matte.shape[1] // 3
    ground = 0.0
    if third and behind[:, :third].any() and behind[:, -third:].any():
        ground = float(
            lightness[:, -third:][behind[:, -third:]].mean()
            - lightness[:, :third][behind[:, :third]].mean()
        )
    from_ground = float(np.tanh(ground / _GROUND_LIT))
    if not lit:
        return from_ground / 2  # by itself it may also be a wall of two colors
    from_faces = float(np.tanh(np.average(lit, weights=weights) / _FACE_LIT))
    return _FACE_SHARE * from_faces + (1 - _FACE_SHARE) * from_ground


def _is_in_the_dark(small: _SmallPhoto, skin: Bools, light: float) -> bool:
    """Return whether the background is dark, and the faces are dim or lit from a side."""
    lightness = small.lab[..., 0]
    behind, people = lightness[small.matte == 0], lightness[small.matte >= _WHOLE_FROM]
    if not len(behind) or not len(people):
        return False
    darkness = float(np.quantile(behind, _DARK_SHARE))
    if darkness <= _BLACK_BEHIND and abs(light) > _LIT_FROM_A_SIDE:
        return True
    seen = lightness[skin] if skin.any() else people
    dim = (
        np.quantile(seen, _HIGHLIGHTS) < _DIM
        and np.quantile(people, _MONOCHROME_SHARE) < _DIM_WHITE
    )
    return darkness <= _DARK_BEHIND and bool(dim)


def _lightest(small: _SmallPhoto) -> float:
    """Return the brightness of the people's whites: a wall in the same light is no brighter."""
    lightness = small.lab[..., 0]
    behind, people = lightness[small.matte == 0], lightness[small.matte >= _WHOLE_FROM]
    if not len(people):
        return 1.0
    # The lightness of a gray is the cube root of its light.
    light = np.full((1, 3), np.quantile(people, _MONOCHROME_SHARE) ** 3, np.float32)
    whites = float(colors.linear_to_srgb(light)[0, 0]) / 255
    is_dark = len(behind) > 0 and np.quantile(behind, _DARK_SHARE) <= _DARK_BEHIND
    return min(whites, _LIGHTEST_IN_THE_DARK) if is_dark else whites


def _is_light_colored(lab: Colors) -> bool:
    """Return whether hardly a pixel, (h, w, 3) OKLab, is gray."""
    low, high = _GRAY_LIGHTNESS
    is_lit = (lab[..., 0] > low) & (lab[..., 0] < high)
    is_gray = is_lit & (np.hypot(lab[..., 1], lab[..., 2]) < _GRAY_CHROMA)
    return bool(np.count_nonzero(is_gray) < _MIN_GRAY_SHARE * np.count_nonzero(is_lit))


def _is_full_length(small: _SmallPhoto) -> bool:
    """Return whether people end above the lower border, or have small faces."""
    height = len(small.matte)
    edge = max(1, round(_BORDER_SHARE * height))
    small_faces = bool(small.faces) and small.faces[0][3] < _SMALL_FACE_SHARE * height
    return small_faces or not bool((small.matte[-edge:] >= _WHOLE_FROM).any())


def _is_monochrome(lab: Colors) -> bool:
    """Return whether all pixels, (h, w, 3) OKLab, have one color, gray or a tint such as sepia."""
    # numpy is slow on interleaved arrays, so each axis of the plane is copied by itself.
    green_red, blue_yellow = (np.ascontiguousarray(lab[..., axis]).ravel() for axis in (1, 2))
    away = np.hypot(green_red - np.median(green_red), blue_yellow - np.median(blue_yellow))
    return float(np.quantile(away, _MONOCHROME_SHARE)) < _MONOCHROME_DISTANCE


def _to_index(place: float) -> int:
    """Return a position as an index, at least 0."""
    return max(0, round(place))


def measure_contrast(photo_srgb: Srgb8, matte: Matte8, ground: Srgb8) -> OutlineContrast | None:
    """Return the contrast across the outline; None without an outline in the picture.

    photo_srgb, ground: (H, W, 3) uint8, the people and the background; matte: (H, W) uint8.
    """
    height, width = matte.shape
    scale = min(1.0, LONGEST_SIDE_PX / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    # Every few pixels are enough: means of whole areas of 12 megapixels would take 30 ms.
    small_photo, small_matte, small_ground = (
        cv2.resize(whole, size, interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)
        for whole in (photo_srgb, matte, ground)
    )
    inside, outside = find_outline(small_photo, small_matte, small_ground)
    if not len(inside):
        return None
    lightness = np.abs(inside[:, 0] - outside[:, 0])
    chroma = np.hypot(inside[:, 1] - outside[:, 1], inside[:, 2] - outside[:, 2])
    weakest = np.quantile(np.hypot(lightness, chroma), 0.2)
    return OutlineContrast(
        *(round(float(value), _DIGITS) for value in (lightness.mean(), chroma.mean(), weakest))
    )
