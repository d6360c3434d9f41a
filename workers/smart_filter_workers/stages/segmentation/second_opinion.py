"""Second opinion: correct a matte by that of the refiner, where the two nearly agree.

The refiner sees leftovers and outlines that the first networks miss. It was trained on few photos
in the wild, where it loses whole limbs: a difference that fills an area stays as it was.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.connected_parts import label_parts
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import HALF_LEVEL, Matte8
from smart_filter_workers.stages.segmentation import salience_blend

# Chosen on 219 photos that the refiner was not trained on: the weight of its odds, half of the side
# of the square in which differing pixels are counted, as a share of the root of the people's area,
# and the shares of differing pixels up to which it counts whole and from which it does not.
WEIGHT: Final = 0.7
WINDOW: Final = 0.06
HEARD, IGNORED = 0.5, 1.0
# Fainter pixels show on no background.
SEEN_FROM: Final = 12


def merge_opinion(people: Matte8, refined: Matte8) -> Matte8:
    """Return the matte of people, with the odds of the refined one mixed in where they are alike.

    people: (H, W) uint8, with at least one pixel above one half; refined: (H, W) uint8.  Returns
    (H, W) uint8.
    """
    outline = people > HALF_LEVEL
    mixed = salience_blend.mix_odds(people, refined, weight=WEIGHT)
    share = _heard_share(outline, refined > HALF_LEVEL)
    merged = np.rint(people + share * (mixed.astype(np.float32) - people)).astype(np.uint8)
    return _remove_traces(merged, outline)


def _heard_share(outline: NDArray[np.bool_], refined: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return how much of the mixed matte is used at each pixel, (H, W) float32, 0..1."""
    differs = (outline != refined).astype(np.float32)
    reach_px = max(1, int(WINDOW * math.sqrt(np.count_nonzero(outline))))
    density = cv2.blur(differs, (2 * reach_px + 1,) * 2)
    return np.asarray(np.clip((IGNORED - density) / (IGNORED - HEARD), 0, 1), np.float32)


def _remove_traces(merged: Matte8, outline: NDArray[np.bool_]) -> Matte8:
    """Return the matte without the parts that hold no people.

    Where the refiner adds an area that is not used, few pixels differ around the area's border, and
    the border would stay as a ring.
    """
    labels, stats = label_parts(merged >= SEEN_FROM)
    holds_people = np.zeros(len(stats), np.bool_)
    holds_people[labels[outline]] = True
    return np.where(holds_people[labels], merged, np.uint8(0))
