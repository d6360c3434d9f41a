"""The priority of a job."""

from enum import StrEnum


class Priority(StrEnum):
    """The priority of a job: `interactive` overtakes `standard`, and `batch` yields to it."""

    STANDARD = "standard"
    INTERACTIVE = "interactive"
    BATCH = "batch"
