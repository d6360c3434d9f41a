"""Framed pictures: tell persons in a picture on a wall or on a screen from those in the room.

A picture ends in four straight edges, and everyone in it is inside. Who is in the room reaches
beyond any frame behind them, or beyond the photo. Of 18 portraits pasted into frames and screens on
walls 16 are recognized, of six without a frame one, and none of 354 persons in 232 training photos.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from smart_filter_workers.connected_parts import locate_parts
from smart_filter_workers.opencv import cv2
from smart_filter_workers.resampling import resize
from smart_filter_workers.results import HALF_LEVEL, Bools, Floats, Matte8, Srgb8
from smart_filter_workers.stages.segmentation.models.base import People

# A picture hangs or stands about upright, and is seen from up to half way aside: its edges lean at
# most this much, in radians.
MAX_LEANING: Final = math.pi / 8
# A larger quadrilateral, as a share of the photo, is what the photo is of: a photo of a picture, or
# with a border of its own.
LARGEST_SHARE: Final = 0.5
# Edges are seen as straight pieces, with gaps where both sides have the same color: this share of
# each side must be seen.
SEEN_SHARE: Final = 0.75
# Outlines and edges are this many pixels coarse.
TOLERANCE_PX: Final = 3.0
# What is thinner belongs to no body, in pixels.
THIN_PX: Final = 5
# Edges on each side that are looked at, the nearest ones: picture, mat, and both sides of a frame.
EDGES: Final = 5


@dataclass(frozen=True, slots=True, eq=False)
class _Edge:
    """A straight line: its normal's direction, away from the person, and its offset along it.

    pieces: (n, 2, 2) float32, the ends of the pieces that were seen of it, x and y.
    """

    normal: Floats
    offset: float
    pieces: Floats


def set_pictured_aside(people: People, srgb: Srgb8) -> People:
    """Return the people with those inside framed pictures and screens as possible persons.

    srgb: (h, w, 3) uint8, the photo at any size.  Who looks through a window is possible, too: the
    photo cannot tell.
    """
    size = srgb.shape[1::-1]
    outlines = [
        resize(each, width=size[0], height=size[1]) > HALF_LEVEL for each in people.persons or ()
    ]
    bodies = [find_body(outline) for outline in outlines]
    if all(_touches_border(body) for body in bodies):
        return people
    pieces = find_straight_edges(srgb)
    is_pictured = [is_in_picture(body, pieces) for body in bodies]
    if not any(is_pictured):
        return people
    persons, pictured = _part_pictured(people.persons or (), bodies, is_pictured)
    matte = np.maximum.reduce([np.zeros_like(people.matte), *persons])
    return replace(
        people,
        matte=matte,
        attached=None if people.attached is None else np.minimum(people.attached, matte),
        persons=persons,
        possible=people.possible + pictured,
        lower_end=people.lower_end if persons else None,
        confidence=people.confidence if persons else None,
    )


def find_body(outline: Bools) -> Bools:
    """Return the largest part of a person's outline, without thin lines that lead elsewhere.

    outline: (H, W) bool.  Networks give a person in a picture parts of those in the room.
    """
    kernel = np.ones((THIN_PX, THIN_PX), np.uint8)
    thick = cv2.morphologyEx(outline.view(np.uint8), cv2.MORPH_OPEN, kernel)
    labels, places = locate_parts(np.asarray(thick, np.bool_))
    if len(places) == 1:
        return outline
    largest = (labels == 1 + int(np.argmax(places[1:, -1]))).astype(np.uint8)
    return outline & np.asarray(cv2.dilate(largest, kernel), np.bool_)


def _part_pictured(
    persons: Sequence[Matte8], bodies: Sequence[Bools], is_pictured: Sequence[bool]
) -> tuple[tuple[Matte8, ...], tuple[Matte8, ...]]:
    """Return the persons in the room and those in pictures, whose other parts go to the former."""
    room = [each for each, aside in zip(persons, is_pictured, strict=True) if not aside]
    pictured, kernel = [], np.ones((THIN_PX, THIN_PX), np.uint8)
    for each, body, aside in zip(persons, bodies, is_pictured, strict=True):
        if not aside:
            continue
        person, (height, width) = each, each.shape
        inside = resize(255 * body.view(np.uint8), width=width, height=height) > 0
        rest = np.where(inside, 0, person).astype(np.uint8)
        rest = np.asarray(cv2.morphologyEx(rest, cv2.MORPH_OPEN, kernel), np.uint8)
        near = np.asarray(cv2.dilate(rest, kernel))
        shared = [int(np.minimum(near, each).sum()) for each in room]
        if any(shared):
            nearest = int(np.argmax(shared))
            room[nearest] = np.maximum(room[nearest], rest)
            person = np.where(inside, person, 0).astype(np.uint8)
        pictured.append(person)
    return tuple(room), tuple(pictured)


def is_in_picture(outline: Bools, pieces: Floats) -> bool:
    """Return whether a person is inside a framed picture or a screen.

    outline: (H, W) bool; pieces: (n, 4) float32, the straight edges of the photo, as from
    `find_straight_edges`.
    """
    if _touches_border(outline):
        return False
    hull = cv2.convexHull(np.argwhere(outline)[:, ::-1].astype(np.int32))[:, 0].astype(np.float32)
    normals = np.array([[-1, 0], [0, -1], [1, 0], [0, 1]], np.float32)
    sides = [_find_edges(hull, normal, pieces) for normal in normals]
    return any(_is_quadrilateral(edges, outline.size) for edges in itertools.product(*sides))


def find_straight_edges(srgb: Srgb8) -> Floats:
    """Return the straight edges of a photo, (H, W, 3), as (n, 4) float32: x, y, x, y.

    Source: Grompone von Gioi, Jakubowicz, Morel & Randall 2012, "LSD: a line segment detector".
    """
    gray = cv2.cvtColor(srgb, cv2.COLOR_RGB2GRAY)
    lines = cv2.createLineSegmentDetector().detect(gray)[0]
    # None, although OpenCV's types do not say so, where there are none.
    return np.asarray([] if lines is None else lines, np.float32).reshape(-1, 4)


def _touches_border(outline: Bools) -> bool:
    """Return whether an outline reaches the photo's border, or is empty."""
    height, width = outline.shape
    left, top, across, down = cv2.boundingRect(outline.view(np.uint8))
    return not across or min(left, top, width - left - across, height - top - down) <= TOLERANCE_PX


