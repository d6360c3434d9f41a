"""Attached things: find what people hold and wear next to their matte, and locate it.

Networks that know people lose bags and hats, and sometimes hair, a hand or a foot. A network that
sees whatever stands out shows them in one piece with their person. What only the second network
shows is added if that network is sure of it and if it touches people along a good part of its
outline. Most tables, screens and horses are seen faintly or touch people at a corner only.
`benchmarks/attached.py` measures it.
"""

import math
from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.results import AttachedThing
from smart_filter_workers.connected_parts import locate_parts
from smart_filter_workers.networks.coordinates import photo_per_proxy
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import HALF_LEVEL, Matte8, PreparedPhoto
from smart_filter_workers.stages.segmentation.models.base import People

# Chosen on the labeled photos of `benchmarks/attached_things.json` and on 977 training photos with
# masks. The second network knows the people if it shows this share of them. Without this limit
# three football photos lose up to 0.028 of IoU, with it one loses 0.011.
SEEN: Final = 0.8
# Mean salience of a thing. 0.90 finds 0.6 % more of the labeled pixels, 0.95 finds 0.9 % less. At
# 0.90 two of 257 photos of people lose up to 0.043 of IoU, at 0.93 none.
SURE: Final = 0.93
# Share of a thing's outline that touches people. 0.3 gains 30 % less than 0.2; at 0.15 four
# football photos lose IoU instead of one. A part that people enclose is a gap between an arm and
# a body as often as a shirt: without the upper limit one portrait loses 0.055 of IoU.
MIN_CONTACT, MAX_CONTACT = 0.2, 0.9
# Area of a thing, as shares of the people's area. Less is a sliver of their outline. The largest
# labeled things have 0.11; the four parts above 0.15 were an arm, a person, a screen and a chair.
MIN_AREA, MAX_AREA = 0.002, 0.15
# A thing is thicker than twice this share of the root of the people's area, or it is the difference
# of two outlines. Shares of 0.008 and 0.018 find the same within 0.2 %.
THICKNESS: Final = 0.012
# Half transparent pixels around a thing belong to it, up to this distance.
EDGE_PX: Final = 2

Pixels = NDArray[np.bool_]


def find_attached(people: Matte8, salient: Matte8) -> Matte8:
    """Return the coverage that attached things add to a matte of people.

    people: (H, W) uint8; salient: (H, W) uint8, the matte of whatever stands out.  Returns (H, W)
    uint8, at most what people leave of 255.
    """
    added = np.zeros_like(people)
    outline, stands_out = people > HALF_LEVEL, salient > HALF_LEVEL
    people_px = int(np.count_nonzero(outline))
    if not people_px or np.count_nonzero(outline & stands_out) < SEEN * people_px:
        return added
    beyond = (stands_out & ~outline).astype(np.uint8)
    radius = max(1, round(THICKNESS * math.sqrt(people_px)))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)
    thick = cv2.morphologyEx(beyond, cv2.MORPH_OPEN, disc)
    labels, stats = locate_parts(thick > 0)
    for label in range(1, len(stats)):
        window = _window(stats[label], margin=radius + EDGE_PX + 1)
        # The opening rounds corners: take back what is within its radius.
        core = (labels[window] == label).astype(np.uint8)
        thing = cv2.bitwise_and(cv2.dilate(core, disc), beyond[window]) > 0
        if _is_attached(thing, outline[window], salient[window], people_px):
            near = _dilate(thing, pixels=EDGE_PX)
            more = np.where(near, cv2.subtract(salient[window], people[window]), np.uint8(0))
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
        window = _window(stats[label], margin=0)
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


def _is_attached(thing: Pixels, outline: Pixels, salient: Matte8, people_px: int) -> bool:
    """Return whether a part that stands out beyond people belongs to them.

    thing, outline, salient: (h, w), a window of the picture.
    """
    thing_px = np.count_nonzero(thing)
    if not MIN_AREA * people_px <= thing_px <= MAX_AREA * people_px:
        return False
    if salient[thing].mean() < SURE * 255:
        return False
    rim = _dilate(thing, pixels=1) & ~thing
    contact = np.count_nonzero(rim & outline) / np.count_nonzero(rim)
    return bool(MIN_CONTACT <= contact <= MAX_CONTACT)


def _dilate(region: Pixels, *, pixels: int) -> Pixels:
    square = np.ones((3, 3), np.uint8)
    return np.asarray(cv2.dilate(region.astype(np.uint8), square, iterations=pixels) > 0)


def _window(stats: NDArray[np.int32], *, margin: int) -> tuple[slice, slice]:
    """Return rows and columns of a connected part, with a margin.

    stats: left, top, width and height, as cv2 gives them.
    """
    left, top, width, height = (int(side) for side in stats[:4])
    return (
        slice(max(0, top - margin), top + height + margin),
        slice(max(0, left - margin), left + width + margin),
    )
