"""Find where the people of a photo end below: on their feet, at its border, or otherwise."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.results import LowerEnd
from smart_filter_workers.networks.pose import BodyPoints
from smart_filter_workers.stages.segmentation.people.persons import Person

# Persons of less than this share of the largest one's area do not decide for the photo.
MAIN_SHARE: Final = 0.25
# Thighs, shins and torsos of standing and walking people lean less than this: the cosine.
UPRIGHT: Final = math.cos(math.pi / 4)
VISIBLE_FROM: Final = 0.5
# A matte that ends this share of the height above the border reaches it.
BORDER_SHARE: Final = 0.02
_SHOULDERS, _HIPS, _KNEES, _ANKLES = ([11, 12], [23, 24], [25, 26], [27, 28])


def find_lower_end(persons: Sequence[Person], people: NDArray[np.bool_]) -> LowerEnd | None:
    """Return the worst lower end of the main persons; None without any silhouette.

    people: (H, W) bool, the matte above one half.
    """
    largest_px = max((person.area_px for person in persons), default=0)
    ends = [
        _find_end(person.points, people & person.outline)
        for person in persons
        if person.points is not None and person.area_px >= MAIN_SHARE * largest_px
    ]
    return max(ends, key=list(LowerEnd).index, default=None)


def _find_end(points: BodyPoints, part: NDArray[np.bool_]) -> LowerEnd:
    """Return where one person ends; part: the person's matte."""
    height = len(part)
    rows = np.flatnonzero(part.any(axis=1))
    lowest = int(rows[-1]) + 1 if len(rows) else 0
    border = (1 - BORDER_SHARE) * height
    shoulders, hips, knees, ankles = (
        points.at[joint] for joint in (_SHOULDERS, _HIPS, _KNEES, _ANKLES)
    )
    if not _is_upright(shoulders.mean(axis=0), hips.mean(axis=0)):
        return LowerEnd.OTHER
    if hips[:, 1].mean() >= border:
        return LowerEnd.BORDER if lowest >= border else LowerEnd.OTHER
    thighs = all(_is_upright(hip, knee) for hip, knee in zip(hips, knees, strict=True))
    if not thighs:
        return LowerEnd.OTHER
    if knees[:, 1].mean() >= border:
        return LowerEnd.THIGHS if lowest >= border else LowerEnd.OTHER
    shins = all(_is_upright(knee, ankle) for knee, ankle in zip(knees, ankles, strict=True))
    is_seen = points.visible[_ANKLES].max() >= VISIBLE_FROM
    stands = shins and is_seen and ankles[:, 1].max() <= min(lowest, border)
    return LowerEnd.FEET if stands else LowerEnd.OTHER


def _is_upright(upper: NDArray[np.float32], lower: NDArray[np.float32]) -> bool:
    """Return whether a limb hangs down from its upper end; each is x and y."""
    across, down = (float(value) for value in lower - upper)
    return down > UPRIGHT * math.hypot(across, down)
