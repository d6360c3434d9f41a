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

Tests have the table of all moves, and compare it with what the transitions do.
"""

from enum import StrEnum


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
