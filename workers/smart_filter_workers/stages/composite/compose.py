"""Place a cut-out on the canvas: resample the photo's pixels to the picture's."""

from dataclasses import replace
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.results import Face, Frame, Point
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Matte8, Srgb8
from smart_filter_workers.stages.composite.models.base import CutOut

Level = TypeVar("Level", np.uint8, np.int16, np.float32)

# Smallest factor of one linear interpolation; a smaller one would skip pixels.
_MIN_SHRINK_STEP: Final = 0.5
_SCALE_TOLERANCE: Final = 1e-9
_WEIGHT: Final = 8  # a level times its alpha, divided by this, has 16 bits


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
    matte = place_photo(cut.matte, frame, beyond=cv2.BORDER_CONSTANT)
    if cut.own_colors:  # those of transparent pixels may not mix in
        alpha = cv2.merge([cut.matte] * 3)
        weighed = cv2.multiply(cut.photo_srgb, alpha, scale=1 / _WEIGHT, dtype=cv2.CV_16S)
        # Cubic interpolation leaves the range of 8 bits.
        placed, deep = (
            place_photo(np.asarray(levels, np.int16), frame, beyond=cv2.BORDER_CONSTANT)
            for levels in (weighed, cut.matte)
        )
        photo = _divide_by_alpha(placed, deep, _WEIGHT)
    else:
        photo = place_photo(cut.photo_srgb, frame, beyond=cv2.BORDER_REPLICATE)
    return replace(
        cut,
        photo_srgb=photo,
        matte=matte,
        people_srgb=_warp(cut.people_srgb, small, beyond=cv2.BORDER_REPLICATE),
        backdrop_srgb=_warp(cut.backdrop_srgb, small, beyond=cv2.BORDER_REPLICATE),
    )


def take_white_away(flat: Srgb8, alpha: Matte8) -> Srgb8:
    """Return the colors of a photo, (H, W, 3), that the decoder has laid on white."""
    lacking = _divide_by_alpha(np.asarray(cv2.bitwise_not(flat), np.uint8), alpha, 255)
    return np.asarray(cv2.bitwise_not(lacking, dst=lacking), np.uint8)


def _divide_by_alpha(weighed: NDArray[Level], alpha: NDArray[Level], scale: int) -> Srgb8:
    shares = cv2.merge([alpha] * 3)
    return np.asarray(cv2.divide(weighed, shares, scale=scale, dtype=cv2.CV_8U), np.uint8)


def is_whole(frame: Frame, *, width: int, height: int) -> bool:
    """Return whether the canvas is the unchanged photo of this size."""
    return (
        (frame.width, frame.height) == (width, height)
        and abs(frame.scale - 1) < _SCALE_TOLERANCE
        and max(abs(frame.left), abs(frame.top)) < _SCALE_TOLERANCE
    )


def place_photo(pixels: NDArray[Level], frame: Frame, *, beyond: int) -> NDArray[Level]:
    """Return (H, W[, 3]): the photo placed on the canvas.

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


def _halve(pixels: NDArray[Level]) -> NDArray[Level]:
    """Return each 2 × 2 block of pixels as one; an odd last row or column is left out."""
    height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
    even = pixels[: 2 * height, : 2 * width]
    return np.asarray(
        cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA), dtype=pixels.dtype
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
