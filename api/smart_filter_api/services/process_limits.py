"""The limits of a process on what callers and networks have under way."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import anyio

from smart_filter_api.auth.rate_limit import FailureLimit, RateLimiter
from smart_filter_api.intake.body_budget import BodyBudget
from smart_filter_api.limits import DeliveryCapacity, ParsingLimit, QueueCapacity, WaitLimit
from smart_filter_shared.config.settings import Settings
from smart_filter_shared.tenants.quotas import Limits

# Each holds two parts of 5 MB in memory.
_MAX_LARGE_PICTURES: Final = 4
# Limits of a network in one process: unknown keys and sessions, a query each; failed sign-ins.
_KEY_FAILURES_PER_MINUTE: Final = 600
_SIGN_IN_FAILURES_PER_MINUTE: Final = 30


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """The limits that a request must pass before it costs anything.

    usual: of tenants without overrides.  rates: their requests a minute.
    key_failures, sign_in_failures: of networks with unknown keys and sessions.
    waits: open streams, waits and downloads.  bodies: bytes of bodies under way.
    parsing: large bodies in memory.  large_pictures: multipart uploads to storage.
    queues, deliveries: unfinished jobs and webhook deliveries of each tenant.
    """

    usual: Limits
    rates: RateLimiter
    key_failures: FailureLimit
    sign_in_failures: FailureLimit
    waits: WaitLimit
    bodies: BodyBudget
    parsing: ParsingLimit
    large_pictures: anyio.CapacityLimiter
    queues: QueueCapacity
    deliveries: DeliveryCapacity


def open_limits(settings: Settings, *, clock: Callable[[], float]) -> ProcessLimits:
    """Return the limits of a process.  clock: monotonic seconds."""
    limits = settings.limits
    return ProcessLimits(
        usual=Limits(
            requests_per_minute=limits.requests_per_minute,
            jobs_waiting=limits.jobs_waiting,
            megapixels_per_day=limits.megapixels_per_day,
            stored_bytes=limits.stored_bytes,
            pictures=limits.pictures,
            deliveries_waiting=limits.deliveries_waiting,
        ),
        rates=RateLimiter(settings.broker),
        key_failures=FailureLimit(_KEY_FAILURES_PER_MINUTE, clock=clock),
        sign_in_failures=FailureLimit(_SIGN_IN_FAILURES_PER_MINUTE, clock=clock),
        waits=WaitLimit(),
        bodies=BodyBudget(limits.body_megabytes * 1_000_000),
        parsing=ParsingLimit(),
        large_pictures=anyio.CapacityLimiter(_MAX_LARGE_PICTURES),
        queues=QueueCapacity(clock=clock),
        deliveries=DeliveryCapacity(clock=clock),
    )
