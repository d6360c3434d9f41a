"""Assess how well a picture prints: its faces, its light, its crop, its size, its detail.

A photo that was enlarged or is out of focus has more pixels than detail. Print sizes follow the
detail.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from smart_filter_shared.best_shot import MIN_FACE_SHARE, TURNED_AWAY_ABOVE
from smart_filter_shared.results import Face, Frame
from smart_filter_wire.findings import Eyes
from smart_filter_wire.printability import FacePrint, Printability
from smart_filter_workers.measurements import (
    FaceMeasurements,
    measure_blur,
    measure_face,
    measure_levels,
    measure_noise,
    measure_turn,
)
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import HALF_LEVEL, Bools, Bytes, Floats, Matte8, Srgb8
from smart_filter_workers.stages.composite.cleanup import is_covered
from smart_filter_workers.stages.composite.printability import verdicts

# Height of the hair above a face's box, as a share of the box's height, used without a matte.
USUAL_HAIR_HEIGHT: Final = 0.25
# A row belongs to a head that covers more than this share of its face's width. By the hair of 28
# training portraits, marked by hand: of 2 to 20 %, the share with the least errors.
HEAD_FROM: Final = 0.15
PHOTO_NOISE_BLOCK_PX: Final = 16

TILE_PX: Final = 128
# Smaller tiles have too few edges.
MIN_TILE_PX: Final = 24
# Number of tiles with the strongest edges, and the rank used: noise makes one or two look sharper
# than they are.
TILES, RANK = 6, 2
# A small picture is enough to find those tiles.
OVERVIEW_PX: Final = 512
# Blur of edges in sharp web photos, and the blur added per enlargement: photos enlarged by 3, 4 and
# 6 have blurs of 1.5, 2.0 and 2.9, which this line reproduces.
SHARPEST_PX, PER_ENLARGEMENT_PX = 0.55, 0.4
# Edges half again as wide as necessary are invisible at arm's length, and lenses are no better.
TOLERATED_BLUR_RATIO: Final = 1.5


@dataclass(frozen=True, slots=True)
class _VisibleFace:
    """A face of the picture: its number, the face, its eyes, and its measurements."""

    person: int
    face: Face
    eyes: Eyes
    figures: FaceMeasurements


def assess(
    photo_srgb: Srgb8,
    *,
    proxy_srgb: Srgb8,
    matte: Matte8 | None,
    faces: Sequence[Face],
    eyes: Sequence[Eyes],
    frame: Frame,
) -> Printability:
    """Return how well the picture prints.

    photo_srgb: (H, W, 3) uint8; proxy_srgb: (h, w, 3) uint8, the same photo, no larger.
    matte: (m, n) uint8 of the persons who are kept, of any size; None when all are.
    faces, eyes: in the same order, from left to right. Faces of persons who are left out or not in
    the picture are skipped, and keep their numbers.
    frame: placement of the photo in the picture.
    """
    shown = _visible_faces(faces, matte=matte, photo_width=photo_srgb.shape[1], frame=frame)
    seen = [
        _VisibleFace(person, face, eyes[person - 1], visible)
        for person, face in shown.items()
        if (visible := measure_face(photo_srgb, proxy_srgb, face)) is not None
    ]
    measured = _face_prints(seen)
    counting = [face for face in measured if face.counts]
    counted = {face.person for face in counting}
    figures = {visible.person: visible.figures for visible in seen if visible.person in counted}
    head_room = _head_room(seen, matte, photo_srgb.shape[1], frame)
    gray = np.asarray(cv2.cvtColor(proxy_srgb, cv2.COLOR_RGB2GRAY), np.uint8)
    noises = [
        face_figures.noise for face_figures in figures.values() if face_figures.noise is not None
    ]
    noise = (
        float(np.median(noises)) if noises else measure_noise(gray, block_px=PHOTO_NOISE_BLOCK_PX)
    )
    enlarged = max(1.0, frame.scale)
    left, top = frame.place((0, 0))
    right, bottom = frame.place((photo_srgb.shape[1], photo_srgb.shape[0]))
    photo_width = min(right, frame.width) - max(left, 0)
    photo_height = min(bottom, frame.height) - max(top, 0)
    detail = measure_detail(photo_srgb, gray, Region(frame, matte))
    size = verdicts.judge_size(
        round(frame.width / enlarged),
        round(frame.height / enlarged),
        photo=(round(photo_width / enlarged), round(photo_height / enlarged)),
        picture=(frame.width, frame.height),
        detail=detail,
    )
    paper = next((print_.paper for print_ in size.prints if print_.paper is not None), None)
    return verdicts.combine(
        size=size,
        exposure=verdicts.judge_exposure(
            {person: face_figures.levels for person, face_figures in figures.items()},
            photo=measure_levels(gray),
        ),
        noise=verdicts.judge_noise(noise),
        sharpness=verdicts.judge_sharpness(
            counting, paper=None if paper is None else verdicts.format_paper(paper)
        ),
        head_room=None if head_room is None else verdicts.judge_head_room(head_room),
        looks=verdicts.judge_eyes(counting),
        faces=tuple(measured),
    )


def _visible_faces(
    faces: Sequence[Face], *, matte: Matte8 | None, photo_width: int, frame: Frame
) -> dict[int, Face]:
    """Return the faces of kept persons that are in the picture, by the person's number."""
    return {
        person: face
        for person, face in enumerate(faces, start=1)
        if _is_visible(face, frame) and (matte is None or is_covered(face, matte, photo_width))
    }


