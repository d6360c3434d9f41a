"""The sweeper: once a second, one worker does the periodic work of the queue.

It handles lost leases, due retries, measured costs of jobs, virtual time, the snapshot for
estimates, and samples once a minute. Each step is a short transaction of its own.
"""

import contextlib
import threading
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager

from sqlalchemy import Connection, Engine

from smart_filter_shared.config.settings import EngineSettings
from smart_filter_shared.db import sessions
from smart_filter_shared.doorbell import Doorbell
from smart_filter_shared.errors import TryAgain
from smart_filter_shared.ids import WorkerId
from smart_filter_shared.jobs.photo_queue import WORKER
from smart_filter_shared.operations import counters, settlement, stored_snapshot, timeseries
from smart_filter_shared.operations.counters import CounterKey, CounterName, CounterValue
from smart_filter_shared.queue import fair_queueing, worker_registry
from smart_filter_shared.supervision import SupervisedLoop
from smart_filter_shared.telemetry.logs import logger
from smart_filter_shared.tenants import quotas
from smart_filter_workers.maintenance.garbage_collector import GarbageCollector
from smart_filter_workers.runtime.counters import WorkerCounters
from smart_filter_workers.stock.ingest import IncomingPictures
from smart_filter_workers.system import resources

# Pages of ended jobs that one sweep settles.
_MAX_PAGES = 10
# Pause of a worker that did not sweep last time, in intervals. The tries of 32 idle workers once a
# second took 5.6 % of a core, more than their polls. Fewer than the missed sweeps that count as an
# outage (worker_registry).
_INTERVALS_WITHOUT_RIGHT = 4
_log = logger("sweeper")


class Sweeper:
    """Sweeps when it acquires the right to; every worker process has one."""

    def __init__(
        self,
        engine: Engine,
        doorbell: Doorbell,
        settings: EngineSettings,
        *,
        counters: WorkerCounters,
        retention: GarbageCollector,
        pictures: IncomingPictures,
    ) -> None:
        self._engine = engine
        self._doorbell = doorbell
        self._settings = settings
        self._tally = counters
        self._retention = retention
        self._pictures = pictures
        self._steps: dict[str, SupervisedLoop] = {}

    def sweep(self) -> bool:
        """Sweep unless another worker has in the last second; return whether this one swept.

        Raises DatabaseUnavailable before the first step; each step contains its own errors.
        """
        self._tally.publish(self._engine)
        with sessions.transaction(self._engine) as connection:
            won = worker_registry.acquire_sweep(
                connection,
                every_seconds=self._settings.sweep_seconds,
                heartbeat_seconds=self._settings.heartbeat_seconds,
            )
        if won is None:
            return False
        if won.may_expire:
            self._alone("expire", self._expire)
        self._alone("lapse", WORKER.fail_overdue)
        with self._step("wake"):
            self._wake()
        with self._step("settle"):
            self._settle()
        self._alone("stored", quotas.fold_stored_bytes)
        self._alone("refresh", self._refresh)
        self._alone("estimates", self._publish_snapshot)
        self._alone("history", timeseries.record_sample)
        self._retention.request_run()
        self._pictures.request_run()
        return True

    def expire_ended(self) -> None:
        """Expire the leases of workers that ended on this machine without returning them.

        A worker calls this when it starts: most often it replaces such a worker.
        """
        with self._step("ended"), sessions.transaction(self._engine) as connection:
            processes = worker_registry.list_processes(connection)
            ended = [
                worker_id
                for worker_id, process in processes.items()
                if resources.has_ended(process)
            ]
            if ended:
                self._expire(connection, ended)
            for worker in ended:
                worker_registry.deregister(connection, worker)

    def run(self, stopping: threading.Event) -> None:
        """Sweep until `stopping` is set.  Raises the last of too many errors in a row."""
        # The last winner tries again when the next sweep is just due; if it has ended, another
        # worker sweeps a few seconds later.
        every_seconds = self._settings.sweep_seconds
        sweeps = SupervisedLoop("sweeper", every_seconds=every_seconds)
        pause_seconds = every_seconds
        while not stopping.wait(pause_seconds):
            has_swept = False
            with sweeps.step():
                has_swept = self.sweep()
            pause_seconds = sweeps.pause_seconds
            if not (has_swept or sweeps.is_failing):
                pause_seconds *= _INTERVALS_WITHOUT_RIGHT
        with contextlib.suppress(TryAgain):
            self._tally.publish(self._engine)

    def _settle(self) -> None:
        for _ in range(_MAX_PAGES):
            with sessions.transaction(self._engine) as connection:
                if not settlement.settle(connection).is_full:
                    return

    def _alone(self, name: str, step: Callable[[Connection], object]) -> None:
        """Take a step in a transaction of its own; if it fails, later steps still run."""
        with self._step(name), sessions.transaction(self._engine) as connection:
            step(connection)

    def _step(self, name: str) -> AbstractContextManager[None]:
        # No failure limit: a row that a step cannot read would still be there after a restart.
        return self._steps.setdefault(
            name, SupervisedLoop(f"sweeper: {name}", every_seconds=0.0, most_failures=None)
        ).step()

    def _expire(self, connection: Connection, ended: Collection[WorkerId] = ()) -> None:
        lost = WORKER.expire(
            connection,
            max_attempts=self._settings.max_attempts,
            give_up_seconds=self._settings.give_up_seconds,
            ended=ended,
        )
        if lost:
            _log.warning("leases_expired", leases=len(lost))
        counted = {
            CounterKey(CounterName.EXPIRIES, capability): CounterValue(lost.count(capability))
            for capability in set(lost)
        }
        counters.add(connection, counted)
        worker_registry.delete_silent(connection, silent_seconds=self._settings.lease_seconds)

    def _refresh(self, connection: Connection) -> None:
        fair_queueing.advance_virtual_time(connection, silent_seconds=self._settings.lease_seconds)

    def _publish_snapshot(self, connection: Connection) -> None:
        stored_snapshot.publish(connection, silent_seconds=self._settings.lease_seconds)

    def _wake(self) -> None:
        with sessions.transaction(self._engine) as connection:
            woken = WORKER.wake(connection)
        self._doorbell.ring(woken)
