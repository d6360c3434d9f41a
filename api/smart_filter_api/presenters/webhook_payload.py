"""Render webhook payloads: the job or the batch as GET shows it, in less than 20 kB.

Many faces, or metadata with many escaped characters, may take more than that. Large parts are then
replaced, step by step, by counts and links.
Source: Standard Webhooks 1.0.0: payloads under 20 kB, links in place of large content.
"""

import json
from collections.abc import Callable
from typing import Any, Final

from smart_filter_api.auth.links import LinkTerms
from smart_filter_api.http import documents
from smart_filter_api.presenters import job as presenters_job
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.queue.batches import BatchRow
from smart_filter_shared.typed_json import adapter
from smart_filter_shared.webhooks.outbox import ClaimedDelivery
from smart_filter_wire.formats import Moment

# Above MAX_FULL_BYTES, faces and rating become counts; no payload exceeds MAX_BYTES.
MAX_FULL_BYTES: Final = 16_000
MAX_BYTES: Final = 20_000

Job = dict[str, Any]  # a job's answer as JSON


def render_payload(
    claimed: ClaimedDelivery,
    job: JobRow | BatchRow | None,
    *,
    links: LinkTerms | None,
    emotions: bool,
) -> bytes:
    """Return the body of a delivery; without a job or a batch it is a test event.

    links, emotions: as in `render_job`.
    """
    if isinstance(job, BatchRow):
        return _render_batch_payload(claimed, job)
    if job is None:
        return _encode_event(claimed, {"webhook_id": claimed.webhook})
    shown = documents.to_json(presenters_job.render_job(job, links=links, emotions=emotions))
    written = _encode_event(claimed, shown)
    limit = MAX_FULL_BYTES
    for smaller in _REDUCTIONS:
        if len(written) <= limit:
            break
        shown = smaller(shown)
        written = _encode_event(claimed, shown)
        limit = MAX_BYTES
    return written


def _render_batch_payload(claimed: ClaimedDelivery, batch: BatchRow) -> bytes:
    shown = documents.to_json(presenters_job.render_batch(batch))
    written = _encode_event(claimed, shown)
    if len(written) <= MAX_FULL_BYTES:
        return written
    items = {"count": len(shown["items"]), "url": shown["links"]["self"]}
    take = shown["take"] and {**shown["take"], "people": [], "notes": []}
    return _encode_event(claimed, {**shown, "items": items, "take": take})


def _with_face_counts(job: Job) -> Job:
    """Return a job with counts in place of faces and rating, and a link to the rest."""
    link = job["links"]["self"]
    faces, rating = job["faces"], job["rating"]
    return {
        **job,
        "faces": None if faces is None else {"count": len(faces), "url": link},
        "rating": None
        if rating is None
        else {
            "score": rating["score"],
            "faces": rating["faces"],
            "open_eyes": rating["open_eyes"],
            "points": rating["points"],
            "url": link,
        },
    }


def _without_details(job: Job) -> Job:
    background = {**job["background"], "candidates": []}
    nothing: Job = {
        "persons": None,
        "printability": None,
        "filters": [],
        "frame": None,
        "take": None,
    }
    return {**job, "background": background, **nothing}


def _without_recipe(job: Job) -> Job:
    return {**job, "recipe": {}}


def _without_metadata(job: Job) -> Job:
    return {**job, "metadata": {}}


_REDUCTIONS: tuple[Callable[[Job], Job], ...] = (
    _with_face_counts,
    _without_details,
    _without_recipe,
    _without_metadata,
)


def _encode_event(claimed: ClaimedDelivery, data: Job) -> bytes:
    event = {
        "type": claimed.type,
        "timestamp": adapter(Moment).dump_python(claimed.happened_at, mode="json"),
        "data": data,
    }
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
