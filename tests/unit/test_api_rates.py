"""A bucket of tokens, by the clock."""

import pytest

from smart_filter_api.rates import Allowance, Bucket, taken


def test_full_bucket_holds_a_minutes_requests() -> None:
    bucket, granted, count = None, True, 0
    while granted:
        bucket, granted = taken(bucket, 100.0, 30)
        count += granted

    assert count == 30


def test_bucket_fills_evenly() -> None:
    empty = Bucket(tokens=0.0, at=100.0)

    assert [taken(empty, 100.0 + seconds, 30)[1] for seconds in (1.9, 2.0)] == [False, True]


def test_bucket_holds_no_more_than_a_minutes_requests() -> None:
    bucket, _ = taken(Bucket(tokens=10.0, at=0.0), 1_000_000.0, 30)

    assert bucket.tokens == 29


@pytest.mark.parametrize("passed", [-5.0, 0.0])
def test_clock_that_does_not_rise_gives_nothing(passed: float) -> None:
    assert taken(Bucket(tokens=0.5, at=100.0), 100.0 + passed, 30) == (
        Bucket(tokens=0.5, at=100.0 + passed),
        False,
    )


def test_answer_shows_the_remaining_quota() -> None:
    allowance = Allowance(is_granted=True, quota=50, remaining=49, more_in_seconds=2)

    assert allowance.headers() == {
        "RateLimit-Policy": '"requests";q=50;w=60',
        "RateLimit": '"requests";r=49;t=2',
    }
