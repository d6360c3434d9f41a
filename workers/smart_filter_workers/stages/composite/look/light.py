"""Light: the people's colors in the background's light, and that light on the people's edge.

White balance, exposure and contrast are three curves, one for each channel, computed from a few
thousand pixels. The tint is the color of a gray object in the background's light minus its color in
the photo's. The exposure follows the background's lightness, and the contrast the spread of its
lightness. Means and spreads in a perceptual space are Reinhard's. Measuring the light on grays, not
on the mean color of all pixels, keeps faces and a red dress unchanged. A photo that is kept gets
the same curves, toward a well-exposed one.

A lens spreads a little of all light, and a surface seen at a grazing angle reflects the light
behind it. Both mix light, not levels, so the wrap of light around the edge is computed in linear
light, where a bright sky does reach dark hair. The square stands in for sRGB's curve: 3 levels off
at most.

Source: Reinhard et al. 2001, "Color transfer between images"; Huo et al. 2006, "Robust automatic
white balance algorithm using gray color points in images".
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from smart_filter_shared.results import Face
from smart_filter_workers.backgrounds import colors
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Bytes, Floats, Matte8, Srgb8, Srgba8
from smart_filter_workers.stages.composite.look import coarse_grid
from smart_filter_workers.stages.composite.models.base import CutOut

# Chosen by looking, in OKLab: values at strength 1, and the strength of `auto`.
AUTO_HARMONIZE: Final = 0.5
# Share of the background's mean color that a gray object before it reflects, and share of the
# photo's tint that is removed.
BOUNCE_SHARE: Final = 0.4
TINT_CORRECTION: Final = 0.6
MAX_TINT: Final = 0.045
EXPOSURE_SHARE: Final = 0.25
MIN_LIGHTNESS, MAX_LIGHTNESS = -0.08, 0.04
CONTRAST_SHARE: Final = 0.3
# Designs are flatter than people: following them all the way would turn people gray.
MIN_CONTRAST, MAX_CONTRAST = -0.06, 0.12
# Lightness of a well-exposed photo; a dark coat alone makes it no darker.
ORDINARY_LIGHTNESS: Final = (0.5, 0.7)
# Pixels with less chroma that are neither black nor burnt out are gray and show the light's tint.
# Below MIN_GRAY_SHARE of a photo's pixels the tint is not used.
GRAY_CHROMA: Final = 0.035
GRAY_LIGHTNESS: Final = (0.3, 0.95)
MIN_GRAY_SHARE: Final = 0.02
# Most change of skin as shares of its chroma, at strength 1: sideways, 7 degrees of hue, and along,
# paler and ruddier.
MAX_SKIN_TURN: Final = 0.12
SKIN_PALES, SKIN_GLOWS = -0.08, 0.2
# Without a face: the mean of skins' OKLab a and b, hue 52 degrees.
SKIN_AB: Final = (0.043, 0.055)
# A photo that is kept loses this share of the tint of its grays, found in three ranges of lightness
# and mixed between their middles: filters tint shadows and lights in different colors. Each range
# needs grays, too. Chosen by looking at 30 photos of streets and 41 portraits.
KEPT_CORRECTION: Final = 0.8
KEPT_RANGES: Final = ((0.12, 0.45), (0.45, 0.68), (0.68, 0.97))
# Levels of 255. The darkest and the brightest 0.5 % of a photo become black and white, if they are
# no farther from them than this: fog and night stay what they are. A photo whose lights are darker
# is underexposed. Chosen by looking at 36 dim photos.
CLIPPED_PERCENT: Final = 0.5
MOST_BLACK, MOST_WHITE = 14, 70
# Share of these changes that is made: blind judges found all of it harsh in 8 of 60 photos.
STRETCH_SHARE: Final = 0.5
# A dark median moves this share of the way to the middle gray of sRGB, by this exponent at least. A
# bright one stays: it often is a window's or a sky's, and the faces before it would get darker, as
# blind judges saw in three of 41 photos.
MIDDLE_LEVEL: Final = 118
MIDDLE_SHARE: Final = 0.5
LEAST_EXPONENT: Final = 0.82
# Curves that move no level by more than this are not applied.
UNSEEN_LEVELS: Final = 4
_RGB: Final = 3

# Chosen by looking. Shares of the picture's longer side: the reach of the light, and the size of
# the area of the background whose light is averaged.
REACH_SHARE: Final = 0.005
SPREAD_SHARE: Final = 0.04
AUTO_WRAP: Final = 0.15
# Share of the wrapped light at the very edge, at strength 1. People around a straight edge cover
# half of the reach; thin parts, which cover less, get no more light than that.
MAX_SHARE: Final = 0.6
EDGE_SHINE: Final = 0.5
_WRAP_SEEN_FROM: Final = 0.05
_SQUARES: Final = np.arange(256, dtype=np.float32) ** 2


@dataclass(frozen=True, slots=True)
class ColorChange:
    """A change of the people's colors, in OKLab.

    tint: the new a and b of a middle gray; lightness: what is added to it; contrast: the factor of
    differences from `pivot`.
    """

    tint: tuple[float, float]
    lightness: float
    contrast: float
    pivot: float


def harmonize_people(
    cut: CutOut, ground: Srgb8 | Srgba8, *, strength: float, faces: Sequence[Face]
) -> CutOut:
    """Return a cut-out with its colors in the ground's light.

    faces: in pixels of the cut-out.
    """
    change = find_change(cut, ground, strength=strength, faces=faces)
    if change is None:
        return cut
    curves = build_curves(change)
    return replace(
        cut,
        curves=np.rint(curves).astype(np.uint8),
        people_srgb=_apply_curves(curves, cut.people_srgb),
        backdrop_srgb=_apply_curves(curves, cut.backdrop_srgb),
    )


def find_change(
    cut: CutOut, ground: Srgb8 | Srgba8, *, strength: float, faces: Sequence[Face]
) -> ColorChange | None:
    """Return the change that suits the people to the ground's light; None for an empty ground."""
    there = _lab(coarse_grid.sample_picture(ground))
    if not len(there):
        return None
    photo = _lab(coarse_grid.sample_picture(cut.photo_srgb))
    is_person = coarse_grid.sample_picture(cut.matte[..., None])[..., 0].reshape(-1) > 127  # noqa: PLR2004 - half
    people = photo[is_person]
    if not len(people):
        return None
    tint = BOUNCE_SHARE * there[:, 1:].mean(axis=0) - TINT_CORRECTION * _tint(photo, GRAY_LIGHTNESS)
    tint *= min(1.0, MAX_TINT / max(float(np.hypot(*tint)), 1e-6))
    tint = _limit_for_skin(tint, _skin(cut, faces))
    pivot = float(np.clip(people[:, 0].mean(), *ORDINARY_LIGHTNESS))
    lightness = EXPOSURE_SHARE * (float(there[:, 0].mean()) - pivot)
    spread = float(there[:, 0].std()) / max(float(people[:, 0].std()), 1e-3)
    contrast = CONTRAST_SHARE * (min(spread, 2.0) - 1)
    return ColorChange(
        tint=(strength * float(tint[0]), strength * float(tint[1])),
        lightness=strength * float(np.clip(lightness, MIN_LIGHTNESS, MAX_LIGHTNESS)),
        contrast=1 + strength * float(np.clip(contrast, MIN_CONTRAST, MAX_CONTRAST)),
        pivot=pivot,
    )


