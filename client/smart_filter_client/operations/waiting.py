"""Waits until jobs, or a batch, have ended.

One job is waited for with `Prefer: wait`: the server answers when it has ended, or, where the
caller wants to see progress, whenever it is not any more what it was. Several jobs, and one on
a server that does not wait, are looked at: often at first and then less often.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import httpx

from smart_filter_client import exchange
from smart_filter_client.errors import NotFinishedInTime, ServerUnreachable, TryLater
from smart_filter_client.flows import Feed, Flow, Item, Server, Sleep
from smart_filter_client.models import FINAL_STATES, Batch, Job, batch_from, job_from
from smart_filter_client.requests import Request, path

# A small photo takes about 0.2 s, so the first looks cost it little; a long wait costs the
# server four looks a second. A job whose last stage runs is looked at often again: else the
# pause that it ends in would be a fifth of what it took.
FIRST_PAUSE_SECONDS = 0.03
LONGEST_PAUSE_SECONDS = 0.25
_PAUSE_GROWTH = 1.3
# However many jobs are awaited, so many are looked at between two pauses.
_LOOKS_A_ROUND = 8
# A server that is started again is back within seconds.
_AWAY_SECONDS = 15.0
# Below what servers allow, and proxies that cut a connection on which nothing comes.
_HELD_SECONDS = 25
_APPLIED = "Preference-Applied"

T = TypeVar("T", Job, Batch)
OnProgress = Callable[[T], None]


@dataclass(frozen=True, slots=True)
class _Kind(Generic[T]):
    """What is waited for: where it lies on the server, and how it is read."""

    folder: str
    read: Callable[[object], T]


_JOBS = _Kind("jobs", job_from)
_BATCHES = _Kind("batches", batch_from)


def wait(
    server: Server,
    job_id: str,
    timeout: float | None = None,
    on_progress: OnProgress[Job] | None = None,
) -> Flow[Job]:
    """Return a job when it is final.

    timeout: seconds, None for ever.  on_progress: called with the job whenever it is looked at.
    A server that is away for some seconds meanwhile is waited for.  Raises NotFinishedInTime.
    """
    return (yield from _next(_begin(server, _JOBS, [job_id], timeout, on_progress)))


def finished(
    server: Server,
    job_ids: Sequence[str],
    timeout: float | None = None,
    on_progress: OnProgress[Job] | None = None,
) -> Feed[Job]:
    """Yield each of the jobs when it is final, whichever is first.

    A server that is away for some seconds meanwhile is waited for.
    Raises NotFinishedInTime for those that are left when `timeout` seconds are over.
    """
    waiting = _begin(server, _JOBS, job_ids, timeout, on_progress)
    while waiting.left:
        yield Item((yield from _next(waiting)))
        waiting.last_heard = server.clock()  # whoever took it may have been long about it


def wait_batch(
    server: Server,
    batch_id: str,
    timeout: float | None = None,
    on_progress: OnProgress[Batch] | None = None,
) -> Flow[Batch]:
    """Return a batch when none of its photos is on its way any more.

    timeout: seconds, None for ever.  on_progress: called with the batch whenever it is looked at.
    Raises NotFinishedInTime.
    """
    return (yield from _next(_begin(server, _BATCHES, [batch_id], timeout, on_progress)))


@dataclass(slots=True)
class _Waiting(Generic[T]):
    """Who is waited for, and what is known of them; times on the server's clock."""

    server: Server
    kind: _Kind[T]
    left: deque[str]
    timeout: float | None
    on_progress: OnProgress[T] | None
    started: float
    last_heard: float
    pause: float = FIRST_PAUSE_SECONDS
    ending: set[str] = field(default_factory=set)
    tag: str | None = None  # of the one that is left, as it was last seen

    def seconds_left(self) -> float:
        if self.timeout is None:
            return float("inf")
        return self.started + self.timeout - self.server.clock()


@dataclass(frozen=True, slots=True)
class _Look(Generic[T]):
    """What one look tells: what is there, None while it is what it was; was the look held."""

    found: T | None
    was_held: bool


def _begin(
    server: Server,
    kind: _Kind[T],
    ids: Sequence[str],
    timeout: float | None,
    on_progress: OnProgress[T] | None,
) -> _Waiting[T]:
    now = server.clock()
    return _Waiting(server, kind, deque(ids), timeout, on_progress, started=now, last_heard=now)


def _next(waiting: _Waiting[T]) -> Flow[T]:
    """Return the next of those that is final; it is not waited for any more."""
    while True:
        was_held = False
        asked_pause = 0.0
        try:
            for _ in range(min(_LOOKS_A_ROUND, len(waiting.left))):
                look = yield from _look(waiting)
                was_held = look.was_held
                if look.found is not None and _took_note(waiting, look.found):
                    return look.found
        except (ServerUnreachable, TryLater) as error:
            asked_pause = getattr(error, "retry_after", None) or 0.0
            if waiting.server.clock() - waiting.last_heard > _AWAY_SECONDS:
                raise
        seconds_left = waiting.seconds_left()
        if seconds_left <= 0:
            raise NotFinishedInTime(list(waiting.left), waiting.timeout or 0.0)
        if was_held:
            continue
        yield Sleep(min(max(waiting.pause, asked_pause), seconds_left))
        waiting.pause = min(LONGEST_PAUSE_SECONDS, waiting.pause * _PAUSE_GROWTH)


def _took_note(waiting: _Waiting[T], found: T) -> bool:
    """Remember what something is by now; return whether it is final."""
    if waiting.on_progress is not None:
        waiting.on_progress(found)
    if found.is_final:
        waiting.left.popleft()
        waiting.pause = FIRST_PAUSE_SECONDS
        waiting.tag = None
        return True
    waiting.left.rotate(-1)
    if found.id not in waiting.ending and _is_ending(found):
        waiting.ending.add(found.id)
        waiting.pause = FIRST_PAUSE_SECONDS
    return False


def _look(waiting: _Waiting[T]) -> Flow[_Look[T]]:
    """Look at the first of those who are left; if it is the only one, for as long as it takes."""
    headers: dict[str, str] = {}
    seconds = 0
    # Whoever wants to see progress sees first what there is; the server waits for what is not.
    sees_progress = waiting.on_progress is not None
    if len(waiting.left) == 1 and not (sees_progress and waiting.tag is None):
        seconds = int(min(_HELD_SECONDS, waiting.seconds_left()))
        if seconds >= 1:
            headers["Prefer"] = f"wait={seconds}"
        if sees_progress and waiting.tag is not None:
            headers["If-None-Match"] = waiting.tag
    request = Request(
        method="GET",
        path=path(waiting.kind.folder, waiting.left[0]),
        headers=headers,
        patience=seconds,
    )
    # Patience of its own: what the waiting does when the server is away is its caller's.
    response = yield from exchange.ask(waiting.server, request, attempts=1)
    waiting.last_heard = waiting.server.clock()
    was_held = _APPLIED in response.headers
    if response.status_code == httpx.codes.NOT_MODIFIED:
        return _Look(None, was_held)
    waiting.tag = response.headers.get("ETag") if len(waiting.left) == 1 else None
    return _Look(waiting.kind.read(exchange.document(waiting.server, response)), was_held)


def _is_ending(found: Job | Batch) -> bool:
    if isinstance(found, Batch):
        return False
    left = [stage for stage in found.stages if stage.state not in FINAL_STATES]
    return len(left) == 1 and left[0].state == "running"