def _is_visible(face: Face, frame: Frame) -> bool:
    """Return whether the middle of a face is in the picture."""
    x, y, width, height = face.box
    across, down = frame.place((x + width / 2, y + height / 2))
    return 0 <= across < frame.width and 0 <= down < frame.height


def _face_prints(seen: Sequence[_VisibleFace]) -> list[FacePrint]:
    widest = max((visible.face.box[2] for visible in seen), default=0.0)
    return [
        FacePrint(
            person=visible.person,
            blur_px=_round(visible.figures.blur_px),
            brightness=round(visible.figures.levels.brightness, 3),
            noise=_round(visible.figures.noise),
            blinks=_is_blinking(visible.eyes),
            one_eye_closed={visible.eyes.left_open, visible.eyes.right_open} == {True, False},
            turned_away=measure_turn(visible.face) > TURNED_AWAY_ABOVE,
            counts=visible.face.box[2] >= MIN_FACE_SHARE * widest,
        )
        for visible in seen
    ]


def _is_blinking(eyes: Eyes) -> bool | None:
    states = {eyes.left_open, eyes.right_open}
    if states == {None}:
        return None
    return True not in states


def _head_room(
    seen: Sequence[_VisibleFace], matte: Matte8 | None, photo_width: int, frame: Frame
) -> float | None:
    """Return the distance of the topmost head from the upper edge, as a share of the height."""
    if not seen:
        return None
    top = min(find_head_top(visible.face, matte, photo_width) for visible in seen)
    return min(1.0, max(0.0, frame.place((0, top))[1] / frame.height))


def find_head_top(face: Face, matte: Matte8 | None, photo_width: int) -> float:
    """Return the row of the photo where a head begins: the top of the matte above its face.

    Single hairs and stray pixels are narrower than a head.
    """
    x, y, width, height = face.box
    if matte is None:
        return max(0.0, y - USUAL_HAIR_HEIGHT * height)
    scale = matte.shape[1] / photo_width
    columns = slice(max(0, int(x * scale)), max(1, int((x + width) * scale) + 1))
    middle = max(1, int((y + height / 2) * scale))
    covered = (matte[:middle, columns] > HALF_LEVEL).mean(axis=1)
    above = np.flatnonzero(covered <= HEAD_FROM)
    return float(above[-1] + 1) / scale if above.size else 0.0


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


