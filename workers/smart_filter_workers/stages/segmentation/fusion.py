"""Fusion: one matte of what was seen of each person and of the whole picture."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.networks.boxes import Box, size
from smart_filter_workers.networks.selfie import SelfieNetworks
from smart_filter_workers.networks.squares import Square
from smart_filter_workers.results import Srgb8
from smart_filter_workers.stages.segmentation.closer import Look, at_region
from smart_filter_workers.stages.segmentation.persons import Person, PersonFinder
from smart_filter_workers.stages.segmentation.regions import Region, grown

Floats = NDArray[np.float32]
Outline = NDArray[np.bool_]

# All of these are flat within 0.003 IoU around their values on training photos.
HALF: Final = 0.5
SILHOUETTE_SHARE: Final = 0.45
# The whole picture's matte counts this much where it agrees with a person's (IoU).
WHOLE_SHARE: Final = 0.33
AGREES_ABOVE: Final = 0.6
# How far around a bystander the whole picture's matte is not believed.
AROUND_BYSTANDER_PX: Final = 9
# A part of the whole picture's matte that is no person's is kept when it is large (share of
# the picture) and sure, else when a closer look and a silhouette agree on it (IoU).
NOISE_PX: Final = 5
LARGE_PART: Final = 0.02
SURE_ABOVE: Final = 0.8
# One of which the whole picture is as sure, and which has matte around so much of its border,
# is a hole in somebody: what a person holds is no silhouette's, and half of it is a ghost.
ENCLOSED_ABOVE: Final = 0.6
SMALLEST_PART: Final = 0.003
MOST_CHECKED: Final = 4
PART_MARGIN: Final = 0.25
SQUARE_PER_PART: Final = 1.35
SEEN_ABOVE: Final = 0.7
SEEN_ALIKE_ABOVE: Final = 0.5
# A face that is nobody's is looked at with what is around it, as multiples of its size from
# its middle: head and shoulders are what the selfie networks know best.
ABOVE_FACE, BELOW_FACE, BESIDE_FACE = 1.3, 3.0, 1.8
MOST_FACES: Final = 30
# This share of a face's box around its middle decides whether it is somebody's.
MIDDLE_OF_FACE: Final = 0.25


@dataclass(frozen=True, slots=True)
class Eyes:
    """The networks that look closer."""

    selfie: SelfieNetworks
    finder: PersonFinder


def union(look: Look, srgb: Srgb8, whole: Floats, persons: Iterable[Person]) -> Floats:
    """Return the (H, W) float32 matte, 0..1, of all `persons` of a picture.

    srgb: (H, W, 3) uint8; whole: (H, W) float32, what is seen of the picture at once.
    """
    matte = np.zeros_like(whole)
    for person in persons:
        region = person.region
        closer = at_region(look, srgb, region)
        silhouette = person.coverage[region]
        own = SILHOUETTE_SHARE * silhouette + (1 - SILHOUETTE_SHARE) * closer
        if overlap(own > HALF, whole[region] > HALF) > AGREES_ABOVE:
            own = (1 - WHOLE_SHARE) * own + WHOLE_SHARE * whole[region]
        matte[region] = np.maximum(matte[region], own)
    return matte


def without(whole: Floats, matte: Floats, bystanders: Sequence[Person]) -> Floats:
    """Return the whole picture's matte without `bystanders` where nobody of `matte` is."""
    if not bystanders:
        return whole
    around = np.ones((AROUND_BYSTANDER_PX, AROUND_BYSTANDER_PX), np.uint8)
    outlines = np.logical_or.reduce([person.outline for person in bystanders])
    theirs = cv2.dilate(outlines.astype(np.uint8), around)
    return np.where((theirs > 0) & (matte <= HALF), np.float32(0), whole)


def add_unexplained(eyes: Eyes, srgb: Srgb8, whole: Floats, matte: Floats) -> list[Outline]:
    """Add to `matte` those parts of `whole` that are no person's yet but look like one.

    Returns those of them that a silhouette confirms.
    """
    unexplained = ((whole > HALF) & (matte <= HALF)).astype(np.uint8)
    brush = np.ones((NOISE_PX, NOISE_PX), np.uint8)
    opened = cv2.morphologyEx(unexplained, cv2.MORPH_OPEN, brush)
    number, labels, stats, _ = cv2.connectedComponentsWithStats(opened)
    checked = 0
    confirmed: list[Outline] = []
    # The largest first: what is added may enclose what is smaller.
    for label in sorted(range(1, number), key=lambda one: -int(stats[one][cv2.CC_STAT_AREA])):
        left, top, width, height, area_px = (int(value) for value in stats[label])
        share = area_px / whole.size
        if share < SMALLEST_PART:
            continue
        region = (slice(top, top + height), slice(left, left + width))
        part = labels[region] == label
        sureness = float(whole[region][part].mean())
        is_sure = sureness > SURE_ABOVE
        if is_sure and (share >= LARGE_PART or _is_enclosed(labels == label, matte)):
            seen = np.where(part, whole[region], np.float32(0))
            matte[region] = np.maximum(matte[region], seen)
        elif checked < MOST_CHECKED:
            checked += 1
            if _add_if_seen(eyes, srgb, matte, region, labels == label):
                confirmed.append(labels == label)
    return confirmed


