"""Failures to authenticate are limited by network, and successes are not."""

import pytest

from smart_filter_api.auth.rate_limit import FailureLimit
from smart_filter_shared.errors import RateLimited, Unauthorized

HERE, THERE = "192.0.2.1", "192.0.2.2"


def fail(limit: FailureLimit, network: str, secret: bytes) -> None:
    with pytest.raises(Unauthorized), limit.attempt(network, secret):
        raise Unauthorized("unknown")


def succeed(limit: FailureLimit, network: str, secret: bytes) -> None:
    with limit.attempt(network, secret):
        pass


def test_failures_lock_their_network_until_the_bucket_fills_again() -> None:
    now = 0.0
    limit = FailureLimit(30, clock=lambda: now)
    for number in range(30):
        fail(limit, HERE, b"%d" % number)

    with pytest.raises(RateLimited):
        succeed(limit, HERE, b"right")
    succeed(limit, THERE, b"right there")
    now = 2.0
    succeed(limit, HERE, b"right")


def test_successes_do_not_count() -> None:
    limit = FailureLimit(30, clock=lambda: 0.0)

    for number in range(1000):
        succeed(limit, HERE, b"%d" % number)


def test_secret_that_was_valid_is_not_locked_out_by_others() -> None:
    limit = FailureLimit(30, clock=lambda: 0.0)
    succeed(limit, HERE, b"right")

    for number in range(30):
        fail(limit, HERE, b"%d" % number)

    succeed(limit, HERE, b"right")


def test_secret_that_is_valid_no_longer_counts() -> None:
    limit = FailureLimit(30, clock=lambda: 0.0)
    succeed(limit, HERE, b"revoked")

    for _ in range(31):
        fail(limit, HERE, b"revoked")

    with pytest.raises(RateLimited):
        fail(limit, HERE, b"revoked")
