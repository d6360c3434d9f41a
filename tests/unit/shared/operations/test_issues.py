import datetime as dt
import uuid
from dataclasses import replace

import pytest

from smart_filter_shared.ids import Capability, JobId, WorkerId
from smart_filter_shared.operations import counters, issues
from smart_filter_shared.operations.dead_letters import FailureCount
from smart_filter_shared.operations.overview import Overview, QueueStats, WorkerInfo
from smart_filter_shared.queue.worker_registry import SENDER_ROLE, WorkerState

NOW = dt.datetime(2026, 5, 4, 12, tzinfo=dt.UTC)
AGO = NOW - dt.timedelta(hours=2)
FACE = Capability("face.centerface")
WORKER = WorkerInfo(
    id=WorkerId(uuid.UUID(int=1)),
    host="here",
    pid=7,
    state=WorkerState.READY,
    running=0,
    threads=2,
    capabilities=[FACE],
    wanted=[FACE],
    failed={},
    drained_from=None,
    started_at=AGO,
    seen_at=NOW,
)
DRAINED = replace(
    WORKER,
    id=WorkerId(uuid.UUID(int=3)),
    state=WorkerState.DRAINING,
    capabilities=[],
    drained_from=AGO,
)
SENDER = replace(
    WORKER, id=WorkerId(uuid.UUID(int=4)), capabilities=[], wanted=[SENDER_ROLE], threads=0
)


DRAINED_SENDER = replace(SENDER, state=WorkerState.DRAINING, drained_from=AGO)
SILENT = replace(WORKER, id=WorkerId(uuid.UUID(int=5)), state=WorkerState.UNHEALTHY)
FAILED = FailureCount(FACE, "model_failed", 3, NOW, JobId(uuid.UUID(int=2)))
WELL = Overview(
    now=NOW,
    swept_at=NOW,
    queues=[],
    workers=[WORKER],
    unfinished=0,
    webhook_lag_seconds=0.0,
    problems=[],
)


def a_queue(
    *, ready: int = 0, waits_seconds: float = 0.0, workers: int = 1, paused: bool = False
) -> QueueStats:
    length = counters.QueueLength(
        waiting=0, ready=ready, running=0, oldest_wait_seconds=waits_seconds
    )
    return QueueStats(FACE, length, workers, 2 * workers, AGO if paused else None)


def found(**differs: object) -> list[issues.Issue]:
    return issues.find_issues(replace(WELL, **differs))  # type: ignore[arg-type]  # its fields


UNSERVED = a_queue(ready=1, workers=0)


@pytest.mark.parametrize(
    ("differs", "expected"),
    [
        ({"workers": []}, ["No worker is running"]),
        ({"swept_at": AGO}, ["No sweeper is running"]),
        ({"read_only": True, "workers": [], "swept_at": AGO}, ["The database is read-only"]),
        ({"webhook_lag_seconds": 61.0}, ["Webhook deliveries are late"]),
        ({"retention_lag_seconds": 901.0}, ["Retention is overdue"]),
        ({"bucket_fault": "used by two"}, ["Orphaned objects are not deleted"]),
        ({"queues": [UNSERVED]}, [f"No worker serves {FACE}"]),
        ({"queues": [a_queue(ready=1, waits_seconds=301)]}, [f"Photos wait too long for {FACE}"]),
        ({"queues": [a_queue(paused=True)]}, [f"{FACE} is paused"]),
        ({"workers": [replace(WORKER, failed={FACE: "x"})]}, [f"A worker cannot serve {FACE}"]),
        ({"problems": [FAILED]}, [f"Jobs failed 3 times in {FACE} within the hour"]),
        # Waiting photos come first.
        (
            {"queues": [a_queue(paused=True), UNSERVED]},
            [f"No worker serves {FACE}", f"{FACE} is paused"],
        ),
        (
            {"workers": [DRAINED], "queues": [UNSERVED]},
            [f"Only drained workers serve {FACE}", "A worker is drained"],
        ),
        ({"workers": [SENDER], "queues": [UNSERVED], "unfinished": 1}, ["No worker is running"]),
        ({"queues": [a_queue(ready=3, waits_seconds=2)]}, []),
        # A photo's own fault, and a worker that ends.
        ({"problems": [replace(FAILED, code="no_person")]}, []),
        ({"workers": [replace(WORKER, state=WorkerState.DRAINING)]}, []),
    ],
    ids=lambda one: ", ".join(one) or "well" if isinstance(one, list) else "",
)
def test_faults_of_the_service_are_reported_as_issues(
    differs: dict[str, object], expected: list[str]
) -> None:
    assert [issue.title for issue in found(**differs)] == expected


@pytest.mark.parametrize(
    ("workers", "title", "detail"),
    [
        ([WORKER, DRAINED], "A worker is drained", "it claims no more. Resume it, or stop it."),
        ([DRAINED], "A worker is drained", f"No other worker serves {FACE}: resume it."),
        (
            [WORKER, DRAINED_SENDER],
            "A sender is drained",
            "No other sender sends webhooks: resume it.",
        ),
        ([WORKER, SILENT], "A worker is unhealthy", "Others take over its work."),
        (
            [replace(WORKER, wanted=[], capabilities=[]), SILENT],
            "A worker is unhealthy",
            f"No other worker serves {FACE}.",
        ),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_drained_or_silent_member_is_an_issue_with_the_remaining_members(
    workers: list[WorkerInfo], title: str, detail: str
) -> None:
    (concern,) = found(workers=workers)

    assert concern.title == title
    assert concern.detail.endswith(detail)


def test_late_webhooks_name_drained_senders() -> None:
    late, _ = found(workers=[WORKER, DRAINED_SENDER], webhook_lag_seconds=90.0)

    assert late.title == "Webhook deliveries are late"
    assert late.detail.endswith("All senders are drained: resume one.")
