"""Heads: where hair is likely, and faces that the background must not shine through.

Near a head there are shoulders, collars and chins too, whose edges are smooth. Hair has the colors
of the pixels above a face that do not look like its skin, and is connected with them: a black shirt
below a bare neck is no black hair. The outline of a bald head is smooth; so is that of hair that
has the color of the skin, by mistake.
"""

from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np

from smart_filter_shared.results import Face
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Bools, Bytes, Floats, Matte8, Srgb8

# Widths of a face's box to either side of its middle, heights above its upper and below its lower
# border: for hair, where long hair ends on the shoulders, and for fur, as far as shoes and bags,
# which have none.
HAIR_REACH: Final = (1.6, 0.8, 1.0)
FUR_REACH: Final = (3.0, 0.8, 4.0)
# Beyond that range, the likelihood fades out over this share of the distance from the middle.
FADE_SHARE: Final = 0.25
# A map that fades this slowly is drawn on a coarser grid: a photo may show forty faces.
STEP_PX: Final = 4
# A matte this soft, in pixels from the middle of its unsure band to its sure part, may be fur.
SOFT_FROM_PX, SOFT_TO_PX = 2.0, 3.5

# Shares of a face's box: the ellipse inside which no background shows, and the width of its soft
# border.
FACE_ACROSS, FACE_DOWN = 0.42, 0.5
FACE_FADE_SHARE: Final = 0.3
# A face with less mean coverage belongs to a person who was left out, or to no person.
WANTED_FROM: Final = 0.35
# A face with more mean coverage in this share of the ellipse is whole already: in a profile, the
# outer part is background.
WHOLE_FROM: Final = 0.995
MIDDLE_SHARE: Final = 0.75

_Area: TypeAlias = tuple[float, float, float, float]

# Left, top, right and bottom in shares of a face's box: where its hair begins, where it is skin,
# and how far its hair is followed.
CROWN: Final[_Area] = (-0.15, -0.45, 1.15, 0.1)
SKIN: Final[_Area] = (0.25, 0.45, 0.75, 0.75)
FOLLOWED: Final[_Area] = (-1.5, -1.0, 2.5, 2.5)
# Standard deviations of an area's colors besides its own: of noise, in levels of 255, and of light,
# as a share of the levels.
NOISE, SHADING = 8.0, 0.1
# Most standard deviations between an area and colors that belong to it. With four, hair goes on in
# the shadow on a collar.
ALIKE: Final = 3.0
# Fewest pixels that tell colors, and smallest share of the crown.
MIN_PIXELS: Final = 12
MIN_SHARE: Final = 0.2
# Pixels this far inside have no color of the background.
INSIDE_PX: Final = 2
# Radius in which neighboring edge pixels decide together.
TOGETHER_PX: Final = 4


def hair_likelihood(faces: Sequence[Face], *, scale: float, size: tuple[int, int]) -> Floats:
    """Return the likelihood of hair at each pixel, (h, w) float32, 0..1, by nearby heads.

    faces: in pixels of a photo that is `scale` times as large as the result; size: the result's
    height and width.
    """
    return _near_faces(faces, HAIR_REACH, scale=scale, size=size)


def fur_likelihood(faces: Sequence[Face], *, scale: float, sure: Bools) -> Floats:
    """Return the likelihood of fur at each pixel, (h, w) float32, 0..1.

    faces, scale: as for hair; sure: (h, w), the sure pixels of the matte.  Without any face, every
    soft edge may be fur.
    """
    soft = _softness(sure)
    if not faces:
        return soft
    size = (sure.shape[0], sure.shape[1])
    return np.minimum(soft, _near_faces(faces, FUR_REACH, scale=scale, size=size))


def complete_faces(matte: Matte8, faces: Sequence[Face], *, scale: float) -> Matte8:
    """Return the matte with each face that is mostly covered made whole.

    matte: (h, w) uint8.  faces: in pixels of the photo, which is `scale` times as large.
    """
    made = matte
    for face in faces:
        x, y, across, down = (side / scale for side in face.box)
        rows = slice(max(0, int(y - down / 2)), max(0, int(y + 1.5 * down)) + 1)
        columns = slice(max(0, int(x - across / 2)), max(0, int(x + 1.5 * across)) + 1)
        part = matte[rows, columns]
        if not part.size:
            continue
        middle = (x + across / 2 - columns.start, y + down / 2 - rows.start)
        radii = (max(0.5, FACE_ACROSS * across), max(0.5, FACE_DOWN * down))
        away = _ellipse_distance((part.shape[0], part.shape[1]), middle, radii)
        inner = part[away <= 1]
        if not inner.size or inner.mean() / 255 <= WANTED_FROM:
            continue
        core = part[away <= MIDDLE_SHARE]
        if core.size and core.mean() / 255 >= WHOLE_FROM:
            continue
        if made is matte:
            made = matte.copy()
        least = 255 * np.clip(1 + (1 - away) / FACE_FADE_SHARE, 0, 1)
        np.maximum(made[rows, columns], least.astype(np.uint8), out=made[rows, columns])
    return made


