"""The queue as its clients see it: jobs are submitted, canceled, redriven and deleted."""

from dataclasses import dataclass

from sqlalchemy import Connection

from smart_filter_shared.artifacts.retention import MarkedArtifact
from smart_filter_shared.ids import BatchId, Capability, JobId, Tenant
from smart_filter_shared.queue import transitions
from smart_filter_shared.queue.hooks import JobHooks
from smart_filter_shared.queue.submission import NewBatch, NewJob, WrittenJob


@dataclass(frozen=True, slots=True)
class QueueClient:
    """The transitions that clients make; the caller commits.

    hooks: called when an album is ranked or a job is deleted.
    """

    hooks: JobHooks

    def submit(self, connection: Connection, job: NewJob) -> WrittenJob:
        """Write a job and its stages."""
        return transitions.submit(connection, job)

    def submit_batch(self, connection: Connection, batch: NewBatch) -> list[Capability]:
        """Write a batch with its jobs and rejected items; return the capabilities to ring."""
        return transitions.submit_batch(connection, batch, hooks=self.hooks)

    def cancel(self, connection: Connection, job_id: JobId, tenant: Tenant) -> None:
        """Cancel a job.  Raises NotFound, JobFinal."""
        transitions.cancel(connection, job_id, tenant, hooks=self.hooks)

    def cancel_batch(self, connection: Connection, batch_id: BatchId, tenant: Tenant) -> None:
        """Cancel the unfinished jobs of a batch.  Raises NotFound, JobFinal."""
        transitions.cancel_batch(connection, batch_id, tenant, hooks=self.hooks)

    def redrive(self, connection: Connection, job_id: JobId, tenant: Tenant) -> list[Capability]:
        """Continue a failed job; return the capabilities to ring.

        Raises NotFound, JobFinal, JobNotFinished, InputsExpired.
        """
        return transitions.redrive(connection, job_id, tenant)

    def delete(self, connection: Connection, job_id: JobId, tenant: Tenant) -> list[MarkedArtifact]:
        """Delete a job; return the artifacts whose objects are to be deleted.  Raises NotFound."""
        return transitions.delete(connection, job_id, tenant, hooks=self.hooks)

    def begin_batch_deletion(
        self, connection: Connection, batch_id: BatchId, tenant: Tenant
    ) -> None:
        """Mark a batch as deleted.  Raises NotFound."""
        transitions.begin_batch_deletion(connection, batch_id, tenant)

    def continue_batch_deletion(
        self, connection: Connection, batch_id: BatchId, tenant: Tenant, *, most: int
    ) -> dict[JobId, list[MarkedArtifact]]:
        """Delete up to `most` jobs of a batch; return their marked artifacts."""
        return transitions.continue_batch_deletion(
            connection, batch_id, tenant, most=most, hooks=self.hooks
        )

    def list_stalled_deletions(
        self, connection: Connection, *, seconds: float, most: int
    ) -> list[tuple[BatchId, Tenant]]:
        """Return up to `most` batches whose deletion began over `seconds` ago."""
        return transitions.list_stalled_deletions(connection, seconds=seconds, most=most)
