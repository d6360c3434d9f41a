"""Decide the next step of a delivery by the outcome of an attempt, and which receivers wait.

Source: Standard Webhooks 1.0.0, "Deliverability and reliability": its example of a schedule,
each time counted from the attempt before; success is 2xx, redirects are failures, 410 disables
the webhook, `Retry-After` is honored.
"""

import datetime as dt
import email.utils
from dataclasses import dataclass, field
from typing import Final

from smart_filter_shared.webhooks.outbox import TEST_EVENT, DeliveryState
from smart_filter_workers.sender.http_client import EndpointAnswer, NoAnswer

_MINUTE: Final = 60.0
_HOUR: Final = 3600.0
# The wait after each failed attempt; the first attempt is immediate. Three days in all.
WAITS_SECONDS: Final = (
    *(5.0, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR),
    *(5 * _HOUR, 10 * _HOUR, 14 * _HOUR, 20 * _HOUR, 24 * _HOUR),
)
# Relative spread of the waits, so that deliveries that failed together do not repeat together.
_JITTER: Final = 0.2
_MAX_RETRY_AFTER_SECONDS: Final = 24 * _HOUR
_HTTP_GONE: Final = 410
# A receiver that takes longer counts as troubled, whatever it answers.
SLOW_SECONDS: Final = 5.0
_MAX_LANES: Final = 10_000


@dataclass(frozen=True, slots=True)
class RetryDecision:
    """The next step of a delivery.

    wait_seconds: until the next attempt, if it waits.
    hold_seconds: for how long its receiver wants no other delivery either.
    disables: whether the receiver wants no deliveries any more.
    """

    state: DeliveryState
    wait_seconds: float = 0.0
    hold_seconds: float = 0.0
    disables: bool = False


def decide_retry(
    outcome: EndpointAnswer | NoAnswer, *, type_: str, attempt: int, chance: float, now: dt.datetime
) -> RetryDecision:
    """Return the next step of a delivery after an attempt, numbered from 1.

    chance: a random number, 0 to 1.  A test is sent once.
    """
    held = 0.0
    if isinstance(outcome, EndpointAnswer):
        if is_success(outcome):
            return RetryDecision(DeliveryState.SUCCEEDED)
        if outcome.status == _HTTP_GONE:
            return RetryDecision(DeliveryState.FAILED, disables=True)
        held = retry_after_seconds(outcome.retry_after, now)
    if type_ == TEST_EVENT or attempt > len(WAITS_SECONDS):
        return RetryDecision(DeliveryState.FAILED, hold_seconds=held)
    spread = 1 + _JITTER * (2 * chance - 1)
    wait = max(WAITS_SECONDS[attempt - 1] * spread, held)
    return RetryDecision(DeliveryState.WAITING, wait_seconds=wait, hold_seconds=held)


def is_success(outcome: EndpointAnswer | NoAnswer) -> bool:
    """Return whether a receiver has accepted a delivery."""
    return isinstance(outcome, EndpointAnswer) and outcome.status // 100 == 2  # noqa: PLR2004 - 2xx


def retry_after_seconds(header: str | None, now: dt.datetime) -> float:
    """Return how long a receiver asks to wait, a day at most; 0 without the header.

    Source: RFC 9110, 10.2.3: seconds, or a date.
    """
    if header is None:
        return 0.0
    value = header.strip()
    if value.isascii() and value.isdigit():
        seconds = float(value[:9])
    else:
        try:
            date = email.utils.parsedate_to_datetime(value)
        except ValueError:
            return 0.0
        aware = date if date.tzinfo is not None else date.replace(tzinfo=dt.UTC)
        seconds = (aware - now).total_seconds()
    return min(max(0.0, seconds), _MAX_RETRY_AFTER_SECONDS)


@dataclass(slots=True)
class EndpointLanes:
    """Which receivers are slow or failing, so that they take no room from the others.

    Each process learns this for itself and forgets it when it ends. Times are on a monotonic clock.
    """

    _held_until: dict[str, float] = field(default_factory=dict)

    def record(
        self, lane: str, *, well: bool, seconds: float, now: float, hold_seconds: float = 0.0
    ) -> None:
        """Note how a delivery went, and for how long its receiver wants no other delivery."""
        if well and seconds < SLOW_SECONDS:
            self._held_until.pop(lane, None)
            return
        self._held_until[lane] = max(now + hold_seconds, self._held_until.pop(lane, now))
        if len(self._held_until) > _MAX_LANES:
            del self._held_until[next(iter(self._held_until))]

    @property
    def failing(self) -> frozenset[str]:
        """The lanes whose last delivery did not go well."""
        return frozenset(self._held_until)

    def due_for_retry(self, now: float) -> frozenset[str]:
        """Return the troubled lanes whose hold has ended."""
        return frozenset(lane for lane, until in self._held_until.items() if until <= now)
