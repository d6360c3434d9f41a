"""The work of this process in each capability since it was last published."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Engine, text

from smart_filter_shared.db import sessions
from smart_filter_shared.eta import stage_times
from smart_filter_shared.eta.stage_times import Moments
from smart_filter_shared.ids import Capability
from smart_filter_shared.operations import counters
from smart_filter_shared.operations.counters import CounterKey, CounterName, CounterValue
from smart_filter_shared.queue import fair_queueing
from smart_filter_shared.queue.fair_queueing import Progress
from smart_filter_shared.queue.leases import Lease, StageOutcome
from smart_filter_shared.telemetry.metrics import WorkerStep

_ZERO = CounterValue(0)


class WorkerCounters:
    """Counts for fairness and for the metrics; safe for threads.

    The counts are published once a sweep and not with every claim, so that claims do not queue
    for one row.
    """

    def __init__(self) -> None:
        self._made: dict[Capability, Progress] = {}
        self._amounts: dict[CounterKey, CounterValue] = {}
        self._timed: dict[Capability, Moments] = {}
        self._lock = threading.Lock()

    def record_claims(self, leases: Sequence[Lease]) -> None:
        """Count a claimed batch, and note how far claims have come in virtual time."""
        for lease in leases:
            self._advance(lease.capability, Progress(lease.mark, 0, 0.0))
            self.count(CounterName.ATTEMPTS, lease.capability)
            self.count(CounterName.BATCHED, lease.capability)
        if leases:
            self.count(CounterName.BATCHES, leases[0].capability)

    def record_runs(self, batch: Sequence[StageOutcome]) -> None:
        """Add the seconds that the runs of a batch took."""
        for done in batch:
            capability = done.lease.capability
            self._advance(capability, Progress(done.lease.mark, 1, done.seconds))
            self._add(CounterKey(WorkerStep.INFER, capability), CounterValue(1, done.seconds))

    def record_duration(self, capability: Capability, seconds: float, megapixels: float) -> None:
        """Note how long a photo of the given size kept a thread busy."""
        self._time(capability, Moments.once(seconds, megapixels))

    def count(self, what: CounterName, capability: Capability) -> None:
        """Count one event."""
        self._add(CounterKey(what, capability), CounterValue(1))

    def record_claim_time(self, capability: Capability, seconds: float) -> None:
        """Add the time of a claim, with the completion that it was sent with."""
        self._add(CounterKey(WorkerStep.CLAIM, capability), CounterValue(1, seconds))

    @contextmanager
    def timed(self, step: WorkerStep, capability: Capability) -> Iterator[None]:
        """Add the time that the block takes, however it ends."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self._add(CounterKey(step, capability), CounterValue(1, time.perf_counter() - started))

    def publish(self, engine: Engine) -> None:
        """Write the counts and reset them.

        Raises DatabaseUnavailable, and keeps them then; OutcomeUnknown, and drops them, because
        they may have been written.
        """
        with self._lock:
            made, self._made = self._made, {}
            amounts, self._amounts = self._amounts, {}
            timed, self._timed = self._timed, {}
        if not made and not amounts and not timed:
            return
        try:
            with sessions.transaction(engine) as connection:
                # Every worker writes these rows: no transaction may hold them during a disk write.
                connection.execute(text("SET LOCAL synchronous_commit = off"))
                fair_queueing.record_progress(connection, made)
                counters.add(connection, amounts)
                stage_times.add(connection, timed)
        except BaseException as error:
            if sessions.has_certainly_failed(error):
                self._take_back(made, amounts, timed)
            raise

    def _take_back(
        self,
        made: dict[Capability, Progress],
        amounts: dict[CounterKey, CounterValue],
        timed: dict[Capability, Moments],
    ) -> None:
        for capability, progress in made.items():
            self._advance(capability, progress)
        for measure, amount in amounts.items():
            self._add(measure, amount)
        for capability, more in timed.items():
            self._time(capability, more)

    def _advance(self, capability: Capability, more: Progress) -> None:
        with self._lock:
            before = self._made.get(capability, Progress(more.mark, 0, 0.0))
            self._made[capability] = Progress(
                max(before.mark, more.mark),
                before.runs + more.runs,
                before.seconds + more.seconds,
            )

    def _add(self, measure: CounterKey, more: CounterValue) -> None:
        with self._lock:
            self._amounts[measure] = self._amounts.get(measure, _ZERO) + more

    def _time(self, capability: Capability, more: Moments) -> None:
        with self._lock:
            before = self._timed.get(capability)
            self._timed[capability] = more if before is None else before + more
