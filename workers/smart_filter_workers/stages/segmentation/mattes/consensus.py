"""Consensus: correct a matte of people by networks that looked at the same place.

The refiner saw the matte, so it knows who is meant, and corrects it first. Another network counts
as far as its people are those of the corrected matte: one that sees a table or a bystander counts
little. Each pixel is a weighted median, which no single network moves far. An area, unlike an
outline, changes as a whole or not at all: a change in part would show as a half transparent band.

Agreement of mattes: measure it, and join several mattes into one.
"""

import functools
import math
from collections.abc import Sequence
from itertools import combinations, pairwise
from typing import Final

import numpy as np

from smart_filter_workers.connected_parts import label_parts, locate_parts, measure_areas
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import HALF_LEVEL, Bools, Floats, Matte8

# Weight of the matte itself among networks of weight 1.
OWN_WEIGHT: Final = 0.43
# A network does not count below the first overlap (IoU) with the matte, and whole from the second.
IGNORED_BELOW, TRUSTED_FROM = 0.80, 0.92
# The sureness that an area needs to change, the sum over the networks: their weight times how far
# their mean level is from one half, 0..1, negative for those that would keep it.
NEEDED: Final = 0.75
# A smaller change of a level is no difference.
SEEN_CHANGE: Final = 32
# An area is thicker than this share of the root of the people's area; anything else is an outline.
AREA_WIDTH: Final = 0.1
# Larger areas, as shares of all people and of their connected part, do not change: they may be a
# person.
MAX_CHANGED, MAX_CHANGED_OF_PART = 0.2, 0.5
# An enclosed hole up to this share of all people is filled when a network is sure of people in it,
# with a mean level above the second, and none is as sure of background.
MAX_HOLE: Final = 0.03
SURE_LEVEL: Final = 186
# Side of the square in which two outlines are compared, as a share of the photo's longest side.
NEARBY: Final = 1 / 20
# Coverage is clamped to these values, so that no network overrules the others.
LEAST, MOST = 0.02, 0.98
# Make half transparent pixels rarer: else guitars and shadows, which one network takes for a
# person, stay as ghosts.
STEEPNESS: Final = 1.3
NONE_BELOW, WHOLE_ABOVE = 0.15, 0.85
# Fainter pixels show on no background.
SEEN_FROM: Final = 12
_SAMPLE_STEP: Final = 8

# Levels of the mean matte below which a pixel is background and above which it is a person. On
# training portraits the mean absolute difference is 0.0235 with them, 0.0316 without; in the wild
# 0.056 and 0.067. Overlaps are the same.
EMPTY_BELOW, FULL_ABOVE = 85, 170


def correct_matte(
    people: Matte8, refined: Matte8, others: Sequence[Matte8], places: Sequence[Bools]
) -> Matte8:
    """Return the matte of people, corrected where the networks agree.

    people: (H, W) uint8, with at least one pixel above one half; refined, others: the mattes of the
    refiner and of the other networks, of the same shape; places: (H, W) each, of the persons, with
    what is nearest to them.  Returns (H, W) uint8.
    """
    first = agree(people, [refined], [1.0])
    voters = [refined, *others]
    # Persons whom the same networks show are corrected together.
    alike: dict[tuple[bool, ...], Bools] = {}
    for place in places:
        trusted = tuple(_is_trusted(first, voter, place) for voter in voters)
        alike[trusted] = place | alike.get(trusted, np.False_)
    joined = first
    for place in alike.values():
        trust = [measure_trust(first[place], voter[place]) for voter in voters]
        joined = np.where(place, agree(first, voters, trust), joined)
    heard = [keep_trusted(first, voter, places) for voter in voters]
    return _remove_traces(_fill_holes(joined, [first, *heard]), people > HALF_LEVEL)


def keep_trusted(people: Matte8, voter: Matte8, places: Sequence[Bools]) -> Matte8:
    """Return the matte of a network, and that of people where it sees others or none.

    people, voter: (H, W) uint8; places: as for `correct_matte`.
    """
    trusted = [place for place in places if _is_trusted(people, voter, place)]
    return np.where(np.logical_or.reduce(trusted), voter, people)


