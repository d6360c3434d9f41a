"""What this process has done in each capability since it last said so; for fairness."""

import threading
from collections.abc import Sequence

from sqlalchemy import Engine

from smart_filter_shared.db import sessions
from smart_filter_shared.ids import Capability
from smart_filter_shared.jobs import fairness
from smart_filter_shared.jobs.fairness import Progress
from smart_filter_shared.jobs.leases import Done, Lease


class Tally:
    """Counts claims and runs; safe for threads.

    Saying so once a sweep, not with every claim, keeps claims from queueing for one row.
    """

    def __init__(self) -> None:
        self._made: dict[Capability, Progress] = {}
        self._lock = threading.Lock()

    def claimed(self, leases: Sequence[Lease]) -> None:
        """Note how far in virtual time claims have come."""
        for lease in leases:
            self._add(lease.capability, Progress(lease.start, 0, 0.0))

    def ran(self, batch: Sequence[Done]) -> None:
        """Note what runs took."""
        for done in batch:
            self._add(done.lease.capability, Progress(done.lease.start, 1, done.seconds))

    def publish(self, engine: Engine) -> None:
        """Say what was done, and begin anew.  Raises DatabaseUnavailable; then it is kept."""
        with self._lock:
            made = dict(self._made)
        if not made:
            return
        with sessions.transaction(engine) as connection:
            fairness.advance(connection, made)
        with self._lock:
            for capability, told in made.items():
                now = self._made.pop(capability)
                if now.runs > told.runs or now.mark > told.mark:
                    self._made[capability] = Progress(
                        now.mark, now.runs - told.runs, now.seconds - told.seconds
                    )

    def _add(self, capability: Capability, more: Progress) -> None:
        with self._lock:
            before = self._made.get(capability, Progress(more.mark, 0, 0.0))
            self._made[capability] = Progress(
                max(before.mark, more.mark),
                before.runs + more.runs,
                before.seconds + more.seconds,
            )
