"""Onto the canvas: a cut-out, resampled from the photo's pixels to the picture's."""

from dataclasses import replace
from typing import Final, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.results import Face, Frame, Point, Srgb8
from smart_filter_workers.stages.composite.models.base import CutOut

Level = TypeVar("Level", np.uint8, np.float32)

# Shrunk to less than this at once, linear interpolation skips pixels.
_LEAST_AT_ONCE: Final = 0.5
_EXACTLY: Final = 1e-9


def framed(cut: CutOut, frame: Frame) -> CutOut:
    """Return a cut-out of the canvas's size; the very same when it is the photo's own."""
    height, width = cut.matte.shape
    if is_whole(frame, width=width, height=height):
        return cut
    # The maps of colours keep their pixels' size on the photo.
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
    return CutOut(
        photo_srgb=laid(cut.photo_srgb, frame, beyond=cv2.BORDER_REPLICATE),
        matte=laid(cut.matte, frame, beyond=cv2.BORDER_CONSTANT),
        people_srgb=_warped(cut.people_srgb, small, beyond=cv2.BORDER_REPLICATE),
        backdrop_srgb=_warped(cut.backdrop_srgb, small, beyond=cv2.BORDER_REPLICATE),
    )


def is_whole(frame: Frame, *, width: int, height: int) -> bool:
    """Whether the canvas is a photo of this size as it is."""
    return (
        (frame.width, frame.height) == (width, height)
        and abs(frame.scale - 1) < _EXACTLY
        and max(abs(frame.left), abs(frame.top)) < _EXACTLY
    )


def laid(pixels: Srgb8, frame: Frame, *, beyond: int) -> Srgb8:
    """Return (H, W[, 3]) uint8 of the photo as it lies on the canvas.

    beyond: OpenCV's border mode for what the photo does not show.
    """
    scale = frame.scale
    while scale < _LEAST_AT_ONCE and min(pixels.shape[:2]) > 1:
        pixels = _halved(pixels)
        scale *= 2
    return _warped(pixels, replace(frame, scale=scale), beyond=beyond)


def on_canvas(face: Face, frame: Frame) -> Face:
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


def _halved(pixels: Srgb8) -> Srgb8:
    """Return every two by two pixels as one, an odd last row or column left out."""
    height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
    even = pixels[: 2 * height, : 2 * width]
    return np.asarray(
        cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8
    )


def _warped(pixels: NDArray[Level], frame: Frame, *, beyond: int) -> NDArray[Level]:
    # Pixel centres: canvas + 0.5 = scale · (photo + 0.5) + offset.
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
