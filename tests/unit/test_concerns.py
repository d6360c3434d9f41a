"""What is not well with the service, and what of it comes first."""

import dataclasses
import datetime as dt
import uuid

import pytest

from smart_filter_shared.ids import Capability, JobId, WorkerId
from smart_filter_shared.jobs import concerns, measures
from smart_filter_shared.jobs.failures import Problem
from smart_filter_shared.jobs.presence import SENDING, WorkerState
from smart_filter_shared.jobs.queues import Queue
from smart_filter_shared.jobs.roster import Member
from smart_filter_shared.jobs.standing import Standing

NOW = dt.datetime(2026, 5, 4, 12, tzinfo=dt.UTC)
AGO = NOW - dt.timedelta(hours=2)
FACE = Capability("face.centerface")
WORKER = Member(
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
DRAINED = dataclasses.replace(
    WORKER,
    id=WorkerId(uuid.UUID(int=3)),
    state=WorkerState.DRAINING,
    capabilities=[],
    drained_from=AGO,
)
SENDER = dataclasses.replace(
    WORKER, id=WorkerId(uuid.UUID(int=4)), capabilities=[], wanted=[SENDING], threads=0
)
SILENT = dataclasses.replace(WORKER, id=WorkerId(uuid.UUID(int=5)), state=WorkerState.UNHEALTHY)
FAILED = Problem(FACE, "model_failed", 3, NOW, JobId(uuid.UUID(int=2)))
WELL = Standing(
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
) -> Queue:
    length = measures.Queue(waiting=0, ready=ready, running=0, oldest_wait_seconds=waits_seconds)
    return Queue(FACE, length, workers, 2 * workers, AGO if paused else None)


def found(**differs: object) -> list[concerns.Concern]:
    return concerns.found(dataclasses.replace(WELL, **differs))  # type: ignore[arg-type]  # its fields


def titles(**differs: object) -> list[str]:
    return [one.title for one in found(**differs)]


@pytest.mark.parametrize(
    ("differs", "title"),
    [
        ({"workers": []}, "No worker is running"),
        ({"swept_at": AGO}, "No worker sweeps"),
        ({"read_only": True, "workers": [], "swept_at": AGO}, "The database takes no writes"),
        ({"webhook_lag_seconds": 61.0}, "Webhooks are late"),
        ({"retention_lag_seconds": 901.0}, "Photos are kept for too long"),
        ({"bucket_fault": "used by two"}, "Objects that no row names are kept"),
        ({"queues": [a_queue(ready=1, workers=0)]}, f"Nobody serves {FACE}"),
        ({"queues": [a_queue(ready=1, waits_seconds=301)]}, f"{FACE} keeps photos waiting"),
        ({"queues": [a_queue(paused=True)]}, f"{FACE} is paused"),
        (
            {"workers": [dataclasses.replace(WORKER, failed={FACE: "no weights"})]},
            f"A worker cannot serve {FACE}",
        ),
        ({"problems": [FAILED]}, f"Jobs failed 3 times in {FACE} within the hour"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_what_is_not_well_is_told(differs: dict[str, object], title: str) -> None:
    assert titles(**differs) == [title]


def test_nothing_is_told_of_a_service_that_is_well() -> None:
    assert titles(queues=[a_queue(ready=3, waits_seconds=2)]) == []


def test_jobs_that_failed_for_their_photos_concern_nobody() -> None:
    assert titles(problems=[dataclasses.replace(FAILED, code="no_person")]) == []


def test_what_photos_wait_for_comes_before_what_is_to_be_known() -> None:
    queues = [a_queue(paused=True), a_queue(ready=1, workers=0)]

    assert titles(queues=queues) == [f"Nobody serves {FACE}", f"{FACE} is paused"]


@pytest.mark.parametrize(
    ("workers", "title", "detail"),
    [
        ([WORKER, DRAINED], "A worker is drained", "it takes no more. Resume it, or stop it."),
        ([DRAINED], "A worker is drained", f"Nobody else serves {FACE}: resume it."),
        (
            [WORKER, dataclasses.replace(SENDER, state=WorkerState.DRAINING, drained_from=AGO)],
            "A sender is drained",
            "Nobody else sends webhooks: resume it.",
        ),
        ([WORKER, SILENT], "A worker is not well", "Others take over its work."),
        (
            [dataclasses.replace(WORKER, wanted=[], capabilities=[]), SILENT],
            "A worker is not well",
            f"Nobody else serves {FACE}.",
        ),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_member_that_is_not_counted_on_is_told_with_who_is_left(
    workers: list[Member], title: str, detail: str
) -> None:
    (concern,) = found(workers=workers)

    assert concern.title == title
    assert concern.detail.endswith(detail)


def test_worker_that_ends_concerns_nobody() -> None:
    ending = dataclasses.replace(WORKER, state=WorkerState.DRAINING)

    assert titles(workers=[ending]) == []


def test_photos_that_wait_for_drained_workers_are_told_of_them() -> None:
    queues = [a_queue(ready=1, workers=0)]

    assert titles(workers=[DRAINED], queues=queues) == [
        f"Only drained workers serve {FACE}",
        "A worker is drained",
    ]


def test_webhooks_that_wait_for_drained_senders_are_told_of_them() -> None:
    sender = dataclasses.replace(SENDER, state=WorkerState.DRAINING, drained_from=AGO)

    late, _ = found(workers=[WORKER, sender], webhook_lag_seconds=90.0)

    assert late.title == "Webhooks are late"
    assert late.detail.endswith("All senders are drained: resume one.")


def test_without_any_worker_that_is_told_once() -> None:
    queues = [a_queue(ready=1, workers=0)]

    assert titles(workers=[SENDER], queues=queues, unfinished=1) == ["No worker is running"]
