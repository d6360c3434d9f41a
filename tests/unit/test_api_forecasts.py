"""How old the outlook on queues in a process may be."""

import anyio
import pytest

from smart_filter_api.forecasts import Forecasts
from smart_filter_shared.jobs.outlook import Outlook


def looks(*steps: tuple[float, bool], look_seconds: float = 0.0) -> int:
    """Return how many looks are taken; each step: when, and whether a deadline is judged."""
    now = 100.0
    taken = 0

    async def look() -> Outlook:
        nonlocal now, taken
        taken += 1
        now += look_seconds
        return Outlook()

    async def ask() -> None:
        nonlocal now
        forecasts = Forecasts(look, clock=lambda: now)
        for at, judges in steps:
            now = at
            await (forecasts.refresh_to_judge() if judges else forecasts.refresh())

    anyio.run(ask)
    return taken


@pytest.mark.parametrize(
    ("steps", "look_seconds", "taken"),
    [
        ([(100, False), (100.5, False), (100.9, False)], 0, 1),
        ([(100, False), (101.1, False)], 0, 2),
        ([(100, False), (100.5, True), (100.55, True), (100.7, True)], 0, 3),
        ([(100, False), (100.9, True), (101.5, False)], 0, 2),
        ([(100, True), (105, True), (106.1, True)], 3, 3),
        ([(100 + number / 100, True) for number in range(300)], 0.045, 4),
    ],
    ids=[
        "once a second",
        "again after a second",
        "more often to judge deadlines",
        "a newer one serves all",
        "to judge never older than a second",
        "to judge less often where a look takes long",
    ],
)
def test_outlook_is_refreshed(
    steps: list[tuple[float, bool]], look_seconds: float, taken: int
) -> None:
    assert looks(*steps, look_seconds=look_seconds) == taken


def test_short_looks_to_judge_deadlines_are_frequent() -> None:
    assert looks(*((100 + number / 100, True) for number in range(300)), look_seconds=0.004) > 25
