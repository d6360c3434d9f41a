"""How old what a process tells of queues may be."""

import anyio

from smart_filter_api.forecasts import Forecasts
from smart_filter_shared.jobs.outlook import Outlook


class Clock:
    """A clock that a test sets."""

    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def looks(*steps: tuple[float, bool]) -> int:
    """Return how many looks are taken; each step: when, and whether a deadline is judged."""
    clock, taken = Clock(), []

    async def look() -> Outlook:
        taken.append(clock.seconds)
        return Outlook()

    async def ask() -> None:
        forecasts = Forecasts(look, clock=clock)
        for at, judges in steps:
            clock.seconds = at
            await (forecasts.refresh_to_judge() if judges else forecasts.refresh())

    anyio.run(ask)
    return len(taken)


def test_outlook_is_taken_once_a_second_whoever_asks() -> None:
    assert looks((100, False), (100.5, False), (100.9, False)) == 1
    assert looks((100, False), (101.1, False)) == 2


def test_deadlines_are_judged_by_a_newer_one() -> None:
    assert looks((100, False), (100.5, True), (100.55, True), (100.7, True)) == 3


def test_newer_one_is_told_to_all() -> None:
    assert looks((100, False), (100.9, True), (101.5, False)) == 2
