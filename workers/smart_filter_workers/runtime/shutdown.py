"""End a worker: work under way is finished if time allows, and otherwise returned.

A thread that runs a model cannot be interrupted. A process with unfinished work therefore
releases that work, with its attempt refunded, and then ends itself.
"""

import os
import threading
import time

from sqlalchemy import Engine

from smart_filter_shared.config.settings import EngineSettings
from smart_filter_shared.db import sessions
from smart_filter_shared.doorbell import Doorbell
from smart_filter_shared.errors import Conflict, TryAgain
from smart_filter_shared.ids import Capability
from smart_filter_shared.jobs.photo_queue import WORKER
from smart_filter_shared.supervision import SupervisedLoop
from smart_filter_shared.telemetry.logs import logger
from smart_filter_shared.telemetry.tracing import Traces
from smart_filter_workers.runtime.heartbeat import Heartbeat
from smart_filter_workers.runtime.task import Task

_POLL_SECONDS = 0.05
# A claim takes milliseconds, on a busy machine a second or two. Nothing claims after `started`.
_CLAIM_SECONDS = 5.0
_log = logger("worker")


class GracefulShutdown:
    """Ends a process after a signal, when work hangs, or when one of its threads gives up.

    started: set as soon as the process should claim no more.
    traces: the traces that are still unsent are sent before the process ends itself.
    """

    def __init__(
        self, engine: Engine, doorbell: Doorbell, settings: EngineSettings, traces: Traces
    ) -> None:
        self.started = threading.Event()
        self._engine = engine
        self._doorbell = doorbell
        self._settings = settings
        self._traces = traces

    def drain_after_signal(self, heartbeat: Heartbeat) -> None:
        """Drain in a thread of its own; Celery ends the process if all work ends in time."""
        if not self.started.is_set():
            self._begin(heartbeat, status=0, seconds=self._settings.drain_seconds)

    def drain_after_failure(self, heartbeat: Heartbeat, *, seconds: float | None = None) -> None:
        """Drain in a thread of its own, and end the process so that it is started again.

        seconds: the time for work under way; None: the same as after a signal.
        """
        patience = self._settings.drain_seconds if seconds is None else seconds
        self._begin(heartbeat, status=1, seconds=patience)

    def _begin(self, heartbeat: Heartbeat, *, status: int, seconds: float) -> None:
        self.started.set()
        threading.Thread(
            target=self._end, args=(heartbeat, status, seconds), name="drain", daemon=status == 0
        ).start()

    def _end(self, heartbeat: Heartbeat, status: int, seconds: float) -> None:
        gives_up_at = time.monotonic() + seconds
        steps = SupervisedLoop("drain", every_seconds=0.0, most_failures=None)
        with steps.step():
            heartbeat.announce()
        while heartbeat.is_at_work() and time.monotonic() < gives_up_at:
            time.sleep(_POLL_SECONDS)
        claims_end_at = time.monotonic() + _CLAIM_SECONDS
        while heartbeat.is_claiming() and time.monotonic() < claims_end_at:
            time.sleep(_POLL_SECONDS)
        if not heartbeat.is_at_work() and status == 0:
            return
        for task in heartbeat.in_time():
            with steps.step():
                self._release_lease(task)
        with steps.step():
            self._traces.close()
        # Last, because the heartbeat goes on until the process ends and would announce it again.
        with steps.step():
            heartbeat.leave()
        os._exit(status)

    def _release_lease(self, task: Task) -> None:
        task.lost.set()
        try:
            with sessions.transaction(self._engine) as connection:
                ready: list[Capability] = WORKER.release(
                    connection,
                    task.lease,
                    delay_seconds=0,
                    give_up_seconds=self._settings.give_up_seconds,
                )
        except (Conflict, TryAgain) as error:
            _log.warning("lease_release_failed", reason=str(error))
            return
        _log.info("lease_released", job=str(task.lease.job_id), stage=task.lease.stage)
        self._doorbell.ring(ready)