def build_curves(change: ColorChange) -> Floats:
    """Return the curves, (256, 3) float32, that map levels 0..255 of red, green and blue."""
    light = colors.srgb_to_linear(np.arange(256, dtype=np.float32))
    lightness = np.cbrt(light)  # OKLab's lightness of a gray
    # Black and white themselves do not move, so that nothing is clipped.
    room = 4 * lightness * (1 - lightness)
    moved = lightness + room * (
        change.lightness + (change.contrast - 1) * (lightness - change.pivot)
    )
    # Multiply linear light, as another light source would, at the same luminance.
    gray = np.array([[0.7, 0, 0], [0.7, *change.tint]], np.float32)
    plain, tinted = colors.oklab_to_linear(gray)
    levels = colors.linear_to_srgb((moved**3)[:, None] * (tinted / plain))
    return np.maximum.accumulate(levels, axis=0)


def find_curves(proxy_srgb: Srgb8) -> Bytes | None:
    """Return the curves, as of CutOut, that correct a photo's light; None if its light is fine.

    proxy_srgb: (h, w, 3) uint8 sRGB, the photo or a small copy.  Grays lose cold and purple tints.
    A warm one stays: it is lamps or the evening sun, and faces without it look ill.
    """
    photo = _lab(coarse_grid.sample_picture(proxy_srgb))
    tints = np.array([_tint(photo, span) for span in KEPT_RANGES])
    tints[tints[:, 1] > 0] = 0
    lightness = np.cbrt(colors.srgb_to_linear(np.arange(256, dtype=np.float32)))
    # Black has no room for a tint.
    shares = -KEPT_CORRECTION * np.minimum(1, lightness / KEPT_RANGES[0][0])
    middles = np.mean(KEPT_RANGES, axis=1)
    a, b = (shares * np.interp(lightness, middles, tint) for tint in tints.T)
    light = colors.oklab_to_linear(np.stack([lightness, a, b], axis=1).astype(np.float32))
    neutral = np.maximum.accumulate(colors.linear_to_srgb(light), axis=0)

    luma = cv2.cvtColor(proxy_srgb, cv2.COLOR_RGB2GRAY)
    dark, middle, bright = np.percentile(luma, (CLIPPED_PERCENT, 50, 100 - CLIPPED_PERCENT))
    black, white = min(dark, MOST_BLACK), max(bright, 255 - MOST_WHITE)
    share = np.clip((middle - black) / (white - black), 0.02, 0.98)
    wanted = share + MIDDLE_SHARE * (MIDDLE_LEVEL / 255 - share)
    exponent = np.clip(np.log(wanted) / np.log(share), LEAST_EXPONENT, 1)
    stretched = np.clip((neutral - black) / (white - black), 0, 1) ** exponent * 255
    levels = neutral + STRETCH_SHARE * (stretched - neutral)
    moved = np.abs(levels - np.arange(256)[:, None]).max()
    return None if moved < UNSEEN_LEVELS else np.rint(levels).astype(np.uint8)