def agree(people: Matte8, voters: Sequence[Matte8], trust: Sequence[float]) -> Matte8:
    """Return the weighted median of a matte and of networks, with each area decided as a whole.

    people: (H, W) uint8, with at least one pixel above one half; voters: of the same shape; trust:
    their weights.  Returns (H, W) uint8.
    """
    heard = [(voter, weight) for voter, weight in zip(voters, trust, strict=True) if weight > 0]
    if not heard:
        return people
    mattes, weights = [voter for voter, _ in heard], [weight for _, weight in heard]
    joined = take_median([people, *mattes], [OWN_WEIGHT, *weights])
    people_px = np.count_nonzero(people > HALF_LEVEL)
    width_px = max(3, int(AREA_WIDTH * math.sqrt(people_px)) | 1)
    # OpenCV is many times as fast with a square as with a disc.
    square = np.ones((width_px, width_px), np.uint8)
    differs = cv2.absdiff(people, joined) > SEEN_CHANGE
    opened = cv2.morphologyEx(differs.view(np.uint8), cv2.MORPH_OPEN, square)
    labels, count = label_parts(opened > 0)
    if count == 1:
        return joined
    places = np.flatnonzero(opened)
    numbers = labels.take(places)
    areas = np.maximum(np.bincount(numbers, minlength=count), 1)
    is_added = np.bincount(numbers, weights=joined.take(places), minlength=count) > np.bincount(
        numbers, weights=people.take(places), minlength=count
    )
    sureness = np.zeros(count)
    for voter, weight in heard:
        levels = np.bincount(numbers, weights=voter.take(places), minlength=count) / areas
        sureness += weight * (2 * levels / 255 - 1)
    is_changed = np.where(is_added, sureness, -sureness) >= NEEDED
    parts, part_count = label_parts(people > HALF_LEVEL)
    part_of = np.zeros(count, np.intp)
    np.maximum.at(part_of, numbers, parts.take(places))
    part_px = measure_areas(parts, part_count)[part_of]
    is_changed &= areas <= MAX_CHANGED * people_px
    is_changed &= is_added | (areas <= MAX_CHANGED_OF_PART * part_px)
    # Without the matte itself, or an area that is removed would stay as a ghost.
    theirs = take_median(mattes, weights)
    for is_meant, decided in ((is_changed, theirs), (~is_changed, people)):
        is_meant[0] = False  # label 0 is everything outside these areas
        if is_meant.any():
            # Opening has cut the corners off.
            near = cv2.dilate(is_meant[labels].view(np.uint8), square) > 0
            joined = np.where(near, decided, joined)
    return joined


def measure_trust(people: Matte8, voter: Matte8) -> float:
    """Return how much a network counts, 0..1."""
    likeness = (agreement(people, voter) - IGNORED_BELOW) / (TRUSTED_FROM - IGNORED_BELOW)
    return float(np.clip(likeness, 0, 1))


