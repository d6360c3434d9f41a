"""An album put in order: near-duplicates together, the best of each group, all by rank.

Works on what jobs know of their photos; whoever asks decides which photos are an album. The
order of the photos that are given does not matter.
"""

import datetime as dt
import heapq
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, count
from typing import Final

from smart_filter_shared.printability import Printability, Verdict

# Of 64 bits. Of 214,832 pairs of different photos one differs in no more, and that is two frames of
# one broadcast; of photos cropped by up to 5 % one in forty in more (docs/measurements.md).
ALIKE_WITHIN_BITS: Final = 12
# In a burst people move; that two photos of one moment show the same scene is likely anyway.
MOMENT_ALIKE_WITHIN_BITS: Final = 18
MOMENT: Final = dt.timedelta(seconds=30)
# Of a rating from 0 to 1: smaller differences nobody sees in a face.
RATING_STEP: Final = 0.05
BLUR_STEP_PX: Final = 0.1
_UNKNOWN_BLUR: Final = math.inf


@dataclass(frozen=True, slots=True)
class Shot:
    """One photo of an album, as far as it is known.

    fingerprint: 64 bits; None for a photo that is like no other.  taken_at: by the camera's
    clock.  rating: 0..1, None when nobody is rated.
    """

    id: str
    fingerprint: int | None = None
    taken_at: dt.datetime | None = None
    rating: float | None = None
    people: int | None = None
    printability: Printability | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Photos of one scene, the best first."""

    ids: tuple[str, ...]

    @property
    def best(self) -> str:
        """The one to keep."""
        return self.ids[0]


@dataclass(frozen=True, slots=True)
class Ranked:
    """Where a photo stands in its album.

    rank: 1 is the best.  better: the photo of the same scene to take in its place; None for the
    best of a group.  reasons: sentences for people.
    """

    id: str
    rank: int
    better: str | None
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Album:
    """groups: by the rank of their best.  ranking: the best of each group first, then the rest."""

    groups: tuple[Group, ...]
    ranking: tuple[Ranked, ...]


def arrange(shots: Sequence[Shot]) -> Album:
    """Group, choose and rank the photos of an album.

    Raises ValueError when two have one id.
    """
    if len({shot.id for shot in shots}) < len(shots):
        raise ValueError("an album holds each photo once")
    by_merit = sorted(shots, key=_demerits)
    scenes = sorted(_scenes(by_merit))
    groups = [[by_merit[place] for place in scene] for scene in scenes]
    better = {shot.id: group[0].id for group in groups for shot in group[1:]}
    ranking = sorted(by_merit, key=lambda shot: shot.id in better)
    return Album(
        groups=tuple(Group(tuple(shot.id for shot in group)) for group in groups),
        ranking=tuple(
            Ranked(shot.id, rank, better.get(shot.id), _reasons(shot, better.get(shot.id)))
            for rank, shot in enumerate(ranking, start=1)
        ),
    )


def distance(one: Shot, other: Shot) -> float:
    """Return how unlike two photos are: up to 1 they show the same scene, as far as one can tell.

    It is the number of bits that differ over how many may; infinite without a fingerprint.
    """
    if one.fingerprint is None or other.fingerprint is None:
        return math.inf
    differing = (one.fingerprint ^ other.fingerprint).bit_count()
    is_one_moment = (
        one.taken_at is not None
        and other.taken_at is not None
        and abs(one.taken_at - other.taken_at) <= MOMENT
    )
    return differing / (MOMENT_ALIKE_WITHIN_BITS if is_one_moment else ALIKE_WITHIN_BITS)


def _demerits(shot: Shot) -> tuple[object, ...]:
    """Return what speaks against a photo, the weightiest first; the last two decide ties."""
    print_ = shot.printability
    blinking, distracted, blur, dark, pixels = 0, 0, _UNKNOWN_BLUR, 0, 0
    spoilt = 0
    if print_ is not None:
        parts = [part for part in (print_.sharpness, print_.exposure) if part is not None]
        spoilt = sum(part.verdict == Verdict.POOR for part in parts)
        dark = int(print_.exposure.verdict != Verdict.GOOD)
        pixels = print_.size.width * print_.size.height
        if print_.looks is not None:
            blinking = len(print_.looks.blinking)
            distracted = len({*print_.looks.one_eye_closed, *print_.looks.turned_away})
        if print_.sharpness is not None:
            blur = round(print_.sharpness.blur_px / BLUR_STEP_PX)
    rating = -1 if shot.rating is None else round(shot.rating / RATING_STEP)
    taken = math.inf if shot.taken_at is None else shot.taken_at.timestamp()
    faults = blinking + spoilt
    return (faults, -rating, distracted, blur, dark, -pixels, taken, shot.id)


def _scenes(shots: Sequence[Shot]) -> list[list[int]]:
    """Return places of photos that show the same scene, each scene in ascending order."""
    known = [
        (place, shot.fingerprint)
        for place, shot in enumerate(shots)
        if shot.fingerprint is not None
    ]
    # Of a thousand photos half a million pairs: nearly all are told apart by this alone.
    perhaps = [
        (first, second)
        for (first, one), (second, other) in combinations(known, 2)
        if (one ^ other).bit_count() <= MOMENT_ALIKE_WITHIN_BITS
    ]
    near = {
        (first, second): unlike
        for first, second in perhaps
        if (unlike := distance(shots[first], shots[second])) <= 1
    }
    return [
        scene for component in _connected(len(shots), near) for scene in _averaged(component, shots)
    ]


def _connected(how_many: int, pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Return the places that pairs join, directly or through others."""
    home = list(range(how_many))

    def root(place: int) -> int:
        while home[place] != place:
            home[place] = home[home[place]]
            place = home[place]
        return place

    for first, second in pairs:
        home[root(second)] = root(first)
    joined: dict[int, list[int]] = {}
    for place in range(how_many):
        joined.setdefault(root(place), []).append(place)
    return list(joined.values())