@dataclass(frozen=True, slots=True)
class Region:
    """The region of a photo to measure: within a frame, and on people if there is a matte."""

    frame: Frame
    matte: Matte8 | None


def measure_detail(photo_srgb: Srgb8, proxy_gray: Bytes, region: Region) -> float:
    """Return the share of the pixels along a side that the edges resolve, above 0 to 1.

    photo_srgb: (H, W, 3) uint8; proxy_gray: (h, w) uint8, its luma, no larger.
    """
    blurs = sorted(
        measure_blur(tile, noise=measure_noise(tile))
        for tile in _tiles(photo_srgb, proxy_gray, region)
    )
    if not blurs:
        return 1.0
    # Shrinking a photo makes it sharper.
    blur = blurs[min(RANK, len(blurs) - 1)] * min(1.0, region.frame.scale)
    enlargement = (blur - SHARPEST_PX) / PER_ENLARGEMENT_PX
    return min(1.0, TOLERATED_BLUR_RATIO / max(enlargement, TOLERATED_BLUR_RATIO))


def _tiles(photo_srgb: Srgb8, proxy_gray: Bytes, region: Region) -> list[Bytes]:
    """Return the luma of the tiles with the strongest edges, (t, t) uint8 each."""
    step = -(-max(proxy_gray.shape) // OVERVIEW_PX)
    overview = np.ascontiguousarray(proxy_gray[::step, ::step])
    scale = overview.shape[1] / photo_srgb.shape[1]
    side = max(4, round(TILE_PX * scale))
    down, across = overview.shape[0] // side, overview.shape[1] // side
    if not down or not across:
        cells = [(0, 0)]
    else:
        strength = _strength(overview[: down * side, : across * side], across, down)
        strength[~_select_cells(region, overview.shape, side, scale)] = -1
        order = np.argsort(strength, axis=None)[::-1][:TILES]
        cells = [divmod(int(at), across) for at in order if strength.ravel()[at] >= 0]
    tiles = []
    for row, column in cells:
        top, left = round(row * side / scale), round(column * side / scale)
        tile = photo_srgb[top : top + TILE_PX, left : left + TILE_PX]
        if min(tile.shape[:2]) >= MIN_TILE_PX:
            tiles.append(np.asarray(cv2.cvtColor(tile, cv2.COLOR_RGB2GRAY), np.uint8))
    return tiles


def _strength(gray: Bytes, across: int, down: int) -> Floats:
    """Return the strength of each cell's edges in the direction with weaker ones."""
    slopes = (cv2.Sobel(gray, cv2.CV_32F, 1 - axis, axis, ksize=1) for axis in (0, 1))
    means = [
        cv2.resize(cv2.multiply(slope, slope), (across, down), interpolation=cv2.INTER_AREA)
        for slope in slopes
    ]
    return np.minimum(*means).reshape(down, across).astype(np.float32)


def _select_cells(region: Region, shape: tuple[int, ...], side: int, scale: float) -> Bools:
    """Return the cells, (down, across), on people in the frame; all in the frame if too few."""
    down, across = shape[0] // side, shape[1] // side
    frame = region.frame
    rows, columns = ((np.arange(count) + 0.5) * side / scale for count in (down, across))
    xs, ys = frame.left + frame.scale * columns, frame.top + frame.scale * rows
    inside = ((ys >= 0) & (ys < frame.height))[:, None] & ((xs >= 0) & (xs < frame.width))
    if region.matte is not None:
        height, width = region.matte.shape
        covered = region.matte[
            : max(1, round(height * down * side / shape[0])),
            : max(1, round(width * across * side / shape[1])),
        ]
        means = cv2.resize(covered, (across, down), interpolation=cv2.INTER_AREA)
        on_people = inside & (means.reshape(down, across) > HALF_LEVEL)
        if np.count_nonzero(on_people) > RANK:
            return on_people
    return inside
