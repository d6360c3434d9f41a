"""What the ranking of an album goes by, read from what a job's stages have stored."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from smart_filter_shared.albums import Album, Shot
from smart_filter_shared.ids import JobId
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.rating import SmileLevel, rate

Results = Mapping[StageName, Mapping[str, Any] | None]  # what JSONB columns hold


def shot(job_id: JobId, results: Results) -> Shot:
    """Return a photo as far as it is known before it is composed."""
    prepared = _facts(results, StageName.PREPARE)
    taken_at = prepared.get("taken_at")
    return Shot(
        str(job_id),
        fingerprint=prepared.get("fingerprint"),
        taken_at=None if taken_at is None else dt.datetime.fromisoformat(taken_at),
        rating=_rating(_facts(results, StageName.SMILE)),
        people=_people(results),
    )


def terms(album: Album, known: Mapping[str, Shot]) -> list[dict[str, object]]:
    """Return what made each photo's rank, as JSON, in the order of the ranking.

    known: the album's shots by id.
    """
    # A number, no list: all photos of an album may show one scene.
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
