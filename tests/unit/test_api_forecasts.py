"""How old what a process tells of queues may be."""

import anyio

from smart_filter_api.forecasts import Forecasts
from smart_filter_shared.jobs.outlook import Outlook


class Clock:
    """A clock that a test sets."""

    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def looks(*steps: tuple[float, bool], look_seconds: float = 0.0) -> int:
    """Return how many looks are taken; each step: when, and whether a deadline is judged."""
    clock, taken = Clock(), []

    async def look() -> Outlook:
        taken.append(clock.seconds)
        clock.seconds += look_seconds
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


def test_deadlines_are_judged_less_often_where_a_look_takes_long() -> None:
    each_hundredth = [(100 + number / 100, True) for number in range(300)]

    assert looks(*each_hundredth, look_seconds=0.004) > 25
    assert looks(*each_hundredth, look_seconds=0.045) == 4


def test_deadlines_are_judged_by_what_is_a_second_old_at_most() -> None:
    assert looks((100, True), (105, True), (106.1, True), look_seconds=3) == 3


def test_newer_one_is_told_to_all() -> None:
    assert looks((100, False), (100.9, True), (101.5, False)) == 2
