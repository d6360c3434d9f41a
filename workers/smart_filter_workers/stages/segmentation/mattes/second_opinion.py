"""Second opinion: correct a matte by that of the refiner, where the two nearly agree.

The refiner sees leftovers and outlines that the first networks miss. It was trained on few photos
in the wild, where it loses whole limbs: a difference that fills an area stays as it was, unless the
refiner is sure that the area is background, and the area is a small part of the people.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.connected_parts import label_parts
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import HALF_LEVEL, Matte8
from smart_filter_workers.stages.segmentation.mattes import salience_blend


@dataclass(frozen=True, slots=True)
class LocalGate:
    """How much a second matte counts where the two differ.

    weight: of the second matte's odds where it is heard.  window: half of the side of the square in
    which differing pixels are counted, as a share of the root of the people's area.
    heard, ignored: the shares of differing pixels up to which it is heard and from which it is not.
    """

    weight: float
    window: float
    heard: float
    ignored: float


# Chosen on 219 photos that the refiner was not trained on.
REFINER_GATE: Final = LocalGate(weight=0.7, window=0.06, heard=0.5, ignored=1.0)
# An area is removed when the refiner's mean level there is below the first, and the area less than
# the shares of all people and of its connected part, which may be a person. Of 372 photos that the
# refiner was not trained on, 27 lose leftovers and two lose parts of a person; the leftovers fall
# from 0.53 to 0.38 % of a picture.
SURE_LEVEL: Final = 30
REMOVED_SHARE, REMOVED_SHARE_OF_PART = 0.15, 0.5
# Thinner strips are outlines; as a share of the longer side.
AREA_WIDTH: Final = 1 / 130
# Fainter pixels show on no background.
SEEN_FROM: Final = 12


def merge_opinion(people: Matte8, refined: Matte8) -> Matte8:
    """Return the matte of people, with the odds of the refined one mixed in where they are alike.

    people: (H, W) uint8, with at least one pixel above one half; refined: (H, W) uint8.  Returns
    (H, W) uint8.
    """
    outline = people > HALF_LEVEL
    mixed = mix_where_alike(people, refined, REFINER_GATE)
    return _remove_traces(remove_leftovers(mixed, refined, outline), outline)


def mix_where_alike(people: Matte8, second: Matte8, gate: LocalGate) -> Matte8:
    """Return the first matte, with the odds of the second mixed in where the two are alike.

    people, second: (H, W) uint8.  Returns (H, W) uint8.
    """
    outline = people > HALF_LEVEL
    differs = (outline != (second > HALF_LEVEL)).astype(np.float32)
    reach_px = max(1, int(gate.window * math.sqrt(np.count_nonzero(outline))))
    density = cv2.blur(differs, (2 * reach_px + 1,) * 2)
    share = np.clip((gate.ignored - density) / (gate.ignored - gate.heard), 0, 1)
    mixed = salience_blend.mix_odds(people, second, weight=gate.weight)
    merged = people + share * (mixed.astype(np.float32) - people)
    return np.asarray(np.rint(merged), np.uint8)


def remove_leftovers(matte: Matte8, refined: Matte8, outline: NDArray[np.bool_]) -> Matte8:
    """Return the matte without the areas that the refiner is sure are background.

    matte, refined: (H, W) uint8; outline: (H, W), the people before they were mixed.  Returns
    (H, W) uint8.
    """
    width_px = max(3, int(max(matte.shape) * AREA_WIDTH) | 1)
    square = np.ones((width_px, width_px), np.uint8)
    refused = ((matte > HALF_LEVEL) & (refined <= HALF_LEVEL)).astype(np.uint8)
    labels, stats = label_parts(cv2.morphologyEx(refused, cv2.MORPH_OPEN, square) > 0)
    parts, part_stats = label_parts(outline)
    most_px = REMOVED_SHARE * np.count_nonzero(outline)
    removed = np.zeros(len(stats), np.uint8)
    for label, area_px in enumerate(stats[1:, cv2.CC_STAT_AREA], start=1):
        area = labels == label
        part_px = part_stats[parts[area].max(), cv2.CC_STAT_AREA]
        is_small = area_px < min(most_px, REMOVED_SHARE_OF_PART * part_px)
        removed[label] = is_small and refined[area].mean() < SURE_LEVEL
    if not removed.any():
        return matte
    # Opening has cut the corners off.
    near = cv2.dilate(removed[labels], square) > 0
    return np.where(near, np.minimum(matte, refined), matte)


def _remove_traces(merged: Matte8, outline: NDArray[np.bool_]) -> Matte8:
    """Return the matte without the parts that hold no people.

    Where the refiner adds an area that is not used, few pixels differ around the area's border, and
    the border would stay as a ring.
    """
    labels, stats = label_parts(merged >= SEEN_FROM)
    holds_people = np.zeros(len(stats), np.bool_)
    holds_people[labels[outline]] = True
    return np.where(holds_people[labels], merged, np.uint8(0))
