"""Where a job stands in the queue and when it will have ended, in words."""

from collections.abc import Iterable

from smart_filter_client.fields import Fields
from smart_filter_client.models import Job

_MINUTE_SECONDS = 60
_HOUR_SECONDS = 3600


def told(job: Job) -> str | None:
    """Return where a job stands, such as `3 before it, done in about 4 s, 9 s at most`.

    None when it has ended, or the server does not say.
    """
    queue = _queue(job)
    if queue is None:
        return None
    position, half, most = queue
    before = f"{position - 1} before it, " if position > 1 else ""
    return f"{before}done in {_within(half, most)}"


def told_of_all(jobs: Iterable[Job]) -> str | None:
    """Return when the last of them will have ended; None when nobody knows."""
    queues = [queue for job in jobs if (queue := _queue(job)) is not None]
    if not queues:
        return None
    return f"all done in {_within(max(one[1] for one in queues), max(one[2] for one in queues))}"


def degraded(job: Job) -> str | None:
    """Return what was given up for a job's deadline; None when nothing was."""
    given_up = Fields(job.document, "a job").texts("degraded")
    return ", ".join(given_up) or None


def span(seconds: float) -> str:
    """Return a time as people say it, such as `3 min`."""
    if seconds < _MINUTE_SECONDS:
        return f"{max(1, round(seconds))} s"
    if seconds < _HOUR_SECONDS:
        return f"{round(seconds / _MINUTE_SECONDS)} min"
    return f"{round(seconds / _HOUR_SECONDS)} h"


def _queue(job: Job) -> tuple[int, float, float] | None:
    fields = Fields(job.document, "a job").object_or_none("queue")
    if fields is None or job.is_final:
        return None
    position = fields.integer_or_none("position") or 0
    return position, fields.number("eta_p50_s"), fields.number("eta_p90_s")


def _within(half: float, most: float) -> str:
    about, at_most = span(half), span(most)
    return f"about {about}" if about == at_most else f"about {about}, {at_most} at most"
