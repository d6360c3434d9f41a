import datetime as dt

import pytest

from smart_filter_shared.webhooks.outbox import TEST_EVENT, DeliveryState
from smart_filter_workers.sender.http_client import EndpointAnswer, NoAnswer
from smart_filter_workers.sender.retry_policy import (
    SLOW_SECONDS,
    EndpointLanes,
    RetryDecision,
    decide_retry,
    retry_after_seconds,
)

NOW = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)
END = "job.failed"


def judged(
    outcome: EndpointAnswer | NoAnswer, *, type_: str = END, attempt: int = 1, chance: float = 0.5
) -> RetryDecision:
    return decide_retry(outcome, type_=type_, attempt=attempt, chance=chance, now=NOW)


@pytest.mark.parametrize(
    ("state", "statuses"),
    [
        (DeliveryState.SUCCEEDED, (200, 201, 202, 204, 299)),
        (DeliveryState.WAITING, (100, 301, 302, 307, 400, 401, 404, 429, 500, 502, 504)),
    ],
)
def test_only_status_codes_200_to_299_are_success(
    state: DeliveryState, statuses: tuple[int, ...]
) -> None:
    assert {judged(EndpointAnswer(status, b"")).state for status in statuses} == {state}


def test_delivery_fails_at_410_and_a_test_delivery_at_once() -> None:
    assert judged(EndpointAnswer(410, b"")) == RetryDecision(DeliveryState.FAILED, disables=True)
    assert judged(EndpointAnswer(500, b""), type_=TEST_EVENT).state is DeliveryState.FAILED


def test_retry_schedule_is_that_of_the_specification_with_jitter() -> None:
    waits = [judged(NoAnswer("none"), attempt=attempt).wait_seconds for attempt in range(1, 10)]
    spread = [
        judged(NoAnswer("none"), attempt=2, chance=chance).wait_seconds for chance in (0.0, 1.0)
    ]

    hours = [wait / 3600 for wait in waits]
    assert spread == pytest.approx([240, 360])
    assert hours == pytest.approx([5 / 3600, 5 / 60, 0.5, 2, 5, 10, 14, 20, 24])
    assert judged(NoAnswer("none"), attempt=10).state is DeliveryState.FAILED


def test_retry_after_lengthens_a_wait_but_never_shortens_it() -> None:
    short, long = (
        judged(EndpointAnswer(503, b"", retry_after=said), attempt=2) for said in ("10", "4000")
    )

    assert (short.wait_seconds, short.hold_seconds) == (300, 10)
    assert (long.wait_seconds, long.hold_seconds) == (4000, 4000)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 0),
        ("120", 120),
        ("Sun, 01 Mar 2026 12:10:00 GMT", 600),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0),
        ("999999999999", 86400),
        ("-5", 0),
        ("soon", 0),
        ("²", 0),
        ("Mon, 99 Foo 2026 99:99:99 GMT", 0),
    ],
)
def test_retry_after_is_parsed(header: str | None, seconds: float) -> None:
    assert retry_after_seconds(header, NOW) == seconds


def test_lane_is_in_trouble_until_a_delivery_succeeds() -> None:
    lanes = EndpointLanes()

    lanes.record("a", well=False, seconds=0.1, now=0)
    lanes.record("b", well=True, seconds=SLOW_SECONDS, now=0)
    lanes.record("c", well=True, seconds=0.1, now=0)
    assert lanes.failing == {"a", "b"}
    lanes.record("a", well=True, seconds=0.1, now=1)
    assert lanes.failing == {"b"}


def test_lane_is_held_back_for_its_seconds() -> None:
    lanes = EndpointLanes()

    lanes.record("a", well=False, seconds=0.1, now=0, hold_seconds=60)
    lanes.record("a", well=False, seconds=0.1, now=1)

    assert (lanes.due_for_retry(59), lanes.due_for_retry(60)) == (frozenset(), {"a"})


def test_number_of_known_lanes_is_bounded() -> None:
    lanes = EndpointLanes()

    for number in range(10_001):
        lanes.record(f"{number}", well=False, seconds=0.1, now=0)

    assert len(lanes.failing) == 10_000
    assert "0" not in lanes.failing
