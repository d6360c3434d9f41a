"""Resize and turn pictures."""

import numpy as np

from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Srgb8


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
