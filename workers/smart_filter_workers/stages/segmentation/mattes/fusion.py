"""Fusion: one matte from each person's own mattes and the whole picture's."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from smart_filter_workers.connected_parts import label_parts, locate_parts
from smart_filter_workers.networks.coordinates import Box, Square, box_side
from smart_filter_workers.networks.coverage.selfie import SelfieNetworks
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Bools, Floats, Srgb8
from smart_filter_workers.stages.segmentation.mattes.two_pass import CoverageModel, segment_region
from smart_filter_workers.stages.segmentation.people.person_boxes import PersonBoxes
from smart_filter_workers.stages.segmentation.people.persons import Person, PersonFinder
from smart_filter_workers.stages.segmentation.regions import Region, grow_region, surround_box

# All of these are flat within 0.003 IoU around their values on training photos.
HALF: Final = 0.5
SILHOUETTE_WEIGHT: Final = 0.45
# Weight of the whole picture's matte where it agrees with a person's (IoU).
WHOLE_WEIGHT: Final = 0.33
AGREES_ABOVE: Final = 0.6
# Distance around a bystander within which the whole picture's matte is ignored.
AROUND_BYSTANDER_PX: Final = 9
# A part of the whole picture's matte that belongs to no person is kept when it is large (share of
# the picture) and sure. Otherwise it is kept when a closer look and a silhouette agree on it (IoU).
NOISE_PX: Final = 5
LARGE_PART: Final = 0.02
SURE_ABOVE: Final = 0.8
# A sure part with matte around at least this share of its border is a hole in a person: silhouettes
# do not include held objects, and half an object is a ghost.
ENCLOSED_ABOVE: Final = 0.6
SMALLEST_PART: Final = 0.003
MAX_CHECKED: Final = 4
PART_MARGIN: Final = 0.25
SQUARE_PER_PART: Final = 1.35
SEEN_ABOVE: Final = 0.7
SEEN_ALIKE_ABOVE: Final = 0.5
# A face outside all persons is segmented together with its surroundings, as multiples of its size
# from its middle: the selfie networks do best on head and shoulders.
ABOVE_FACE, BELOW_FACE, ASIDE_OF_FACE = 1.3, 3.0, 1.8
MAX_FACES: Final = 30
# This share of a face's box around its middle decides whether the matte covers the face.
FACE_MIDDLE_SHARE: Final = 0.25


@dataclass(frozen=True, slots=True)
class CloserLook:
    """The networks that look closer."""

    selfie: SelfieNetworks
    finder: PersonFinder


def merge_persons(
    look: CoverageModel, srgb: Srgb8, whole: Floats, persons: Sequence[Person]
) -> tuple[Floats, float]:
    """Return the (H, W) float32 matte, 0..1, of all `persons`, and how sure it is, 0..1.

    srgb: (H, W, 3) uint8; whole: (H, W) float32, the matte of the picture as a whole; persons: at
    least one.  The second is the agreement (IoU) of all silhouettes with all closer looks: a closer
    look shows neighbors too.
    """
    matte, silhouettes, closer_looks = (np.zeros_like(whole) for _ in range(3))
    for person in persons:
        region = person.region
        closer = segment_region(look, srgb, region)
        silhouette = person.coverage[region]
        silhouettes[region] = np.maximum(silhouettes[region], silhouette)
        closer_looks[region] = np.maximum(closer_looks[region], closer)
        closer_01 = SILHOUETTE_WEIGHT * silhouette + (1 - SILHOUETTE_WEIGHT) * closer
        if region_iou(closer_01 > HALF, whole[region] > HALF) > AGREES_ABOVE:
            closer_01 = (1 - WHOLE_WEIGHT) * closer_01 + WHOLE_WEIGHT * whole[region]
        matte[region] = np.maximum(matte[region], closer_01)
    return matte, region_iou(closer_looks > HALF, silhouettes > HALF)


def remove_bystanders(whole: Floats, matte: Floats, bystanders: Sequence[Person]) -> Floats:
    """Return the whole picture's matte without `bystanders`, except where `matte` has a person.

    Those whom only a box shows stay: the box may hold a part of a subject.
    """
    seen = [person for person in bystanders if not person.boxed]
    if not seen:
        return whole
    around = np.ones((AROUND_BYSTANDER_PX, AROUND_BYSTANDER_PX), np.uint8)
    outlines = np.logical_or.reduce([person.outline for person in seen])
    bystander_mask = cv2.dilate(outlines.astype(np.uint8), around)
    return np.where((bystander_mask > 0) & (matte <= HALF), np.float32(0), whole)


def add_unexplained(
    closer_look: CloserLook, srgb: Srgb8, whole: Floats, matte: Floats, boxes: PersonBoxes
) -> list[Bools]:
    """Add to `matte` those parts of `whole` that belong to no person but look like one.

    boxes: those of whole persons in the picture; a sure part outside them is left out, unless a
    silhouette confirms it.  Returns the parts that a silhouette confirms.
    """
    unexplained = ((whole > HALF) & (matte <= HALF)).astype(np.uint8)
    kernel = np.ones((NOISE_PX, NOISE_PX), np.uint8)
    opened = cv2.morphologyEx(unexplained, cv2.MORPH_OPEN, kernel)
    labels, stats = locate_parts(opened > 0)
    checked = 0
    confirmed: list[Bools] = []
    # Largest first: an added part may enclose smaller ones.
    for label in sorted(
        range(1, len(stats)), key=lambda number: -int(stats[number][cv2.CC_STAT_AREA])
    ):
        share = int(stats[label][cv2.CC_STAT_AREA]) / whole.size
        if share < SMALLEST_PART:
            break
        region = surround_box(stats[label, :4], margin=0)
        part = labels == label
        is_sure = float(whole[part].mean()) > SURE_ABOVE
        if is_sure and (share >= LARGE_PART or _is_enclosed(part, matte)):
            if boxes.may_hold(part):
                seen = np.where(part[region], whole[region], np.float32(0))
                matte[region] = np.maximum(matte[region], seen)
        elif checked < MAX_CHECKED:
            checked += 1
            if _add_if_seen(closer_look, srgb, matte, region, part):
                confirmed.append(part)
    return confirmed


def add_faces(look: CoverageModel, srgb: Srgb8, faces: Iterable[Box], matte: Floats) -> list[Bools]:
    """Add to `matte` head and shoulders of the faces that it does not cover yet.

    faces: in pixels of srgb.  Returns the added outlines.
    """
    added: list[Bools] = []
    for face in sorted(faces, key=box_side, reverse=True)[:MAX_FACES]:
        left, top, right, bottom = face
        face_px, x, y = box_side(face), (left + right) / 2, (top + bottom) / 2
        reach_x, reach_y = FACE_MIDDLE_SHARE * (right - left), FACE_MIDDLE_SHARE * (bottom - top)
        middle = _region(matte, x - reach_x, y - reach_y, x + reach_x, y + reach_y)
        if matte[middle].mean() > HALF:
            continue
        around = _region(
            matte,
            x - ASIDE_OF_FACE * face_px,
            y - ABOVE_FACE * face_px,
            x + ASIDE_OF_FACE * face_px,
            y + BELOW_FACE * face_px,
        )
        seen = _connected_part(
            look(srgb[around]), x=int(x) - around[1].start, y=int(y) - around[0].start
        )
        if seen is not None:
            matte[around] = np.maximum(matte[around], seen)
            outline = np.zeros(matte.shape, np.bool_)
            outline[around] = seen > HALF
            added.append(outline)
    return added


def region_iou(outline: Bools, other: Bools) -> float:
    """Return the intersection over union, 0..1, of two regions of the same shape."""
    either = int(np.count_nonzero(outline | other))
    return np.count_nonzero(outline & other) / max(1, either)


def _is_enclosed(part: Bools, matte: Floats) -> bool:
    """Return whether most of a part's surroundings are matte."""
    kernel = np.ones((2 * NOISE_PX + 1, 2 * NOISE_PX + 1), np.uint8)
    around = (cv2.dilate(part.astype(np.uint8), kernel) > 0) & ~part
    return bool((matte[around] > HALF).mean() > ENCLOSED_ABOVE)


