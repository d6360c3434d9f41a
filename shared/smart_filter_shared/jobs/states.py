"""The states of stages and jobs.

A stage:

    waiting ─▶ ready ─▶ running ─▶ succeeded
    ▲  │        ▲ │      │ │ └───▶ failed
    │  │        └─┼──────┘ │       (release)
    │  └▶ canceled┴────────┴─────▶ canceled
    └─ retry, release and expire with `not_before`

A job is queued until one of its stages was claimed, then running until a transition
decides its end: succeeded, failed or canceled.
"""

from enum import StrEnum


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
