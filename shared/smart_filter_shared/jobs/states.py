"""The states of stages and jobs, and every way from one to another.

A stage:

    waiting ─▶ ready ─▶ running ─▶ succeeded ─ reopen ─▶ waiting, ready
    ▲  │        ▲ │      │ │ └───▶ failed ─ redrive ─▶ ready
    │  │        └─┼──────┘ │       (release, reroute)
    │  └▶ canceled┴────────┴─────▶ canceled ─ redrive ─▶ waiting, ready
    └─ retry, release and expire with `not_before`; reopen of what it needs

What waits or is ready when its job's deadline passes fails, its siblings are canceled (lapse).
Of an album the best leave `waiting` for `ready`, and the others succeed without `composite`,
by whatever ends the last rating (transitions/batches.py).

A job is queued until one of its stages was claimed, then running until a transition
decides its end: succeeded, failed or canceled.

docs/architecture.md lists the moves, and tests hold page, data and database together.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar


class StageState(StrEnum):
    """Where a stage stands.

    waiting: for stages that it needs, or for `not_before`.  ready: may be claimed now.
    running: somebody holds its lease.  The others are final.
    """

    WAITING = "waiting"
    READY = "ready"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


class JobState(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


State = TypeVar("State", StageState, JobState)


@dataclass(frozen=True, slots=True)
class Move(Generic[State]):
    """A way from one state to another, and the transitions that take it."""

    before: State
    after: State
    by: tuple[str, ...]


# What can end a job as failed: a stage that fails takes its siblings along.
_ENDING = ("expire", "fail", "release", "retry")
# What can end the last rating of an album, and so move its other jobs.
_RANKING = ("cancel", "complete", "delete", *_ENDING, "lapse")

STAGE_MOVES = (
    Move(StageState.WAITING, StageState.READY, by=(*_RANKING, "wake")),
    Move(StageState.WAITING, StageState.FAILED, by=("lapse",)),
    Move(StageState.WAITING, StageState.CANCELED, by=("cancel", *_ENDING, "lapse")),
    Move(StageState.READY, StageState.RUNNING, by=("claim",)),
    Move(StageState.READY, StageState.WAITING, by=("reopen",)),
    Move(StageState.READY, StageState.FAILED, by=("lapse",)),
    Move(StageState.READY, StageState.CANCELED, by=("cancel", *_ENDING, "lapse")),
    Move(StageState.RUNNING, StageState.SUCCEEDED, by=("complete",)),
    Move(StageState.RUNNING, StageState.WAITING, by=("expire", "release", "reopen", "retry")),
    Move(StageState.RUNNING, StageState.READY, by=("release", "reroute")),
    Move(StageState.RUNNING, StageState.FAILED, by=_ENDING),
    Move(StageState.RUNNING, StageState.CANCELED, by=("cancel", *_ENDING)),
    Move(StageState.SUCCEEDED, StageState.WAITING, by=("reopen",)),
    Move(StageState.SUCCEEDED, StageState.READY, by=("reopen",)),
    Move(StageState.FAILED, StageState.READY, by=("redrive",)),
    Move(StageState.CANCELED, StageState.READY, by=("redrive",)),
    Move(StageState.CANCELED, StageState.WAITING, by=("redrive",)),
)

JOB_MOVES = (
    Move(JobState.QUEUED, JobState.RUNNING, by=("claim",)),
    Move(JobState.QUEUED, JobState.FAILED, by=("lapse",)),
    Move(JobState.QUEUED, JobState.CANCELED, by=("cancel",)),
    Move(JobState.RUNNING, JobState.SUCCEEDED, by=_RANKING),
    Move(JobState.RUNNING, JobState.FAILED, by=(*_ENDING, "lapse")),
    Move(JobState.RUNNING, JobState.CANCELED, by=("cancel",)),
    Move(JobState.FAILED, JobState.RUNNING, by=("redrive",)),
)
