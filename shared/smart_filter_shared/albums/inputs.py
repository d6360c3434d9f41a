"""Build the inputs of album ranking from the stored results of jobs' stages."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from smart_filter_shared.albums.ranking import Album, AlbumPhoto
from smart_filter_shared.ids import JobId
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.rating import SmileLevel, rate

Results = Mapping[StageName, Mapping[str, Any] | None]  # what JSONB columns hold


def build_album_photo(job_id: JobId, results: Results) -> AlbumPhoto:
    """Return the album photo of a job, from the results of the stages before `composite`."""
    prepared = _facts(results, StageName.PREPARE)
    taken_at = prepared.get("taken_at")
    return AlbumPhoto(
        str(job_id),
        fingerprint=prepared.get("fingerprint"),
        taken_at=None if taken_at is None else dt.datetime.fromisoformat(taken_at),
        rating=_rating(_facts(results, StageName.SMILE)),
        people=_people(results),
    )


def describe_ranks(album: Album, known: Mapping[str, AlbumPhoto]) -> list[dict[str, object]]:
    """Return the terms of each photo's rank, as JSON, in the order of the ranking.

    known: the album's photos by id.
    """
    # A count, not a list of ids: all photos of an album may show one scene.
    alike = {id_: len(group.ids) for group in album.groups for id_ in group.ids}
    return [
        {
            "rating": known[ranked.id].rating,
            "of": len(album.ranking),
            "alike": alike[ranked.id],
            "better": ranked.better,
            "reasons": list(ranked.reasons),
        }
        for ranked in album.ranking
    ]


def _rating(smiled: Mapping[str, Any]) -> float | None:
    levels = [SmileLevel(smile["level"]) for smile in smiled.get("smiles", ())]
    eyes = [eye for face in smiled.get("eyes", ()) for eye in face.values()]
    return rate(levels, sum(eye is True for eye in eyes)).score if levels else None


def _people(results: Results) -> int | None:
    persons = _facts(results, StageName.SEGMENTATION).get("persons")
    faces = _facts(results, StageName.FACE).get("faces", ())
    return int(persons) if persons is not None else len(faces) or None


def _facts(results: Results, stage: StageName) -> Mapping[str, Any]:
    result = results.get(stage) or {}
    facts: Mapping[str, Any] = result.get("facts", {})
    return facts
