"""The priority of a job."""

from enum import StrEnum


class Priority(StrEnum):
    """How much of a head start a job gets over other jobs (queue/fair_queueing.py)."""

    STANDARD = "standard"
    INTERACTIVE = "interactive"
    BATCH = "batch"
