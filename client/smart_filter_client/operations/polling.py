"""Wait until jobs, or a batch, have ended; submit, wait and fetch in one call.

For one job the client uses `Prefer: wait`: the server responds when the job has ended, or, if the
caller wants progress, whenever the job has changed. Several jobs, and a job on
a server that does not wait, are polled: often at first and then less often.
"""

import dataclasses
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

import httpx

from smart_filter_client.errors import NotFinishedInTime, ServerUnreachable, TryLater
from smart_filter_client.http import exchange
from smart_filter_client.http.connection import Connection, Request, path
from smart_filter_client.models import Batch, Job, Output
from smart_filter_client.operations import jobs, outputs
from smart_filter_client.operations.photos import Photo, Picture
from smart_filter_client.reading import read_answer
from smart_filter_client.recipe import NO_FIELDS, Recipe
from smart_filter_wire.jobs import FINAL_STATES
from smart_filter_wire.words import OutputName

# A small photo takes about 0.2 s, so short first pauses add little to it; a long wait costs the
# server four polls a second. A job in its last stage is polled often again: else the last pause
# could add a fifth to its time.
FIRST_PAUSE_SECONDS = 0.03
MAX_PAUSE_SECONDS = 0.25
_PAUSE_GROWTH = 1.3
# Limits the polls between two pauses, for any number of awaited jobs.
_MAX_POLLS_PER_ROUND = 8
# A restarted server is back within seconds; this limits how long an outage is tolerated.
_MAX_AWAY_SECONDS = 15.0
# Below the limit of servers, and the idle timeout of proxies.
_LONG_POLL_SECONDS = 25
# An answer can be on its way when the timeout of the caller passes.
_GRACE_SECONDS = 2.0
_APPLIED_HEADER = "Preference-Applied"

T = TypeVar("T", Job, Batch)
OnProgress = Callable[[T], None]


_FOLDERS: Final[Mapping[type, str]] = {Job: "jobs", Batch: "batches"}

# Outputs that the job itself shows.
_SHOWN = frozenset[OutputName]({"faces", "rating", "printability"})


async def wait(
    client: Connection,
    job_id: str,
    timeout: float | None = None,
    on_progress: OnProgress[Job] | None = None,
) -> Job:
    """Return a job when it is final.

    timeout: seconds for the whole call, also if the server is slow; None: no limit.
    on_progress: called with the job after each poll.
    Tolerates a server that is unreachable for some seconds.  Raises NotFinishedInTime.
    """
    return await _next(_begin(client, Job, [job_id], timeout, on_progress))


async def finished(
    client: Connection,
    job_ids: Sequence[str],
    timeout: float | None = None,
    on_progress: OnProgress[Job] | None = None,
) -> AsyncGenerator[Job]:
    """Yield each of the jobs when it is final, in the order of their ends.

    Tolerates a server that is unreachable for some seconds.
    Raises NotFinishedInTime for those that are unfinished after `timeout` seconds.
    """
    waiting = _begin(client, Job, job_ids, timeout, on_progress)
    while waiting.left:
        yield await _next(waiting)
        waiting.last_heard = client.clock()  # the caller may have taken long over the result


async def wait_batch(
    client: Connection,
    batch_id: str,
    timeout: float | None = None,
    on_progress: OnProgress[Batch] | None = None,
) -> Batch:
    """Return a batch when all of its photos have ended.

    timeout: seconds for the whole call, also if the server is slow; None: no limit.
    on_progress: called with the batch after each poll.
    Raises NotFinishedInTime.
    """
    return await _next(_begin(client, Batch, [batch_id], timeout, on_progress))


@dataclass(slots=True)
class _WaitState(Generic[T]):
    """The awaited ids and their state; times by `client.clock`."""

    client: Connection
    kind: type[T]
    left: deque[str]
    timeout: float | None
    on_progress: OnProgress[T] | None
    started: float
    last_heard: float
    pause: float = FIRST_PAUSE_SECONDS
    ending: set[str] = field(default_factory=set)
    tag: str | None = None  # ETag of the last remaining resource

    def seconds_left(self) -> float:
        if self.timeout is None:
            return float("inf")
        return self.started + self.timeout - self.client.clock()


@dataclass(frozen=True, slots=True)
class _PollResult(Generic[T]):
    """Result of one poll: the resource, None if unchanged; whether the server held the request."""

    resource: T | None
    was_held: bool


def _begin(
    client: Connection,
    kind: type[T],
    ids: Sequence[str],
    timeout: float | None,
    on_progress: OnProgress[T] | None,
) -> _WaitState[T]:
    now = client.clock()
    return _WaitState(client, kind, deque(ids), timeout, on_progress, started=now, last_heard=now)


