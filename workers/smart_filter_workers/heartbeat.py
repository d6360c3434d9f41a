"""The heartbeat: one thread a process that says which leases are alive.

It proves progress, not life: work that outlasts its time limit is not renewed any more, and
then the process ends itself, after the rest of its work was handed back. Should an extension
hold the interpreter, so that no Python code runs, a timer in C ends the process.
"""

import faulthandler
import math
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from sqlalchemy import Engine

from smart_filter_shared.db import sessions
from smart_filter_shared.errors import TryAgain
from smart_filter_shared.ids import LeaseToken, WorkerId
from smart_filter_shared.jobs import presence, transitions
from smart_filter_shared.jobs.leases import Lease
from smart_filter_shared.jobs.presence import WorkerState
from smart_filter_shared.settings import EngineSettings
from smart_filter_shared.supervision import SupervisedLoop
from smart_filter_shared.telemetry.logs import logger
from smart_filter_workers.serving import Serving

# In a row: 37 s, by which time all leases have run out and are others' to take.
_MOST_FAILURES = 10
# How long past a time limit the heartbeat has to end the process in order.
_GRACE_SECONDS = 15.0
_log = logger("heartbeat")


@dataclass(slots=True)
class Held:
    """A lease that this process holds.

    overdue_at: on the monotonic clock, when its work has outlasted its limit.
    trouble: the code of what became of it, when it did not succeed.
    fetching_seconds: how long addresses that its job names have kept its thread.
    """

    lease: Lease
    overdue_at: float
    trouble: str = ""
    fetching_seconds: float = 0.0
    lost: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def fetching(self, is_fetching: bool) -> Iterator[None]:  # noqa: FBT001 - what the name asks
        """Note how long the block takes, however it ends, if it fetches from an address."""
        started = time.monotonic()
        try:
            yield
        finally:
            if is_fetching:
                self.fetching_seconds += time.monotonic() - started


