"""The heartbeat: one thread a process that says which leases are alive.

A renewal that changes no row is how a worker learns that a lease was lost or its job
withdrawn; whoever works under it finds out from `Held.lost` and drops the work.
"""

import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import Engine

from smart_filter_shared.db import sessions
from smart_filter_shared.errors import TryAgain
from smart_filter_shared.ids import Capability, LeaseToken, WorkerId
from smart_filter_shared.jobs import presence, transitions
from smart_filter_shared.jobs.transitions import Lease
from smart_filter_shared.settings import EngineSettings
from smart_filter_shared.telemetry.logs import logger

_log = logger("heartbeat")


@dataclass(slots=True)
class Held:
    """A lease that this process holds."""

    lease: Lease
    lost: threading.Event = field(default_factory=threading.Event)


class Heartbeat:
    """Renews the leases of a process, and says that the worker itself is there."""

    def __init__(
        self,
        engine: Engine,
        settings: EngineSettings,
        *,
        worker: WorkerId,
        capabilities: Sequence[Capability],
        threads: int,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._present = presence.Worker(
            id=worker,
            host=socket.gethostname(),
            pid=os.getpid(),
            capabilities=tuple(capabilities),
            threads=threads,
        )
        self._held: dict[LeaseToken, Held] = {}
        self._lock = threading.Lock()

    @contextmanager
    def holding(self, leases: Sequence[Lease]) -> Iterator[list[Held]]:
        """Keep leases alive while the block runs."""
        held = [Held(lease) for lease in leases]
        with self._lock:
            self._held.update({one.lease.token: one for one in held})
        try:
            yield held
        finally:
            with self._lock:
                for one in held:
                    self._held.pop(one.lease.token, None)

    def beat(self) -> None:
        """Renew what is held now; mark what is not ours any more.

        Raises DatabaseUnavailable.
        """
        with self._lock:
            held = list(self._held.values())
        with sessions.transaction(self._engine) as connection:
            presence.announce(connection, self._present)
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

    def run(self, stopping: threading.Event) -> None:
        """Beat until told to stop; a database that is away is asked again at the next beat."""
        while not stopping.wait(self._settings.heartbeat_seconds):
            try:
                self.beat()
            except TryAgain as error:
                _log.warning("no heartbeat", reason=str(error))

    def leave(self) -> None:
        """Say that the worker is gone; a database that is away learns it from silence."""
        try:
            with sessions.transaction(self._engine) as connection:
                presence.leave(connection, self._present.id)
        except TryAgain as error:
            _log.warning("left in silence", reason=str(error))
