"""Attached things: complete what people hold and wear next to their matte, and locate it.

Networks that know people lose bags and cups, whole or half, and sometimes a hand or a foot. A
network for portraits shows most of them whole, but also seats and bystanders; a network that sees
whatever stands out shows tables, too. What both show next to a person belongs to the person, and
is added as a whole. Half a bag looks worse than none. `benchmarks/attached.py` measures it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from smart_filter_wire.findings import AttachedThing
from smart_filter_workers.connected_parts import label_parts, locate_parts, measure_areas
from smart_filter_workers.networks.coordinates import photo_per_proxy
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import HALF_LEVEL, Bools, Matte8, PreparedPhoto
from smart_filter_workers.stages.segmentation.models.base import People
from smart_filter_workers.stages.segmentation.regions import surround_box

# Chosen on 135 training photos of `benchmarks/attached.py`: 16 of 136 things are half without this
# rule, 12 with it. Within the given ranges at most two more are half.
# Mean level, 0..1, of each network in a thing; 0.6 to 0.8. At 0.6 one more seat is added.
SURE: Final = 0.7
# The network that sees whatever stands out knows a person if it shows this share of them; 0 to 0.9.
SEEN: Final = 0.8
# Share of a thing's outline that touches people; 0.1 to 0.3. A part that people enclose may be a
# gap between an arm and a body, which the two networks do not both take for people.
MIN_CONTACT: Final = 0.2
# Area of a thing, as shares of the people's area: less is a sliver of their outline, more is a
# table or a horse; 0.08 to 0.3.
MIN_AREA, MAX_AREA = 0.002, 0.15
# A thing is thicker than twice this share of the root of the people's area, or it is the difference
# of two outlines; 0.008 to 0.018.
THICKNESS: Final = 0.012
# Half transparent pixels around a thing belong to it, up to this distance.
EDGE_PX: Final = 2


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A part that the network for portraits adds to people.

    window: its rows and columns, with a margin; pixels: (h, w), in the window.
    """

    window: tuple[slice, slice]
    pixels: Bools


def find_candidates(people: Matte8, portrait: Matte8) -> list[Candidate]:
    """Return the parts next to people that the network for portraits is sure of.

    people, portrait: (H, W) uint8, the people's matte and the network's.
    """
    outline = people > HALF_LEVEL
    people_px = int(np.count_nonzero(outline))
    if not people_px:
        return []
    beyond = ((portrait > HALF_LEVEL) & ~outline).view(np.uint8)
    radius = max(1, round(THICKNESS * math.sqrt(people_px)))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)
    labels, stats = locate_parts(cv2.morphologyEx(beyond, cv2.MORPH_OPEN, disc) > 0)
    candidates = []
    for label in np.flatnonzero(stats[1:, cv2.CC_STAT_AREA] >= MIN_AREA * people_px) + 1:
        window = surround_box(stats[label, :4], margin=radius + EDGE_PX + 1)
        # The opening rounds corners: take back what is within its radius.
        core = (labels[window] == label).view(np.uint8)
        pixels = cv2.bitwise_and(cv2.dilate(core, disc), beyond[window]) > 0
        is_sure = portrait[window][pixels].mean() >= SURE * 255
        if is_sure and np.count_nonzero(pixels) <= MAX_AREA * people_px:
            rim = _dilate(pixels, pixels=1) & ~pixels
            contact_px = np.count_nonzero(rim & outline[window])
            if contact_px >= MIN_CONTACT * np.count_nonzero(rim):
                candidates.append(Candidate(window, pixels))
    return candidates


def confirm_things(
    candidates: Sequence[Candidate],
    people: Matte8,
    portrait: Matte8,
    salient: Matte8,
    mirrored: Matte8,
) -> Matte8:
    """Return the coverage of the candidates that another network sees, too.

    people, portrait: (H, W) uint8, the people's matte and that of the network for portraits;
    salient: the matte of whatever stands out; mirrored: that of the refiner, which looked at the
    mirrored photo.  Returns (H, W) uint8, at most what people leave of 255.
    """
    added = np.zeros_like(people)
    parts, count = label_parts(people > HALF_LEVEL)
    seen = np.bincount(parts[salient > HALF_LEVEL], minlength=count)
    is_seen = seen >= SEEN * measure_areas(parts, count)
    both = cv2.addWeighted(salient, 1 / 2, mirrored, 1 / 2, 0)
    for candidate in candidates:
        window, thing = candidate.window, candidate.pixels
        touched = parts[window][_dilate(thing, pixels=1)]
        person = np.bincount(touched[touched > 0]).argmax()
        likely = is_seen[person] * salient[window][thing].mean()
        again = mirrored[window][thing].mean()
        if max(likely, again) < SURE * 255:
            thing = thing & (both[window] > HALF_LEVEL) & (likely + again > 2 * HALF_LEVEL)
        near = _dilate(thing, pixels=EDGE_PX)
        more = np.where(near, cv2.subtract(portrait[window], people[window]), np.uint8(0))
        added[window] = np.maximum(added[window], more)
    return added


def locate_attached(
    people: People, kept: Mapping[int, Matte8], prepared: PreparedPhoto
) -> tuple[AttachedThing, ...] | None:
    """Return the place of each thing attached to a kept person; None if none were looked for.

    kept: the (h, w) uint8 matte of each kept person by number.
    """
    if people.attached is None:
        return None
    things = (people.matte > HALF_LEVEL) & (people.matte - people.attached <= HALF_LEVEL)
    labels, stats = locate_parts(things)
    per_x, per_y = photo_per_proxy(prepared)
    located = []
    for label in range(1, len(stats)):
        window = surround_box(stats[label, :4], margin=0)
        thing = labels[window] == label
        shares = {
            number: np.count_nonzero(matte[window][thing] > HALF_LEVEL)
            for number, matte in kept.items()
        }
        owner = max(shares, key=shares.__getitem__, default=None)
        if owner is not None and shares[owner]:
            x, y, width, height = (int(side) for side in stats[label, :4])
            box = (per_x * x, per_y * y, per_x * width, per_y * height)
            located.append(AttachedThing(box, None if people.persons is None else owner))
    return tuple(located)


def _dilate(region: Bools, *, pixels: int) -> Bools:
    square = np.ones((3, 3), np.uint8)
    return np.asarray(cv2.dilate(region.astype(np.uint8), square, iterations=pixels) > 0)
