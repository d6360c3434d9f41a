"""What becomes of a delivery, by what came of sending it.

Source: Standard Webhooks 1.0.0, "Deliverability and reliability": its example of a schedule,
each time counted from the attempt before; success is 2xx, redirects are failures, 410 is told
to stop, `Retry-After` is honoured.
"""

import datetime as dt
import email.utils
from dataclasses import dataclass
from typing import Final

from smart_filter_shared.jobs.deliveries import TEST, DeliveryState
from smart_filter_workers.sender.outbound import Answer, Silence

_MINUTE: Final = 60.0
_HOUR: Final = 3600.0
# What follows on each attempt that failed; the first is made at once. Three days in all.
WAITS_SECONDS: Final = (
    *(5.0, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR),
    *(5 * _HOUR, 10 * _HOUR, 14 * _HOUR, 20 * _HOUR, 24 * _HOUR),
)
# So that what failed together does not come again together.
_JITTER: Final = 0.2
_MOST_RETRY_AFTER_SECONDS: Final = 24 * _HOUR
_GONE: Final = 410


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a delivery.

    wait_seconds: until the next attempt, of one that waits.
    hold_seconds: for how long its receiver wants nothing else either.
    disables: whether the receiver wants nothing any more.
    """

    state: DeliveryState
    wait_seconds: float = 0.0
    hold_seconds: float = 0.0
    disables: bool = False


def judge(
    outcome: Answer | Silence, *, type_: str, attempt: int, chance: float, now: dt.datetime
) -> Verdict:
    """Return what becomes of a delivery after its so-manieth attempt, the first being 1.

    chance: a random number, 0 to 1.  A test is sent once.
    """
    held = 0.0
    if isinstance(outcome, Answer):
        if is_success(outcome):
            return Verdict(DeliveryState.SUCCEEDED)
        if outcome.status == _GONE:
            return Verdict(DeliveryState.FAILED, disables=True)
        held = retry_after_seconds(outcome.retry_after, now)
    if type_ == TEST or attempt > len(WAITS_SECONDS):
        return Verdict(DeliveryState.FAILED, hold_seconds=held)
    spread = 1 + _JITTER * (2 * chance - 1)
    wait = max(WAITS_SECONDS[attempt - 1] * spread, held)
    return Verdict(DeliveryState.WAITING, wait_seconds=wait, hold_seconds=held)


def is_success(outcome: Answer | Silence) -> bool:
    """Whether a receiver has taken a delivery."""
    return isinstance(outcome, Answer) and outcome.status // 100 == 2  # noqa: PLR2004 - 2xx


def retry_after_seconds(header: str | None, now: dt.datetime) -> float:
    """Return how long a receiver wants to be left alone, a day at most; 0 when it is not said.

    Source: RFC 9110, 10.2.3: seconds, or a date.
    """
    if header is None:
        return 0.0
    said = header.strip()
    if said.isascii() and said.isdigit():
        seconds = float(said[:9])
    else:
        try:
            date = email.utils.parsedate_to_datetime(said)
        except ValueError:
            return 0.0
        aware = date if date.tzinfo is not None else date.replace(tzinfo=dt.UTC)
        seconds = (aware - now).total_seconds()
    return min(max(0.0, seconds), _MOST_RETRY_AFTER_SECONDS)