def add_faces(look: Look, srgb: Srgb8, faces: Iterable[Box], matte: Floats) -> list[Outline]:
    """Add to `matte` head and shoulders of the faces that are nobody's in it yet.

    faces: in pixels of srgb.  Returns what was added.
    """
    added: list[Outline] = []
    for face in sorted(faces, key=size, reverse=True)[:MOST_FACES]:
        left, top, right, bottom = face
        face_px, x, y = size(face), (left + right) / 2, (top + bottom) / 2
        reach_x, reach_y = MIDDLE_OF_FACE * (right - left), MIDDLE_OF_FACE * (bottom - top)
        middle = _region(matte, x - reach_x, y - reach_y, x + reach_x, y + reach_y)
        if matte[middle].mean() > HALF:
            continue
        around = _region(
            matte,
            x - BESIDE_FACE * face_px,
            y - ABOVE_FACE * face_px,
            x + BESIDE_FACE * face_px,
            y + BELOW_FACE * face_px,
        )
        seen = _connected(
            look(srgb[around]), x=int(x) - around[1].start, y=int(y) - around[0].start
        )
        if seen is not None:
            matte[around] = np.maximum(matte[around], seen)
            outline = np.zeros(matte.shape, np.bool_)
            outline[around] = seen > HALF
            added.append(outline)
    return added


def overlap(one: Outline, other: Outline) -> float:
    """Return the intersection over union, 0..1, of two regions of the same shape."""
    shared, either = int(np.count_nonzero(one & other)), int(np.count_nonzero(one | other))
    return shared / max(1, either)


def _is_enclosed(part: Outline, matte: Floats) -> bool:
    """Say whether most of what touches a part is matte."""
    brush = np.ones((2 * NOISE_PX + 1, 2 * NOISE_PX + 1), np.uint8)
    around = (cv2.dilate(part.astype(np.uint8), brush) > 0) & ~part
    return bool((matte[around] > HALF).mean() > ENCLOSED_ABOVE)


def _add_if_seen(eyes: Eyes, srgb: Srgb8, matte: Floats, region: Region, part: Outline) -> bool:
    """Add a part, (H, W) bool, when a closer look and a silhouette agree on it; say whether."""
    rows, columns = region
    height, width = rows.stop - rows.start, columns.stop - columns.start
    square = Square(
        centre=(columns.start + width / 2, rows.start + height / 2),
        side=SQUARE_PER_PART * max(height, width),
        angle=0.0,
    )
    around = grown(region, PART_MARGIN, srgb.shape[0], srgb.shape[1])
    closer = eyes.selfie(srgb[around])
    silhouette = eyes.finder.look(srgb, square)[around]
    seen = (closer + silhouette) / 2
    is_sure = float(seen[part[around]].mean()) > SEEN_ABOVE
    is_one = overlap(closer > HALF, silhouette > HALF) > SEEN_ALIKE_ABOVE
    if is_sure and is_one:
        matte[around] = np.maximum(matte[around], seen)
    return is_sure and is_one


def _connected(matte: Floats, *, x: int, y: int) -> Floats | None:
    """Return the part of a matte that holds a pixel, its soft edge included; None without."""
    _, labels = cv2.connectedComponents((matte > HALF).astype(np.uint8))
    label = labels[min(y, len(labels) - 1), min(x, labels.shape[1] - 1)]
    if label == 0:
        return None
    edge = np.ones((NOISE_PX, NOISE_PX), np.uint8)
    part = cv2.dilate((labels == label).astype(np.uint8), edge)
    return np.where(part > 0, matte, np.float32(0))


def _region(matte: Floats, left: float, top: float, right: float, bottom: float) -> Region:
    """Return the pixels within a box, at least one, at most the picture's."""
    height, width = matte.shape
    rows = slice(max(0, min(height - 1, int(top))), max(1, min(height, int(bottom) + 1)))
    columns = slice(max(0, min(width - 1, int(left))), max(1, min(width, int(right) + 1)))
    return rows, columns
