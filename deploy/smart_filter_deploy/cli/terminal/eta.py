"""Queue position and ETA of jobs, as text."""

from collections.abc import Iterable
from dataclasses import dataclass

from smart_filter_client.fields import Fields
from smart_filter_client.models import Job

_MINUTE_SECONDS = 60
_HOUR_SECONDS = 3600


def describe_position(job: Job) -> str | None:
    """Return a job's position and ETA, such as `3 before it, done in about 4 s, 9 s at most`.

    None when the job is finished, or the server gives no position.
    """
    queue = _parse_queue(job)
    if queue is None:
        return None
    before = f"{queue.position - 1} before it, " if queue.position > 1 else ""
    if queue.ends is None:
        return f"{before}paused by the operator"
    return f"{before}done in {_format_range(*queue.ends)}"


def describe_completion(jobs: Iterable[Job]) -> str | None:
    """Return the ETA of the last job; None when it is unknown."""
    queues = [queue for job in jobs if (queue := _parse_queue(job)) is not None]
    ends = [queue.ends for queue in queues if queue.ends is not None]
    if not queues or len(ends) < len(queues):
        return None
    return f"all done in {_format_range(max(one[0] for one in ends), max(one[1] for one in ends))}"


def describe_degraded(job: Job) -> str | None:
    """Return the quality settings reduced to meet a job's deadline; None when there are none."""
    given_up = Fields(job.document, "a job").texts("degraded")
    return ", ".join(given_up) or None


def format_duration(seconds: float) -> str:
    """Return a rounded duration, such as `3 min`."""
    if seconds < _MINUTE_SECONDS:
        return f"{max(1, round(seconds))} s"
    if seconds < _HOUR_SECONDS:
        return f"{round(seconds / _MINUTE_SECONDS)} min"
    return f"{round(seconds / _HOUR_SECONDS)} h"


@dataclass(frozen=True, slots=True)
class _QueuePosition:
    """Position in the queue, and the ETA in seconds as p50 and p90; None if unknown."""

    position: int
    ends: tuple[float, float] | None


def _parse_queue(job: Job) -> _QueuePosition | None:
    fields = Fields(job.document, "a job").object_or_none("queue")
    if fields is None or job.is_final:
        return None
    half, most = fields.number_or_none("eta_p50_s"), fields.number_or_none("eta_p90_s")
    ends = None if half is None or most is None else (half, most)
    return _QueuePosition(fields.integer_or_none("position") or 0, ends)


def _format_range(half: float, most: float) -> str:
    about, at_most = format_duration(half), format_duration(most)
    return f"about {about}" if about == at_most else f"about {about}, {at_most} at most"
