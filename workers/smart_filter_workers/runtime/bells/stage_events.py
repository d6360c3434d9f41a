"""Celery's task events for stages, so that Flower and `celery events` show jobs.

A ring says nothing about the work that it starts, so events about rings would be of no use. With
SMART_FILTER_BROKER_STAGE_EVENTS a worker sends Celery's events for each stage instead: the task's
name is the stage, its id the job's id and the stage, its root the job.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Iterable
from socket import gethostname
from typing import Any, Final

from celery.utils.nodenames import nodename

from smart_filter_shared.config.settings import BrokerSettings
from smart_filter_shared.doorbell import open_celery
from smart_filter_shared.errors import Conflict, TryAgain, UnusablePhoto
from smart_filter_shared.ids import WorkerId
from smart_filter_shared.queue.leases import Lease, StageOutcome
from smart_filter_shared.supervision import SupervisedLoop

# Events that wait for the broker. More accumulate only while it does not answer; they are dropped.
_MAX_PENDING: Final = 1000


def node_name(worker: WorkerId) -> str:
    """Return the name of a worker in Celery's tools, `UUID@HOST`."""
    return str(nodename(str(worker), gethostname()))


class StageEvents:
    """Sends events in a thread of its own; never delays a stage.  Does nothing unless set.

    max_attempts: an error that spends the last of these attempts fails the stage.
    """

    def __init__(self, settings: BrokerSettings, worker: WorkerId, *, max_attempts: int) -> None:
        self._is_on = settings.stage_events and bool(settings.address)
        self._max_attempts = max_attempts
        self._pending: queue.Queue[tuple[str, dict[str, object]]] = queue.Queue(_MAX_PENDING)
        self._node = node_name(worker)
        if self._is_on:
            self._celery = open_celery(settings)
            threading.Thread(target=self._run, name="StageEvents", daemon=True).start()

    def record_claims(self, leases: Iterable[Lease]) -> None:
        """Report that stages have started."""
        for lease in leases:
            self._put(
                "task-received",
                lease,
                name=str(lease.stage),
                args=repr((str(lease.job_id),)),
                kwargs=repr({"job": str(lease.job_id), "capability": str(lease.capability)}),
                retries=lease.attempt - 1,
                root_id=str(lease.job_id),
            )
            self._put("task-started", lease)

    def record_success(self, outcome: StageOutcome) -> None:
        """Report that a stage has succeeded."""
        self._put("task-succeeded", outcome.lease, result="", runtime=outcome.seconds)

    def record_error(self, leases: Iterable[Lease], error: Exception) -> None:
        """Report that the run of stages has ended with an error."""
        for lease in leases:
            kind = self._kind_of(lease, error)
            said = f"{type(error).__name__}: {error}"
            self._put(kind, lease, exception=said, traceback="", terminated=False, expired=False)

    def _kind_of(self, lease: Lease, error: Exception) -> str:
        match error:
            case Conflict():
                return "task-revoked"
            case UnusablePhoto():
                return "task-failed"
            case TryAgain():
                return "task-retried"
        return "task-failed" if lease.attempt >= self._max_attempts else "task-retried"

    def _put(self, kind: str, lease: Lease, **fields: object) -> None:
        if self._is_on:
            task = f"{lease.job_id}.{lease.stage}"
            with contextlib.suppress(queue.Full):
                self._pending.put_nowait((kind, {"uuid": task, "timestamp": time.time(), **fields}))

    def _run(self) -> None:
        sending = SupervisedLoop("stage events", every_seconds=0.0, most_failures=None)
        while True:
            with sending.step():
                self._send_until_failure()
            time.sleep(sending.pause_seconds)

    def _send_until_failure(self) -> None:
        with self._celery.connection_for_write() as connection:
            dispatcher: Any = self._celery.events.Dispatcher(  # Celery ships no types
                connection, hostname=self._node, buffer_while_offline=False
            )
            while True:
                kind, fields = self._pending.get()
                dispatcher.send(kind, **fields)
