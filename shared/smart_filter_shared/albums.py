"""Rank an album: group near-duplicates, choose the best of each group, and rank all photos.

The inputs come from the stored results of the photos' jobs; the caller decides which photos are an
album. The order of the given photos does not matter.

A take is one picture with the best face of each person of a burst. Its job imports its photo from
the shots of its batch: the photos of the other jobs. The column `jobs.take` has the shots once they
are ranked, and the report once the take is composed.
"""

import datetime as dt
import heapq
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, count
from typing import Any, Final, Literal, TypeAlias

from smart_filter_shared import best_shot
from smart_filter_shared.best_shot import AlbumPhoto
from smart_filter_shared.ids import JobId
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.results import (
    Faces,
    PreparedFacts,
    SegmentationFacts,
    Smiles,
    rate_faces,
    read_facts,
)
from smart_filter_shared.typed_json import adapter
from smart_filter_wire.findings import TakeReport

# Differing bits, of 64, up to which two photos show the same scene. Of 214,832 pairs of different
# photos one pair is within the limit: two frames of one broadcast. Of photos cropped by up to 5 %,
# one in forty is beyond it (docs/measurements.md).
MAX_HAMMING_BITS: Final = 12
# The limit within BURST_WINDOW: people move, but two photos of one moment likely show one scene.
MAX_HAMMING_BITS_IN_BURST: Final = 18
BURST_WINDOW: Final = dt.timedelta(seconds=30)

Results = Mapping[StageName, Mapping[str, Any] | None]  # what JSONB columns hold

MIN_SHOTS, MAX_SHOTS = 2, 12
# What an album composes: a number of its photos, or TAKE, the take of them.
Best: TypeAlias = int | Literal["take"]


@dataclass(frozen=True, slots=True)
class Group:
    """Photos of one scene, the best first."""

    ids: tuple[str, ...]

    @property
    def best(self) -> str:
        """The id of the best photo."""
        return self.ids[0]


@dataclass(frozen=True, slots=True)
class RankedPhoto:
    """The rank of a photo in its album.

    rank: 1 is the best.
    better: the best photo of the same scene; None when this is the best.
    reasons: sentences for people.
    """

    id: str
    rank: int
    better: str | None
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Album:
    """A ranked album.

    groups: in the order of their best photos.
    ranking: the best photo of each group first, then the rest, each by the rating that people see.
        One that is rated higher is only behind a better photo of its scene, and its reasons say so.
    """

    groups: tuple[Group, ...]
    ranking: tuple[RankedPhoto, ...]


def build_album_photo(job_id: JobId, results: Results) -> AlbumPhoto:
    """Return the album photo of a job, from the results of the stages before `composite`."""
    prepared = read_facts(results.get(StageName.PREPARE), PreparedFacts)
    faces = read_facts(results.get(StageName.FACE), Faces)
    smiles = read_facts(results.get(StageName.SMILE), Smiles)
    photo = AlbumPhoto(
        str(job_id),
        fingerprint=None if prepared is None else prepared.fingerprint,
        taken_at=None if prepared is None else prepared.taken_at,
        rating=_rate(smiles),
        people=_count_people(results, faces),
        traces=None if prepared is None else prepared.traces,
    )
    if prepared is None or faces is None or smiles is None or not faces.faces:
        return photo
    size = prepared.width, prepared.height
    return replace(
        photo,
        faces=best_shot.measure_faces(faces.faces, smiles, size=size),
        seen=best_shot.count_seen(faces.faces),
    )


def rank_album(shots: Sequence[AlbumPhoto]) -> Album:
    """Group and rank the photos of an album; return the ranked album.

    Raises ValueError when two photos have the same id.
    """
    if len({shot.id for shot in shots}) < len(shots):
        raise ValueError("two photos of an album have the same id")
    by_id = sorted(shots, key=lambda shot: shot.id)
    scenes = [
        best_shot.order_scene([by_id[place] for place in scene]) for scene in _group_scenes(by_id)
    ]
    scenes.sort(key=lambda scene: (-scene[0].points, best_shot.sort_key(scene[0])))
    ranking = sorted(
        (
            (place, min(earlier.points for earlier in scene[: place + 1]), shot, scene)
            for scene in scenes
            for place, shot in enumerate(scene)
        ),
        key=lambda entry: (entry[0] > 0, -entry[1], entry[0], best_shot.sort_key(entry[2])),
    )
    return Album(
        groups=tuple(Group(tuple(shot.id for shot in scene)) for scene in scenes),
        ranking=tuple(
            RankedPhoto(
                shot.id,
                rank,
                scene[0].id if place else None,
                _reasons(shot, place, scene, ranking[rank - 2][2] if rank > 1 else None),
            )
            for rank, (place, _, shot, scene) in enumerate(ranking, start=1)
        ),
    )


def describe_ranks(album: Album, photos: Mapping[str, AlbumPhoto]) -> list[dict[str, object]]:
    """Return the terms of each photo's rank, as JSON, in the order of the ranking.

    photos: the album's photos by id.
    """
    # A count, not a list of ids: all photos of an album may show one scene.
    alike = {id_: len(group.ids) for group in album.groups for id_ in group.ids}
    return [
        {
            "rating": photos[ranked.id].points if photos[ranked.id].rating is not None else None,
            "of": len(album.ranking),
            "alike": alike[ranked.id],
            "better": ranked.better,
            "reasons": list(ranked.reasons),
        }
        for ranked in album.ranking
    ]