def _lab(pixels: Bytes) -> Floats:
    """Return the OKLab of the opaque pixels among some, (N, 3)."""
    flat = pixels.reshape(-1, pixels.shape[2])
    if flat.shape[1] > _RGB:
        flat = flat[flat[:, _RGB] > 127]  # noqa: PLR2004 - half
    light = colors.srgb_to_linear(np.arange(256, dtype=np.float32))
    return colors.linear_to_oklab(light[flat[:, :_RGB]])


def _tint(photo: Floats, lightness: tuple[float, float]) -> Floats:
    """Return the tint of a photo's light by its grays, OKLab a and b; 0 where there are few."""
    chroma = np.hypot(photo[:, 1], photo[:, 2])
    low, high = lightness
    gray = photo[(chroma < GRAY_CHROMA) & (photo[:, 0] > low) & (photo[:, 0] < high)]
    if len(gray) < MIN_GRAY_SHARE * len(photo):
        return np.zeros(2, np.float32)
    return np.asarray(gray[:, 1:].mean(axis=0), np.float32)


def _skin(cut: CutOut, faces: Sequence[Face]) -> Floats:
    """Return OKLab a and b of the middle of faces; SKIN_AB without any face."""
    height, width = cut.matte.shape
    seen = []
    for face in faces:
        x, y, across, down = face.box
        rows = slice(max(0, int(y + 0.3 * down)), max(0, min(height, int(y + 0.8 * down))))
        columns = slice(max(0, int(x + 0.25 * across)), max(0, min(width, int(x + 0.75 * across))))
        part = cut.photo_srgb[rows, columns]
        if part.size:
            seen.append(_lab(coarse_grid.sample_picture(part))[:, 1:].mean(axis=0))
    return np.asarray(np.mean(seen, axis=0) if seen else SKIN_AB, np.float32)