def _find_edges(hull: Floats, normal: Floats, pieces: Floats) -> list[_Edge]:
    """Return the nearest edges beyond a person on one side.

    hull: (n, 2), the corners around the person; normal: the side's direction.
    """
    starts, ends = pieces[:, :2], pieces[:, 2:]
    along = ends - starts
    lengths = np.maximum(np.linalg.norm(along, axis=1), 1e-6)
    normals = np.stack([-along[:, 1], along[:, 0]], axis=1) / lengths[:, np.newaxis]
    normals *= np.where(normals @ normal < 0, -1, 1)[:, np.newaxis]
    offsets = (normals * starts).sum(axis=1)
    farthest = (hull @ normals.T).max(axis=0)
    is_beyond = (normals @ normal >= math.cos(MAX_LEANING)) & (offsets >= farthest - TOLERANCE_PX)
    span = hull @ normal[::-1]
    edges: list[_Edge] = []
    gaps = offsets - farthest
    # Long pieces give the direction best.
    order = np.flatnonzero(is_beyond & (lengths >= (span.max() - span.min()) / 4))
    for index in order[np.argsort(gaps[order])]:
        line, offset = normals[index], float(offsets[index])
        piece = np.stack([starts[index], ends[index]])
        if any(np.abs(piece @ edge.normal - edge.offset).max() <= TOLERANCE_PX for edge in edges):
            continue
        apart = np.maximum(np.abs(starts @ line - offset), np.abs(ends @ line - offset))
        edges.append(_Edge(line, offset, pieces[apart <= TOLERANCE_PX].reshape(-1, 2, 2)))
        if len(edges) == EDGES:
            break
    return edges


def _is_quadrilateral(edges: Sequence[_Edge], photo_px: int) -> bool:
    """Return whether four edges, in order, are seen from corner to corner around a small area."""
    corners = [_cross(edges[n - 1], edges[n]) for n in range(4)]
    if any(corner is None for corner in corners):
        return False
    quadrilateral = np.array(corners, np.float32)
    if cv2.contourArea(quadrilateral) > LARGEST_SHARE * photo_px:
        return False
    return all(
        _seen_share(edge, quadrilateral[n], quadrilateral[(n + 1) % 4]) >= SEEN_SHARE
        for n, edge in enumerate(edges)
    )


def _cross(edge: _Edge, other: _Edge) -> Floats | None:
    lines = np.stack([edge.normal, other.normal])
    if abs(np.linalg.det(lines)) < math.sin(MAX_LEANING):
        return None
    return np.linalg.solve(lines, np.array([edge.offset, other.offset])).astype(np.float32)


def _seen_share(edge: _Edge, start: Floats, end: Floats) -> float:
    """Return the share of an edge between two corners that is seen."""
    length = float(np.linalg.norm(end - start))
    if length < 1:
        return 0.0
    spans = np.sort((edge.pieces - start) @ ((end - start) / length), axis=1).clip(0, length)
    seen = np.zeros(int(length) + 1, np.bool_)
    for first, last in np.rint(spans).astype(int):
        seen[first : last + 1] |= last > first
    return float(seen.mean())