def _add_if_seen(
    closer_look: CloserLook, srgb: Srgb8, matte: Floats, region: Region, part: Bools
) -> bool:
    """Add a part, (H, W) bool, if a closer look and a silhouette agree on it; return whether."""
    rows, columns = region
    height, width = rows.stop - rows.start, columns.stop - columns.start
    square = Square(
        center=(columns.start + width / 2, rows.start + height / 2),
        side=SQUARE_PER_PART * max(height, width),
        angle=0.0,
    )
    around = grow_region(region, PART_MARGIN, srgb.shape[0], srgb.shape[1])
    closer = closer_look.selfie(srgb[around])
    silhouette = closer_look.finder.look(srgb, square)[around]
    seen = (closer + silhouette) / 2
    is_sure = float(seen[part[around]].mean()) > SEEN_ABOVE
    agrees = region_iou(closer > HALF, silhouette > HALF) > SEEN_ALIKE_ABOVE
    if is_sure and agrees:
        matte[around] = np.maximum(matte[around], seen)
    return is_sure and agrees


def _connected_part(matte: Floats, *, x: int, y: int) -> Floats | None:
    """Return the part of a matte that contains a pixel, with its soft edge; None if it has none."""
    labels, _ = label_parts(matte > HALF)
    label = labels[min(y, len(labels) - 1), min(x, labels.shape[1] - 1)]
    if label == 0:
        return None
    edge = np.ones((NOISE_PX, NOISE_PX), np.uint8)
    part = cv2.dilate((labels == label).astype(np.uint8), edge)
    return np.where(part > 0, matte, np.float32(0))


def _region(matte: Floats, left: float, top: float, right: float, bottom: float) -> Region:
    """Return the pixels within a box: at least one, none outside the picture."""
    height, width = matte.shape
    rows = slice(max(0, min(height - 1, int(top))), max(1, min(height, int(bottom) + 1)))
    columns = slice(max(0, min(width - 1, int(left))), max(1, min(width, int(right) + 1)))
    return rows, columns
