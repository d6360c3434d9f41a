"""What this process has done in each capability since it last said so."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Engine, text

from smart_filter_shared.db import sessions
from smart_filter_shared.ids import Capability
from smart_filter_shared.jobs import fairness, measures, paces
from smart_filter_shared.jobs.fairness import Progress
from smart_filter_shared.jobs.leases import Done, Lease
from smart_filter_shared.jobs.measures import Amount, Count, Measure
from smart_filter_shared.jobs.paces import Timed
from smart_filter_shared.telemetry.metrics import Step

_NOTHING = Amount(0)


class Tally:
    """Counts for fairness and for the metrics; safe for threads.

    Saying so once a sweep, not with every claim, keeps claims from queueing for one row.
    """

    def __init__(self) -> None:
        self._made: dict[Capability, Progress] = {}
        self._amounts: dict[Measure, Amount] = {}
        self._timed: dict[Capability, Timed] = {}
        self._lock = threading.Lock()

    def claimed(self, leases: Sequence[Lease]) -> None:
        """Note a batch that was claimed, and how far in virtual time claims have come."""
        for lease in leases:
            self._advance(lease.capability, Progress(lease.mark, 0, 0.0))
            self.count(Count.ATTEMPTS, lease.capability)
            self.count(Count.BATCHED, lease.capability)
        if leases:
            self.count(Count.BATCHES, leases[0].capability)

    def ran(self, batch: Sequence[Done]) -> None:
        """Note what runs took."""
        for done in batch:
            capability = done.lease.capability
            self._advance(capability, Progress(done.lease.mark, 1, done.seconds))
            self._add(Measure(Step.INFER, capability), Amount(1, done.seconds))

    def took(self, capability: Capability, seconds: float, megapixels: float) -> None:
        """Note how long a photo of so many megapixels kept a thread busy."""
        self._time(capability, Timed.once(seconds, megapixels))

    def count(self, what: Count, capability: Capability) -> None:
        """Note that something has happened."""
        self._add(Measure(what, capability), Amount(1))

    @contextmanager
    def timed(self, step: Step, capability: Capability) -> Iterator[None]:
        """Note what the block takes, however it ends."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self._add(Measure(step, capability), Amount(1, time.perf_counter() - started))

    def publish(self, engine: Engine) -> None:
        """Say what was done, and begin anew.  Raises DatabaseUnavailable; then it is kept."""
        with self._lock:
            made, self._made = self._made, {}
            amounts, self._amounts = self._amounts, {}
            timed, self._timed = self._timed, {}
        if not made and not amounts and not timed:
            return
        told = False
        try:
            with sessions.transaction(engine) as connection:
                # Every worker writes these rows: none may hold them while a disk is written.
                connection.execute(text("SET LOCAL synchronous_commit = off"))
                fairness.advance(connection, made)
                measures.add(connection, amounts)
                paces.add(connection, timed)
            told = True
        finally:
            if not told:
                self._take_back(made, amounts, timed)

    def _take_back(
        self,
        made: dict[Capability, Progress],
        amounts: dict[Measure, Amount],
        timed: dict[Capability, Timed],
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

    def _add(self, measure: Measure, more: Amount) -> None:
        with self._lock:
            self._amounts[measure] = self._amounts.get(measure, _NOTHING) + more

    def _time(self, capability: Capability, more: Timed) -> None:
        with self._lock:
            before = self._timed.get(capability)
            self._timed[capability] = more if before is None else before + more
