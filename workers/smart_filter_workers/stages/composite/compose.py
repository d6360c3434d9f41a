"""Place a cut-out on the canvas: resample the photo's pixels to the picture's."""

from dataclasses import replace
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.results import Face, Frame, Point
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Srgb8
from smart_filter_workers.stages.composite.models.base import CutOut

Level = TypeVar("Level", np.uint8, np.float32)

# Smallest factor of one linear interpolation; a smaller one would skip pixels.
_MIN_SHRINK_STEP: Final = 0.5
_SCALE_TOLERANCE: Final = 1e-9


def frame_cut_out(cut: CutOut, frame: Frame) -> CutOut:
    """Return a cut-out of the canvas's size; the same object if the canvas is the photo."""
    height, width = cut.matte.shape
    if is_whole(frame, width=width, height=height):
        return cut
    # The color maps are coarser than the photo and keep their ratio to it.
    pitch = cut.people_srgb.shape[1] / width
    scale = frame.scale / pitch
    small = replace(
        frame,
        width=max(1, round(frame.width / scale)),
        height=max(1, round(frame.height / scale)),
        scale=1.0,
        left=frame.left / scale,
        top=frame.top / scale,
    )
    return replace(
        cut,
        photo_srgb=place_photo(cut.photo_srgb, frame, beyond=cv2.BORDER_REPLICATE),
        matte=place_photo(cut.matte, frame, beyond=cv2.BORDER_CONSTANT),
        people_srgb=_warp(cut.people_srgb, small, beyond=cv2.BORDER_REPLICATE),
        backdrop_srgb=_warp(cut.backdrop_srgb, small, beyond=cv2.BORDER_REPLICATE),
    )


def is_whole(frame: Frame, *, width: int, height: int) -> bool:
    """Return whether the canvas is the unchanged photo of this size."""
    return (
        (frame.width, frame.height) == (width, height)
        and abs(frame.scale - 1) < _SCALE_TOLERANCE
        and max(abs(frame.left), abs(frame.top)) < _SCALE_TOLERANCE
    )


def place_photo(pixels: Srgb8, frame: Frame, *, beyond: int) -> Srgb8:
    """Return (H, W[, 3]) uint8: the photo placed on the canvas.

    beyond: OpenCV's border mode for the area that the photo does not cover.
    """
    scale = frame.scale
    while scale < _MIN_SHRINK_STEP and min(pixels.shape[:2]) > 1:
        pixels = _halve(pixels)
        scale *= 2
    return _warp(pixels, replace(frame, scale=scale), beyond=beyond)


def face_to_canvas(face: Face, frame: Frame) -> Face:
    """Return a face in pixels of the canvas."""
    x, y, width, height = face.box
    left, top = frame.place((x, y))
    points: list[Point] = [frame.place(point) for point in face.landmarks]
    right_eye, left_eye, nose, right_mouth, left_mouth = points
    return replace(
        face,
        box=(left, top, frame.scale * width, frame.scale * height),
        landmarks=(right_eye, left_eye, nose, right_mouth, left_mouth),
    )


def _halve(pixels: Srgb8) -> Srgb8:
    """Return each 2 × 2 block of pixels as one; an odd last row or column is left out."""
    height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
    even = pixels[: 2 * height, : 2 * width]
    return np.asarray(
        cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8
    )


def _warp(pixels: NDArray[Level], frame: Frame, *, beyond: int) -> NDArray[Level]:
    # Pixel centers: canvas + 0.5 = scale · (photo + 0.5) + offset.
    shift_x = frame.left + 0.5 * frame.scale - 0.5
    shift_y = frame.top + 0.5 * frame.scale - 0.5
    matrix = np.array([[frame.scale, 0, shift_x], [0, frame.scale, shift_y]])
    out = np.empty((frame.height, frame.width, *pixels.shape[2:]), pixels.dtype)
    cv2.warpAffine(
        pixels,
        matrix,
        (frame.width, frame.height),
        dst=out,
        flags=cv2.INTER_CUBIC if frame.scale > 1 else cv2.INTER_LINEAR,
        borderMode=beyond,
    )
    return out