async def _next(waiting: _WaitState[T]) -> T:
    """Wait for the next final resource; remove it from the awaited ids and return it."""
    while True:
        was_held = False
        asked_pause = 0.0
        try:
            for _ in range(min(_MAX_POLLS_PER_ROUND, len(waiting.left))):
                look = await _poll(waiting)
                was_held = look.was_held
                if look.resource is not None and _record_state(waiting, look.resource):
                    return look.resource
        except (ServerUnreachable, TryLater) as error:
            asked_pause = getattr(error, "retry_after", None) or 0.0
            is_away = waiting.client.clock() - waiting.last_heard > _MAX_AWAY_SECONDS
            if is_away and waiting.seconds_left() > 0:
                raise
        seconds_left = waiting.seconds_left()
        if seconds_left <= 0:
            raise NotFinishedInTime(list(waiting.left), waiting.timeout or 0.0)
        if was_held:
            continue
        await waiting.client.backend.sleep(min(max(waiting.pause, asked_pause), seconds_left))
        waiting.pause = min(MAX_PAUSE_SECONDS, waiting.pause * _PAUSE_GROWTH)


def _record_state(waiting: _WaitState[T], state: T) -> bool:
    """Record the state of a resource; return whether it is final."""
    if waiting.on_progress is not None:
        waiting.on_progress(state)
    if state.is_final:
        waiting.left.popleft()
        waiting.pause = FIRST_PAUSE_SECONDS
        waiting.tag = None
        return True
    waiting.left.rotate(-1)
    if state.id not in waiting.ending and _is_in_last_stage(state):
        waiting.ending.add(state.id)
        waiting.pause = FIRST_PAUSE_SECONDS
    return False


async def _poll(waiting: _WaitState[T]) -> _PollResult[T]:
    """Poll the first awaited id; with a long poll if it is the only one."""
    headers: dict[str, str] = {}
    seconds = 0
    # For progress the first poll returns at once; later ones wait for a change.
    sees_progress = waiting.on_progress is not None
    if len(waiting.left) == 1 and not (sees_progress and waiting.tag is None):
        seconds = int(min(_LONG_POLL_SECONDS, waiting.seconds_left()))
        if seconds >= 1:
            headers["Prefer"] = f"wait={seconds}"
        if sees_progress and waiting.tag is not None:
            headers["If-None-Match"] = waiting.tag
    request = Request(
        method="GET",
        path=path(_FOLDERS[waiting.kind], waiting.left[0]),
        headers=headers,
        patience=seconds,
        max_seconds=max(0.0, waiting.seconds_left()) + _GRACE_SECONDS,
    )
    # One attempt: the caller decides what happens while the server is unreachable.
    response = await exchange.ask(waiting.client, request, attempts=1)
    waiting.last_heard = waiting.client.clock()
    was_held = _APPLIED_HEADER in response.headers
    if response.status_code == httpx.codes.NOT_MODIFIED:
        return _PollResult(None, was_held)
    waiting.tag = response.headers.get("ETag") if len(waiting.left) == 1 else None
    return _PollResult(
        read_answer(waiting.kind, exchange.parse_document(waiting.client, response)), was_held
    )


def _is_in_last_stage(state: Job | Batch) -> bool:
    if isinstance(state, Batch):
        return False
    left = [stage for stage in state.stages if stage.state not in FINAL_STATES]
    return len(left) == 1 and left[0].state == "running"


async def run(
    client: Connection,
    photo: Photo,
    recipe: Recipe = NO_FIELDS,
    *,
    background_file: Picture | None = None,
    timeout: float | None = None,
    expires_in: int | None = None,
    idempotency_key: str | None = None,
) -> Job:
    """Submit a photo, wait for its job and fetch its outputs; return the job.

    job.save("out.jpg") writes its image, job.save("out.png", "cutout") another output.
    photo, recipe, background_file, expires_in, idempotency_key: as for `submit`.
    timeout: seconds for the job after its submission, None: no limit.
    A failed job is returned too, see `job.succeeded`; its `save` raises NoOutput.
    Raises NotFinishedInTime, and OSError when a file cannot be read.
    """
    job = await jobs.submit(
        client,
        photo,
        recipe,
        background_file=background_file,
        expires_in=expires_in,
        idempotency_key=idempotency_key,
    )
    job = await wait(client, job.id, timeout)
    files: dict[OutputName, Output] = {}
    for name in job.outputs:
        if name not in _SHOWN:
            files[name] = await outputs.output(client, job.id, name)
    return dataclasses.replace(job, files=files)
