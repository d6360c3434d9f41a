"""Measure what editing, sending and storing again leave in a photo, to choose among its copies."""

from typing import Final

import numpy as np

from smart_filter_shared.results import CopyTraces
from smart_filter_workers.measurements import measure_blocks, measure_crispness
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Bytes, Srgb8

# Levels of 255 that a line of a bar differs in, by the ringing of JPEG, and the share of its pixels
# that may differ more, by a word in it.  The picture's first line differs in more pixels than a
# plain wall's.
FLAT_LEVELS, FLAT_SHARE, CONTENT_SHARE = 8, 0.02, 0.3
# Bars are black or white within these levels; a gray one is likely a wall.
_DARK, _LIGHT = 12, 243
# Side of the map of edges, and of the picture that they are found in: text is seen, detail is not.
EDGE_CELLS: Final = 16
_EDGE_PICTURE_PX: Final = 128
_EDGE_GAIN: Final = 2


def measure_traces(
    photo_srgb: Srgb8, proxy_srgb: Srgb8, content: tuple[slice, slice], *, quantum: float | None
) -> CopyTraces:
    """Return the traces of a photo.

    photo_srgb: (H, W, 3) uint8; proxy_srgb: (h, w, 3) uint8, the same photo, no larger.
    content: rows and columns of the proxy, by `find_content`.  quantum: as in CopyTraces.
    """
    (rows, columns), proxy = content, _to_gray(proxy_srgb)
    inside = np.ascontiguousarray(proxy[content])
    scale = photo_srgb.shape[1] / proxy_srgb.shape[1]
    gray = _to_gray(photo_srgb[_scaled(rows, scale), _scaled(columns, scale)])
    return CopyTraces(
        shorter_px=min(gray.shape),
        quantum=quantum,
        blocks=measure_blocks(gray),
        crispness=measure_crispness(gray),
        frame=1 - inside.size / proxy.size,
        plain_corners=_has_plain_corners(inside),
        edges=_map_edges(inside).tobytes().hex(),
    )


def find_content(proxy_srgb: Srgb8) -> tuple[slice, slice]:
    """Return the rows and columns of a picture, (h, w, 3) uint8, between black or white bars."""
    gray = _to_gray(proxy_srgb)
    top, bottom, left, right = (
        _count_bar_lines(lines) for lines in (gray, gray[::-1], gray.T, gray.T[::-1])
    )
    height, width = gray.shape
    return slice(top, height - bottom), slice(left, width - right)


def _to_gray(srgb: Srgb8) -> Bytes:
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(srgb), cv2.COLOR_RGB2GRAY), np.uint8)


def _scaled(lines: slice, scale: float) -> slice:
    return slice(int(np.ceil(lines.start * scale)), max(1, int(lines.stop * scale)))


def _count_bar_lines(lines: Bytes) -> int:
    """Return the number of lines of a bar at the start of (n, length) levels."""
    level = float(np.median(lines[0]))
    if _DARK < level < _LIGHT:
        return 0
    differing = (np.abs(lines - np.float32(level)) > FLAT_LEVELS).mean(axis=1)
    count = int(np.argmax(differing > FLAT_SHARE))
    # Shrinking mixes the line between both.
    content = differing[count : count + 2].max() if count else 0.0
    return count if content > CONTENT_SHARE and count < len(lines) // 2 else 0


def _has_plain_corners(gray: Bytes) -> bool:
    """Return whether all four corners are black, or white, as those of a turned photo."""
    side = max(1, round(min(gray.shape) / 200))
    ends = slice(0, side), slice(-side, None)
    corners = [gray[rows, columns] for rows in ends for columns in ends]
    lowest, highest = (int(each(corner)) for each, corner in ((np.min, corners), (np.max, corners)))
    return highest <= _DARK or lowest >= _LIGHT


def _map_edges(gray: Bytes) -> Bytes:
    """Return the mean slope in EDGE_CELLS × EDGE_CELLS parts of a picture, uint8."""
    sides = (_EDGE_PICTURE_PX, _EDGE_PICTURE_PX)
    small = cv2.resize(gray, sides, interpolation=cv2.INTER_AREA)
    slopes = [cv2.Sobel(small, cv2.CV_32F, x, 1 - x, ksize=1) for x in (0, 1)]
    mean = cv2.resize(
        np.abs(slopes).sum(axis=0), (EDGE_CELLS, EDGE_CELLS), interpolation=cv2.INTER_AREA
    )
    return np.asarray(np.minimum(np.round(_EDGE_GAIN * mean), 255), np.uint8)
