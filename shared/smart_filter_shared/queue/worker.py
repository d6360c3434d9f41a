"""The queue as workers see it: stages are claimed, completed, released, retried and failed."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from smart_filter_shared.ids import Capability, JobId, LeaseToken, Tenant, WorkerId
from smart_filter_shared.queue import transitions
from smart_filter_shared.queue.hooks import JobHooks
from smart_filter_shared.queue.leases import (
    NO_GUARD,
    UNAVAILABLE,
    CompleteResult,
    Failure,
    Lease,
    StageOutcome,
    VersionGuard,
)
from smart_filter_shared.queue.submission import StagePayload


@dataclass(frozen=True, slots=True)
class QueueWorker:
    """The transitions that workers and the sweeper make; the caller commits.

    hooks: called when an album is ranked.
    """

    hooks: JobHooks

    def claim(
        self,
        connection: Connection,
        capability: Capability,
        *,
        worker: WorkerId,
        batch_size: int,
        lease_seconds: float,
        max_attempts: int,
        guard: VersionGuard = NO_GUARD,
        excluded: Collection[Tenant] = (),
    ) -> list[Lease]:
        """Claim the head of a queue and up to batch_size − 1 rows of its batch key."""
        return transitions.claim(
            connection,
            capability,
            worker=worker,
            batch_size=batch_size,
            lease_seconds=lease_seconds,
            max_attempts=max_attempts,
            guard=guard,
            excluded=excluded,
        )

    def renew(
        self, connection: Connection, leases: Sequence[Lease], *, lease_seconds: float
    ) -> set[LeaseToken]:
        """Extend leases; return the tokens of leases that still hold."""
        return transitions.renew(connection, leases, lease_seconds=lease_seconds)

    def charge(self, connection: Connection, lease: Lease, seconds: float) -> None:
        """Add seconds to the cost of a stage; nothing when the lease is lost."""
        transitions.charge(connection, lease, seconds)

    def complete(self, connection: Connection, batch: Sequence[StageOutcome]) -> CompleteResult:
        """Store the outcomes of stages whose leases hold, and make their dependents ready."""
        return transitions.complete(connection, batch, hooks=self.hooks)

    def release(
        self,
        connection: Connection,
        lease: Lease,
        *,
        delay_seconds: float,
        give_up_seconds: float,
        failure: Failure = UNAVAILABLE,
    ) -> list[Capability]:
        """Release a stage without penalty; return the capabilities to ring.  Raises LeaseLost."""
        return transitions.release(
            connection,
            lease,
            delay_seconds=delay_seconds,
            give_up_seconds=give_up_seconds,
            failure=failure,
            hooks=self.hooks,
        )

    def retry(
        self,
        connection: Connection,
        lease: Lease,
        failure: Failure,
        *,
        delay_seconds: float,
        max_attempts: int,
    ) -> None:
        """Schedule another attempt of a stage, or fail its job.  Raises LeaseLost."""
        transitions.retry(
            connection,
            lease,
            failure,
            delay_seconds=delay_seconds,
            max_attempts=max_attempts,
            hooks=self.hooks,
        )

    def reroute(
        self, connection: Connection, lease: Lease, capability: Capability, payload: StagePayload
    ) -> bool:
        """Move a stage to another capability, once per job; return whether it was moved.

        Raises LeaseLost.
        """
        return transitions.reroute(connection, lease, capability, payload)

    def fail(self, connection: Connection, lease: Lease, failure: Failure) -> None:
        """Fail a stage and its job.  Raises LeaseLost."""
        transitions.fail(connection, lease, failure, hooks=self.hooks)

    def rerun(
        self, connection: Connection, lease: Lease, gone: Collection[str]
    ) -> list[Capability]:
        """Run again the stages whose artifacts are missing; return the capabilities to ring.

        Raises LeaseLost, InputsExpired.
        """
        return transitions.rerun(connection, lease, gone)

    def expire(
        self,
        connection: Connection,
        *,
        max_attempts: int,
        give_up_seconds: float,
        ended: Collection[WorkerId] = (),
    ) -> list[Capability]:
        """Revoke expired leases, or the leases of `ended` workers; return an entry for each."""
        return transitions.expire(
            connection,
            max_attempts=max_attempts,
            give_up_seconds=give_up_seconds,
            hooks=self.hooks,
            ended=ended,
        )

    def wake(self, connection: Connection) -> list[Capability]:
        """Make due stages ready; return the capabilities to ring."""
        return transitions.wake(connection)

    def fail_overdue(self, connection: Connection) -> list[JobId]:
        """Fail the jobs whose deadlines have passed; return their ids."""
        return transitions.fail_overdue(connection, hooks=self.hooks)
