"""Trace each batch: one span in the trace of every photo, with its steps."""

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from smart_filter_shared.ids import Capability, LeaseToken, WorkerId
from smart_filter_shared.pipeline import LEADING_TASK
from smart_filter_shared.queue.leases import Lease
from smart_filter_shared.telemetry.metrics import WorkerStep
from smart_filter_shared.telemetry.tracing import (
    NULL_TRACES,
    Attribute,
    Attributes,
    Span,
    SpanKind,
    Traces,
)
from smart_filter_workers.system.resources import GPU

_CPU: Final = "cpu"


class BatchTracer:
    """Adds the batches of a process to the traces of their jobs; safe for threads.

    on_gpu: the capabilities that run on a GPU here.
    """

    def __init__(self, traces: Traces, worker: WorkerId, *, on_gpu: Collection[Capability]) -> None:
        self._traces = traces
        self._worker = worker
        self._on_gpu = on_gpu

    def export(self, trail: "BatchTrace", runs: Sequence[tuple[Lease, str]]) -> None:
        """Add a batch that has ended.

        runs: its leases, each with the error code, empty if the work succeeded.
        """
        if self._traces is NULL_TRACES:
            return
        ended_ns = time.time_ns()
        members = [
            (
                lease.job_id,
                Span(
                    lease.stage,
                    trail.began_ns,
                    ended_ns,
                    SpanKind.CONSUMER,
                    {
                        **self._of_batch(lease, len(runs)),
                        Attribute.JOB: str(lease.job_id),
                        Attribute.ATTEMPT: lease.attempt,
                    },
                    trouble,
                    trail.steps_of(lease),
                ),
            )
            for lease, trouble in runs
        ]
        if len(members) == 1:
            self._traces.add(*members[0])
            return
        first, _ = runs[0]
        batch = Span(
            f"{first.stage} batch",
            trail.began_ns,
            ended_ns,
            SpanKind.CONSUMER,
            self._of_batch(first, len(runs)),
        )
        self._traces.add_batch(batch, members)

    def _of_batch(self, lease: Lease, size: int) -> Attributes:
        return {
            Attribute.CAPABILITY: lease.capability,
            Attribute.MODEL: lease.models.get(LEADING_TASK[lease.stage], ""),
            Attribute.DEVICE: GPU if lease.capability in self._on_gpu else _CPU,
            Attribute.BATCH_SIZE: size,
            Attribute.WORKER: str(self._worker),
        }


class BatchTrace:
    """The begin and end of each step of a batch; for one thread."""

    def __init__(self, began_ns: int | None = None) -> None:
        self.began_ns = began_ns or time.time_ns()
        self._claim: list[Span] = []
        self._steps: dict[LeaseToken, list[Span]] = {}

    def record_claim(self) -> None:
        """Record the claim, which has just ended and is one for all leases."""
        self._claim.append(Span(WorkerStep.CLAIM, self.began_ns, time.time_ns()))

    @contextmanager
    def step(self, step: WorkerStep, *leases: Lease) -> Iterator[None]:
        """Record a step of some leases, however it ends."""
        began_ns = time.time_ns()
        try:
            yield
        finally:
            done = Span(step, began_ns, time.time_ns())
            for lease in leases:
                self._steps.setdefault(lease.token, []).append(done)

    def steps_of(self, lease: Lease) -> list[Span]:
        """Return the steps of one lease, in order."""
        return [*self._claim, *self._steps.get(lease.token, ())]