def _near_faces(
    faces: Sequence[Face],
    reach: tuple[float, float, float],
    *,
    scale: float,
    size: tuple[int, int],
) -> Floats:
    """Return the area around faces, (h, w) float32: 1 inside ellipses, fading to 0 outside."""
    sideways, above, below = reach
    coarse = (-(-size[0] // STEP_PX), -(-size[1] // STEP_PX))
    total = np.zeros(coarse, np.float32)
    scale *= STEP_PX
    for face in faces:
        x, y, across, down = (side / scale for side in face.box)
        radii = (max(1.0, sideways * across), max(1.0, (above + 1 + below) / 2 * down))
        middle = (x + across / 2, y + (1 + below - above) / 2 * down)
        away = _ellipse_distance(coarse, middle, radii)
        np.maximum(total, np.clip(1 + (1 - away) / FADE_SHARE, 0, 1), out=total)
    return np.asarray(cv2.resize(total, (size[1], size[0])), np.float32)


def _softness(sure: Bools) -> Floats:
    """Return the likelihood, 0..1, of fur by the softness of the matte nearby, (h, w) float32."""
    inside = cv2.distanceTransform((~sure).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3)
    side = 2 * round(SOFT_TO_PX) + 1
    widest = cv2.dilate(inside, np.ones((side, side), np.uint8))
    likely = (widest - SOFT_FROM_PX) / (SOFT_TO_PX - SOFT_FROM_PX)
    return np.asarray(np.clip(likely, 0, 1), np.float32)


def _ellipse_distance(
    size: tuple[int, int], middle: tuple[float, float], radii: tuple[float, float]
) -> Floats:
    """Return the distance of each pixel from an ellipse's middle, (h, w), 1 on its outline."""
    x = (np.arange(size[1], dtype=np.float32) + 0.5 - middle[0]) / radii[0]
    y = (np.arange(size[0], dtype=np.float32) + 0.5 - middle[1]) / radii[1]
    return np.asarray(np.sqrt(np.square(x) + np.square(y)[:, np.newaxis]), np.float32)


def hair_nearby(srgb: Srgb8, people: Bools, faces: Sequence[Face], *, scale: float) -> Floats:
    """Return the likelihood, (h, w) float32, 0..1, that the nearest part of a person is hair.

    srgb: (h, w, 3) uint8; people: (h, w), the pixels that surely show people; faces: in pixels of a
    photo that is `scale` times as large.
    """
    around = np.ones((2 * INSIDE_PX + 1,) * 2, np.uint8)
    inside = np.asarray(cv2.erode(people.astype(np.uint8), around), np.uint8)
    hair = np.zeros(people.shape, np.uint8)
    for face in faces:
        _mark_hair(hair, srgb, inside, face, scale)
    if not hair.any():
        return hair.astype(np.float32)
    outside = 1 - inside
    _, nearest = cv2.distanceTransformWithLabels(
        outside, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    # The pixels inside are labeled from 1 on, row by row.
    is_hair = np.append(np.uint8(0), hair[inside > 0])
    near_hair = is_hair.take(np.asarray(nearest)) & outside
    side = (2 * TOGETHER_PX + 1,) * 2
    share, whole = (cv2.blur(mask.astype(np.float32), side) for mask in (near_hair, outside))
    return np.asarray(share / np.maximum(whole, 1 / (side[0] * side[1])), np.float32)


def _mark_hair(hair: Bytes, srgb: Srgb8, inside: Bytes, face: Face, scale: float) -> None:
    """Set the pixels of a face's hair, (h, w), to 1; inside: (h, w), 1 inside of people."""
    size = inside.shape
    crown, skin, followed = (_slices(face, area, scale, size) for area in (CROWN, SKIN, FOLLOWED))
    crown_colors, skin_colors = (srgb[area][inside[area] > 0] for area in (crown, skin))
    if min(len(crown_colors), len(skin_colors)) < MIN_PIXELS:
        return
    hair_colors = crown_colors[_distance(crown_colors, skin_colors) > ALIKE]
    if len(hair_colors) < max(MIN_PIXELS, MIN_SHARE * len(crown_colors)):
        return
    within = inside[followed]
    places = np.flatnonzero(within)
    colors = srgb[followed].reshape(-1, 3).take(places, axis=0)
    away = _distance(colors, hair_colors)
    alike = np.zeros(within.shape, np.uint8)
    alike.reshape(-1)[places] = (away < ALIKE) & (away < _distance(colors, skin_colors))
    closed = cv2.morphologyEx(alike, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    count, parts = cv2.connectedComponents(cv2.bitwise_and(closed, within), connectivity=4)
    top, left = crown[0].start - followed[0].start, crown[1].start - followed[1].start
    bottom, right = crown[0].stop - followed[0].start, crown[1].stop - followed[1].start
    begins = np.bincount(parts[top:bottom, left:right].reshape(-1), minlength=count) >= MIN_PIXELS
    begins[0] = False
    hair[followed] |= begins[parts]


def _slices(face: Face, area: _Area, scale: float, size: tuple[int, ...]) -> tuple[slice, slice]:
    """Return the rows and columns of an area of a face within a picture of a size, (h, w)."""
    x, y, across, down = (side / scale for side in face.box)
    left, top, right, bottom = area
    rows = (round(min(max(y + share * down, 0), size[0])) for share in (top, bottom))
    columns = (round(min(max(x + share * across, 0), size[1])) for share in (left, right))
    return slice(*rows), slice(*columns)


def _distance(colors: Bytes, area: Bytes) -> Floats:
    """Return the distance of colors, (n, 3), from those of an area, (m, 3), in deviations."""
    middle = np.median(area, axis=0).astype(np.float32)
    differences = area - middle
    # The nearer half: above a face there is some forehead, and in it a shadow.
    away = np.square(differences).sum(axis=1)
    differences = differences[away <= np.median(away)]
    spread = 2 * differences.T @ differences / len(differences)
    spread += NOISE**2 * np.eye(3) + SHADING**2 * np.outer(middle, middle)
    whiten = np.linalg.cholesky(np.linalg.inv(spread)).astype(np.float32)
    white = (colors - middle) @ whiten
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", white, white)), np.float32)
