"""Where a job stands in the queue and when it will have ended, in words."""

from collections.abc import Iterable
from dataclasses import dataclass

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
    before = f"{queue.position - 1} before it, " if queue.position > 1 else ""
    if queue.ends is None:
        return f"{before}held up by the operator"
    return f"{before}done in {_within(*queue.ends)}"


def told_of_all(jobs: Iterable[Job]) -> str | None:
    """Return when the last of them will have ended; None when nobody knows."""
    queues = [queue for job in jobs if (queue := _queue(job)) is not None]
    ends = [queue.ends for queue in queues if queue.ends is not None]
    if not queues or len(ends) < len(queues):
        return None
    return f"all done in {_within(max(one[0] for one in ends), max(one[1] for one in ends))}"


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


@dataclass(frozen=True, slots=True)
class _Queue:
    """ends: in how many seconds half of such jobs have, and nine tenths; None: nobody knows."""

    position: int
    ends: tuple[float, float] | None


def _queue(job: Job) -> _Queue | None:
    fields = Fields(job.document, "a job").object_or_none("queue")
    if fields is None or job.is_final:
        return None
    half, most = fields.number_or_none("eta_p50_s"), fields.number_or_none("eta_p90_s")
    ends = None if half is None or most is None else (half, most)
    return _Queue(fields.integer_or_none("position") or 0, ends)


def _within(half: float, most: float) -> str:
    about, at_most = span(half), span(most)
    return f"about {about}" if about == at_most else f"about {about}, {at_most} at most"