def _averaged(places: Sequence[int], shots: Sequence[Shot]) -> list[list[int]]:
    """Part what is only joined through others: groups whose photos are alike on average.

    Source: Sokal & Michener 1958, average linkage. A chain of photos, each like the next, would
    put first and last together however unlike they are; that every two be alike would part
    bursts in which people walk.
    """
    groups = {number: [place] for number, place in enumerate(places)}
    numbers = count(len(places))
    between = {
        (first, second): distance(shots[places[first]], shots[places[second]])
        for first, second in combinations(groups, 2)
    }
    closest = [(unlike, pair) for pair, unlike in between.items() if unlike <= 1]
    heapq.heapify(closest)
    while closest:
        _, (first, second) = heapq.heappop(closest)
        if first not in groups or second not in groups:
            continue
        number = next(numbers)
        one, other = groups.pop(first), groups.pop(second)
        for third in groups:
            unlike = (
                len(one) * between[min(first, third), max(first, third)]
                + len(other) * between[min(second, third), max(second, third)]
            ) / (len(one) + len(other))
            between[third, number] = unlike
            if unlike <= 1:
                heapq.heappush(closest, (unlike, (third, number)))
        groups[number] = one + other
    return [sorted(group) for group in groups.values()]


def _reasons(shot: Shot, better: str | None) -> tuple[str, ...]:
    """Say why a photo stands where it stands."""
    told = []
    if better is not None:
        told.append(f"Photo {better} shows the same scene and is better.")
    if shot.rating is not None:
        told.append(f"It is rated {shot.rating:.2f}.")
    elif shot.people == 0:
        told.append("Nobody is in it.")
    if shot.printability is not None:
        told += shot.printability.reasons or ("Nothing speaks against printing it.",)
    return tuple(told)
