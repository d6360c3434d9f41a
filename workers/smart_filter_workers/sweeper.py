"""The sweeper: once a second one worker of the cell puts right what fell through.

Lost leases, retries that are due, what jobs really cost, how far the queues have come, once a
minute how things are, and rings that nobody heard. Each step is a short transaction of its own;
rings go out last.
"""

import contextlib
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager

from sqlalchemy import Connection, Engine

from smart_filter_shared.db import days, sessions
from smart_filter_shared.doorbell import Doorbell
from smart_filter_shared.errors import TryAgain
from smart_filter_shared.jobs import (
    failures,
    fairness,
    history,
    measures,
    presence,
    transitions,
)
from smart_filter_shared.jobs.measures import Amount, Count, Measure
from smart_filter_shared.settings import EngineSettings
from smart_filter_shared.supervision import SupervisedLoop
from smart_filter_shared.telemetry.logs import logger
from smart_filter_workers.retention import Retention
from smart_filter_workers.tally import Tally

_log = logger("sweeper")


class Sweeper:
    """Sweeps when it wins the right to; every worker process has one."""

    def __init__(
        self,
        engine: Engine,
        doorbell: Doorbell,
        settings: EngineSettings,
        *,
        tally: Tally,
        retention: Retention,
        cell: str,
    ) -> None:
        self._engine = engine
        self._doorbell = doorbell
        self._settings = settings
        self._tally = tally
        self._retention = retention
        self._cell = cell
        self._steps: dict[str, SupervisedLoop] = {}

    def sweep(self) -> bool:
        """Sweep unless another worker has in the last second; return whether it did.

        Raises DatabaseUnavailable before the first step; each step contains its own errors.
        """
        self._tally.publish(self._engine)
        with sessions.transaction(self._engine) as connection:
            won = presence.win_sweep(
                connection,
                cell=self._cell,
                every_seconds=self._settings.sweep_seconds,
                heartbeat_seconds=self._settings.heartbeat_seconds,
            )
        if won is None:
            return False
        with self._step("days"):
            self._look()
        if won.may_expire:
            self._alone("expire", self._expire)
        self._alone("lapse", transitions.lapse)
        self._alone("wake", transitions.wake)
        self._alone("settle", _settle)
        self._alone("refresh", self._refresh)
        self._alone("history", history.sample)
        self._retention.due()
        with self._step("ring"):
            self._ring()
        return True

    def run(self, stopping: threading.Event) -> None:
        """Sweep until told to stop.  Raises the last of too many defects in a row."""
        # Asking twice as often as sweeps are due bounds how late one can be.
        sweeps = SupervisedLoop("sweeper", every_seconds=self._settings.sweep_seconds / 2)
        while not stopping.wait(sweeps.pause_seconds):
            with sweeps.step():
                self.sweep()
        with contextlib.suppress(TryAgain):
            self._tally.publish(self._engine)

    def _look(self) -> None:
        """Have the views show the days that hold unfinished jobs."""
        with sessions.transaction(self._engine) as connection:
            if days.is_up_to_date(connection):
                return
        for step in days.STEPS:
            with sessions.transaction(self._engine) as connection:
                step(connection)

    def _alone(self, name: str, step: Callable[[Connection], object]) -> None:
        """Take a step in a transaction of its own; when it fails, the steps after it go on."""
        with self._step(name), sessions.transaction(self._engine) as connection:
            step(connection)

    def _step(self, name: str) -> AbstractContextManager[None]:
        # A row that one step cannot read is there after a restart, too: no reason to end.
        return self._steps.setdefault(
            name, SupervisedLoop(f"sweeper: {name}", every_seconds=0.0, most_failures=None)
        ).step()

    def _expire(self, connection: Connection) -> None:
        lost = transitions.expire(
            connection,
            max_attempts=self._settings.max_attempts,
            give_up_seconds=self._settings.give_up_seconds,
        )
        if lost:
            _log.warning("leases expired", leases=len(lost))
        counted = {Measure(Count.EXPIRIES, one): Amount(lost.count(one)) for one in set(lost)}
        measures.add(connection, counted)
        presence.forget_silent(connection, silent_seconds=self._settings.lease_seconds)

    def _refresh(self, connection: Connection) -> None:
        fairness.refresh(connection, cell=self._cell, silent_seconds=self._settings.lease_seconds)

    def _ring(self) -> None:
        with sessions.transaction(self._engine) as connection:
            demands = presence.demands(connection, silent_seconds=self._settings.lease_seconds)
        for demand in demands:
            queued = self._doorbell.waiting(demand.capability)
            if queued is None:
                return  # the broker is away: the next sweep asks again
            short = min(demand.ready, demand.threads - queued)
            self._doorbell.ring([demand.capability] * max(0, short))


def _settle(connection: Connection) -> None:
    settled = fairness.settle(connection)
    ended = {Measure(Count.ENDED, one): Amount(jobs) for one, jobs in settled.ended.items()}
    given_up = Counter(one.capability for one in settled.failures if one.is_dead)
    dead = {Measure(Count.DEAD, one): Amount(stages) for one, stages in given_up.items()}
    measures.add(connection, ended | dead)
    failures.note(connection, settled.failures)
