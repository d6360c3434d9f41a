"""Resize and turn pictures, and resize maps fast for networks and measurements.

Pictures that people look at in detail are made smaller by area.
"""

from typing import Final, TypeVar

import numpy as np

from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Bytes, Floats, Srgb8

Pixels = TypeVar("Pixels", Bytes, Floats)

# Above this number of pixels one linear step is near enough to the mean by area, if it makes each
# side shorter by a factor from _NEARLY_HALF to 2, at which it reads almost every pixel. A factor of
# 1.6 costs 0.005 of the F1 of faces; after a halving the factor does not matter.
_LARGE_PIXELS: Final = 400_000
_NEARLY_HALF: Final = 1.75
# From this factor on, enlarging a large picture to twice its new size and halving it takes half the
# time of the mean by area.
_FAR_FROM_WHOLE: Final = 1.4
# A picture is halved while a side is at least this many times too long. Halving one that is less
# than twice as long as it ends up blurs it: of two persons side by side one is missed.
_HALVED_FROM: Final = 4


def resize(pixels: Pixels, *, width: int, height: int) -> Pixels:
    """Return a picture or map stretched to a size; the same array if it has that size.

    pixels: (H, W) or (H, W, n).  Returns (height, width[, n]) of the same type.
    A picture is made smaller by the steps at which OpenCV is fast: halves, without a last odd row
    or column, then a linear step to exactly twice the size, then a last halving. Two samples for
    each pixel of the result are close to the mean by area, at a quarter of its time: 1 megapixel to
    256 px takes 1.1 ms instead of 5. Below a factor of 2 they would blur edges: a small picture is
    made smaller by area there, a large one by a linear step if that reads almost every pixel.
    """
    rows, columns = pixels.shape[:2]
    is_halved = False
    while (
        rows >= 2 * height
        and columns >= 2 * width
        and (rows >= _HALVED_FROM * height or columns >= _HALVED_FROM * width)
    ):
        rows, columns = rows // 2, columns // 2
        pixels = _resize(pixels[: 2 * rows, : 2 * columns], (columns, rows), cv2.INTER_AREA)
        is_halved = True
    if (rows, columns) == (height, width):
        return pixels
    enlarges = rows < height or columns < width
    at_most_halves = rows <= 2 * height and columns <= 2 * width
    nearly_halves = rows >= _NEARLY_HALF * height and columns >= _NEARLY_HALF * width
    is_large = rows * columns > _LARGE_PIXELS
    if enlarges or (is_large and at_most_halves and (is_halved or nearly_halves)):
        return _resize(pixels, (width, height), cv2.INTER_LINEAR)
    # A large picture is enlarged for this: the mean by area over a broken number of pixels is slow.
    enlarges_first = is_large and rows > _FAR_FROM_WHOLE * height
    if not at_most_halves or enlarges_first:
        pixels = _resize(pixels, (2 * width, 2 * height), cv2.INTER_LINEAR)
    return _resize(pixels, (width, height), cv2.INTER_AREA)


def shrink(pixels: Pixels, *, longest_side: int) -> Pixels:
    """Return a picture or map with no side above `longest_side`; the same array if none is.

    pixels: (H, W) or (H, W, n).
    """
    height, width = pixels.shape[:2]
    scale = longest_side / max(height, width)
    if scale >= 1:
        return pixels
    return resize(pixels, width=max(1, round(width * scale)), height=max(1, round(height * scale)))


def _resize(pixels: Pixels, size: tuple[int, int], how: int) -> Pixels:
    resized = cv2.resize(pixels, size, interpolation=how)
    return resized.astype(pixels.dtype, copy=False)


def downscale_by_area(srgb: Srgb8, *, width: int, height: int) -> Srgb8:
    """Return a picture at a size not larger on either side; the same array if unchanged.

    srgb: (H, W, 3) uint8.  Every output pixel is the mean of the area it covers.
    """
    down, across = srgb.shape[:2]
    # OpenCV vectorizes halving: 12 megapixels shrink in half the time of one odd step.
    while across >= 2 * width and down >= 2 * height and across % 2 == down % 2 == 0:
        across, down = across // 2, down // 2
        srgb = cv2.resize(srgb, (across, down), interpolation=cv2.INTER_AREA).astype(np.uint8)
    if (across, down) == (width, height):
        return srgb
    resized = cv2.resize(srgb, (width, height), interpolation=cv2.INTER_AREA)
    return resized.astype(np.uint8, copy=False)


def downscale(pixels: Srgb8, *, width: int, height: int) -> Srgb8:
    """Return a picture at a size not larger on either side, also one with straight alpha.

    pixels: (H, W, 3) or (H, W, 4) uint8; colors are weighted by alpha.
    """
    if pixels.shape[2] == 3 or (height, width) == pixels.shape[:2]:  # noqa: PLR2004 - RGB
        return downscale_by_area(pixels, width=width, height=height)
    alpha = cv2.merge([pixels[..., 3]] * 3)
    weighed = np.empty_like(pixels)
    weighed[..., 3] = pixels[..., 3]
    weighed[..., :3] = cv2.multiply(pixels[..., :3], alpha, scale=1 / 255)
    small = downscale_by_area(weighed, width=width, height=height)
    share = np.maximum(small[..., 3:].astype(np.float32), 1) / 255
    small[..., :3] = np.minimum(small[..., :3] / share + 0.5, 255)
    return small


def flatten_on_white(rgba: Srgb8) -> Srgb8:
    """Return a picture with straight alpha, (H, W, 4), composited on white, (H, W, 3)."""
    alpha = rgba[..., 3:].astype(np.float32) / 255
    return (rgba[..., :3] * alpha + 255 * (1 - alpha) + 0.5).astype(np.uint8)


def rotate_quarter_turns(srgb: Srgb8, quarter_turns: int) -> Srgb8:
    """Return a picture turned counter-clockwise by a number of quarter turns, 0 to 3.

    srgb: (H, W, 3) uint8, or (H, W) of a matte.  Returns the same array for 0, otherwise a new one.
    """
    turns = {1: cv2.ROTATE_90_COUNTERCLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_CLOCKWISE}
    if not quarter_turns:
        return srgb
    return np.asarray(cv2.rotate(srgb, turns[quarter_turns]), dtype=np.uint8)


def apply_orientation(srgb: Srgb8, orientation: int) -> Srgb8:
    """Return a picture turned upright by its EXIF orientation, 1..8.

    srgb: (H, W, 3) uint8, or (H, W) of a matte.  Returns the same array for 1 or an invalid value.
    Source: CIPA DC-008 4.6.4.
    """
    match orientation:
        case 2:
            turned = cv2.flip(srgb, 1)
        case 3:
            turned = cv2.rotate(srgb, cv2.ROTATE_180)
        case 4:
            turned = cv2.flip(srgb, 0)
        case 5:
            turned = cv2.transpose(srgb)
        case 6:
            turned = cv2.rotate(srgb, cv2.ROTATE_90_CLOCKWISE)
        case 7:
            turned = cv2.transpose(cv2.flip(srgb, -1))
        case 8:
            turned = cv2.rotate(srgb, cv2.ROTATE_90_COUNTERCLOCKWISE)
        case _:
            return srgb
    return turned.astype(np.uint8, copy=False)
