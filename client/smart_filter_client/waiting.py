"""Waits for jobs by looking at them, often at first and then less often."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence

from smart_filter_client.errors import NotFinishedInTime, ServerUnreachable, TryLater
from smart_filter_client.models import FINAL_STATES, Job

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


def finished(
    look: Callable[[str], Job],
    job_ids: Sequence[str],
    *,
    timeout: float | None,
    on_progress: Callable[[Job], None] | None,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> Iterator[Job]:
    """Yield each job when it is final; see Client.finished.

    look: returns a job as it is now.
    """
    started = last_heard = clock()
    pause = FIRST_PAUSE_SECONDS
    waiting = deque(job_ids)
    ending: set[str] = set()
    while waiting:
        try:
            for _ in range(min(_LOOKS_A_ROUND, len(waiting))):
                job = look(waiting[0])
                last_heard = clock()
                if on_progress is not None:
                    on_progress(job)
                if job.is_final:
                    waiting.popleft()
                    pause = FIRST_PAUSE_SECONDS
                    yield job
                    last_heard = clock()  # whoever took it may have been long about it
                    continue
                waiting.rotate(-1)
                if job.id not in ending and _is_ending(job):
                    ending.add(job.id)
                    pause = FIRST_PAUSE_SECONDS
        except (ServerUnreachable, TryLater):
            if clock() - last_heard > _AWAY_SECONDS:
                raise
        if not waiting:
            return
        left = float("inf") if timeout is None else started + timeout - clock()
        if timeout is not None and left <= 0:
            raise NotFinishedInTime(list(waiting), timeout)
        sleep(min(pause, left))
        pause = min(LONGEST_PAUSE_SECONDS, pause * _PAUSE_GROWTH)


def _is_ending(job: Job) -> bool:
    left = [stage for stage in job.stages if stage.state not in FINAL_STATES]
    return len(left) == 1 and left[0].state == "running"
