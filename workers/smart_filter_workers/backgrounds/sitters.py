"""The sitters: the people in a photo as whoever chooses their background sees them.

Their colours along the outline, of hair, clothes and skin apart, and where their light comes
from: all at a quarter of the proxy's size, which takes a few milliseconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.backgrounds import colours, tones
from smart_filter_workers.backgrounds.colours import Colours
from smart_filter_workers.backgrounds.tones import Tone
from smart_filter_workers.results import Face, Matte8, Srgb8

Field = NDArray[np.float32]  # (h, w)
Box = tuple[float, float, float, float]  # x, y, width, height in pixels of the small picture

# Of the small picture; a face that fills an eighth of a photo is 28 px wide there.
LONGEST_SIDE_PX: Final = 224
# So many places along the outline tell as much as all (the score moves by 0.01).
OUTLINE_PLACES: Final = 320
# How far inside and outside the outline colours are compared, as a share of the longer side:
# beyond the matte's soft edge, within sight of it.
INSIDE: Final = 0.012
OUTSIDE: Final = 0.03
# In a crowd, the largest faces tell the skin and the light of all.
FACES_SEEN: Final = 8
# From here on a pixel is people's, and nothing else.
_WHOLE: Final = 200
# Skin is what is as near in OKLab's colour plane, and in lightness, to a face's middle (chosen
# on training photos: less loses cheeks in the shade, more takes in blond hair).
_SKIN_HUE: Final = 0.035
_SKIN_LIGHTNESS: Final = 0.22
# Fewer pixels than this of hair or of one half of a face tell nothing.
_LEAST_PIXELS: Final = 12
# How much lighter one half of a face, or one side of the old background, must be for its light
# to come from there for certain: OKLab lightness.
_FACE_LIT: Final = 0.06
_GROUND_LIT: Final = 0.2
_FACE_SHARE: Final = 0.75
# In the dark three quarters of what is behind are no lighter than this (OKLab), and hardly any of
# the skin or the people is lighter than that; where it is darker still, somebody may be lit from
# a side (by looking at the 96 darkest of 1,865 training photos: most are daylight before trees).
_DARK_SHARE: Final = 0.75
_DARK_BEHIND: Final = 0.32
_BLACK_BEHIND: Final = 0.2
_HIGHLIGHTS: Final = 0.9
_DIM: Final = 0.6
_DIM_WHITE: Final = 0.8
_LIT_FROM_A_SIDE: Final = 0.5
# A photo has no colours when so many of its pixels are as near to one chroma, in OKLab (of the
# same photos 39 are; the next ones are of grey streets).
_NEARLY_ALL: Final = 0.97
_TINT: Final = 0.018


@dataclass(frozen=True, slots=True)
class Sitters:
    """What is seen of a photo's people.

    outline_lab: (N, 3) float32 OKLab, their colours just inside places along their outline;
        N may be 0: people who fill the photo. A coat counts as much as the hair: places are as
        close together everywhere.
    outline_at: (N, 2) float32, x and y just outside these places, 0..1 of the picture.
    hair, skin: their colour; None when no face is seen, or no hair.
    clothes: what else they are mostly coloured, by falling share.
    pattern: how unlike these colours of the clothes are, OKLab.
    light: where their light comes from, -1 left of the picture to 1 right of it.
    in_the_dark: whether they are where it is dark: dim, or lit from a side.
    monochrome: whether the photo has no colours, as those in black and white.
    """

    outline_lab: Colours
    outline_at: NDArray[np.float32]
    hair: Tone | None
    skin: Tone | None
    clothes: tuple[Tone, ...]
    pattern: float
    light: float
    in_the_dark: bool = False
    monochrome: bool = False


@dataclass(frozen=True, slots=True)
class _Small:
    """The photo, small: (h, w, 3) OKLab, (h, w) uint8, and faces in its pixels, largest first."""

    lab: Colours
    matte: Matte8
    faces: tuple[Box, ...]


def look_at(proxy_srgb: Srgb8, matte: Matte8, faces: Sequence[Face], *, scale: float) -> Sitters:
    """Look at the people of a photo.

    proxy_srgb: (h, w, 3) uint8; matte: (h, w) uint8.  faces: in pixels of the photo, which is
    `scale` times as large as the proxy.
    """
    small = _small(proxy_srgb, matte, faces, scale)
    heads = _around(small, left=0.5, above=0.8, below=0.15)
    skin_tone, skin = _skin(small)
    hair = _hair(small, skin)
    wear = (small.matte >= _WHOLE) & ~skin & ~heads
    if not small.faces:
        wear[: _top(small.matte)] = False
    clothes = tones.dominant(small.lab[wear])
    places, lab, outwards = _outline(small)
    height, width = small.matte.shape
    longer = max(width, height)
    at = (places + 0.5 + OUTSIDE * longer * outwards) / np.array([width, height])
    shown = ((at >= 0) & (at < 1)).all(axis=-1)
    light = _light(small, skin)
    return Sitters(
        outline_lab=lab[shown],
        outline_at=at[shown].astype(np.float32),
        hair=hair,
        skin=skin_tone,
        clothes=clothes,
        pattern=tones.apart(clothes),
        light=light,
        in_the_dark=_in_the_dark(small, skin, light),
        monochrome=_monochrome(small.lab),
    )


def _small(proxy_srgb: Srgb8, matte: Matte8, faces: Sequence[Face], scale: float) -> _Small:
    height, width = matte.shape
    ratio = min(1.0, LONGEST_SIDE_PX / max(height, width))
    size = max(1, round(width * ratio)), max(1, round(height * ratio))
    srgb = cv2.resize(proxy_srgb, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    boxes = [tuple(one * ratio / scale for one in face.box) for face in faces]
    boxes.sort(key=lambda box: -box[2] * box[3])
    return _Small(
        lab=colours.oklab(colours.light_of(srgb)),
        matte=cv2.resize(matte, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False),
        faces=tuple((x, y, w, h) for x, y, w, h in boxes),
    )


def _around(small: _Small, *, left: float, above: float, below: float) -> NDArray[np.bool_]:
    """Return where faces are, and what is around them: shares of their width and height."""
    found = np.zeros(small.matte.shape, np.bool_)
    for x, y, w, h in small.faces:
        rows = slice(_at(y - above * h), _at(y + (1 + below) * h))
        found[rows, _at(x - left * w) : _at(x + (1 + left) * w)] = True
    return found


def _skin(small: _Small) -> tuple[Tone | None, NDArray[np.bool_]]:
    """Return the colour of all faces together, and where it is met."""
    skin = np.zeros(small.matte.shape, np.bool_)
    found = []
    for x, y, w, h in small.faces[:FACES_SEEN]:
        middle = slice(_at(y + 0.3 * h), _at(y + 0.8 * h)), slice(_at(x + w / 4), _at(x + 0.75 * w))
        pixels = small.lab[middle].reshape(-1, 3)
        if not len(pixels):
            continue
        tone = np.median(pixels, axis=0)
        away = np.abs(small.lab - tone)
        skin |= (np.hypot(away[..., 1], away[..., 2]) < _SKIN_HUE) & (
            away[..., 0] < _SKIN_LIGHTNESS
        )
        found.append(tone)
    skin &= small.matte >= _WHOLE
    return (tones.tone(np.mean(found, axis=0), 1.0) if found else None), skin


def _hair(small: _Small, skin: NDArray[np.bool_]) -> Tone | None:
    """Return the colour around the upper halves of faces that is not skin."""
    crown = _around(small, left=0.35, above=0.6, below=-0.6) & (small.matte >= _WHOLE) & ~skin
    pixels = small.lab[crown]
    if len(pixels) < _LEAST_PIXELS * max(1, len(small.faces)):
        return None
    return next(iter(tones.dominant(pixels)), None)


def _top(matte: Matte8) -> int:
    """Return the row above which a head is likely, when no face was found."""
    rows = np.flatnonzero((matte >= _WHOLE).any(axis=1))
    return int(rows[0] + 0.2 * (rows[-1] - rows[0])) if len(rows) else 0


def _outline(small: _Small) -> tuple[NDArray[np.int64], Colours, Field]:
    """Return places on the outline, the people's colours there, and the ways outwards.

    (N, 2) x and y in pixels; (N, 3) OKLab; (N, 2) of length 1.
    """
    people = small.matte > 127  # noqa: PLR2004 - one half
    inner = cv2.erode(people.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=1) > 0
    places = np.argwhere(people & ~inner)[:, ::-1]
    if len(places):
        steps = (np.arange(OUTLINE_PLACES) + 0.5) / OUTLINE_PLACES * len(places)
        places = places[steps.astype(np.int64)]
    share = small.matte.astype(np.float32) / 255
    longer = max(share.shape)
    soft = cv2.GaussianBlur(share, (0, 0), max(1.0, 0.012 * longer))
    x, y = places[:, 0], places[:, 1]
    slope_x = cv2.Sobel(soft, cv2.CV_32F, 1, 0)[y, x]
    slope_y = cv2.Sobel(soft, cv2.CV_32F, 0, 1)[y, x]
    length = np.maximum(np.hypot(slope_x, slope_y), 1e-6)
    outwards = np.stack([-slope_x / length, -slope_y / length], axis=-1).astype(np.float32)
    # Means over people alone: what is left of the old background must not speak for them.
    whole = np.where(share >= _WHOLE / 255, share, 0).astype(np.float32)
    side = (2 * round(INSIDE * longer) + 1,) * 2
    weight = cv2.blur(whole, side)
    mean = cv2.blur(small.lab * whole[..., None], side) / np.maximum(weight, 1e-6)[..., None]
    height, width = share.shape
    inside = places - INSIDE * longer * outwards
    column = np.clip(np.round(inside[:, 0]), 0, width - 1).astype(np.int64)
    row = np.clip(np.round(inside[:, 1]), 0, height - 1).astype(np.int64)
    known = weight[row, column] > 0
    return places[known], np.asarray(mean[row, column][known], np.float32), outwards[known]


def _light(small: _Small, skin: NDArray[np.bool_]) -> float:
    """Return where light comes from, -1 left to 1 right, by faces first, then what is behind."""
    lightness = small.lab[..., 0]
    lit, weights = [], []
    for x, y, w, h in small.faces[:FACES_SEEN]:
        rows = slice(_at(y + 0.15 * h), _at(y + 0.95 * h))
        middle = _at(x + w / 2)
        halves = slice(_at(x), middle), slice(middle, _at(x + w))
        left, right = (lightness[rows, half][skin[rows, half]] for half in halves)
        if min(len(left), len(right)) >= _LEAST_PIXELS:
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
        return from_ground / 2  # by itself it may as well be a wall of two colours
    from_faces = float(np.tanh(np.average(lit, weights=weights) / _FACE_LIT))
    return _FACE_SHARE * from_faces + (1 - _FACE_SHARE) * from_ground


def _in_the_dark(small: _Small, skin: NDArray[np.bool_], light: float) -> bool:
    """Whether it is dark behind the people, and their faces are dim or lit from a side."""
    lightness = small.lab[..., 0]
    behind, people = lightness[small.matte == 0], lightness[small.matte >= _WHOLE]
    if not len(behind) or not len(people):
        return False
    darkness = float(np.quantile(behind, _DARK_SHARE))
    if darkness <= _BLACK_BEHIND and abs(light) > _LIT_FROM_A_SIDE:
        return True
    seen = lightness[skin] if skin.any() else people
    dim = np.quantile(seen, _HIGHLIGHTS) < _DIM and np.quantile(people, _NEARLY_ALL) < _DIM_WHITE
    return darkness <= _DARK_BEHIND and bool(dim)


def _monochrome(lab: Colours) -> bool:
    """Whether all pixels, (h, w, 3) OKLab, have one colour, grey or a tint such as sepia."""
    plane = lab[..., 1:].reshape(-1, 2)
    away = np.hypot(*(plane - np.median(plane, axis=0)).T)
    return float(np.quantile(away, _NEARLY_ALL)) < _TINT


def _at(place: float) -> int:
    """Return a place as an index: what is left of or above the picture begins with it."""
    return max(0, round(place))
