"""What is sent to webhooks: the job, or the batch, as GET shows it, in less than 20 kB.

A crowd's faces, or metadata of many odd characters, may take more than that. Then what is
large gives way to what tells of it, piece by piece.
Source: Standard Webhooks 1.0.0: payloads under 20 kB, links in place of what is large.
"""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from pydantic import TypeAdapter

from smart_filter_api import answers
from smart_filter_api.batches import answers as batch_answers
from smart_filter_api.schemas.moments import Moment
from smart_filter_shared.jobs.batches import BatchRow
from smart_filter_shared.jobs.deliveries import Claimed
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.jobs.retention import Keeping

# From here on faces and rating are counted; nothing is ever larger than the other.
COUNTED_BYTES: Final = 16_000
MOST_BYTES: Final = 20_000
_TO_LAST: Final = ("id", "state", "created_at", "finished_at", "expires_at", "links")
_MOMENT: TypeAdapter[datetime] = TypeAdapter(Moment)

Job = dict[str, Any]  # an answer about a job, as JSON


def body(claimed: Claimed, job: JobRow | BatchRow | None, keeping: Keeping) -> bytes:
    """Return the body that tells of a delivery; without a job or a batch, of a test."""
    if isinstance(job, BatchRow):
        return _of_batch(claimed, job)
    if job is None:
        return _written(claimed, {"webhook_id": claimed.webhook})
    shown = answers.job(job, keeping).model_dump(mode="json")
    written = _written(claimed, shown)
    limit = COUNTED_BYTES
    for smaller in _SMALLER:
        if len(written) <= limit:
            break
        shown = smaller(shown)
        written = _written(claimed, shown)
        limit = MOST_BYTES
    return written


def _of_batch(claimed: Claimed, batch: BatchRow) -> bytes:
    shown = batch_answers.batch(batch).model_dump(mode="json")
    written = _written(claimed, shown)
    if len(written) <= COUNTED_BYTES:
        return written
    items = {"count": len(shown["items"]), "url": shown["links"]["self"]}
    return _written(claimed, {**shown, "items": items})


def _counted(job: Job) -> Job:
    """Return a job with counts of faces, and where the rest is."""
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
            "url": link,
        },
    }


def _without_details(job: Job) -> Job:
    background = {**job["background"], "candidates": []}
    nothing: Job = {"persons": None, "printability": None, "filters": [], "frame": None}
    return {**job, "background": background, **nothing}


def _without_recipe(job: Job) -> Job:
    return {name: value for name, value in job.items() if name not in {"recipe", "background"}}


def _without_metadata(job: Job) -> Job:
    return {name: job[name] for name in _TO_LAST}


_SMALLER: tuple[Callable[[Job], Job], ...] = (
    _counted,
    _without_details,
    _without_recipe,
    _without_metadata,
)


def _written(claimed: Claimed, data: Job) -> bytes:
    told = {
        "type": claimed.type,
        "timestamp": _MOMENT.dump_python(claimed.happened_at, mode="json"),
        "data": data,
    }
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