def measure_spread(
    matte: Matte8, refined: Matte8, portrait: Matte8, *, longest_side_px: int
) -> float:
    """Return how far apart two networks draw the outline of a matte at its median place.

    As a share of the photo's longest side, longest_side_px. The median ignores whole areas, which
    are decided otherwise.  All mattes (H, W) uint8.
    """
    people = (matte > HALF_LEVEL).astype(np.uint8)
    outline = cv2.morphologyEx(people, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    if not outline.any():
        return 0.0
    side_px = max(9, int(longest_side_px * NEARBY) | 1)
    between, along = (
        cv2.boxFilter(plane, cv2.CV_32F, (side_px, side_px), normalize=False)[outline]
        for plane in (cv2.absdiff(refined, portrait), outline.view(np.uint8))
    )
    # The gradient is two pixels wide.
    apart_px = 2 * between / (255 * np.maximum(along, side_px / 2))
    return float(np.median(apart_px)) / longest_side_px


def take_median(mattes: Sequence[Matte8], weights: Sequence[float]) -> Matte8:
    """Return the weighted median of several mattes, (H, W) uint8 each, with faint pixels decided.

    Between two mattes it is the mean of their odds.  weights: above 0.
    """
    logits, decided = _tables()
    least, most = functools.reduce(np.minimum, mattes), functools.reduce(np.maximum, mattes)
    # Where the lowest and the highest decide alike, so does the median. These are most pixels.
    joined = decided[most]
    places = np.flatnonzero(decided[least] != joined)
    # Levels with the numbers of their mattes. Exchanges sort them in a tenth of the time of `sort`,
    # which takes each pixel by itself.
    keys = [matte.take(places) * np.uint16(256) + np.uint16(n) for n, matte in enumerate(mattes)]
    for end in range(len(keys) - 1, 0, -1):
        for low, high in pairwise(range(end + 1)):
            both = keys[low], keys[high]
            keys[low], keys[high] = np.minimum(*both), np.maximum(*both)
    ordered = np.stack(keys)
    values = logits[ordered >> 8]
    shares = np.asarray(weights, np.float32)[ordered & 255] / np.float32(sum(weights))
    middles = np.cumsum(shares, axis=0) - shares / 2
    median = values[0]
    for low, high, start, end in zip(values, values[1:], middles, middles[1:], strict=False):
        share = np.clip((0.5 - start) / (end - start), 0, 1)
        median = np.where(start <= 1 / 2, low + share * (high - low), median)
    joined.reshape(-1)[places] = _decide(median)
    return joined


def _is_trusted(people: Matte8, voter: Matte8, place: Bools) -> bool:
    """Return whether a network sees the people of a matte in a place."""
    return measure_trust(people[place], voter[place]) >= 1 / 2


def _fill_holes(matte: Matte8, mattes: Sequence[Matte8]) -> Matte8:
    """Return the matte with its small enclosed holes filled where `mattes` are for people."""
    holes, stats = locate_parts(matte <= HALF_LEVEL)
    height, width = matte.shape
    left, top, across, down, areas = stats.T
    most_px = MAX_HOLE * np.count_nonzero(matte > HALF_LEVEL)
    is_hole = (left > 0) & (top > 0) & (left + across < width) & (top + down < height)
    is_hole &= areas <= most_px
    is_hole[0] = False
    if not is_hole.any():
        return matte
    places = np.flatnonzero(is_hole[holes])
    numbers = holes.take(places)
    levels = np.array(
        [
            np.bincount(numbers, weights=other.take(places), minlength=len(stats)) / areas
            for other in mattes
        ]
    )
    is_filled = is_hole & (levels.max(axis=0) > SURE_LEVEL)
    is_filled &= levels.min(axis=0) > 255 - SURE_LEVEL
    if not is_filled.any():
        return matte
    near = cv2.dilate(is_filled[holes].view(np.uint8), np.ones((5, 5), np.uint8)) > 0
    return np.where(near, functools.reduce(np.maximum, mattes, matte), matte)


def _remove_traces(matte: Matte8, people: Bools) -> Matte8:
    """Return the matte without the parts that hold none of the people found before."""
    labels, count = label_parts(matte >= SEEN_FROM)
    holds_people = np.zeros(count, np.bool_)
    # Some of the pixels decide most often; reading all takes longer than labeling them.
    some = np.s_[::_SAMPLE_STEP, ::_SAMPLE_STEP]
    holds_people[labels[some][people[some]]] = True
    if holds_people[1:].all():
        return matte
    holds_people[labels[people]] = True
    return np.where(holds_people[labels], matte, np.uint8(0))


@functools.cache
def _tables() -> tuple[Floats, Matte8]:
    """Return the logit of each level, (256,) float32, and the level that is decided for it."""
    coverage = np.clip(np.arange(256, dtype=np.float32) / 255, LEAST, MOST)
    logits = np.log(coverage / (1 - coverage))
    return logits, _decide(logits)


def _decide(logits: Floats) -> Matte8:
    """Return levels, uint8, with faint ones decided."""
    coverage = 1 / (1 + np.exp(-STEEPNESS * logits))
    decided = (coverage - NONE_BELOW) / (WHOLE_ABOVE - NONE_BELOW)
    return np.asarray(np.rint(np.clip(decided, 0, 1) * 255), np.uint8)


def mean_agreement(mattes: Sequence[Matte8]) -> float:
    """Return the agreement of several mattes, 0..1: the mean overlap of all pairs.

    mattes: at least two, all (h, w) uint8.
    """
    pairs = list(combinations(mattes, 2))
    return sum(agreement(first, second) for first, second in pairs) / len(pairs)


def agreement(matte: Matte8, other: Matte8) -> float:
    """Return the intersection over union, 0..1, of two mattes' persons; 1 when both are empty.

    one, other: (h, w) uint8; a pixel shows a person when it is above one half.
    """
    first, second = matte > HALF_LEVEL, other > HALF_LEVEL
    either = np.count_nonzero(first | second)
    return np.count_nonzero(first & second) / either if either else 1.0


def join_mattes(mattes: Sequence[Matte8], weights: Sequence[float]) -> Matte8:
    """Return the weighted mean of several mattes, all (h, w) uint8, with faint parts decided.

    A pixel whose mean is below a third becomes background, above two thirds person: a ghost that
    one of three models sees is worse than nothing. The result stays within the range of the mattes,
    so what all models see alike, such as a soft edge, is unchanged.
    weights: one for each matte, none negative.  Raises ValueError when their number differs or all
    are 0.
    """
    if len(weights) != len(mattes):
        raise ValueError(f"{len(weights)} weights for {len(mattes)} mattes")
    whole = sum(weights)
    if whole <= 0:
        raise ValueError("all weights are 0")
    mean = np.zeros(mattes[0].shape, np.float32)
    for matte, weight in zip(mattes, weights, strict=True):
        mean += np.float32(weight / whole) * matte
    decided = (mean - EMPTY_BELOW) * (255 / (FULL_ABOVE - EMPTY_BELOW))
    counted = [matte for matte, weight in zip(mattes, weights, strict=True) if weight > 0]
    least, most = np.minimum.reduce(counted), np.maximum.reduce(counted)
    return np.asarray(np.clip(np.rint(decided), least, most), dtype=np.uint8)
