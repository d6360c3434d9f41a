"""The work of this process in each capability since it was last published."""

import threading
import time
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

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


class WorkerCounters:
    """Counts for fairness and for the metrics; safe for threads.

    The counts are published once a sweep and not with every claim, so that claims do not queue
    for one row.
    """

    def __init__(self) -> None:
        # By the type of the sums.
        self._sums: defaultdict[type, dict[Any, Any]] = defaultdict(dict)
        self._lock = threading.Lock()

    def record_claims(self, leases: Sequence[Lease]) -> None:
        """Count a claimed batch, and note how far claims have come in virtual time."""
        if leases:
            capability = leases[0].capability
            self._add(capability, Progress(max(lease.mark for lease in leases), 0, 0.0))
            self._add(CounterKey(CounterName.ATTEMPTS, capability), CounterValue(len(leases)))
            self.count(CounterName.BATCHES, capability)

    def record_runs(self, batch: Sequence[StageOutcome]) -> None:
        """Add the seconds that the runs of a batch took."""
        for done in batch:
            capability = done.lease.capability
            self._add(capability, Progress(done.lease.mark, 1, done.seconds))
            self._add(CounterKey(WorkerStep.INFER, capability), CounterValue(1, done.seconds))

    def record_duration(self, capability: Capability, seconds: float, megapixels: float) -> None:
        """Note how long a photo of the given size kept a thread busy."""
        self._add(capability, Moments.once(seconds, megapixels))

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
            sums, self._sums = self._sums, defaultdict(dict)
        if not sums:
            return
        try:
            with sessions.transaction(engine) as connection:
                # Every worker writes these rows: no transaction may hold them during a disk write.
                connection.execute(text("SET LOCAL synchronous_commit = off"))
                fair_queueing.record_progress(connection, sums[Progress])
                counters.add(connection, sums[CounterValue])
                stage_times.add(connection, sums[Moments])
        except BaseException as error:
            if sessions.has_certainly_failed(error):
                for made in sums.values():
                    for key, amount in made.items():
                        self._add(key, amount)
            raise

    def _add(self, key: Hashable, more: Progress | CounterValue | Moments) -> None:
        with self._lock:
            sums = self._sums[type(more)]
            sums[key] = sums[key] + more if key in sums else more
