"""The Protocol by which the queue asks about the jobs that it moves, and never their content."""

from typing import Protocol

from sqlalchemy import Connection

from smart_filter_shared.ids import BatchId, JobId


class JobHooks(Protocol):
    """Called within a transition, with the jobs locked."""

    def rank_album(self, connection: Connection, batch_id: BatchId) -> list[JobId]:
        """Rank the unfinished jobs of an album, store their ranks, and return them, best first.

        The album's take, which is none of them, gets the list of its shots. The queue then lets
        the best, or the take, run their gated stage, and ends the others.
        """
        ...

    def forget_job(self, connection: Connection, job_id: JobId) -> None:
        """Delete what was derived from a job, which is about to be deleted."""
        ...