def _limit_for_skin(tint: Floats, skin: Floats) -> Floats:
    """Return a tint limited for skin: little change of hue, and no pale skin."""
    chroma = float(np.hypot(*skin))
    along = skin / max(chroma, 1e-3)
    aside = np.array([-along[1], along[0]], np.float32)
    turn = float(np.clip(tint @ aside, -MAX_SKIN_TURN * chroma, MAX_SKIN_TURN * chroma))
    more = float(np.clip(tint @ along, SKIN_PALES * chroma, SKIN_GLOWS * chroma))
    return np.asarray(more * along + turn * aside, np.float32)


def _apply_curves(curves: Floats, srgb: Floats) -> Floats:
    """Return (h, w, 3) float32 levels mapped through curves, rounded to whole levels first."""
    return np.asarray(cv2.LUT(cv2.convertScaleAbs(srgb), curves[None]), np.float32)


@dataclass(frozen=True, slots=True)
class SurroundingLight:
    """The blurred light of a ground, in small maps of the same size.

    squares: (h, w, 3) float32, levels 0..255 squared.  there: (h, w) float32, 0..1, the opacity of
    the ground.
    """

    squares: Floats
    there: Floats


def measure_light(ground: Srgb8 | Srgba8) -> SurroundingLight:
    """Return the light of a ground; transparent parts give none."""
    small = coarse_grid.sample_picture(ground)
    squares = _SQUARES[small[..., :_RGB]]
    sigma_px = SPREAD_SHARE * max(small.shape[:2])
    if small.shape[2] == _RGB:
        soft = coarse_grid.blur_map(squares, sigma_px=sigma_px)
        return SurroundingLight(soft, np.ones(soft.shape[:2], np.float32))
    alpha = small[..., _RGB].astype(np.float32) / np.float32(255)
    there = coarse_grid.blur_map(alpha, sigma_px=sigma_px)
    soft = coarse_grid.blur_map(squares * alpha[..., np.newaxis], sigma_px=sigma_px)
    soft /= np.maximum(there, np.float32(1e-3))[..., np.newaxis]
    return SurroundingLight(soft, there)


def wrap_light(
    picture: Srgb8 | Srgba8,
    matte: Matte8,
    people: Floats,
    around: SurroundingLight,
    *,
    strength: float,
) -> None:
    """Add the surrounding light to the people's edge, in place.

    picture: (H, W, 3 or 4), the people already composited; matte: (H, W) uint8; people: the same as
    a map of the picture's grid.  around: the result of `measure_light` for the ground.
    """
    grid = coarse_grid.make_grid(*matte.shape)
    near = 1 - coarse_grid.blur_map(people, sigma_px=REACH_SHARE * max(people.shape))
    shine = grid.fit_map(around.there)[1:-1, 1:-1] * near
    active = (shine > _WRAP_SEEN_FROM) & (people > 0)
    per_shine = np.float32(MAX_SHARE * strength / EDGE_SHINE / 255)
    share = grid.fit_map(np.minimum(shine, np.float32(EDGE_SHINE)) * per_shine)
    squares = grid.fit_map(around.squares)
    for block in grid.blocks(active):
        part = picture[block]
        weight = grid.enlarge_block(share, block) * matte[block]
        colors = part[..., :_RGB]
        mixed = cv2.multiply(colors, colors, dtype=cv2.CV_32F)
        lit = cv2.subtract(grid.enlarge_block(squares, block), mixed)
        cv2.multiply(lit, cv2.cvtColor(weight, cv2.COLOR_GRAY2RGB), lit)
        cv2.add(mixed, lit, mixed)
        part[..., :_RGB] = cv2.convertScaleAbs(cv2.sqrt(mixed, mixed))
