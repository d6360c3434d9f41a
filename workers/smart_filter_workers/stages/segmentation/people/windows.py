"""Windows: find people in overlapping parts of a very long photo, and merge them.

The networks take squares: a row of people in a panorama would be a few pixels high. Of 14 people in
3000 × 512 none was found; all are. `people` then takes 1.8 instead of 0.25 s of processor time.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from smart_filter_shared.results import LowerEnd
from smart_filter_workers.results import HALF_LEVEL, Bools, Matte8
from smart_filter_workers.stages.segmentation.models.base import People
from smart_filter_workers.stages.segmentation.people.separation import split_by_person
from smart_filter_workers.stages.segmentation.regions import Region

# Photos longer than this ratio have windows, of about the second ratio. A window begins at this
# share of the one before it, so that a person no wider than the photo is high is whole in one.
LONG_RATIO, WINDOW_RATIO, STEP_SHARE = 2.5, 2.0, 3 / 8
# No more windows, which are longer then: each costs about what a photo costs.
MAX_WINDOWS: Final = 8
# Two detections are of the same person if they share this much of the smaller outline.
SAME_SHARE: Final = 0.5
# A person who reaches this near to a window's border inside the photo may be cut by it; another
# view shows the whole.
CUT_PX: Final = 2


@dataclass(frozen=True, slots=True)
class View:
    """The people that were found in a part of a photo; window: its rows and columns."""

    window: Region
    people: People


@dataclass(frozen=True, slots=True, eq=False)
class _Detection:
    """A person in a view, with a matte of the photo's size; in_window: not in the whole view."""

    people: People
    matte: Matte8
    area_px: int
    in_window: bool


def make_windows(height: int, width: int) -> list[Region]:
    """Return overlapping windows that cover a long photo; none for other photos."""
    long, short = max(height, width), min(height, width)
    if long <= LONG_RATIO * short:
        return []
    further = (long / (WINDOW_RATIO * short) - 1) / STEP_SHARE
    count = min(MAX_WINDOWS, 1 + math.ceil(further))
    length = math.ceil(long / (1 + (count - 1) * STEP_SHARE))
    starts = map(round, np.linspace(0, long - length, count))
    spans = [slice(start, start + length) for start in starts]
    if height > width:
        return [(span, slice(0, width)) for span in spans]
    return [(slice(0, height), span) for span in spans]


def merge_views(whole: People, in_windows: Sequence[View]) -> People:
    """Return the people of a long photo, each once.

    whole: in a view of all of it.  A person is as the windows show them if one shows them whole,
    else as the whole view does. The views with persons decide about the review, the confidence and
    the lower end.
    """
    height, width = whole.matte.shape
    views = [View((slice(0, height), slice(0, width)), whole), *in_windows]
    persons = _merge(_list_detections(views, whole, are_possible=False), [])
    possible = _merge(_list_detections(views, whole, are_possible=True), persons)
    matte, evidence = np.zeros_like(whole.matte), np.zeros_like(whole.matte)
    for person in persons:
        matte = np.maximum(matte, person.matte)
    for view in views:
        people, part = view.people, evidence[view.window]
        np.maximum(part, people.matte if people.evidence is None else people.evidence, out=part)
    deciding = [person.people for person in persons] or [view.people for view in in_windows]
    confidences = [people.confidence for people in deciding if people.confidence is not None]
    ends = [people.lower_end for people in deciding if people.lower_end is not None]
    return replace(
        whole,
        matte=matte,
        persons=split_by_person(matte, [person.matte > HALF_LEVEL for person in persons]),
        possible=tuple(person.matte for person in possible),
        evidence=evidence,
        lower_end=max(ends, key=list(LowerEnd).index, default=None),
        confidence=min(confidences, default=None),
        needs_review=any(people.needs_review for people in deciding),
    )


def _list_detections(
    views: Sequence[View], whole: People, *, are_possible: bool
) -> list[_Detection]:
    """Return the persons that no window cuts: those in windows first, then the largest first."""
    detections = []
    for view in views:
        people = view.people
        for part in people.possible if are_possible else people.persons or ():
            outline = part > HALF_LEVEL
            if _is_cut(outline, view.window, whole.matte.shape):
                continue
            matte = np.zeros_like(whole.matte)
            matte[view.window] = part
            area_px = int(np.count_nonzero(outline))
            detections.append(_Detection(people, matte, area_px, in_window=people is not whole))
    return sorted(detections, key=lambda person: (not person.in_window, -person.area_px))


def _is_cut(outline: Bools, window: Region, photo_size: tuple[int, ...]) -> bool:
    """Return whether an outline reaches a border of the window that is none of the photo's.

    photo_size: height and width.
    """
    rows, columns = window
    return bool(
        (rows.start > 0 and outline[:CUT_PX].any())
        or (rows.stop < photo_size[0] and outline[-CUT_PX:].any())
        or (columns.start > 0 and outline[:, :CUT_PX].any())
        or (columns.stop < photo_size[1] and outline[:, -CUT_PX:].any())
    )


def _merge(detections: Sequence[_Detection], others: Sequence[_Detection]) -> list[_Detection]:
    """Return each person once, with all that windows show of them, and none of the others."""
    merged: list[_Detection] = []
    for detection in detections:
        same = [person for person in (*merged, *others) if _is_same(person, detection)]
        if not same:
            merged.append(detection)
        elif len(same) == 1 and same[0] in merged and detection.in_window:
            matte = np.maximum(same[0].matte, detection.matte)
            merged[merged.index(same[0])] = replace(same[0], matte=matte)
    return merged


def _is_same(first: _Detection, second: _Detection) -> bool:
    shared = np.count_nonzero(np.minimum(first.matte, second.matte) > HALF_LEVEL)
    return bool(shared >= SAME_SHARE * max(1, min(first.area_px, second.area_px)))
