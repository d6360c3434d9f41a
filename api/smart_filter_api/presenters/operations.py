"""Render the state and history of the service as answers for operators."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Final

from smart_filter_api.http.documents import render_as
from smart_filter_api.schemas.operating import (
    Queue,
    ServiceHistory,
    ServiceState,
    Worker,
)
from smart_filter_shared.operations import issues
from smart_filter_shared.operations.dead_letters import FailureCount
from smart_filter_shared.operations.overview import Overview, QueueStats, WorkerInfo
from smart_filter_shared.operations.timeseries import History, TimeRange
from smart_filter_shared.queue.worker_registry import WorkerState

# Workers listed in an overview; `workers_by_state` counts all of them.
_MAX_WORKERS: Final = 200
_MAX_ISSUES: Final = 50
_UNHEALTHY_STATES: Final = (WorkerState.SETUP_FAILED, WorkerState.UNHEALTHY)
# Maximum length of a DNS name (RFC 1035, 2.3.4).
_MAX_HOST_CHARACTERS: Final = 253
_MAX_REASON_CHARACTERS: Final = 500


def render_overview(overview: Overview) -> ServiceState:
    """Return the answer for the current state of the service."""
    overview = replace(overview, workers=[_truncate_worker(worker) for worker in overview.workers])
    workers = sorted(
        overview.workers,
        key=lambda worker: (worker.state not in _UNHEALTHY_STATES, not worker.failed),
    )
    return render_as(
        ServiceState,
        overview,
        concerns=issues.find_issues(overview)[:_MAX_ISSUES],
        queues=[render_queue(queue) for queue in overview.queues],
        workers=[_render_worker(worker) for worker in workers[:_MAX_WORKERS]],
        workers_by_state=dict(Counter(worker.state for worker in overview.workers)),
    )


def render_queue(queue: QueueStats) -> Queue:
    """Return the answer for a queue."""
    return render_as(Queue, queue, **asdict(queue.length))


def render_worker(worker: WorkerInfo) -> Worker:
    """Return the answer for a worker."""
    return _render_worker(_truncate_worker(worker))


def render_history(
    span: TimeRange, history: History, problems: Sequence[FailureCount]
) -> ServiceHistory:
    """Return the answer for a time range: its history, and why jobs failed in it."""
    return render_as(
        ServiceHistory,
        history,
        span=span,
        first=history.steps.first,
        step_seconds=int(history.steps.long.total_seconds()),
        queues=[{"capability": name, **history.queues[name]} for name in sorted(history.queues)],
        problems=problems,
    )


def _render_worker(worker: WorkerInfo) -> Worker:
    return render_as(
        Worker,
        worker,
        worker_id=worker.id,
        capabilities=sorted(worker.capabilities),
        wanted=sorted(worker.wanted),
    )


def _truncate_worker(worker: WorkerInfo) -> WorkerInfo:
    """Return a worker with its host name and error messages shortened."""
    return replace(
        worker,
        host=_truncate(worker.host, _MAX_HOST_CHARACTERS),
        failed={
            name: _truncate(why, _MAX_REASON_CHARACTERS) for name, why in worker.failed.items()
        },
    )


def _truncate(text: str, max_characters: int) -> str:
    return text if len(text) <= max_characters else text[: max_characters - 1] + "…"
