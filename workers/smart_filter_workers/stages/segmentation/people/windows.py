"""Windows: look at a very long photo in overlapping parts, and join what is seen there.

The networks take squares: a row of people in a panorama would be a few pixels high. Of 14 people in
3000 × 512 none was found; all are. `people` then takes 1.8 instead of 0.25 s of processor time.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from smart_filter_shared.results import LowerEnd
from smart_filter_workers.results import HALF_LEVEL, Matte8
from smart_filter_workers.stages.segmentation.models.base import People
from smart_filter_workers.stages.segmentation.people.separation import split_by_person
from smart_filter_workers.stages.segmentation.regions import Region

# Photos longer than this ratio are seen in windows too, of about the second ratio. A window begins
# at this share of the one before it, so that a person no wider than the photo is high is whole in
# one of them.
LONG_RATIO, WINDOW_RATIO, STEP_SHARE = 2.5, 2.0, 3 / 8
# No more windows, which are longer then: each costs about what a photo costs.
MAX_WINDOWS: Final = 8
# Two looks see the same person if they share this much of the smaller outline.
SAME_SHARE: Final = 0.5
# A person who reaches this near to a window's border inside the photo may be cut by it; another
# look shows the whole.
CUT_PX: Final = 2


@dataclass(frozen=True, slots=True)
class WindowLook:
    """The people in a part of a photo; window: its rows and columns."""

    window: Region
    people: People


@dataclass(frozen=True, slots=True, eq=False)
class _Sighting:
    """A person in a look, with a matte of the photo's size."""

    look: WindowLook
    matte: Matte8
    area_px: int
    is_close: bool


def make_windows(height: int, width: int) -> list[Region]:
    """Return overlapping windows that cover a long photo; none for other photos."""
    long, short = max(height, width), min(height, width)
    if long <= LONG_RATIO * short:
        return []
    further = (long / (WINDOW_RATIO * short) - 1) / STEP_SHARE
    count = min(MAX_WINDOWS, 1 + math.ceil(further))
    length = math.ceil(long / (1 + (count - 1) * STEP_SHARE))
    starts = (round(start) for start in np.linspace(0, long - length, count))
    spans = [slice(start, start + length) for start in starts]
    if height > width:
        return [(span, slice(0, width)) for span in spans]
    return [(slice(0, height), span) for span in spans]


def join_looks(whole: People, looks: Sequence[WindowLook]) -> People:
    """Return the people of a long photo.

    whole: of a look at all of it; looks: at its windows.  A person counts once: as a window shows
    them if one shows them whole, else as the look at all of the photo does.
    """
    height, width = whole.matte.shape
    all_looks = [WindowLook((slice(0, height), slice(0, width)), whole), *looks]
    persons = _join_sightings(_list_sightings(all_looks, whole, are_possible=False), [])
    possible = _join_sightings(_list_sightings(all_looks, whole, are_possible=True), persons)
    heard = [each.look.people for each in persons] or [look.people for look in looks]
    evidence = np.zeros_like(whole.matte)
    for look in all_looks:
        seen = look.people.matte if look.people.evidence is None else look.people.evidence
        evidence[look.window] = np.maximum(evidence[look.window], seen)
    matte = np.maximum.reduce([np.zeros_like(whole.matte), *(each.matte for each in persons)])
    confidences = [people.confidence for people in heard if people.confidence is not None]
    ends = [people.lower_end for people in heard if people.lower_end is not None]
    return replace(
        whole,
        matte=matte,
        persons=split_by_person(matte, [each.matte > HALF_LEVEL for each in persons]),
        possible=tuple(each.matte for each in possible),
        evidence=evidence,
        lower_end=max(ends, key=list(LowerEnd).index, default=None),
        confidence=min(confidences, default=None),
        needs_review=any(people.needs_review for people in heard),
    )


def _list_sightings(
    looks: Sequence[WindowLook], whole: People, *, are_possible: bool
) -> list[_Sighting]:
    """Return the persons of all looks, those of windows first, without those that one cuts."""
    sightings = []
    for look in looks:
        people = look.people
        for seen in people.possible if are_possible else people.persons or ():
            if _is_cut(seen, look.window, whole.matte.shape):
                continue
            matte = np.zeros_like(whole.matte)
            matte[look.window] = seen
            area_px = int(np.count_nonzero(seen > HALF_LEVEL))
            sightings.append(_Sighting(look, matte, area_px, is_close=people is not whole))
    return sorted(sightings, key=lambda each: (not each.is_close, -each.area_px))


def _is_cut(seen: Matte8, window: Region, size: tuple[int, ...]) -> bool:
    """Return whether a person reaches a border of the window that is none of the photo's.

    size: the photo's height and width.
    """
    rows, columns = window
    outline = seen > HALF_LEVEL
    return bool(
        (rows.start > 0 and outline[:CUT_PX].any())
        or (rows.stop < size[0] and outline[-CUT_PX:].any())
        or (columns.start > 0 and outline[:, :CUT_PX].any())
        or (columns.stop < size[1] and outline[:, -CUT_PX:].any())
    )


def _join_sightings(sightings: Sequence[_Sighting], others: Sequence[_Sighting]) -> list[_Sighting]:
    """Return each person once, with all that windows show of them, and none of the others."""
    joined: list[_Sighting] = []
    for sighting in sightings:
        seen = sighting.matte > HALF_LEVEL
        same = [
            other
            for other in (*joined, *others)
            if np.count_nonzero(seen & (other.matte > HALF_LEVEL))
            >= SAME_SHARE * max(1, min(sighting.area_px, other.area_px))
        ]
        if not same:
            joined.append(sighting)
        elif len(same) == 1 and same[0] in joined and sighting.is_close:
            matte = np.maximum(same[0].matte, sighting.matte)
            joined[joined.index(same[0])] = replace(same[0], matte=matte)
    return joined
