"""The states of stages and jobs, and every move between them.

A stage:

    waiting ─▶ ready ─▶ running ─▶ succeeded ─ rerun ─▶ waiting, ready
    ▲  │        ▲ │      │ │ └───▶ failed ─ redrive ─▶ waiting, ready
    │  │        └─┼──────┘ │       (release, reroute)
    │  └▶ canceled┴────────┴─────▶ canceled ─ redrive ─▶ waiting, ready
    └─ retry, release and expire with `not_before`; rerun of a stage that it needs

When a job's deadline passes, a waiting or ready stage fails and its siblings are canceled
(fail_overdue). The transition that ends the last rating of an album ranks it: `composite` of the
best photos, or `prepare` of the take, moves from `waiting` to `ready`, and the other jobs succeed
without that stage (transitions/batches.py).

A job is queued until one of its stages is claimed, then running until a transition ends it as
succeeded, failed or canceled.

docs/architecture.md lists the moves; tests compare the page, this table and the database.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar


class StageState(StrEnum):
    """The state of a stage.

    waiting: for stages that it needs, or until `not_before`.  ready: can be claimed.
    running: a worker holds its lease.  The other states are final.
    """

    WAITING = "waiting"
    READY = "ready"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


class JobState(StrEnum):
    """The state of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


State = TypeVar("State", StageState, JobState)


@dataclass(frozen=True, slots=True)
class Move(Generic[State]):
    """A move from one state to another, and the transitions that make it."""

    before: State
    after: State
    by: tuple[str, ...]


# Transitions that can end a job as failed; they also cancel the failed stage's siblings.
_CAN_FAIL_JOB = ("expire", "fail", "release", "retry")
# Transitions that can end the last rating of an album, and so move its other jobs.
_CAN_RANK_ALBUM = ("cancel", "complete", "delete", *_CAN_FAIL_JOB, "fail_overdue")

STAGE_MOVES = (
    Move(StageState.WAITING, StageState.READY, by=(*_CAN_RANK_ALBUM, "wake")),
    Move(StageState.WAITING, StageState.FAILED, by=("fail_overdue",)),
    Move(StageState.WAITING, StageState.CANCELED, by=("cancel", *_CAN_FAIL_JOB, "fail_overdue")),
    # A stage that ran under the lease of another stage of its job.
    Move(StageState.WAITING, StageState.SUCCEEDED, by=("complete",)),
    Move(StageState.READY, StageState.RUNNING, by=("claim",)),
    Move(StageState.READY, StageState.WAITING, by=("rerun",)),
    Move(StageState.READY, StageState.FAILED, by=("fail_overdue",)),
    Move(StageState.READY, StageState.CANCELED, by=("cancel", *_CAN_FAIL_JOB, "fail_overdue")),
    Move(StageState.RUNNING, StageState.SUCCEEDED, by=("complete",)),
    Move(StageState.RUNNING, StageState.WAITING, by=("expire", "release", "rerun", "retry")),
    Move(StageState.RUNNING, StageState.READY, by=("release", "reroute")),
    Move(StageState.RUNNING, StageState.FAILED, by=_CAN_FAIL_JOB),
    Move(StageState.RUNNING, StageState.CANCELED, by=("cancel", *_CAN_FAIL_JOB)),
    Move(StageState.SUCCEEDED, StageState.WAITING, by=("rerun",)),
    Move(StageState.SUCCEEDED, StageState.READY, by=("rerun",)),
    Move(StageState.FAILED, StageState.READY, by=("redrive",)),
    # `prepare` of a take whose deadline passed before the ranking.
    Move(StageState.FAILED, StageState.WAITING, by=("redrive",)),
    Move(StageState.CANCELED, StageState.READY, by=("redrive",)),
    Move(StageState.CANCELED, StageState.WAITING, by=("redrive",)),
)

JOB_MOVES = (
    Move(JobState.QUEUED, JobState.RUNNING, by=("claim",)),
    Move(JobState.QUEUED, JobState.FAILED, by=("fail_overdue",)),
    Move(JobState.QUEUED, JobState.CANCELED, by=("cancel",)),
    Move(JobState.RUNNING, JobState.SUCCEEDED, by=_CAN_RANK_ALBUM),
    Move(JobState.RUNNING, JobState.FAILED, by=(*_CAN_FAIL_JOB, "fail_overdue")),
    Move(JobState.RUNNING, JobState.CANCELED, by=("cancel",)),
    Move(JobState.FAILED, JobState.RUNNING, by=("redrive",)),
    # None of its stages was claimed before its deadline.
    Move(JobState.FAILED, JobState.QUEUED, by=("redrive",)),
)
