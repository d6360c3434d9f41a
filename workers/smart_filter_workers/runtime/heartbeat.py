"""The heartbeat: one thread per process that renews the leases of the process.

It proves progress, not life: a lease whose work exceeds its time limit is no longer renewed.
The process then returns the rest of its work and ends itself. A process whose heartbeat is stuck,
at work or idle, is ended by its watchdog.

The threads that work are watched as well. When one of them has died, or stages stay ready while
none of them begins a turn, the worker is unhealthy, and then ends itself to be started again.
"""

import math
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from sqlalchemy import Engine

from smart_filter_shared.config.settings import EngineSettings
from smart_filter_shared.db import sessions
from smart_filter_shared.errors import TryAgain
from smart_filter_shared.ids import LeaseToken, WorkerId
from smart_filter_shared.jobs.photo_queue import WORKER
from smart_filter_shared.queue import heads, worker_registry
from smart_filter_shared.queue.leases import Lease
from smart_filter_shared.queue.worker_registry import WorkerState
from smart_filter_shared.supervision import SupervisedLoop, Watchdog
from smart_filter_shared.telemetry.logs import logger
from smart_filter_workers.runtime.capabilities import ServedCapabilities
from smart_filter_workers.runtime.task import Task
from smart_filter_workers.system import resources

# Failures in a row: they take 37 s, and all leases have run out after that.
_MAX_FAILURES = 10
# No beat takes longer: each of its waits for a server has a limit of a few seconds.
_BEAT_SECONDS = 20.0
# Time of the process to end in order after a fault, besides the time for its work.
_GRACE_SECONDS = 25.0
# A stage that has been ready for so long should have been claimed: workers poll each second.
_WAIT_SECONDS = 5.0
# After so long without a turn the process ends: the thread that polls is stuck.
_STANDSTILL_SECONDS = 40.0
_log = logger("heartbeat")


