import datetime as dt

import pytest

from smart_filter_shared.jobs.deliveries import TEST, DeliveryState
from smart_filter_workers.sender import lanes as lanes_module
from smart_filter_workers.sender.lanes import Lanes
from smart_filter_workers.sender.outbound import Answer, Silence
from smart_filter_workers.sender.schedule import Verdict, judge, retry_after_seconds

NOW = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)
END = "job.failed"


def judged(
    outcome: Answer | Silence, *, type_: str = END, attempt: int = 1, chance: float = 0.5
) -> Verdict:
    return judge(outcome, type_=type_, attempt=attempt, chance=chance, now=NOW)


@pytest.mark.parametrize(
    ("state", "statuses"),
    [
        (DeliveryState.SUCCEEDED, (200, 201, 202, 204, 299)),
        (DeliveryState.WAITING, (100, 301, 302, 307, 400, 401, 404, 429, 500, 502, 504)),
    ],
)
def test_only_two_hundreds_are_success(state: DeliveryState, statuses: tuple[int, ...]) -> None:
    assert {judged(Answer(status, b"")).state for status in statuses} == {state}


def test_delivery_fails_at_410_and_a_test_at_once() -> None:
    assert judged(Answer(410, b"")) == Verdict(DeliveryState.FAILED, disables=True)
    assert judged(Answer(500, b""), type_=TEST).state is DeliveryState.FAILED


def test_schedule_is_that_of_the_specification_and_spread() -> None:
    waits = [judged(Silence("none"), attempt=attempt).wait_seconds for attempt in range(1, 10)]
    spread = [judged(Silence("none"), attempt=2, chance=one).wait_seconds for one in (0.0, 1.0)]

    hours = [wait / 3600 for wait in waits]
    assert spread == pytest.approx([240, 360])
    assert hours == pytest.approx([5 / 3600, 5 / 60, 0.5, 2, 5, 10, 14, 20, 24])
    assert judged(Silence("none"), attempt=10).state is DeliveryState.FAILED


def test_retry_after_lengthens_a_wait_and_never_shortens_it() -> None:
    short, long = (judged(Answer(503, b"", retry_after=said), attempt=2) for said in ("10", "4000"))

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
def test_retry_after_is_read(header: str | None, seconds: float) -> None:
    assert retry_after_seconds(header, NOW) == seconds


def test_lane_is_in_trouble_until_something_goes_well() -> None:
    lanes = Lanes()

    lanes.went("a", well=False, seconds=0.1, now=0)
    lanes.went("b", well=True, seconds=lanes_module.SLOW_SECONDS, now=0)
    lanes.went("c", well=True, seconds=0.1, now=0)
    assert lanes.troubled == {"a", "b"}
    lanes.went("a", well=True, seconds=0.1, now=1)
    assert lanes.troubled == {"b"}


def test_lane_is_held_back_for_its_seconds() -> None:
    lanes = Lanes()

    lanes.went("a", well=False, seconds=0.1, now=0, hold_seconds=60)
    lanes.went("a", well=False, seconds=0.1, now=1)

    assert (lanes.open_again(59), lanes.open_again(60)) == (frozenset(), {"a"})


def test_known_lanes_are_bounded() -> None:
    lanes = Lanes()

    for number in range(10_001):
        lanes.went(f"{number}", well=False, seconds=0.1, now=0)

    assert len(lanes.troubled) == 10_000
    assert "0" not in lanes.troubled
