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

from smart_filter_workers.connected_parts import label_parts, measure_areas
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
_SAMPLE_STEP: Final = 8


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
    differs = outline != (second > HALF_LEVEL)
    reach_px = max(1, int(gate.window * math.sqrt(np.count_nonzero(outline))))
    density = cv2.boxFilter(differs.view(np.uint8), cv2.CV_32F, (2 * reach_px + 1,) * 2)
    # Most pixels stay as they are, and looking odds up takes longer than all else here.
    places = np.flatnonzero(salience_blend.may_change(people, second, weight=gate.weight))
    first = people.take(places)
    share = np.clip((gate.ignored - density.take(places)) / (gate.ignored - gate.heard), 0, 1)
    second = second.take(places)
    mixed = salience_blend.mix_odds(first, second, weight=gate.weight).astype(np.float32)
    merged = people.copy()
    merged.reshape(-1, copy=False)[places] = np.rint(first + share * (mixed - first))
    return merged


def remove_leftovers(matte: Matte8, refined: Matte8, outline: NDArray[np.bool_]) -> Matte8:
    """Return the matte without the areas that the refiner is sure are background.

    matte, refined: (H, W) uint8; outline: (H, W), the people before they were mixed.  Returns
    (H, W) uint8.
    """
    width_px = max(3, int(max(matte.shape) * AREA_WIDTH) | 1)
    square = np.ones((width_px, width_px), np.uint8)
    refused = (matte > HALF_LEVEL) & (refined <= HALF_LEVEL)
    opened = cv2.morphologyEx(refused.view(np.uint8), cv2.MORPH_OPEN, square)
    left, top, width, height = cv2.boundingRect(opened)
    if not width:
        return matte
    window = np.s_[top : top + height, left : left + width]
    labels, count = label_parts(opened[window] > 0)
    areas = measure_areas(labels, count)
    sums = np.bincount(labels.reshape(-1), weights=refined[window].reshape(-1))
    is_removed = (areas < REMOVED_SHARE * np.count_nonzero(outline)) & (sums < SURE_LEVEL * areas)
    is_removed[0] = False  # label 0 is everything outside these areas
    if not is_removed.any():
        return matte
    parts, part_count = label_parts(outline)
    part_areas = measure_areas(parts, part_count)
    for label in np.flatnonzero(is_removed):
        part = parts[window][labels == label].max()
        is_removed[label] = areas[label] < REMOVED_SHARE_OF_PART * part_areas[part]
    removed = np.zeros_like(opened)
    removed[window] = is_removed[labels]
    # Opening has cut the corners off.
    near = cv2.dilate(removed, square) > 0
    return np.where(near, np.minimum(matte, refined), matte)


def _remove_traces(merged: Matte8, outline: NDArray[np.bool_]) -> Matte8:
    """Return the matte without the parts that hold no people.

    Where the refiner adds an area that is not used, few pixels differ around the area's border, and
    the border would stay as a ring.
    """
    labels, count = label_parts(merged >= SEEN_FROM)
    holds_people = np.zeros(count, np.bool_)
    # Some of the pixels decide most often; reading all takes longer than labeling them.
    some = np.s_[::_SAMPLE_STEP, ::_SAMPLE_STEP]
    holds_people[labels[some][outline[some]]] = True
    if holds_people[1:].all():
        return merged
    holds_people[labels[outline]] = True
    return np.where(holds_people[labels], merged, np.uint8(0))