class Heartbeat:
    """Renews the leases of a process, and publishes the state of the worker.

    draining: set when it claims no more.
    on_hang: called once, when work has exceeded its time limit, or no thread takes work. It should
        make the process end, and must return at once: other leases are renewed until then.
    on_announced: called after the state was published: the served capabilities may have changed.
    standstill_seconds: time for which stages may wait without a turn, before the process ends.
    watchdog: ends the process when the heartbeat is stuck.
    has_peer: whether another idle worker served the same capabilities at the last heartbeat.
    """

    def __init__(
        self,
        engine: Engine,
        settings: EngineSettings,
        *,
        worker: WorkerId,
        serving: ServedCapabilities,
        threads: int,
        draining: threading.Event,
        on_hang: Callable[[], None],
        on_announced: Callable[[], None],
        standstill_seconds: float = _STANDSTILL_SECONDS,
        watchdog: Watchdog | None = None,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._present = worker_registry.Worker(
            id=worker,
            host=socket.gethostname(),
            pid=os.getpid(),
            capabilities=(),
            threads=threads,
            process=resources.identify_process(),
        )
        self._serving = serving
        self._draining = draining
        self._on_hang = on_hang
        self._on_announced = on_announced
        self._held: dict[LeaseToken, Task] = {}
        self._overdue_at: dict[int, float] = {}  # by thread, for the threads at work
        self._stage_threads: set[threading.Thread] = set()
        # Turns that threads have begun and polls that found nothing: now, and at the last beat.
        self._turns = self._turns_before = 0
        self.has_peer = False
        self._standstill_seconds = standstill_seconds
        self._standstill_from: float | None = None  # on the monotonic clock
        self._watchdog = watchdog or Watchdog(settings.heartbeat_seconds + _BEAT_SECONDS)
        self._lock = threading.Lock()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Mark this thread as claiming or working while the block runs.

        Between a claim and `holding`, only the thread itself knows of its leases.
        """
        thread = threading.get_ident()
        with self._lock:
            self._overdue_at[thread] = math.inf
            self._stage_threads.add(threading.current_thread())
            self._turns += 1
        try:
            yield
        finally:
            with self._lock:
                del self._overdue_at[thread]

    def note_empty_poll(self) -> None:
        """Note that a poll of the database has found nothing: no stage waits for a turn."""
        with self._lock:
            self._turns += 1

    @contextmanager
    def holding(self, leases: Sequence[Lease], *, limit_seconds: float) -> Iterator[list[Task]]:
        """Keep leases alive while the block runs, at most limit_seconds; within `at_work`."""
        overdue_at = time.monotonic() + limit_seconds
        held = [Task(lease, overdue_at) for lease in leases]
        thread = threading.get_ident()
        with self._lock:
            self._overdue_at[thread] = overdue_at
            self._held.update({entry.lease.token: entry for entry in held})
        try:
            yield held
        finally:
            with self._lock:
                self._overdue_at[thread] = math.inf
                for entry in held:
                    self._held.pop(entry.lease.token, None)

    def extend(self, task: Task, *, limit_seconds: float) -> None:
        """Give this thread, which runs one more stage under a lease, time for it."""
        overdue_at = time.monotonic() + limit_seconds
        with self._lock:
            self._overdue_at[threading.get_ident()] = overdue_at
            task.overdue_at = overdue_at

    def begin_claim(self) -> None:
        """Mark this thread, which holds leases, as claiming the next ones; within `holding`."""
        with self._lock:
            self._overdue_at[threading.get_ident()] = math.inf

    def is_claiming(self) -> bool:
        """Return whether any thread may have leases that only it knows."""
        with self._lock:
            return math.inf in self._overdue_at.values()

    def is_at_work(self) -> bool:
        """Return whether any thread is at work within its time limit."""
        now = time.monotonic()
        with self._lock:
            return any(overdue_at > now for overdue_at in self._overdue_at.values())

    def in_time(self) -> list[Task]:
        """Return the tasks whose work is within its time limit."""
        now = time.monotonic()
        with self._lock:
            return [entry for entry in self._held.values() if entry.overdue_at > now]

    def beat(self) -> None:
        """Renew the held leases that are in time; mark the leases that this process has lost.

        Raises DatabaseUnavailable.
        """
        held = self.in_time()
        try:
            self.announce()
        except TryAgain:
            # Without a database that takes writes, nothing can be claimed.
            self._standstill_from = None
            raise
        self._watch_turns()
        if not held:
            return
        self._watchdog.feed()
        with sessions.transaction(self._engine) as connection:
            alive = WORKER.renew(
                connection,
                [entry.lease for entry in held],
                lease_seconds=self._settings.lease_seconds,
            )
        for entry in held:
            if entry.lease.token not in alive:
                entry.lost.set()

    def announce(self) -> None:
        """Publish the state of the worker.  Raises DatabaseUnavailable."""
        serving = self._serving
        # Single statements: BEGIN and COMMIT would double the cost of an idle worker's heartbeats.
        with sessions.connection(sessions.reader(self._engine)) as connection:
            serving.compare(connection)
            serving.renew(connection)
            present = replace(
                self._present,
                # A draining worker must not be counted among those that serve a capability.
                capabilities=() if self._draining.is_set() else serving.capabilities,
                failed=serving.failed,
                wanted=serving.wanted,
                state=self.state(),
                draining=serving.resting,
            )
            standing = worker_registry.record_heartbeat(connection, present)
        self.has_peer = standing.has_peer
        if serving.set_drained(resting=standing.must_drain):
            _log.info("worker_drained" if standing.must_drain else "worker_resumed")
            # The state published above is out of date, and counts until the next heartbeat.
            self.announce()
        self._on_announced()

    def state(self) -> WorkerState:
        """Return the state of the worker."""
        if not self._serving.is_open:
            return WorkerState.STARTING
        if self._draining.is_set() or self._serving.resting:
            return WorkerState.DRAINING
        if not self._serving.capabilities:
            return WorkerState.SETUP_FAILED
        if self._standstill_from is not None:
            return WorkerState.UNHEALTHY
        return WorkerState.BUSY if self._held else WorkerState.READY

    def run(self, stopping: threading.Event) -> None:
        """Beat until `stopping` is set, also while the process drains after a hang.

        Raises the last of too many defects in a row.
        """
        seconds = self._settings.heartbeat_seconds
        beats = SupervisedLoop(
            "heartbeat",
            every_seconds=seconds,
            longest_pause_seconds=seconds,
            most_failures=_MAX_FAILURES,
        )
        hangs = False
        self._watchdog.allow()
        try:
            while not stopping.wait(beats.pause_seconds):
                if not hangs:
                    self._feed_watchdog()
                with beats.step():
                    self.beat()
                fault = None if hangs else self._find_fault()
                if fault is not None:
                    hangs = True
                    _log.error(fault)
                    self._watchdog.limit(_GRACE_SECONDS + self._settings.drain_seconds)
                    self._on_hang()
        finally:
            self._watchdog.stop()

    def leave(self) -> None:
        """Deregister the worker; if the database is away, its silence tells instead."""
        try:
            with sessions.transaction(self._engine) as connection:
                worker_registry.deregister(connection, self._present.id)
        except TryAgain as error:
            _log.warning("deregister_failed", reason=str(error))

    def _watch_turns(self) -> None:
        """Note since when stages wait although no thread begins a turn, and no poll finds none.

        Raises DatabaseUnavailable.
        """
        with self._lock:
            is_idle = not self._overdue_at and self._turns == self._turns_before
            self._turns_before = self._turns
        served = self._serving.capabilities
        if not is_idle or not served or self._draining.is_set():
            self._standstill_from = None
            return
        with sessions.transaction(self._engine) as connection:
            waiting = heads.list_waiting(connection, served, seconds=_WAIT_SECONDS)
        if not waiting:
            self._standstill_from = None
        elif self._standstill_from is None:
            self._standstill_from = time.monotonic()

    def _find_fault(self) -> str | None:
        """Return why the process must end, as a log event."""
        now = time.monotonic()
        with self._lock:
            if any(task.overdue_at <= now for task in self._held.values()):
                return "stage_timeout_process_exits"
            # A process that drains ends its threads itself.
            is_whole = all(thread.is_alive() for thread in self._stage_threads)
            if not is_whole and not self._draining.is_set():
                return "stage_thread_died_process_exits"
        started_at = self._standstill_from
        if started_at is not None and now - started_at > self._standstill_seconds:
            return "no_thread_works_process_exits"
        return None

    def _feed_watchdog(self) -> None:
        """Set the watchdog; loading a model may hold the interpreter while the process starts."""
        if self._serving.is_open:
            self._watchdog.feed()
        else:
            self._watchdog.allow()
