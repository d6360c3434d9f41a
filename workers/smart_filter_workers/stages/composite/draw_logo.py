"""Draw the recipe's logo on the finished picture, inside its margin."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from smart_filter_shared.recipe import Logo, LogoPlace
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Bytes, Srgb8, Srgba8
from smart_filter_workers.stages.composite.filters import tiles

_STRIP_ROWS: Final = 256


@dataclass(frozen=True, slots=True)
class LogoBox:
    """A rectangle of the picture, in pixels."""

    left: int
    top: int
    width: int
    height: int


def draw(picture: Srgb8 | Srgba8, pixels: Srgba8, logo: Logo) -> None:
    """Draw a logo on a picture, in place, if its margins leave room for it.

    picture: (H, W, 3), or (H, W, 4) with straight alpha.  pixels: (h, w, 4), premultiplied.
    """
    height, width = picture.shape[:2]
    box = place_logo(logo, pixels.shape[:2], width=width, height=height)
    if box is None:
        return
    part = picture[box.top : box.top + box.height, box.left : box.left + box.width]
    if box.width < pixels.shape[1]:
        size = (box.width, box.height)
        laid = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        tiles.composite_over(part, np.asarray(laid, np.uint8))
    else:
        _draw_enlarged(part, pixels)


def _draw_enlarged(part: Srgb8 | Srgba8, logo: Bytes) -> None:
    """Draw a logo over a part of a picture that is at least as large, in place.

    In strips: a logo as large as a picture of 50 megapixels would take 800 MB.
    """
    height, width = part.shape[:2]
    across, down = logo.shape[1] / width, logo.shape[0] / height
    for top in range(0, height, _STRIP_ROWS):
        strip = part[top : top + _STRIP_ROWS]
        # Pixel centers of the strip in the logo, as cv2.resize has them.
        matrix = np.array(
            [[across, 0, across / 2 - 0.5], [0, down, (top + 0.5) * down - 0.5]], np.float64
        )
        laid = cv2.warpAffine(
            logo,
            matrix,
            (width, strip.shape[0]),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        tiles.composite_over(strip, np.asarray(laid, np.uint8))


def place_logo(logo: Logo, shape: tuple[int, int], *, width: int, height: int) -> LogoBox | None:
    """Return where a logo is in a picture; None when its margins leave no room for it.

    shape: height and width of the logo.  width, height: of the picture.
    The logo keeps its shape, and is smaller than `logo.width` says where the room is.
    """
    top, right, bottom, left = (
        round(side.to_px(whole))
        for side, whole in zip(logo.margin, (height, width) * 2, strict=True)
    )
    room_across, room_down = width - left - right, height - top - bottom
    if room_across < 1 or room_down < 1:
        return None
    scale = min(logo.width * width / shape[1], room_across / shape[1], room_down / shape[0])
    across = min(room_across, max(1, round(scale * shape[1])))
    down = min(room_down, max(1, round(scale * shape[0])))
    words = logo.place.split("-")
    x = left + (room_across - across) // 2
    y = top + (room_down - down) // 2
    if LogoPlace.LEFT in words:
        x = left
    elif LogoPlace.RIGHT in words:
        x = width - right - across
    if LogoPlace.TOP in words:
        y = top
    elif LogoPlace.BOTTOM in words:
        y = height - bottom - down
    return LogoBox(x, y, across, down)
