"""Puts together how well a picture prints: its faces, its light, its crop, its size."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from smart_filter_shared.printability import FacePrint, Printability
from smart_filter_workers.results import Eyes, Face, Frame, Matte8, Srgb8
from smart_filter_workers.stages.composite.printability import paper, verdicts
from smart_filter_workers.stages.composite.printability.face_figures import (
    Figures,
    measure,
    noise_of,
    turn_of,
)
from smart_filter_workers.stages.composite.printability.levels import levels_of
from smart_filter_workers.stages.composite.printability.resolution import Region, detail_of

# Of the largest face's width: smaller ones stand behind, and nobody minds that they blink.
COUNTS_FROM: Final = 0.5
HALF: Final = 127
# Above the box of a face that no matte covers: its hair, as a share of the box's height.
HAIR: Final = 0.25
PHOTO_NOISE_BLOCK_PX: Final = 16


@dataclass(frozen=True, slots=True)
class _Seen:
    """A face of the picture: its number, itself, its eyes, and what was measured on it."""

    person: int
    face: Face
    eyes: Eyes
    figures: Figures


def assess(
    photo_srgb: Srgb8,
    *,
    proxy_srgb: Srgb8,
    matte: Matte8 | None,
    faces: Sequence[Face],
    eyes: Sequence[Eyes],
    frame: Frame,
) -> Printability:
    """Say how well the picture prints.

    photo_srgb: (H, W, 3) uint8; proxy_srgb: (h, w, 3) uint8, the same photo, no larger.
    matte: (m, n) uint8 of those who are kept, of any size; None when everybody is.
    faces, eyes: one for each other, from left to right; faces of people who are not kept or
    not in the picture are passed over, and keep their numbers.
    frame: where the photo lies in the picture.
    """
    shown = _shown(faces, matte=matte, photo_width=photo_srgb.shape[1], frame=frame)
    seen = [
        _Seen(person, face, eyes[person - 1], found)
        for person, face in shown.items()
        if (found := measure(photo_srgb, proxy_srgb, face)) is not None
    ]
    measured = _face_prints(seen)
    counting = [face for face in measured if face.counts]
    counted = {face.person for face in counting}
    figures = {one.person: one.figures for one in seen if one.person in counted}
    head_room = _head_room(seen, matte, photo_srgb.shape[1], frame)
    grey = np.asarray(cv2.cvtColor(proxy_srgb, cv2.COLOR_RGB2GRAY), np.uint8)
    noises = [one.noise for one in figures.values() if one.noise is not None]
    noise = float(np.median(noises)) if noises else noise_of(grey, block_px=PHOTO_NOISE_BLOCK_PX)
    enlarged = max(1.0, frame.scale)
    detail = detail_of(photo_srgb, grey, Region(frame, matte))
    return verdicts.together(
        size=paper.size(
            round(frame.width / enlarged), round(frame.height / enlarged), detail=detail
        ),
        exposure=verdicts.exposure(
            {person: one.levels for person, one in figures.items()}, photo=levels_of(grey)
        ),
        noise=verdicts.noise(noise),
        sharpness=verdicts.sharpness(counting),
        head_room=None if head_room is None else verdicts.head_room(head_room),
        looks=verdicts.looks(counting),
        faces=tuple(measured),
    )


def _shown(
    faces: Sequence[Face], *, matte: Matte8 | None, photo_width: int, frame: Frame
) -> dict[int, Face]:
    """Return the faces that are kept and in the picture, by the person's number."""
    return {
        person: face
        for person, face in enumerate(faces, start=1)
        if _is_shown(face, frame) and (matte is None or _is_kept(face, matte, photo_width))
    }


def _is_shown(face: Face, frame: Frame) -> bool:
    """Return whether the middle of a face is in the picture."""
    x, y, width, height = face.box
    across, down = frame.place((x + width / 2, y + height / 2))
    return 0 <= across < frame.width and 0 <= down < frame.height


def _is_kept(face: Face, matte: Matte8, photo_width: int) -> bool:
    """Return whether the matte covers the inner half of a face."""
    scale = matte.shape[1] / photo_width
    x, y, width, height = (side * scale for side in face.box)
    rows = slice(max(0, int(y + height / 4)), max(1, int(y + height * 3 / 4) + 1))
    columns = slice(max(0, int(x + width / 4)), max(1, int(x + width * 3 / 4) + 1))
    inner = matte[rows, columns]
    return bool(inner.size) and float(inner.mean()) > HALF


def _face_prints(seen: Sequence[_Seen]) -> list[FacePrint]:
    widest = max((one.face.box[2] for one in seen), default=0.0)
    return [
        FacePrint(
            person=one.person,
            blur_px=_rounded(one.figures.blur_px),
            brightness=round(one.figures.levels.brightness, 3),
            noise=_rounded(one.figures.noise),
            blinks=_blinks(one.eyes),
            one_eye_closed={one.eyes.left_open, one.eyes.right_open} == {True, False},
            turned_away=turn_of(one.face) > verdicts.TURNED_AWAY_ABOVE,
            counts=one.face.box[2] >= COUNTS_FROM * widest,
        )
        for one in seen
    ]


def _blinks(eyes: Eyes) -> bool | None:
    states = {eyes.left_open, eyes.right_open}
    if states == {None}:
        return None
    return True not in states


def _head_room(
    seen: Sequence[_Seen], matte: Matte8 | None, photo_width: int, frame: Frame
) -> float | None:
    """Return how far the topmost head is from the upper edge, as a share of the height, 0..1."""
    if not seen:
        return None
    top = min(_head_top(one.face, matte, photo_width) for one in seen)
    return min(1.0, max(0.0, frame.place((0, top))[1] / frame.height))


def _head_top(face: Face, matte: Matte8 | None, photo_width: int) -> float:
    """Return the row of the photo where a head begins: where the matte ends above its face."""
    x, y, width, height = face.box
    if matte is None:
        return max(0.0, y - HAIR * height)
    scale = matte.shape[1] / photo_width
    columns = slice(max(0, int(x * scale)), max(1, int((x + width) * scale) + 1))
    middle = max(1, int((y + height / 2) * scale))
    is_empty = ~(matte[:middle, columns] > HALF).any(axis=1)
    above = np.flatnonzero(is_empty)
    return float(above[-1] + 1) / scale if above.size else 0.0


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
