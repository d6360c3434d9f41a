"""The sweeper: once a second one worker of the cell puts right what fell through.

Lost leases, retries that are due, and rings that nobody heard. Each step is a short
transaction of its own; rings go out last.
"""

import threading

from sqlalchemy import Engine

from smart_filter_shared.db import sessions
from smart_filter_shared.doorbell import Doorbell
from smart_filter_shared.errors import TryAgain
from smart_filter_shared.jobs import presence, transitions
from smart_filter_shared.settings import EngineSettings
from smart_filter_shared.telemetry.logs import logger

_CELL = "default"
_log = logger("sweeper")


class Sweeper:
    """Sweeps when it wins the right to; every worker process has one."""

    def __init__(self, engine: Engine, doorbell: Doorbell, settings: EngineSettings) -> None:
        self._engine = engine
        self._doorbell = doorbell
        self._settings = settings

    def sweep(self) -> bool:
        """Sweep unless somebody has in the last second; return whether it did.

        Raises DatabaseUnavailable.
        """
        with sessions.transaction(self._engine) as connection:
            won = presence.win_sweep(
                connection, cell=_CELL, every_seconds=self._settings.sweep_seconds
            )
        if won:
            self._expire()
            self._wake()
            self._ring()
        return won

    def run(self, stopping: threading.Event) -> None:
        """Sweep until told to stop; a database that is away is asked again."""
        # Asking twice as often as sweeps are due bounds how late one can be.
        while not stopping.wait(self._settings.sweep_seconds / 2):
            try:
                self.sweep()
            except TryAgain as error:
                _log.warning("no sweep", reason=str(error))

    def _expire(self) -> None:
        silent_seconds = self._settings.lease_seconds
        with sessions.transaction(self._engine) as connection:
            lost = transitions.expire(connection, max_attempts=self._settings.max_attempts)
        if lost:
            _log.warning("leases expired", leases=lost)
        with sessions.transaction(self._engine) as connection:
            presence.forget_silent(connection, silent_seconds=silent_seconds)

    def _wake(self) -> None:
        with sessions.transaction(self._engine) as connection:
            transitions.wake(connection)

    def _ring(self) -> None:
        with sessions.transaction(self._engine) as connection:
            demands = presence.demands(connection, silent_seconds=self._settings.lease_seconds)
        for demand in demands:
            queued = self._doorbell.waiting(demand.capability)
            if queued is None:
                return  # the broker is away: the next sweep asks again
            short = min(demand.ready, demand.threads - queued)
            self._doorbell.ring([demand.capability] * max(0, short))