class Heartbeat:
    """Renews the leases of a process, and says that the worker itself is there.

    draining: set when it claims no more.  broker_answers: whether the broker does.
    on_hang: called once, when some work has outlasted its limit; it should have the process end,
        and return at once, for the leases of other stages are renewed until then.
    on_change: called when what it serves has become another, as when an operator says so.
    """

    def __init__(
        self,
        engine: Engine,
        settings: EngineSettings,
        *,
        worker: WorkerId,
        serving: Serving,
        threads: int,
        draining: threading.Event,
        broker_answers: Callable[[], bool],
        on_hang: Callable[[], None],
        on_change: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._present = presence.Worker(
            id=worker,
            host=socket.gethostname(),
            pid=os.getpid(),
            capabilities=(),
            threads=threads,
        )
        self._serving = serving
        self._draining = draining
        self._broker_answers = broker_answers
        self._broker_heard_at = time.monotonic()
        self._on_hang = on_hang
        self._on_change = on_change
        self._held: dict[LeaseToken, Held] = {}
        self._overdue_at: dict[int, float] = {}  # of what each thread that is at work has in hand
        self._lock = threading.Lock()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Say that this thread claims and works while the block runs.

        Between a claim and `holding` leases are the thread's that nobody else here knows of.
        """
        thread = threading.get_ident()
        with self._lock:
            self._overdue_at[thread] = math.inf
        try:
            yield
        finally:
            with self._lock:
                del self._overdue_at[thread]

    @contextmanager
    def holding(self, leases: Sequence[Lease], *, limit_seconds: float) -> Iterator[list[Held]]:
        """Keep leases alive while the block runs, for limit_seconds at most; within `at_work`."""
        overdue_at = time.monotonic() + limit_seconds
        held = [Held(lease, overdue_at) for lease in leases]
        thread = threading.get_ident()
        with self._lock:
            self._overdue_at[thread] = overdue_at
            self._held.update({one.lease.token: one for one in held})
            self._arm()
        try:
            yield held
        finally:
            with self._lock:
                self._overdue_at[thread] = math.inf
                for one in held:
                    self._held.pop(one.lease.token, None)
                self._arm()

    def is_at_work(self) -> bool:
        """Return whether any thread is at work that has not outlasted its limit."""
        now = time.monotonic()
        with self._lock:
            return any(overdue_at > now for overdue_at in self._overdue_at.values())

    def in_time(self) -> list[Held]:
        """Return the leases held whose work has not outlasted its limit."""
        now = time.monotonic()
        with self._lock:
            return [one for one in self._held.values() if one.overdue_at > now]

    def beat(self) -> None:
        """Renew what is held and in time; mark what is not ours any more.

        Raises DatabaseUnavailable.
        """
        if self._broker_answers():
            self._broker_heard_at = time.monotonic()
        held = self.in_time()
        self.announce()
        if not held:
            return
        with sessions.transaction(self._engine) as connection:
            alive = transitions.renew(
                connection,
                [one.lease for one in held],
                lease_seconds=self._settings.lease_seconds,
            )
        for one in held:
            if one.lease.token not in alive:
                one.lost.set()

    def announce(self) -> None:
        """Say how the worker is.  Raises DatabaseUnavailable."""
        serving = self._serving
        served = serving.capabilities
        with sessions.transaction(self._engine) as connection:
            serving.compare(connection)
            serving.renew(connection)
            present = replace(
                self._present,
                # Whoever counts on it must not count on one that claims no more.
                capabilities=() if self._draining.is_set() else serving.capabilities,
                failed=serving.failed,
                wanted=serving.wanted,
                state=self.state(),
                draining=serving.resting,
            )
            resting = presence.announce(connection, present)
        if serving.rest(resting=resting):
            _log.info("told to claim no more" if resting else "told to claim again")
            # What was just said is of before; others count on it for a heartbeat.
            self.announce()
        if serving.capabilities != served:
            self._on_change()

    def state(self) -> WorkerState:
        """Return how the worker is."""
        if not self._serving.is_open:
            return WorkerState.STARTING
        if self._draining.is_set() or self._serving.resting:
            return WorkerState.DRAINING
        if not self._serving.capabilities:
            return WorkerState.SETUP_FAILED
        if time.monotonic() - self._broker_heard_at > self._settings.lease_seconds:
            return WorkerState.UNHEALTHY
        return WorkerState.BUSY if self._held else WorkerState.READY

    def run(self, stopping: threading.Event) -> None:
        """Beat until told to stop, also while the process drains after a hang.

        Raises the last of too many defects in a row.
        """
        seconds = self._settings.heartbeat_seconds
        beats = SupervisedLoop(
            "heartbeat",
            every_seconds=seconds,
            longest_pause_seconds=seconds,
            most_failures=_MOST_FAILURES,
        )
        hangs = False
        while not stopping.wait(beats.pause_seconds):
            with beats.step():
                self.beat()
            if not hangs and self._has_overdue():
                hangs = True
                _log.error("a stage outlasted its limit, ending this process")
                self._on_hang()

    def leave(self) -> None:
        """Say that the worker is gone; a database that is away learns it from silence."""
        try:
            with sessions.transaction(self._engine) as connection:
                presence.leave(connection, self._present.id)
        except TryAgain as error:
            _log.warning("left in silence", reason=str(error))

    def _has_overdue(self) -> bool:
        now = time.monotonic()
        with self._lock:
            return any(one.overdue_at <= now for one in self._held.values())

    def _arm(self) -> None:
        """Set the timer in C to the first limit that may be outlasted."""
        if not self._held:
            faulthandler.cancel_dump_traceback_later()
            return
        first = min(one.overdue_at for one in self._held.values())
        seconds = max(0.0, first - time.monotonic()) + _GRACE_SECONDS
        faulthandler.dump_traceback_later(
            seconds + self._settings.heartbeat_seconds + self._settings.drain_seconds,
            exit=True,
            file=2,  # standard error, whatever somebody has put in its place
        )