def distance(first: AlbumPhoto, second: AlbumPhoto) -> float:
    """Return the distance of two photos; up to 1 they count as one scene.

    It is the number of differing bits divided by the allowed number; infinite without a
    fingerprint.
    """
    if first.fingerprint is None or second.fingerprint is None:
        return math.inf
    differing = (first.fingerprint ^ second.fingerprint).bit_count()
    is_one_moment = (
        first.taken_at is not None
        and second.taken_at is not None
        and abs(first.taken_at - second.taken_at) <= BURST_WINDOW
    )
    return differing / (MAX_HAMMING_BITS_IN_BURST if is_one_moment else MAX_HAMMING_BITS)


def _group_scenes(shots: Sequence[AlbumPhoto]) -> list[list[int]]:
    """Return the indices of the photos of each scene, each scene in ascending order."""
    hashes = [
        (place, shot.fingerprint)
        for place, shot in enumerate(shots)
        if shot.fingerprint is not None
    ]
    # A thousand photos have half a million pairs; this cheap test removes nearly all of them.
    candidates = [
        (first, second)
        for (first, first_hash), (second, second_hash) in combinations(hashes, 2)
        if (first_hash ^ second_hash).bit_count() <= MAX_HAMMING_BITS_IN_BURST
    ]
    near = {
        (first, second): unlike
        for first, second in candidates
        if (unlike := distance(shots[first], shots[second])) <= 1
    }
    return [
        scene
        for component in _connected_components(len(shots), near)
        for scene in _split_by_average_linkage(component, shots)
    ]


def _connected_components(how_many: int, pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Return the indices that pairs connect, directly or through others, by component."""
    parents = list(range(how_many))

    def root(place: int) -> int:
        while parents[place] != place:
            parents[place] = parents[parents[place]]
            place = parents[place]
        return place

    for first, second in pairs:
        parents[root(second)] = root(first)
    joined: dict[int, list[int]] = {}
    for place in range(how_many):
        joined.setdefault(root(place), []).append(place)
    return list(joined.values())


def _split_by_average_linkage(
    places: Sequence[int], shots: Sequence[AlbumPhoto]
) -> list[list[int]]:
    """Split a connected component into groups whose photos are similar on average; return them.

    Source: Sokal & Michener 1958, average linkage. Single linkage would join the ends of a chain
    of similar photos, however different they are. Complete linkage would split bursts in which
    people walk.
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
        merged, absorbed = groups.pop(first), groups.pop(second)
        for third in groups:
            unlike = (
                len(merged) * between[min(first, third), max(first, third)]
                + len(absorbed) * between[min(second, third), max(second, third)]
            ) / (len(merged) + len(absorbed))
            between[third, number] = unlike
            if unlike <= 1:
                heapq.heappush(closest, (unlike, (third, number)))
        groups[number] = merged + absorbed
    return [sorted(group) for group in groups.values()]


def _reasons(
    shot: AlbumPhoto, place: int, scene: Sequence[AlbumPhoto], before: AlbumPhoto | None
) -> tuple[str, ...]:
    """Return the reasons for a photo's rank, as sentences for people.

    place: in its scene, 0 for the best.  before: the photo with the rank before it.
    """
    reasons = []
    if place:
        reasons.append(f"Photo {scene[0].id} shows the same scene and is better.")
    if shot.rating is not None:
        reasons.append(f"It is rated {shot.points} of 100.")
    elif shot.people == 0:
        reasons.append("No person is in it.")
    else:
        reasons.append("It has no face to rate.")
    if shot.faces:
        reasons.append(best_shot.describe_faces(shot))
    if place:
        lead = f"the better photo {best_shot.describe_lead(scene[0], shot)}."
        is_rated_higher = shot.points > scene[0].points
        reasons.append(
            f"Although it is rated higher, {lead}" if is_rated_higher else f"T{lead[1:]}"
        )
    elif len(scene) > 1:
        lead = best_shot.describe_lead(shot, scene[1])
        reasons.append(f"Compared with the next best photo of its scene, it {lead}.")
    if not place and before is not None and before.points == shot.points >= 0:
        lead = best_shot.describe_tie_break(before, shot)
        reasons.append(f"The photo before it is rated the same and {lead}.")
    return tuple(reasons)


def _rate(smiled: Smiles | None) -> float | None:
    rated = None if smiled is None else rate_faces(smiled)
    return None if rated is None else rated.points / 100


def _count_people(results: Results, faces: Faces | None) -> int | None:
    segmented = read_facts(results.get(StageName.SEGMENTATION), SegmentationFacts)
    if segmented is not None and segmented.persons is not None:
        return segmented.persons
    return None if faces is None else len(faces.faces) or None


@dataclass(frozen=True, slots=True)
class TakeShot:
    """One shot: the job of its photo, and its item in the batch."""

    job_id: JobId
    item: int


@dataclass(frozen=True, slots=True)
class Take:
    """The take of a job.

    shots: the best first; empty until they are ranked.
    chosen: the item that a person's face is to be from, where a user has chosen it.
    report: None until the take is composed.
    """

    shots: tuple[TakeShot, ...] = ()
    chosen: Mapping[int, int] = field(default_factory=dict)
    report: TakeReport | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the take as `jobs.take` stores it."""
        document: dict[str, Any] = adapter(Take).dump_python(self, mode="json")
        return document


def read_take(stored: Mapping[str, Any]) -> Take:
    """Return the take that `jobs.take` stores.  Raises ValueError for one of a later version."""
    take: Take = adapter(Take).validate_python(stored)
    return take
